//! The electric forest: cities with substations and feeders, and limits that bind in peak hours.

use vpp_optimizer::{Node, Resource};

use super::draws::Draws;
use super::timing::Timing;

const SUBSTATIONS: usize = 6;
const FEEDERS: usize = 24;
/// Room for charging as a share of what can be connected: smallest and largest.
const FEEDER_ROOM: (f64, f64) = (0.25, 0.55);
const UPPER_ROOM: (f64, f64) = (0.34, 0.4);
/// Room at least, over the mean power that departures need.
const SPARE: f64 = 1.2;
/// Part of the room for charging that a promised ceiling leaves.
const CEILING: f64 = 0.7;

pub(super) struct Grid {
    pub(super) nodes: Vec<Node>,
    /// For each city, the substation that pays for its peak, and the ceiling that it has promised.
    pub(super) shaved: Vec<(usize, f64)>,
    feeders: Vec<usize>,
}

impl Grid {
    /// Nodes with base loads, and a feeder for each station; limits come later.
    pub(super) fn new(stations: usize, timing: &Timing, draws: &mut Draws) -> Self {
        let mut grid = Self {
            nodes: Vec::new(),
            shaved: Vec::new(),
            feeders: Vec::with_capacity(stations),
        };
        while grid.feeders.len() < stations {
            let city = grid.add(None, timing, draws.between(2_000.0, 5_000.0));
            for substation in 0..SUBSTATIONS {
                if grid.feeders.len() == stations {
                    break;
                }
                let substation_node = grid.add(Some(city), timing, draws.between(500.0, 1_500.0));
                if substation == 0 {
                    grid.shaved.push((substation_node, f64::INFINITY));
                }
                for _ in 0..FEEDERS {
                    let feeder =
                        grid.add(Some(substation_node), timing, draws.between(400.0, 1_200.0));
                    let below = draws.count(5, 10).min(stations - grid.feeders.len());
                    grid.feeders.extend(std::iter::repeat_n(feeder, below));
                }
            }
        }
        grid
    }

    fn add(&mut self, parent: Option<usize>, timing: &Timing, base_kw: f64) -> usize {
        self.nodes.push(Node {
            parent,
            import_limit_kw: Vec::new(),
            export_limit_kw: Vec::new(),
            base_kw: (0..timing.horizon())
                .map(|t| base_kw * timing.base_share(t))
                .collect(),
        });
        self.nodes.len() - 1
    }

    pub(super) fn feeder_of(&self, station: usize) -> usize {
        self.feeders[station]
    }

    /// Limits: the day's highest base load, and room for a part of all that can be connected below, since not all charge
    /// at once; but enough for the vehicles to leave with what they need, if only just.
    pub(super) fn set_limits(
        &mut self,
        resources: &[Resource],
        timing: &Timing,
        draws: &mut Draws,
    ) {
        let highest = |series: &[f64]| series.iter().copied().fold(0.0, f64::max);
        let mut base: Vec<f64> = self
            .nodes
            .iter()
            .map(|node| highest(&node.base_kw))
            .collect();
        let mut connected = vec![0.0; base.len()];
        let mut needed = vec![vec![0.0; timing.horizon()]; base.len()];
        for (resource, &feeder) in resources.iter().zip(&self.feeders) {
            connected[feeder] += highest(&resource.charge_max_kw);
            for (t, kw) in needed[feeder].iter_mut().enumerate() {
                let so_far_h = timing.edges_h[t + 1] - timing.start_h();
                let kwh = resource.energy_min_kwh[t].max(0.0);
                *kw += kwh / (resource.charge_efficiency * so_far_h);
            }
        }
        // Children come after their parents.
        for n in (0..base.len()).rev() {
            if let Some(above) = self.nodes[n].parent {
                base[above] += base[n];
                connected[above] += connected[n];
                let (upper, lower) = needed.split_at_mut(n);
                upper[above]
                    .iter_mut()
                    .zip(&lower[0])
                    .for_each(|(sum, kw)| *sum += kw);
            }
        }
        for (n, node) in self.nodes.iter_mut().enumerate() {
            let is_feeder = self.feeders.binary_search(&n).is_ok();
            let (low, high) = if is_feeder { FEEDER_ROOM } else { UPPER_ROOM };
            let room = draws.between(low, high) * connected[n];
            let limit = base[n] + room.max(SPARE * highest(&needed[n]));
            for (_, ceiling) in self.shaved.iter_mut().filter(|(shaved, _)| *shaved == n) {
                *ceiling = base[n] + CEILING * (limit - base[n]);
            }
            node.import_limit_kw = vec![limit; node.base_kw.len()];
            node.export_limit_kw = vec![0.3 * limit; node.base_kw.len()];
        }
    }
}
