//! Vehicles that come as they were recorded, beside those that are drawn (`arrivals.rs`).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::arrivals::name;
use super::battery::Battery;
use super::config::Behaviour;
use super::given::Given;
use super::missed::Missed;
use super::vehicle::Vehicle;
use crate::stays::Stay;

/// The stays at one station, in the order of arrival.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Recorded {
    #[serde(skip)]
    pub(super) stays: Given<[Stay]>,
    /// How many have come.
    come: usize,
}

impl Recorded {
    pub(super) fn new(stays: Arc<[Stay]>) -> Recorded {
        let stays = Given::new(stays);
        Recorded { stays, come: 0 }
    }

    /// When the next one comes, milliseconds of the epoch.
    pub(super) fn next(&self) -> Option<i64> {
        let stay = self.stays.get(self.come)?;
        Some(stay.arrival.timestamp_millis())
    }

    /// The next one up to `now`, if there is one.
    pub(super) fn pop(&mut self, now: i64) -> Option<Stay> {
        self.next().filter(|next| *next <= now)?;
        self.come += 1;
        self.stays.get(self.come - 1).cloned()
    }
}

/// The vehicle of a stay. What its owner lets be taken out is all that is known to be in the battery, and what it still takes all
/// that goes in.
pub(super) fn vehicle(stay: &Stay, behaviour: &Behaviour) -> Vehicle {
    let session = &stay.session;
    let stored = session.energy_available.as_watt_milliseconds();
    let limit = stored + session.energy_room.as_watt_milliseconds();
    let power = session.max_charge.max(session.max_discharge).as_watts();
    let arrival = stay.arrival.timestamp_millis();
    Vehicle {
        id: name(
            stay.model.as_deref(),
            stay.station.as_str(),
            stay.pile,
            arrival,
        ),
        pile: stay.pile,
        departure: session.departure.timestamp_millis(),
        soc_ceiling: behaviour.soc_ceiling_of(stay.model.as_deref()),
        wanted: stored + session.energy_needed.as_watt_milliseconds(),
        // A power of zero is none to divide by.
        battery: Battery::plain(stored, limit, power.max(1)),
        says: true,
        defies: false,
        consents: session.max_discharge.as_watts() > 0,
        told: 0,
        power: 0,
        came: arrival,
        gave: false,
        missed: Missed::default(),
    }
}
