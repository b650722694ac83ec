//! What a scope can do: connected, declared, callable now; up and down. Never mixed.

use chrono::TimeDelta;
use vpp_core::{
    Commitment, Event, Fleet, Flexibility, Interval, Invalid, Power, Programme, Scope, Timestamp,
};

use crate::engine::Engine;
use crate::promises::PROMISED_FOR;

/// One direction of a capability; magnitudes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CapabilityDirection {
    /// Rated power of all piles.
    pub connected: Power,
    /// Rated power within the connections: what operators declare.
    pub declared: Power,
    /// What can be moved from the draw of now and kept for the duration asked.
    pub callable: Power,
}

/// What a scope can do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capability {
    /// Drawing less or exporting more.
    pub up: CapabilityDirection,
    /// Drawing more or exporting less.
    pub down: CapabilityDirection,
    /// Stations in the scope.
    pub station_count: usize,
    /// Those that can be given a setpoint now.
    pub callable_station_count: usize,
    /// What all of them draw by the last samples.
    pub active_power: Power,
}

/// Indices of the stations in a scope, ascending.
///
/// # Errors
/// When the aggregator or node is unknown.
pub fn members(fleet: &Fleet, scope: &Scope) -> Result<Vec<usize>, Invalid> {
    let all = 0..fleet.stations().len();
    Ok(match scope {
        Scope::All => all.collect(),
        Scope::Aggregator(id) => {
            let aggregator = fleet
                .aggregator_index(id)
                .ok_or_else(|| Invalid::unknown("scope.aggregator_id", id))?;
            all.filter(|station| fleet.aggregator_of(*station) == aggregator)
                .collect()
        }
        Scope::Node(id) => {
            let node = fleet
                .tree()
                .index_of(id)
                .ok_or_else(|| Invalid::unknown("scope.node_id", id))?;
            let below = |station: &usize| {
                fleet
                    .tree()
                    .path_to_root(fleet.node_of(*station))
                    .any(|above| above == node)
            };
            all.filter(below).collect()
        }
    })
}

/// The stations that an event's programme and scope mean.
pub(crate) fn event_members(
    fleet: &Fleet,
    programme: &Programme,
    scope: &Scope,
) -> Result<Vec<usize>, Invalid> {
    match programme {
        Programme::DemandResponse { .. } | Programme::ValleyFilling { .. } => members(fleet, scope),
        Programme::PeakShaving { node, .. } => members(fleet, &Scope::Node(node.clone()))
            .map_err(|_| Invalid::unknown("peak_shaving.node_id", node)),
    }
}

/// The stations that take part in an event.
pub(crate) fn participants(fleet: &Fleet, event: &Event) -> Vec<usize> {
    let request = &event.request;
    let mut members = event_members(fleet, &request.programme, &request.scope).unwrap_or_default();
    if event.cleared {
        retain_committed(fleet, &mut members, &event.commitments);
    }
    members
}

/// Keeps the stations of aggregators that promised something.
pub(crate) fn retain_committed(
    fleet: &Fleet,
    members: &mut Vec<usize>,
    commitments: &[Commitment],
) {
    let indices = commitments
        .iter()
        .filter_map(|commitment| fleet.aggregator_index(&commitment.aggregator));
    let promised: Vec<usize> = indices.collect();
    members.retain(|station| promised.contains(&fleet.aggregator_of(*station)));
}

/// A share of a power, rounded down.
pub(crate) fn scaled(power: Power, share: f64) -> Power {
    Power::floor_kilowatts(power.as_kilowatts() * share)
}

impl Engine {
    /// What a scope can do now and keep for `duration`.
    ///
    /// # Errors
    /// When the aggregator or node is unknown.
    pub fn capability(
        &self,
        now: Timestamp,
        scope: &Scope,
        duration: TimeDelta,
    ) -> Result<Capability, Invalid> {
        let mut capability = Capability::default();
        for station in members(&self.fleet, scope)? {
            let registered = &self.fleet.stations()[station];
            let state = &self.states[station];
            capability.station_count += 1;
            capability.active_power += state.active_power;
            for pile in &registered.piles {
                let times =
                    |power: Power| Power::from_watts(power.as_watts() * i64::from(pile.count));
                capability.up.connected += times(pile.rated_power + pile.discharge_power);
                capability.down.connected += times(pile.rated_power + pile.discharge_power);
            }
            let declared = registered.rated_draw() + registered.rated_export();
            capability.up.declared += declared;
            capability.down.declared += declared;
            if !state.is_callable(now, &self.config) {
                continue;
            }
            capability.callable_station_count += 1;
            let (up, down) = self.callable(now, station, duration);
            let share = self.tested_share(station);
            capability.up.callable += scaled(up, share);
            capability.down.callable += scaled(down, share);
        }
        Ok(capability)
    }

