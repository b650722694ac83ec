//! What goes wrong in a replay, on purpose: stations that are silent or refuse, reports that come late or with a wrong time, a
//! broker that is away, vehicles that need other than they are said to. Pure: what happens to a message follows from the
//! faults and the instant alone. The world of vehicles goes on as it is; only who hears what changes.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use serde::{Deserialize, Serialize};
use vpp_aggregator::{Operator, Sites};
use vpp_core::{
    AggregatorId, Command, Energy, Fault, FaultKind, Session, StationId, Telemetry, Timestamp,
};

/// What is said of a refusal.
const REFUSAL: &str = "fault";
/// So many reports of a station are kept while they cannot pass; older ones are lost, as in any queue that is full.
const QUEUE: usize = 64;

/// How stations are cut off and let refuse: what a simulated world can do, and no other side of stations needs to.
pub struct Switches<S> {
    /// Cuts a station off (`false`), or reaches it again.
    pub reachable: fn(&mut S, usize, bool),
    /// Lets a station refuse every command, or none.
    pub refusal: fn(&mut S, usize, Option<String>),
}

impl<S> Clone for Switches<S> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<S> Copy for Switches<S> {}

impl<S> fmt::Debug for Switches<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Switches")
    }
}

/// What the faults did to messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct FaultCounts {
    /// Faults that have begun.
    pub begun: u64,
    /// Those that are over.
    pub ended: u64,
    /// Reports that came later than they were made.
    pub late_reports: u64,
    /// Reports that were lost: the queue was full.
    pub lost_reports: u64,
    /// Reports with a wrong time.
    pub skewed_reports: u64,
    /// Reports in which vehicles need other than they do.
    pub wrong_reports: u64,
    /// Commands that came later than they were sent.
    pub late_commands: u64,
}

/// A fault and whether it is on.
#[derive(Debug, Deserialize, Serialize)]
struct State {
    /// Its stations sorted by name.
    fault: Fault,
    begun: bool,
    on: bool,
    /// Where it changed a station: what another fault or the scenario did before stays.
    switched: Vec<(usize, usize)>,
}

/// All faults of a plant.
#[derive(Debug, Deserialize, Serialize)]
pub struct Faults {
    states: Vec<State>,
    /// Reports under way, with the instant at which they come, in the order in which they were made.
    reports: BTreeMap<StationId, VecDeque<(Timestamp, Telemetry)>>,
    commands: VecDeque<(Timestamp, Command)>,
    counts: FaultCounts,
}

impl Faults {
    /// Faults none of which has begun.
    #[must_use]
    pub fn new(faults: Vec<Fault>) -> Faults {
        let state = |mut fault: Fault| {
            fault.stations.sort_unstable();
            State {
                fault,
                begun: false,
                on: false,
                switched: Vec::new(),
            }
        };
        Faults {
            states: faults.into_iter().map(state).collect(),
            reports: BTreeMap::new(),
            commands: VecDeque::new(),
            counts: FaultCounts::default(),
        }
    }

    /// What they did.
    #[must_use]
    pub fn counts(&self) -> FaultCounts {
        self.counts
    }

    /// Ends faults that are over, and begins those that are due. One that is shorter than a step of time is on for a step.
    pub(crate) fn turn<S: Sites>(
        &mut self,
        now: Timestamp,
        operators: &mut [Operator<S>],
        switches: Switches<S>,
    ) {
        let over = self.states.iter_mut();
        for state in over.filter(|state| state.on && state.fault.interval.end() <= now) {
            state.end(operators, switches);
            self.counts.ended += 1;
        }
        let due = self.states.iter_mut();
        for state in due.filter(|state| !state.begun && state.fault.interval.start() <= now) {
            (state.begun, state.on) = (true, true);
            self.counts.begun += 1;
        }
        // Those that go on as well: what one that is over gave back, another may still hold.
        for state in self.states.iter_mut().filter(|state| state.on) {
            state.hold(operators, switches);
        }
    }

    /// What comes now of what was held up: commands first, as they were sent first.
    pub(crate) fn due_commands(&mut self, now: Timestamp) -> Vec<Command> {
        let due = self
            .commands
            .iter()
            .take_while(|(at, _)| *at <= now)
            .count();
        self.counts.late_commands += due as u64;
        let due = self.commands.drain(..due);
        due.map(|(_, command)| command).collect()
    }

    /// Reports that come now.
    pub(crate) fn due_reports(&mut self, now: Timestamp) -> Vec<Telemetry> {
        let mut due = Vec::new();
        for queue in self.reports.values_mut() {
            let count = queue.iter().take_while(|(at, _)| *at <= now).count();
            due.extend(queue.drain(..count).map(|(_, report)| report));
        }
        self.reports.retain(|_, queue| !queue.is_empty());
        self.counts.late_reports += due.len() as u64;
        due
    }

