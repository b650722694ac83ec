//! Commands to stations and their acknowledgements.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{AggregatorId, Power, StationId, Timestamp};

/// Orders the commands of a station. The epoch grows with each start of the engine, so that numbers go on growing over a
/// restart, and an older instance is recognised.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize,
)]
pub struct SequenceNumber {
    /// Which life of the engine.
    pub epoch: u64,
    /// Which command of that life; grows for each station.
    pub number: u64,
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.number)
    }
}

/// How a setpoint was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
pub enum Decision {
    /// The optimizer proved it the best.
    Optimal,
    /// The optimizer was interrupted or not sure; feasible, the best so far.
    Incumbent,
    /// Shared out by rule, because the optimizer gave nothing in time.
    Fallback,
    /// The last allocation kept and checked again, because the optimizer gave nothing in time.
    Hold,
}

/// Why a command was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
pub enum Reason {
    /// A demand-response or peak-shaving event is on.
    Event,
    /// A regulation signal moved the station off its schedule.
    Regulation,
    /// The guard brought the station back under a limit of the tree.
    Limit,
    /// The last command would expire; nothing else changed.
    Renewal,
    /// Orderly charging: the engine sets the station's power all the time.
    Orderly,
    /// No programme needs the station any longer: back to its own default.
    Release,
}

/// A setpoint addressed, numbered and expiring.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Command {
    /// Who shall follow it.
    pub station: StationId,
    /// Through whom: the topic.
    pub aggregator: AggregatorId,
    /// Its place in the order of the station's commands.
    pub sequence: SequenceNumber,
    /// When the engine released it.
    pub issued_at: Timestamp,
    /// First instant at which it no longer holds.
    pub valid_until: Timestamp,
    /// What the station shall draw (negative: export). For stations that only charge it is a ceiling: vehicles may take
    /// less.
    pub setpoint: Power,
    /// What holds after `valid_until` without a new command: a ceiling on the draw, no export.
    pub fallback_setpoint: Power,
    /// How it was decided.
    pub decision: Decision,
    /// Why it was sent.
    pub reason: Reason,
    /// The control cycle that released it.
    pub cycle: u64,
}

/// What an aggregator answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
pub enum AcknowledgementStatus {
    /// The station will follow.
    Accepted,
    /// The station will not follow: out of order, owner's veto, fault.
    Refused,
    /// The command had expired when it came.
    Expired,
    /// A command with the same or a higher number came before.
    Superseded,
}

/// An aggregator's answer to one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Whose command.
    pub station: StationId,
    /// Which command.
    pub sequence: SequenceNumber,
    /// The answer.
    pub status: AcknowledgementStatus,
    /// Why not, for people; empty when accepted.
    pub detail: String,
    /// When the aggregator answered, by its clock.
    pub acknowledged_at: Timestamp,
}
