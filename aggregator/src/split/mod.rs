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
//! Real piles do not charge below some power: where not all can have that much, it goes by turns (`turns.rs`).
//!
//! All in whole watts: the piles' setpoints add up to the station's exactly, unless the piles cannot take that much or not
//! that little.

mod splitter;
mod turns;

use std::cmp::Reverse;

use vpp_core::{Power, Station, Timestamp};

use crate::site::{PileReading, PileSetpoint};

pub use splitter::Splitter;
use turns::Standing;

/// For so long others give for those who need it. The promise is kept for plans whose first interval is no longer.
const WINDOW_MS: i64 = 900_000;
/// Who has less time to spare than this is as urgent as who has none: else they take turns with every millisecond, and what
/// nobody has for long nobody may be raised to.
const SHORTEST_MS: i64 = 10_000;
/// A vehicle gives nothing from this long before it must charge at full power, or leaves: whoever charges from it needs time to
/// come down.
const MUST_CHARGE_MS: i64 = 60_000;
/// What a meter may be off, at least.
const TOLERANCE: Power = Power::from_watts(200);
/// What a meter may be off, as one part in so many.
const TOLERANCE_PARTS: i64 = 20;
/// What is less than a watt-hour is not worth a session.
const NEGLIGIBLE_WATT_MS: i64 = 3_600_000;
/// No stay is longer than this matters.
const LONGEST_MS: i64 = 366 * 86_400_000;

/// Splits `setpoint` over the piles of a station, taking for granted that each does what it is told. [`Splitter`] does not.
///
/// The piles' setpoints add up to `setpoint`, or to the most that the piles can take or give if that is less; to less where piles
/// do not charge with as little as there is. One for
/// each reading, in the order of the readings; `out` is cleared first.
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

/// One pile, in watts.
#[derive(Clone, Copy, Debug)]
struct Load {
    pile: u32,
    /// The most that it takes.
    charge: i64,
    /// The least that it charges with; less is nothing. At most `charge`.
    least: i64,
    /// The least that the pile can be told.
    switch: i64,
    /// The most that it gives.
    discharge: i64,
    /// The most that it can give for a whole window.
    lasting: i64,
    /// The most that it can give so that it does not end all at once: less and less of it in the last minute.
    gentle: i64,
    /// What of it is counted on when others are to charge from it.
    counted: i64,
    /// How long the vehicle stays.
    stay_ms: i64,
    /// How long it can wait before it must charge at full power; negative when it is too late.
    spare_ms: i64,
    /// Mean draw until departure with which it leaves with what it needs; at most `charge`.
    required: i64,
    /// How well it can spare energy; the highest gives first.
    merit: u32,
    /// It can give back what it takes.
    returns: bool,
    /// It holds more than it needs.
    surplus: bool,
    /// It does what it wants: nothing is shared out to it.
    unruly: bool,
    /// What it draws or may still come to draw of what it was told before.
    reach: i64,
    standing: Standing,
    told: i64,
}

impl Load {
    fn of(station: &Station, reading: &PileReading, now: Timestamp) -> Load {
        let session = &reading.session;
        let stay_ms = (session.departure - now).num_milliseconds();
        let stay_ms = stay_ms.clamp(0, LONGEST_MS);
        let full = session.energy_room.as_watt_milliseconds() < NEGLIGIBLE_WATT_MS;
        let charge = if full {
            0
        } else {
            session.max_charge.as_watts().max(0)
        };
        let needed = session.energy_needed.as_watt_milliseconds();
        let drawn = scaled(needed, 1.0 / station.charge_efficiency);
        // Whoever should have left is owed nothing any more: it shares in what is left over.
        let needs = needed > 0 && charge > 0 && stay_ms > 0;
        let spare_ms = match needs {
            true => stay_ms - drawn / charge,
            false => stay_ms,
        };
        let required = match needs {
            true => (drawn / stay_ms.max(1)).saturating_add(1).min(charge),
            false => 0,
        };
        let available = session.energy_available.as_watt_milliseconds();
        let spares = available >= NEGLIGIBLE_WATT_MS && spare_ms > MUST_CHARGE_MS;
        let discharge = if spares {
            session.max_discharge.as_watts().max(0)
        } else {
            0
        };
        // What is taken out within the window is put back at full power after it, as far as it must be.
        let back = i128::from(spare_ms - WINDOW_MS).max(0) * i128::from(charge);
        let back = scaled(
            i64::try_from(back).unwrap_or(i64::MAX),
            station.charge_efficiency,
        );
        let spared = back.saturating_add((-needed).max(0));
        let given = scaled(available.min(spared), station.discharge_efficiency);
        Load {
            pile: reading.pile,
            charge,
            least: reading.min_charge.as_watts().clamp(0, charge),
            switch: reading.min_charge.as_watts(),
            discharge,
            lasting: discharge.min(given / WINDOW_MS),
            gentle: discharge.min(scaled(available, station.discharge_efficiency) / MUST_CHARGE_MS),
            counted: discharge,
            stay_ms,
            spare_ms,
            required,
            merit: merit(available, spare_ms),
            returns: session.max_discharge > Power::ZERO,
            surplus: needed <= -NEGLIGIBLE_WATT_MS,
            unruly: false,
            reach: reading.active_power.as_watts(),
            standing: Standing::default(),
            told: 0,
        }
    }

