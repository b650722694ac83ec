//! A vehicle's stay at a pile.

use serde::{Deserialize, Serialize};
use vpp_aggregator::BatteryReading;
use vpp_core::{Cause, Energy, Power, Session, Timestamp, VehicleId};

use super::battery::{Battery, Efficiency};
use super::missed::Missed;

/// What is less than a watt-hour is nothing: it would keep a pile switched on for a second.
const NEGLIGIBLE: i64 = Session::NEGLIGIBLE.as_watt_milliseconds();
/// Of all cells; no weather is simulated.
const CELLS_C: f64 = 25.0;

/// A pile as it is built.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub(super) struct PileModel {
    /// Alternating current, slow.
    pub(super) is_ac: bool,
    /// The most that it draws, watts.
    pub(super) rated: i64,
    /// The least that it charges with, watts: told less, it is off.
    pub(super) least: i64,
    /// The most that it exports, watts.
    pub(super) discharge: i64,
    /// How fast its power changes, watts per second.
    pub(super) ramp: i64,
    /// Whether it follows setpoints. One that does not charges at full power.
    pub(super) obeys: bool,
}

impl PileModel {
    /// A slow pile that only charges is not told of the battery.
    fn reads_batteries(&self) -> bool {
        !self.is_ac || self.discharge > 0
    }
}

/// A vehicle plugged in.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub(super) struct Vehicle {
    /// A name for this stay; whoever comes again has another.
    pub(super) id: VehicleId,
    /// Number of the pile.
    pub(super) pile: u32,
    /// When it leaves, milliseconds of the epoch.
    pub(super) departure: i64,
    pub(super) battery: Battery,
    /// State of charge above which its maker does not let it be charged.
    pub(super) soc_ceiling: f64,
    /// What the battery shall hold when it leaves.
    pub(super) wanted: i64,
    /// Whether anybody is told when it leaves and what it needs.
    pub(super) says: bool,
    /// Its pile was seen to draw more than it was told, in long steps.
    pub(super) defies: bool,
    /// Whether its owner lets it be discharged.
    pub(super) consents: bool,
    /// What the pile was told, watts.
    pub(super) told: i64,
    /// What it draws, watts.
    pub(super) power: i64,
    /// When it was first seen, milliseconds of the epoch.
    pub(super) came: i64,
    /// Whether it was discharged during this stay.
    pub(super) gave: bool,
    /// What it can no longer be given until it leaves, and why.
    pub(super) missed: Missed,
}

impl Vehicle {
    /// The most that pile and vehicle draw now.
    pub(super) fn max_charge(&self, pile: &PileModel) -> i64 {
        match self.battery.room() < NEGLIGIBLE {
            true => 0,
            false => self.battery.charge_power().min(pile.rated),
        }
    }

    /// The most that they draw, now or once they have given: one that is full and gives can take it back.
    pub(super) fn takes_back(&self, pile: &PileModel) -> i64 {
        match self.max_discharge(pile) > 0 {
            true => self.battery.charge_power().min(pile.rated),
            false => self.max_charge(pile),
        }
    }

    /// The most that they export now.
    pub(super) fn max_discharge(&self, pile: &PileModel) -> i64 {
        match self.consents && self.battery.available() >= NEGLIGIBLE {
            true => self.battery.power.min(pile.discharge),
            false => 0,
        }
    }

    /// What it still needs; negative: what it may leave without.
    pub(super) fn lacks(&self, available: i64) -> i64 {
        let lacks = self.wanted - self.battery.stored;
        if lacks.abs() < NEGLIGIBLE {
            0
        } else {
            lacks.max(-available)
        }
    }

    /// Lives through `length_ms`, for the last moments only as long as it stays.
    pub(super) fn run(
        &mut self,
        pile: &PileModel,
        now: i64,
        length_ms: i64,
        efficiency: Efficiency,
    ) -> Moved {
        let length_ms = length_ms.min(self.departure - now);
        if length_ms <= 0 {
            self.power = 0;
            return Moved::default();
        }
        let (low, high) = (-self.max_discharge(pile), self.max_charge(pile));
        let goal = self.goal(pile);
        let step = wide_step(pile.ramp, length_ms);
        let ramped = self.power + (goal - self.power).clamp(-step, step);
        // A full battery or an empty one stops at once, whatever the ramp.
        let before = self.battery.stored;
        self.power = self
            .battery
            .run(ramped.clamp(low, high), length_ms, efficiency);
        Moved {
            at_grid: self.power * length_ms,
            stored: self.battery.stored - before,
        }
    }

    /// What it will draw now, once it had time to ramp.
    pub(super) fn goal(&self, pile: &PileModel) -> i64 {
        let (low, high) = (-self.max_discharge(pile), self.max_charge(pile));
        if !pile.obeys {
            return high;
        }
        let off = (0..pile.least).contains(&self.told);
        if off { 0 } else { self.told.clamp(low, high) }
    }

    /// It has just come: what it cannot be given from the start.
    pub(super) fn begin(&mut self, pile: &PileModel, now: i64, efficiency: Efficiency) {
        let lacks = (self.wanted - self.battery.stored).max(0);
        let forbidden = match pile.reads_batteries() {
            true => lacks - self.room_to_ceiling().min(lacks),
            false => 0,
        };
        let whole = self.beyond_help(pile, now, efficiency);
        self.missed = Missed::at_arrival(forbidden, whole);
    }

