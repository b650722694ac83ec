//! How long the reference takes on fleets of the size of a city:
//! `cargo run --release -p vpp-optimizer --example timing`.

use std::time::Instant;

use vpp_optimizer::{
    Node, Options, Penalties, Problem, Requirement, Resource, solve,
};

/// Numbers in [0, 1) from a seed; the same on every machine.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(self.0 >> 33).unwrap_or(0)) / f64::from(1_u32 << 31)
    }
}

fn resource(noise: &mut Noise, node: usize, horizon: usize, regulates: bool) -> Resource {
    let charge = 60.0 + 240.0 * noise.next();
    let exports = noise.next() < 0.4;
    let need = charge * 0.25 * noise.next();
    let in_time = |t: usize, of: usize| (t + 1) as f64 / of as f64;
    Resource {
        node: Some(node),
        charge_max_kw: vec![charge; horizon],
        discharge_max_kw: vec![if exports { 0.6 * charge } else { 0.0 }; horizon],
        power_min_kw: vec![f64::NEG_INFINITY; horizon],
        power_max_kw: vec![f64::INFINITY; horizon],
        energy_min_kwh: (0..horizon)
            .map(|t| need * in_time(t, horizon) - if exports { 0.3 * charge } else { 0.0 })
            .collect(),
        energy_max_kwh: (0..horizon)
            .map(|t| need + charge * 0.4 * in_time(t, 4))
            .collect(),
        charge_efficiency: 0.95,
        discharge_efficiency: 0.94,
        initial_power_kw: 0.3 * charge,
        ramp_kw_per_h: f64::INFINITY,
        throughput_max_kwh: f64::INFINITY,
        energy_price: (0..horizon)
            .map(|t| 0.5 + 0.3 * ((t as f64) / 3.0).sin())
            .collect(),
        feed_in_price: vec![0.45; horizon],
        wear: 0.2,
        terminal_value: 0.55 + 0.1 * noise.next(),
        regulates,
    }
}

/// Feeders of ten stations under five substations; one event over all, a part of it for each of five aggregators, and
/// regulation from forty resources.
fn instance(count: usize, horizon: usize, seed: u64) -> Problem {
    let mut noise = Noise(seed);
    let feeders = count.div_ceil(10);
    let node = |parent, import: f64, base: f64| Node {
        parent,
        import_limit_kw: vec![import; horizon],
        export_limit_kw: vec![0.5 * import; horizon],
        base_kw: (0..horizon)
            .map(|t| base * (1.0 + 0.1 * t as f64))
            .collect(),
    };
    let mut nodes: Vec<Node> = (0..5)
        .map(|_| node(None, 36.0 * count as f64, 1.2 * count as f64))
        .collect();
    for feeder in 0..feeders {
        nodes.push(node(Some(feeder % 5), 1300.0, 200.0 + 300.0 * noise.next()));
    }
    let resources: Vec<Resource> = (0..count)
        .map(|i| {
            resource(
                &mut noise,
                5 + i / 10,
                horizon,
                i % (count / 40).max(1) == 0,
            )
        })
        .collect();
    let mut requirements = vec![Requirement::Regulation {
        name: "regulation".into(),
        members: (0..count)
            .filter(|&i| resources[i].regulates)
            .take(40)
            .collect(),
        up_kw: vec![2_500.0; horizon],
        down_kw: vec![2_500.0; horizon],
        sustain_h: 0.5,
    }];
    for aggregator in 0..6 {
        let members: Vec<usize> = (0..count)
            .filter(|i| aggregator == 5 || i % 5 == aggregator)
            .collect();
        let each = members.len() as f64;
        requirements.push(Requirement::DemandResponse {
            name: format!("event {aggregator}"),
            members,
            baseline_kw: vec![60.0 * each; horizon],
            commitment_kw: vec![if aggregator == 5 { 32.0 } else { 30.0 } * each; horizon],
        });
    }
    Problem {
        intervals_h: vec![0.25; horizon],
        resources,
        nodes,
        requirements,
        penalties: Penalties::default(),
    }
}

fn main() {
    let argument = |n: usize| std::env::args().nth(n).and_then(|a| a.parse::<usize>().ok());
    let (count, horizon) = (argument(1).unwrap_or(1080), argument(2).unwrap_or(24));
    let problem = instance(count, horizon, 1);
    let start = Instant::now();
    let (cost, bound, end, iterations) = vpp_optimizer::fast::trial(&problem);
    println!("fast {:.3} s {end} {iterations} cost {cost:.6} bound {bound:.6}", start.elapsed().as_secs_f64());
    if argument(3).is_some() {
    let start = Instant::now();
    let s = solve(&problem, &Options::default()).unwrap();
    println!("reference {:.3} s objective {}", start.elapsed().as_secs_f64(), s.objective - s.repair_cost);
    }
}
