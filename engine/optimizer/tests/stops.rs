//! A problem large enough for several threads, stopped at any moment.

mod common;

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{event, feeder, hours, regulation, resource};
use proptest::prelude::*;
use vpp_optimizer::check::violations;
use vpp_optimizer::{Problem, Solution, Status, rules, solve};

const HORIZON: usize = 24;
const FEEDERS: usize = 36;
const BELOW: usize = 6;

/// Feeders that bind under a substation that binds, needs, exports, ramps, an event and regulation.
fn problem() -> Problem {
    let batteries = (0..FEEDERS * BELOW).map(|i| {
        let size = 20.0 + (i * 7 % 13) as f64;
        let exports = if i % 3 == 0 { 0.5 * size } else { 0.0 };
        let mut battery = resource(HORIZON, size, exports);
        battery.node = Some(1 + i / BELOW);
        battery.charge_efficiency = 0.95;
        battery.discharge_efficiency = 0.95;
        battery.regulates = i % 4 == 0;
        battery.wear = 0.1;
        if i % 5 == 0 {
            battery.ramp_kw_per_h = 0.4 * size;
        }
        let leaves = 6 + i % 17;
        for t in 0..HORIZON {
            battery.energy_price[t] = 0.3 + 0.1 * ((t * 5 + i % 3) % 8) as f64;
            battery.feed_in_price[t] = 0.7 * battery.energy_price[t];
            battery.energy_min_kwh[t] = if t >= leaves { 2.5 * size } else { -size };
            battery.energy_max_kwh[t] = 4.0 * size;
        }
        battery
    });
    let mut problem = hours(HORIZON, batteries.collect());
    let room = 26.0 * BELOW as f64;
    problem.nodes = vec![feeder(HORIZON, 0.3 * room * FEEDERS as f64, 0.0)];
    problem.nodes.extend((0..FEEDERS).map(|_| {
        let mut below = feeder(HORIZON, 0.45 * room, 10.0);
        below.parent = Some(0);
        below
    }));
    problem.requirements = vec![
        event(&problem, 1_500.0, 400.0),
        regulation(&problem, 100.0, 100.0, 0.25),
    ];
    problem
}

/// The problem, its schedule by rules, its optimum, and how often a solver that nobody stops asks.
static WHOLE: LazyLock<(Problem, Solution, Solution, usize)> = LazyLock::new(|| {
    let problem = problem();
    let asked = AtomicUsize::new(0);
    let ask = || {
        asked.fetch_add(1, Ordering::Relaxed);
        false
    };
    let best = solve(&problem, None, &ask).expect("valid");
    let ruled = rules(&problem).expect("valid");
    (problem, ruled, best, asked.into_inner())
});

#[test]
fn it_asks_often_and_ends_at_the_optimum() {
    let (_, ruled, best, asked) = &*WHOLE;
    assert_eq!(best.status, Status::Optimal);
    assert!(best.objective < ruled.objective);
    assert!(*asked > 5_000, "{asked}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn stopped_at_any_moment_it_has_a_schedule(share in 0.0..1.1_f64) {
        let (problem, ruled, best, asks) = &*WHOLE;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let after = (share * *asks as f64) as usize;
        let asked = AtomicUsize::new(0);
        let stop = || asked.fetch_add(1, Ordering::Relaxed) >= after;
        let found = solve(problem, None, &stop)?;
        let broken = violations(problem, &found, 1e-9);
        prop_assert!(broken.is_empty(), "{broken:?}");
        prop_assert!(found.objective <= ruled.objective);
        let least = best.objective - best.repair_cost;
        prop_assert!(found.objective - found.gap <= least + 1e-6 * least.abs());
        prop_assert!(found.status == Status::Optimal || asked.into_inner() > after);
    }
}
