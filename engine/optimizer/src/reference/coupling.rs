//! The rows that tie resources together: limits of nodes, and requirements.
//!
//! Letters as in the formulas: net draw `x`, regulation held up `u` and down `v`, overload `o`, shortfall `s`.
//! All rows are written as `≤`, so that their prices are at least 0. Rows that bounds already keep are left out.

use super::lp::{Lp, Term};
use super::model::Block;
use super::solvers::Answer;
use crate::frame::Frame;
use crate::problem::Requirement;
use crate::solution::{NodePrices, Prices, RequirementPrices};

/// Row numbers by node or requirement, then interval; `None` where no row was needed.
pub(super) struct Coupling {
    import: Vec<Vec<Option<usize>>>,
    export: Vec<Vec<Option<usize>>>,
    requirement: Vec<Vec<Option<usize>>>,
    requirement_down: Vec<Vec<Option<usize>>>,
}

impl Coupling {
    pub(super) fn new(frame: &Frame<'_>, lp: &mut Lp, blocks: &[Block]) -> Self {
        let mut rows = Rows { frame, lp, blocks };
        let horizon = frame.problem.horizon();
        let (mut requirement, mut requirement_down) = (Vec::new(), Vec::new());
        for wanted in &frame.problem.requirements {
            let (price, down) = match wanted {
                Requirement::DemandResponse {
                    direction,
                    members,
                    baseline_kw,
                    commitment_kw,
                    ..
                } => {
                    let sign = direction.sign();
                    let room = |t: usize| sign * baseline_kw[t] - commitment_kw[t];
                    let row = |t| {
                        (commitment_kw[t] > 0.0)
                            .then(|| rows.demand_response(members, sign, room(t), t))
                            .flatten()
                    };
                    ((0..horizon).map(row).collect(), Vec::new())
                }
                Requirement::Regulation {
                    members,
                    up_kw,
                    down_kw,
                    ..
                } => (
                    (0..horizon)
                        .map(|t| rows.regulation_up(members, up_kw[t], t))
                        .collect(),
                    (0..horizon)
                        .map(|t| rows.regulation_down(members, down_kw[t], t))
                        .collect(),
                ),
                Requirement::PeakShaving {
                    node,
                    ceiling_kw,
                    peak_price,
                    ..
                } => {
                    rows.peak(*node, *peak_price);
                    let row = |t| rows.ceiling(*node, ceiling_kw[t], t);
                    ((0..horizon).map(row).collect(), Vec::new())
                }
            };
            requirement.push(price);
            requirement_down.push(down);
        }
        let mut import = vec![vec![None; horizon]; frame.problem.nodes.len()];
        let mut export = import.clone();
        for node in 0..import.len() {
            for t in 0..horizon {
                import[node][t] = rows.import(node, t);
                export[node][t] = rows.export(node, t);
            }
        }
        Self {
            import,
            export,
            requirement,
            requirement_down,
        }
    }

    /// Prices of rows, by kWh instead of by kW in an interval.
    pub(super) fn prices(&self, answer: &Answer, intervals_h: &[f64]) -> Option<Prices> {
        let row_prices = answer.row_prices.as_ref()?;
        let price = |rows: &Vec<Option<usize>>| -> Vec<f64> {
            let of = |row: &Option<usize>| row.map_or(0.0, |row| row_prices[row]);
            rows.iter()
                .zip(intervals_h)
                .map(|(row, dt)| of(row) / dt)
                .collect()
        };
        let nodes = self.import.iter().zip(&self.export);
        let requirements = self.requirement.iter().zip(&self.requirement_down);
        Some(Prices {
            nodes: nodes
                .map(|(import, export)| NodePrices {
                    import: price(import),
                    export: price(export),
                })
                .collect(),
            requirements: requirements
                .map(|(all, down)| RequirementPrices {
                    price: price(all),
                    down: price(down),
                })
                .collect(),
        })
    }
}

struct Rows<'a> {
    frame: &'a Frame<'a>,
    lp: &'a mut Lp,
    blocks: &'a [Block],
}

