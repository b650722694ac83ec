//! Flows through the forest at given prices, and the prices of one part of it read back down.
//!
//! At a price, a node passes what its members draw, cut to its limits. Where it cuts, its members see a price of
//! their own: the one at which they draw just the limit. Merging the members' curves is adding them up, so flows at
//! one price cost one pass over the resources; only nodes that cut search for a price of their own, in their own part.
//!
//! Overloading is a price too: a node above its limit passes on what its members draw when the price is lower by the
//! penalty. Where nobody has to choose who overloads (nearly always), no flow at a shifted price matters; else the
//! flows at the prices `± penalty · level` are carried along, for as many levels as nodes nest.

use super::forest::{Forced, Forest, LONGEST, Segment};
use super::layout::Layout;
use super::price::{Flow, Price, Units};
use super::problem::{Penalties, Problem};
use super::ramps::{Paid, Ramps, vectorized};
use super::search::Desk;
use super::snap::OnRamp;
use super::steps::Steps;

/// The caller said stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stopped;

/// Positions to add up between two questions whether to stop: some 0.2 ms.
const BETWEEN_QUESTIONS: usize = 65_536;

/// Segments to add up at one go.
pub(super) struct Block<'a> {
    pub(super) segments: &'a [Segment],
    /// Whether it is time to ask.
    pub(super) ask: bool,
}

/// Cuts segments into blocks. `asked_at` counts positions since the last question.
pub(super) fn blocks<'a>(
    mut segments: &'a [Segment],
    asked_at: &mut usize,
) -> impl Iterator<Item = Block<'a>> {
    std::iter::from_fn(move || {
        let mut count = 0;
        while count < segments.len() && *asked_at < BETWEEN_QUESTIONS {
            *asked_at += segments[count].end - segments[count].start;
            count += 1;
        }
        let ask = *asked_at >= BETWEEN_QUESTIONS;
        if ask {
            *asked_at = 0;
        }
        let (now, later) = segments.split_at(count);
        segments = later;
        (count > 0).then_some(Block { segments: now, ask })
    })
}

/// Everything that solving works on. Buffers keep their size from one problem to the next.
#[derive(Debug, Clone, Default)]
pub(super) struct Market {
    pub(super) layout: Layout,
    pub(super) steps: Steps,
    pub(super) forest: Forest,
    pub(super) penalties: Penalties,
    pub(super) target: f64,
    pub(super) units: Units,
    /// Whether any group has a price.
    pub(super) grouped: bool,
    /// What each group pays for drawing.
    pub(super) group_price: Vec<Price>,
    /// What each group draws at least and at most, kW.
    pub(super) group_low: Vec<f64>,
    pub(super) group_most: Vec<f64>,
    /// What each watched node's members see.
    pub(super) price: Vec<Price>,
    /// Whether a watched node's price moves on its own, and not with that of the node above.
    pub(super) own_price: Vec<bool>,
    /// Whether the total's price is at the penalty for missing the target.
    pub(super) off_target: bool,
    /// Flow below each watched node at the last price asked, for each level.
    below: Vec<Flow>,
    /// Prices at the very steps instead of on ramps: for the bound.
    pub(super) snapped: Vec<Price>,
    pub(super) on_ramp: Vec<OnRamp>,
    /// Steps with what groups pay added.
    paid: Paid,
    pub(super) candidates: Vec<Price>,
    pub(super) desk: Desk,
}

impl Market {
    pub(super) fn new(layout: Layout) -> Self {
        let mut market = Self {
            layout,
            ..Self::default()
        };
        let nodes = market.layout.nodes() + 1;
        market.forest.reserve(&market.layout);
        market.group_price = vec![Price::default(); market.layout.groups];
        market.group_low = vec![0.0; market.layout.groups];
        market.group_most = vec![0.0; market.layout.groups];
        market.price.reserve(nodes);
        market.own_price.reserve(nodes);
        market.below.reserve(nodes);
        market.snapped.reserve(nodes);
        market.on_ramp.reserve(nodes);
        market.paid = Paid::new(&market.layout);
        let resources = market.layout.resources();
        let segments = 2 * nodes + resources / LONGEST;
        market.desk.reserve(nodes, segments, 2 * resources);
        market.candidates.reserve(2 * market.layout.resources());
        market
    }

    pub(super) fn load(&mut self, problem: &Problem) {
        self.steps.load(&self.layout, problem);
        self.forest.build(&self.layout, problem, &self.steps);
        self.penalties = problem.penalties;
        self.units.overload = problem.penalties.overload;
        self.target = problem.target_kw;
        self.size_up();
    }

