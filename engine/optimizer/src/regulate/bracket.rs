//! What a search looks for, and the range that holds it.

use super::forest::Watched;
use super::price::{Price, Units};

/// A range that holds the price, and what is drawn at its ends, kW.
#[derive(Clone, Copy)]
pub(super) struct Bracket {
    pub(super) low: (Price, f64),
    pub(super) high: (Price, f64),
    pub(super) units: Units,
}

impl Bracket {
    pub(super) fn contains(&self, price: Price) -> bool {
        let above = |low: Price, high: Price| high.less(low, self.units).value(self.units) > 0.0;
        above(self.low.0, price) && above(price, self.high.0)
    }

    pub(super) fn narrow(&mut self, price: Price, kw: f64, goal: f64) {
        if kw > goal {
            self.high = (price, kw);
        } else {
            self.low = (price, kw);
        }
    }

    /// How far the goal lies between what is drawn at the ends.
    pub(super) fn share(&self, goal: f64) -> f64 {
        let rise = self.high.1 - self.low.1;
        if rise > 0.0 {
            (goal - self.low.1) / rise
        } else {
            0.5
        }
    }

    /// The price at a share of the way.
    pub(super) fn at(&self, share: f64) -> Price {
        let (low, high) = self.ends();
        Price::at(low + share * (high - low))
    }

    pub(super) fn ends(&self) -> (f64, f64) {
        (self.low.0.value(self.units), self.high.0.value(self.units))
    }
}

/// What is looked for: the watched node, and what shall be drawn below it.
#[derive(Clone, Copy)]
pub(super) struct Goal {
    pub(super) k: usize,
    pub(super) kw: f64,
    tolerance: f64,
}

impl Goal {
    pub(super) fn new(k: usize, node: &Watched, kw: f64) -> Self {
        let tolerance = 1e-12 + 2e-16 * (kw.abs() + (node.most - node.least).abs());
        Self { k, kw, tolerance }
    }

    pub(super) fn is_met(&self, kw: f64) -> bool {
        (kw - self.kw).abs() <= self.tolerance
    }
}
