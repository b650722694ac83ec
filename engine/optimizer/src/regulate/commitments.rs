//! The groups' prices: what an aggregator that has promised to draw little pays for drawing.
//!
//! Groups cut across the forest, so their rows are priced from outside: given their prices, [`Market::settle`] solves
//! the rest, and what a group then draws above its ceiling is the slope of the dual function in its price. With ramps
//! of width `ε` that function is smooth and piecewise quadratic, so Newton's method with an exact line search finds its
//! top in finitely many steps (as Mangasarian's for linear programs); `ε` starts wide, where few steps lead far, and is
//! narrowed until it costs nothing. The Newton matrix comes from the slopes of the resources that are on a ramp: each
//! part of the forest with a price of its own contributes `diag(s) − s·sᵀ/Σs`, since its draw as a whole is fixed.

use super::answer::OPTIMAL;
use super::dense::solve_in_place;
use super::market::{Market, Stopped};
use super::price::{Price, Units};
use super::ramps::ramp;
use super::reduced::Reduced;

/// How much narrower ramps become from one round to the next.
const NARROWING: f64 = 0.03;
/// Resources in a sample, more or less, and how wide its ramps are in the end.
const SAMPLE: usize = 4_096;
const SAMPLED: f64 = 8e-3;
const SKETCHED: f64 = 2.5e-4;
/// How far prices are from those of the sample at most, as a share of the range of all steps.
const RADIUS: f64 = 0.04;
/// How far groups' prices may go there, as a share of that: those of nodes go further.
const REACH: f64 = 0.5;
/// How often a sample's goals are corrected.
const CORRECTIONS: usize = 4;
/// Neighbourhoods are at least this wide, in ramps.
const WITHIN: f64 = 100.0;
/// Neighbourhoods within each other, and how wide those further inside are, in ramps.
const DEPTH: usize = 2;
const DEEPER: f64 = 100.0;
/// Neighbourhoods to look at before all is taken into account.
const NEIGHBOURHOODS: usize = 10;
/// Newton steps in one round, and in the last.
const STEPS: usize = 25;
const LAST_STEPS: usize = 60;
/// Settlements in one line search.
const TRIALS: usize = 60;
/// A line search ends where the slope along it has fallen to this share.
const FLAT: f64 = 0.4;
/// ... or where what is left of the range is this narrow, in ramps.
const NARROW: f64 = 1e-9;
/// How far a group's price goes in the first step when no member is on a ramp.
const STRIDE: f64 = 32.0;