    /// How much of what a station seems able to do its aggregator kept when it was tested; 1 if it never was.
    pub(crate) fn tested_share(&self, station: usize) -> f64 {
        let aggregator = &self.fleet.aggregators()[self.fleet.aggregator_of(station)];
        aggregator.tested_share.unwrap_or(1.0)
    }

    /// How much of what a station seems able to do is promised: vehicles come and go, and not every pile obeys.
    pub(crate) fn promised_share(&self, station: usize) -> f64 {
        self.config.callable_share * self.tested_share(station)
    }

    /// [`Engine::givable`], added up for each aggregator. Against a baseline that changes as the
    /// load usually does, where it falls less can be taken off, where it rises less added. Of a time for which the vehicles that are
    /// here say little, what was callable at this time of the week before says more.
    pub(crate) fn givable_by_aggregator(
        &self,
        now: Timestamp,
        programme: &Programme,
        members: &[usize],
        interval: Interval,
        real_time: bool,
    ) -> Vec<Power> {
        let count = self.fleet.aggregators().len();
        let (mut sums, mut stations) = (vec![Power::ZERO; count], vec![Vec::new(); count]);
        let length = interval.end() - now.max(interval.start());
        for (station, power) in self.givable(now, programme, members, length) {
            let aggregator = self.fleet.aggregator_of(station);
            sums[aggregator] += power;
            stations[aggregator].push(station);
        }
        let fills = programme.fills();
        let less = |(sum, stations): (Power, Vec<usize>)| {
            // A ceiling is held against no baseline.
            let change = match programme {
                _ if real_time => Power::ZERO,
                Programme::PeakShaving { .. } => Power::ZERO,
                Programme::DemandResponse { .. } => self.usual_changes(now, interval, &stations).0,
                Programme::ValleyFilling { .. } => self.usual_changes(now, interval, &stations).1,
            };
            // Who leaves is counted as if they stayed where they cannot wait, which makes up for who comes. What vehicles take less
            // than they seem to be able to is counted nowhere else.
            let unplanned = match fills {
                true => self.expected_unplanned(now, &stations, fills),
                false => Power::ZERO,
            };
            (sum - change - unplanned).max(Power::ZERO)
        };
        let givable: Vec<Power> = sums.into_iter().zip(stations).map(less).collect();
        let ahead = self.relied_on_by_aggregator(now, programme, members, interval);
        let better = |(ahead, givable): (Option<Power>, Power)| ahead.unwrap_or(givable);
        ahead.into_iter().zip(givable).map(better).collect()
    }

    /// What can be relied on of each aggregator in an interval that begins so late that other vehicles will be there by then
    /// ([`Engine::relied_on`]). None where it is sooner, where only some of its stations are meant, for a ceiling of a node, and where
    /// too little has been seen.
    ///
    /// What was seen can be kept for an hour. Of a longer time it is less by as much as it is for the vehicles of now, or, where
    /// they could do nothing, as if the same energy had to do.
    fn relied_on_by_aggregator(
        &self,
        now: Timestamp,
        programme: &Programme,
        members: &[usize],
        interval: Interval,
    ) -> Vec<Option<Power>> {
        let count = self.fleet.aggregators().len();
        let later = interval.start() - now > PROMISED_FOR;
        if !later || matches!(programme, Programme::PeakShaving { .. }) {
            return vec![None; count];
        }
        let mut of = vec![(0_usize, Vec::new()); count];
        for station in 0..self.fleet.stations().len() {
            of[self.fleet.aggregator_of(station)].0 += 1;
        }
        for station in members {
            of[self.fleet.aggregator_of(*station)].1.push(*station);
        }
        let (fills, length) = (programme.fills(), interval.length());
        let relied_on = |(aggregator, (all, members)): (usize, (usize, Vec<usize>))| {
            if members.len() < all {
                return None;
            }
            let for_an_hour = self.relied_on(now, aggregator, fills, interval)?;
            if length <= PROMISED_FOR {
                return Some(for_an_hour);
            }
            let now_for = |length| -> Power {
                let of = |station: &usize| {
                    let (less, more) = self.callable(now, *station, length);
                    if fills { more } else { less }
                };
                let callable =
                    |station: &&usize| self.states[**station].is_callable(now, &self.config);
                members.iter().filter(callable).map(of).sum()
            };
            let share = match now_for(PROMISED_FOR) {
                Power::ZERO => PROMISED_FOR.as_seconds_f64() / length.as_seconds_f64(),
                hour => now_for(length).as_kilowatts() / hour.as_kilowatts(),
            };
            Some(scaled(for_an_hour, share.min(1.0)))
        };
        of.into_iter().enumerate().map(relied_on).collect()
    }

