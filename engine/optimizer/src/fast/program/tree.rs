//! The coupling rows that can bind, by node and requirement.

use super::resource::Chain;
use super::{Origin, Row};
use crate::frame::Frame;
use crate::problem::{Direction, Requirement};
use crate::stop::Stop;

/// The coupling rows, before they are put into fronts.
pub(super) struct Tree {
    /// Rows of each node; those of requirements across the tree come last.
    pub(super) rows: Vec<Vec<Row>>,
    pub(super) peaks: Vec<f64>,
}

impl Tree {
    /// `None` when the caller says stop.
    pub(super) fn new(frame: &Frame<'_>, chains: &[Chain], stop: &Stop<'_>) -> Option<Self> {
        let problem = frame.problem;
        let (horizon, nodes) = (problem.horizon(), problem.nodes.len());
        // Highest and lowest flows below each node: at a moment, and of schedules.
        let mut sums = vec![[0.0; 3]; nodes * horizon];
        for (i, resource) in problem.resources.iter().enumerate() {
            let Some(node) = resource.node else { continue };
            stop.go_on()?;
            for t in 0..horizon {
                let sum = &mut sums[node * horizon + t];
                sum[0] += frame.limits[i].high_kw[t];
                sum[1] += frame.limits[i].low_kw[t];
                sum[2] += chains[i].high_kw[t];
            }
        }
        for &node in &frame.forest.upwards {
            let Some(parent) = problem.nodes[node].parent else {
                continue;
            };
            for t in 0..horizon {
                let below = sums[node * horizon + t];
                let sum = &mut sums[parent * horizon + t];
                sum.iter_mut().zip(below).for_each(|(sum, kw)| *sum += kw);
            }
        }
        let mut tree = Self {
            rows: vec![Vec::new(); nodes + 1],
            peaks: Vec::new(),
        };
        for node in 0..nodes {
            stop.go_on()?;
            tree.limits(frame, node, &sums[node * horizon..(node + 1) * horizon]);
        }
        for requirement in 0..problem.requirements.len() {
            stop.go_on()?;
            tree.requirement(frame, chains, requirement, &sums);
        }
        Some(tree)
    }

    fn limits(&mut self, frame: &Frame<'_>, node: usize, sums: &[[f64; 3]]) {
        let limits = &frame.problem.nodes[node];
        for (t, [high, low, _]) in sums.iter().enumerate() {
            let base = frame.forest.base_kw[node][t];
            let penalty = frame.problem.penalties.overload * frame.problem.intervals_h[t];
            let mut push = |origin, room, factors| {
                self.rows[node].push(Row {
                    origin,
                    interval: t,
                    room,
                    penalty,
                    factors,
                });
            };
            let room = limits.import_limit_kw[t] - base;
            if *high > room {
                push(Origin::Import(node), room, [1.0, 0.0, 1.0]);
            }
            let room = limits.export_limit_kw[t] + base;
            if -low > room {
                push(Origin::Export(node), room, [-1.0, 1.0, 0.0]);
            }
        }
    }

    fn requirement(
        &mut self,
        frame: &Frame<'_>,
        chains: &[Chain],
        index: usize,
        sums: &[[f64; 3]],
    ) {
        let problem = frame.problem;
        let horizon = problem.horizon();
        let top = problem.nodes.len();
        let hours = &problem.intervals_h;
        let penalties = &problem.penalties;
        let mut push = |place: usize, origin, interval: usize, room, penalty: f64, factors| {
            self.rows[place].push(Row {
                origin,
                interval,
                room,
                penalty: penalty * hours[interval],
                factors,
            });
        };
        let origin = Origin::Requirement(index);
        match &problem.requirements[index] {
            Requirement::DemandResponse {
                direction,
                members,
                baseline_kw,
                commitment_kw,
                ..
            } => {
                let sign = direction.sign();
                let most_of = |i: usize, t: usize| match direction {
                    Direction::Shaving => chains[i].high_kw[t],
                    Direction::Filling => -frame.limits[i].reach_low_kw[t],
                };
                for t in 0..horizon {
                    let room = sign * baseline_kw[t] - commitment_kw[t];
                    let most = || -> f64 { members.iter().map(|&i| most_of(i, t)).sum() };
                    if commitment_kw[t] > 0.0 && most() > room {
                        let penalty = penalties.demand_response;
                        push(top, origin, t, room, penalty, [sign, 0.0, 0.0]);
                    }
                }
            }
            Requirement::Regulation { up_kw, down_kw, .. } => {
                for t in 0..horizon {
                    let penalty = penalties.regulation;
                    if up_kw[t] > 0.0 {
                        push(top, origin, t, -up_kw[t], penalty, [0.0, -1.0, 0.0]);
                    }
                    if down_kw[t] > 0.0 {
                        let origin = Origin::Down(index);
                        push(top, origin, t, -down_kw[t], penalty, [0.0, 0.0, -1.0]);
                    }
                }
            }
            Requirement::PeakShaving {
                node,
                ceiling_kw,
                peak_price,
                ..
            } => {
                let peak = Origin::Peak(self.peaks.len());
                let mut seen = false;
                for t in 0..horizon {
                    let base = frame.forest.base_kw[*node][t];
                    let highest = sums[node * horizon + t][2];
                    if *peak_price > 0.0 && base + highest > 0.0 {
                        push(*node, peak, t, -base, 0.0, [1.0, 0.0, 0.0]);
                        seen = true;
                    }
                    if highest > ceiling_kw[t] - base {
                        let penalty = penalties.peak_ceiling;
                        let room = ceiling_kw[t] - base;
                        push(*node, origin, t, room, penalty, [1.0, 0.0, 0.0]);
                    }
                }
                // One that no flow can reach is 0.
                if seen {
                    self.peaks.push(*peak_price);
                }
            }
        }
    }
}