    /// It has lived up to `now`; `alone`: without anybody outside in charge.
    pub(super) fn miss(&mut self, pile: &PileModel, now: i64, efficiency: Efficiency, alone: bool) {
        let whole = self.beyond_help(pile, now, efficiency);
        let held = || pile.obeys && self.told < self.max_charge(pile);
        let cause = || match (held(), alone) {
            (false, _) => None,
            (true, true) => Some(Cause::OwnControl),
            (true, false) => Some(Cause::Ceiling),
        };
        let mut missed = self.missed;
        missed.grow(whole, cause);
        self.missed = missed;
    }

    /// Of what it lacks, what pile, battery and maker do not let it be given any more until it leaves.
    fn beyond_help(&self, pile: &PileModel, now: i64, efficiency: Efficiency) -> i64 {
        let lacks = self.wanted - self.battery.stored;
        let left = self.departure - now;
        if lacks <= 0 {
            return 0;
        }
        // Where the battery is not read, no ceiling can be kept.
        let allowed = match pile.reads_batteries() {
            true => self.room_to_ceiling(),
            false => i64::MAX,
        };
        if allowed >= lacks && (self.battery).surely_takes(lacks, pile.rated, left, efficiency) {
            return 0;
        }
        let takes = self.battery.deliverable(pile.rated, left, efficiency);
        (lacks - takes.min(allowed)).max(0)
    }

    /// What its maker lets be put in, watt-milliseconds.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // far below 2^53
    fn room_to_ceiling(&self) -> i64 {
        if self.soc_ceiling >= 1.0 {
            return i64::MAX;
        }
        let ceiling = (self.soc_ceiling * self.battery.capacity as f64) as i64;
        (ceiling - self.battery.stored).max(0)
    }

    /// With what it can be charged for so long without going beyond what its maker allows.
    pub(super) fn may_charge(&self, length_ms: i64, efficiency: Efficiency) -> i64 {
        match self.room_to_ceiling() {
            i64::MAX => i64::MAX,
            room => efficiency.drawn(room) / length_ms.max(1),
        }
    }

    /// Lives with its goal through a time that is long beside delays and ramps, which are left out.
    pub(super) fn run_long(
        &mut self,
        pile: &PileModel,
        goal: i64,
        now: i64,
        length_ms: i64,
        efficiency: Efficiency,
    ) -> Moved {
        let length_ms = length_ms.min(self.departure - now);
        if length_ms <= 0 {
            self.power = 0;
            return Moved::default();
        }
        if goal == 0 {
            self.power = 0;
            return Moved::default();
        }
        let before = self.battery.stored;
        let at_grid = self.battery.run_long(goal, length_ms, efficiency);
        self.power = self.goal(pile);
        Moved {
            at_grid,
            stored: self.battery.stored - before,
        }
    }

    /// What the pile's controller reads of the battery.
    pub(super) fn reading(&self, pile: &PileModel) -> Option<BatteryReading> {
        pile.reads_batteries().then(|| BatteryReading {
            capacity: Energy::from_watt_milliseconds(self.battery.capacity),
            stored: Energy::from_watt_milliseconds(self.battery.stored),
            temperature_c: Some(CELLS_C),
        })
    }

    /// What the pile's controller reads. Of a vehicle that says nothing that is what its battery could still take, whatever its
    /// driver wants of it.
    pub(super) fn session(&self, pile: &PileModel) -> Session {
        let battery = &self.battery;
        let energy = |value: i64| Energy::from_watt_milliseconds(value);
        if !self.says {
            let room = energy((battery.capacity - battery.stored).max(0));
            return Session {
                departure: instant(self.came),
                energy_needed: room,
                energy_room: room,
                energy_available: Energy::ZERO,
                max_charge: Power::from_watts(self.max_charge(pile)),
                max_discharge: Power::ZERO,
            };
        }
        let max_discharge = self.max_discharge(pile);
        let available = match max_discharge > 0 {
            true => battery.available(),
            false => 0,
        };
        Session {
            departure: instant(self.departure),
            energy_needed: energy(self.lacks(available)),
            energy_room: energy(battery.room()),
            energy_available: energy(available),
            max_charge: Power::from_watts(self.takes_back(pile)),
            max_discharge: Power::from_watts(max_discharge),
        }
    }
}

/// Energy moved in a step, watt-milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moved {
    /// At the connection; positive is drawn.
    pub(super) at_grid: i64,
    /// In the battery; positive is charged.
    pub(super) stored: i64,
}

fn wide_step(ramp: i64, length_ms: i64) -> i64 {
    (ramp.saturating_mul(length_ms) / 1_000).max(1)
}

/// The instant of a number of milliseconds.
///
/// # Panics
/// Beyond the calendar, which no stay of a checked scenario reaches.
pub(super) fn instant(milliseconds: i64) -> Timestamp {
    Timestamp::from_timestamp_millis(milliseconds).expect("an instant of the calendar")
}
