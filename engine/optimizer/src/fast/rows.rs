//! The inequalities of one resource, interval by interval: what each says of the point and adds to its Newton step.
//!
//! Letters as in `reference::model`: charge `c`, discharge `d`, up `u`, down `v`, net draw `x = c − d`; the chain carries
//! stored energy `E`, unmet energy `s`, the net draw `x′` of the interval before and the energy `W` exported so far.
//! Each row is `g · (c, d, u, v, E, s, x′, W) ≤ h`; most entries of `g` are zero, so each kind has its own code.

use super::lane::Lane;

/// Kinds of rows; a set of them is a bit mask.
pub(super) mod kind {
    /// `−c ≤ −least`
    pub(crate) const CHARGE_LEAST: u32 = 0;
    /// `c ≤ most`
    pub(crate) const CHARGE_MOST: u32 = 1;
    /// `−d ≤ −least`
    pub(crate) const DISCHARGE_LEAST: u32 = 2;
    /// `d ≤ most`
    pub(crate) const DISCHARGE_MOST: u32 = 3;
    /// `−u ≤ 0`
    pub(crate) const UP: u32 = 4;
    /// `−v ≤ 0`
    pub(crate) const DOWN: u32 = 5;
    /// `u − x ≤ −low`
    pub(crate) const HEADROOM_UP: u32 = 6;
    /// `v + x ≤ high`
    pub(crate) const HEADROOM_DOWN: u32 = 7;
    /// `−E − s ≤ −need`
    pub(crate) const NEED: u32 = 8;
    /// `E ≤ cap`
    pub(crate) const CAP: u32 = 9;
    /// `g_up·u − E − s ≤ −need`
    pub(crate) const SUSTAIN_UP: u32 = 10;
    /// `g_down·v + E ≤ cap`
    pub(crate) const SUSTAIN_DOWN: u32 = 11;
    /// `x − x′ ≤ step`
    pub(crate) const RISE: u32 = 12;
    /// `x′ − x ≤ step`
    pub(crate) const FALL: u32 = 13;
    /// `W ≤ throughput`, in the last interval
    pub(crate) const THROUGHPUT: u32 = 14;
    /// `−s ≤ 0`, in the first interval
    pub(crate) const UNMET: u32 = 15;
}

/// States that the chain carries.
pub(super) const ENERGY: usize = 0;
pub(super) const UNMET: usize = 1;
pub(super) const BEFORE: usize = 2;
pub(super) const EXPORTED: usize = 3;

/// The kinds in a mask, lowest first.
#[inline(always)]
pub(super) fn kinds(mut mask: u16) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        (mask != 0).then(|| {
            let lowest = mask.trailing_zeros();
            mask &= mask - 1;
            lowest
        })
    })
}

/// What an interval's controls do to the states, and regulation to stored energy.
#[derive(Clone, Copy)]
pub(super) struct Gains {
    /// Battery-side energy for each kW charged, and taken for each kW discharged, h.
    pub(super) charge: Lane,
    pub(super) discharge: Lane,
    /// Battery-side energy that regulation in full use moves, h.
    pub(super) up: Lane,
    pub(super) down: Lane,
    /// Length of the interval, h.
    pub(super) hours: f64,
}

/// The variables that rows of one interval see: a point, or a direction.
#[derive(Clone, Copy)]
pub(super) struct Point<const NU: usize> {
    pub(super) controls: [Lane; NU],
    pub(super) energy: Lane,
    pub(super) unmet: Lane,
    pub(super) before: Lane,
    pub(super) exported: Lane,
}

impl<const NU: usize> Point<NU> {
    /// Before the first interval.
    #[inline(always)]
    pub(super) fn start(unmet: Lane) -> Self {
        Self {
            controls: [Lane::ZERO; NU],
            energy: Lane::ZERO,
            unmet,
            before: Lane::ZERO,
            exported: Lane::ZERO,
        }
    }

