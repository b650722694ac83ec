//! What is known of each station now.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use vpp_core::time::since;
use vpp_core::{Power, SequenceNumber, Session, StationLimits, Timestamp};

use crate::Config;
use crate::baseline::{Baseline, LoadMeter};
use crate::regulation::response::Response;
use crate::regulation::steer::Steered;
use crate::unplanned::Unplanned;
use crate::usual::UsualLoad;

/// A range of power that a station may be at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exposure {
    /// Lowest: most export.
    pub low: Power,
    /// Highest: most draw.
    pub high: Power,
}

impl Exposure {
    /// Where a station may be while it follows `setpoint`. A setpoint to draw is a ceiling, one to export needs vehicles
    /// that can: in both cases the station may be anywhere from there to zero.
    #[must_use]
    pub fn of(setpoint: Power) -> Exposure {
        Exposure {
            low: setpoint.min(Power::ZERO),
            high: setpoint.max(Power::ZERO),
        }
    }

    /// Where it may be when either holds.
    #[must_use]
    pub fn or(self, other: Exposure) -> Exposure {
        Exposure {
            low: self.low.min(other.low),
            high: self.high.max(other.high),
        }
    }
}

/// What is remembered of a command: little, for every value of the signal looks at all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Ordered {
    /// Its place in the order of the station's commands.
    pub sequence: SequenceNumber,
    /// When the engine released it.
    pub issued_at: Timestamp,
    /// First instant at which it no longer holds.
    pub valid_until: Timestamp,
    /// What the station shall draw; negative: export.
    pub setpoint: Power,
}

/// What is known of a station now.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct StationState {
    /// When the last sample was taken.
    pub sampled_at: Option<Timestamp>,
    /// When the engine received it.
    pub received_at: Option<Timestamp>,
    /// Power by the last sample.
    pub active_power: Power,
    /// Vehicles plugged in by the last sample.
    pub sessions: Vec<Session>,
    /// Departures of the vehicles that the plan knew of, ascending.
    pub(crate) known: Vec<Timestamp>,
    /// The last command that was accepted.
    pub in_force: Option<Ordered>,
    /// Since when it is followed.
    pub in_force_since: Option<Timestamp>,
    /// Until when it may follow a command of an engine before this one, whose setpoint is not known.
    pub unknown_until: Option<Timestamp>,
    /// Commands without an answer, oldest first.
    pub pending: Vec<Ordered>,
    /// Highest sequence number used or seen.
    pub last_sequence: SequenceNumber,
    /// Left out until then, because it refused or stayed silent.
    pub excluded_until: Option<Timestamp>,
    /// Failures in a row.
    pub failures: u32,
    /// Why it was left out last, for people.
    pub last_refusal: String,
    /// Its load while no event used it, without what regulation moved.
    pub(crate) load: LoadMeter,
    /// What it usually draws when no event uses it.
    pub(crate) usual: UsualLoad,
    /// What it draws beyond its plan.
    pub(crate) unplanned: Unplanned,
    /// What it would draw without the programme that uses it.
    pub baseline: Option<Baseline>,
    /// Whether its charging is orderly: planned all the time.
    pub orderly: bool,
    /// By how much it draws more than it was told, smoothed: piles that do not obey.
    pub excess: Power,
    /// The schedule of the plan for now, without regulation; none when no programme uses it.
    pub schedule: Option<Power>,
    /// Regulation held up and down for now.
    pub held: vpp_core::RegulationAward,
    /// How it answers its setpoints.
    pub(crate) response: Response,
    /// Between which draws regulation may move it, kW.
    pub(crate) room_kw: (f64, f64),
    /// Where it would be now, and when that was, kW, if it had followed its schedules alone, as fast as it does.
    pub(crate) course: Option<(Timestamp, f64)>,
    /// Where the signal in force sends it.
    pub(crate) steered: Option<Steered>,
}

impl StationState {
    /// Whether the engine sets its power now: a programme uses it, or its charging is orderly.
    #[must_use]
    pub fn is_managed(&self) -> bool {
        self.baseline.is_some() || self.orderly
    }

    /// Whether the last report is recent enough.
    #[must_use]
    pub fn is_fresh(&self, now: Timestamp, config: &Config) -> bool {
        let (Some(received_at), Some(sampled_at)) = (self.received_at, self.sampled_at) else {
            return false;
        };
        let (received, sampled) = (since(received_at, now), since(sampled_at, now));
        // Mostly the last report is the latest there can be.
        if received.max(sampled) <= config.telemetry_period {
            return true;
        }
        let silence = config.silence();
        received <= silence && sampled <= silence * 2
    }

    /// Whether it can be given a setpoint: it reports, and it has not failed lately.
    #[must_use]
    pub fn is_callable(&self, now: Timestamp, config: &Config) -> bool {
        self.is_fresh(now, config) && self.excluded_until.is_none_or(|until| until <= now)
    }

    /// Drops what has expired: the station is back at its default.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        self.pending.retain(|command| command.valid_until > now);
        if self
            .in_force
            .as_ref()
            .is_some_and(|command| command.valid_until <= now)
        {
            self.in_force = None;
            self.response.lose_track();
        }
        self.unknown_until = self.unknown_until.filter(|until| *until > now);
    }

    /// The setpoint that was ordered last and has not expired.
    #[must_use]
    pub fn ordered(&self) -> Option<&Ordered> {
        self.pending.last().or(self.in_force.as_ref())
    }

    /// The setpoint that it acknowledged and that has not expired.
    #[must_use]
    pub fn acknowledged(&self) -> Option<Power> {
        self.in_force.as_ref().map(|command| command.setpoint)
    }

    /// Everything that it may be following: the worse of old and new until it answers.
    #[must_use]
    pub fn exposure(&self, limits: &StationLimits) -> Exposure {
        let followed = self
            .in_force
            .as_ref()
            .map_or(limits.default_setpoint, |c| c.setpoint);
        let mut exposure = Exposure::of(followed);
        if self.unknown_until.is_some() {
            exposure = exposure.or(Exposure {
                low: -limits.rated_export,
                high: limits.rated_draw,
            });
        }
        self.pending.iter().fold(exposure, |sum, command| {
            sum.or(Exposure::of(command.setpoint))
        })
    }

    /// Leaves the station out for a while, longer with each failure in a row.
    pub(crate) fn exclude(&mut self, now: Timestamp, config: &Config, why: &str) {
        let doublings = self.failures.min(4);
        self.failures = self.failures.saturating_add(1);
        let length: TimeDelta = config.exclusion * (1 << doublings);
        self.excluded_until = Some(now + length);
        why.clone_into(&mut self.last_refusal);
    }
}
