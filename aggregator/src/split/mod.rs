//! A station's setpoint shared out over the piles with a vehicle.
//!
//! A setpoint from zero up is a ceiling. Shared out is, first, what the vehicles need: each the mean draw over a window from now
//! on with which it can still have all that it needs, at full power after the window. The window is as long as the ceiling
//! allows, the same for all (`needs_within`). Up to the departure it is each vehicle's mean rate, so that nobody becomes
//! urgent while there is room; the less there is, the shorter the window, and the more goes to those with the least time to
//! spare. What is left goes out in equal parts, but what nobody needs is stored in those who can give it back, whoever stays
//! longest first. A negative setpoint discharges those who can best spare it: first what would leave with its vehicle and is not
//! needed, whoever leaves first; and where a ceiling leaves too little for the next quarter of an hour, they give for those who
//! need it.
//!
//! That keeps every promise of the station's envelope ([`vpp_core::Flexibility`]): what it promises for an interval is at
//! least the sum of what the vehicles need within it, so the window is never shorter (`tests/promise.rs`).
//!
//! Real piles do not charge below some power: where not all can have that much, it goes by turns (`turns.rs`). Then the promise
//! cannot be kept to the watt-hour: `tests/promise.rs` says by how much it is missed under setpoints that jump each minute (less
//! than a turn's energy, by one vehicle in some hundred; a ten-thousandth of what is needed). Where some vehicles give for
//! others, they begin before those take: as much may leave the station for some seconds as the one needs that charges with most
//! or not at all.
//!
//! All in whole watts: the piles' setpoints add up to the station's exactly, unless the piles cannot take that much or not
//! that little.

mod load;
mod splitter;
mod turns;

use std::cmp::Reverse;

use vpp_core::{Power, Station, Timestamp};

use crate::site::{PileReading, PileSetpoint};

use load::Load;
pub use splitter::Splitter;

/// For so long others give for those who need it. The promise is kept for plans whose first interval is no longer.
const WINDOW_MS: i64 = 900_000;
/// Who has less time to spare than this is as urgent as who has none: else they take turns with every millisecond, and what
/// nobody has for long nobody may be raised to.
const SHORTEST_MS: i64 = 10_000;
/// What a meter may be off, at least.
const TOLERANCE: Power = Power::from_watts(200);
/// What a meter may be off, as one part in so many.
const TOLERANCE_PARTS: i64 = 20;
/// No stay is longer than this matters.
const LONGEST_MS: i64 = 366 * 86_400_000;

/// Splits `setpoint` over the piles of a station, taking for granted that each does what it is told. [`Splitter`] does not.
///
/// The piles' setpoints add up to `setpoint`, or to the most that the piles can take or give if that is less; to less where piles
/// do not charge with as little as there is. One for each reading, in the order of the readings; `out` is cleared first.
pub fn split(
    station: &Station,
    setpoint: Power,
    readings: &[PileReading],
    now: Timestamp,
    out: &mut Vec<PileSetpoint>,
) {
    let mut shares = Shares::default();
    shares.begin(readings.len());
    for reading in readings {
        shares.push(Load::of(station, reading, now));
    }
    shares.share(setpoint.as_watts());
    out.clear();
    out.extend(shares.setpoints());
}

/// Sharing in progress; kept to spare allocations.
#[derive(Clone, Debug, Default)]
struct Shares {
    loads: Vec<Load>,
    /// Scratch: positions in `loads`, in the order of the step at hand.
    order: Vec<usize>,
    /// The most that is taken out of vehicles.
    most_given: i64,
    /// What of it may leave the station for a moment although a ceiling asks for none, until others take it.
    may_leave: i64,
}

impl Shares {
    fn begin(&mut self, piles: usize) {
        self.loads.clear();
        self.loads.reserve(piles);
        (self.most_given, self.may_leave) = (i64::MAX, 0);
    }

    fn push(&mut self, load: Load) {
        self.loads.push(load);
    }

    fn setpoints(&self) -> impl Iterator<Item = PileSetpoint> {
        self.loads.iter().map(|load| PileSetpoint {
            pile: load.pile,
            // A vehicle that is nearly full takes less than the pile can be told.
            setpoint: Power::from_watts(if load.told > 0 {
                load.told.max(load.switch)
            } else {
                load.told
            }),
        })
    }

    fn sum(&self, of: impl Fn(&Load) -> i64) -> i64 {
        self.loads.iter().map(of).sum()
    }

