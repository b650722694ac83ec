//! Fleets to regulate, by a seed: substations of some 1,000 stations, feeders of 5 to 10, some of them binding;
//! aggregators that own stations everywhere.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use vpp_optimizer::regulate::{Fleet, Penalties, Problem};

/// Stations under one substation.
const SUBSTATION: usize = 1_000;

/// A fleet, one instant of it, and the range of its signals.
pub(super) struct Instance {
    pub(super) fleet: Fleet,
    pub(super) problem: Problem,
    pub(super) planned_kw: f64,
    pub(super) capacity_kw: f64,
    draws: Draws,
}

struct Draws(ChaCha8Rng);

impl Draws {
    fn between(&mut self, low: f64, high: f64) -> f64 {
        let share = f64::from(self.0.next_u32()) / (f64::from(u32::MAX) + 1.0);
        low + share * (high - low)
    }

    fn index(&mut self, count: usize) -> usize {
        usize::try_from(self.0.next_u64() % count as u64).unwrap_or_default()
    }
}

impl Instance {
    /// `stations` of them; `groups` aggregators with commitments, or none.
    pub(super) fn generate(stations: usize, groups: usize, seed: u64) -> Self {
        let mut draws = Draws(ChaCha8Rng::seed_from_u64(seed));
        let substations = stations.div_ceil(SUBSTATION);
        let mut fleet = Fleet {
            node_parent: vec![None; substations],
            group_count: groups,
            ..Fleet::default()
        };
        let mut problem = Problem {
            penalties: Penalties::default(),
            ..Problem::default()
        };
        while fleet.resource_node.len() < stations {
            let feeder = fleet.node_parent.len();
            fleet
                .node_parent
                .push(Some(fleet.resource_node.len() / SUBSTATION));
            let size = 5 + draws.index(6);
            for _ in 0..size.min(stations - fleet.resource_node.len()) {
                fleet.resource_node.push(Some(feeder));
                let group = (groups > 0).then(|| draws.index(groups.max(1)));
                fleet.resource_group.push(group);
                station(&mut problem, &mut draws);
            }
        }
        limits(&fleet, &mut problem, &mut draws);
        for group in 0..groups {
            let inside = fleet.resource_group.iter().zip(&problem.plan_kw);
            let planned: f64 = inside
                .filter(|(g, _)| **g == Some(group))
                .map(|(_, plan)| plan)
                .sum();
            // Half of them have been called to stay near their plan, or somewhat below.
            let share = draws.between(0.92, 1.04);
            let called = group % 2 == 0;
            problem.ceiling_kw.push(if called {
                planned * share
            } else {
                f64::INFINITY
            });
        }
        let capacity = problem
            .high_kw
            .iter()
            .zip(&problem.plan_kw)
            .map(|(high, plan)| high - plan);
        Self {
            planned_kw: problem.plan_kw.iter().sum(),
            capacity_kw: 0.5 * capacity.sum::<f64>(),
            fleet,
            problem,
            draws,
        }
    }

    /// A new signal: anywhere from all the capacity up to all of it down.
    pub(super) fn signal(&mut self) {
        self.problem.target_kw = self.planned_kw + self.capacity_kw * self.draws.between(-1.0, 1.0);
    }
}

fn station(problem: &mut Problem, draws: &mut Draws) {
    let power = [60.0, 120.0, 240.0, 480.0][draws.index(4)];
    let low = if draws.index(10) < 3 {
        -0.5 * power
    } else {
        0.0
    };
    problem.low_kw.push(low);
    problem.high_kw.push(power);
    problem.plan_kw.push(draws.between(low, power));
    problem.rise_price.push(draws.between(0.02, 0.40));
    problem.fall_price.push(draws.between(0.02, 0.40));
}

/// Feeders leave between a little and more than enough room; substations four fifths of what their feeders carry.
fn limits(fleet: &Fleet, problem: &mut Problem, draws: &mut Draws) {
    let nodes = fleet.node_parent.len();
    let (mut planned, mut most) = (vec![0.0; nodes], vec![0.0; nodes]);
    for (i, node) in fleet.resource_node.iter().enumerate() {
        let Some(feeder) = *node else { continue };
        for above in std::iter::successors(Some(feeder), |&n| fleet.node_parent[n]) {
            planned[above] += problem.plan_kw[i];
            most[above] += problem.high_kw[i];
        }
    }
    for n in 0..nodes {
        let feeder = fleet.node_parent[n].is_some();
        let share = if feeder {
            draws.between(0.05, 1.4)
        } else {
            0.45
        };
        let base = if feeder {
            draws.between(5.0, 50.0)
        } else {
            0.0
        };
        problem.base_kw.push(base);
        problem
            .upper_kw
            .push(base + planned[n] + share * (most[n] - planned[n]));
        problem.lower_kw.push(-most[n]);
    }
    for n in 0..nodes {
        if let Some(above) = fleet.node_parent[n] {
            problem.upper_kw[above] += problem.base_kw[n];
        }
    }
}
