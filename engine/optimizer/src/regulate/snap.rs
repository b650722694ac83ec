//! Prices moved from somewhere on a ramp to where the step really is, and what ramps cost.
//!
//! In each part of the forest with a price of its own, usually one resource is on its ramp. At exactly its step's price
//! it does not matter to it what it draws, so the bound that prices prove is exact for it. Only others on a ramp at the
//! same time cost something: at share `θ` of `w` kW the price is off by at most `ε`, which makes `ε·w/4` at most.

use std::ops::Range;

use super::market::Market;
use super::price::Price;
use super::ramps::{Ramps, unit, vectorized};

/// The heaviest step on a ramp in one part of the forest.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct OnRamp {
    /// All on ramps, kW.
    total: f64,
    heaviest: f64,
    /// How far up its ramp the heaviest is.
    place: f64,
}

impl OnRamp {
    fn look(&mut self, ramps: Ramps<'_>, range: Range<usize>, price: Price) {
        for at in range {
            let (place, kw) = (ramps.place(at, price), ramps.kw[at]);
            if place > 0.0 && place < 1.0 {
                self.total += kw;
                if kw > self.heaviest {
                    (self.heaviest, self.place) = (kw, place);
                }
            }
        }
    }
}

impl Market {
    /// Fills in the snapped prices.
    ///
    /// Returns what it costs, at most, that ramps are no steps, CNY/h.
    pub(super) fn snap(&mut self) -> f64 {
        let mut on_ramp = std::mem::take(&mut self.on_ramp);
        on_ramp.clear();
        on_ramp.resize(self.forest.nodes.len(), OnRamp::default());
        self.find_on_ramps(&mut on_ramp);
        let mut ramps = 0.0;
        let root = self.forest.root();
        for k in 0..=root {
            let found = on_ramp[k];
            if self.own_price[k] || k == root {
                // The price of a missed target is the penalty: it cannot move. Where overloading is a choice, none does.
                let bound = (k == root && self.off_target) || self.forest.levels > 0;
                let freed = if bound { 0.0 } else { found.heaviest };
                ramps += 0.25 * self.units.epsilon * (found.total - freed);
                continue;
            }
            let above = &mut on_ramp[self.forest.nodes[k].parent];
            above.total += found.total;
            if found.heaviest > above.heaviest {
                (above.heaviest, above.place) = (found.heaviest, found.place);
            }
        }
        ramps += self.move_prices(&on_ramp);
        self.on_ramp = on_ramp;
        ramps
    }

    fn find_on_ramps(&self, on_ramp: &mut [OnRamp]) {
        let ramps = self.ramps();
        vectorized(|| {
            for segment in &self.forest.segments {
                let price = self.plain(self.price[segment.owner]);
                let range = 2 * segment.start..2 * segment.end;
                // Most segments have nobody on a ramp.
                if ramps.risen(range.clone(), price).slope > 0.0 {
                    on_ramp[segment.owner].look(ramps, range, price);
                }
            }
        });
    }

    /// What moving off the plan costs at the prices found, CNY/h.
    pub(super) fn moving(&self) -> f64 {
        let ramps = self.ramps();
        let mut cost = self.steps.constant + self.steps.at_low;
        for segment in &self.forest.segments {
            let price = self.plain(self.price[segment.owner]);
            for at in 2 * segment.start..2 * segment.end {
                cost += self.steps.start[at] * ramps.kw[at] * unit(ramps.place(at, price));
            }
        }
        cost
    }

    /// What it costs, at most, that some prices may not move as they would.
    fn move_prices(&mut self, on_ramp: &[OnRamp]) -> f64 {
        let mut cost = 0.0;
        self.snapped.clear();
        self.snapped.extend_from_slice(&self.price);
        // Where overloading is a choice, prices may differ by its penalty and not by a ramp more.
        if self.forest.levels > 0 {
            return cost;
        }
        let root = self.forest.root();
        for k in (0..=root).rev() {
            let mut price = self.price[k];
            if self.own_price[k] && !(k == root && self.off_target) {
                price.frac -= on_ramp[k].place;
            }
            if k < root {
                let parent = self.forest.nodes[k].parent;
                let above = self.snapped[parent];
                let same = above.shifted(price.levels - self.price[parent].levels);
                let was = self.difference(self.price[parent], self.price[k]);
                if !self.own_price[k] {
                    price = same;
                } else if was * self.difference(above, price) <= 0.0 {
                    // It would turn round: a limit earns nothing rather than the wrong thing.
                    price = same;
                    cost += self.units.epsilon * on_ramp[k].total;
                }
            }
            self.snapped[k] = price;
        }
        cost
    }

    /// How much dearer it is above than below.
    pub(super) fn difference(&self, above: Price, below: Price) -> f64 {
        above.less(below, self.units).value(self.units)
    }
}
