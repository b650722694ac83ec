//! Ranges of power and stored energy over a few intervals: of one vehicle, and of many together.
//!
//! What a vehicle may do is a set of energies `x` (kWh into its battery in each interval, negative for what is taken out):
//!
//! ```text
//! −down[t] ≤ x[t] ≤ up[t],    lower[t] ≤ x[0] + … + x[t] ≤ upper[t]
//! ```
//!
//! Such a set is a generalized polymatroid: it is described completely by the most and the least that any *set S of intervals*
//! can receive together, and of a sum of such sets these bounds are just the sums (Frank and Tardos 1988, "Generalized
//! polymatroids and submodular flows"; for vehicles Mukhi, Loho and Abate 2025, "Exact characterization of aggregate
//! flexibility via generalized polymatroids"). So what vehicles can do together is known exactly: a course of energies can be
//! shared out among them if and only if it keeps, for every set of intervals, the sum of their bounds.
//!
//! The most that a set of intervals can receive is the least cost of a path through two states, an interval's bounds on its
//! power or the bounds on what is stored before and after it ([`Ranges::most`]).

/// At most so many intervals: sets of them are bits of a number, and all are looked at.
pub(super) const MOST_INTERVALS: usize = 6;

/// Ranges over at most [`MOST_INTERVALS`] intervals, kWh at the battery.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Ranges {
    pub(super) intervals: usize,
    /// The most that each interval takes.
    pub(super) up: [f64; MOST_INTERVALS],
    /// The most that each interval gives, as a magnitude.
    pub(super) down: [f64; MOST_INTERVALS],
    /// The least that is stored at the end of each interval, counted from the start.
    pub(super) lower: [f64; MOST_INTERVALS],
    /// The most.
    pub(super) upper: [f64; MOST_INTERVALS],
}

/// A course of energies inside some ranges, and what is stored by it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Course {
    pub(super) energy: [f64; MOST_INTERVALS],
    pub(super) stored: [f64; MOST_INTERVALS],
}

/// What bounds the energy of a set of intervals: for each interval whether what is stored before and after it does, rather
/// than its own power.
#[derive(Clone, Copy, Debug)]
struct Certificate {
    value: f64,
    by_storage: [bool; MOST_INTERVALS],
}

impl Ranges {
    /// The same of many together, as far as ranges can tell: more than they can do.
    pub(super) fn add(&mut self, other: &Ranges) {
        self.intervals = other.intervals;
        for t in 0..other.intervals {
            self.up[t] += other.up[t];
            self.down[t] += other.down[t];
            self.lower[t] += other.lower[t];
            self.upper[t] += other.upper[t];
        }
    }

    /// Seen in the mirror: what is given is what is taken.
    pub(super) fn mirrored(&self) -> Ranges {
        let negated = |values: &[f64; MOST_INTERVALS]| values.map(|value| -value);
        Ranges {
            intervals: self.intervals,
            up: self.down,
            down: self.up,
            lower: negated(&self.upper),
            upper: negated(&self.lower),
        }
    }

    /// Half way between the earliest and the latest course.
    pub(super) fn middle(&self) -> Course {
        let mut course = Course::default();
        let mut before = 0.0;
        for t in 0..self.intervals {
            course.stored[t] = 0.5 * (self.lower[t] + self.upper[t]);
            course.energy[t] = course.stored[t] - before;
            before = course.stored[t];
        }
        course
    }

    /// The most that a set of intervals can receive together; its intervals are the bits of `set`.
    pub(super) fn most(&self, set: u32) -> f64 {
        // Cheapest ways to here: bound by power, bound by storage.
        let (mut power, mut storage) = (0.0, 0.0);
        for t in 0..self.intervals {
            let (by_power, by_storage) = self.costs(set, t);
            let (now_power, now_storage) = (power + by_power, storage + by_storage);
            power = f64::min(now_power, now_storage + self.upper[t]);
            storage = f64::min(now_storage, now_power - self.lower[t]);
        }
        power
    }

