//! The plan's fast solver beside general ones, on the same instances.
//!
//! Each solver works in a process of its own, so that its peak of memory is its own and its time limit can be enforced.
//! What is compared is the solvers' own time; what good_lp and the solver's interface take to write the program down
//! (`model_seconds`) is told apart, and not counted against them.

mod case;
mod child;
mod growth;
mod plot;
mod stop;
mod warm;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

pub(crate) use case::run as run_case;
pub(crate) use case::{Solver, Source};

/// Stations and intervals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) stations: usize,
    pub(crate) intervals: usize,
}

impl std::str::FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('x');
        let parsed = parts.and_then(|(n, t)| {
            Some(Self {
                stations: n.parse().ok()?,
                intervals: t.parse().ok()?,
            })
        });
        parsed
            .filter(|size| size.stations > 0 && size.intervals > 0)
            .ok_or_else(|| format!("{text} is not like 1080x24"))
    }
}

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Stations x intervals of the instances, from small to large.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "300x24,1000x24,3000x24,10000x24,30000x24,100000x24,1080x24,1080x96"
    )]
    sizes: Vec<Size>,
    /// Seed of the instances.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds that each solver has. One that runs out is not asked for anything larger.
    #[arg(long, default_value_t = 600)]
    limit: u64,
    /// Measure this instance (see `instance`) in place of generated ones.
    #[arg(long, conflicts_with_all = ["sizes", "pilot"])]
    instance: Option<PathBuf>,
    /// Measure what the dispatch engine asks in a cycle of the pilot scenario with so many stations.
    #[arg(long, conflicts_with = "sizes")]
    pilot: Option<usize>,
    /// Only these solvers.
    #[arg(long, value_delimiter = ',')]
    solvers: Option<Vec<Solver>>,
    /// Stop `fast` so often on its way, and see how late the answer is.
    #[arg(long, default_value_t = 0)]
    stops: usize,
    /// Solve, with `fast`, a problem a little later too: from the last plan and from nothing.
    #[arg(long)]
    warm: bool,
    /// Draw time over stations, log-log, as SVG.
    #[arg(long)]
    plot: Option<PathBuf>,
}

/// Prints each row when it is there: some take minutes.
pub(crate) fn measure(arguments: &Arguments, print: impl Fn(&Value)) -> anyhow::Result<()> {
    let sources: Vec<Source> = match (&arguments.instance, arguments.pilot) {
        (Some(path), _) => vec![Source::File(path.clone())],
        (None, Some(stations)) => vec![Source::Pilot { stations }],
        (None, None) => {
            let generated = |size: &Size| Source::Generated {
                size: *size,
                seed: arguments.seed,
            };
            arguments.sizes.iter().map(generated).collect()
        }
    };
    let limit = Duration::from_secs(arguments.limit);
    let mut late: Vec<(Solver, usize)> = Vec::new();
    let mut rows = Vec::new();
    for source in sources {
        let mut results = Vec::new();
        for &solver in arguments.solvers.as_deref().unwrap_or(Solver::ALL) {
            let too_large = |&(other, cells): &(Solver, usize)| {
                other == solver && source.cells().is_some_and(|mine| mine >= cells)
            };
            if late.iter().any(too_large) {
                continue;
            }
            let stops = if solver == Solver::Fast {
                arguments.stops
            } else {
                0
            };
            let found = child::run(&source, solver, limit, stops, arguments.warm)?;
            if found.is_none() {
                late.extend(source.cells().map(|cells| (solver, cells)));
            }
            results.push((solver, found));
        }
        let row = row(&source, limit, &results);
        print(&row);
        rows.push(row);
    }
    for row in growth::exponents(&rows) {
        print(&row);
    }
    if let Some(path) = &arguments.plot {
        plot::draw(path, &rows)?;
    }
    Ok(())
}

/// Seconds, or that there were more than the limit.
fn seconds(result: Option<&Value>, limit: Duration) -> Value {
    match result {
        Some(found) => found["seconds"].clone(),
        None => json!(format!(">{}", limit.as_secs())),
    }
}

