//! What goes wrong for a while, on purpose: to see that limits hold, that it is counted, and that all is well afterwards.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};

use crate::{AggregatorId, Interval, StationId};

/// A fault, with whom it befalls.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Fault {
    /// Its name.
    pub id: String,
    /// What goes wrong.
    pub kind: FaultKind,
    /// For how long.
    pub interval: Interval,
    /// The stations that it befalls, in the order of the fleet; none where it befalls aggregators.
    pub stations: Vec<StationId>,
    /// The aggregators that it befalls, in the order of the fleet; none where it befalls stations.
    pub aggregators: Vec<AggregatorId>,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, Serialize)]
pub enum FaultKind {
    /// Stations hear nothing and say nothing; their own controllers fall back when what they were set ends.
    StationSilent,
    /// Stations refuse every command and control themselves.
    StationRefuses,
    /// Reports of stations come late by so much.
    TelemetryLate(TimeDelta),
    /// Neither reports nor commands nor answers of aggregators pass; what was queued comes afterwards.
    BrokerAway,
    /// The clock of aggregators is ahead by so much (negative: behind), and with it the times of their reports.
    ClockSkew(TimeDelta),
    /// Stations say that their vehicles need so many times what they need until they leave; not negative.
    WrongForecast(f64),
}