    #[inline(always)]
    pub(super) fn control(&self, j: usize) -> Lane {
        if j < NU { self.controls[j] } else { Lane::ZERO }
    }

    #[inline(always)]
    pub(super) fn net(&self) -> Lane {
        self.control(0) - self.control(1)
    }

    /// One interval on. `before` becomes the net draw of the interval just left.
    #[inline(always)]
    pub(super) fn advance(&mut self, controls: [Lane; NU], gains: &Gains) {
        self.before = self.net();
        self.controls = controls;
        self.energy += gains.charge * self.control(0);
        if NU > 1 {
            self.energy -= gains.discharge * self.control(1);
            self.exported += self.control(1) * gains.hours;
        }
    }

    /// `g · point`
    #[inline(always)]
    pub(super) fn value(&self, of: u32, gains: &Gains) -> Lane {
        match of {
            kind::CHARGE_LEAST => -self.control(0),
            kind::CHARGE_MOST => self.control(0),
            kind::DISCHARGE_LEAST => -self.control(1),
            kind::DISCHARGE_MOST => self.control(1),
            kind::UP => -self.control(2),
            kind::DOWN => -self.control(3),
            kind::HEADROOM_UP => self.control(2) - self.net(),
            kind::HEADROOM_DOWN => self.control(3) + self.net(),
            kind::NEED => -self.energy - self.unmet,
            kind::CAP => self.energy,
            kind::SUSTAIN_UP => gains.up * self.control(2) - self.energy - self.unmet,
            kind::SUSTAIN_DOWN => gains.down * self.control(3) + self.energy,
            kind::RISE => self.net() - self.before,
            kind::FALL => self.before - self.net(),
            kind::THROUGHPUT => self.exported,
            _ => -self.unmet,
        }
    }
}

/// A linear form in the variables of one interval: `force` gathers `Σ weight · g`.
#[derive(Clone, Copy)]
pub(super) struct Force<const NU: usize> {
    pub(super) controls: [Lane; NU],
    pub(super) energy: Lane,
    pub(super) unmet: Lane,
    pub(super) before: Lane,
    pub(super) exported: Lane,
}

impl<const NU: usize> Force<NU> {
    #[inline(always)]
    pub(super) fn zero() -> Self {
        Self {
            controls: [Lane::ZERO; NU],
            energy: Lane::ZERO,
            unmet: Lane::ZERO,
            before: Lane::ZERO,
            exported: Lane::ZERO,
        }
    }

    #[inline(always)]
    pub(super) fn control(&mut self, j: usize, by: Lane) {
        if j < NU {
            self.controls[j] += by;
        }
    }

    /// On the net draw.
    #[inline(always)]
    pub(super) fn net(&mut self, by: Lane) {
        self.control(0, by);
        self.control(1, -by);
    }

    /// `+= weight · g`
    #[inline(always)]
    pub(super) fn add(&mut self, of: u32, weight: Lane, gains: &Gains) {
        match of {
            kind::CHARGE_LEAST => self.control(0, -weight),
            kind::CHARGE_MOST => self.control(0, weight),
            kind::DISCHARGE_LEAST => self.control(1, -weight),
            kind::DISCHARGE_MOST => self.control(1, weight),
            kind::UP => self.control(2, -weight),
            kind::DOWN => self.control(3, -weight),
            kind::HEADROOM_UP => {
                self.control(2, weight);
                self.net(-weight);
            }
            kind::HEADROOM_DOWN => {
                self.control(3, weight);
                self.net(weight);
            }
            kind::NEED => {
                self.energy -= weight;
                self.unmet -= weight;
            }
            kind::CAP => self.energy += weight,
            kind::SUSTAIN_UP => {
                self.control(2, gains.up * weight);
                self.energy -= weight;
                self.unmet -= weight;
            }
            kind::SUSTAIN_DOWN => {
                self.control(3, gains.down * weight);
                self.energy += weight;
            }
            kind::RISE => {
                self.net(weight);
                self.before -= weight;
            }
            kind::FALL => {
                self.net(-weight);
                self.before += weight;
            }
            kind::THROUGHPUT => self.exported += weight,
            _ => self.unmet -= weight,
        }
    }
}

