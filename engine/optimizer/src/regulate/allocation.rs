//! Draws from prices, and the nearest draws that keep every limit.

use super::forest::Forced;
use super::market::Market;
use super::ramps::vectorized;

/// Draws by position, and what projecting them onto the limits needs.
#[derive(Debug, Clone, Default)]
pub(super) struct Allocation {
    pub(super) draw: Vec<f64>,
    /// For each watched node: what is drawn below it before its limit, and what it is given.
    proposed: Vec<f64>,
    given: Vec<f64>,
}

impl Allocation {
    pub(super) fn new(market: &Market) -> Self {
        let mut new = Self::default();
        new.draw.resize(market.layout.resources(), 0.0);
        new.proposed.reserve(market.layout.nodes() + 1);
        new.given.reserve(market.layout.nodes() + 1);
        new
    }

    /// What everybody draws at the prices found.
    pub(super) fn take_prices(&mut self, market: &Market) {
        let ramps = market.ramps();
        let (low, high) = (&market.steps.low, &market.steps.high);
        vectorized(|| {
            for segment in &market.forest.segments {
                let price = market.plain(market.price[segment.owner]);
                let range = segment.start..segment.end;
                let bounds = low[range.clone()].iter().zip(&high[range.clone()]);
                let risen = ramps.risen_two_by_two(range.clone(), price);
                for ((draw, (&low, &high)), risen) in
                    self.draw[range].iter_mut().zip(bounds).zip(risen)
                {
                    let risen = low + risen;
                    *draw = if risen < high { risen } else { high };
                }
            }
        });
    }

    /// What everybody draws by plan, as far as the bounds allow.
    pub(super) fn take_plan(&mut self, market: &Market) {
        for (at, draw) in self.draw.iter_mut().enumerate() {
            *draw = market.steps.planned(at);
        }
    }

    /// Moves draws onto the limits: below a node that must give way, all move the same share of the way to the least
    /// (or the most) that the limits below leave possible. Where those contradict each other, they go as far as they
    /// can.
    pub(super) fn project(&mut self, market: &Market) {
        let forest = &market.forest;
        let nodes = forest.nodes.len();
        self.proposed.clear();
        self.proposed.resize(nodes, 0.0);
        for segment in &forest.segments {
            let sum: f64 = self.draw[segment.start..segment.end].iter().sum();
            self.proposed[segment.owner] += sum;
        }
        self.given.clear();
        self.given.resize(nodes, 0.0);
        for (k, node) in forest.nodes.iter().enumerate() {
            self.given[k] = match node.forced {
                Forced::Above => node.least,
                Forced::Below => node.most,
                Forced::No => node.clamp(self.proposed[k]),
            };
            if k < forest.root() {
                self.proposed[node.parent] += self.given[k];
            }
        }
        // From the top: `given` becomes final for each node before its subtree asks for it; `proposed` becomes the
        // share of the way, downwards if negative.
        for k in (0..nodes).rev() {
            let node = &forest.nodes[k];
            if k < forest.root() {
                let way = self.proposed[node.parent];
                let (least, most) = node.range();
                let end = if way < 0.0 { least } else { most };
                self.given[k] += way.abs() * (end - self.given[k]);
            }
            let moved = self.given[k] - self.proposed[k];
            let room = if moved < 0.0 {
                self.proposed[k] - node.least
            } else {
                node.most - self.proposed[k]
            };
            self.proposed[k] = if moved.abs() <= f64::EPSILON * self.given[k].abs() || room <= 0.0 {
                0.0
            } else {
                (moved / room).clamp(-1.0, 1.0)
            };
        }
        for segment in &forest.segments {
            let way = self.proposed[segment.owner];
            if way == 0.0 {
                continue;
            }
            let range = segment.start..segment.end;
            let (low, high) = (
                &market.steps.low[range.clone()],
                &market.steps.high[range.clone()],
            );
            for (draw, (&low, &high)) in self.draw[range].iter_mut().zip(low.iter().zip(high)) {
                let end = if way < 0.0 { low } else { high };
                *draw = (*draw + way.abs() * (end - *draw)).clamp(low, high);
            }
        }
    }
}
