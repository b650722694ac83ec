//! All stations of one aggregator: commands in, piles set, acknowledgements and reports out.
//!
//! Level-triggered: [`Operator::control`] sets every station anew from what is in force, so that what one call missed the
//! next one heals. A station that cannot be reached is not answered for; its own controller keeps the lease it has and then
//! falls back by itself.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use vpp_core::{
    Acknowledgement, AcknowledgementStatus, AggregatorId, Command, Power, Station, StationId,
    Telemetry, Timestamp, Unkept,
};

use crate::agent::{InForce, StationAgent};
use crate::site::{Lease, PileReading, PileSetpoint, Sites};
use crate::split::Splitter;
use crate::stay::{Desk, Doubts, Expectations};

/// How long a station keeps what it was set while no command is in force: some control periods, or one where they are longer.
const IDLE_LEASE: TimeDelta = TimeDelta::seconds(10);

/// As many stations are split over their piles faster by one thread than by several.
const SPLIT_ALONE: usize = 32;

/// What has happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Statistics {
    /// Commands accepted, repetitions included.
    pub accepted: u64,
    /// Commands refused.
    pub refused: u64,
    /// Commands that had expired when they came.
    pub expired: u64,
    /// Commands that came after a newer one.
    pub superseded: u64,
    /// Commands for stations that could not be reached: not answered.
    pub unreachable: u64,
    /// Commands for stations that are not ours: not answered.
    pub unknown_station: u64,
}

/// The stations of one aggregator and what each of them shall do.
#[derive(Debug, Deserialize, Serialize)]
pub struct Operator<S> {
    aggregator: AggregatorId,
    sites: S,
    index: BTreeMap<StationId, usize>,
    stations: Vec<Controlled>,
    desk: Desk,
    idle_lease: TimeDelta,
    longest_lease: TimeDelta,
    statistics: Statistics,
}

#[derive(Debug, Deserialize, Serialize)]
struct Controlled {
    agent: StationAgent,
    splitter: Splitter,
    /// The piles at the last look, with sessions as owners and makers of the vehicles allow.
    readings: Vec<PileReading>,
    /// When they were looked at, and for how long a lease, if that was after the last [`Operator::advance`].
    looked: Option<(Timestamp, TimeDelta)>,
    /// Whether the piles were set since the last [`Operator::advance`].
    controlled: bool,
    /// What is to be split, from a look until it is done.
    due: Option<(Power, Lease)>,
    setpoints: Vec<PileSetpoint>,
}

impl Controlled {
    fn split(&mut self, station: &Station, now: Timestamp) {
        if let Some((setpoint, _)) = self.due {
            let (readings, setpoints) = (&self.readings, &mut self.setpoints);
            self.splitter
                .split(station, setpoint, readings, now, setpoints);
        }
    }
}

impl<S: Sites> Operator<S> {
    /// An operator that has heard nothing yet.
    ///
    /// # Panics
    /// When a station belongs to another aggregator, or two have the same name.
    #[must_use]
    pub fn new(aggregator: AggregatorId, sites: S) -> Operator<S> {
        let mut index = BTreeMap::new();
        let mut stations = Vec::with_capacity(sites.stations().len());
        for (at, station) in sites.stations().iter().enumerate() {
            let (id, whose) = (&station.id, &station.aggregator);
            assert!(
                *whose == aggregator,
                "{id} belongs to {whose}, not to {aggregator}"
            );
            assert!(
                index.insert(id.clone(), at).is_none(),
                "{id} is there twice"
            );
            stations.push(Controlled {
                agent: StationAgent::new(station),
                splitter: Splitter::new(),
                readings: Vec::new(),
                looked: None,
                controlled: false,
                due: None,
                setpoints: Vec::new(),
            });
        }
        Operator {
            aggregator,
            desk: Desk::empty(sites.stations()),
            idle_lease: IDLE_LEASE,
            longest_lease: TimeDelta::MAX,
            sites,
            index,
            stations,
            statistics: Statistics::default(),
        }
    }

    /// The same with these reservations and warranties.
    #[must_use]
    pub fn with_desk(mut self, desk: Desk) -> Operator<S> {
        self.desk = desk;
        self
    }

