//! What is asked: where everybody shall be at this instant.
//!
//! Units: kW and CNY/kWh. Power is positive when a resource draws from the grid. Every `Vec` of a problem has one entry
//! for each resource, node or group of its [`Fleet`], as its name says.

use serde::{Deserialize, Serialize};

/// What changes seldom: who hangs where. The forest of nodes carries the limits, the groups carry the commitments of
/// aggregators; groups need not nest with nodes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Fleet {
    /// The node each resource hangs under; `None` when no limit is above it.
    pub resource_node: Vec<Option<usize>>,
    /// The group each resource belongs to, if any.
    pub resource_group: Vec<Option<usize>>,
    /// The node above each node, `None` at a root. In any order.
    pub node_parent: Vec<Option<usize>>,
    /// Number of groups.
    pub group_count: usize,
}

/// One instant to be decided:
///
/// ```text
/// minimise  Σ rise_price·(x − plan)⁺ + fall_price·(plan − x)⁺
///           + tracking·|Σ x − target| + commitment·Σ short_g + overload·Σ over_n
/// low ≤ x ≤ high
/// lower_n − over_n ≤ base_n + Σ x below n ≤ upper_n + over_n     base_n: its own and those of the nodes below
/// Σ x in group g ≤ ceiling_g + short_g
/// ```
///
/// The plan may lie outside `low..high` (a vehicle left since it was made): the distance to the nearest bound then
/// costs what it costs, whatever is decided.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// Least draw of each resource. Finite.
    pub low_kw: Vec<f64>,
    /// Greatest draw of each resource. Finite.
    pub high_kw: Vec<f64>,
    /// What the plan has each resource draw. Finite.
    pub plan_kw: Vec<f64>,
    /// CNY/kWh for drawing more than planned. May be negative, but `rise + fall` may not.
    pub rise_price: Vec<f64>,
    /// CNY/kWh for drawing less than planned. May be negative, but `rise + fall` may not.
    pub fall_price: Vec<f64>,
    /// Greatest flow into each node; `INFINITY` for no limit.
    pub upper_kw: Vec<f64>,
    /// Least flow into each node (an export limit, with a minus sign); `−INFINITY` for no limit.
    pub lower_kw: Vec<f64>,
    /// Draw at each node that nobody steers now. Only its own: those of the nodes below are added to it.
    pub base_kw: Vec<f64>,
    /// What the members of each group may draw together (baseline − commitment); `INFINITY` for no commitment.
    pub ceiling_kw: Vec<f64>,
    /// What all resources shall draw together.
    pub target_kw: f64,
    /// What it costs to fall short.
    pub penalties: Penalties,
}

/// CNY/kWh of falling short. Each must be above the next, and the last above every price of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Penalties {
    /// Flow beyond a node's limit that cannot be avoided.
    pub overload: f64,
    /// Draw of a group above its ceiling.
    pub commitment: f64,
    /// Distance of the total from the target.
    pub tracking: f64,
}

impl Default for Penalties {
    fn default() -> Self {
        Self {
            overload: 10_000.0,
            commitment: 100.0,
            tracking: 10.0,
        }
    }
}