    /// One to which nothing is shared out.
    fn unruly(reading: &PileReading) -> Load {
        Load {
            pile: reading.pile,
            charge: 0,
            least: 0,
            switch: 0,
            discharge: 0,
            lasting: 0,
            gentle: 0,
            counted: 0,
            stay_ms: 0,
            spare_ms: 0,
            required: 0,
            merit: 0,
            returns: false,
            surplus: false,
            unruly: true,
            reach: reading.active_power.as_watts(),
            standing: Standing::default(),
            told: 0,
        }
    }

    /// Kept switched off: it takes no part in what is shared out.
    fn wait(&mut self) {
        self.charge = 0;
        self.required = 0;
        self.least = 0;
    }

    fn room(&self) -> i64 {
        self.charge - self.told
    }

    /// Mean draw over a window from now on with which it can still have what it needs, at full power after that.
    fn needs_within(&self, window_ms: i64) -> i64 {
        if self.required == 0 || self.stay_ms <= window_ms {
            return self.required;
        }
        let busy = i128::from((window_ms - self.spare_ms).clamp(0, window_ms));
        let mean = i128::from(self.charge) * busy / i128::from(window_ms);
        i64::try_from(mean).unwrap_or(self.charge)
    }
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // a share of a watt-millisecond in a gigawatt-hour
fn scaled(value: i64, factor: f64) -> i64 {
    (value as f64 * factor) as i64
}

/// Energy × time to spare, on a scale of eighths of an octave. Coarse, because giving lowers it: with fine steps two equal
/// vehicles would take turns every second.
fn merit(available: i64, spare_ms: i64) -> u32 {
    let product = i128::from(available.max(0)) * i128::from(spare_ms.max(0));
    let Some(octave) = product.checked_ilog2() else {
        return 0;
    };
    // The three bits below the leading one.
    let eighth = match octave {
        3.. => (product >> (octave - 3)) & 7,
        _ => 0,
    };
    octave * 8 + u32::try_from(eighth).unwrap_or(0)
}

/// Sharing in progress; kept to spare allocations.
#[derive(Clone, Debug, Default)]
struct Shares {
    loads: Vec<Load>,
    /// Scratch: positions in `loads`, in the order of the step at hand.
    order: Vec<usize>,
    /// The most that is taken out of vehicles.
    most_given: i64,
}

impl Shares {
    fn begin(&mut self, piles: usize) {
        self.loads.clear();
        self.loads.reserve(piles);
        self.most_given = i64::MAX;
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
        let soon = self.sum(|load| (load.needs_within(WINDOW_MS) - load.told).max(0));
        let extra = begins.min(soon - left.max(0)).max(0);
        let wanted = ((-left).max(0) + extra).min(self.most_given);
        if wanted > 0 {
            self.discharge(wanted);
        } else {
            let left = self.level(left, |load| load.required > 0);
            let left = self.store(left);
            self.level(left, |load| load.required == 0);
        }
        self.switch();
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
        let (mut short, mut long) = (SHORTEST_MS, LONGEST_MS);
        if needs(long) <= setpoint {
            return long;
        }
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
    fn switch(&mut self) {
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
            if load.least <= rest {
                load.told = load.least;
                rest -= load.told;
            }
        }
        let charges = |load: &Load| load.told > 0 && load.told >= load.least;
        let rest = self.level(rest, |load| charges(load) && load.required > 0);
        let rest = self.level(rest, charges);
        self.keep(rest);
    }

    /// What nobody can begin to charge with is not taken out of anybody: an export would exceed its limit.
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
