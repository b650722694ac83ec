//! What is answered: a schedule for each resource, what falls short, and what it costs.

use serde::{Deserialize, Serialize};

/// The answer to a [`crate::Problem`]. Every hard limit holds in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Solution {
    /// One for each resource.
    pub schedule: Vec<ResourceSchedule>,
    /// One for each requirement.
    pub shortfalls: Vec<Shortfall>,
    /// One for each node.
    pub overloads: Vec<Overload>,
    /// Own limits of resources that contradict each other and were widened before solving.
    pub relaxed: Vec<Relaxation>,
    /// CNY: cost of energy less revenue, wear, and all penalties; of the schedule as returned.
    pub objective: f64,
    /// CNY: no schedule is cheaper by more than this, as far as is known; infinite where nothing is.
    #[serde(with = "crate::extended::number")]
    pub gap: f64,
    /// CNY: the part of `objective` that came from turning the solver's answer into one that keeps every hard limit
    /// and never charges and discharges at once. `objective − repair_cost` is what the solver claims to be optimal. Zero
    /// unless [`Status::Optimal`].
    pub repair_cost: f64,
    /// How good it is.
    pub status: Status,
    /// Marginal prices; `None` where the method gives none.
    pub prices: Option<Prices>,
}

/// How much is known about a solution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// The linear program was solved to optimality (and repaired, see [`Solution::repair_cost`]).
    Optimal,
    /// The solver stopped early; all hard limits hold and it is no worse than the rules.
    Feasible,
    /// The solver came to no end by itself; the best schedule that it saw. All hard limits hold.
    Stalled,
    /// Made by rules, without a linear program.
    Rules,
}

/// What one resource does: one entry for each interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResourceSchedule {
    /// Charging power, grid side.
    pub charge_kw: Vec<f64>,
    /// Discharging power, grid side. Never above zero where `charge_kw` is.
    pub discharge_kw: Vec<f64>,
    /// Regulation held for drawing less.
    pub up_kw: Vec<f64>,
    /// Regulation held for drawing more.
    pub down_kw: Vec<f64>,
    /// Departure energy that becomes unmet in this interval, battery-side. Once missed it stays missed (the vehicle
    /// has left), so the sum over the horizon is all that is missing.
    pub unmet_kwh: Vec<f64>,
}

impl ResourceSchedule {
    /// A resource at rest.
    #[must_use]
    pub fn zero(horizon: usize) -> Self {
        Self {
            charge_kw: vec![0.0; horizon],
            discharge_kw: vec![0.0; horizon],
            up_kw: vec![0.0; horizon],
            down_kw: vec![0.0; horizon],
            unmet_kwh: vec![0.0; horizon],
        }
    }

    /// Net draw in interval `t`.
    #[must_use]
    pub fn net_kw(&self, t: usize) -> f64 {
        self.charge_kw[t] - self.discharge_kw[t]
    }
}

/// What one requirement did not get: one entry for each interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Shortfall {
    /// Of a demand-response commitment.
    DemandResponse {
        /// Reduction missing.
        shortfall_kw: Vec<f64>,
    },
    /// Of regulation.
    Regulation {
        /// Up regulation missing.
        up_kw: Vec<f64>,
        /// Down regulation missing.
        down_kw: Vec<f64>,
    },
    /// Of peak shaving.
    PeakShaving {
        /// Draw above the ceiling.
        over_kw: Vec<f64>,
        /// Greatest draw over the horizon, at least 0.
        peak_kw: f64,
    },
}

impl Shortfall {
    /// Energy that falls short over the horizon, in both directions together.
    #[must_use]
    pub fn total_kwh(&self, intervals_h: &[f64]) -> f64 {
        let sum = |kw: &[f64]| -> f64 {
            kw.iter()
                .zip(intervals_h)
                .map(|(power, dt)| power * dt)
                .sum()
        };
        match self {
            Self::DemandResponse { shortfall_kw } => sum(shortfall_kw),
            Self::Regulation { up_kw, down_kw } => sum(up_kw) + sum(down_kw),
            Self::PeakShaving { over_kw, .. } => sum(over_kw),
        }
    }
}

/// Flow beyond a node's limits that nothing in the problem could avoid: one entry for each interval. Less than
/// 1e-6 kW is a solver's last digit, left where ramps, energy or warranty tie intervals
/// together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Overload {
    /// Draw above the import limit, with all down regulation in use.
    pub import_kw: Vec<f64>,
    /// Export above the export limit, with all up regulation in use.
    pub export_kw: Vec<f64>,
}

/// An own limit of a resource that cannot be kept beside its others, and by how much it was widened.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Relaxation {
    /// Index of the resource.
    pub resource: usize,
    /// Which limit.
    pub limit: RelaxedLimit,
    /// Interval; the last one for a limit over the whole horizon.
    pub interval: usize,
    /// Amount, in the limit's unit (kWh or kW).
    pub by: f64,
}

/// Which own limit was widened. Limits of power never are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RelaxedLimit {
    /// `energy_max_kwh`.
    EnergyMax,
    /// `throughput_max_kwh`.
    Throughput,
    /// `ramp_kw_per_h`, as kW between two intervals.
    Ramp,
}

/// Marginal prices in CNY/kWh: what one kW more would be worth in an interval, divided by its length.
/// Zero where a limit does not bind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Prices {
    /// One for each node.
    pub nodes: Vec<NodePrices>,
    /// One for each requirement.
    pub requirements: Vec<RequirementPrices>,
}

/// Prices of a node's limits, at least 0: one entry for each interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodePrices {
    /// What a higher import limit would save.
    pub import: Vec<f64>,
    /// What a higher export limit would save.
    pub export: Vec<f64>,
}

/// Prices of a requirement, at least 0: one entry for each interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RequirementPrices {
    /// What a lower commitment, less up regulation or a higher ceiling would save.
    pub price: Vec<f64>,
    /// What less down regulation would save; empty for other requirements.
    pub down: Vec<f64>,
}
