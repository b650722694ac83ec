//! A smaller market that behaves like a large one: near its prices, or roughly everywhere.
//!
//! The groups' prices are asked for dozens of times, and from one time to the next little changes: far from the prices
//! found so far, a resource draws what it draws. [`Reduced::near`] keeps those that can move and takes the rest for
//! constant. [`Reduced::sample`] keeps every so manieth small node and scales limits and goals down: where to start.

use super::forest::{Forced, Segment, Watched};
use super::market::{Market, Stopped};
use super::price::Price;
use super::ramps::unit;

/// Nodes with fewer steps of their own are sampled as a whole.
const SMALL: usize = 64;

/// A market of some of the positions and watched nodes of another, and how they belong together.
#[derive(Debug, Clone, Default)]
pub(super) struct Reduced {
    pub(super) market: Market,
    /// Ceiling of each group, less what those left out draw, kW.
    pub(super) ceiling: Vec<f64>,
    /// Bounds of the groups' prices outside.
    pub(super) bounds: Vec<(f64, f64)>,
    /// Watched node of the large market, for each here.
    nodes: Vec<usize>,
    /// For each watched node of the large market: its index here, if it is kept, and how many steps of it.
    index: Vec<Option<usize>>,
    steps: Vec<usize>,
    /// For each position of the large market, in the order of its segments: whether it is kept. For each segment: whether
    /// any of them is.
    keep: Vec<bool>,
    kept: Vec<bool>,
    /// What is drawn below each kept node by those left out, kW.
    fixed: Vec<f64>,
    /// What is planned here and in the large market.
    planned: [Planned; 2],
}

impl Reduced {
    /// With room for all of a market.
    pub(super) fn new(full: &Market) -> Self {
        let (nodes, resources) = (full.layout.nodes() + 1, full.layout.resources());
        let mut market = Market::new(full.layout.clone());
        market.steps.reserve(resources);
        Self {
            market,
            ceiling: Vec::with_capacity(full.layout.groups),
            bounds: Vec::with_capacity(full.layout.groups),
            nodes: Vec::with_capacity(nodes),
            index: Vec::with_capacity(nodes),
            steps: Vec::with_capacity(nodes),
            keep: Vec::with_capacity(resources),
            kept: Vec::with_capacity(full.forest.segments.capacity()),
            fixed: Vec::with_capacity(nodes),
            planned: std::array::from_fn(|_| Planned {
                nodes: Vec::with_capacity(nodes),
                groups: Vec::with_capacity(full.layout.groups + 1),
            }),
        }
    }

    /// Keeps what can change while no price moves by more than `radius`, CNY/kWh.
    pub(super) fn near(&mut self, full: &Market, ceiling: &[f64], radius: f64) {
        let units = full.units;
        let ramps = full.ramps();
        let value = |k: usize| full.price[k].value(units);
        self.clear(full);
        for segment in &full.forest.segments {
            let price = value(segment.owner);
            let (begun, not_begun) = (price - units.epsilon - radius, price + radius);
            for at in segment.start..segment.end {
                let open = |step: usize| {
                    let start = ramps.start[step];
                    (start > begun) & (start < not_begun) & (ramps.kw[step] > 0.0)
                };
                let count = usize::from(open(2 * at)) + usize::from(open(2 * at + 1));
                self.keep.push(count > 0);
                self.steps[segment.owner] += count;
            }
        }
        let root = full.forest.root();
        for k in 0..root {
            let node = &full.forest.nodes[k];
            let clear = (value(k) - value(node.parent)).abs() > radius + units.epsilon;
            // Where a node cuts and one step alone can move, none can.
            let fixed = if full.own_price[k] && clear { 1 } else { 0 };
            if node.forced != Forced::No || self.steps[k] <= fixed {
                self.steps[k] = 0;
            } else {
                self.steps[node.parent] += 2;
            }
        }
        self.steps[root] += 1;
        self.take_nodes(full);
        for k in 0..root {
            let node = &full.forest.nodes[k];
            if let (None, Some(above)) = (self.index[k], self.index[node.parent]) {
                // Where it cuts, flows were last asked for on the way to its own price.
                self.fixed[above] += if !full.own_price[k] {
                    node.pass(full.below(k).kw)
                } else if value(k) <= value(node.parent) {
                    node.upper
                } else {
                    node.lower
                };
            }
        }
        self.ceiling.clear();
        self.ceiling.extend_from_slice(ceiling);
        self.take_positions(full, |at, price: Price| {
            let risen = |step| ramps.kw[step] * unit(ramps.place(step, price));
            full.steps.low[at] + (risen(2 * at) + risen(2 * at + 1))
        });
        self.finish(full);
    }

