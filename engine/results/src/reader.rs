//! Tables as they are read: column by column, a group of rows at a time.

use std::fs::File;
use std::marker::PhantomData;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};

use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::schema::types::Type;

use crate::schema::{Row, Table};
use crate::{Error, FORMAT, Summary, rows, sheet};

/// A table of a run, opened and checked.
pub struct Reader<R: Row> {
    path: PathBuf,
    file: SerializedFileReader<File>,
    group: usize,
    row: PhantomData<R>,
}

/// The summary of a run all of whose tables are there, each with its end, where Parquet says what it holds. Who reads a part of a
/// run begins with this: of a folder whose copy broke off nobody knows what else is missing.
///
/// # Errors
/// When the summary or a table is not there, or cut short, or of another version; with the file's path.
pub fn open(folder: &Path) -> Result<Summary, Error> {
    let summary = Summary::read(folder)?;
    Reader::<rows::System>::open(folder)?;
    Reader::<rows::Aggregator>::open(folder)?;
    Reader::<rows::Node>::open(folder)?;
    Reader::<rows::Station>::open(folder)?;
    Reader::<rows::StationDay>::open(folder)?;
    Reader::<rows::Event>::open(folder)?;
    Reader::<rows::Regulation>::open(folder)?;
    Reader::<rows::Promise>::open(folder)?;
    Reader::<rows::Visits>::open(folder)?;
    Reader::<rows::Price>::open(folder)?;
    Reader::<rows::Alarm>::open(folder)?;
    Ok(summary)
}

/// A whole table of a run's folder in memory.
///
/// # Errors
/// As of [`Reader::open`], and when the file is damaged.
pub fn read<R: Row>(folder: &Path) -> Result<R::Columns, Error> {
    let mut reader = Reader::<R>::open(folder)?;
    let mut columns = R::Columns::default();
    while reader.next_into(&mut columns)? {}
    Ok(columns)
}

/// Every group of rows of a table, one in memory at a time.
pub(crate) fn each<R: Row>(folder: &Path, mut take: impl FnMut(R::Columns)) -> Result<(), Error> {
    let mut reader = Reader::<R>::open(folder)?;
    while let Some(columns) = reader.next_group()? {
        take(columns);
    }
    Ok(())
}

impl<R: Row> Reader<R> {
    /// Opens the table of a run's folder.
    ///
    /// # Errors
    /// When there is none, or it is cut short, of another kind, or of another version.
    pub fn open(folder: &Path) -> Result<Reader<R>, Error> {
        Reader::at(folder.join(R::TABLE.file()))
    }

    /// Opens a table, or a piece of one, whatever its name.
    pub(crate) fn at(path: PathBuf) -> Result<Reader<R>, Error> {
        let file = File::open(&path).map_err(Error::io(&path))?;
        let file = guarded(|| SerializedFileReader::new(file)).map_err(Error::parquet(&path))?;
        check(&path, &R::TABLE, &file)?;
        Ok(Reader {
            path,
            file,
            group: 0,
            row: PhantomData,
        })
    }

    /// How many rows it has.
    #[must_use]
    pub fn rows(&self) -> u64 {
        u64::try_from(self.file.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    /// The next group of rows, at most [`GROUP_ROWS`](crate::GROUP_ROWS); `None` at the end.
    ///
    /// # Errors
    /// When the file is damaged.
    pub fn next_group(&mut self) -> Result<Option<R::Columns>, Error> {
        let mut columns = R::Columns::default();
        Ok(self.next_into(&mut columns)?.then_some(columns))
    }

    fn next_into(&mut self, into: &mut R::Columns) -> Result<bool, Error> {
        let Some(columns) = self.next_columns()? else {
            return Ok(false);
        };
        if R::take(columns, into) {
            Ok(true)
        } else {
            Err(self.foreign("a value is none of its column's"))
        }
    }

    /// The next group of rows as it lies in the file; `None` at the end.
    pub(crate) fn next_columns(&mut self) -> Result<Option<Vec<sheet::Column>>, Error> {
        if self.group == self.file.num_row_groups() {
            return Ok(None);
        }
        let read = || -> parquet::errors::Result<Vec<sheet::Column>> {
            let group = self.file.get_row_group(self.group)?;
            let rows = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
            let columns = R::TABLE.fields.iter().enumerate();
            columns
                .map(|(at, field)| {
                    let column = group.get_column_reader(at)?;
                    sheet::read_column(column, field.kind, field.nullable, rows)
                })
                .collect()
        };
        let columns = guarded(read).map_err(Error::parquet(&self.path))?;
        self.group += 1;
        Ok(Some(columns))
    }

    fn foreign(&self, what: &str) -> Error {
        Error::Foreign {
            path: self.path.clone(),
            table: R::TABLE.name,
            what: what.to_owned(),
        }
    }
}

/// What the reader gives; an error as well where it gives up in the middle of a damaged file (its decoders take lengths and indices of
/// a page for granted).
fn guarded<T>(read: impl FnOnce() -> parquet::errors::Result<T>) -> parquet::errors::Result<T> {
    let damaged = || ParquetError::General("it is damaged".to_owned());
    std::panic::catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err(damaged()))
}

fn check(path: &Path, table: &Table, file: &SerializedFileReader<File>) -> Result<(), Error> {
    let foreign = |what: String| Error::Foreign {
        path: path.to_owned(),
        table: table.name,
        what,
    };
    let about = file.metadata().file_metadata();
    let value = |key: &str| {
        let pairs = about.key_value_metadata()?;
        pairs.iter().find(|pair| pair.key == key)?.value.as_deref()
    };
    match value("vpp.table") {
        Some(name) if name == table.name => {}
        Some(name) => return Err(foreign(format!("it is the table `{name}`"))),
        None => return Err(foreign("it names no table".to_owned())),
    }
    let format = value("vpp.format").unwrap_or("none");
    if format != FORMAT.to_string() {
        return Err(Error::Version {
            path: path.to_owned(),
            found: format.to_owned(),
        });
    }
    let columns = about.schema_descr().root_schema().get_fields();
    let expected: Result<Vec<_>, _> = (table.fields.iter())
        .map(|field| sheet::column_type(field.name, field.kind, field.nullable))
        .collect();
    let expected = expected.map_err(Error::parquet(path))?;
    let name = |column: Option<&std::sync::Arc<Type>>| {
        column.map_or("nothing".to_owned(), |column| {
            format!("`{}`", column.name())
        })
    };
    for at in 0..columns.len().max(expected.len()) {
        let (there, wanted) = (columns.get(at), expected.get(at));
        if there != wanted {
            return Err(foreign(format!(
                "column {} is {}, not {} as this program writes it",
                at + 1,
                name(there),
                name(wanted)
            )));
        }
    }
    Ok(())
}