    /// What becomes of a report of an aggregator: as it arrives now, or nothing when it is under way.
    pub(crate) fn report(
        &mut self,
        now: Timestamp,
        aggregator: &AggregatorId,
        mut report: Telemetry,
    ) -> Option<Telemetry> {
        let mut arrives = now;
        for state in self.states.iter().filter(|state| state.on) {
            let fault = &state.fault;
            let befalls = fault.stations.binary_search(&report.station).is_ok();
            match fault.kind {
                FaultKind::WrongForecast(factor) if befalls => {
                    for session in &mut report.sessions {
                        said(session, factor);
                    }
                    self.counts.wrong_reports += 1;
                }
                FaultKind::ClockSkew(skew) if fault.aggregators.contains(aggregator) => {
                    report.sampled_at += skew;
                    self.counts.skewed_reports += 1;
                }
                FaultKind::TelemetryLate(delay) if befalls => arrives = arrives.max(now + delay),
                FaultKind::BrokerAway if fault.aggregators.contains(aggregator) => {
                    arrives = arrives.max(fault.interval.end());
                }
                _ => {}
            }
        }
        // What was made earlier comes earlier: a topic keeps the order of a station's reports.
        let queue = self.reports.get(&report.station);
        if let Some((last, _)) = queue.and_then(|queue| queue.back()) {
            arrives = arrives.max(*last);
        }
        if arrives <= now {
            return Some(report);
        }
        let queue = self.reports.entry(report.station.clone()).or_default();
        if queue.len() == QUEUE {
            queue.pop_front();
            self.counts.lost_reports += 1;
        }
        queue.push_back((arrives, report));
        None
    }

    /// Whether a command is held up; it comes later then.
    pub(crate) fn holds(&mut self, command: &Command) -> bool {
        let away = self.states.iter().filter(|state| {
            let fault = &state.fault;
            state.on
                && fault.kind == FaultKind::BrokerAway
                && fault.aggregators.contains(&command.aggregator)
        });
        let Some(back) = away.map(|state| state.fault.interval.end()).max() else {
            return false;
        };
        // Brokers of different aggregators may come back in another order than their commands were sent.
        let place = self.commands.partition_point(|(at, _)| *at <= back);
        self.commands.insert(place, (back, command.clone()));
        true
    }
}

impl State {
    /// Gives back the stations that it switched.
    fn end<S: Sites>(&mut self, operators: &mut [Operator<S>], switches: Switches<S>) {
        self.on = false;
        for (operator, station) in self.switched.drain(..) {
            let sites = operators[operator].sites_mut();
            match self.fault.kind {
                FaultKind::StationSilent => (switches.reachable)(sites, station, true),
                _ => (switches.refusal)(sites, station, None),
            }
        }
    }

    /// Switches the stations that are not switched already.
    fn hold<S: Sites>(&mut self, operators: &mut [Operator<S>], switches: Switches<S>) {
        let silent = match self.fault.kind {
            FaultKind::StationSilent => true,
            FaultKind::StationRefuses => false,
            _ => return,
        };
        for (number, operator) in operators.iter_mut().enumerate() {
            let sites = operator.sites_mut();
            let befallen = sites
                .stations()
                .iter()
                .enumerate()
                .filter(|(_, station)| self.fault.stations.binary_search(&station.id).is_ok());
            let befallen: Vec<usize> = befallen.map(|(at, _)| at).collect();
            for station in befallen {
                if silent && sites.reachable(station) {
                    (switches.reachable)(sites, station, false);
                } else if !silent && sites.refusal(station).is_none() {
                    (switches.refusal)(sites, station, Some(REFUSAL.to_owned()));
                } else {
                    continue;
                }
                self.switched.push((number, station));
            }
        }
    }
}

/// What a vehicle is said to need: so many times what it needs, as far as its battery has room for it. What it may leave without
/// is told as it is.
fn said(session: &mut Session, factor: f64) {
    if session.energy_needed > Energy::ZERO {
        let needed = session.energy_needed.as_kilowatt_hours() * factor;
        session.energy_needed = Energy::floor_kilowatt_hours(needed).min(session.energy_room);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use proptest::prelude::*;
    use vpp_core::Power;

    proptest! {
        /// Whatever is said, the engine takes it.
        #[test]
        fn a_wrong_need_is_still_a_possible_one(
            needed in -50_i64..80, room in 0_i64..80, available in 0_i64..50, factor in 0.0..100.0,
        ) {
            const KWH: i64 = 3_600_000_000;
            let energy = |kwh: i64| Energy::from_watt_milliseconds(kwh * KWH);
            let mut session = Session {
                departure: Timestamp::UNIX_EPOCH + TimeDelta::hours(1),
                energy_needed: energy(needed.clamp(-available, room)),
                energy_room: energy(room),
                energy_available: energy(available),
                max_charge: Power::from_watts(7_000),
                max_discharge: Power::from_watts(7_000),
            };
            prop_assert!(session.check().is_ok());
            said(&mut session, factor);
            prop_assert!(session.check().is_ok(), "{:?}", session);
        }
    }
}
