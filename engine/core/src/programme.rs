//! Programmes: what the grid buys, and one call of them.

use serde::{Deserialize, Serialize};

use crate::{AggregatorId, Energy, EventId, Interval, NodeId, Power, Timestamp};

/// Which stations take part.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Scope {
    /// All.
    All,
    /// Those of one aggregator.
    Aggregator(AggregatorId),
    /// Those below one node of the electric tree.
    Node(NodeId),
}

/// A product, with what is asked of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Programme {
    /// Draw less than the baseline, by `reduction` (positive), throughout.
    DemandResponse {
        /// By how much; positive.
        reduction: Power,
    },
    /// Draw more than the baseline, by `increase` (positive), throughout.
    ValleyFilling {
        /// By how much; positive.
        increase: Power,
    },
    /// Keep the import of a node, base load included, at or below a ceiling.
    PeakShaving {
        /// Where.
        node: NodeId,
        /// The ceiling; not negative.
        ceiling: Power,
    },
}

impl Programme {
    /// Whether it asks to draw more, rather than less.
    #[must_use]
    pub fn fills(&self) -> bool {
        matches!(self, Programme::ValleyFilling { .. })
    }
}

/// What the grid asks for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct EventRequest {
    /// What.
    pub programme: Programme,
    /// When.
    pub interval: Interval,
    /// From whom. Peak shaving takes all stations below its node, so only [`Scope::All`] or that node fit.
    pub scope: Scope,
}

/// Where an event is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
pub enum EventState {
    /// Accepted, not begun.
    Scheduled,
    /// Now.
    Active,
    /// Over.
    Ended,
    /// Called off by the grid before its end.
    Cancelled,
}

/// How an event ended: exactly one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum EventOutcome {
    /// At least the accepted share of the committed energy came.
    Delivered,
    /// Less came; the shortfall is stated.
    PartlyDelivered {
        /// Committed minus delivered.
        shortfall: Energy,
    },
    /// Called off.
    Cancelled,
}

/// What one aggregator promised to an event.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Commitment {
    /// Who.
    pub aggregator: AggregatorId,
    /// How much of the reduction.
    pub power: Power,
}

/// One call of a programme, accepted.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Event {
    /// Its name.
    pub id: EventId,
    /// What was asked.
    pub request: EventRequest,
    /// What is promised: for demand response and valley filling at most what is asked, for peak shaving the reduction
    /// foreseen.
    pub accepted: Power,
    /// What was asked and is not promised; zero when all is.
    pub refused: Power,
    /// The promise, shared over aggregators; adds up to `accepted`.
    pub commitments: Vec<Commitment>,
    /// Whether the promises come of a clearing: then only stations of aggregators with a promise take part.
    pub cleared: bool,
    /// Where it is in its life.
    pub state: EventState,
    /// When the grid asked.
    pub created_at: Timestamp,
    /// Draw of the stations in scope by now if it were not for the event, as frozen at its start.
    pub baseline: Option<Power>,
    /// Draw of the stations in scope by the last readings, while active.
    pub measured: Option<Power>,
    /// What will probably be missing at most within the next quarter of an hour; none before that is looked at, and after.
    pub forecast_shortfall: Option<Power>,
    /// Committed energy so far.
    pub committed_energy: Energy,
    /// Delivered energy so far, by telemetry, capped in each cycle at what was committed for it.
    pub delivered_energy: Energy,
    /// How it ended; none before.
    pub outcome: Option<EventOutcome>,
}

/// Capacity that the grid may call by its regulation signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct RegulationAward {
    /// The most that it may ask to draw less.
    pub up: Power,
    /// The most that it may ask to draw more.
    pub down: Power,
}

/// One value of the grid's regulation signal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RegulationSignal {
    /// Grows with each value.
    pub sequence: u64,
    /// When the grid made it.
    pub signal_time: Timestamp,
    /// Per unit of the award, −1 to 1. **Positive: draw less** (regulation up).
    pub value: f64,
}