    fn share(&mut self, setpoint: i64) {
        if self.sum(|load| load.charge) <= setpoint {
            for load in &mut self.loads {
                load.told = load.charge;
            }
            return;
        }
        let counted = self.sum(|load| load.counted);
        if counted > self.most_given {
            let (part, whole) = (
                Power::from_watts(self.most_given),
                Power::from_watts(counted),
            );
            for load in &mut self.loads {
                load.counted = Power::from_watts(load.counted)
                    .scaled(part, whole)
                    .as_watts();
            }
        }
        let window = self.window(setpoint);
        for load in &mut self.loads {
            load.told = load.needs_within(window);
        }
        let gives = |load: &Load| load.told <= 0;
        let given = self.sum(|load| if gives(load) { load.counted } else { 0 });
        // Whoever is not counted on yet begins to give, and is from then on.
        let begins = self.sum(|load| if gives(load) { load.discharge } else { 0 }) - given;
        let needed = self.sum(|load| load.told);
        let most = (setpoint + given).max(0);
        if needed > most {
            // It is too late for some: all lack the same share.
            let (part, whole) = (Power::from_watts(most), Power::from_watts(needed));
            for load in &mut self.loads {
                load.told = Power::from_watts(load.told).scaled(part, whole).as_watts();
            }
        }
        let left = setpoint - self.sum(|load| load.told);
        let left = if left > 0 { self.fill(left) } else { left };
        let soon = self.sum(|load| (self.needs_soon(load) - load.told).max(0));
        let extra = begins.min(soon - left.max(0)).max(0);
        let wanted = ((-left).max(0) + extra).min(self.most_given);
        if wanted > 0 {
            self.discharge(wanted);
        } else {
            let left = self.level(left, |load| load.required > 0);
            let left = self.store(left);
            self.level(left, |load| load.required == 0);
        }
        self.switch(setpoint);
    }

    /// The longest window within which there is enough for what is needed; up to [`WINDOW_MS`], those who need nothing within it
    /// give as well.
    fn window(&self, setpoint: i64) -> i64 {
        let needs = |window: i64| {
            self.sum(|load| match load.needs_within(window) {
                0 if window <= WINDOW_MS => -load.counted,
                need => need,
            })
        };
        if needs(LONGEST_MS) <= setpoint {
            return LONGEST_MS;
        }
        // From the longest stay on, nothing changes any more.
        let stays = self.loads.iter().map(|load| load.stay_ms);
        let (mut short, mut long) = (SHORTEST_MS, stays.max().unwrap_or(0).max(WINDOW_MS) + 1);
        // What is needed grows with the window.
        while long - short > 1 {
            let middle = short + (long - short) / 2;
            if needs(middle) <= setpoint {
                short = middle;
            } else {
                long = middle;
            }
        }
        short
    }

    /// What a pile shall have when others give for it: what is needed within the next window, and enough to begin and go on with;
    /// nothing where it cannot begin.
    fn needs_soon(&self, load: &Load) -> i64 {
        let needs = load.needs_within(WINDOW_MS);
        if needs == 0 || needs >= load.least {
            return needs;
        }
        let begins = load.reach >= load.least || load.least <= self.may_leave;
        if begins { load.least } else { 0 }
    }

    /// Gives what is left to those who need more than they have, the one with the least time to spare first; what is left of it.
    fn fill(&mut self, mut left: i64) -> i64 {
        let loads = &mut self.loads;
        self.order.clear();
        self.order
            .extend((0..loads.len()).filter(|at| loads[*at].required > loads[*at].told));
        self.order
            .sort_unstable_by_key(|at| (loads[*at].spare_ms, loads[*at].pile));
        for at in &self.order {
            let given = (loads[*at].required - loads[*at].told).min(left);
            loads[*at].told += given;
            left -= given;
        }
        left
    }

    /// Gives what is left, which nobody needs, to those who can give it back later, the one that stays longest first; what is left
    /// of it.
    fn store(&mut self, mut left: i64) -> i64 {
        let loads = &mut self.loads;
        self.order.clear();
        let stores = |load: &Load| load.returns && load.required == 0;
        self.order
            .extend((0..loads.len()).filter(|at| stores(&loads[*at])));
        self.order
            .sort_unstable_by_key(|at| (Reverse(loads[*at].stay_ms), loads[*at].pile));
        for at in &self.order {
            let given = loads[*at].room().min(left);
            loads[*at].told += given;
            left -= given;
        }
        left
    }

    /// Raises the piles that `takes` names by equal parts, each up to what it can take; what is left of `rest`.
    fn level(&mut self, mut rest: i64, takes: impl Fn(&Load) -> bool) -> i64 {
        let loads = &mut self.loads;
        self.order.clear();
        let open = |load: &Load| load.room() > 0 && takes(load);
        self.order
            .extend((0..loads.len()).filter(|at| open(&loads[*at])));
        self.order
            .sort_unstable_by_key(|at| (loads[*at].room(), loads[*at].pile));
        let mut sharers = i64::try_from(self.order.len()).unwrap_or(i64::MAX);
        for at in &self.order {
            // Rounded up, so that the odd watts go out too, one each to the first.
            let part = rest.div_euclid(sharers) + i64::from(rest % sharers > 0);
            let given = loads[*at].room().min(part);
            loads[*at].told += given;
            rest -= given;
            sharers -= 1;
        }
        rest
    }

