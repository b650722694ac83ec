//! A station's setpoint shared out over the piles with a vehicle.
//!
//! A setpoint from zero up is a ceiling. First the vehicles that must charge now to leave with what they need, the most
//! urgent first; then each vehicle's mean rate until departure, so that nobody becomes urgent while there is room; then
//! equal parts. A negative setpoint discharges those who can best spare it.
//!
//! All in whole watts: the piles' setpoints add up to the station's exactly, unless the piles cannot take that much.

mod splitter;

use vpp_core::{Power, Timestamp};

use crate::site::{PileReading, PileSetpoint};

pub use splitter::Splitter;

/// A vehicle charges at full power from this long before it would be too late.
const CHARGE_MARGIN_MS: i64 = 60_000;
/// A vehicle is discharged only while it has this long to spare, so that it does not turn urgent the next moment.
const DISCHARGE_MARGIN_MS: i64 = 300_000;
/// Share of the drawn energy that is counted on to reach the battery, in percent. Readings do not state it; this is on the
/// safe side of common chargers.
const EFFICIENCY_PERCENT: i64 = 90;
/// What is less than a watt-hour is not worth a session.
const NEGLIGIBLE_WATT_MS: i64 = 3_600_000;

/// Splits `setpoint` over the piles, taking for granted that each does what it is told. [`Splitter`] does not.
///
/// The piles' setpoints add up to `setpoint`, or to the most that the piles can take or give if that is less. One for
/// each reading, in the order of the readings; `out` is cleared first.
pub fn split(
    setpoint: Power,
    readings: &[PileReading],
    now: Timestamp,
    out: &mut Vec<PileSetpoint>,
) {
    let mut shares = Shares::default();
    shares.begin(readings.len());
    for reading in readings {
        shares.push(Load::of(reading, now));
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
    /// The most that it gives.
    discharge: i64,
    /// Mean draw until departure with which the vehicle leaves with what it needs; at most `charge`.
    required: i64,
    /// Whole minutes to spare before it must charge at full power. Minutes, because of two vehicles with the same
    /// urgency the one that waits becomes the more urgent: in milliseconds they would take turns every second.
    spare_minutes: i64,
    must_charge: bool,
    /// How well it can spare energy; the highest gives first.
    merit: u32,
    /// It does what it wants: nothing is shared out to it.
    unruly: bool,
    /// What it draws or may still come to draw of what it was told before.
    reach: i64,
    told: i64,
}

impl Load {
    fn of(reading: &PileReading, now: Timestamp) -> Load {
        let session = &reading.session;
        let left_ms = (session.departure - now).num_milliseconds().max(0);
        let full = session.energy_room.as_watt_milliseconds() < NEGLIGIBLE_WATT_MS;
        let charge = if full {
            0
        } else {
            session.max_charge.as_watts().max(0)
        };
        let needed = session.energy_needed.as_watt_milliseconds();
        let drawn = needed.saturating_mul(100) / EFFICIENCY_PERCENT;
        let needs = needed > 0 && charge > 0;
        let spare_ms = match needs {
            true => left_ms - drawn / charge,
            false => left_ms,
        };
        let available = session.energy_available.as_watt_milliseconds();
        let spares = available >= NEGLIGIBLE_WATT_MS && spare_ms > DISCHARGE_MARGIN_MS;
        let discharge = if spares {
            session.max_discharge.as_watts().max(0)
        } else {
            0
        };
        Load {
            pile: reading.pile,
            charge,
            discharge,
            required: match needs {
                true => (drawn / left_ms.max(1)).saturating_add(1).min(charge),
                false => 0,
            },
            spare_minutes: spare_ms.div_euclid(60_000),
            must_charge: needs && spare_ms <= CHARGE_MARGIN_MS,
            merit: merit(available, spare_ms),
            unruly: false,
            reach: reading.active_power.as_watts(),
            told: 0,
        }
    }

    fn unruly(reading: &PileReading) -> Load {
        Load {
            pile: reading.pile,
            charge: 0,
            discharge: 0,
            required: 0,
            spare_minutes: 0,
            must_charge: false,
            merit: 0,
            unruly: true,
            reach: reading.active_power.as_watts(),
            told: 0,
        }
    }

    fn room(&self) -> i64 {
        self.charge - self.told
    }
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
}

impl Shares {
    fn begin(&mut self, piles: usize) {
        self.loads.clear();
        self.loads.reserve(piles);
    }

    fn push(&mut self, load: Load) {
        self.loads.push(load);
    }

    fn setpoints(&self) -> impl Iterator<Item = PileSetpoint> {
        self.loads.iter().map(|load| PileSetpoint {
            pile: load.pile,
            setpoint: Power::from_watts(load.told),
        })
    }

    fn share(&mut self, setpoint: i64) {
        if setpoint < 0 {
            self.discharge(-setpoint);
        } else {
            self.charge(setpoint);
        }
    }

    /// Shares a ceiling out.
    fn charge(&mut self, ceiling: i64) {
        let total: i64 = self.loads.iter().map(|load| load.charge).sum();
        if total <= ceiling {
            for load in &mut self.loads {
                load.told = load.charge;
            }
            return;
        }
        let left = self.charge_urgent(ceiling);
        let left = self.fill(left, |load| load.required - load.told);
        let left = self.level(left, |load| load.required > 0);
        self.level(left, |load| load.required == 0);
    }

    /// Gives vehicles that must charge their full power, up to `ceiling`; what is left of it.
    fn charge_urgent(&mut self, ceiling: i64) -> i64 {
        self.fill(
            ceiling,
            |load| if load.must_charge { load.room() } else { 0 },
        )
    }

    /// Gives each pile what it lacks, those with the least time to spare first; what is left of `rest`.
    fn fill(&mut self, mut rest: i64, lack: impl Fn(&Load) -> i64) -> i64 {
        let loads = &mut self.loads;
        self.order.clear();
        self.order
            .extend((0..loads.len()).filter(|at| lack(&loads[*at]) > 0));
        let lacking: i64 = self.order.iter().map(|at| lack(&loads[*at])).sum();
        if lacking > rest {
            self.order
                .sort_unstable_by_key(|at| (loads[*at].spare_minutes, loads[*at].pile));
        }
        for at in &self.order {
            let given = lack(&loads[*at]).min(rest);
            loads[*at].told += given;
            rest -= given;
        }
        rest
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

    /// Brings the sum to `-export`. Vehicles that must charge do so as long as the others can give that as well.
    fn discharge(&mut self, export: i64) {
        let supply: i64 = self.loads.iter().map(|load| load.discharge).sum();
        let for_charging = (supply - export).max(0);
        let unused = self.charge_urgent(for_charging);
        let mut wanted = export.min(supply) + (for_charging - unused);
        let loads = &mut self.loads;
        self.order.clear();
        self.order
            .extend((0..loads.len()).filter(|at| loads[*at].discharge > 0));
        if supply > wanted {
            let rank = |at: &usize| (std::cmp::Reverse(loads[*at].merit), loads[*at].pile);
            self.order.sort_unstable_by_key(rank);
        }
        for at in &self.order {
            let given = loads[*at].discharge.min(wanted);
            loads[*at].told -= given;
            wanted -= given;
        }
    }

    /// Takes back from raises what others still draw or may still be about to draw, so that the sum keeps `setpoint` in
    /// between, whoever moves first.
    fn hold_raises(&mut self, setpoint: i64) {
        let obedient = self.loads.iter().filter(|load| !load.unruly);
        let (mut worst, mut raises) = (0, 0);
        for load in obedient {
            worst += load.told.max(load.reach);
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
        }
    }
}
