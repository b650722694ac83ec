//! Telemetry and acknowledgements into the state. What is refused changes nothing.

use vpp_core::{
    Acknowledgement, AcknowledgementStatus, Invalid, Power, SequenceNumber, Telemetry, Timestamp,
};

use crate::engine::Engine;
use crate::state::StationState;
use crate::visits;

impl Engine {
    /// Takes a report. A repeated one is dropped without a word, one that is older than the last is refused: both change
    /// nothing.
    pub(crate) fn ingest_telemetry(
        &mut self,
        now: Timestamp,
        telemetry: Telemetry,
    ) -> Result<(), Invalid> {
        telemetry.check()?;
        let station = self.require_station(&telemetry.station)?;
        self.check_time("sample_time", telemetry.sampled_at, now)?;
        let registered = &self.fleet.stations()[station];
        // Twice the connection is no measurement: it is an error of units (W for kW) or of sign.
        let bound = registered.import_limit.max(registered.export_limit);
        if telemetry.active_power.abs() > bound + bound {
            let problem = format!(
                "{} is more than twice the connection of {bound}",
                telemetry.active_power
            );
            return Err(Invalid::new("active_power_kw", problem));
        }
        let config = &self.config;
        let regulated = self.regulation_offset(station);
        let state = &mut self.states[station];
        match state.sampled_at {
            Some(last) if telemetry.sampled_at == last => return Ok(()),
            Some(last) if telemetry.sampled_at < last => {
                let problem = format!("{} is before the last, {last}", telemetry.sampled_at);
                return Err(Invalid::new("sample_time", problem));
            }
            _ => {}
        }
        let visits = visits::by_report(state, registered, &telemetry);
        self.turnover.see(self.fleet.aggregator_of(station), visits);
        state.follow_report(
            now,
            telemetry.sampled_at,
            telemetry.command_in_force,
            config,
        );
        let power = telemetry.active_power - regulated;
        state.unplanned.observe(power);
        if state.baseline.as_ref().is_none_or(|b| !b.in_event) {
            let (at, window) = (telemetry.sampled_at, config.baseline_window);
            state.load.record(at, power, window);
            state.usual.observe(&config.calendar, at, power);
        }
        if registered.regulates {
            state.learn_response(&telemetry);
        }
        state.sampled_at = Some(telemetry.sampled_at);
        state.received_at = Some(now);
        state.active_power = telemetry.active_power;
        state.sessions = telemetry.sessions;
        state.learn_excess(now);
        Ok(())
    }

    /// Takes an answer. One to a command that is no longer waited for is dropped without a word.
    pub(crate) fn ingest_acknowledgement(
        &mut self,
        now: Timestamp,
        acknowledgement: &Acknowledgement,
    ) -> Result<(), Invalid> {
        let station = self.require_station(&acknowledgement.station)?;
        self.check_time("acknowledge_time", acknowledgement.acknowledged_at, now)?;
        let config = &self.config;
        let state = &mut self.states[station];
        let sequence = acknowledgement.sequence;
        if sequence > state.last_sequence {
            return Err(Invalid::new(
                "sequence",
                format!("{sequence} was never sent"),
            ));
        }
        // Counted also when a report told of it first.
        self.acknowledgements += 1;
        let Some(position) = state.pending.iter().position(|c| c.sequence == sequence) else {
            return Ok(());
        };
        match acknowledgement.status {
            AcknowledgementStatus::Accepted => state.accept(now, position),
            AcknowledgementStatus::Refused => {
                self.refusals += 1;
                state.pending.remove(position);
                state.exclude(now, config, &acknowledgement.detail);
            }
            // Nothing is in force that was not before: the next cycle sends afresh.
            AcknowledgementStatus::Expired | AcknowledgementStatus::Superseded => {
                state.pending.remove(position);
            }
        }
        Ok(())
    }

    fn require_station(&self, id: &vpp_core::StationId) -> Result<usize, Invalid> {
        self.fleet
            .station_index(id)
            .ok_or_else(|| Invalid::unknown("station_id", id))
    }

    fn check_time(&self, field: &str, at: Timestamp, now: Timestamp) -> Result<(), Invalid> {
        if at <= now + self.config.future_tolerance {
            return Ok(());
        }
        let tolerance = self.config.future_tolerance.num_seconds();
        Err(Invalid::new(
            field,
            format!("{at} is more than {tolerance} s ahead of {now}"),
        ))
    }
}

impl StationState {
    /// The command at `position` is followed; those before it can no longer be.
    fn accept(&mut self, now: Timestamp, position: usize) {
        let command = self.pending.drain(..=position).next_back();
        if let Some(command) = command.filter(|command| command.valid_until > now) {
            self.response.tell(now, command.setpoint);
            self.in_force = Some(command);
            self.in_force_since = Some(now);
            self.unknown_until = None;
        }
        self.failures = 0;
        self.excluded_until = None;
    }

    /// Heals what messages lost: a report says which command the station follows.
    fn follow_report(
        &mut self,
        now: Timestamp,
        sampled_at: Timestamp,
        reported: Option<SequenceNumber>,
        config: &crate::Config,
    ) {
        if let Some(sequence) = reported {
            if let Some(position) = self.pending.iter().position(|c| c.sequence == sequence) {
                self.accept(now, position);
            } else if sequence.epoch < self.last_sequence.epoch {
                // A command of a life before this one: it holds for a lifetime at most.
                let until = sampled_at + config.command_lifetime;
                self.unknown_until = Some(until).filter(|until| *until > now);
            }
        }
        let followed = self.in_force.as_ref().map(|command| command.sequence);
        let lost = followed.is_some() && reported < followed;
        if lost && self.in_force_since.is_some_and(|since| sampled_at > since) {
            // The aggregator has forgotten it, by a restart perhaps: the station is at its default.
            self.in_force = None;
            self.response.lose_track();
        }
    }

    /// How the station answers, from this report and the one before.
    fn learn_response(&mut self, telemetry: &vpp_core::Telemetry) {
        if telemetry.sessions.len() != self.sessions.len() {
            self.response.forget_ends();
        }
        let followed = self.in_force.as_ref().map(|command| command.sequence);
        if let Some(before) = self.sampled_at
            && telemetry.command_in_force == followed
        {
            let (from, to) = (self.active_power, telemetry.active_power);
            self.response
                .learn((before, from), (telemetry.sampled_at, to));
        }
    }

    /// By how much the station draws more than the ceiling that it acknowledged, once it had time to settle.
    fn learn_excess(&mut self, now: Timestamp) {
        const SETTLE_SECONDS: i64 = 6;
        let (Some(command), Some(since)) = (&self.in_force, self.in_force_since) else {
            return;
        };
        if (now - since).num_seconds() < SETTLE_SECONDS || !self.pending.is_empty() {
            return;
        }
        let over = (self.active_power - command.setpoint).max(Power::ZERO);
        self.excess = Power::from_watts((3 * self.excess.as_watts() + over.as_watts()) / 4);
    }
}
