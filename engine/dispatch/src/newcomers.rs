//! Between two control cycles: whoever plugged in after the plan was made and cannot wait for the next one. Where cycles take
//! seconds nobody waits; where a replay plans every quarter of an hour, half of a rapid charge would be over.

use chrono::TimeDelta;
use rayon::prelude::*;
use vpp_core::{Energy, Power, Reason, Session, Station, StationKind, Timestamp};

use crate::engine::Engine;
use crate::input::Output;
use crate::margin::full_power_time;
use crate::state::StationState;

impl Engine {
    /// Remembers who is there when a plan is made.
    pub(crate) fn know_all(&mut self) {
        for state in &mut self.states {
            let departures = state.sessions.iter().map(|session| session.departure);
            state.known.clear();
            state.known.extend(departures);
            state.known.sort_unstable();
        }
    }

    /// Raises the setpoint of each managed station by what its newcomers need before the next cycle, as far as the guard lets
    /// it. Departure needs come before programmes; stations that follow a signal are left to it.
    pub(crate) fn serve_newcomers(&mut self, now: Timestamp, outputs: &mut Vec<Output>) {
        let Some(started_at) = self.cycle_started_at else {
            return;
        };
        let window = started_at + self.config.cycle - now;
        if window <= TimeDelta::zero() || self.pending.is_some() {
            return;
        }
        let wanted = |(station, registered): (usize, &Station)| {
            let state = &self.states[station];
            let follows = self.regulation.is_some() && registered.regulates;
            if !state.is_managed() || !state.is_callable(now, &self.config) || follows {
                return None;
            }
            let until = window + self.config.departure_margin;
            let needed = needed_by_newcomers(state, registered, now, until);
            let command = state.ordered().filter(|_| needed > Power::ZERO)?;
            let power = (command.setpoint + needed).min(registered.import_limit);
            (power > command.setpoint).then_some((station, power))
        };
        let stations = self.fleet.stations().par_iter().enumerate();
        let wanted: Vec<(usize, Power)> = stations.filter_map(wanted).collect();
        if wanted.is_empty() {
            return;
        }
        let Some(decision) = self.plan.as_ref().map(|plan| plan.decision) else {
            return;
        };
        for (station, _) in &wanted {
            let state = &mut self.states[*station];
            let departures = state.sessions.iter().map(|session| session.departure);
            state.known.extend(departures);
            state.known.sort_unstable();
        }
        let mut releasing = std::mem::take(&mut self.releasing);
        releasing.want(wanted.into_iter());
        self.release_wanted(now, releasing, decision, Reason::Orderly, outputs);
    }
}

/// Departures that are reckoned, not said, are off by less.
const SAME: TimeDelta = TimeDelta::seconds(2);

/// Vehicles have no names here: one with another departure than all that were there is new. Packs in slots have none either,
/// and their departures are guesses that change.
fn needed_by_newcomers(
    state: &StationState,
    station: &Station,
    now: Timestamp,
    window: TimeDelta,
) -> Power {
    if station.kind == StationKind::Swap {
        return Power::ZERO;
    }
    let is_new = |session: &&Session| {
        let known = &state.known;
        let first = known.partition_point(|known| *known < session.departure - SAME);
        let next = known.get(first);
        next.is_none_or(|next| *next > session.departure + SAME)
    };
    let newcomers = state.sessions.iter().filter(is_new);
    newcomers
        .map(|session| needed(session, station, now, window))
        .sum()
}

/// With what a vehicle must be charged until the next cycle, if it cannot begin then at full power.
fn needed(session: &Session, station: &Station, now: Timestamp, window: TimeDelta) -> Power {
    let stay = session.departure - now;
    if session.energy_needed <= Energy::ZERO || stay <= TimeDelta::zero() {
        return Power::ZERO;
    }
    let hours = |length| vpp_core::time::as_hours(length);
    let drawn_kwh = session.energy_needed.as_kilowatt_hours() / station.charge_efficiency;
    let most_kw = session.max_charge.as_kilowatts();
    if full_power_time(session, station) <= stay - window {
        return Power::ZERO;
    }
    Power::round_kilowatts((drawn_kwh / hours(stay.min(window))).min(most_kw))
}
