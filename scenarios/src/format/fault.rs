//! `[[fault]]`.

use schemars::JsonSchema;
use serde::Deserialize;
use vpp_core::{AggregatorId, NodeId};

use crate::schema::Id;

/// `[[fault]]`: something that goes wrong for a while.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultRow {
    /// Its name.
    pub id: String,
    /// What goes wrong.
    pub kind: FaultKind,
    /// Begin, seconds after the scenario's start.
    pub start_offset_s: u32,
    /// Length in seconds; positive.
    pub duration_s: u32,
    /// `telemetry_late`: how long after its time a report comes, seconds.
    #[serde(default)]
    pub delay_s: Option<f64>,
    /// `clock_skew`: how far the aggregator's clock is ahead, seconds; negative: behind.
    #[serde(default)]
    pub skew_s: Option<f64>,
    /// `wrong_forecast`: what vehicles are said to need, over what they need; below 1 they are said to need less.
    #[serde(default)]
    pub factor: Option<f64>,
    /// Scope: the stations of this aggregator alone. Without any scope: all.
    #[serde(default)]
    #[schemars(with = "Option<Id>")]
    pub aggregator: Option<AggregatorId>,
    /// Scope: the stations below this node alone.
    #[serde(default)]
    #[schemars(with = "Option<Id>")]
    pub node: Option<NodeId>,
    /// Share of the stations in the scope, drawn with the scenario's seed.
    #[serde(default)]
    pub share: Option<f64>,
}

/// The kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Stations hear nothing and say nothing; their own controllers fall back when what they were set ends.
    StationSilent,
    /// Stations refuse every command and control themselves.
    StationRefuses,
    /// Reports come late.
    TelemetryLate,
    /// Neither reports nor commands nor answers pass; what was queued comes afterwards.
    BrokerAway,
    /// The clock of an aggregator is wrong, and with it the times of its reports.
    ClockSkew,
    /// Stations say wrongly what their vehicles need until they leave.
    WrongForecast,
}

impl FaultKind {
    /// Its name in a file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            FaultKind::StationSilent => "station_silent",
            FaultKind::StationRefuses => "station_refuses",
            FaultKind::TelemetryLate => "telemetry_late",
            FaultKind::BrokerAway => "broker_away",
            FaultKind::ClockSkew => "clock_skew",
            FaultKind::WrongForecast => "wrong_forecast",
        }
    }

    /// Whether it befalls an aggregator as a whole, and not station by station.
    #[must_use]
    pub fn is_of_aggregators(self) -> bool {
        matches!(self, FaultKind::BrokerAway | FaultKind::ClockSkew)
    }
}
