//! How often promises of a forecast are kept, beside how often they say they will be: a year of real loads, and what vehicles
//! with real habits let be called.
//!
//! Every quarter of an hour a promise is made for the same quarter of the next day, from what was seen until then.

mod plot;
mod vehicles;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use chrono::TimeDelta;
use serde_json::{Value, json};
use vpp_core::{Forecast as _, Quote, TimeOfWeek, Timestamp};

/// Monday 2024-01-01 00:00 in Guangzhou.
const START_S: i64 = 1_704_038_400;
const QUARTERS_A_DAY: usize = 96;
/// Until then nothing is promised: a month is seen first.
const FIRST: usize = 28 * QUARTERS_A_DAY;
const CONFIDENCES: [f64; 7] = [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99];

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A year of loads of 20 houses, kW each 15 min.
    #[arg(
        long,
        default_value = "../shared/data/loads-residential/loads_15min_kw_20_houses.csv.gz"
    )]
    loads: PathBuf,
    /// Weeks of vehicles.
    #[arg(long, default_value_t = 26)]
    weeks: usize,
    /// Draw the diagram here.
    #[arg(long, value_name = "FILE.svg")]
    plot: Option<PathBuf>,
}

pub(crate) fn measure(asked: &Arguments, mut print: impl FnMut(&Value)) -> anyhow::Result<()> {
    let series = [
        ("load of 20 houses", houses(&asked.loads)?),
        (
            "callable for an hour, 400 vehicles' piles",
            vehicles::callable(asked.weeks)?,
        ),
    ];
    let mut rows = Vec::new();
    for (name, values) in &series {
        for confidence in CONFIDENCES {
            let found = kept(values, confidence);
            let mean = values[FIRST..].iter().sum::<f64>() / (values.len() - FIRST) as f64;
            let row = json!({
                "series": name,
                "confidence": confidence,
                "kept": round(found.kept),
                "promises": found.promises,
                "promised_share_of_mean": round(found.promised / mean),
                "constant_share_of_mean": round(constant(values, confidence) / mean),
                "worst_week_kept": round(found.worst_week),
            });
            print(&row);
            rows.push(row);
        }
    }
    if let Some(path) = &asked.plot {
        plot::draw(path, &rows)?;
    }
    Ok(())
}

#[derive(Debug)]
struct Found {
    kept: f64,
    promises: usize,
    /// Mean of what was promised.
    promised: f64,
    worst_week: f64,
}

/// Promises for the next day over a series of quarters, and how many were kept.
fn kept(values: &[f64], confidence: f64) -> Found {
    let (mut model, mut quote) = (TimeOfWeek::default(), Quote::new(confidence));
    let mut open: VecDeque<Option<f64>> = VecDeque::from(vec![None; QUARTERS_A_DAY]);
    let (mut promises, mut broken, mut sum) = (0_usize, 0_usize, 0.0);
    let (mut week, mut worst_week) = ((0_usize, 0_usize), 1.0_f64);
    for (quarter, actual) in values.iter().enumerate() {
        if let Some(promised) = open.pop_front().flatten() {
            let failed = usize::from(*actual < promised);
            quote.settle(promised, *actual);
            (promises, broken, sum) = (promises + 1, broken + failed, sum + promised);
            week = (week.0 + 1, week.1 + failed);
            if week.0 == 7 * QUARTERS_A_DAY {
                worst_week = worst_week.min(1.0 - week.1 as f64 / week.0 as f64);
                week = (0, 0);
            }
        }
        model.observe(at(quarter), *actual);
        let next = (quarter + QUARTERS_A_DAY >= FIRST)
            .then(|| quote.promise(&model, at(quarter + QUARTERS_A_DAY)));
        open.push_back(next.flatten());
    }
    Found {
        kept: 1.0 - broken as f64 / promises.max(1) as f64,
        promises,
        promised: sum / promises.max(1) as f64,
        worst_week,
    }
}

/// The same every quarter, in hindsight: what a promise that knows no time of the week could say.
fn constant(values: &[f64], confidence: f64) -> f64 {
    let mut sorted = values[FIRST..].to_vec();
    sorted.sort_by(f64::total_cmp);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // a place in the list
    let place = ((1.0 - confidence) * (sorted.len() - 1) as f64) as usize;
    sorted[place]
}

fn at(quarter: usize) -> Timestamp {
    let quarter = i32::try_from(quarter).unwrap_or(i32::MAX);
    Timestamp::from_timestamp(START_S, 0).unwrap_or_default() + TimeDelta::minutes(15) * quarter
}

/// What 20 houses draw together, kW.
fn houses(path: &Path) -> anyhow::Result<Vec<f64>> {
    let file = std::fs::File::open(path)
        .with_context(|| format!("{}: the loads are data beside the project", path.display()))?;
    let mut table = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(flate2::read::GzDecoder::new(file));
    let mut sums = Vec::new();
    for record in table.records() {
        let record = record?;
        let values: Result<Vec<f64>, _> = record.iter().map(str::parse::<f64>).collect();
        sums.push(
            values
                .with_context(|| format!("{}: row {}", path.display(), sums.len() + 1))?
                .iter()
                .sum(),
        );
    }
    anyhow::ensure!(
        sums.len() > 2 * FIRST,
        "{}: {} rows are too few",
        path.display(),
        sums.len()
    );
    Ok(sums)
}

fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A promise with 95 % is kept 95 % of the time, and so on, over a year of real loads and half a year of vehicles.
    #[test]
    fn promises_are_kept_as_often_as_they_say() {
        let loads = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../shared/data/loads-residential/loads_15min_kw_20_houses.csv.gz"
        );
        let houses = houses(Path::new(loads)).expect("the loads beside the project");
        let vehicles = vehicles::callable(12).expect("vehicles");
        for (values, tolerance) in [(&houses, 0.01), (&vehicles, 0.015)] {
            for confidence in CONFIDENCES {
                let found = kept(values, confidence);
                assert!(
                    (found.kept - confidence).abs() <= tolerance,
                    "{confidence}: {found:?}"
                );
                // It says more than one that knows no time of the week.
                let plain = constant(values, confidence);
                assert!(
                    found.promised > plain,
                    "{confidence}: {} and {plain}",
                    found.promised
                );
            }
        }
    }
}
