//! What a station reported, with its own time.

use serde::{Deserialize, Serialize};

use crate::{Energy, Invalid, Power, SequenceNumber, StationId, Timestamp};

/// A vehicle's stay at a pile, as far as the engine needs to know it. Energies are at the battery, seen from the moment
/// of the sample. No identity of vehicle or owner ever comes here.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Session {
    /// When the vehicle is expected to leave.
    pub departure: Timestamp,
    /// What the battery must still have received by then, all in all. Negative: it may leave with so much less than it holds
    /// now; not below what is available.
    pub energy_needed: Energy,
    /// What the battery can still take; at least what it needs.
    pub energy_room: Energy,
    /// What the owner lets be taken out, above the agreed floor; not negative; zero without consent.
    pub energy_available: Energy,
    /// The most that pile and vehicle draw together; not negative.
    pub max_charge: Power,
    /// The most that pile and vehicle export together, as a magnitude; zero without consent.
    pub max_discharge: Power,
}

impl Session {
    /// Less than this, at a battery, is nothing: it would keep a pile switched on for a second, and nobody can share it out.
    pub const NEGLIGIBLE: Energy = Energy::from_watt_milliseconds(3_600_000);

    /// Checks the session by itself.
    ///
    /// # Errors
    /// The first field that breaks a rule.
    pub fn check(&self) -> Result<(), Invalid> {
        for (field, energy) in [
            ("energy_room_kwh", self.energy_room),
            ("energy_available_kwh", self.energy_available),
        ] {
            if energy < Energy::ZERO {
                return Err(Invalid::new(field, format!("{energy} is negative")));
            }
        }
        for (field, power) in [
            ("max_charge_kw", self.max_charge),
            ("max_discharge_kw", self.max_discharge),
        ] {
            if power < Power::ZERO {
                return Err(Invalid::new(field, format!("{power} is negative")));
            }
        }
        if -self.energy_needed > self.energy_available {
            return Err(Invalid::new(
                "energy_needed_kwh",
                format!(
                    "{} is below what may be taken out, {}",
                    self.energy_needed, self.energy_available
                ),
            ));
        }
        if self.energy_needed > self.energy_room {
            return Err(Invalid::new(
                "energy_needed_kwh",
                format!(
                    "{} is above the room of {}",
                    self.energy_needed, self.energy_room
                ),
            ));
        }
        Ok(())
    }
}

/// One report of a station.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Telemetry {
    /// Who reports.
    pub station: StationId,
    /// When the sample was taken, by the reporter's clock. Orders the samples of a station.
    pub sampled_at: Timestamp,
    /// Power at the connection point; positive draws from the grid.
    pub active_power: Power,
    /// The vehicles plugged in.
    pub sessions: Vec<Session>,
    /// The command that the station follows, if one is in force.
    pub command_in_force: Option<SequenceNumber>,
}

impl Telemetry {
    /// The most sessions that one report may carry.
    pub const MAX_SESSIONS: usize = 10_000;

    /// Checks the report by itself.
    ///
    /// # Errors
    /// The first field that breaks a rule.
    pub fn check(&self) -> Result<(), Invalid> {
        if self.sessions.len() > Telemetry::MAX_SESSIONS {
            let problem = format!(
                "has {} entries, at most {}",
                self.sessions.len(),
                Telemetry::MAX_SESSIONS
            );
            return Err(Invalid::new("sessions", problem));
        }
        for (position, session) in self.sessions.iter().enumerate() {
            session
                .check()
                .map_err(|invalid| invalid.within(&format!("sessions[{position}]")))?;
        }
        Ok(())
    }
}
