//! A sweep as one table: a row for each run, its parameters and all of its figures.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

use parquet::errors::Result;

use super::Outcome;
use crate::schema::Kind;
use crate::sheet::{self, Column, Data};
use crate::{Error, FORMAT, files};

/// The table's file in a sweep's folder.
pub const SWEEP_FILE: &str = "sweep.parquet";

/// Writes the table: `run`, `seed`, a column for each parameter (numbers where all of its values are numbers), a column for each
/// figure (null where a run has none). Dots and what else names no column easily are `_`.
///
/// # Errors
/// When it cannot be written.
pub fn write(
    folder: &Path,
    parameters: &[String],
    outcomes: &[Outcome],
) -> std::result::Result<(), Error> {
    let path = folder.join(SWEEP_FILE);
    let mut sorted: Vec<&Outcome> = outcomes.iter().collect();
    sorted.sort_by_key(|outcome| outcome.number);
    let columns = columns(parameters, &sorted);
    files::write_by(&path, |part| {
        let file = File::create(part).map_err(Error::io(part))?;
        put(BufWriter::new(file), columns).map_err(Error::parquet(&path))
    })
}

struct Named {
    name: String,
    kind: Kind,
    column: Column,
}

fn columns(parameters: &[String], outcomes: &[&Outcome]) -> Vec<Named> {
    let whole = |name: &str, values: Vec<i64>| Named {
        name: name.into(),
        kind: Kind::Whole,
        column: Column {
            data: Data::Whole(values),
            levels: None,
        },
    };
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let run = outcomes.iter().map(|outcome| number(outcome.number as u64));
    let seed = outcomes.iter().map(|outcome| number(outcome.seed));
    let mut columns = vec![whole("run", run.collect()), whole("seed", seed.collect())];
    for (at, key) in parameters.iter().enumerate() {
        let texts = outcomes
            .iter()
            .map(|outcome| outcome.values.get(at).map_or("", String::as_str));
        let numbers: Option<Vec<f64>> = texts
            .clone()
            .map(|text| text.parse().ok().filter(|n: &f64| n.is_finite()))
            .collect();
        let (kind, data) = match numbers {
            Some(numbers) => (Kind::Number, Data::Number(numbers)),
            None => (Kind::Text, Data::Text(texts.map(Arc::from).collect())),
        };
        let name = format!("parameter_{}", plain(key));
        columns.push(Named {
            name,
            kind,
            column: Column { data, levels: None },
        });
    }
    let names: BTreeSet<&String> = outcomes
        .iter()
        .flat_map(|outcome| outcome.figures.keys())
        .collect();
    for name in names {
        let values = outcomes
            .iter()
            .map(|outcome| outcome.figures.get(name).copied());
        let levels = values
            .clone()
            .map(|value| i16::from(value.is_some()))
            .collect();
        columns.push(Named {
            name: plain(name),
            kind: Kind::Number,
            column: Column {
                data: Data::Number(values.flatten().collect()),
                levels: Some(levels),
            },
        });
    }
    columns
}

fn plain(name: &str) -> String {
    let known = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    name.chars().map(known).collect()
}

fn put(file: BufWriter<File>, columns: Vec<Named>) -> Result<()> {
    let types: Result<Vec<_>> = (columns.iter())
        .map(|named| sheet::column_type(&named.name, named.kind, named.column.levels.is_some()))
        .collect();
    let about = [
        ("vpp.table", "sweep".to_owned()),
        ("vpp.format", FORMAT.to_string()),
    ];
    let about = about.map(|(key, value)| (key.to_owned(), value)).to_vec();
    let mut writer = sheet::create(file, types?, about)?;
    let mut data: Vec<Column> = columns.into_iter().map(|named| named.column).collect();
    sheet::write_group(&mut writer, &mut data)?;
    writer.close()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use parquet::file::reader::{FileReader as _, SerializedFileReader};

    #[test]
    fn a_row_is_a_run_and_what_a_run_lacks_is_null() {
        let folder = tempfile::tempdir().unwrap();
        let outcome = |number: usize, values: [&str; 2], figures: &[(&str, f64)]| Outcome {
            sweep: String::new(),
            number,
            values: values.map(str::to_owned).to_vec(),
            seed: 5,
            figures: figures
                .iter()
                .map(|(name, value)| ((*name).to_owned(), *value))
                .collect(),
            day_kw: Vec::new(),
        };
        let all = [
            outcome(
                1,
                ["0.4", "all"],
                &[("energy.import_kwh", 2.0), ("regulation.values", 3.0)],
            ),
            outcome(0, ["0.2", "1"], &[("energy.import_kwh", 1.0)]),
        ];
        let parameters = ["a.b".to_owned(), "event[dr-1].kind".to_owned()];
        write(folder.path(), &parameters, &all).unwrap();
        let file = File::open(folder.path().join(SWEEP_FILE)).unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        let rows: Vec<String> = (reader.get_row_iter(None).unwrap())
            .map(|row| row.unwrap().to_string())
            .collect();
        let expected = [
            "{run: 0, seed: 5, parameter_a_b: 0.2, parameter_event_dr_1__kind: \"1\", energy_import_kwh: 1.0, regulation_values: null}",
            "{run: 1, seed: 5, parameter_a_b: 0.4, parameter_event_dr_1__kind: \"all\", energy_import_kwh: 2.0, regulation_values: 3.0}",
        ];
        assert_eq!(rows, expected);
    }
}