    /// The same, with [`Operator::control`] called so often only: what stations are set holds until then. Where that is long, it
    /// holds no longer, for what a warranty leaves must last for a whole lease; and the stations' own controllers are trusted
    /// to see who does not obey.
    #[must_use]
    pub fn with_period(mut self, period: TimeDelta) -> Operator<S> {
        self.idle_lease = period.max(IDLE_LEASE);
        if period > IDLE_LEASE {
            self.longest_lease = period;
        }
        for controlled in &mut self.stations {
            controlled.splitter = match period > IDLE_LEASE {
                true => Splitter::trusting(period),
                false => Splitter::new(),
            };
        }
        self
    }

    /// Goes on where another one of the same stations was saved; `sites` lets their side do so.
    pub fn resume(&mut self, saved: Operator<S>, sites: impl FnOnce(&mut S, S)) {
        let fresh = std::mem::replace(self, saved);
        let saved = std::mem::replace(&mut self.sites, fresh.sites);
        sites(&mut self.sites, saved);
    }

    /// Whose stations they are.
    #[must_use]
    pub fn aggregator(&self) -> &AggregatorId {
        &self.aggregator
    }

    /// The stations' side.
    #[must_use]
    pub fn sites(&self) -> &S {
        &self.sites
    }

    /// The stations' side, to bring faults into it.
    pub fn sites_mut(&mut self) -> &mut S {
        &mut self.sites
    }

    /// What has happened since the start.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// What readings were not taken as they were.
    #[must_use]
    pub fn doubts(&self) -> Doubts {
        self.desk.doubts()
    }

    /// How well it was known what vehicles do that say nothing.
    #[must_use]
    pub fn expectations(&self) -> Expectations {
        self.desk.expectations()
    }

    /// Promises to owners of vehicles that were not kept, and why.
    #[must_use]
    pub fn unkept(&self) -> Unkept {
        self.desk.unkept()
    }

    /// What holds for a station, by its position among [`Sites::stations`].
    #[must_use]
    pub fn in_force(&self, station: usize, now: Timestamp) -> InForce {
        self.stations[station].agent.in_force(now)
    }

    /// Takes a command: decides, sets the station's piles at once if it is accepted, and answers. No answer for a station
    /// that is unknown or out of reach.
    pub fn receive(&mut self, now: Timestamp, command: &Command) -> Option<Acknowledgement> {
        self.receive_all(now, std::slice::from_ref(command))
            .pop()
            .flatten()
    }

    /// Takes commands that came together; the answer to each.
    pub fn receive_all(
        &mut self,
        now: Timestamp,
        commands: &[Command],
    ) -> Vec<Option<Acknowledgement>> {
        let mut accepted = Vec::with_capacity(commands.len());
        let answers = commands
            .iter()
            .map(|command| self.decide(now, command, &mut accepted))
            .collect();
        self.control_stations(now, accepted);
        answers
    }

    fn decide(
        &mut self,
        now: Timestamp,
        command: &Command,
        accepted: &mut Vec<usize>,
    ) -> Option<Acknowledgement> {
        let Some(&station) = self.index.get(&command.station) else {
            self.statistics.unknown_station += 1;
            return None;
        };
        if !self.sites.reachable(station) {
            self.statistics.unreachable += 1;
            return None;
        }
        let refusal = self.sites.refusal(station);
        let agent = &mut self.stations[station].agent;
        let acknowledgement = agent.receive(now, command, refusal);
        match acknowledgement.status {
            AcknowledgementStatus::Accepted => {
                self.statistics.accepted += 1;
                accepted.push(station);
            }
            AcknowledgementStatus::Refused => self.statistics.refused += 1,
            AcknowledgementStatus::Expired => self.statistics.expired += 1,
            AcknowledgementStatus::Superseded => self.statistics.superseded += 1,
        }
        Some(acknowledgement)
    }

    /// Brings the readings up to `now` and sets every station that moved and can be set.
    pub fn control(&mut self, now: Timestamp) {
        self.advance(now);
        self.control_others(now);
    }

    /// Brings the readings up to `now`, and sets nothing yet: for who is about to bring commands for most stations.
    pub fn advance(&mut self, now: Timestamp) {
        self.sites.advance(now);
        for (station, controlled) in self.stations.iter_mut().enumerate() {
            if self.sites.moved(station) {
                (controlled.looked, controlled.controlled) = (None, false);
            }
        }
    }