/// A quadratic form in the variables of one interval: `Σ weight · g gᵀ`. Controls against controls, controls against the
/// states after the interval, those states against each other, and the net draw before it.
#[derive(Clone, Copy)]
pub(super) struct Curvature<const NX: usize, const NU: usize> {
    pub(super) controls: [[Lane; NU]; NU],
    pub(super) cross: [[Lane; NX]; NU],
    pub(super) states: [[Lane; NX]; NX],
    /// Controls against `x′`, and `x′` against itself.
    pub(super) before: [Lane; NU],
    pub(super) before_itself: Lane,
}

impl<const NX: usize, const NU: usize> Curvature<NX, NU> {
    #[inline(always)]
    pub(super) fn zero() -> Self {
        Self {
            controls: [[Lane::ZERO; NU]; NU],
            cross: [[Lane::ZERO; NX]; NU],
            states: [[Lane::ZERO; NX]; NX],
            before: [Lane::ZERO; NU],
            before_itself: Lane::ZERO,
        }
    }

    #[inline(always)]
    fn pair(&mut self, j: usize, k: usize, by: Lane) {
        if j < NU && k < NU {
            self.controls[j][k] += by;
            if j != k {
                self.controls[k][j] += by;
            }
        }
    }

    #[inline(always)]
    fn net(&mut self, weight: Lane) {
        self.pair(0, 0, weight);
        self.pair(0, 1, -weight);
        self.pair(1, 1, weight);
    }

    #[inline(always)]
    fn energy_and_unmet(&mut self, weight: Lane) {
        self.states[ENERGY][ENERGY] += weight;
        self.states[ENERGY][UNMET] += weight;
        self.states[UNMET][ENERGY] += weight;
        self.states[UNMET][UNMET] += weight;
    }

    /// `+= weight · g gᵀ`
    #[inline(always)]
    pub(super) fn add(&mut self, of: u32, weight: Lane, gains: &Gains) {
        match of {
            kind::CHARGE_LEAST | kind::CHARGE_MOST => self.pair(0, 0, weight),
            kind::DISCHARGE_LEAST | kind::DISCHARGE_MOST => self.pair(1, 1, weight),
            kind::UP => self.pair(2, 2, weight),
            kind::DOWN => self.pair(3, 3, weight),
            kind::HEADROOM_UP => {
                self.net(weight);
                self.pair(2, 2, weight);
                self.pair(0, 2, -weight);
                self.pair(1, 2, weight);
            }
            kind::HEADROOM_DOWN => {
                self.net(weight);
                self.pair(3, 3, weight);
                self.pair(0, 3, weight);
                self.pair(1, 3, -weight);
            }
            kind::NEED => self.energy_and_unmet(weight),
            kind::CAP => self.states[ENERGY][ENERGY] += weight,
            kind::SUSTAIN_UP => {
                self.energy_and_unmet(weight);
                if NU > 2 {
                    let moved = weight * gains.up;
                    self.controls[2][2] += moved * gains.up;
                    self.cross[2][ENERGY] -= moved;
                    self.cross[2][UNMET] -= moved;
                }
            }
            kind::SUSTAIN_DOWN => {
                self.states[ENERGY][ENERGY] += weight;
                if NU > 3 {
                    let moved = weight * gains.down;
                    self.controls[3][3] += moved * gains.down;
                    self.cross[3][ENERGY] += moved;
                }
            }
            kind::RISE | kind::FALL => {
                self.net(weight);
                self.before[0] -= weight;
                if NU > 1 {
                    self.before[1] += weight;
                }
                self.before_itself += weight;
            }
            kind::THROUGHPUT => {
                if NX > EXPORTED {
                    self.states[EXPORTED][EXPORTED] += weight;
                }
            }
            _ => self.states[UNMET][UNMET] += weight,
        }
    }
}
