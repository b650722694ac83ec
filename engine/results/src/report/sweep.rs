//! The page of a sweep: what its runs say together.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::page::{self, Language};
use super::{REPORT_FILE, series::round};
use crate::sweep::{Group, Outcome, groups};
use crate::{Error, files};

/// Seconds of a slot of the day's curve.
const SLOT_S: u32 = 900;
/// The figures that people look at first.
const KEY: [&str; 11] = [
    "energy.import_kwh",
    "energy.export_kwh",
    "energy.peak_kw",
    "money.net_cost_cny",
    "events.delivered_kwh",
    "events.shortfall_kwh",
    "regulation.mean_achieved_error_kw",
    "reliability.kept_share",
    "vehicles.short_departures",
    "vehicles.turned_away",
    "limits.violations",
];

#[derive(Serialize)]
struct Model<'a> {
    name: &'a str,
    parameters: &'a [String],
    slot_s: u32,
    key: [&'static str; 11],
    groups: Vec<Group>,
    runs: Vec<Run>,
}

#[derive(Serialize)]
struct Run {
    /// Which group.
    group: usize,
    /// The figures of [`KEY`] that it has.
    figures: BTreeMap<&'static str, f64>,
}

/// Writes the report of a sweep into its folder.
///
/// # Errors
/// When it cannot be written.
pub fn write(
    folder: &Path,
    name: &str,
    parameters: &[String],
    outcomes: &[Outcome],
    language: Language,
) -> Result<(), Error> {
    let mut groups = groups(outcomes);
    let mut sorted: Vec<&Outcome> = outcomes.iter().collect();
    sorted.sort_by_key(|outcome| outcome.number);
    let run = |outcome: &&Outcome| Run {
        group: (groups.iter())
            .position(|group| group.values == outcome.values)
            .unwrap_or(0),
        figures: (KEY.iter())
            .filter_map(|key| Some((*key, *outcome.figures.get(*key)?)))
            .collect(),
    };
    let runs = sorted.iter().map(run).collect();
    for spread in groups
        .iter_mut()
        .flat_map(|group| &mut group.day_kw)
        .flatten()
    {
        // Tenths of a kilowatt keep the page small.
        for value in [&mut spread.mean, &mut spread.low, &mut spread.high] {
            *value = round(*value, 1);
        }
        spread.half_width = spread.half_width.map(|width| round(width, 1));
    }
    let model = Model {
        name,
        parameters,
        slot_s: SLOT_S,
        key: KEY,
        groups,
        runs,
    };
    let html = page::page(name, page::Kind::Sweep, language, &model);
    files::write(&folder.join(REPORT_FILE), html)
}
