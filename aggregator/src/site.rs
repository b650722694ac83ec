//! The aggregator's view of the hardware: what the controllers of its stations read and set.
//!
//! Real stations stand behind this trait through OCPP or a vendor's interface; in scenarios a simulated world does.

use serde::{Deserialize, Serialize};
use vpp_core::{Energy, Power, Session, Station, Timestamp, VehicleId};

/// A pile with a vehicle plugged in, as its controller reads it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct PileReading {
    /// Number of the pile within its station, from 0.
    pub pile: u32,
    /// Power of the pile; positive draws.
    pub active_power: Power,
    /// The least that it charges with: told less, it is off. By IEC 61851 6 A, 1.3 kW on one phase of 220 V; zero where any
    /// power is possible.
    pub min_charge: Power,
    /// The vehicle's stay.
    pub session: Session,
    /// Whether anybody said when the vehicle leaves and what it needs. Else the session's departure and need mean nothing, and
    /// what is usual at the station is put in their place; its room and powers are as read.
    pub says: bool,
    /// Whether the station's own controller has seen it draw more than it was told, and tells: it will go on. Where it does not look,
    /// the split finds out by itself ([`crate::Splitter`]).
    pub defies: bool,
    /// Which vehicle, where the pile can tell (ISO 15118, a card); it never leaves the aggregator.
    pub vehicle: Option<VehicleId>,
    /// Its battery, where the pile reads it.
    pub battery: Option<BatteryReading>,
}

impl PileReading {
    /// Puts a reading, made without its vehicle's name, at a place in a list, over an older one if there is one; that one's name
    /// stays where it is the same. Names lie far apart in memory, and a copy counts there who shares it: readings are taken all
    /// the time.
    ///
    /// # Panics
    /// When the place is beyond the end of the list.
    pub fn put<'a>(
        readings: &'a mut Vec<PileReading>,
        at: usize,
        reading: PileReading,
        vehicle: Option<&VehicleId>,
    ) -> &'a mut PileReading {
        let older = readings.get_mut(at).and_then(|older| older.vehicle.take());
        let vehicle = vehicle.map(|vehicle| {
            older
                .filter(|older| older.is_copy_of(vehicle))
                .unwrap_or_else(|| vehicle.clone())
        });
        let reading = PileReading { vehicle, ..reading };
        if at == readings.len() {
            readings.push(reading);
        } else {
            readings[at] = reading;
        }
        &mut readings[at]
    }

    /// A copy without its vehicle's name.
    pub(crate) fn unnamed(&self) -> PileReading {
        PileReading {
            session: self.session.clone(),
            vehicle: None,
            ..*self
        }
    }
}

/// No battery holds more: 100 MWh.
const LARGEST: Energy = Energy::from_watt_milliseconds(100_000 * 3_600_000_000);

/// A vehicle's battery, as its pile reads it.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub struct BatteryReading {
    /// What it holds when full; positive.
    pub capacity: Energy,
    /// What it holds now.
    pub stored: Energy,
    /// Of its cells, °C.
    pub temperature_c: Option<f64>,
}

impl BatteryReading {
    /// State of charge, 0 to 1.
    #[must_use]
    pub fn soc(&self) -> f64 {
        self.stored.as_kilowatt_hours() / self.capacity.as_kilowatt_hours()
    }

    /// Whether it can be true: a capacity up to 100 MWh, a state of charge from 0 to 1, a finite temperature.
    #[must_use]
    pub fn is_credible(&self) -> bool {
        let full = self.capacity > Energy::ZERO && self.capacity <= LARGEST;
        full && (0.0..=1.0).contains(&self.soc()) && self.temperature_c.is_none_or(f64::is_finite)
    }
}

/// What one pile shall draw (negative: export). For charging it is a ceiling, zero or not below the least of the pile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct PileSetpoint {
    /// Number of the pile within its station, from 0.
    pub pile: u32,
    /// What it shall draw.
    pub setpoint: Power,
}

/// Until when a station's own controller keeps what it was set, and what it does by itself afterwards. It needs nobody to
/// tell it: an operator that falls silent leaves its stations safe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Lease {
    /// What the station was set to keep until then: of a ceiling, its controller may give what is left to a vehicle that plugs
    /// in before anybody comes back.
    pub setpoint: Power,
    /// First instant at which the setpoints no longer hold.
    pub valid_until: Timestamp,
    /// Ceiling on the station's draw from then on; no export.
    pub fallback: Power,
}

/// The stations of one aggregator.
pub trait Sites: Send {
    /// The stations, as they are registered; the position is the index below.
    fn stations(&self) -> &[Station];

    /// Brings readings up to `now`. A simulated world moves forward here; real ones refresh what they read.
    fn advance(&mut self, now: Timestamp);

    /// Whether the last [`Sites::advance`] can have brought anything new of a station. One that it has not is left alone.
    fn moved(&self, _station: usize) -> bool {
        true
    }

    /// Piles with a vehicle plugged in, in the order of their numbers.
    fn readings(&self, station: usize) -> &[PileReading];

    /// Power at the connection point, as the station's meter reads it; positive draws.
    fn active_power(&self, station: usize) -> Power;

    /// Sets piles. Piles that are not named keep what they had; one where a vehicle plugs in later waits until it is
    /// named. When the lease ends, the station's own controller takes over until the next call.
    fn apply(&mut self, station: usize, setpoints: &[PileSetpoint], lease: Lease);

    /// Why the station would not follow a command now (local control, a fault, the owner's veto); none if it would.
    fn refusal(&self, station: usize) -> Option<&str>;

    /// Whether the station's controller can be reached at all. One that cannot neither reports nor answers.
    fn reachable(&self, station: usize) -> bool;
}