    /// What bounding an interval by its power, or by what is stored before and after it, adds to the bound.
    fn costs(&self, set: u32, t: usize) -> (f64, f64) {
        if set >> t & 1 == 1 {
            (self.up[t], 0.0)
        } else {
            (0.0, self.down[t])
        }
    }

    /// [`Ranges::most`] with what bounds it. Without `by_power` no interval of the set is bounded by its own power.
    fn certificate(&self, set: u32, by_power: bool) -> Certificate {
        let mut cheapest = [(0.0, [false; MOST_INTERVALS]); 2];
        for t in 0..self.intervals {
            let (mut power_cost, storage_cost) = self.costs(set, t);
            if !by_power && set >> t & 1 == 1 {
                power_cost = f64::INFINITY;
            }
            let [mut power, mut storage] = cheapest;
            power.0 += power_cost;
            power.1[t] = false;
            storage.0 += storage_cost;
            storage.1[t] = true;
            let (left, entered) = (storage.0 + self.upper[t], power.0 - self.lower[t]);
            cheapest[0] = if left < power.0 {
                (left, storage.1)
            } else {
                power
            };
            cheapest[1] = if entered < storage.0 {
                (entered, power.1)
            } else {
                storage
            };
        }
        let (value, by_storage) = cheapest[0];
        Certificate { value, by_storage }
    }

    /// Draws ranges in towards a course inside of them, until a set of intervals receives no more than `most`; the course must
    /// not either. Nothing is widened.
    pub(super) fn tighten(&mut self, set: u32, most: f64, course: &Course) {
        let keeps = course.sum(set, self.intervals);
        let goal = (most - keeps).max(0.0);
        let first = self.certificate(set, true);
        if first.value <= most {
            return;
        }
        // A bound on power is not drawn in beyond nothing at all: where that would be needed, what is stored is bounded.
        let share = goal / (first.value - keeps);
        let beyond = |t: usize| {
            let power = set >> t & 1 == 1 && !first.by_storage[t];
            power && course.energy[t] + share * (self.up[t] - course.energy[t]) < 0.0
        };
        let certificate = if (0..self.intervals).any(beyond) {
            self.certificate(set, false)
        } else {
            first
        };
        let slack = certificate.value - keeps;
        let share = if slack > 0.0 {
            (goal / slack).min(1.0)
        } else {
            1.0
        };
        let draw = |bound: &mut f64, towards: f64| *bound = towards + share * (*bound - towards);
        for t in 0..self.intervals {
            match (set >> t & 1 == 1, certificate.by_storage[t]) {
                (true, false) => draw(&mut self.up[t], course.energy[t]),
                (false, true) => draw(&mut self.down[t], -course.energy[t]),
                _ => {}
            }
            let next = t + 1 < self.intervals && certificate.by_storage[t + 1];
            match (certificate.by_storage[t], next) {
                (true, false) => draw(&mut self.upper[t], course.stored[t]),
                (false, true) => draw(&mut self.lower[t], course.stored[t]),
                _ => {}
            }
        }
    }

    /// Draws the ranges of many together in until whatever keeps them can be shared out among the `parts`; `course` is the sum
    /// of courses inside of the parts.
    pub(super) fn promise(&mut self, parts: &[Ranges], course: &Course) {
        if parts.len() < 2 {
            return;
        }
        let sets = 1_u32 << self.intervals;
        for set in 1..sets {
            let most: f64 = parts.iter().map(|part| part.most(set)).sum();
            self.tighten(set, most, course);
        }
    }
}

impl Course {
    pub(super) fn add(&mut self, other: &Course) {
        for t in 0..MOST_INTERVALS {
            self.energy[t] += other.energy[t];
            self.stored[t] += other.stored[t];
        }
    }

    pub(super) fn mirrored(&self) -> Course {
        Course {
            energy: self.energy.map(|energy| -energy),
            stored: self.stored.map(|stored| -stored),
        }
    }

    fn sum(&self, set: u32, intervals: usize) -> f64 {
        (0..intervals)
            .filter(|t| set >> t & 1 == 1)
            .map(|t| self.energy[t])
            .sum()
    }
}
