//! Following a signal: the fast solver of one instant beside a general one, on fleets of three sizes, with and without
//! commitments across the tree.

mod fleet;
mod peers;

use std::time::Instant;

use serde_json::{Value, json};
use vpp_optimizer::regulate::check::{cost, violations, worst_overload_kw};
use vpp_optimizer::regulate::{Answer, Fleet, Problem, Regulator, Status};

use fleet::Instance;
use peers::Found;

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
    /// When a general solver gives up, seconds; 0 leaves it out.
    #[arg(long, default_value_t = 120)]
    limit: u64,
    /// Signals that the general solvers solve as well, from the first one on. Signals differ: few of them flatter.
    #[arg(long, default_value_t = 21)]
    peer_signals: usize,
}

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
    let pairs_wanted = asked.peer_signals;
    let (mut times, mut paired, mut proven) = (Vec::new(), Vec::new(), 0);
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
        if times.len() <= pairs_wanted {
            paired.push((instance.problem.clone(), took, answer.objective));
        }
    }
    let mut scratch = answer.clone();
    let stopped = time_to_stop(&mut regulator, &instance.problem, &mut scratch)?;
    // Only now: what they leave in the caches is no part of following signals.
    let mut pairs = Vec::new();
    for (problem, took, objective) in &paired {
        if let Some(found) = peers::fastest(asked.limit, &instance.fleet, problem) {
            pairs.push(Pair::new(
                &instance.fleet,
                problem,
                *took,
                *objective,
                &found,
            ));
        }
    }
    let [fast, p99] = [50, 99].map(|percent| percentile(times.iter().copied(), percent));
    let of = |percent: usize, value: fn(&Pair) -> f64| {
        (!pairs.is_empty()).then(|| percentile(pairs.iter().map(value), percent))
    };
    let ratio = |percent| of(percent, |pair| pair.seconds / pair.fast_seconds).map(f64::round);
    let row = json!({
        "bench": "regulate",
        "stations": stations,
        "nodes": instance.fleet.node_parent.len(),
        "groups": groups,
        "signals": asked.signals,
        "seed": asked.seed,
        "fast_seconds": round(fast, 7),
        "fast_p99_seconds": round(p99, 7),
        "reference": pairs.first().map(|pair| pair.name),
        "reference_seconds": of(50, |pair| pair.seconds).map(|seconds| round(seconds, 4)),
        "ratio": ratio(50),
        "ratio_min": ratio(0),
        "ratio_max": ratio(100),
        "peer_signals": pairs.len(),
        "worst_dearer_than_reference": of(100, |pair| pair.dearer),
        "proven_optimal": proven,
        "worst_relative_gap": worst_gap,
        "worst_violation_kw": worst_kw,
        "worst_seconds_after_stop": round(stopped, 7),
    });
    Ok((row, fast))
}

/// The value that so many percent of all do not exceed.
fn percentile(values: impl Iterator<Item = f64>, percent: usize) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[(values.len() * percent / 100).min(values.len() - 1)]
}

/// One signal, solved by both.
struct Pair {
    name: &'static str,
    seconds: f64,
    fast_seconds: f64,
    /// How much dearer the fast answer is than the peer's draws, relative. The peer's own word would leave out what it
    /// costs to break limits by its tolerance.
    dearer: f64,
}

impl Pair {
    fn new(
        fleet: &Fleet,
        problem: &Problem,
        fast_seconds: f64,
        objective: f64,
        found: &Found,
    ) -> Self {
        let paid = cost(fleet, problem, &found.draw_kw);
        Self {
            name: found.name,
            seconds: found.seconds,
            fast_seconds,
            dearer: (objective - paid) / paid.abs().max(1.0),
        }
    }
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
    for questions in [0, 1, 2, 5, 10, 20, 50, 100, 200] {
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

fn round(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}