    /// Sets every station that moved, can be set, and was not set since.
    pub fn control_others(&mut self, now: Timestamp) {
        let due: Vec<usize> = (0..self.stations.len())
            .filter(|&station| self.sites.moved(station) && !self.stations[station].controlled)
            .collect();
        self.control_stations(now, due);
        self.desk.sweep(now);
    }

    /// What the stations report now; nothing from those that did not move or are out of reach.
    #[must_use]
    pub fn telemetry(&mut self, now: Timestamp) -> Vec<Telemetry> {
        let mut reports = Vec::with_capacity(self.stations.len());
        for station in 0..self.stations.len() {
            if !self.sites.reachable(station) || !self.sites.moved(station) {
                continue;
            }
            if self.stations[station].looked.is_none() {
                self.look(now, station);
            }
            reports.push(self.report(now, station));
        }
        reports
    }

    fn report(&self, now: Timestamp, station: usize) -> Telemetry {
        let readings = &self.stations[station].readings;
        let follows = self.sites.refusal(station).is_none();
        let in_force = self.in_force(station, now).command;
        Telemetry {
            station: self.sites.stations()[station].id.clone(),
            sampled_at: now,
            active_power: self.sites.active_power(station),
            sessions: readings
                .iter()
                .map(|reading| reading.session.clone())
                .collect(),
            command_in_force: in_force.filter(|_| follows),
        }
    }

    /// Reads a station's piles, with what may be done with the vehicles; what holds there, and until when.
    fn look(&mut self, now: Timestamp, station: usize) -> (InForce, Lease) {
        let controlled = &mut self.stations[station];
        let in_force = controlled.agent.in_force(now);
        let lease = Lease {
            setpoint: in_force.setpoint,
            valid_until: match in_force.valid_until {
                Some(until) => now + (until - now).min(self.longest_lease),
                None => now + self.idle_lease,
            },
            fallback: in_force.fallback,
        };
        let length = lease.valid_until - now;
        // What is read and allowed at one instant is looked at once.
        if controlled.looked != Some((now, length)) {
            let place = (station, &self.sites.stations()[station]);
            let read = self.sites.readings(station);
            let follows = self.sites.refusal(station).is_none();
            let readings = &mut controlled.readings;
            self.desk
                .prepare(place, read, (length, follows), now, readings);
            controlled.looked = Some((now, length));
        }
        (in_force, lease)
    }

    /// Splits what is in force over the piles of some stations. A station that refuses is left to its own controller.
    fn control_stations(&mut self, now: Timestamp, stations: Vec<usize>) {
        // Vehicles are the desk's, who sees all stations; a station's split is its own.
        for &station in &stations {
            if !self.sites.reachable(station) {
                continue;
            }
            let (in_force, lease) = self.look(now, station);
            self.stations[station].controlled = true;
            if self.sites.refusal(station).is_none() {
                self.stations[station].due = Some((in_force.setpoint, lease));
            }
        }
        let registered = self.sites.stations();
        let pairs = self.stations.par_iter_mut().zip(registered);
        if stations.len() > SPLIT_ALONE {
            pairs
                .with_min_len(SPLIT_ALONE)
                .for_each(|(controlled, station)| controlled.split(station, now));
        } else {
            for &station in &stations {
                self.stations[station].split(&registered[station], now);
            }
        }
        for station in stations {
            self.apply(now, station);
        }
    }

    /// Sets the piles of a station to what was split, as far as its vehicles' owners and makers allow.
    fn apply(&mut self, now: Timestamp, station: usize) {
        let controlled = &mut self.stations[station];
        let Some((_, lease)) = controlled.due.take() else {
            return;
        };
        let place = (station, &self.sites.stations()[station]);
        let (readings, setpoints) = (&controlled.readings, &mut controlled.setpoints);
        let length = lease.valid_until - now;
        let until = self.desk.hold(place, readings, length, now, setpoints);
        // Nobody is charged or discharged beyond a window because we fell silent.
        let lease = Lease {
            valid_until: until.map_or(lease.valid_until, |until| until.min(lease.valid_until)),
            ..lease
        };
        self.sites
            .apply(station, &self.stations[station].setpoints, lease);
    }
}
