//! What resources draw at a price.
//!
//! A resource's draw is a step function of the price (what one more kWh drawn is worth to the fleet): `low` below
//! `−fall_price`, the plan up to `rise_price`, `high` above. So it is `low` plus two steps. Each step is made a ramp
//! of width `ε`: those at one price then rise together, in proportion to their room, whatever their order, and the
//! draw at every price is one number. `ε` is so small that all ramps together cost less than the tolerance.
//!
//! A price is kept as `base + ε·frac`: where a ramp is a billionth wide, a double alone could not say where on it.

use std::ops::Range;

use super::layout::Layout;
use super::problem::Problem;

/// A price in parts: `base + levels·overload + ε·frac`. A whole number of penalties for overload is kept apart, so that
/// one up and one down cancel exactly.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Price {
    pub(super) base: f64,
    pub(super) levels: f64,
    pub(super) frac: f64,
}

/// What the parts of a price are multiples of, CNY/kWh.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Units {
    /// Width of a ramp.
    pub(super) epsilon: f64,
    /// `1/ε`.
    pub(super) steepness: f64,
    /// Penalty of overload.
    pub(super) overload: f64,
}

impl Units {
    pub(super) fn set_epsilon(&mut self, epsilon: f64) {
        (self.epsilon, self.steepness) = (epsilon, 1.0 / epsilon);
    }
}

impl Price {
    pub(super) const fn at(base: f64) -> Self {
        Self {
            base,
            levels: 0.0,
            frac: 0.0,
        }
    }

    pub(super) fn value(self, units: Units) -> f64 {
        self.less(Self::default(), units).base + units.epsilon * self.frac
    }

    pub(super) fn shifted(self, levels: f64) -> Self {
        Self {
            levels: self.levels + levels,
            ..self
        }
    }

    /// This price less another, without levels of its own. What rounding cuts off the base goes to `frac`.
    #[inline]
    pub(super) fn less(self, other: Self, units: Units) -> Self {
        let levels = self.levels - other.levels;
        let (raised, lost_raising) = two_sum(self.base, levels * units.overload);
        let (base, lost) = two_sum(raised, -other.base);
        let frac = (self.frac - other.frac) + (lost_raising + lost) * units.steepness;
        Self {
            base,
            levels: 0.0,
            frac,
        }
    }

    /// Where a ramp starts for somebody who pays this price: `step` higher.
    pub(super) fn above_step(self, step: f64, units: Units) -> Self {
        let (base, lost) = two_sum(self.base, step);
        Self {
            base,
            frac: self.frac + lost * units.steepness,
            ..self
        }
    }

    /// The same price with as much as fits in its base, for ramps of width `to`.
    pub(super) fn moved(self, from: f64, to: f64) -> Self {
        let base = self.base + from * self.frac;
        let frac = ((self.base - base) + from * self.frac) / to;
        Self { base, frac, ..self }
    }
}

/// A sum and what rounding cut off it (Knuth).
fn two_sum(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let of_b = sum - a;
    (sum, (a - (sum - of_b)) + (b - of_b))
}

/// A quantity and how fast it grows with `frac`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flow {
    pub(super) kw: f64,
    pub(super) slope: f64,
}

impl std::ops::AddAssign for Flow {
    fn add_assign(&mut self, other: Self) {
        self.kw += other.kw;
        self.slope += other.slope;
    }
}

/// Steps of all resources, by position: price and width, down from the plan and up from it.
#[derive(Debug, Clone, Default)]
pub(super) struct Steps {
    pub(super) low: Vec<f64>,
    pub(super) high: Vec<f64>,
    pub(super) down_price: Vec<f64>,
    pub(super) down_kw: Vec<f64>,
    pub(super) up_price: Vec<f64>,
    pub(super) up_kw: Vec<f64>,
    /// What it costs that plans lie outside the bounds, CNY/h.
    pub(super) constant: f64,
    /// Least and greatest price of a step.
    pub(super) cheapest: f64,
    pub(super) dearest: f64,
    /// Σ high − low, kW.
    pub(super) room: f64,
}

