//! From setpoints to commands: the guard first, then only what changed or would expire.

use vpp_core::{Command, Decision, Power, Reason, SequenceNumber, Timestamp};

use crate::engine::Engine;
use crate::guard::Guard;
use crate::input::Output;
use crate::state::StationState;

/// No more commands than this wait for one station's answers.
const MAX_PENDING: usize = 16;

/// A setpoint that the guard let pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setpoint {
    pub(crate) station: usize,
    pub(crate) power: Power,
    /// Whether the guard changed it.
    pub(crate) guarded: bool,
}

/// What was sent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Issued {
    pub(crate) commands: usize,
    pub(crate) guarded: usize,
}

/// Passes setpoints through the guard: those that lower the draw first, so that they cannot be refused room that those
/// that raise it would take.
pub(crate) fn guarded(
    guard: &mut Guard<'_>,
    states: &[StationState],
    mut wanted: Vec<(usize, Power)>,
) -> Vec<Setpoint> {
    let rises = |&(station, power): &(usize, Power)| {
        states[station]
            .ordered()
            .is_some_and(|command| power > command.setpoint)
    };
    wanted.sort_by_key(rises);
    wanted
        .into_iter()
        .map(|(station, power)| {
            let released = guard.release(station, power);
            Setpoint {
                station,
                power: released,
                guarded: released != power,
            }
        })
        .collect()
}

impl Engine {
    /// Sends the setpoints that changed or whose command would expire.
    pub(crate) fn issue(
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
                reason => reason,
            };
            let station = &self.fleet.stations()[setpoint.station];
            let sequence = SequenceNumber {
                epoch: self.epoch,
                number: state.last_sequence.number + 1,
            };
            state.last_sequence = sequence;
            let command = Command {
                station: station.id.clone(),
                aggregator: station.aggregator.clone(),
                sequence,
                issued_at: now,
                valid_until: now + self.config.command_lifetime,
                setpoint: setpoint.power,
                fallback_setpoint: station.default_setpoint,
                decision,
                reason,
                cycle: self.cycle,
            };
            state.pending.push(command.clone());
            issued.commands += 1;
            issued.guarded += usize::from(setpoint.guarded);
            outputs.push(Output::Command(command));
        }
        issued
    }

    /// Leaves out stations whose answer is overdue, so that the next allocation does without them.
    pub(crate) fn miss_acknowledgements(&mut self, now: Timestamp) {
        let timeout = self.config.acknowledgement_timeout;
        for state in &mut self.states {
            state.expire(now);
            let overdue = |command: &Command| now - command.issued_at >= timeout;
            if state.pending.iter().any(overdue) && state.excluded_until.is_none_or(|u| u <= now) {
                state.exclude(now, &self.config, "no acknowledgement in time");
            }
        }
    }
}
