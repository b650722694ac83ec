//! One pile in watts, as what is shared out sees it.

use vpp_core::time::since;
use vpp_core::{Power, Session, Station, Timestamp};

use super::turns::Standing;
use super::{LONGEST_MS, WINDOW_MS};
use crate::site::PileReading;

/// A vehicle gives nothing from this long before it must charge at full power, or leaves: whoever charges from it needs time to
/// come down.
const MUST_CHARGE_MS: i64 = 60_000;
/// What is less than a watt-hour is not worth a session.
const NEGLIGIBLE_WATT_MS: i64 = Session::NEGLIGIBLE.as_watt_milliseconds();

/// One pile, in watts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) pile: u32,
    /// The most that it takes.
    pub(super) charge: i64,
    /// The least that it charges with; less is nothing. At most `charge`.
    pub(super) least: i64,
    /// The least that the pile can be told.
    pub(super) switch: i64,
    /// The most that it gives.
    pub(super) discharge: i64,
    /// The most that it can give for a whole window.
    pub(super) lasting: i64,
    /// The most that it can give so that it does not end all at once: less and less of it in the last minute.
    pub(super) gentle: i64,
    /// What of it is counted on when others are to charge from it.
    pub(super) counted: i64,
    /// How long the vehicle stays.
    pub(super) stay_ms: i64,
    /// How long it can wait before it must charge at full power; negative when it is too late.
    pub(super) spare_ms: i64,
    /// Mean draw until departure with which it leaves with what it needs; at most `charge`.
    pub(super) required: i64,
    /// How well it can spare energy; the highest gives first.
    pub(super) merit: u32,
    /// It can give back what it takes.
    pub(super) returns: bool,
    /// It holds more than it needs.
    pub(super) surplus: bool,
    /// It does what it wants: nothing is shared out to it.
    pub(super) unruly: bool,
    /// What it draws or may still come to draw of what it was told before.
    pub(super) reach: i64,
    pub(super) standing: Standing,
    pub(super) told: i64,
}

impl Load {
    pub(super) fn of(station: &Station, reading: &PileReading, now: Timestamp) -> Load {
        let session = &reading.session;
        let stay_ms = since(now, session.departure).num_milliseconds();
        let stay_ms = stay_ms.clamp(0, LONGEST_MS);
        let full = session.energy_room.as_watt_milliseconds() < NEGLIGIBLE_WATT_MS;
        let rate = session.max_charge.as_watts().max(0);
        let charge = if full { 0 } else { rate };
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
        Load {
            pile: reading.pile,
            charge,
            least: reading.min_charge.as_watts().clamp(0, charge),
            switch: reading.min_charge.as_watts(),
            discharge,
            lasting: lasting(station, session, spare_ms, WINDOW_MS).min(discharge),
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

    /// Limits what it gives to what it can keep up for so long, at the end of which it is looked at again.
    pub(super) fn give_for(&mut self, station: &Station, session: &Session, length_ms: i64) {
        let most = lasting(station, session, self.spare_ms, length_ms);
        self.discharge = self.discharge.min(most);
        self.lasting = self.lasting.min(most);
        self.counted = self.discharge;
    }

    /// One to which nothing is shared out.
    pub(super) fn unruly(reading: &PileReading) -> Load {
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
    pub(super) fn wait(&mut self) {
        self.charge = 0;
        self.required = 0;
        self.least = 0;
    }

    pub(super) fn room(&self) -> i64 {
        self.charge - self.told
    }

    /// Mean draw over a window from now on with which it can still have what it needs, at full power after that.
    pub(super) fn needs_within(&self, window_ms: i64) -> i64 {
        if self.required == 0 || self.stay_ms <= window_ms {
            return self.required;
        }
        let busy = (window_ms - self.spare_ms).clamp(0, window_ms);
        // Asked dozens of times for each pile: wide numbers only where narrow ones are too short.
        if let Some(product) = self.charge.checked_mul(busy) {
            return product / window_ms;
        }
        let mean = i128::from(self.charge) * i128::from(busy) / i128::from(window_ms);
        i64::try_from(mean).unwrap_or(self.charge)
    }
}

/// What a vehicle can give all the time for so long: what is taken out is put back at full power after it, as far as it must be; who is
/// full now has room then. Watts.
fn lasting(station: &Station, session: &Session, spare_ms: i64, length_ms: i64) -> i64 {
    let rate = session.max_charge.as_watts().max(0);
    let back = i128::from(spare_ms - length_ms).max(0) * i128::from(rate);
    let back = scaled(
        i64::try_from(back).unwrap_or(i64::MAX),
        station.charge_efficiency,
    );
    let surplus = (-session.energy_needed.as_watt_milliseconds()).max(0);
    let available = session.energy_available.as_watt_milliseconds();
    let given = available.min(back.saturating_add(surplus));
    scaled(given, station.discharge_efficiency) / length_ms
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
