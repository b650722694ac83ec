//! Columns in memory, and the same as groups of rows of a Parquet file. Knows no table.

use std::io::Write;
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as PhysicalType};
use parquet::column::reader::ColumnReader;
use parquet::column::reader::ColumnReaderImpl;
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, Int32Type, Int64Type,
};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};
use serde::{Deserialize, Serialize};

use crate::schema::{Kind, Text};

/// The values of a column that are there.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub enum Data {
    /// UTF-8 text.
    Text(Vec<Text>),
    /// Whole numbers.
    Whole(Vec<i64>),
    /// Floating-point numbers.
    Number(Vec<f64>),
    /// Milliseconds since 1970, UTC.
    Instant(Vec<i64>),
    /// Days since 1970.
    Date(Vec<i32>),
    /// True or false.
    Flag(Vec<bool>),
}

/// A column: its values, and where one is missing.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Column {
    /// The values that are there.
    pub data: Data,
    /// For each row 1 where there is a value, else 0. `None` where none may be missing.
    pub levels: Option<Vec<i16>>,
}

impl Column {
    /// An empty one.
    #[must_use]
    pub fn new(kind: Kind, nullable: bool) -> Column {
        let data = match kind {
            Kind::Text => Data::Text(Vec::new()),
            Kind::Whole => Data::Whole(Vec::new()),
            Kind::Number => Data::Number(Vec::new()),
            Kind::Instant => Data::Instant(Vec::new()),
            Kind::Date => Data::Date(Vec::new()),
            Kind::Flag => Data::Flag(Vec::new()),
        };
        let levels = nullable.then(Vec::new);
        Column { data, levels }
    }

    fn clear(&mut self) {
        match &mut self.data {
            Data::Text(values) => values.clear(),
            Data::Whole(values) | Data::Instant(values) => values.clear(),
            Data::Number(values) => values.clear(),
            Data::Date(values) => values.clear(),
            Data::Flag(values) => values.clear(),
        }
        if let Some(levels) = &mut self.levels {
            levels.clear();
        }
    }
}

/// The type of a column in a file.
///
/// # Errors
/// When the name is none that Parquet knows.
pub fn column_type(name: &str, kind: Kind, nullable: bool) -> Result<TypePtr> {
    let (physical, logical) = match kind {
        Kind::Text => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Whole => (PhysicalType::INT64, None),
        Kind::Number => (PhysicalType::DOUBLE, None),
        Kind::Instant => (
            PhysicalType::INT64,
            Some(LogicalType::timestamp(true, TimeUnit::MILLIS)),
        ),
        Kind::Date => (PhysicalType::INT32, Some(LogicalType::Date)),
        Kind::Flag => (PhysicalType::BOOLEAN, None),
    };
    let repetition = if nullable {
        Repetition::OPTIONAL
    } else {
        Repetition::REQUIRED
    };
    let column = Type::primitive_type_builder(name, physical)
        .with_repetition(repetition)
        .with_logical_type(logical);
    Ok(Arc::new(column.build()?))
}

/// A file that takes groups of rows. The same rows give the same bytes.
///
/// # Errors
/// When it cannot be written.
pub fn create<W: Write + Send>(
    file: W,
    columns: Vec<TypePtr>,
    about: Vec<(String, String)>,
) -> Result<SerializedFileWriter<W>> {
    let schema = Type::group_type_builder("table").with_fields(columns);
    let about = about
        .into_iter()
        .map(|(key, value)| KeyValue::new(key, value));
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_created_by("vpp version 1.0.0".to_owned())
        .set_key_value_metadata(Some(about.collect()));
    SerializedFileWriter::new(
        file,
        Arc::new(schema.build()?),
        Arc::new(properties.build()),
    )
}

