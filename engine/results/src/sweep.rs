//! Many runs of one scenario, each with other parameters or another seed: what is kept of each, and what they say together.

mod spread;
mod table;

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{TimeDelta, Timelike as _};
use serde::{Deserialize, Serialize};

use crate::{Error, Header, Reader, Summary, files, rows};

pub use spread::{Group, Spread, groups};
pub use table::{SWEEP_FILE, write as write_table};

/// Quarters of an hour in a day.
const QUARTERS: usize = 96;

/// What is kept of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// Which sweep it is of, the digest of its plan; nothing where an earlier version wrote it.
    #[serde(default)]
    pub sweep: String,
    /// Which run of the sweep, from 0.
    pub number: usize,
    /// The value of each parameter, in the order of the sweep.
    pub values: Vec<String>,
    /// Its seed.
    pub seed: u64,
    /// Every figure of its summary, by dotted name: `energy.import_kwh`.
    pub figures: BTreeMap<String, f64>,
    /// Mean power of all stations in each quarter of the local day, kW; null where the run has none.
    pub day_kw: Vec<Option<f64>>,
}

impl Outcome {
    /// What a run's folder says.
    ///
    /// # Errors
    /// When its summary or its table `system` is not there, or damaged.
    pub fn of(
        folder: &Path,
        sweep: &str,
        number: usize,
        values: Vec<String>,
    ) -> Result<Outcome, Error> {
        let summary = Summary::read(folder)?;
        Ok(Outcome {
            sweep: sweep.into(),
            number,
            values,
            seed: summary.scenario.seed,
            day_kw: day(folder, &summary.scenario)?,
            figures: figures(&summary),
        })
    }

    /// Reads one that was written.
    ///
    /// # Errors
    /// When it is not there, or damaged.
    pub fn read(path: &Path) -> Result<Outcome, Error> {
        let text = std::fs::read(path).map_err(Error::io(path))?;
        serde_json::from_slice(&text).map_err(|cause| Error::Json {
            path: path.to_owned(),
            cause,
        })
    }

    /// Writes it, whole or not at all.
    ///
    /// # Errors
    /// What the system says.
    pub fn write(&self, path: &Path) -> Result<(), Error> {
        let json = serde_json::to_vec(self).map_err(|cause| Error::Json {
            path: path.to_owned(),
            cause,
        })?;
        files::write(path, json)
    }
}

/// The numbers of a summary, but for what only describes the scenario.
fn figures(summary: &Summary) -> BTreeMap<String, f64> {
    fn add(name: &str, value: &serde_json::Value, figures: &mut BTreeMap<String, f64>) {
        match value {
            serde_json::Value::Number(number) => {
                figures.extend(number.as_f64().map(|number| (name.to_owned(), number)));
            }
            serde_json::Value::Object(inner) => {
                for (key, value) in inner {
                    add(&format!("{name}.{key}"), value, figures);
                }
            }
            _ => {}
        }
    }
    let mut figures = BTreeMap::new();
    // A summary has only strings as keys: it can always be written.
    if let Ok(serde_json::Value::Object(parts)) = serde_json::to_value(summary) {
        let told = parts
            .iter()
            .filter(|(part, _)| *part != "scenario" && *part != "format");
        for (part, value) in told {
            add(part, value, &mut figures);
        }
    }
    figures
}

fn day(folder: &Path, header: &Header) -> Result<Vec<Option<f64>>, Error> {
    let mut sums = [(0.0, 0_u32); QUARTERS];
    #[allow(clippy::cast_possible_truncation)] // hours of the day
    let ahead = TimeDelta::minutes((header.utc_offset_h * 60.0) as i64);
    let mut reader = Reader::<rows::System>::open(folder)?;
    while let Some(columns) = reader.next_group()? {
        for (start, power) in columns.start.iter().zip(&columns.power_kw) {
            let local = (*start + ahead).time();
            let quarter = local.num_seconds_from_midnight() / 900;
            let (sum, count) = &mut sums[quarter as usize % QUARTERS];
            *sum += power;
            *count += 1;
        }
    }
    let mean = |(sum, count): (f64, u32)| (count > 0).then(|| sum / f64::from(count));
    Ok(sums.into_iter().map(mean).collect())
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // exact by construction
mod tests {
    use super::*;
    use crate::{Tables, Timestamp};

    #[test]
    fn what_is_kept_of_a_run_is_what_its_folder_says() {
        let folder = tempfile::tempdir().unwrap();
        let start = Timestamp::from_timestamp(1_752_508_800, 0).unwrap(); // 2025-07-15 00:00 local
        let header = Header {
            start,
            duration_minutes: 2 * 24 * 60,
            interval_s: 900,
            utc_offset_h: 8.0,
            seed: 7,
            ..Header::default()
        };
        let mut tables = Tables::create(folder.path()).unwrap();
        for quarter in 0..2 * 96 {
            let day = quarter / 96;
            let row = rows::System {
                start: start + TimeDelta::minutes(15 * quarter),
                power_kw: if quarter % 96 == 5 { 100.0 } else { 10.0 }
                    * f64::from(u8::try_from(day + 1).unwrap()),
                import_kwh: 1.0,
                ..rows::System::default()
            };
            tables.system.push(row).unwrap();
        }
        tables.finish().unwrap();
        Summary::derive(folder.path(), header)
            .unwrap()
            .write(folder.path())
            .unwrap();
        let outcome = Outcome::of(folder.path(), "d1", 3, vec!["0.4".into()]).unwrap();
        assert_eq!((outcome.number, outcome.seed), (3, 7));
        assert_eq!(outcome.day_kw[5], Some(150.0));
        assert_eq!(outcome.day_kw[4], Some(15.0));
        assert_eq!(outcome.figures["energy.import_kwh"], 192.0);
        assert_eq!(outcome.figures["energy.import_by_period_kwh.peak"], 0.0);
        assert!(
            !outcome
                .figures
                .keys()
                .any(|key| key.starts_with("scenario") || key == "format")
        );
        let path = folder.path().join("0003.json");
        outcome.write(&path).unwrap();
        assert_eq!(Outcome::read(&path).unwrap(), outcome);
        let earlier = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, earlier.replace("\"sweep\":\"d1\",", "")).unwrap();
        assert_eq!(Outcome::read(&path).unwrap().sweep, "");
        std::fs::write(&path, "{").unwrap();
        let error = Outcome::read(&path).unwrap_err().to_string();
        assert!(error.contains("0003.json: line 1"), "{error}");
    }
}
