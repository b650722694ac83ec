//! From setpoints to commands: the guard first, then only what changed or would expire.

use vpp_core::{Command, Decision, Fleet, Power, Reason, SequenceNumber, Timestamp};

use crate::engine::Engine;
use crate::guard::{Guard, Sums};
use crate::input::Output;
use crate::state::{Ordered, StationState};

/// No more commands than this wait for one station's answers.
const MAX_PENDING: usize = 16;

/// A setpoint that the guard let pass.
#[derive(Clone, Copy, Debug)]
struct Setpoint {
    station: usize,
    power: Power,
    /// Whether the guard changed it.
    guarded: bool,
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Issued {
    pub(crate) commands: usize,
    pub(crate) guarded: usize,
}

/// Room for a release, kept from one to the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Releasing {
    /// Stations and what is wanted of them.
    wanted: Vec<(usize, Power)>,
    rising: Vec<(usize, Power)>,
    setpoints: Vec<Setpoint>,
    sums: Sums,
    /// Nodes that could be overloaded at worst, after the last release.
    pub(crate) exposed_nodes: usize,
}

impl Releasing {
    /// Sets what is wanted of which station.
    pub(crate) fn want(&mut self, wanted: impl Iterator<Item = (usize, Power)>) {
        self.wanted.clear();
        self.wanted.extend(wanted);
    }

    /// Passes what is wanted through the guard: what lowers the draw first, so that it cannot be refused room that what
    /// raises it would take.
    fn guard(&mut self, fleet: &Fleet, states: &[StationState], span: (Timestamp, Timestamp)) {
        let mut guard = Guard::new(fleet, states, span, std::mem::take(&mut self.sums));
        self.setpoints.clear();
        self.rising.clear();
        let mut release = |station: usize, power: Power| {
            let released = guard.release(station, power);
            self.setpoints.push(Setpoint {
                station,
                power: released,
                guarded: released != power,
            });
        };
        for &(station, power) in &self.wanted {
            let ordered = states[station].ordered();
            let rises = ordered.is_some_and(|command| power > command.setpoint);
            if !rises {
                release(station, power);
            } else {
                self.rising.push((station, power));
            }
        }
        for &(station, power) in &self.rising {
            release(station, power);
        }
        self.exposed_nodes = guard.exposed_nodes();
        self.sums = guard.into_sums();
    }
}

impl Engine {
    /// Sends stations where they are wanted, as far as the guard lets them: [`Releasing::wanted`] of `releasing`.
    pub(crate) fn release_wanted(
        &mut self,
        now: Timestamp,
        mut releasing: Releasing,
        decision: Decision,
        reason: Reason,
        outputs: &mut Vec<Output>,
    ) -> Issued {
        let span = (now, now + self.config.command_lifetime);
        releasing.guard(&self.fleet, &self.states, span);
        let issued = self.issue(now, &releasing.setpoints, decision, reason, outputs);
        self.releasing = releasing;
        issued
    }

    /// Sends the setpoints that changed or whose command would expire.
    fn issue(
        &mut self,
        now: Timestamp,
        setpoints: &[Setpoint],
        decision: Decision,
        reason: Reason,
        outputs: &mut Vec<Output>,
    ) -> Issued {
        let mut issued = Issued::default();
        for setpoint in setpoints {
            let state = &mut self.states[setpoint.station];
            let unchanged = state.ordered().is_some_and(|command| {
                (command.setpoint - setpoint.power).abs() < self.config.deadband
            });
            let lasting = state.ordered().is_some_and(|command| {
                command.valid_until - now > self.config.command_lifetime / 2
            });
            if (unchanged && lasting) || state.pending.len() >= MAX_PENDING {
                continue;
            }
            let reason = match reason {
                reason if unchanged && reason != Reason::Release => Reason::Renewal,
                _ if setpoint.guarded => Reason::Limit,
                // Others may be in an event meanwhile.
                Reason::Event | Reason::Regulation if state.baseline.is_none() => Reason::Orderly,
                reason => reason,
            };
            let station = &self.fleet.stations()[setpoint.station];
            let sequence = SequenceNumber {
                epoch: self.epoch,
                number: state.last_sequence.number + 1,
            };
            state.last_sequence = sequence;
            let ordered = Ordered {
                sequence,
                issued_at: now,
                valid_until: now + self.config.command_lifetime,
                setpoint: setpoint.power,
            };
            state.pending.push(ordered);
            issued.commands += 1;
            issued.guarded += usize::from(setpoint.guarded);
            outputs.push(Output::Command(Command {
                station: station.id.clone(),
                aggregator: station.aggregator.clone(),
                sequence,
                issued_at: now,
                valid_until: ordered.valid_until,
                setpoint: setpoint.power,
                fallback_setpoint: station.default_setpoint,
                decision,
                reason,
                cycle: self.cycle,
            }));
        }
        issued
    }

    /// Leaves out stations whose answer is overdue, so that the next allocation does without them.
    pub(crate) fn miss_acknowledgements(&mut self, now: Timestamp) {
        let timeout = self.config.acknowledgement_timeout;
        for state in &mut self.states {
            state.expire(now);
            let overdue = |command: &Ordered| now - command.issued_at >= timeout;
            if state.pending.iter().any(overdue) && state.excluded_until.is_none_or(|u| u <= now) {
                state.exclude(now, &self.config, "no acknowledgement in time");
            }
        }
    }
}