fn row(source: &Source, limit: Duration, results: &[(Solver, Option<Value>)]) -> Value {
    let of = |solver: Solver| {
        let mine = results.iter().find(|(other, _)| *other == solver);
        mine.map(|(_, found)| found.as_ref())
    };
    let in_time = |(solver, found): &(Solver, Option<Value>)| {
        let found = found.clone()?;
        Some((*solver, found["seconds"].as_f64()?, found))
    };
    let reference = results
        .iter()
        .filter(|(solver, _)| solver.is_reference())
        .filter_map(in_time)
        .min_by(|a, b| a.1.total_cmp(&b.1));
    let asked = results.iter().any(|(solver, _)| solver.is_reference());
    let fast = of(Solver::Fast).flatten();
    let any = results.iter().find_map(|(_, found)| found.as_ref());
    let field = |found: Option<&Value>, name: &str| found.map_or(Value::Null, |v| v[name].clone());
    let fast_seconds = fast.and_then(|found| found["seconds"].as_f64());
    let ratio = match (&reference, asked, fast_seconds) {
        (Some((_, seconds, _)), _, Some(fast)) => json!(round(seconds / fast)),
        (None, true, Some(fast)) => json!(format!(">{}", round(limit.as_secs_f64() / fast))),
        _ => Value::Null,
    };
    let mut row = json!({
        "bench": "optimizer",
        "instance": source.to_string(),
        "stations": field(any, "stations"),
        "intervals": field(any, "intervals"),
        "reference_seconds": match &reference {
            Some((_, seconds, _)) => json!(seconds),
            None if asked => seconds(None, limit),
            None => Value::Null,
        },
        "reference_method": reference.as_ref().map(|(solver, ..)| solver.to_string()),
        "model_seconds": field(reference.as_ref().map(|(.., found)| found), "model_seconds"),
        "reference_cpu_seconds":
            field(reference.as_ref().map(|(.., found)| found), "cpu_seconds"),
        "fast_cpu_seconds": field(fast, "cpu_seconds"),
        "clarabel_seconds": of(Solver::Clarabel).map(|found| seconds(found, limit)),
        "fast_seconds": of(Solver::Fast).map(|found| seconds(found, limit)),
        "ratio": ratio,
        "objective_reference": field(reference.as_ref().map(|(.., found)| found), "objective"),
        "objective_clarabel": field(of(Solver::Clarabel).flatten(), "objective"),
        "objective_fast": field(fast, "objective"),
        "worst_violation_kw": field(fast, "worst_violation_kw"),
        "peak_memory_mib": field(fast, "peak_memory_mib"),
        "reference_memory_mib":
            field(reference.as_ref().map(|(.., found)| found), "peak_memory_mib"),
    });
    for name in stop::FIELDS.into_iter().chain(warm::FIELDS) {
        if let Some(value) = fast.and_then(|found| found.get(name)) {
            row[name] = value.clone();
        }
    }
    for (solver, found) in results.iter().filter(|(solver, _)| solver.is_reference()) {
        row[format!("{solver}_seconds").replace('-', "_")] = seconds(found.as_ref(), limit);
    }
    row
}

/// Four digits are more than a timing has.
fn round(value: f64) -> f64 {
    let digits = 10_f64.powf(3.0 - value.abs().max(1e-9).log10().floor());
    (value * digits).round() / digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        assert_eq!(
            "1080x24".parse(),
            Ok(Size {
                stations: 1_080,
                intervals: 24
            })
        );
        for wrong in ["1080", "x24", "0x24", "24x-1", "ax24"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn figures_have_four_digits() {
        assert!((round(1_234.56) - 1_235.0).abs() < 1e-9);
        assert!((round(0.012_345_6) - 0.012_35).abs() < 1e-12);
    }

    fn found(seconds: f64, objective: f64) -> Option<Value> {
        Some(json!({
            "stations": 10, "intervals": 2, "seconds": seconds, "model_seconds": 0.5, "objective": objective,
            "worst_violation_kw": 0.0, "peak_memory_mib": 3.0,
        }))
    }

    #[test]
    fn a_late_reference_leaves_a_lower_bound() {
        let source = Source::Pilot { stations: 10 };
        let limit = Duration::from_secs(60);
        let late = row(
            &source,
            limit,
            &[(Solver::Clarabel, None), (Solver::Fast, found(0.5, 1.0))],
        );
        assert_eq!(late["clarabel_seconds"], ">60");
        assert_eq!(late["ratio"], Value::Null);
        assert_eq!(late["fast_seconds"], 0.5);
        #[cfg(feature = "highs")]
        {
            let late = row(
                &source,
                limit,
                &[
                    (Solver::HighsSimplex, None),
                    (Solver::Fast, found(0.5, 1.0)),
                ],
            );
            assert_eq!(late["reference_seconds"], ">60");
            assert_eq!(late["ratio"], ">120");
            let both = row(
                &source,
                limit,
                &[
                    (Solver::HighsSimplex, found(7.0, 2.0)),
                    (Solver::HighsIpm, found(5.0, 1.0)),
                    (Solver::Fast, found(0.5, 1.0)),
                ],
            );
            assert_eq!(both["reference_seconds"], 5.0);
            assert_eq!(both["reference_method"], "highs-ipm");
            assert_eq!(both["objective_reference"], 1.0);
            assert_eq!(both["ratio"], 10.0);
        }
    }
}
