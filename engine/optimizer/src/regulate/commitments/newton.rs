//! Newton's method on the dual function of the groups' prices, with ramps of one width.

use super::Commitments;
use crate::regulate::dense::solve_in_place;
use crate::regulate::market::{Market, Stopped};
use crate::regulate::price::Price;
use crate::regulate::ramps::ramp;

/// Settlements in one line search.
const TRIALS: usize = 60;
/// A line search ends where the slope along it has fallen to this share.
const FLAT: f64 = 0.4;
/// ... or where what is left of the range is this narrow, in ramps.
const NARROW: f64 = 1e-9;
/// What a group may draw beyond its ceiling where its price could still move: this much CNY/h of penalty for each 1 MW
/// that could be moved, and never more than so many kW.
const RIGHT: f64 = 1e-8;
const RIGHT_KW: f64 = 1e-10;
/// How far a group's price goes in the first step when no member is on a ramp.
const STRIDE: f64 = 32.0;

impl Commitments {
    /// Newton steps with ramps of one width.
    pub(super) fn round(
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
    pub(super) fn is_wrong(&mut self, market: &Market) -> bool {
        self.choose(market);
        let room = market.steps.room;
        let least = (RIGHT / self.penalty).min(RIGHT_KW) * (1.0 + 1e-3 * room);
        let tolerance = least.max(4.0 * f64::EPSILON * room);
        let wrong = |&g: &usize| self.excess[g].abs() > tolerance;
        self.free.iter().any(wrong)
    }

    /// Groups whose price can move the way it wants to.
    pub(super) fn choose(&mut self, market: &Market) {
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
    pub(super) fn aim(&mut self, market: &Market) {
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

    pub(super) fn assemble(&mut self, market: &Market) {
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
    pub(super) fn lead(&mut self, market: &Market) {
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
    pub(super) fn longest(&self) -> f64 {
        self.step
            .iter()
            .fold(0.0, |most, step| step.abs().max(most))
    }

    /// Groups that still want to go the same way may go further in the next step; others less far.
    pub(super) fn adapt(&mut self, reach: f64) {
        for &g in &self.free {
            let onwards = self.excess[g] * self.before[g] > 0.0;
            let factor = if onwards && reach >= 1.0 { 4.0 } else { 0.25 };
            self.stride[g] = (self.stride[g] * factor).max(1.0);
        }
    }

    /// Walks along the step, all of it at most, to where the dual function is flat; how far, in steps.
    pub(super) fn walk(
        &mut self,
        market: &mut Market,
        stop: &dyn Fn() -> bool,
    ) -> Result<f64, Stopped> {
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
    pub(super) fn try_at(
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
    pub(super) fn measure(&mut self, market: &mut Market) {
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
