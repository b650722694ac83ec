//! From a stop to the answer: how late the solver is after a deadline that passes at any moment of its work.

use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::{Value, json};
use vpp_optimizer::{Problem, check, solve};

use super::round;

/// What an answer may be over a limit, kW or kWh.
const TOLERANCE: f64 = 1e-9;
/// Deadlines are spread by the golden ratio: evenly, however many there are.
const SPREAD: f64 = 0.618_033_988_749_895;

/// The fields of a row.
pub(super) const FIELDS: [&str; 5] = [
    "stops",
    "stop_median_ms",
    "stop_p99_ms",
    "stop_worst_ms",
    "first_answer_ms",
];

/// Solves once whole, then `count` times up to a deadline somewhere between the first answer, which nobody can stop, and
/// the end. The clock counts from the deadline, not from the first time that the solver asks after it.
pub(super) fn measure(problem: &Problem, count: usize) -> anyhow::Result<Value> {
    let begun = Instant::now();
    solve(problem, None, &|| false)?;
    let whole = begun.elapsed();
    let first = late(problem, Duration::ZERO)?;
    let from = Duration::from_secs_f64(first);
    let way = whole.saturating_sub(from);
    let mut late: Vec<f64> = (1..=count)
        .map(|k| late(problem, from + way.mul_f64((k as f64 * SPREAD).fract())))
        .collect::<Result<_, _>>()?;
    late.sort_by(f64::total_cmp);
    Ok(json!({
        "stops": count,
        "stop_median_ms": round(1e3 * quantile(&late, 0.5)),
        "stop_p99_ms": round(1e3 * quantile(&late, 0.99)),
        "stop_worst_ms": round(1e3 * quantile(&late, 1.0)),
        "first_answer_ms": round(1e3 * first),
    }))
}

/// Seconds from the deadline to the answer.
fn late(problem: &Problem, deadline: Duration) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let solution = solve(problem, None, &|| begun.elapsed() >= deadline)?;
    let late = begun.elapsed().saturating_sub(deadline).as_secs_f64();
    let broken = check::violations(problem, &solution, TOLERANCE);
    ensure!(broken.is_empty(), "stopped after {deadline:?}: {broken:?}");
    Ok(late)
}

/// Of sorted values, the least that so large a share does not exceed.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // an index
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instances;

    #[test]
    fn quantiles_are_values() {
        let sorted: Vec<f64> = (1..=200).map(f64::from).collect();
        for (share, value) in [(0.5, 100.0), (0.99, 198.0), (1.0, 200.0), (0.0, 1.0)] {
            assert!((quantile(&sorted, share) - value).abs() < 1e-12);
        }
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn figures_are_there() {
        let figures = measure(&instances::generate(200, 24, 2), 5).expect("answers");
        assert_eq!(figures["stops"], 5);
        assert!(FIELDS.iter().all(|name| figures.get(name).is_some()));
        let of = |name: &str| figures[name].as_f64().expect("a number");
        assert!(of("stop_median_ms") <= of("stop_p99_ms"));
        assert!(of("first_answer_ms") > 0.0);
    }
}