/// Writes columns of the same length as a group of rows, and empties them.
///
/// # Errors
/// When it cannot be written, or the columns are not those of the file.
pub fn write_group<W: Write + Send>(
    file: &mut SerializedFileWriter<W>,
    columns: &mut [Column],
) -> Result<()> {
    let mut group = file.next_row_group()?;
    for column in columns.iter_mut() {
        let levels = column.levels.as_deref();
        match &column.data {
            Data::Text(values) => {
                let values: Vec<ByteArray> = values.iter().map(|text| (&**text).into()).collect();
                put::<ByteArrayType, _>(&mut group, &values, levels)?;
            }
            Data::Whole(values) | Data::Instant(values) => {
                put::<Int64Type, _>(&mut group, values, levels)?;
            }
            Data::Number(values) => put::<DoubleType, _>(&mut group, values, levels)?,
            Data::Date(values) => put::<Int32Type, _>(&mut group, values, levels)?,
            Data::Flag(values) => put::<BoolType, _>(&mut group, values, levels)?,
        }
        column.clear();
    }
    group.close()?;
    Ok(())
}

fn put<T: DataType, W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> Result<()> {
    let column = group.next_column()?;
    let mut column = column.ok_or_else(|| ParquetError::General("a column too many".to_owned()))?;
    column.typed::<T>().write_batch(values, levels, None)?;
    column.close()
}

/// Texts of a column that are there once: most columns say the same few things, in stretches or in turns.
#[derive(Default)]
struct Shared {
    round: Vec<Text>,
    /// The one after the last.
    next: usize,
}

impl Shared {
    fn text(&mut self, text: &str) -> Text {
        // The same again, the next in turn, or the first of another round.
        for at in [self.next.wrapping_sub(1), self.next, 0] {
            if let Some(known) = self.round.get(at).filter(|known| ***known == *text) {
                self.next = at + 1;
                return Arc::clone(known);
            }
        }
        self.round.push(Text::from(text));
        self.next = self.round.len();
        Arc::clone(&self.round[self.next - 1])
    }
}

/// Reads one column of a group of `rows` rows.
///
/// # Errors
/// When it is damaged, of another type, or shorter.
pub fn read_column(
    reader: ColumnReader,
    kind: Kind,
    nullable: bool,
    rows: usize,
) -> Result<Column> {
    let mut levels = nullable.then(Vec::new);
    let data = match (kind, reader) {
        (Kind::Text, ColumnReader::ByteArrayColumnReader(mut reader)) => {
            let (mut texts, mut shared) = (Vec::with_capacity(rows), Shared::default());
            for bytes in get(&mut reader, rows, levels.as_mut())? {
                texts.push(shared.text(bytes.as_utf8()?));
            }
            Data::Text(texts)
        }
        (Kind::Whole, ColumnReader::Int64ColumnReader(mut reader)) => {
            Data::Whole(get(&mut reader, rows, levels.as_mut())?)
        }
        (Kind::Instant, ColumnReader::Int64ColumnReader(mut reader)) => {
            Data::Instant(get(&mut reader, rows, levels.as_mut())?)
        }
        (Kind::Number, ColumnReader::DoubleColumnReader(mut reader)) => {
            Data::Number(get(&mut reader, rows, levels.as_mut())?)
        }
        (Kind::Date, ColumnReader::Int32ColumnReader(mut reader)) => {
            Data::Date(get(&mut reader, rows, levels.as_mut())?)
        }
        (Kind::Flag, ColumnReader::BoolColumnReader(mut reader)) => {
            Data::Flag(get(&mut reader, rows, levels.as_mut())?)
        }
        _ => {
            return Err(ParquetError::General("a column of another type".to_owned()));
        }
    };
    Ok(Column { data, levels })
}

fn get<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
    mut levels: Option<&mut Vec<i16>>,
) -> Result<Vec<T::T>> {
    let (mut values, mut read) = (Vec::new(), 0);
    while read < rows {
        let (records, _, _) =
            reader.read_records(rows - read, levels.as_deref_mut(), None, &mut values)?;
        if records == 0 {
            return Err(ParquetError::EOF(format!("{read} of {rows} rows")));
        }
        read += records;
    }
    Ok(values)
}