impl Rows<'_> {
    /// `factor · Σ x` over resources.
    fn net(&self, resources: &[usize], factor: f64, t: usize) -> Vec<(f64, Term)> {
        let block = |&i: &usize| &self.blocks[i];
        resources
            .iter()
            .map(block)
            .flat_map(|b| [(factor, b.charge[t]), (-factor, b.discharge[t])])
            .collect()
    }

    fn highest_kw(&self, resources: &[usize], t: usize) -> f64 {
        resources
            .iter()
            .map(|&i| self.frame.limits[i].reach_high_kw[t])
            .sum()
    }

    fn lowest_kw(&self, resources: &[usize], t: usize) -> f64 {
        resources
            .iter()
            .map(|&i| self.frame.limits[i].reach_low_kw[t])
            .sum()
    }

    /// `base + Σ (x + v) − o ≤ import limit`
    fn import(&mut self, node: usize, t: usize) -> Option<usize> {
        let below = &self.frame.forest.resources[node];
        let room =
            self.frame.problem.nodes[node].import_limit_kw[t] - self.frame.forest.base_kw[node][t];
        let most: f64 = below.iter().map(|&i| self.frame.limits[i].high_kw[t]).sum();
        if most <= room {
            return None;
        }
        let mut terms = self.net(below, 1.0, t);
        terms.extend(below.iter().map(|&i| (1.0, self.blocks[i].down[t])));
        Some(self.elastic(terms, room, self.frame.problem.penalties.overload, t))
    }

    /// `−base − Σ (x − u) − o ≤ export limit`
    fn export(&mut self, node: usize, t: usize) -> Option<usize> {
        let below = &self.frame.forest.resources[node];
        let room =
            self.frame.problem.nodes[node].export_limit_kw[t] + self.frame.forest.base_kw[node][t];
        let most: f64 = below.iter().map(|&i| -self.frame.limits[i].low_kw[t]).sum();
        if most <= room {
            return None;
        }
        let mut terms = self.net(below, -1.0, t);
        terms.extend(below.iter().map(|&i| (1.0, self.blocks[i].up[t])));
        Some(self.elastic(terms, room, self.frame.problem.penalties.overload, t))
    }

    /// `± Σ x − s ≤ ± baseline − commitment`, − for filling a valley
    fn demand_response(
        &mut self,
        members: &[usize],
        sign: f64,
        room: f64,
        t: usize,
    ) -> Option<usize> {
        let most = if sign > 0.0 {
            self.highest_kw(members, t)
        } else {
            -self.lowest_kw(members, t)
        };
        if most <= room {
            return None;
        }
        let terms = self.net(members, sign, t);
        Some(self.elastic(terms, room, self.frame.problem.penalties.demand_response, t))
    }

    /// `−Σ u − s ≤ −R_up`
    fn regulation_up(&mut self, members: &[usize], asked: f64, t: usize) -> Option<usize> {
        let terms = members
            .iter()
            .map(|&i| (-1.0, self.blocks[i].up[t]))
            .collect();
        self.regulation(terms, asked, t)
    }

    /// `−Σ v − s ≤ −R_down`
    fn regulation_down(&mut self, members: &[usize], asked: f64, t: usize) -> Option<usize> {
        let terms = members
            .iter()
            .map(|&i| (-1.0, self.blocks[i].down[t]))
            .collect();
        self.regulation(terms, asked, t)
    }

    fn regulation(&mut self, terms: Vec<(f64, Term)>, asked: f64, t: usize) -> Option<usize> {
        let penalty = self.frame.problem.penalties.regulation;
        (asked > 0.0).then(|| self.elastic(terms, -asked, penalty, t))
    }

    /// `base + Σ x ≤ peak` at the node that pays for its peak
    fn peak(&mut self, node: usize, price: f64) {
        if price <= 0.0 {
            return;
        }
        let peak = self.lp.term(0.0, f64::INFINITY, price);
        for t in 0..self.frame.problem.horizon() {
            let below = &self.frame.forest.resources[node];
            let base = self.frame.forest.base_kw[node][t];
            if base + self.highest_kw(below, t) > 0.0 {
                let mut terms = self.net(below, 1.0, t);
                terms.push((-1.0, peak));
                self.lp.at_most(&terms, -base);
            }
        }
    }

    /// `base + Σ x − s ≤ ceiling`
    fn ceiling(&mut self, node: usize, ceiling: f64, t: usize) -> Option<usize> {
        let below = &self.frame.forest.resources[node];
        let room = ceiling - self.frame.forest.base_kw[node][t];
        if self.highest_kw(below, t) <= room {
            return None;
        }
        let terms = self.net(below, 1.0, t);
        Some(self.elastic(terms, room, self.frame.problem.penalties.peak_ceiling, t))
    }

    /// A row that may be exceeded at a price in CNY/kWh.
    fn elastic(&mut self, mut terms: Vec<(f64, Term)>, room: f64, penalty: f64, t: usize) -> usize {
        let dt = self.frame.problem.intervals_h[t];
        terms.push((-1.0, self.lp.term(0.0, f64::INFINITY, penalty * dt)));
        self.lp.at_most(&terms, room)
    }
}
