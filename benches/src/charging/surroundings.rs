//! Sun behind the garage's transformer and houses at its feeder, from a year of both.

use std::path::Path;

use anyhow::Context as _;
use chrono::{Datelike as _, NaiveDate};
use flate2::read::GzDecoder;

use super::garage::Room;

/// What the transformer may export, and the feeder draw and export, as shares of what the transformer may draw.
const EXPORT: f64 = 0.5;
const FEEDER: f64 = 1.2;
const FEEDER_EXPORT: f64 = 0.4;
/// The sun's highest, and the houses'. The sun alone breaks no limit.
const SUN: f64 = 0.4;
const HOUSES: f64 = 0.6;

/// For each period, as shares of what the transformer may draw.
pub(super) struct Surroundings {
    pub(super) sun: Vec<f64>,
    pub(super) houses: Vec<f64>,
}

impl Surroundings {
    /// As the package ev2gym ships them: kW for each kW of panels by local hour, and 20 houses by quarters of an hour, from
    /// the first of January on. The highest of the time is scaled.
    pub(super) fn load(
        folder: &Path,
        day: NaiveDate,
        periods: usize,
        period_min: usize,
    ) -> anyhow::Result<Surroundings> {
        let day = day.ordinal0() as usize;
        let sun = column(&folder.join("pv_hourly_per_kw.csv.gz"), true, |row| {
            row.get(2).and_then(|value| value.parse().ok())
        })?;
        let houses = column(
            &folder.join("loads_15min_kw_20_houses.csv.gz"),
            false,
            |row| row.iter().map(|value| value.parse::<f64>().ok()).sum(),
        )?;
        let resampled = |year: &[f64], minutes: usize, highest: f64| {
            let at =
                |period: usize| year[(day * 1_440 + period * period_min) / minutes % year.len()];
            let values: Vec<f64> = (0..periods).map(at).collect();
            let most = values.iter().copied().fold(0.0, f64::max).max(1e-9);
            values.iter().map(|value| value / most * highest).collect()
        };
        Ok(Surroundings {
            sun: resampled(&sun, 60, SUN),
            houses: resampled(&houses, 15, HOUSES),
        })
    }

    /// Sun and houses in a period, kW.
    pub(super) fn at(&self, period: usize, transformer_kw: f64) -> (f64, f64) {
        let of = |values: &[f64]| values.get(period).copied().unwrap_or(0.0) * transformer_kw;
        (of(&self.sun), of(&self.houses))
    }

    pub(super) fn export_kw(&self, transformer_kw: f64) -> f64 {
        EXPORT * transformer_kw
    }

    pub(super) fn feeder(&self, transformer_kw: f64) -> Room {
        Room {
            draw_kw: FEEDER * transformer_kw,
            feed_in_kw: FEEDER_EXPORT * transformer_kw,
        }
    }
}

fn column(
    path: &Path,
    header: bool,
    value: impl Fn(&csv::StringRecord) -> Option<f64>,
) -> anyhow::Result<Vec<f64>> {
    let name = path.display().to_string();
    let file = std::fs::File::open(path).with_context(|| format!("{name}: the public data"))?;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(header)
        .from_reader(GzDecoder::new(file));
    let rows = reader.records().enumerate().map(|(at, row)| {
        let row = row.with_context(|| name.clone())?;
        value(&row).with_context(|| format!("{name}: row {}: no number", at + 1))
    });
    let values = rows.collect::<anyhow::Result<Vec<f64>>>()?;
    anyhow::ensure!(!values.is_empty(), "{name} is empty");
    Ok(values)
}
