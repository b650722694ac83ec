//! After warm-up, an instant is decided without asking for memory.

use vpp_optimizer::regulate::{Answer, Fleet, Penalties, Problem, Regulator, Status};

/// Resources of several kinds behind feeders of 8 below 2 substations, of 3 groups.
fn fleet(count: usize) -> (Fleet, Problem) {
    let nodes = 2 + count / 8;
    let spread = |i: usize, step: usize, of: usize| (i * step % of) as f64 / of as f64;
    let fleet = Fleet {
        resource_node: (0..count).map(|i| Some(2 + i / 8)).collect(),
        resource_group: (0..count).map(|i| (i % 4 < 3).then_some(i % 4)).collect(),
        node_parent: (0..nodes).map(|n| (n >= 2).then_some(n % 2)).collect(),
        group_count: 3,
    };
    let problem = Problem {
        low_kw: (0..count)
            .map(|i| if i % 3 == 0 { -60.0 } else { 0.0 })
            .collect(),
        high_kw: vec![60.0; count],
        plan_kw: (0..count).map(|i| 60.0 * spread(i, 37, 101)).collect(),
        rise_price: (0..count).map(|i| 0.1 + 0.2 * spread(i, 53, 97)).collect(),
        fall_price: (0..count).map(|i| 0.1 + 0.2 * spread(i, 29, 89)).collect(),
        upper_kw: (0..nodes)
            .map(|n| if n < 2 { 22.5 * count as f64 } else { 250.0 })
            .collect(),
        lower_kw: vec![-400.0; nodes],
        base_kw: vec![5.0; nodes],
        ceiling_kw: vec![f64::INFINITY; 3],
        target_kw: 0.0,
        penalties: Penalties::default(),
    };
    (fleet, problem)
}

fn allocations(count: usize, ceiling_kw: f64) -> u64 {
    let (fleet, mut problem) = fleet(count);
    problem.ceiling_kw.fill(ceiling_kw);
    let (mut regulator, mut answer) = (Regulator::new(), Answer::default());
    regulator.set_fleet(&fleet).expect("a valid fleet");
    let planned: f64 = problem.plan_kw.iter().sum();
    problem.target_kw = planned;
    regulator
        .solve(&problem, &mut answer, &|| false)
        .expect("a valid problem");
    let counted = allocation_counter::measure(|| {
        for turn in 0..40 {
            problem.target_kw = planned * (0.4 + 0.03 * f64::from(turn));
            problem.upper_kw[3] = 200.0 - f64::from(turn);
            let status = regulator.solve(&problem, &mut answer, &|| false);
            assert_eq!(status, Ok(Status::Optimal));
        }
    });
    counted.count_total
}

#[test]
fn nothing_is_allocated_after_the_first_answer() {
    assert_eq!(allocations(400, f64::INFINITY), 0, "one tree");
    assert_eq!(allocations(400, 2_500.0), 0, "with commitments");
    // Large enough for a sample.
    assert_eq!(allocations(10_000, 62_500.0), 0, "many, with commitments");
}

#[test]
fn the_counter_counts() {
    let counted = allocation_counter::measure(|| drop(std::hint::black_box(vec![1_u8; 100])));
    assert_eq!(counted.count_total, 1);
}