/// What ramps may cost in the end, CNY/h, and how narrow they become.
#[derive(Debug, Clone, Copy)]
struct Aim {
    allowed: f64,
    narrowest: f64,
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
        self.open(market, was);
        market.grouped = market.group_price.iter().any(|price| price.base > 0.0);
        if self.nobody_pays(market) && self.all_are_kept(market, stop)? {
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
        } else {
            market.units.set_epsilon(market.penalties.tracking);
            market.settle(stop)?;
            self.measure(market);
        }
        self.descend(market, None, narrowest, stop)
    }

    /// Nearly the same as all of it, for a fraction of the work: prices to start from in a sample, then their
    /// neighbourhood. Whether there is nothing left to do.
    fn settle_reduced(
        &mut self,
        market: &mut Market,
        reduced: &mut [Reduced; DEPTH],
        narrowest: f64,
        stop: &dyn Fn() -> bool,
    ) -> Result<bool, Stopped> {
        let every = market.layout.resources() / SAMPLE;
        if every > 1 {
            reduced[0].sample(market, &self.ceiling, every);
            self.sketch(
                market,
                &mut reduced[0],
                market.penalties.tracking,
                narrowest,
                stop,
            )?;
            if self.nobody_pays(market) {
                market.units.set_epsilon(narrowest);
                market.grouped = market.group_price.iter().any(|price| price.base > 0.0);
                if self.all_are_kept(market, stop)? {
                    return Ok(true);
                }
                market.grouped = true;
                market.units.set_epsilon(SKETCHED);
            }
        } else {
            market.units.set_epsilon(market.penalties.tracking);
        }
        market.settle(stop)?;
        self.measure(market);
        while market.units.epsilon > SKETCHED {
            self.round(market, STEPS, false, stop)?;
            self.narrow(market, narrowest, stop)?;
        }
        let spread = market.steps.dearest - market.steps.cheapest;
        let mut radius = RADIUS * spread;
        for _ in 0..if every > 1 { CORRECTIONS } else { 0 } {
            if market.off_target || !self.is_wrong(market) {
                break;
            }
            self.correct(market, &mut reduced[0], stop)?;
            let moved = self.sketch(market, &mut reduced[0], SAMPLED, narrowest, stop)?;
            market.settle(stop)?;
            self.measure(market);
            radius = radius.min((2.0 * moved).max(WITHIN * market.units.epsilon));
            if moved <= REACH * RADIUS * spread {
                break;
            }
        }
        let aim = Aim {
            allowed: allowed(market),
            narrowest,
        };
        self.settle_near(market, reduced, radius, aim, stop)?;
        Ok(false)
    }

    /// Settles the sample, from ramps of one width on, and takes over its prices. How far those of groups moved.
    fn sketch(
        &mut self,
        market: &mut Market,
        sample: &mut Reduced,
        widest: f64,
        narrowest: f64,
        stop: &dyn Fn() -> bool,
    ) -> Result<f64, Stopped> {
        let prices = market.group_price.iter();
        self.was.clear();
        self.was
            .extend(prices.map(|price| price.value(market.units)));
        self.with(sample, |commitments, small| {
            small.rescale(widest);
            small.settle(stop)?;
            commitments.measure(small);
            while small.units.epsilon > SAMPLED {
                commitments.round(small, STEPS, false, stop)?;
                commitments.narrow(small, SAMPLED, stop)?;
            }
            commitments.round(small, STEPS, false, stop)
        })?;
        sample.give_back(market);
        market.rescale(SKETCHED.max(narrowest));
        let prices = market.group_price.iter().zip(&self.was);
        Ok(prices.fold(0.0, |most, (price, was)| {
            (price.value(market.units) - was).abs().max(most)
        }))
    }

    /// Moves the sample's goals so that it falls short at the prices of all as all do. Only what changes with prices is
    /// left to be as good as the sample.
    fn correct(
        &mut self,
        market: &Market,
        sample: &mut Reduced,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Stopped> {
        sample.aim_at(market, stop)?;
        self.was.clear();
        self.was.extend_from_slice(&self.excess);
        self.with(sample, |commitments, small| {
            small.settle(stop)?;
            commitments.measure(small);
            Ok(())
        })?;
        sample.shift_ceilings(&self.excess, &self.was);
        self.excess.copy_from_slice(&self.was);
        Ok(())
    }

    /// Settles the groups' prices in a neighbourhood, and in there in a smaller one, as ramps get narrower.
    fn settle_near(
        &mut self,
        market: &mut Market,
        reduced: &mut [Reduced],
        mut radius: f64,
        aim: Aim,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Stopped> {
        let Some((here, deeper)) = reduced.split_first_mut() else {
            return self.descend(market, Some(aim.allowed), aim.narrowest, stop);
        };
        for _ in 0..NEIGHBOURHOODS {
            here.near(market, &self.ceiling, radius);
            let confined = self.with(here, |commitments, small| {
                commitments.confine(small, REACH * radius);
                small.settle(stop)?;
                commitments.measure(small);
                commitments.round(small, STEPS, false, stop)?;
                if commitments.is_confined(small) || small.units.epsilon <= aim.narrowest {
                    return commitments.round(small, LAST_STEPS, true, stop);
                }
                commitments.narrow(small, aim.narrowest, stop)?;
                let radius = DEEPER * small.units.epsilon;
                commitments.settle_near(small, deeper, radius, aim, stop)
            })?;
            if confined {
                radius *= 2.0;
            }
            here.give_back(market);
            market.settle(stop)?;
            self.measure(market);
            if !self.is_wrong(market) || self.is_confined(market) {
                break;
            }
        }
        Ok(())
    }

    /// Does something with the ceilings of a reduced market; bounds of groups' prices are as before then.
    /// Whether a price would have gone on beyond a bound.
    fn with(
        &mut self,
        reduced: &mut Reduced,
        work: impl FnOnce(&mut Self, &mut Market) -> Result<(), Stopped>,
    ) -> Result<bool, Stopped> {
        std::mem::swap(&mut self.ceiling, &mut reduced.ceiling);
        reduced.bounds.clear();
        reduced.bounds.extend_from_slice(&self.bounds);
        let done = work(self, &mut reduced.market);
        let confined = self.is_confined(&reduced.market);
        std::mem::swap(&mut self.ceiling, &mut reduced.ceiling);
        self.bounds.copy_from_slice(&reduced.bounds);
        done.map(|()| confined)
    }

    /// Groups' prices may be anything.
    fn set_free(&mut self) {
        self.bounds.fill((0.0, self.penalty));
    }

    /// Groups' prices stay near to where they are.
    fn confine(&mut self, market: &Market, reach: f64) {
        for (g, price) in market.group_price.iter().enumerate() {
            let price = price.value(market.units);
            let (floor, roof) = self.bounds[g];
            self.bounds[g] = ((price - reach).max(floor), (price + reach).min(roof));
        }
    }

    /// Whether a group's price is confined and wants to go on.
    fn is_confined(&self, market: &Market) -> bool {
        market.group_price.iter().enumerate().any(|(g, price)| {
            let (price, excess) = (price.value(market.units), self.excess[g]);
            let (floor, roof) = self.bounds[g];
            let down = excess < 0.0 && price <= floor && floor > 0.0;
            let up = excess > 0.0 && price >= roof && roof < self.penalty;
            self.open[g] && (down || up)
        })
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
    fn all_are_kept(
        &mut self,
        market: &mut Market,
        stop: &dyn Fn() -> bool,
    ) -> Result<bool, Stopped> {
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

    /// Sets the prices to start from: those of the last solve, but those of groups that keep their ceiling, or break
    /// it, whatever they do are known.
    fn open(&mut self, market: &mut Market, was: Units) {
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

    /// Newton steps with ramps of one width.
    fn round(
        &mut self,
        market: &mut Market,
        steps: usize,
        fully: bool,
        stop: &dyn Fn() -> bool,
    ) -> Result<(), Stopped> {
        self.stride.fill(STRIDE);
        for _ in 0..steps {
            if !self.is_wrong(market) {
                return Ok(());
            }
            self.aim(market);
            let reach = self.walk(market, stop)?;
            self.adapt(reach);
            if self.is_confined(market) {
                return Ok(());
            }
            if !fully && self.longest() * reach < 0.5 {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether any group's price must move.
    fn is_wrong(&mut self, market: &Market) -> bool {
        self.choose(market);
        let wrong = |&g: &usize| self.excess[g].abs() > 1e-10 * (1.0 + 1e-3 * market.steps.room);
        self.free.iter().any(wrong)
    }

    /// Groups whose price can move the way it wants to.
    fn choose(&mut self, market: &Market) {
        self.free.clear();
        for (g, &excess) in self.excess.iter().enumerate() {
            let price = market.group_price[g].value(market.units);
            let (floor, roof) = self.bounds[g];
            let stuck = excess == 0.0
                || (excess < 0.0 && price <= floor)
                || (excess > 0.0 && price >= roof);
            if self.open[g] && !stuck {
                self.free.push(g);
            }
        }
    }

    /// The Newton step, in ramps, of the free groups.
    fn aim(&mut self, market: &Market) {
        self.assemble(market);
        let count = self.free.len();
        self.step.clear();
        for (row, &g) in self.free.iter().enumerate() {
            let diagonal = &mut self.matrix[row * count + row];
            *diagonal +=
                1e-12 * *diagonal + self.excess[g].abs() / self.stride[g] + f64::MIN_POSITIVE;
            self.step.push(self.excess[g]);
        }
        solve_in_place(&mut self.matrix, &mut self.step);
        self.lead(market);
    }

    fn assemble(&mut self, market: &Market) {
        let (groups, count) = (self.excess.len(), self.free.len());
        self.matrix.clear();
        self.matrix.resize(count * count, 0.0);
        let root = market.forest.root();
        for k in 0..=root {
            let row = k * (groups + 1);
            let total: f64 = self.slopes[row..=row + groups].iter().sum();
            if total <= 0.0 {
                continue;
            }
            if !market.own_price[k] && k < root {
                let above = market.forest.nodes[k].parent * (groups + 1);
                for g in 0..=groups {
                    self.slopes[above + g] += self.slopes[row + g];
                }
                continue;
            }
            let fixed = !(k == root && market.off_target);
            for (i, &g) in self.free.iter().enumerate() {
                let slope = self.slopes[row + g];
                if slope <= 0.0 {
                    continue;
                }
                self.matrix[i * count + i] += slope;
                if fixed {
                    for (j, &h) in self.free.iter().enumerate() {
                        self.matrix[i * count + j] -= slope * self.slopes[row + h] / total;
                    }
                }
            }
        }
    }

    /// Where prices of parts of the forest go with the step, as long as the same resources stay on their ramps.
    fn lead(&mut self, market: &Market) {
        let groups = self.excess.len();
        self.lead.clear();
        self.lead.resize(market.price.len(), 0.0);
        for (k, lead) in self.lead.iter_mut().enumerate() {
            let fixed = market.own_price[k] && !(k == market.forest.root() && market.off_target);
            let slopes = &self.slopes[k * (groups + 1)..][..=groups];
            let total: f64 = slopes.iter().sum();
            if fixed && total > 0.0 {
                let moved = self
                    .free
                    .iter()
                    .zip(&self.step)
                    .map(|(&g, step)| slopes[g] * step);
                *lead = moved.sum::<f64>() / total;
            }
        }
    }

    /// How far the step moves the price that it moves most, in ramps.
    fn longest(&self) -> f64 {
        self.step
            .iter()
            .fold(0.0, |most, step| step.abs().max(most))
    }

    /// Groups that still want to go the same way may go further in the next step; others less far.
    fn adapt(&mut self, reach: f64) {
        for &g in &self.free {
            let onwards = self.excess[g] * self.before[g] > 0.0;
            let factor = if onwards && reach >= 1.0 { 4.0 } else { 0.25 };
            self.stride[g] = (self.stride[g] * factor).max(1.0);
        }
    }

    /// Walks along the step, all of it at most, to where the dual function is flat; how far, in steps.
    fn walk(&mut self, market: &mut Market, stop: &dyn Fn() -> bool) -> Result<f64, Stopped> {
        self.from.clear();
        self.from.extend_from_slice(&market.group_price);
        self.from_price.clear();
        self.from_price.extend_from_slice(&market.price);
        let start: f64 = self
            .free
            .iter()
            .zip(&self.step)
            .map(|(&g, d)| self.excess[g] * d)
            .sum();
        let (mut short, mut short_slope) = (0.0, start);
        let mut long: Option<(f64, f64)> = None;
        self.before.copy_from_slice(&self.excess);
        let mut reach = 1.0;
        for trial in 0..TRIALS {
            let slope = self.try_at(market, reach, stop)?;
            if slope.abs() <= FLAT * start || (slope > 0.0 && reach >= 1.0) {
                break;
            }
            if slope > 0.0 {
                (short, short_slope) = (reach, slope);
            } else {
                long = Some((reach, slope));
            }
            reach = match long {
                Some((long, long_slope)) => {
                    if (long - short) * self.longest() < NARROW {
                        break;
                    }
                    let share = short_slope / (short_slope - long_slope);
                    let share = if trial % 2 == 0 { share } else { 0.5 };
                    short + (long - short) * share.clamp(0.05, 0.95)
                }
                None => break,
            };
        }
        for price in &mut market.group_price {
            *price = price.moved(market.units.epsilon, market.units.epsilon);
        }
        Ok(reach)
    }

    /// Settles with prices moved along the step; the slope of the dual function along it there.
    fn try_at(
        &mut self,
        market: &mut Market,
        reach: f64,
        stop: &dyn Fn() -> bool,
    ) -> Result<f64, Stopped> {
        let mut inside = 0.0;
        for (&g, step) in self.free.iter().zip(&self.step) {
            let mut price = self.from[g];
            price.frac += reach * step;
            let value = price.value(market.units);
            let (floor, roof) = self.bounds[g];
            if value <= floor {
                price = Price::at(floor);
            } else if value >= roof {
                price = Price::at(roof);
            }
            market.group_price[g] = price;
        }
        for ((price, from), lead) in market
            .price
            .iter_mut()
            .zip(&self.from_price)
            .zip(&self.lead)
        {
            *price = Price {
                frac: from.frac + reach * lead,
                ..*from
            };
        }
        market.settle(stop)?;
        self.measure(market);
        for (&g, step) in self.free.iter().zip(&self.step) {
            let value = market.group_price[g].value(market.units);
            let (floor, roof) = self.bounds[g];
            let at_bound = (value <= floor && *step < 0.0) || (value >= roof && *step > 0.0);
            let slope = self.excess[g] * step;
            // At its bound a price wants to go no further, but it may have come too far.
            inside += if at_bound { slope.min(0.0) } else { slope };
        }
        Ok(inside)
    }

    /// What each group draws above its ceiling at the prices found, and the slopes of those on a ramp.
    fn measure(&mut self, market: &mut Market) {
        let groups = self.excess.len();
        self.slopes.clear();
        let rows = market.forest.nodes.len() * (groups + 1);
        self.slopes.resize(rows, 0.0);
        for (excess, ceiling) in self.excess.iter_mut().zip(&self.ceiling) {
            *excess = if ceiling.is_finite() {
                -ceiling
            } else {
                f64::NEG_INFINITY
            };
        }
        let ramps = market.ramps();
        let steps = &market.steps;
        for segment in &market.forest.segments {
            let price = market.plain(market.price[segment.owner]);
            let slopes = &mut self.slopes[segment.owner * (groups + 1)..][..=groups];
            for at in segment.start..segment.end {
                let group = market.layout.group[at] as usize;
                let mut flow = ramp(ramps.place(2 * at, price), steps.kw[2 * at]);
                flow += ramp(ramps.place(2 * at + 1, price), steps.kw[2 * at + 1]);
                slopes[group] += flow.slope;
                if let Some(excess) = self.excess.get_mut(group) {
                    *excess += steps.low[at] + flow.kw;
                }
            }
        }
    }
}

/// What ramps may cost, CNY/h: half of the tolerance.
fn allowed(market: &Market) -> f64 {
    0.5 * OPTIMAL * market.moving().abs().max(1.0)
}
