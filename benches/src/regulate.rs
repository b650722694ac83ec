//! Following a signal: the fast solver of one instant beside a general one, on fleets of three sizes, with and without
//! commitments across the tree.

mod fleet;

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vpp_optimizer::Backend;
#[cfg(feature = "highs")]
use vpp_optimizer::HighsMethod;
use vpp_optimizer::regulate::check::{cost, violations, worst_overload_kw};
use vpp_optimizer::regulate::{Answer, Fleet, Problem, Program, Reference, Regulator, Status};

use fleet::Instance;

/// Signals followed before the clock counts.
const WARM_UP: usize = 3;

/// What to measure.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Signals to follow at each size.
    #[arg(long, default_value_t = 200)]
    signals: usize,
    /// Seed of the fleets and signals.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Stations of each fleet.
    #[arg(long, value_delimiter = ',', default_values_t = [1_080, 10_000, 100_000])]
    sizes: Vec<usize>,
    /// Aggregators with commitments, half of them called; 0 for none.
    #[arg(long, value_delimiter = ',', default_values_t = [0, 8])]
    groups: Vec<usize>,
    /// When the general solver gives up, seconds; 0 leaves it out.
    #[arg(long, default_value_t = 120)]
    limit: u64,
}

/// The general solvers to compare with: HiGHS where it is built in.
#[cfg(feature = "highs")]
const PEERS: &[(&str, Backend)] = &[
    ("highs-simplex", Backend::Highs(HighsMethod::Simplex)),
    ("highs-ipm", Backend::Highs(HighsMethod::InteriorPoint)),
];
#[cfg(not(feature = "highs"))]
const PEERS: &[(&str, Backend)] = &[("clarabel", Backend::Clarabel)];

/// Prints each row when it is there.
pub(crate) fn measure(asked: &Arguments, print: impl Fn(&Value)) -> anyhow::Result<()> {
    for &groups in &asked.groups {
        let mut times = Vec::new();
        for &stations in &asked.sizes {
            let (row, seconds) = case(asked, stations, groups)?;
            print(&row);
            times.push(seconds);
        }
        print(&json!({
            "bench": "regulate",
            "groups": groups,
            "growth_exponent": round(growth(&asked.sizes, &times), 3),
        }));
    }
    Ok(())
}

/// The slope of a straight line through the times, both axes logarithmic.
fn growth(sizes: &[usize], times: &[f64]) -> f64 {
    let points: Vec<(f64, f64)> = sizes
        .iter()
        .zip(times)
        .map(|(&n, &t)| ((n as f64).ln(), t.ln()))
        .collect();
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let along: f64 = points.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    along / points.iter().map(|p| (p.0 - x) * (p.0 - x)).sum::<f64>()
}

