//! Time to spare: for long cycles, what a vehicle needs is planned to be there a little before it leaves.

use chrono::TimeDelta;
use vpp_core::{Session, Station, Timestamp};

use crate::engine::Engine;

/// How long a vehicle takes for what it needs at full power.
pub(crate) fn full_power_time(session: &Session, station: &Station) -> TimeDelta {
    let needed = session.energy_needed.as_kilowatt_hours().max(0.0) / station.charge_efficiency;
    let hours = needed / session.max_charge.as_kilowatts().max(1e-3);
    // No stay is longer than a year.
    #[allow(clippy::cast_possible_truncation)]
    let milliseconds = (hours.min(8_784.0) * 3.6e6).ceil() as i64;
    TimeDelta::milliseconds(milliseconds)
}

impl Engine {
    /// Sessions with earlier departures, as far as vehicles have time to spare.
    pub(crate) fn with_margin(
        &self,
        now: Timestamp,
        station: &Station,
        sessions: &[Session],
    ) -> Vec<Session> {
        let earlier = |session: &Session| {
            let spare = session.departure - now - full_power_time(session, station);
            let margin = self
                .config
                .departure_margin
                .min(spare)
                .max(TimeDelta::zero());
            Session {
                departure: session.departure - margin,
                ..session.clone()
            }
        };
        sessions.iter().map(earlier).collect()
    }
}
