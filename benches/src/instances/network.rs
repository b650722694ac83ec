//! The electric forest: cities with substations and feeders, and limits that bind in peak hours.

use vpp_optimizer::{Node, Resource};

use super::draws::Draws;
use super::timing::Timing;

const SUBSTATIONS: usize = 6;
const FEEDERS: usize = 24;

pub(super) struct Grid {
    pub(super) nodes: Vec<Node>,
    /// For each city, the substation that pays for its peak.
    pub(super) shaved: Vec<usize>,
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
                    grid.shaved.push(substation_node);
                }
                for _ in 0..FEEDERS {
                    let feeder = grid.add(Some(substation_node), timing, draws.between(400.0, 1_200.0));
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
            base_kw: (0..timing.horizon()).map(|t| base_kw * timing.base_share(t)).collect(),
        });
        self.nodes.len() - 1
    }

    pub(super) fn feeder_of(&self, station: usize) -> usize {
        self.feeders[station]
    }

    /// Limits over the day's highest base load: room for a half to nine tenths of all that can be connected below, less
    /// the higher up, since not all charge at once. Children come after their parents.
    pub(super) fn set_limits(&mut self, resources: &[Resource], draws: &mut Draws) {
        let highest = |series: &[f64]| series.iter().copied().fold(0.0, f64::max);
        let mut base: Vec<f64> = self.nodes.iter().map(|node| highest(&node.base_kw)).collect();
        let mut connected = vec![0.0; base.len()];
        for (resource, &feeder) in resources.iter().zip(&self.feeders) {
            connected[feeder] += highest(&resource.charge_max_kw);
        }
        for n in (0..base.len()).rev() {
            if let Some(above) = self.nodes[n].parent {
                base[above] += base[n];
                connected[above] += connected[n];
            }
        }
        for (n, node) in self.nodes.iter_mut().enumerate() {
            let is_feeder = connected[n] > 0.0 && self.feeders.binary_search(&n).is_ok();
            let room = if is_feeder { draws.between(0.4, 0.9) } else { draws.between(0.45, 0.6) };
            let limit = base[n] + room * connected[n];
            node.import_limit_kw = vec![limit; node.base_kw.len()];
            node.export_limit_kw = vec![0.3 * limit; node.base_kw.len()];
        }
    }
}
