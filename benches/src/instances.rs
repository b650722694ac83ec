//! Plan problems of any size from a seed, of the same family as the scenarios.
//!
//! A city is a root with six substations, each with feeders of five to ten stations; a country is many cities. Each
//! station has piles of its own, with vehicles that come, need energy and leave: their earliest and latest curves add
//! up to the station's envelope, as in the dispatch engine. Feeders bind in peak hours, beside a base load with the
//! shape of a summer day. Over all cities lie two demand-response events (a row for all and one for each of five
//! aggregators, who own stations everywhere) and one regulation product. One substation in each city pays for its
//! peak.

mod draws;
mod network;
mod programmes;
mod stations;
mod timing;

use vpp_optimizer::{Penalties, Problem};

use draws::Draws;
use timing::Timing;

/// The aggregators, who own stations all over the tree.
const AGGREGATORS: usize = 5;

/// A problem with this many stations and intervals; the same seed gives the same problem on every machine.
///
/// From 48 intervals on it is a day ahead from midnight, in equal intervals; below, a rolling horizon from noon: a
/// quarter of the intervals of 5 minutes, then 15, 30, and the rest of 60.
pub(crate) fn generate(stations: usize, intervals: usize, seed: u64) -> Problem {
    let timing = Timing::new(intervals);
    let mut draws = Draws::new(seed);
    let mut grid = network::Grid::new(stations, &timing, &mut draws);
    let share = (stations / 25).max(40);
    let resources: Vec<_> = (0..stations)
        .map(|i| {
            // Spread evenly, so that every city holds its part.
            let regulates = i * share / stations != (i + 1) * share / stations;
            stations::draw(grid.feeder_of(i), regulates, &timing, &mut draws)
        })
        .collect();
    grid.set_limits(&resources, &timing, &mut draws);
    let requirements = programmes::draw(&resources, &grid, &timing);
    Problem {
        intervals_h: timing.lengths_h.clone(),
        resources,
        nodes: grid.nodes,
        requirements,
        penalties: Penalties::default(),
    }
}

#[cfg(test)]
mod tests {
    use vpp_optimizer::{Requirement, Shortfall, Status, solve, validate};

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_problem() {
        assert_eq!(generate(60, 24, 7), generate(60, 24, 7));
        assert_ne!(generate(60, 24, 7), generate(60, 24, 8));
    }

    #[test]
    fn every_size_is_valid() {
        for (stations, intervals) in [(1, 1), (7, 24), (300, 96), (1_080, 24), (3_000, 5)] {
            let problem = generate(stations, intervals, 1);
            assert_eq!(validate(&problem), Ok(()));
            assert_eq!(problem.resources.len(), stations);
            assert_eq!(problem.horizon(), intervals);
        }
    }

    /// Cities of this size have limits for hundreds of kW beside stations of a few: 10 in 25 used to stall, always near the optimum.
    #[test]
    fn the_search_comes_to_its_end_whatever_the_seed() {
        let stall = |intervals: usize, seeds: std::ops::RangeInclusive<u64>| {
            seeds.filter(move |&seed| {
                let found = solve(&generate(60, intervals, seed), None, &|| false);
                found.expect("valid").status != Status::Optimal
            })
        };
        let stalled: Vec<u64> = stall(24, 1..=25).chain(stall(96, 1..=5)).collect();
        assert_eq!(stalled, [0_u64; 0], "seeds that stall");
    }

    /// What makes the problem more than a sum of stations: prices at feeders, events and regulation.
    #[test]
    fn feeders_events_and_regulation_bind_and_can_be_kept() {
        let problem = generate(160, 24, 3);
        let solution = solve(&problem, None, &|| false).expect("solvable");
        let prices = solution.prices.expect("an interior point gives them");
        let feeders = problem.nodes.iter().zip(&prices.nodes);
        let bind = feeders
            .filter(|(node, _)| {
                node.parent
                    .is_some_and(|above| problem.nodes[above].parent.is_some())
            })
            .filter(|(_, prices)| prices.import.iter().any(|price| *price > 1e-3))
            .count();
        assert!(bind >= 3, "{bind} feeders bind");
        let dearest = |name: &str| -> f64 {
            let named = problem.requirements.iter().zip(&prices.requirements);
            let named = named.filter(|(requirement, _)| requirement.name().starts_with(name));
            let prices = named.flat_map(|(_, prices)| prices.price.iter().chain(&prices.down));
            prices.copied().fold(0.0, f64::max)
        };
        for name in ["afternoon", "evening", "regulation"] {
            assert!(dearest(name) > 1e-3, "{name} costs nothing");
        }
        let short: f64 = solution
            .shortfalls
            .iter()
            .map(|s| s.total_kwh(&problem.intervals_h))
            .sum();
        let asked: f64 = solution
            .shortfalls
            .iter()
            .zip(&problem.requirements)
            .map(|(_, r)| match r {
                Requirement::DemandResponse { commitment_kw, .. } => commitment_kw.iter().sum(),
                _ => 0.0,
            })
            .sum();
        assert!(short < 0.05 * asked, "{short} of {asked} falls short");
        assert!(matches!(
            solution.shortfalls[0],
            Shortfall::DemandResponse { .. }
        ));
    }
}
