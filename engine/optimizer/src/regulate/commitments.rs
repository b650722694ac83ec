//! The groups' prices: what an aggregator that has promised to draw little pays for drawing.
//!
//! Groups cut across the forest, so their rows are priced from outside: given their prices, [`Market::settle`] solves
//! the rest, and what a group then draws above its ceiling is the slope of the dual function in its price. With ramps
//! of width `ε` that function is smooth and piecewise quadratic, so Newton's method with an exact line search finds its
//! top in finitely many steps (as Mangasarian's for linear programs); `ε` starts wide, where few steps lead far, and is
//! narrowed until it costs nothing. The Newton matrix comes from the slopes of the resources that are on a ramp: each
//! part of the forest with a price of its own contributes `diag(s) − s·sᵀ/Σs`, since its draw as a whole is fixed.

mod near;
mod newton;

use super::answer::OPTIMAL;
use super::market::{Market, Stopped};
use super::price::{Price, Units};
use super::reduced::Reduced;
use near::DEPTH;

/// How much narrower ramps become from one round to the next.
const NARROWING: f64 = 0.03;
/// Newton steps in one round, and in the last.
const STEPS: usize = 25;
const LAST_STEPS: usize = 60;

/// What ramps may cost in the end, CNY/h, and how narrow they become.
#[derive(Debug, Clone, Copy)]
struct Aim {
    allowed: f64,
    narrowest: f64,
}

/// What groups pay at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Begin {
    LastPrices,
    Nothing,
}

/// The groups' draw and what belongs to it.
#[derive(Debug, Clone, Default)]
pub(super) struct Commitments {
    ceiling: Vec<f64>,
    penalty: f64,
    /// Whether each group's price depends on anything.
    open: Vec<bool>,
    /// Each group's price stays between these, CNY/kWh.
    bounds: Vec<(f64, f64)>,
    /// How far, in ramps, a group's price goes in one step when no member is on a ramp.
    stride: Vec<f64>,
    /// The groups' draw above their ceilings before the step.
    before: Vec<f64>,
    /// For each watched node with a price of its own: how far, in ramps, it moves with the step.
    lead: Vec<f64>,
    from_price: Vec<Price>,
    /// Draw above the ceiling, kW.
    pub(super) excess: Vec<f64>,
    /// Slope of each watched node's members by group, kW.
    slopes: Vec<f64>,
    matrix: Vec<f64>,
    free: Vec<usize>,
    step: Vec<f64>,
    from: Vec<Price>,
    reduced: [Reduced; DEPTH],
    was: Vec<f64>,
}

impl Commitments {
    pub(super) fn new(market: &Market) -> Self {
        let groups = market.layout.groups;
        let mut new = Self::default();
        new.excess.resize(groups, 0.0);
        for column in [&mut new.stride, &mut new.before] {
            column.resize(groups, 0.0);
        }
        new.open.resize(groups, false);
        new.bounds.resize(groups, (0.0, 0.0));
        new.slopes
            .reserve((market.layout.nodes() + 1) * (groups + 1));
        new.matrix.reserve(groups * groups);
        new.lead.reserve(market.layout.nodes() + 1);
        new.from_price.reserve(market.layout.nodes() + 1);
        new.free.reserve(groups);
        new.step.reserve(groups);
        new.from.reserve(groups);
        new.was.reserve(groups);
        new.ceiling.reserve(groups);
        if groups > 0 {
            new.reduced = std::array::from_fn(|_| Reduced::new(market));
        }
        new
    }

