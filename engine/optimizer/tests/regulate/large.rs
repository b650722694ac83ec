//! Fleets so large that most of the work is left out: what is left must still prove the optimum.

use proptest::prelude::*;
use vpp_optimizer::regulate::check::{cost, violations};
use vpp_optimizer::regulate::{Answer, Fleet, Penalties, Problem, Regulator, Status};

/// Anything in 0..1 for each number, the same every time.
fn share(of: usize, salt: usize) -> f64 {
    let mixed = (of * 0x9E37_79B1 + salt * 0x85EB_CA77) & 0xFFFF_FFFF;
    let mixed = ((mixed ^ (mixed >> 15)) * 0x2C1B_3C6D) & 0xFFFF_FFFF;
    let mixed = ((mixed ^ (mixed >> 12)) * 0x297A_2D39) & 0xFFFF_FFFF;
    (mixed ^ (mixed >> 15)) as f64 / 4_294_967_296.0
}

/// Feeders of 7 below cables of 70 below substations of 700, all of which may bind; `groups` of them committed.
/// Prices have two decimals if `round`: many are equal then.
fn fleet(count: usize, groups: usize, round: bool) -> (Fleet, Problem) {
    let (feeders, cables) = (count.div_ceil(7), count.div_ceil(70));
    let nodes = feeders + cables + count.div_ceil(700);
    let above = |n: usize| match n {
        n if n < feeders => Some(feeders + n / 10),
        n if n < feeders + cables => Some(feeders + cables + (n - feeders) / 10),
        _ => None,
    };
    let fleet = Fleet {
        resource_node: (0..count).map(|i| Some(i / 7)).collect(),
        resource_group: (0..count)
            .map(|i| (i % 7 < 5).then(|| i * 31 % groups.max(1)))
            .collect(),
        node_parent: (0..nodes).map(above).collect(),
        group_count: groups.max(1),
    };
    let price = |i: usize, salt: usize| {
        let price = 0.02 + 0.38 * share(i, salt);
        if round {
            (price * 100.0).round() / 100.0
        } else {
            price
        }
    };
    let low: Vec<f64> = (0..count)
        .map(|i| if i % 3 == 0 { -30.0 } else { 0.0 })
        .collect();
    let plan: Vec<f64> = (0..count)
        .map(|i| low[i] + (60.0 - low[i]) * share(i, 1))
        .collect();
    let mut upper = vec![0.0; nodes];
    for (i, plan) in plan.iter().enumerate() {
        for n in std::iter::successors(Some(i / 7), |&n| above(n)) {
            upper[n] += plan + (0.05 + share(n, 2)) * (60.0 - plan);
        }
    }
    let mut drawn = vec![0.0; groups.max(1)];
    for (i, group) in fleet.resource_group.iter().enumerate() {
        if let Some(g) = *group {
            drawn[g] += plan[i];
        }
    }
    let ceiling = |(g, drawn): (usize, &f64)| match groups {
        0 => f64::INFINITY,
        _ => drawn * (0.93 + 0.1 * share(g, 3)),
    };
    let problem = Problem {
        rise_price: (0..count).map(|i| price(i, 4)).collect(),
        fall_price: (0..count).map(|i| price(i, 5)).collect(),
        lower_kw: upper
            .iter()
            .map(|upper| upper.min(0.0) - 0.2 * upper.abs())
            .collect(),
        base_kw: vec![0.0; nodes],
        ceiling_kw: drawn.iter().enumerate().map(ceiling).collect(),
        target_kw: plan.iter().sum(),
        penalties: Penalties::default(),
        high_kw: vec![60.0; count],
        upper_kw: upper,
        low_kw: low,
        plan_kw: plan,
    };
    (fleet, problem)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn large_fleets_are_proven(
        count in 3_000..20_000_usize,
        groups in 0..6_usize,
        round in any::<bool>(),
        targets in proptest::collection::vec(0.5..1.5_f64, 3),
    ) {
        let (fleet, mut problem) = fleet(count, groups, round);
        let planned = problem.target_kw;
        let (mut regulator, mut answer) = (Regulator::new(), Answer::default());
        regulator.set_fleet(&fleet)?;
        for target in targets {
            problem.target_kw = planned * target;
            let status = regulator.solve(&problem, &mut answer, &|| false)?;
            prop_assert_eq!(violations(&fleet, &problem, &answer, 1e-6), Vec::<String>::new());
            let paid = cost(&fleet, &problem, &answer.draw_kw);
            prop_assert!((paid - answer.objective).abs() <= 1e-9 * paid.abs().max(1.0));
            prop_assert_eq!(status, Status::Optimal, "gap {} of {}", answer.gap, answer.objective);
        }
    }
}