    /// Keeps one of `every` small nodes, and of the positions elsewhere; limits and goals are scaled by what all below
    /// them can move.
    pub(super) fn sample(&mut self, full: &Market, ceiling: &[f64], every: usize) {
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
            let node = &full.forest.nodes[k];
            if node.forced != Forced::No {
                self.steps[k] = 0;
            } else if self.steps[k] > 0 {
                self.steps[node.parent] += 1;
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
    pub(super) fn aim_at(&mut self, full: &Market, stop: &dyn Fn() -> bool) -> Result<(), Stopped> {
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
    pub(super) fn shift_ceilings(&mut self, here: &[f64], there: &[f64]) {
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

    /// Takes the prices found here over into the large market, and the width of ramps.
    pub(super) fn give_back(&self, full: &mut Market) {
        full.units = self.market.units;
        full.group_price.copy_from_slice(&self.market.group_price);
        for (&k, price) in self.nodes.iter().zip(&self.market.price) {
            full.price[k] = *price;
        }
    }

    fn clear(&mut self, full: &Market) {
        self.keep.clear();
        self.kept.clear();
        self.steps.clear();
        self.steps.resize(full.forest.nodes.len(), 0);
    }

    fn take_nodes(&mut self, full: &Market) {
        self.nodes.clear();
        self.index.clear();
        for (k, &steps) in self.steps.iter().enumerate() {
            self.index.push((steps > 0).then_some(self.nodes.len()));
            if steps > 0 {
                self.nodes.push(k);
            }
        }
        // What is drawn there already by those that are in neither market: the rest of its low.
        let low = |&k: &usize| full.forest.nodes[k].low;
        self.fixed.clear();
        self.fixed.extend(self.nodes.iter().map(low));
        debug_assert_eq!(self.nodes.last(), Some(&full.forest.root()));
    }

    /// Copies the positions that are kept; `drawn` says what the others draw, given the price that they see.
    fn take_positions(&mut self, full: &Market, drawn: impl Fn(usize, Price) -> f64) {
        let small = &mut self.market;
        let steps = &mut small.steps;
        for column in [
            &mut steps.low,
            &mut steps.high,
            &mut steps.start,
            &mut steps.kw,
        ] {
            column.clear();
        }
        small.layout.group.clear();
        small.forest.segments.clear();
        small.forest.nodes.clear();
        let mut keep = self.keep.iter();
        for segment in &full.forest.segments {
            let owner = self.index[segment.owner];
            let price = full.plain(full.price[segment.owner]);
            let start = steps.low.len();
            for at in segment.start..segment.end {
                let group = full.layout.group[at];
                if let Some(owner) = owner {
                    self.fixed[owner] -= full.steps.low[at];
                }
                if keep.next() == Some(&true) && owner.is_some() {
                    steps.low.push(full.steps.low[at]);
                    steps.high.push(full.steps.high[at]);
                    for step in 2 * at..2 * at + 2 {
                        steps.start.push(full.steps.start[step]);
                        steps.kw.push(full.steps.kw[step]);
                    }
                    small.layout.group.push(group);
                    continue;
                }
                let draw = drawn(at, price);
                if let Some(ceiling) = self.ceiling.get_mut(group as usize) {
                    *ceiling -= draw;
                }
                if let Some(owner) = owner {
                    self.fixed[owner] += draw;
                }
            }
            if let Some(owner) = owner
                && steps.low.len() > start
            {
                let end = steps.low.len();
                small.forest.segments.push(Segment { start, end, owner });
            }
        }
    }

    /// Links the nodes that are kept, and takes over everything else.
    fn finish(&mut self, full: &Market) {
        let small = &mut self.market;
        let forest = &mut small.forest;
        forest.levels = 0;
        for (&k, &fixed) in self.nodes.iter().zip(&self.fixed) {
            let node = &full.forest.nodes[k];
            let first = self.nodes.partition_point(|&kept| kept < node.first);
            forest.nodes.push(Watched {
                parent: self.index[node.parent].unwrap_or_default(),
                first,
                segment: 0,
                segment_end: 0,
                low: fixed,
                ..*node
            });
        }
        for (index, segment) in forest.segments.iter().enumerate() {
            let low: f64 = small.steps.low[segment.start..segment.end].iter().sum();
            let node = &mut forest.nodes[segment.owner];
            node.low += low;
            if node.segment_end == 0 {
                node.segment = index;
            }
            node.segment_end = index + 1;
        }
        // A node's own segments may lie on both sides of those below it.
        for k in 0..forest.nodes.len() - 1 {
            let Watched {
                segment,
                segment_end,
                parent,
                ..
            } = forest.nodes[k];
            if segment_end == 0 {
                continue;
            }
            let above = &mut forest.nodes[parent];
            above.segment = if above.segment_end == 0 {
                segment
            } else {
                above.segment.min(segment)
            };
            above.segment_end = above.segment_end.max(segment_end);
        }
        small.steps.cheapest = full.steps.cheapest;
        small.steps.dearest = full.steps.dearest;
        small.steps.room = full.steps.room;
        small.penalties = full.penalties;
        small.target = full.target;
        small.units = full.units;
        small.grouped = true;
        small.off_target = full.off_target;
        small.group_price.copy_from_slice(&full.group_price);
        small.size_up();
        for (k, &from) in self.nodes.iter().enumerate() {
            small.price[k] = full.price[from];
            small.own_price[k] = full.own_price[from];
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
                let (least, most) = (node.clamp(node.least), node.clamp(node.most));
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
struct Planned {
    /// Below each watched node.
    nodes: Vec<Plan>,
    /// Of each group, and of those in none.
    groups: Vec<Plan>,
}

impl Planned {
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
