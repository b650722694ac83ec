//! The steps of all resources: two each, down from the plan and up from it.

use super::layout::Layout;
use super::problem::Problem;

/// Bounds by position; steps two by two in the same order, so that those below a node lie side by side.
#[derive(Debug, Clone, Default)]
pub(super) struct Steps {
    pub(super) low: Vec<f64>,
    pub(super) high: Vec<f64>,
    /// Σ low and Σ high of those that hang under each rank itself, and of those under none.
    pub(super) least: Vec<f64>,
    pub(super) most: Vec<f64>,
    /// Price at which a step is taken: `−fall_price`, then `rise_price`.
    pub(super) start: Vec<f64>,
    /// How much it adds: plan less low, then high less plan.
    pub(super) kw: Vec<f64>,
    /// What it costs that plans lie outside the bounds, CNY/h.
    pub(super) constant: f64,
    /// What it costs that all draw their least, CNY/h, without the constant.
    pub(super) at_low: f64,
    /// Least and greatest price of a step.
    pub(super) cheapest: f64,
    pub(super) dearest: f64,
    /// Σ high − low, kW.
    pub(super) room: f64,
}

impl Steps {
    pub(super) fn reserve(&mut self, resources: usize) {
        for column in [&mut self.low, &mut self.high] {
            column.reserve(resources);
        }
        for column in [&mut self.start, &mut self.kw] {
            column.reserve(2 * resources);
        }
    }

    pub(super) fn load(&mut self, layout: &Layout, problem: &Problem) {
        let count = layout.resources();
        for column in [&mut self.low, &mut self.high] {
            column.resize(count, 0.0);
        }
        for column in [&mut self.start, &mut self.kw] {
            column.resize(2 * count, 0.0);
        }
        self.least.clear();
        self.most.clear();
        let ranks = layout.nodes() + 1;
        self.least.reserve(ranks);
        self.most.reserve(ranks);
        (self.constant, self.at_low, self.room) = (0.0, 0.0, 0.0);
        (self.cheapest, self.dearest) = (f64::INFINITY, f64::NEG_INFINITY);
        for own in layout.own.windows(2) {
            let (mut least, mut most) = (0.0, 0.0);
            for at in own[0]..own[1] {
                let i = layout.order[at] as usize;
                let (low, high, plan) = (problem.low_kw[i], problem.high_kw[i], problem.plan_kw[i]);
                let (rise, fall) = (problem.rise_price[i], problem.fall_price[i]);
                let near = plan.max(low).min(high);
                self.constant += rise * (near - plan).max(0.0) + fall * (plan - near).max(0.0);
                self.at_low += fall * (near - low);
                (self.low[at], self.high[at]) = (low, high);
                (self.start[2 * at], self.start[2 * at + 1]) = (-fall, rise);
                (self.kw[2 * at], self.kw[2 * at + 1]) = (near - low, high - near);
                (least, most) = (least + low, most + high);
                self.cheapest = self.cheapest.min(-fall);
                self.dearest = self.dearest.max(rise);
            }
            self.least.push(least);
            self.most.push(most);
            self.room += most - least;
        }
        if count == 0 {
            (self.cheapest, self.dearest) = (0.0, 0.0);
        }
    }

    /// What each resource draws by plan, as far as its bounds allow.
    pub(super) fn planned(&self, at: usize) -> f64 {
        (self.low[at] + self.kw[2 * at]).clamp(self.low[at], self.high[at])
    }
}
