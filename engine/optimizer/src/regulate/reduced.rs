//! A smaller market that behaves like a large one: near its prices, or roughly everywhere.
//!
//! The groups' prices are asked for dozens of times, and from one time to the next little changes: far from the prices
//! found so far, a resource draws what it draws. [`Reduced::near`] keeps those that can move and takes the rest for
//! constant. [`Reduced::sample`] keeps every so manieth small node and scales limits and goals down: where to start.

mod sample;

use super::forest::{Segment, Watched};
use super::market::Market;
use super::price::Price;
use super::ramps::unit;
use sample::Planned;

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
            planned: std::array::from_fn(|_| Planned::new(full)),
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
            if self.steps[k] <= fixed {
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
}
