//! A market day as a file: TOML beside CSV tables of prices, signals and vehicles.
//!
//! Every series is a number (the same in every interval), a list, or a column of a table:
//! `{ file = "prices.csv", column = "usd_per_mwh", factor = 0.001 }`. Tables may be packed (`.gz`); they stand in the
//! folder `data`, which is relative to the day's own file.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Asset, MarketDay, Store, expectation};

/// The version of the format that is read.
const FORMAT: u32 = 1;
/// The largest table, unpacked: a year of 2 s values is below it.
const MAX_BYTES: u64 = 1 << 30;

/// Why a file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It is no TOML, or does not have the format's shape.
    #[error("{}: {source}", path.display())]
    Shape {
        /// Which.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// What it says cannot be.
    #[error("{}: {problem}", path.display())]
    Value {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
}

/// A day's file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarketDayFile {
    format: u32,
    /// For people to read.
    pub name: String,
    /// Whose data, under which licence.
    #[serde(default)]
    pub source: String,
    /// The currency of all money.
    pub currency: String,
    /// The folder of the tables, relative to this file's.
    #[serde(default)]
    data: PathBuf,
    interval_h: f64,
    sustain_h: f64,
    expected_score: f64,
    energy_price: Series,
    capacity_price: Series,
    mileage_price: Series,
    expected_mileage: Series,
    signal: Series,
    /// A signal of the same kind from before the day; without it, the day's own says how far from zero it is how often, not
    /// when or to which side.
    expected_signal: Option<Series>,
    #[serde(default, rename = "asset")]
    assets: Vec<AssetEntry>,
    #[serde(default)]
    vehicles: Vec<VehiclesEntry>,
    /// Where it was read from.
    #[serde(skip)]
    path: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Series {
    Every(f64),
    Each(Vec<f64>),
    Column(Column),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Column {
    file: PathBuf,
    column: String,
    #[serde(default = "one")]
    factor: f64,
}

fn one() -> f64 {
    1.0
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AssetEntry {
    name: String,
    charge_max_kw: Series,
    discharge_max_kw: Series,
    #[serde(default)]
    charge_wear: f64,
    #[serde(default)]
    discharge_wear: f64,
    store: Option<StoreEntry>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoreEntry {
    initial_kwh: f64,
    least_kwh: f64,
    greatest_kwh: f64,
    /// What must be in it when the day ends.
    final_kwh: Option<f64>,
    charge_efficiency: f64,
    discharge_efficiency: f64,
}

/// Vehicles of one kind; a table says when each is plugged in.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct VehiclesEntry {
    name: String,
    /// One row for each vehicle; after the first column one for each interval, 0 or 1.
    plugged_in: PathBuf,
    charge_max_kw: f64,
    discharge_max_kw: f64,
    initial_kwh: f64,
    least_kwh: f64,
    greatest_kwh: f64,
    /// What must be in it when it is plugged out for the last time.
    departure_kwh: f64,
    charge_efficiency: f64,
    discharge_efficiency: f64,
    #[serde(default)]
    charge_wear: f64,
    #[serde(default)]
    discharge_wear: f64,
}

impl MarketDayFile {
    /// Reads a day's file; not yet the tables that it names.
    ///
    /// # Errors
    /// It cannot be read, is no TOML of this shape, or of another version.
    pub fn read(path: &Path) -> Result<MarketDayFile, FileError> {
        let text = text(path)?;
        let mut file: MarketDayFile = toml::from_str(&text).map_err(|source| FileError::Shape {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        path.clone_into(&mut file.path);
        if file.format != FORMAT {
            let problem = format!("format: {} is not known, {FORMAT} is", file.format);
            return Err(file.wrong(problem));
        }
        let names: BTreeSet<&str> = file.groups().collect();
        if names.len() != file.groups().count() {
            return Err(file.wrong("two assets or vehicles have the same name".into()));
        }
        Ok(file)
    }

    /// Names of the assets and of the vehicles.
    pub fn groups(&self) -> impl Iterator<Item = &str> {
        let assets = self.assets.iter().map(|asset| asset.name.as_str());
        assets.chain(self.vehicles.iter().map(|vehicles| vehicles.name.as_str()))
    }

    /// Takes another table of who is plugged in when, in the same folder, for all vehicles.
    pub fn plug_in_by(&mut self, table: &Path) {
        for vehicles in &mut self.vehicles {
            table.clone_into(&mut vehicles.plugged_in);
        }
    }

    /// The day, with all groups or with those named.
    ///
    /// # Errors
    /// A group that is not there; a table that cannot be read, or in which something is missing or no number; a series of
    /// the wrong length.
    pub fn load(&self, only: &[String]) -> Result<MarketDay, FileError> {
        if let Some(unknown) = only.iter().find(|name| !self.groups().any(|n| n == *name)) {
            let known: Vec<&str> = self.groups().collect();
            let problem = format!("there is no {unknown:?}; there are {}", known.join(", "));
            return Err(self.wrong(problem));
        }
        let energy_price = self.series("energy_price", &self.energy_price, None)?;
        if energy_price.is_empty() {
            return Err(self.wrong("energy_price: there is no interval".into()));
        }
        let intervals = Some(energy_price.len());
        let signal = self.series("signal", &self.signal, None)?;
        let expected = match &self.expected_signal {
            Some(series) => self.series("expected_signal", series, None)?,
            None => signal.clone(),
        };
        let mut assets = Vec::new();
        let wanted = |name: &str| only.is_empty() || only.iter().any(|n| n == name);
        for vehicles in self.vehicles.iter().filter(|v| wanted(&v.name)) {
            self.plug_in(vehicles, energy_price.len(), &mut assets)?;
        }
        for asset in self.assets.iter().filter(|asset| wanted(&asset.name)) {
            assets.push(self.asset(asset, energy_price.len())?);
        }
        Ok(MarketDay {
            assets,
            interval_h: self.interval_h,
            capacity_price: self.series("capacity_price", &self.capacity_price, intervals)?,
            mileage_price: self.series("mileage_price", &self.mileage_price, intervals)?,
            expected_mileage: self.series("expected_mileage", &self.expected_mileage, intervals)?,
            levels: expectation::levels(),
            expected_shares: vec![expectation::symmetric_shares(&expected); energy_price.len()],
            expected_score: self.expected_score,
            sustain_h: self.sustain_h,
            energy_price,
            signal,
        })
    }

    fn asset(&self, entry: &AssetEntry, intervals: usize) -> Result<Asset, FileError> {
        let name = |field: &str| format!("asset {:?}: {field}", entry.name);
        let power =
            |field: &str, series: &Series| self.series(&name(field), series, Some(intervals));
        Ok(Asset {
            name: entry.name.clone(),
            charge_max_kw: power("charge_max_kw", &entry.charge_max_kw)?,
            discharge_max_kw: power("discharge_max_kw", &entry.discharge_max_kw)?,
            store: entry.store.map(|store| Store {
                initial_kwh: store.initial_kwh,
                least_kwh: store.least_kwh,
                greatest_kwh: store.greatest_kwh,
                due: store.final_kwh.map(|kwh| (intervals - 1, kwh)),
                charge_efficiency: store.charge_efficiency,
                discharge_efficiency: store.discharge_efficiency,
            }),
            charge_wear: entry.charge_wear,
            discharge_wear: entry.discharge_wear,
        })
    }

    /// Vehicles that are plugged in for the same intervals are all alike, and one asset.
    fn plug_in(
        &self,
        entry: &VehiclesEntry,
        intervals: usize,
        assets: &mut Vec<Asset>,
    ) -> Result<(), FileError> {
        let path = self.table(&entry.plugged_in);
        let mut alike: BTreeMap<Vec<bool>, usize> = BTreeMap::new();
        for (line, row) in rows(&path)?.1 {
            let plugged: Option<Vec<bool>> = row.iter().skip(1).map(zero_or_one).collect();
            match plugged {
                Some(plugged) if plugged.len() == intervals => {
                    *alike.entry(plugged).or_default() += 1;
                }
                _ => {
                    let problem = format!("line {line}: not {intervals} times 0 or 1");
                    return Err(FileError::Value { path, problem });
                }
            }
        }
        for (plugged, count) in alike {
            #[allow(clippy::cast_precision_loss)] // a count of vehicles
            let all = count as f64;
            let power = |kw: f64| {
                plugged
                    .iter()
                    .map(move |on| if *on { kw * all } else { 0.0 })
            };
            let last = plugged.iter().rposition(|on| *on);
            assets.push(Asset {
                name: format!("{}: {count}", entry.name),
                charge_max_kw: power(entry.charge_max_kw).collect(),
                discharge_max_kw: power(entry.discharge_max_kw).collect(),
                store: Some(Store {
                    initial_kwh: entry.initial_kwh * all,
                    least_kwh: entry.least_kwh * all,
                    greatest_kwh: entry.greatest_kwh * all,
                    due: last.map(|at| (at, entry.departure_kwh * all)),
                    charge_efficiency: entry.charge_efficiency,
                    discharge_efficiency: entry.discharge_efficiency,
                }),
                charge_wear: entry.charge_wear,
                discharge_wear: entry.discharge_wear,
            });
        }
        Ok(())
    }

    fn series(
        &self,
        field: &str,
        series: &Series,
        length: Option<usize>,
    ) -> Result<Vec<f64>, FileError> {
        let values = match series {
            Series::Every(value) => {
                let length = length.ok_or_else(|| {
                    self.wrong(format!(
                        "{field}: a list or a column, it says how long the day is"
                    ))
                })?;
                vec![*value; length]
            }
            Series::Each(values) => values.clone(),
            Series::Column(column) => column.read(&self.table(&column.file))?,
        };
        match length {
            Some(length) if values.len() != length => {
                let problem = format!("{field}: {} values for {length} intervals", values.len());
                Err(self.wrong(problem))
            }
            _ => Ok(values),
        }
    }

    /// Where a table is.
    fn table(&self, name: &Path) -> PathBuf {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        folder.join(&self.data).join(name)
    }

    fn wrong(&self, problem: String) -> FileError {
        FileError::Value {
            path: self.path.clone(),
            problem,
        }
    }
}

fn zero_or_one(cell: &str) -> Option<bool> {
    match cell {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

impl Column {
    fn read(&self, path: &Path) -> Result<Vec<f64>, FileError> {
        let wrong = |problem: String| FileError::Value {
            path: path.to_owned(),
            problem,
        };
        let (header, rows) = rows(path)?;
        let at = header.iter().position(|name| name == self.column);
        let at = at.ok_or_else(|| {
            let known: Vec<&str> = header.iter().collect();
            wrong(format!(
                "no column {:?}; there are {}",
                self.column,
                known.join(", ")
            ))
        })?;
        let mut values = Vec::with_capacity(rows.len());
        for (line, row) in rows {
            let cell = row.get(at).unwrap_or_default();
            let value = cell.parse::<f64>().ok().filter(|value| value.is_finite());
            let value = value.ok_or_else(|| {
                wrong(format!(
                    "line {line}: {}: {cell:?} is no number",
                    self.column
                ))
            })?;
            values.push(value * self.factor);
        }
        Ok(values)
    }
}

type Rows = (csv::StringRecord, Vec<(u64, csv::StringRecord)>);

/// A table's header, and its rows with their lines.
fn rows(path: &Path) -> Result<Rows, FileError> {
    let text = text(path)?;
    let read = || {
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .from_reader(text.as_bytes());
        let header = reader.headers()?.clone();
        let rows = reader.records().map(|row| {
            let row = row?;
            Ok((row.position().map_or(0, csv::Position::line), row))
        });
        Ok((header, rows.collect::<Result<_, csv::Error>>()?))
    };
    read().map_err(|error: csv::Error| FileError::Value {
        path: path.to_owned(),
        problem: error.to_string(),
    })
}

/// A file's text, unpacked if need be.
fn text(path: &Path) -> Result<String, FileError> {
    let read = || {
        let file = std::fs::File::open(path)?;
        let mut text = String::new();
        let read = if path.extension().is_some_and(|end| end == "gz") {
            let unpacked = flate2::read::MultiGzDecoder::new(file);
            unpacked.take(MAX_BYTES).read_to_string(&mut text)?
        } else {
            file.take(MAX_BYTES).read_to_string(&mut text)?
        };
        if read as u64 == MAX_BYTES {
            return Err(std::io::Error::other(format!("{MAX_BYTES} bytes or more")));
        }
        Ok(text)
    };
    read().map_err(|source| FileError::Io {
        path: path.to_owned(),
        source,
    })
}