    /// Takes so much out of those who can best spare it: first as much as they can give for a while, then all that they can.
    /// What a vehicle does not need is gone when it leaves, so whoever holds some gives first, by when it leaves.
    fn discharge(&mut self, mut wanted: i64) {
        let loads = &mut self.loads;
        self.order.clear();
        self.order
            .extend((0..loads.len()).filter(|at| loads[*at].discharge > 0 && loads[*at].told <= 0));
        let rank = |at: &usize| {
            let load = &loads[*at];
            // In windows: of two that leave together the one with more to spare.
            let leaves = match load.surplus {
                true => load.stay_ms / WINDOW_MS,
                false => i64::MAX,
            };
            (leaves, Reverse(load.merit), load.pile)
        };
        self.order.sort_unstable_by_key(rank);
        for most in [|load: &Load| load.lasting, |load: &Load| load.discharge] {
            for at in &self.order {
                let load = &mut loads[*at];
                let given = (most(load) + load.told).clamp(0, wanted.max(0));
                load.told -= given;
                wanted -= given;
            }
        }
    }

    /// Piles that were given less than that with which they charge get as much, as long as it lasts, in the order of
    /// [`turns::rank`]; the others wait.
    fn switch(&mut self, setpoint: i64) {
        let loads = &mut self.loads;
        self.order.clear();
        self.order
            .extend((0..loads.len()).filter(|at| (1..loads[*at].least).contains(&loads[*at].told)));
        if self.order.is_empty() {
            return;
        }
        self.order
            .sort_unstable_by_key(|at| turns::rank(&loads[*at]));
        let mut rest: i64 = self.order.iter().map(|at| loads[*at].told).sum();
        // What others are seen to give beyond what is needed as well; and what they are about to give, for who begins with it: a
        // raise waits until it shows, but who comes down to more than there is would not.
        let seen = |load: &Load| load.told.max(-load.counted);
        let shown = (setpoint - loads.iter().map(seen).sum::<i64>()).max(0);
        let told: i64 = loads.iter().map(|load| load.told).sum();
        let mut soon = (setpoint - told).max(0) - shown;
        rest += shown;
        for at in &self.order {
            let load = &mut loads[*at];
            load.told = if load.least <= rest { load.least } else { 0 };
            rest -= load.told;
        }
        // What one cannot begin with is offered to the others that wait.
        let waits = |load: &Load| load.told == 0 && load.charge > 0 && load.least > 0;
        self.order.clear();
        self.order
            .extend((0..loads.len()).filter(|at| waits(&loads[*at])));
        self.order
            .sort_unstable_by_key(|at| turns::rank(&loads[*at]));
        for at in &self.order {
            let load = &mut loads[*at];
            let begins = if load.reach < load.least { soon } else { 0 };
            if load.least <= rest + begins {
                load.told = load.least;
                let lent = (load.least - rest).max(0);
                soon -= lent;
                rest -= load.least - lent;
            }
        }
        let charges = |load: &Load| load.told > 0 && load.told >= load.least;
        let rest = self.level(rest, |load| charges(load) && load.required > 0);
        let rest = self.level(rest, charges);
        // What nobody can begin to charge with is not taken out of anybody: an export would exceed its limit.
        let exported = -self.sum(|load| load.told);
        self.keep(match setpoint < 0 {
            true => rest,
            false => rest.min(exported - self.may_leave).max(0),
        });
    }

    /// Takes so much less out of those who give.
    fn keep(&mut self, mut rest: i64) {
        for load in self.loads.iter_mut().filter(|load| load.told < 0) {
            let kept = rest.min(-load.told);
            load.told += kept;
            rest -= kept;
        }
    }

    /// Takes back from raises what others still draw or may still be about to draw, so that the sum keeps `setpoint` in
    /// between, whoever moves first.
    fn hold_raises(&mut self, setpoint: i64) {
        let obedient = self.loads.iter().filter(|load| !load.unruly);
        let (mut worst, mut raises) = (0, 0);
        for load in obedient {
            // A little more than told is no draw of its own.
            let tolerated =
                load.reach - load.told <= TOLERANCE.as_watts().max(load.told / TOLERANCE_PARTS);
            worst += if tolerated { load.told } else { load.reach };
            raises += (load.told - load.reach).max(0);
        }
        let excess = (worst - setpoint).min(raises);
        if excess <= 0 {
            return;
        }
        let kept = Power::from_watts(raises - excess);
        for load in self
            .loads
            .iter_mut()
            .filter(|load| !load.unruly && load.told > load.reach)
        {
            let raise = Power::from_watts(load.told - load.reach);
            // Rounded down: the sum stays below.
            load.told = load.reach + raise.scaled(kept, Power::from_watts(raises)).as_watts();
            // Not yet: it is switched on when there is room for as much as it takes.
            if (0..load.least).contains(&load.told) {
                load.told = 0;
            }
        }
    }
}