    /// What of each station is promised for a programme and so long: what it can move by, less a share for vehicles that come
    /// and go. What is drawn more must fit through every node: where it does not, all below give the same share.
    fn givable(
        &self,
        now: Timestamp,
        programme: &Programme,
        members: &[usize],
        length: TimeDelta,
    ) -> Vec<(usize, Power)> {
        let callable = |station: &usize| self.states[*station].is_callable(now, &self.config);
        let power = |station: usize| {
            let (less, more) = self.callable(now, station, length);
            let power = if programme.fills() { more } else { less };
            (station, scaled(power, self.promised_share(station)))
        };
        let callable = members.iter().copied().filter(callable);
        let mut givable: Vec<(usize, Power)> = callable.map(power).collect();
        if !programme.fills() {
            return givable;
        }
        let tree = self.fleet.tree();
        let mut more = vec![Power::ZERO; tree.nodes().len()];
        for (station, power) in &givable {
            more[self.fleet.node_of(*station)] += *power;
        }
        tree.sum_upwards(&mut more);
        let highest = |node: &vpp_core::Node| node.base_load.over(now, now + length).1;
        let base = tree.nodes().iter().map(highest);
        let mut flow: Vec<Power> = base.collect();
        for (station, state) in self.states.iter().enumerate() {
            flow[self.fleet.node_of(station)] += state.active_power;
        }
        tree.sum_upwards(&mut flow);
        let fits = |node: usize| {
            let most = tree.nodes()[node].import_limit_over(now, now + length);
            let room = (most - flow[node]).max(Power::ZERO);
            if more[node] <= room {
                return 1.0;
            }
            room.as_kilowatts() / more[node].as_kilowatts()
        };
        let share: Vec<f64> = (0..tree.nodes().len()).map(fits).collect();
        for (station, power) in &mut givable {
            let path = tree.path_to_root(self.fleet.node_of(*station));
            *power = scaled(*power, path.map(|node| share[node]).fold(1.0, f64::min));
        }
        givable
    }

    /// By how much a station can draw less and more than now, kept for `duration` without a vehicle leaving short.
    pub(crate) fn callable(
        &self,
        now: Timestamp,
        station: usize,
        duration: TimeDelta,
    ) -> (Power, Power) {
        self.callable_from(now, station, self.states[station].active_power, duration)
    }

    /// The same from another load than that of now.
    pub(crate) fn callable_from(
        &self,
        now: Timestamp,
        station: usize,
        load: Power,
        duration: TimeDelta,
    ) -> (Power, Power) {
        if duration <= TimeDelta::zero() {
            return Default::default();
        }
        let (lowest, highest) = self.sustainable(now, station, duration);
        (
            (load - lowest).max(Power::ZERO),
            (highest - load).max(Power::ZERO),
        )
    }

    /// The least and the most that a station can draw for all of `duration` without a vehicle leaving short; the second is not
    /// below the first.
    pub(crate) fn sustainable(
        &self,
        now: Timestamp,
        station: usize,
        duration: TimeDelta,
    ) -> (Power, Power) {
        if let Some((at, all)) = &self.sustained
            && (*at, PROMISED_FOR) == (now, duration)
            && let Some(Some(known)) = all.get(station)
        {
            return *known;
        }
        let registered = &self.fleet.stations()[station];
        let sessions = &self.states[station].sessions;
        let (lowest, highest) = Flexibility::sustained(registered, sessions, now, duration);
        (lowest, highest.max(lowest))
    }
}
