//! Runs beside each other: two, or the many of a sweep. Figures, curves over each other, and in what the runs differ.

mod figures;

use std::path::Path;

use serde::Serialize;

use crate::reader::{each, open};
use crate::report::{Axis, Kind, Language, Means, page, round};
use crate::{Error, Summary, rows};

pub use figures::{Better, FIGURES, Figure, Verdict};

/// The file of a comparison in its folder.
pub const COMPARE_FILE: &str = "compare.html";

/// Most buckets of a curve.
const MOST: i64 = 2000;

/// Buckets of the mean day: quarters of an hour.
const SLOTS: i64 = 96;

/// Runs beside each other; the first is what the others are held against.
#[derive(Serialize)]
pub struct Comparison {
    runs: Vec<Run>,
    /// In what they differ, beside what came of them: `name`, `start`, `duration`, `interval`, `seed`, `rules`, `fleet`.
    differ: Vec<&'static str>,
    figures: Vec<Row>,
}

#[derive(Serialize)]
struct Run {
    label: String,
    summary: Summary,
    axis: Axis,
    power: Vec<Option<f64>>,
    delivered: Vec<Option<f64>>,
    /// Mean power in each quarter of an hour of the local day.
    day: Vec<Option<f64>>,
}

/// A figure of all runs.
#[derive(Serialize)]
struct Row {
    key: &'static str,
    unit: &'static str,
    name: &'static str,
    values: Vec<Option<f64>>,
    verdicts: Vec<Verdict>,
}

impl Comparison {
    /// Reads runs, each with a label for people.
    ///
    /// # Errors
    /// When a folder holds no whole run: the file that is missing or cut short.
    pub fn read(folders: &[(String, &Path)], language: Language) -> Result<Comparison, Error> {
        let mut runs = Vec::new();
        for (label, folder) in folders {
            runs.push(Run::read(label.clone(), folder)?);
        }
        let row = |figure: &'static Figure| {
            let values: Vec<Option<f64>> =
                runs.iter().map(|run| figure.value(&run.summary)).collect();
            let first = values.first().copied().flatten();
            Row {
                key: figure.key,
                unit: figure.unit,
                name: match language {
                    Language::English => figure.english,
                    Language::Chinese => figure.chinese,
                },
                verdicts: values
                    .iter()
                    .map(|value| figure.verdict(first, *value))
                    .collect(),
                values,
            }
        };
        let figures = FIGURES.iter().map(row).collect();
        let differ = differences(&runs);
        Ok(Comparison {
            runs,
            differ,
            figures,
        })
    }

    /// In what the runs differ, beside what came of them; see [`describe`] for the words.
    #[must_use]
    pub fn differ(&self) -> &[&'static str] {
        &self.differ
    }

    /// Labels of the runs.
    #[must_use]
    pub fn labels(&self) -> Vec<&str> {
        self.runs.iter().map(|run| run.label.as_str()).collect()
    }

    /// Each figure that a run has: its name, its unit, its values and what they say beside the first run's.
    pub fn figures(
        &self,
    ) -> impl Iterator<Item = (&'static str, &'static str, &[Option<f64>], &[Verdict])> {
        (self.figures.iter())
            .filter(|row| row.values.iter().any(Option::is_some))
            .map(|row| (row.name, row.unit, &row.values[..], &row.verdicts[..]))
    }

    /// The comparison as one HTML file.
    #[must_use]
    pub fn html(&self, language: Language) -> String {
        page(&self.labels().join(" · "), Kind::Compare, language, self)
    }
}

/// A difference in words.
#[must_use]
pub fn describe(difference: &str) -> &'static str {
    match difference {
        "name" => "other scenario",
        "start" => "other start",
        "duration" => "other length",
        "interval" => "other intervals",
        "seed" => "other seed",
        "rules" => "other rule packs",
        _ => "other fleet",
    }
}

impl Run {
    fn read(label: String, folder: &Path) -> Result<Run, Error> {
        let summary = open(folder)?;
        let axis = Axis::new(&summary.scenario, MOST);
        let (mut power, mut delivered) = (Means::new(axis.count()), Means::new(axis.count()));
        // From midnight to midnight, whatever the day.
        let slots = Axis::with(0, 86_400 / SLOTS, SLOTS);
        let mut day = Means::new(slots.count());
        each::<rows::System>(folder, |columns| {
            for row in 0..columns.start.len() {
                let at = axis.at(columns.start[row]);
                power.add(at, columns.power_kw[row]);
                delivered.add(at, columns.delivered_kw[row]);
                let local = crate::report::local(&summary.scenario, columns.start[row]);
                let time = local.time() - chrono::NaiveTime::MIN;
                let slot = slots.at(chrono::DateTime::UNIX_EPOCH + time);
                day.add(slot, columns.power_kw[row]);
            }
        })?;
        Ok(Run {
            label,
            axis,
            power: power.values(1),
            delivered: delivered.values(1),
            day: fill(day.values(1)),
            summary,
        })
    }
}

/// An interval longer than a quarter of an hour holds until the next.
fn fill(mut values: Vec<Option<f64>>) -> Vec<Option<f64>> {
    let mut last = None;
    for value in &mut values {
        last = value.or(last);
        *value = last.map(|value| round(value, 1));
    }
    values
}

fn differences(runs: &[Run]) -> Vec<&'static str> {
    let Some(first) = runs.first() else {
        return Vec::new();
    };
    let first = &first.summary.scenario;
    let others = || runs.iter().map(|run| &run.summary.scenario);
    let mut differ = Vec::new();
    let mut note = |what, is: bool| {
        if is {
            differ.push(what);
        }
    };
    note("name", others().any(|run| run.name != first.name));
    note("start", others().any(|run| run.start != first.start));
    note(
        "duration",
        others().any(|run| run.duration_minutes != first.duration_minutes),
    );
    note(
        "interval",
        others().any(|run| run.interval_s != first.interval_s),
    );
    note("seed", others().any(|run| run.seed != first.seed));
    note(
        "rules",
        others().any(|run| run.rule_packs != first.rule_packs),
    );
    let fleet = |run: &crate::Header| {
        (
            run.stations,
            run.piles,
            run.v2g_piles,
            run.swap_stations,
            run.aggregators,
        )
    };
    note("fleet", others().any(|run| fleet(run) != fleet(first)));
    differ
}
