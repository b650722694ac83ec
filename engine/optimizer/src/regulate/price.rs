//! Prices, and how precisely they are kept.
//!
//! A resource's draw is a step function of the price (what one more kWh drawn is worth to the fleet): `low` below
//! `−fall_price`, the plan up to `rise_price`, `high` above. So it is `low` plus two steps. Each step is made a ramp
//! of width `ε`: those at one price then rise together, in proportion to their room, whatever their order, and the
//! draw at every price is one number. `ε` is so small that all ramps together cost less than the tolerance.
//!
//! A price is kept as `base + ε·frac`: where a ramp is a billionth wide, a double alone could not say where on it.

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
pub(super) fn two_sum(a: f64, b: f64) -> (f64, f64) {
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
