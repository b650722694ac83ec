//! Who comes, when, and with what battery.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use vpp_core::VehicleId;
use vpp_core::id::MAX_ID_LENGTH;

use super::battery::{Battery, Efficiency};
use super::config::StationModel;
use super::draws::Draws;
use super::missed::Missed;
use super::vehicle::{PileModel, Vehicle, instant};
use crate::format::{SessionProfile, beginning};

/// A battery takes at most so many times its capacity in an hour.
const MAX_C_RATE: f64 = 2.0;
/// State of charge that nobody comes below, and that nobody asks to go beyond.
const LOWEST_SOC: f64 = 0.05;
const HIGHEST_SOC: f64 = 0.95;
/// Who consents to be discharged lets the battery be filled by so much of its capacity beyond what it shall leave with: without
/// it, nothing could be lost on the way out and back. Not beyond the state of charge from which a battery takes less and less
/// (both are assumptions).
const ROOM_TO_GIVE: f64 = 0.1;
const FILLED_TO_GIVE: f64 = 0.8;
/// What is promised must fit into so much of the stay: reaction and ramps take the rest.
const PROMISED_SHARE_OF_STAY: f64 = 0.97;
const PROMISED_STAY_LESS_MS: i64 = 60_000;
const WATT_MS_PER_KWH: f64 = 3.6e9;
/// Nobody looks further ahead than this for the next arrival.
const LOOK_AHEAD: TimeDelta = TimeDelta::days(400);

/// The stream of vehicles to the piles of one kind of a station.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Arrivals {
    pub(super) is_ac: bool,
    per_day: f64,
    /// The next one, milliseconds of the epoch; none within the look-ahead.
    next: Option<i64>,
}

impl Arrivals {
    /// The stream to `piles` piles from `now` on.
    pub(super) fn new(
        model: &StationModel,
        is_ac: bool,
        piles: usize,
        now: i64,
        draws: &mut Draws,
    ) -> Arrivals {
        let profile = &model.profile;
        let per_pile = match is_ac {
            true => profile.arrivals_per_ac_pile_day,
            false => profile.arrivals_per_dc_pile_day,
        };
        #[allow(clippy::cast_precision_loss)] // counts of piles
        let per_day = per_pile * piles as f64;
        let mut arrivals = Arrivals {
            is_ac,
            per_day,
            next: None,
        };
        arrivals.next = arrivals.after(model, now, draws);
        arrivals
    }

    /// The next arrival up to `now`, if there is one; the one after it is drawn.
    pub(super) fn pop(&mut self, model: &StationModel, now: i64, draws: &mut Draws) -> Option<i64> {
        let arrived = self.next.filter(|next| *next <= now)?;
        self.next = self.after(model, arrived, draws);
        Some(arrived)
    }

    /// When the next one comes, milliseconds of the epoch.
    pub(super) fn next(&self) -> Option<i64> {
        self.next
    }

    fn after(&self, model: &StationModel, at: i64, draws: &mut Draws) -> Option<i64> {
        let at = instant(at);
        let until = at + LOOK_AHEAD;
        let next = model
            .profile
            .next_arrival(self.per_day, at, until, || draws.uniform());
        next.map(|next| next.timestamp_millis())
    }
}

/// The model of the next vehicle that comes; none of one that is of none that is named.
pub(super) fn model<'a>(profile: &'a SessionProfile, draws: &mut Draws) -> Option<&'a str> {
    if profile.models.is_empty() {
        return None;
    }
    let mut left = draws.uniform();
    let mut models = profile.models.iter();
    let drawn = models.find(|(_, share)| {
        left -= **share;
        left < 0.0
    });
    drawn.map(|(model, _)| model.as_str())
}

/// A vehicle of a model, if it is of one, that comes at `arrival` to the pile numbered `pile`.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // energies far below 2^53
pub(super) fn vehicle(
    model: &StationModel,
    efficiency: Efficiency,
    pile: (u32, &PileModel),
    (arrival, kind): (i64, Option<&str>),
    draws: &mut Draws,
) -> Vehicle {
    let (number, pile) = pile;
    let behaviour = &model.behaviour;
    let capacities = model.profile.battery_capacity_kwh.as_ref();
    let capacities = capacities.unwrap_or(&behaviour.battery_capacity_kwh);
    let capacity_kwh = capacities.at(draws.uniform()).max(1.0);
    let power_kw = MAX_C_RATE * capacity_kwh;
    let shared_kw = power_kw.min(pile.rated as f64 / 1e3);
    let charge_efficiency = model.station.charge_efficiency;
    let (p_energy, p_stay) = (draws.uniform(), draws.uniform());
    let visit = match pile.is_ac {
        true => model
            .profile
            .ac_visit(shared_kw, charge_efficiency, p_stay, p_energy),
        false => model
            .profile
            .dc_visit(shared_kw, charge_efficiency, p_energy),
    };
    let asked = (visit.energy_kwh / capacity_kwh).min(HIGHEST_SOC - LOWEST_SOC);
    let soc = draws.between(LOWEST_SOC, HIGHEST_SOC - asked);
    let consents = draws.chance(behaviour.v2g_consent_share) && pile.discharge > 0;
    // Without such vehicles the draws of the others are what they would be.
    let says = behaviour.stated_share >= 1.0 || draws.chance(behaviour.stated_share);
    let consents = consents && says;
    let capacity = (capacity_kwh * WATT_MS_PER_KWH) as i64;
    let stored = (soc * capacity as f64) as i64;
    let mut battery = Battery {
        capacity,
        stored,
        limit: stored + (asked * capacity as f64) as i64,
        floor: (behaviour.v2g_floor * capacity as f64).ceil() as i64,
        power: (power_kw * 1e3) as i64,
    };
    let stay = visit.stay.num_milliseconds();
    let counted_on = (stay as f64 * PROMISED_SHARE_OF_STAY) as i64 - PROMISED_STAY_LESS_MS;
    let promised = battery.deliverable(pile.rated, counted_on, efficiency);
    let wanted = stored + promised.min(battery.room());
    if consents {
        let most = (FILLED_TO_GIVE * capacity as f64) as i64;
        let room = (ROOM_TO_GIVE * capacity as f64) as i64;
        battery.limit = (battery.limit + room).min(most).max(battery.limit);
    }
    Vehicle {
        id: name(kind, model.station.id.as_str(), number, arrival),
        pile: number,
        departure: arrival + stay,
        soc_ceiling: behaviour.soc_ceiling_of(kind),
        wanted,
        battery,
        says,
        defies: false,
        consents,
        told: 0,
        power: 0,
        came: arrival,
        gave: false,
        missed: Missed::default(),
    }
}

/// A name for a stay of a vehicle of a model, if it is of one.
pub(super) fn name(model: Option<&str>, station: &str, pile: u32, arrival: i64) -> VehicleId {
    let begins = model.map(beginning).unwrap_or_default();
    let name = format!("{begins}{}-{pile}-{station}", arrival / 1_000);
    VehicleId::new(name.get(..MAX_ID_LENGTH).unwrap_or(&name)).expect("made of an identifier")
}
