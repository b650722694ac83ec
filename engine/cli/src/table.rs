//! Tables as files: CSV or Parquet, by the ending of the name. Columns are text or whole numbers; their names say the units.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use vpp_results::files;
use vpp_results::schema::Kind;
use vpp_results::sheet::{self, Data};

/// What tables are written as.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Format {
    Csv,
    Parquet,
}

impl Format {
    /// The files of tables in a folder.
    pub(crate) fn files<const N: usize>(self, folder: &Path, tables: [&str; N]) -> [PathBuf; N] {
        tables.map(|table| {
            folder.join(match self {
                Format::Csv => format!("{table}.csv"),
                Format::Parquet => format!("{table}.parquet"),
            })
        })
    }
}

/// A column.
pub(crate) enum Column {
    Text(Vec<String>),
    Whole(Vec<i64>),
}

/// Columns of the same length, by name.
pub(crate) type Columns<'a> = [(&'a str, Column)];

/// Writes a table where no reader sees it half written.
pub(crate) fn write(path: &Path, columns: &Columns<'_>) -> anyhow::Result<()> {
    let written = files::write_by(path, |part| {
        if path.extension().is_some_and(|end| end == "parquet") {
            parquet(part, columns)
        } else {
            csv(part, columns)
        }
    });
    written.with_context(|| path.display().to_string())
}

fn csv(path: &Path, columns: &Columns<'_>) -> anyhow::Result<()> {
    let mut writer = csv::Writer::from_path(path)?;
    writer.write_record(columns.iter().map(|(name, _)| name))?;
    let rows = columns.first().map_or(0, |(_, column)| column.len());
    for row in 0..rows {
        for (_, column) in columns {
            match column {
                Column::Text(values) => writer.write_field(&values[row])?,
                Column::Whole(values) => writer.write_field(values[row].to_string())?,
            }
        }
        writer.write_record(None::<&[u8]>)?;
    }
    Ok(writer.flush()?)
}

fn parquet(path: &Path, columns: &Columns<'_>) -> anyhow::Result<()> {
    let (mut types, mut values) = (Vec::new(), Vec::new());
    for (name, column) in columns {
        let (kind, data) = match column {
            Column::Text(texts) => (
                Kind::Text,
                Data::Text(texts.iter().map(|text| text.as_str().into()).collect()),
            ),
            Column::Whole(numbers) => (Kind::Whole, Data::Whole(numbers.clone())),
        };
        types.push(sheet::column_type(name, kind, false)?);
        values.push(sheet::Column { data, levels: None });
    }
    let mut file = sheet::create(File::create(path)?, types, Vec::new())?;
    sheet::write_group(&mut file, &mut values)?;
    file.close()?;
    Ok(())
}

impl Column {
    fn len(&self) -> usize {
        match self {
            Column::Text(values) => values.len(),
            Column::Whole(values) => values.len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::file::reader::{FileReader as _, SerializedFileReader};
    use parquet::record::RowAccessor as _;

    #[test]
    fn both_formats_say_the_same() {
        let folder = tempfile::tempdir().expect("a folder");
        let columns = [
            ("station", Column::Text(vec!["a".into(), "b,\"c\"".into()])),
            ("fen", Column::Whole(vec![-1, i64::MAX])),
        ];
        let path = folder.path().join("t.csv");
        write(&path, &columns).expect("written");
        let text = std::fs::read_to_string(path).expect("read");
        assert_eq!(
            text,
            format!("station,fen\na,-1\n\"b,\"\"c\"\"\",{}\n", i64::MAX)
        );
        let path = folder.path().join("t.parquet");
        write(&path, &columns).expect("written");
        let reader = SerializedFileReader::new(File::open(path).expect("there")).expect("Parquet");
        let rows: Vec<(String, i64)> = (reader.get_row_iter(None).expect("rows"))
            .map(|row| row.expect("a row"))
            .map(|row| {
                (
                    row.get_string(0).expect("text").clone(),
                    row.get_long(1).expect("a number"),
                )
            })
            .collect();
        assert_eq!(rows, [("a".into(), -1), ("b,\"c\"".into(), i64::MAX)]);
        // Nothing is left of the way there.
        assert_eq!(
            std::fs::read_dir(folder.path()).expect("a folder").count(),
            2
        );
        assert!(write(&folder.path().join("no/such/t.csv"), &columns).is_err());
    }
}
