//! Step 2: the flows through the forest into their limits, by shifting net draw.

use super::SETTLED;
use super::own::{down_room, up_room};
use crate::frame::Frame;
use crate::problem::Node;
use crate::stop::Stop;

/// Flows beyond a limit by more than this are no noise of a solver: the draft weighed them against something else.
const ON_PURPOSE_KW: f64 = 1e-4;
/// An overload on purpose gives way by this much, so that limits that can be kept are kept to the last digit.
const YIELD_KW: f64 = 1e-6;
/// A sweep over the forest settles all nodes at once unless limits pull against each other.
const SWEEPS: usize = 10;

/// What flows step 2 brings the nodes into, by node and interval.
pub(crate) struct FlowBounds {
    low_kw: Vec<Vec<f64>>,
    high_kw: Vec<Vec<f64>>,
}

impl FlowBounds {
    /// The limits themselves.
    pub(crate) fn new(frame: &Frame<'_>) -> Self {
        let nodes = &frame.problem.nodes;
        let low = |node: &Node| node.export_limit_kw.iter().map(|limit| -limit).collect();
        Self {
            low_kw: nodes.iter().map(low).collect(),
            high_kw: nodes
                .iter()
                .map(|node| node.import_limit_kw.clone())
                .collect(),
        }
    }

    /// Widened to the flows that a draft has on purpose.
    /// `None` when the caller says stop.
    pub(super) fn widen_to(
        &mut self,
        frame: &Frame<'_>,
        net: &[Vec<f64>],
        stop: &Stop<'_>,
    ) -> Option<()> {
        let sums = frame.sums_below(|i, t| net[i][t], stop)?;
        for (node, sums) in sums.iter().enumerate() {
            for (t, sum) in sums.iter().enumerate() {
                let flow = frame.forest.base_kw[node][t] + sum;
                if flow > self.high_kw[node][t] + ON_PURPOSE_KW {
                    self.high_kw[node][t] = flow + YIELD_KW;
                }
                if flow < self.low_kw[node][t] - ON_PURPOSE_KW {
                    self.low_kw[node][t] = flow - YIELD_KW;
                }
            }
        }
        Some(())
    }
}

fn flow_kw(frame: &Frame<'_>, net: &[Vec<f64>], node: usize, t: usize) -> f64 {
    let below = frame.forest.resources[node]
        .iter()
        .map(|&i| net[i][t])
        .sum::<f64>();
    frame.forest.base_kw[node][t] + below
}

/// Sweeps from the bottom up until all flows are within their bounds, or nothing more can be done.
/// `None` when the caller says stop.
pub(super) fn fit_nodes(
    frame: &Frame<'_>,
    bounds: &FlowBounds,
    net: &mut [Vec<f64>],
    stop: &Stop<'_>,
) -> Option<()> {
    let nodes = &frame.problem.nodes;
    for _ in 0..SWEEPS {
        let mut settled = true;
        for t in 0..frame.problem.horizon() {
            stop.go_on()?;
            // Each node's flow is its own part and those of the nodes right below, which have been visited before.
            let mut flows = frame.sums_at(|i| net[i][t]);
            for (at, &node) in frame.forest.upwards.iter().enumerate() {
                stop.go_on_at(at)?;
                flows[node] += nodes[node].base_kw[t];
                if !fit_node(frame, bounds, net, node, t, flows[node]) {
                    settled = false;
                    flows[node] = flow_kw(frame, net, node, t);
                }
                if let Some(parent) = nodes[node].parent {
                    flows[parent] += flows[node];
                }
            }
        }
        if settled {
            break;
        }
    }
    Some(())
}

/// Brings one flow into its limits as far as the resources below can. True if nothing had to be done.
fn fit_node(
    frame: &Frame<'_>,
    bounds: &FlowBounds,
    net: &mut [Vec<f64>],
    node: usize,
    t: usize,
    flow: f64,
) -> bool {
    let below = &frame.forest.resources[node];
    let above = flow - bounds.high_kw[node][t];
    let under = bounds.low_kw[node][t] - flow;
    if above <= SETTLED && under <= SETTLED {
        return true;
    }
    let dt = &frame.problem.intervals_h;
    let down = |i: usize, net: &[Vec<f64>]| {
        down_room(
            &frame.problem.resources[i],
            &frame.limits[i],
            dt,
            &net[i],
            t,
        )
    };
    let up = |i: usize, net: &[Vec<f64>]| {
        up_room(
            &frame.problem.resources[i],
            &frame.limits[i],
            dt,
            &net[i],
            t,
        )
    };
    if above > SETTLED {
        // Charging gives way before anything is made to discharge.
        let left = shift(net, below, t, -above, |i, net| {
            (-net[i][t]).max(down(i, net)).min(0.0)
        });
        shift(net, below, t, left, |i, net| down(i, net));
    } else {
        let left = shift(net, below, t, under, |i, net| {
            (-net[i][t]).min(up(i, net)).max(0.0)
        });
        shift(net, below, t, left, |i, net| up(i, net));
    }
    false
}

/// Spreads a shift of power over resources in proportion to the room that each has (same sign as the shift).
/// Returns what no room was found for.
fn shift(
    net: &mut [Vec<f64>],
    resources: &[usize],
    t: usize,
    wanted: f64,
    room: impl Fn(usize, &[Vec<f64>]) -> f64,
) -> f64 {
    if wanted.abs() <= SETTLED {
        return 0.0;
    }
    let rooms: Vec<f64> = resources.iter().map(|&i| room(i, net)).collect();
    let total: f64 = rooms.iter().sum();
    if total.abs() <= 0.0 {
        return wanted;
    }
    let share = (wanted / total).min(1.0);
    for (&i, room) in resources.iter().zip(&rooms) {
        net[i][t] += share * room;
    }
    wanted - share * total
}
