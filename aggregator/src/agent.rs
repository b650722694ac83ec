//! Which command a station follows: the newest that was accepted, until it expires, then its fallback.
//!
//! One state machine for each station, without clock and without I/O. A command that is refused for its content leaves no
//! trace; any other raises the highest number seen, so that what was sent earlier and comes later changes nothing.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use vpp_core::{
    Acknowledgement, AcknowledgementStatus, AggregatorId, Command, Power, SequenceNumber, Station,
    StationId, Timestamp,
};

/// How far the engine's clock may be ahead of ours. A command from further in the future is refused: its expiry would mean
/// nothing.
pub const MAX_CLOCK_SKEW: TimeDelta = TimeDelta::minutes(5);

/// The longest detail of an acknowledgement, in bytes.
const MAX_DETAIL: usize = 256;

/// What a station shall keep to at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InForce {
    /// What it shall draw; negative: export.
    pub setpoint: Power,
    /// The command that says so; none when it is the fallback of an expired one, or the station's own default.
    pub command: Option<SequenceNumber>,
    /// First instant at which something else holds, if nothing new comes.
    pub valid_until: Option<Timestamp>,
    /// What holds then: a ceiling on the draw, no export.
    pub fallback: Power,
}

/// The commands of one station.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct StationAgent {
    station: StationId,
    aggregator: AggregatorId,
    import_limit: Power,
    export_limit: Power,
    /// What was answered to the highest number seen.
    newest: Option<(SequenceNumber, AcknowledgementStatus, String)>,
    accepted: Option<Accepted>,
    /// What holds without a command.
    fallback: Power,
}

/// A command that is followed until it expires.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
struct Accepted {
    sequence: SequenceNumber,
    setpoint: Power,
    valid_until: Timestamp,
}

impl StationAgent {
    /// An agent that has heard nothing yet: the station's default holds.
    #[must_use]
    pub fn new(station: &Station) -> StationAgent {
        StationAgent {
            station: station.id.clone(),
            aggregator: station.aggregator.clone(),
            import_limit: station.import_limit,
            export_limit: station.export_limit,
            newest: None,
            accepted: None,
            fallback: station.default_setpoint,
        }
    }

    /// Takes a command for this station and answers it. `refusal` is why the station would not follow any command now.
    pub fn receive(
        &mut self,
        now: Timestamp,
        command: &Command,
        refusal: Option<&str>,
    ) -> Acknowledgement {
        let (status, detail) = self.decide(now, command, refusal);
        Acknowledgement {
            station: self.station.clone(),
            sequence: command.sequence,
            status,
            detail,
            acknowledged_at: now,
        }
    }

    /// What holds at `now`.
    #[must_use]
    pub fn in_force(&self, now: Timestamp) -> InForce {
        match self.accepted.filter(|accepted| now < accepted.valid_until) {
            Some(accepted) => InForce {
                setpoint: accepted.setpoint,
                command: Some(accepted.sequence),
                valid_until: Some(accepted.valid_until),
                fallback: self.fallback,
            },
            None => InForce {
                setpoint: self.fallback,
                command: None,
                valid_until: None,
                fallback: self.fallback,
            },
        }
    }

    /// The highest number seen, of whatever became of it.
    #[must_use]
    pub fn highest(&self) -> Option<SequenceNumber> {
        self.newest.as_ref().map(|(sequence, ..)| *sequence)
    }

    fn decide(
        &mut self,
        now: Timestamp,
        command: &Command,
        refusal: Option<&str>,
    ) -> (AcknowledgementStatus, String) {
        if let Some(problem) = self.problem(now, command) {
            return (AcknowledgementStatus::Refused, problem);
        }
        if let Some((highest, status, detail)) = &self.newest {
            if command.sequence < *highest {
                let detail = format!("{} came before {}", highest, command.sequence);
                return (AcknowledgementStatus::Superseded, detail);
            }
            let holds = *status != AcknowledgementStatus::Accepted || now < command.valid_until;
            if command.sequence == *highest && holds {
                return (*status, detail.clone());
            }
        }
        let answer = match refusal {
            _ if now >= command.valid_until => {
                let late = now - command.valid_until;
                let detail = format!("expired {} ms ago", late.num_milliseconds());
                (AcknowledgementStatus::Expired, detail)
            }
            Some(refusal) => (AcknowledgementStatus::Refused, shortened(refusal)),
            None => {
                self.accepted = Some(Accepted {
                    sequence: command.sequence,
                    setpoint: command.setpoint,
                    valid_until: command.valid_until,
                });
                self.fallback = command.fallback_setpoint;
                (AcknowledgementStatus::Accepted, String::new())
            }
        };
        self.newest = Some((command.sequence, answer.0, answer.1.clone()));
        answer
    }

    /// Why the command can never be followed by this station, whatever its number. A setpoint beyond the limits is refused
    /// and not cut to them: whoever sent it counts on the whole of it.
    fn problem(&self, now: Timestamp, command: &Command) -> Option<String> {
        if command.station != self.station || command.aggregator != self.aggregator {
            let (station, aggregator) = (&command.station, &command.aggregator);
            return Some(format!("addressed to {station} of {aggregator}"));
        }
        if command.setpoint > self.import_limit {
            let (setpoint, limit) = (command.setpoint, self.import_limit);
            return Some(format!("setpoint {setpoint} above import limit {limit}"));
        }
        if command.setpoint < -self.export_limit {
            let (setpoint, limit) = (command.setpoint, self.export_limit);
            return Some(format!("setpoint {setpoint} beyond export limit {limit}"));
        }
        if command.fallback_setpoint < Power::ZERO || command.fallback_setpoint > self.import_limit
        {
            let (fallback, limit) = (command.fallback_setpoint, self.import_limit);
            return Some(format!(
                "fallback setpoint {fallback} outside 0 W to {limit}"
            ));
        }
        // A difference, because the sum of a wild instant and the tolerance could leave the calendar.
        let ahead = command.issued_at - now;
        if ahead > MAX_CLOCK_SKEW {
            let seconds = ahead.num_seconds();
            return Some(format!(
                "issued {seconds} s in the future; check the clocks"
            ));
        }
        None
    }
}

/// The text, cut at a character's border to what an acknowledgement may carry.
fn shortened(text: &str) -> String {
    let ends = text
        .char_indices()
        .map(|(start, letter)| start + letter.len_utf8());
    let end = ends
        .take_while(|end| *end <= MAX_DETAIL)
        .last()
        .unwrap_or(0);
    text[..end].to_owned()
}
