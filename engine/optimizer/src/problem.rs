//! What is asked: resources, the forest of limits they hang in, and the requirements laid on them.
//!
//! Units: kW, kWh, h and CNY. Power is positive when a resource draws from the grid. Every `Vec` without another
//! remark has one entry for each interval of [`Problem::intervals_h`].
//!
//! Every type here can be written with serde. In JSON an infinite limit is the text `"inf"` or `"-inf"`.

use serde::{Deserialize, Serialize};

use crate::extended::{number, series};

/// One dispatch problem: everything that [`crate::solve`] needs, and nothing else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// Length of each interval in hours, in order of time.
    pub intervals_h: Vec<f64>,
    /// What can be steered.
    pub resources: Vec<Resource>,
    /// Where limits sit: a forest, in any order.
    pub nodes: Vec<Node>,
    /// What has been promised or is wished for.
    pub requirements: Vec<Requirement>,
    /// What it costs to fall short.
    pub penalties: Penalties,
}

impl Problem {
    /// Number of intervals.
    #[must_use]
    pub fn horizon(&self) -> usize {
        self.intervals_h.len()
    }
}

/// A battery, or a group of them, behind one connection: one net draw `x = charge − discharge` in each interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Resource {
    /// The node it hangs under; `None` when no limit is above it.
    pub node: Option<usize>,
    /// Greatest charging power; finite.
    pub charge_max_kw: Vec<f64>,
    /// Greatest discharging power; finite, 0 where nothing can export.
    pub discharge_max_kw: Vec<f64>,
    /// Least net draw, also with up regulation in use: `x − u ≥ power_min`. Above zero it forces a draw.
    #[serde(with = "series")]
    pub power_min_kw: Vec<f64>,
    /// Greatest net draw, also with down regulation in use: `x + v ≤ power_max`. Below zero it forces an export.
    #[serde(with = "series")]
    pub power_max_kw: Vec<f64>,
    /// Least battery-side energy gained since the start of the horizon, at the end of each interval. Elastic: what is
    /// missing is unmet departure energy. `−INFINITY` where nothing is needed.
    #[serde(with = "series")]
    pub energy_min_kwh: Vec<f64>,
    /// Greatest battery-side energy gained since the start of the horizon, at the end of each interval. Hard.
    #[serde(with = "series")]
    pub energy_max_kwh: Vec<f64>,
    /// Battery-side energy for each kWh drawn, in (0, 1].
    pub charge_efficiency: f64,
    /// Exported energy for each kWh taken from the battery, in (0, 1].
    pub discharge_efficiency: f64,
    /// Net draw just before the first interval.
    pub initial_power_kw: f64,
    /// Greatest change of net draw for each hour; `INFINITY` for none. The net draw of interval `t` may differ from
    /// that of the interval before (from `initial_power_kw` when `t = 0`) by at most `ramp × intervals_h[t]`.
    #[serde(with = "number")]
    pub ramp_kw_per_h: f64,
    /// Greatest energy exported over the horizon (warranty); `INFINITY` for none.
    #[serde(with = "number")]
    pub throughput_max_kwh: f64,
    /// CNY paid for each kWh drawn.
    pub energy_price: Vec<f64>,
    /// CNY received for each kWh exported.
    pub feed_in_price: Vec<f64>,
    /// CNY for each kWh exported: what it takes from the battery's life. Negative for a subsidy.
    pub wear: f64,
    /// CNY for each battery-side kWh held at the end of the horizon.
    pub terminal_value: f64,
    /// Whether it may hold regulation. Only members of a [`Requirement::Regulation`] do.
    pub regulates: bool,
}

/// A place in the electric tree: everything below it passes through it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// The node above, `None` at a root.
    pub parent: Option<usize>,
    /// Greatest draw; `INFINITY` for no limit.
    #[serde(with = "series")]
    pub import_limit_kw: Vec<f64>,
    /// Greatest export, as a magnitude; `INFINITY` for no limit.
    #[serde(with = "series")]
    pub export_limit_kw: Vec<f64>,
    /// Draw at this node that nobody steers. Only its own: those of the nodes below are added to it.
    pub base_kw: Vec<f64>,
}

/// Which way demand response asks to go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// Draw less: shave a peak.
    #[default]
    Shaving,
    /// Draw more: fill a valley.
    Filling,
}

impl Direction {
    /// 1 for shaving, −1 for filling: what a reduction counts.
    #[must_use]
    pub fn sign(self) -> f64 {
        match self {
            Self::Shaving => 1.0,
            Self::Filling => -1.0,
        }
    }
}

/// A programme's claim on some resources. All are elastic: a shortfall is reported and priced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Requirement {
    /// `± Σ (baseline − x) + shortfall ≥ commitment` over the members, − for filling a valley. `x` is the schedule: regulation
    /// held is not counted, since its use is metered and paid apart.
    DemandResponse {
        /// For people to read.
        name: String,
        /// Which way.
        #[serde(default)]
        direction: Direction,
        /// Indices of resources.
        members: Vec<usize>,
        /// Draw of all members together without the event.
        baseline_kw: Vec<f64>,
        /// Promised reduction, or increase; 0 in intervals where the event is not active.
        commitment_kw: Vec<f64>,
    },
    /// `Σ u + shortfall ≥ up` and `Σ v + shortfall ≥ down` over the members that regulate.
    /// A resource may be a member of one regulation requirement only: a kW is not sold twice.
    Regulation {
        /// For people to read.
        name: String,
        /// Indices of resources.
        members: Vec<usize>,
        /// Regulation to hold for drawing less.
        up_kw: Vec<f64>,
        /// Regulation to hold for drawing more.
        down_kw: Vec<f64>,
        /// For how long each must be sustained.
        sustain_h: f64,
    },
    /// `base + Σ x ≤ peak` at a node, with a price on the peak and a ceiling that counts like a commitment.
    PeakShaving {
        /// For people to read.
        name: String,
        /// Index of the node that pays for its peak.
        node: usize,
        /// Promised ceiling; `INFINITY` in intervals without one.
        #[serde(with = "series")]
        ceiling_kw: Vec<f64>,
        /// CNY for each kW of the greatest draw over the horizon; may be 0.
        peak_price: f64,
    },
}

impl Requirement {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::DemandResponse { name, .. }
            | Self::Regulation { name, .. }
            | Self::PeakShaving { name, .. } => name,
        }
    }
}

/// CNY for each kWh of falling short (kW of shortfall × hours).
///
/// Their order is the order of what comes first: safety, departure energy, contracted demand response and peak
/// ceilings, regulation, economics. Defaults lie a factor 10 apart, so that the order also holds where one kW serves
/// a handful of requirements of the next lower rank at once (an event and the aggregator's part of it, say), and the
/// lowest lies above any price of energy and any subsidy paid today (5 CNY/kWh). Each rank is a price and no more: a
/// trade that gives up a little of the higher rank for over ten times as much of the lower is taken. Regulation
/// sustained for minutes only, where one kWh stored holds many kW, is the case to watch.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Penalties {
    /// Flow above a node's limit that cannot be avoided.
    pub overload: f64,
    /// Departure energy not met, battery-side.
    pub unmet_energy: f64,
    /// Contracted demand response not delivered.
    pub demand_response: f64,
    /// Draw above a promised ceiling.
    pub peak_ceiling: f64,
    /// Regulation not held, in each direction.
    pub regulation: f64,
}

impl Default for Penalties {
    fn default() -> Self {
        Self {
            overload: 10_000.0,
            unmet_energy: 1_000.0,
            demand_response: 100.0,
            peak_ceiling: 100.0,
            regulation: 10.0,
        }
    }
}
