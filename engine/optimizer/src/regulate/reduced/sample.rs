//! A sample of a market, with goals that make it behave like all.

use super::Reduced;
use crate::regulate::market::{Market, Stopped};

/// Nodes with fewer positions of their own are sampled as a whole.
const SMALL: usize = 64;

impl Reduced {
    /// Keeps one of `every` small nodes, and of the positions elsewhere; limits and goals are scaled by what all below
    /// them can move.
    pub(in crate::regulate) fn sample(&mut self, full: &Market, ceiling: &[f64], every: usize) {
        self.clear(full);
        for segment in &full.forest.segments {
            self.steps[segment.owner] += segment.end - segment.start;
        }
        let (mut turn, mut last) = (0, usize::MAX);
        for segment in &full.forest.segments {
            let small = self.steps[segment.owner] < SMALL;
            let before = self.keep.len();
            for _ in segment.start..segment.end {
                turn += usize::from(!small || segment.owner != last);
                last = segment.owner;
                self.keep.push(turn % every == 0);
            }
            let any = self.keep[before..].contains(&true);
            self.kept.push(any);
        }
        for (k, steps) in self.steps.iter_mut().enumerate() {
            *steps = usize::from(k == full.forest.root());
        }
        for (segment, &kept) in full.forest.segments.iter().zip(&self.kept) {
            self.steps[segment.owner] += usize::from(kept);
        }
        for k in 0..full.forest.root() {
            if self.steps[k] > 0 {
                self.steps[full.forest.nodes[k].parent] += 1;
            }
        }
        self.take_nodes(full);
        self.ceiling.clear();
        self.ceiling.resize(ceiling.len(), 0.0);
        self.take_positions(full, |_, _| 0.0);
        self.finish(full);
        self.scale(full, ceiling);
    }

    /// Takes over the prices of groups and of the total; the target becomes what is drawn here at these.
    pub(in crate::regulate) fn aim_at(
        &mut self,
        full: &Market,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Stopped> {
        let small = &mut self.market;
        let root = small.forest.root();
        small.group_price.copy_from_slice(&full.group_price);
        small.price[root] = full.price[full.forest.root()];
        small.units = full.units;
        small.pay();
        small.target = small.flow(root, small.price[root], stop)?.kw;
        Ok(())
    }

    /// Moves ceilings so that groups draw as much too much here as in the large market, for their share of its room.
    pub(in crate::regulate) fn shift_ceilings(&mut self, here: &[f64], there: &[f64]) {
        let [small, large] = &self.planned;
        let groups = small.groups.iter().zip(&large.groups);
        for ((ceiling, (here, there)), (small, large)) in self
            .ceiling
            .iter_mut()
            .zip(here.iter().zip(there))
            .zip(groups)
        {
            if ceiling.is_finite() {
                *ceiling += here - share(small.room, large.room) * there;
            }
        }
    }

    /// Limits and goals are as far from what is planned as in the large market, for the share of room that is here.
    fn scale(&mut self, full: &Market, ceiling: &[f64]) {
        let small = &mut self.market;
        let root = small.forest.root();
        for node in &mut small.forest.nodes {
            (node.least, node.most) = (node.low, node.low);
        }
        for segment in &small.forest.segments {
            let range = 2 * segment.start..2 * segment.end;
            let room: f64 = small.steps.kw[range].iter().sum();
            small.forest.nodes[segment.owner].most += room;
        }
        let [here, there] = &mut self.planned;
        here.add_up(small);
        there.add_up(full);
        for k in 0..=root {
            let mut node = small.forest.nodes[k];
            let (here, there) = (here.nodes[k], there.nodes[self.nodes[k]]);
            let scale = share(here.room, there.room);
            let scaled = |kw: f64| here.kw + scale * (kw - there.kw);
            (node.lower, node.upper) = (scaled(node.lower), scaled(node.upper));
            if k == root {
                small.target = scaled(full.target);
            } else {
                let (least, most) = node.range();
                let above = &mut small.forest.nodes[node.parent];
                above.least += least;
                above.most += most;
            }
            small.forest.nodes[k] = node;
        }
        let groups = here.groups.iter().zip(&there.groups);
        for ((scaled, ceiling), (here, there)) in self.ceiling.iter_mut().zip(ceiling).zip(groups) {
            *scaled = here.kw + share(here.room, there.room) * (ceiling - there.kw);
        }
    }
}

/// What is drawn by plan, and how much less or more that could be.
#[derive(Debug, Clone, Copy, Default)]
struct Plan {
    kw: f64,
    room: f64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Planned {
    /// Below each watched node.
    nodes: Vec<Plan>,
    /// Of each group, and of those in none.
    groups: Vec<Plan>,
}

impl Planned {
    pub(super) fn new(market: &Market) -> Self {
        Self {
            nodes: Vec::with_capacity(market.layout.nodes() + 1),
            groups: Vec::with_capacity(market.layout.groups + 1),
        }
    }

    fn add_up(&mut self, market: &Market) {
        let nodes = market.forest.nodes.len();
        self.nodes.clear();
        self.nodes.resize(nodes, Plan::default());
        self.groups.clear();
        self.groups
            .resize(market.layout.groups + 1, Plan::default());
        let steps = &market.steps;
        for segment in &market.forest.segments {
            for at in segment.start..segment.end {
                let group = market.layout.group[at] as usize;
                for plan in [&mut self.nodes[segment.owner], &mut self.groups[group]] {
                    plan.kw += steps.low[at] + steps.kw[2 * at];
                    plan.room += steps.kw[2 * at] + steps.kw[2 * at + 1];
                }
            }
        }
        for k in 0..nodes - 1 {
            let Plan { kw, room } = self.nodes[k];
            let above = &mut self.nodes[market.forest.nodes[k].parent];
            above.kw += kw;
            above.room += room;
        }
    }
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}
