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
//! power or the bounds on what is stored before and after it ([`Ranges::add_most_of_all`]).

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

    /// The most that each set of intervals can receive together, added to `sums`, where a set's intervals are the bits of its
    /// place. It is the cheapest way of bounding each interval by its power or by what is stored before and after it. Up to an
    /// interval a set's way is that of all others that hold the same intervals until then.
    pub(super) fn add_most_of_all(&self, sums: &mut [f64; 1 << MOST_INTERVALS]) {
        // Cheapest ways to here: bound by power, bound by storage.
        let (mut power, mut storage) = ([0.0; 1 << MOST_INTERVALS], [0.0; 1 << MOST_INTERVALS]);
        for t in 0..self.intervals {
            let ((up, _), (_, down)) = (self.costs(1 << t, t), self.costs(0, t));
            let (upper, lower) = (self.upper[t], self.lower[t]);
            let (without, with) = power.split_at_mut(1 << t);
            let (stored_without, stored_with) = storage.split_at_mut(1 << t);
            let sets = without
                .iter_mut()
                .zip(with)
                .zip(stored_without.iter_mut().zip(stored_with));
            for ((without, with), (stored_without, stored_with)) in sets {
                let (by_power, by_storage) = (*without + up, *stored_without);
                *with = f64::min(by_power, by_storage + upper);
                *stored_with = f64::min(by_storage, by_power - lower);
                let (by_power, by_storage) = (*without, *stored_without + down);
                *without = f64::min(by_power, by_storage + upper);
                *stored_without = f64::min(by_storage, by_power - lower);
            }
        }
        for (sum, most) in sums.iter_mut().zip(&power[..1 << self.intervals]) {
            *sum += most;
        }
    }

    /// What bounding an interval by its power, or by what is stored before and after it, adds to the bound.
    fn costs(&self, set: u32, t: usize) -> (f64, f64) {
        if set >> t & 1 == 1 {
            (self.up[t], 0.0)
        } else {
            (0.0, self.down[t])
        }
    }

    /// The most that a set can receive, with what bounds it.
    fn certificate(&self, set: u32) -> Certificate {
        let mut cheapest = [(0.0, [false; MOST_INTERVALS]); 2];
        for t in 0..self.intervals {
            let (power_cost, storage_cost) = self.costs(set, t);
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

    /// The bound by what is stored alone, before and after each run of intervals of a set.
    fn by_storage(&self, set: u32) -> Certificate {
        let mut certificate = Certificate {
            value: 0.0,
            by_storage: std::array::from_fn(|t| t < self.intervals && set >> t & 1 == 1),
        };
        let mut whole = *self;
        let held = certificate;
        whole.each(set, &held, |bound| {
            certificate.value += bound.sign * *bound.value;
        });
        certificate
    }

    /// Draws ranges in towards a course inside of them, until a set of intervals receives no more than `most`; the course must
    /// not either. Nothing is widened. First what is easily spared, of later intervals; what can be done in the first interval
    /// last. `spared` says which of the bounds on what is stored, and on power, are not easily spared: the lower or the upper.
    fn tighten(&mut self, set: u32, most: f64, course: &Course, spared: Side) {
        let first = self.certificate(set);
        if first.value <= most {
            return;
        }
        // A bound on power is not drawn in beyond nothing at all: where that would be needed, what is stored is bounded.
        let mut room = 0.0;
        let mut copy = *self;
        copy.each(set, &first, |bound| room += bound.slack(course));
        let certificate = if first.value - room <= most {
            first
        } else {
            self.by_storage(set)
        };
        let mut excess = certificate.value - most;
        for stage in 0..3 {
            let mut slack = 0.0;
            let mut copy = *self;
            copy.each(set, &certificate, |bound| {
                if bound.stage(spared) == stage {
                    slack += bound.slack(course);
                }
            });
            if excess <= 0.0 || slack <= 0.0 {
                continue;
            }
            let share = (1.0 - excess / slack).max(0.0);
            self.each(set, &certificate, |bound| {
                if bound.stage(spared) == stage {
                    let towards = bound.towards(course);
                    *bound.value = towards + share * (*bound.value - towards);
                }
            });
            excess -= slack * (1.0 - share);
        }
    }

    /// The bounds that make up a certificate.
    fn each(&mut self, set: u32, certificate: &Certificate, mut look: impl FnMut(Bound<'_>)) {
        for t in 0..self.intervals {
            let storage = certificate.by_storage[t];
            let next = t + 1 < self.intervals && certificate.by_storage[t + 1];
            let power = match (set >> t & 1 == 1, storage) {
                (true, false) => Some((Side::Upper, &mut self.up[t], 1.0)),
                (false, true) => Some((Side::Lower, &mut self.down[t], 1.0)),
                _ => None,
            };
            if let Some((side, value, sign)) = power {
                let stored = false;
                look(Bound {
                    t,
                    side,
                    stored,
                    value,
                    sign,
                });
            }
            let stored = match (storage, next) {
                (true, false) => Some((Side::Upper, &mut self.upper[t], 1.0)),
                (false, true) => Some((Side::Lower, &mut self.lower[t], -1.0)),
                _ => None,
            };
            if let Some((side, value, sign)) = stored {
                let stored = true;
                look(Bound {
                    t,
                    side,
                    stored,
                    value,
                    sign,
                });
            }
        }
    }

    /// Draws the ranges of many together in until no set of intervals is promised more than the sum of what the `parts` can
    /// receive in it; `course` is the sum of courses inside of the parts.
    pub(super) fn promise(&mut self, parts: &[Ranges], course: &Course, spared: Side) {
        if parts.len() < 2 {
            return;
        }
        let mut most = [0.0; 1 << MOST_INTERVALS];
        for part in parts {
            part.add_most_of_all(&mut most);
        }
        // Drawing in only lowers what sets receive: those that are promised no more from the start are done.
        let mut now = [0.0; 1 << MOST_INTERVALS];
        self.add_most_of_all(&mut now);
        for set in 1_u32..1 << self.intervals {
            let most = most[set as usize];
            if now[set as usize] > most {
                self.tighten(set, most, course, spared);
            }
        }
    }
}

/// Which bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Lower,
    Upper,
}

/// A bound as part of a certificate.
struct Bound<'a> {
    t: usize,
    side: Side,
    /// On what is stored, rather than on power.
    stored: bool,
    value: &'a mut f64,
    sign: f64,
}

impl Bound<'_> {
    /// Where it may be drawn in to.
    fn towards(&self, course: &Course) -> f64 {
        match (self.stored, self.side) {
            (true, _) => course.stored[self.t],
            (false, Side::Upper) => course.energy[self.t].max(0.0),
            (false, Side::Lower) => (-course.energy[self.t]).max(0.0),
        }
    }

    /// How much that takes off the certificate.
    fn slack(&self, course: &Course) -> f64 {
        (self.sign * (*self.value - self.towards(course))).max(0.0)
    }

    /// How early it is drawn in.
    fn stage(&self, spared: Side) -> u32 {
        match (self.t, self.side == spared) {
            (0, _) => 2,
            (_, true) => 1,
            (_, false) => 0,
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
}
