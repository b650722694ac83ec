//! What is answered.

use serde::{Deserialize, Serialize};

/// Where everybody shall be, what falls short and what it costs. Its buffers are reused by the next solve.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// How good it is.
    pub status: Status,
    /// Draw of each resource, kW.
    pub draw_kw: Vec<f64>,
    /// `Σ x − target`, kW: positive when too much is drawn.
    pub tracking_error_kw: f64,
    /// What each group draws above its ceiling, kW.
    pub shortfall_kw: Vec<f64>,
    /// How far each node's flow is beyond its limit, kW: positive above the upper, negative below the lower.
    pub overload_kw: Vec<f64>,
    /// What it costs, CNY for each hour that it lasts.
    pub objective: f64,
    /// `objective` less a proven lower bound on it; infinite when stopped before there was one.
    pub gap: f64,
    /// What one kWh more of target costs, CNY/kWh.
    pub target_price: f64,
    /// What one kW more of each node's limit saves, CNY/kWh: positive for the upper limit, negative for the lower.
    pub node_price: Vec<f64>,
    /// What one kW more of each group's ceiling saves, CNY/kWh. At least 0.
    pub group_price: Vec<f64>,
}

/// How much is known about an answer. No limit is broken in any of them where that can be avoided.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Proven to be within [`OPTIMAL`] of the optimum.
    Optimal,
    /// Not proven to be: see [`Answer::gap`].
    Feasible,
    /// Stopped early. All limits hold where they can; prices are of no use.
    #[default]
    Stopped,
}

/// The gap that an optimal answer may have, relative to its objective or to 1 CNY/h where that is more.
pub const OPTIMAL: f64 = 1e-6;
