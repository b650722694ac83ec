//! What the last plan is worth: the next problem solved from it, and from nothing.

use std::time::Instant;

use anyhow::ensure;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};
use vpp_optimizer::{Problem, ResourceSchedule, Status, solve};

use super::round;

/// By how much base loads and needs are less than the last plan knew, at most. More would not fit: feeders are full.
const CHANGE: f64 = 0.02;
const REPEATS: usize = 3;

/// The fields of a row.
pub(super) const FIELDS: [&str; 4] = [
    "warm_seconds",
    "cold_seconds",
    "warm_tenth_dearer",
    "cold_tenth_dearer",
];

/// Medians, each try from the last plan beside one from nothing; and by how much what is there after a tenth of the time from
/// nothing costs more than the optimum, as a share of it.
pub(super) fn measure(problem: &Problem) -> anyhow::Result<Value> {
    let plan = solve(problem, None, &|| false)?.schedule;
    let next = changed(problem);
    let mut times = [Vec::new(), Vec::new()];
    let mut costs = [0.0; 2];
    for _ in 0..REPEATS {
        for (k, warm_start) in [Some(plan.as_slice()), None].into_iter().enumerate() {
            let begun = Instant::now();
            let solution = solve(&next, warm_start, &|| false)?;
            times[k].push(begun.elapsed().as_secs_f64());
            costs[k] = solution.objective - solution.repair_cost;
            ensure!(solution.status == Status::Optimal, "{:?}", solution.status);
        }
    }
    let apart = (costs[0] - costs[1]).abs();
    ensure!(apart <= 1e-6 * (1.0 + costs[1].abs()), "{costs:?}");
    let [warm, cold] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times[times.len() / 2]
    });
    let after_a_tenth = |warm_start: Option<&[ResourceSchedule]>| -> anyhow::Result<f64> {
        let begun = Instant::now();
        let late = || begun.elapsed().as_secs_f64() >= 0.1 * cold;
        let objective = solve(&next, warm_start, &late)?.objective;
        Ok(round((objective - costs[1]) / costs[1].abs()))
    };
    Ok(json!({
        "warm_seconds": round(warm),
        "cold_seconds": round(cold),
        "warm_tenth_dearer": after_a_tenth(Some(&plan))?,
        "cold_tenth_dearer": after_a_tenth(None)?,
    }))
}

/// A while later: a little less base load, and vehicles that need a little less.
fn changed(problem: &Problem) -> Problem {
    let mut draws = ChaCha8Rng::seed_from_u64(1);
    let mut share = || f64::from(draws.next_u32()) / f64::from(u32::MAX);
    let mut next = problem.clone();
    for node in &mut next.nodes {
        for base in &mut node.base_kw {
            *base *= 1.0 - CHANGE * share();
        }
    }
    for resource in &mut next.resources {
        let less = 1.0 - CHANGE * share();
        for least in &mut resource.energy_min_kwh {
            *least = if *least > 0.0 { *least * less } else { *least };
        }
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instances;

    #[test]
    fn the_next_problem_is_another_and_has_the_same_optimum_from_anywhere() {
        let problem = instances::generate(60, 24, 2);
        assert_ne!(changed(&problem), problem);
        let figures = measure(&problem).expect("the same optimum");
        assert!(FIELDS.iter().all(|name| figures[name].is_f64()));
    }
}