impl Steps {
    pub(super) fn load(&mut self, layout: &Layout, problem: &Problem) {
        let count = layout.resources();
        for column in [
            &mut self.low,
            &mut self.high,
            &mut self.down_price,
            &mut self.down_kw,
            &mut self.up_price,
            &mut self.up_kw,
        ] {
            column.resize(count, 0.0);
        }
        (self.constant, self.room) = (0.0, 0.0);
        (self.cheapest, self.dearest) = if count == 0 {
            (0.0, 0.0)
        } else {
            (f64::INFINITY, f64::NEG_INFINITY)
        };
        for (at, &i) in layout.order.iter().enumerate() {
            let i = i as usize;
            let (low, high, plan) = (problem.low_kw[i], problem.high_kw[i], problem.plan_kw[i]);
            let (rise, fall) = (problem.rise_price[i], problem.fall_price[i]);
            let near = plan.clamp(low, high);
            self.constant += rise * (near - plan).max(0.0) + fall * (plan - near).max(0.0);
            self.low[at] = low;
            self.high[at] = high;
            self.down_price[at] = -fall;
            self.down_kw[at] = near - low;
            self.up_price[at] = rise;
            self.up_kw[at] = high - near;
            self.room += high - low;
            self.cheapest = self.cheapest.min(-fall);
            self.dearest = self.dearest.max(rise);
        }
    }

    /// What the steps in a range add to their lows, at one price for all.
    pub(super) fn risen(&self, range: Range<usize>, price: Price, steepness: f64) -> Flow {
        let mut flow = rise(
            &self.down_price[range.clone()],
            &self.down_kw[range.clone()],
            price,
            steepness,
        );
        flow += rise(
            &self.up_price[range.clone()],
            &self.up_kw[range],
            price,
            steepness,
        );
        flow
    }

    /// The same, with a price for each group; the last is for those in none.
    pub(super) fn risen_by_group(
        &self,
        range: Range<usize>,
        group: &[u32],
        prices: &[Price],
        steepness: f64,
    ) -> Flow {
        let mut flow = Flow::default();
        for at in range {
            flow += self.risen_at(at, prices[group[at] as usize], steepness);
        }
        flow
    }

    /// What one resource adds to its low.
    #[inline]
    pub(super) fn risen_at(&self, at: usize, price: Price, steepness: f64) -> Flow {
        let mut flow = ramp(self.down_price[at], self.down_kw[at], price, steepness);
        flow += ramp(self.up_price[at], self.up_kw[at], price, steepness);
        flow
    }
}

/// `kw` times how far up its ramp a step at `step` is. `steepness` is `1/ε`.
#[inline]
fn ramp(step: f64, kw: f64, price: Price, steepness: f64) -> Flow {
    let place = (price.base - step) * steepness + price.frac;
    let above = if place > 0.0 { place } else { 0.0 };
    let share = if above < 1.0 { above } else { 1.0 };
    // Not `&&`: no branch.
    let on_ramp = (place > 0.0) & (place < 1.0);
    Flow {
        kw: kw * share,
        slope: if on_ramp { kw } else { 0.0 },
    }
}

/// Sums of ramps in four lanes, which the compiler turns into vector instructions.
pub(super) fn rise(steps: &[f64], kws: &[f64], price: Price, steepness: f64) -> Flow {
    const LANES: usize = 4;
    let (mut sums, mut slopes) = ([0.0; LANES], [0.0; LANES]);
    let (step_chunks, kw_chunks) = (steps.chunks_exact(LANES), kws.chunks_exact(LANES));
    let (step_rest, kw_rest) = (step_chunks.remainder(), kw_chunks.remainder());
    for (step, kw) in step_chunks.zip(kw_chunks) {
        for lane in 0..LANES {
            let flow = ramp(step[lane], kw[lane], price, steepness);
            sums[lane] += flow.kw;
            slopes[lane] += flow.slope;
        }
    }
    let mut sum = Flow {
        kw: sums.iter().sum(),
        slope: slopes.iter().sum(),
    };
    for (&step, &kw) in step_rest.iter().zip(kw_rest) {
        sum += ramp(step, kw, price, steepness);
    }
    sum
}