    /// Finds the groups' prices, and with them everybody's. `narrowest` is the width of the ramps in the end.
    pub(super) fn settle(
        &mut self,
        market: &mut Market,
        ceiling: &[f64],
        narrowest: f64,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Stopped> {
        self.ceiling.clear();
        self.ceiling.extend_from_slice(ceiling);
        self.penalty = market.penalties.commitment;
        self.set_free();
        let was = market.units;
        market.units.set_epsilon(narrowest);
        self.open(market, was, Begin::LastPrices);
        if self.nobody_pays(market) && self.is_kept_by_all(market, narrowest, stop)? {
            return Ok(());
        }
        market.grouped = true;
        if market.forest.levels == 0 {
            let mut reduced = std::mem::take(&mut self.reduced);
            let settled = self.settle_reduced(market, &mut reduced, narrowest, stop);
            self.reduced = reduced;
            if settled? {
                return Ok(());
            }
            self.descend(market, None, narrowest, stop)?;
            self.choose(market);
            let beyond: f64 = self.free.iter().map(|&g| self.excess[g].abs()).sum();
            if beyond * self.penalty <= allowed(market) {
                return Ok(());
            }
            // Lost on the way: once more, the long way round.
            self.open(market, market.units, Begin::Nothing);
        }
        market.units.set_epsilon(market.penalties.tracking);
        market.settle(stop)?;
        self.measure(market);
        self.descend(market, None, narrowest, stop)
    }

    /// Narrows the ramps until they cost no more than is allowed, and settles the groups' prices for good.
    fn descend(
        &mut self,
        market: &mut Market,
        limit: Option<f64>,
        narrowest: f64,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Stopped> {
        let is_cheap =
            |market: &mut Market| market.snap() <= limit.unwrap_or_else(|| allowed(market));
        loop {
            let narrow = market.units.epsilon <= narrowest;
            if narrow || is_cheap(market) {
                self.round(market, LAST_STEPS, true, stop)?;
                if narrow || is_cheap(market) {
                    return Ok(());
                }
            } else {
                self.round(market, STEPS, false, stop)?;
            }
            if self.is_confined(market) {
                return Ok(());
            }
            self.narrow(market, narrowest, stop)?;
        }
    }

    /// Whether all keep their ceilings, or cannot, at the groups' prices as they are.
    fn is_kept_by_all(
        &mut self,
        market: &mut Market,
        narrowest: f64,
        stop: &dyn Fn() -> bool,
    ) -> Result<bool, Stopped> {
        market.rescale(narrowest);
        market.grouped = market.group_price.iter().any(|price| price.base > 0.0);
        market.settle(stop)?;
        if !self.open.contains(&true) {
            return Ok(true);
        }
        self.measure(market);
        let kept = |(&excess, &open): (&f64, &bool)| excess <= 0.0 || !open;
        Ok(self.excess.iter().zip(&self.open).all(kept))
    }

    /// Whether no group's price that depends on anything is above 0.
    fn nobody_pays(&self, market: &Market) -> bool {
        let mut prices = market.group_price.iter().zip(&self.open);
        prices.all(|(price, open)| !open || price.base <= 0.0)
    }

    /// Sets the prices to start from, but those of groups that keep their ceiling, or break
    /// it, whatever they do are known.
    fn open(&mut self, market: &mut Market, was: Units, begin: Begin) {
        market.group_low.fill(0.0);
        market.group_most.fill(0.0);
        for (at, &group) in market.layout.group.iter().enumerate() {
            let group = group as usize;
            if group < market.group_most.len() {
                market.group_low[group] += market.steps.low[at];
                market.group_most[group] += market.steps.high[at];
            }
        }
        for (g, price) in market.group_price.iter_mut().enumerate() {
            let ceiling = self.ceiling[g];
            let (kept, broken) = (
                market.group_most[g] <= ceiling,
                market.group_low[g] >= ceiling,
            );
            self.open[g] = !kept && !broken;
            *price = Price::at(if kept {
                0.0
            } else if broken {
                self.penalty
            } else if begin == Begin::Nothing {
                0.0
            } else {
                price.value(was).clamp(0.0, self.penalty)
            });
        }
    }

    fn narrow(
        &mut self,
        market: &mut Market,
        narrowest: f64,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Stopped> {
        let (from, to) = (
            market.units.epsilon,
            (market.units.epsilon * NARROWING).max(narrowest),
        );
        for price in market.group_price.iter_mut().chain(&mut market.price) {
            *price = price.moved(from, to);
        }
        market.units.set_epsilon(to);
        market.settle(stop)?;
        self.measure(market);
        Ok(())
    }
}

/// What ramps may cost, CNY/h: half of the tolerance.
fn allowed(market: &Market) -> f64 {
    0.5 * OPTIMAL * market.moving().abs().max(1.0)
}