    /// Makes room for what belongs to each watched node.
    pub(super) fn size_up(&mut self) {
        let nodes = self.forest.nodes.len();
        self.price.clear();
        self.price.resize(nodes, Price::default());
        self.own_price.clear();
        self.own_price.resize(nodes, false);
        self.below.resize(nodes * self.width(), Flow::default());
    }

    fn width(&self) -> usize {
        2 * self.forest.levels + 1
    }

    /// What is drawn below watched node `k` when its members see `price` (before its own limit). Leaves the same for
    /// all watched nodes of its subtree in `below`.
    pub(super) fn flow(
        &mut self,
        k: usize,
        price: Price,
        stop: &dyn Fn() -> bool,
    ) -> Result<Flow, Stopped> {
        let levels = self.forest.levels;
        let (first, count) = (self.forest.nodes[k].first, self.forest.nodes.len());
        for level in 0..self.width() {
            #[allow(clippy::cast_precision_loss)]
            let shifted = price.shifted(level as f64 - levels as f64);
            self.add_segments(k, level * count, shifted, stop)?;
        }
        for j in first..k {
            let parent = self.forest.nodes[j].parent;
            for level in 0..self.width() {
                let passed = self.passed(j, level);
                self.below[level * count + parent] += passed;
            }
        }
        Ok(self.below(k))
    }

    /// What is drawn below watched node `k` at the price last asked of it or of a node above.
    pub(super) fn below(&self, k: usize) -> Flow {
        self.below_at(k, self.forest.levels)
    }

    fn below_at(&self, k: usize, level: usize) -> Flow {
        self.below[level * self.forest.nodes.len() + k]
    }

    /// Adds up who hangs under each watched node itself, for the level at an offset.
    fn add_segments(
        &mut self,
        k: usize,
        offset: usize,
        price: Price,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Stopped> {
        let price = self.plain(price);
        let mut below = std::mem::take(&mut self.below);
        let mut asked_at = self.desk.asked_at;
        let view = self.view(k);
        let flows = &mut below[offset + view.first..=offset + k];
        for (flow, node) in flows.iter_mut().zip(view.nodes) {
            *flow = Flow {
                kw: node.low,
                slope: 0.0,
            };
        }
        let mut said = false;
        for block in blocks(view.segments, &mut asked_at) {
            vectorized(|| view.add_at(price, block.segments, flows));
            said = block.ask && stop();
            if said {
                break;
            }
        }
        (self.below, self.desk.asked_at) = (below, asked_at);
        if said { Err(Stopped) } else { Ok(()) }
    }

    /// A price without levels.
    pub(super) fn plain(&self, price: Price) -> Price {
        price.less(Price::default(), self.units)
    }

    /// Ramps of all resources, with what groups pay.
    pub(super) fn ramps(&self) -> Ramps<'_> {
        let (start, offset): (&[f64], &[f64]) = if self.grouped {
            (&self.paid.start, &self.paid.offset)
        } else {
            (&self.steps.start, &[])
        };
        Ramps {
            start,
            offset,
            kw: &self.steps.kw,
            units: self.units,
        }
    }

    /// What a watched node lets pass of what is drawn below it.
    fn passed(&self, k: usize, level: usize) -> Flow {
        let node = &self.forest.nodes[k];
        let cut = |kw| Flow { kw, slope: 0.0 };
        match node.forced {
            Forced::Above => return cut(node.least),
            Forced::Below => return cut(node.most),
            Forced::No => {}
        }
        let flow = self.below_at(k, level);
        if flow.kw > node.upper {
            if level > 0 {
                let lower = self.below_at(k, level - 1);
                if lower.kw > node.upper {
                    return lower;
                }
            }
            cut(node.upper)
        } else if flow.kw < node.lower {
            if level + 1 < self.width() {
                let higher = self.below_at(k, level + 1);
                if higher.kw < node.lower {
                    return higher;
                }
            }
            cut(node.lower)
        } else {
            flow
        }
    }

    /// Adds what groups pay to the prices of their members' steps.
    pub(super) fn pay(&mut self) {
        if self.grouped {
            self.paid
                .load(&self.layout, &self.steps, &self.group_price, self.units);
        }
    }

    /// Changes the width of ramps; prices stay.
    pub(super) fn rescale(&mut self, epsilon: f64) {
        let from = self.units.epsilon;
        for price in self.group_price.iter_mut().chain(&mut self.price) {
            *price = price.moved(from, epsilon);
        }
        self.units.set_epsilon(epsilon);
    }
}