fn case(asked: &Arguments, stations: usize, groups: usize) -> anyhow::Result<(Value, f64)> {
    let mut instance = Instance::generate(stations, groups, asked.seed);
    let (mut regulator, mut answer) = (Regulator::new(), Answer::default());
    regulator.set_fleet(&instance.fleet)?;
    let (mut times, mut proven) = (Vec::new(), 0);
    let (mut worst_gap, mut worst_kw) = (0.0_f64, 0.0_f64);
    for turn in 0..WARM_UP + asked.signals {
        instance.signal();
        let started = Instant::now();
        let status = regulator.solve(&instance.problem, &mut answer, &|| false)?;
        let took = started.elapsed().as_secs_f64();
        if turn < WARM_UP {
            continue;
        }
        times.push(took);
        proven += usize::from(status == Status::Optimal);
        worst_gap = worst_gap.max(answer.gap / answer.objective.abs().max(1.0));
        worst_kw = worst_kw.max(worst_kw_of(&instance.fleet, &instance.problem, &answer)?);
    }
    times.sort_by(f64::total_cmp);
    let median = times[times.len() / 2];
    // The last signal again: what the general solver makes of it, and how soon a stop is obeyed.
    let mut scratch = answer.clone();
    let stopped = time_to_stop(&mut regulator, &instance.problem, &mut scratch)?;
    let other = general(asked, &instance);
    let row = json!({
        "bench": "regulate",
        "stations": stations,
        "nodes": instance.fleet.node_parent.len(),
        "groups": groups,
        "signals": asked.signals,
        "seed": asked.seed,
        "fast_seconds": round(median, 7),
        "fast_best_seconds": round(times[0], 7),
        "fast_p99_seconds": round(times[times.len() * 99 / 100], 7),
        "proven_optimal": proven,
        "worst_relative_gap": worst_gap,
        "worst_violation_kw": worst_kw,
        "worst_seconds_after_stop": round(stopped, 7),
        "binding_nodes": answer.node_price.iter().filter(|price| price.abs() > 1e-9).count(),
        "binding_groups": answer.group_price.iter().filter(|price| **price > 1e-9).count(),
        "objective_fast": answer.objective,
        "objective_reference": other.as_ref().map(|peer| peer.found.objective),
        // Its own word leaves out what breaking limits by its tolerance costs.
        "cost_of_reference_draws": other.as_ref().map(|peer| {
            cost(&instance.fleet, &instance.problem, &peer.found.draw_kw)
        }),
        "reference": other.as_ref().map(|peer| peer.name),
        "reference_seconds": other.as_ref().map(|peer| round(peer.seconds, 4)),
        "ratio": other.as_ref().map(|peer| (peer.seconds / median).round()),
    });
    Ok((row, median))
}

/// The largest distance beyond any limit; an answer that is wrong in any other way is an error.
fn worst_kw_of(fleet: &Fleet, problem: &Problem, answer: &Answer) -> anyhow::Result<f64> {
    let found = violations(fleet, problem, answer, 1e-6);
    anyhow::ensure!(found.is_empty(), "{found:?}");
    Ok(worst_overload_kw(fleet, problem, &answer.draw_kw))
}

/// The longest time from a stop, said after some number of questions, to the answer.
fn time_to_stop(
    regulator: &mut Regulator,
    problem: &Problem,
    answer: &mut Answer,
) -> anyhow::Result<f64> {
    let mut worst = 0.0_f64;
    for questions in [0, 1, 2, 5, 10, 20] {
        let (asked, said) = (std::cell::Cell::new(0), std::cell::Cell::new(None));
        let stop = || {
            asked.set(asked.get() + 1);
            let now = asked.get() > questions;
            if now && said.get().is_none() {
                said.set(Some(Instant::now()));
            }
            now
        };
        regulator.solve(problem, answer, &stop)?;
        if let Some(said) = said.get() {
            worst = worst.max(said.elapsed().as_secs_f64());
        }
    }
    Ok(worst)
}

/// What the fastest of the general solvers finds, and how long it takes by itself, without building the model.
fn general(asked: &Arguments, instance: &Instance) -> Option<Peer> {
    let time_limit = (asked.limit > 0).then(|| Duration::from_secs(asked.limit))?;
    let run = |&(name, backend): &(&'static str, Backend)| -> anyhow::Result<Peer> {
        let program = Program::new(&instance.fleet, &instance.problem, backend)?;
        let started = Instant::now();
        let found = program.run(Some(time_limit))?;
        let seconds = found.took.unwrap_or(started.elapsed()).as_secs_f64();
        Ok(Peer {
            name,
            found,
            seconds,
        })
    };
    PEERS
        .iter()
        .filter_map(|peer| {
            run(peer)
                .inspect_err(|error| eprintln!("{}: {error:#}", peer.0))
                .ok()
        })
        .min_by(|one, other| one.seconds.total_cmp(&other.seconds))
}

/// A general solver's answer.
struct Peer {
    name: &'static str,
    found: Reference,
    seconds: f64,
}

fn round(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}
