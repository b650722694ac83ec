//! The groups' prices by way of smaller markets: a sample says where they are, and near there only some can still move.

use super::{Aim, Commitments, LAST_STEPS, STEPS, allowed};
use crate::regulate::market::{Market, Stopped};
use crate::regulate::reduced::Reduced;

/// Resources in a sample, more or less.
const SAMPLE: usize = 4_096;
/// Width of its ramps in the end: enough members of each group must be on one. Like the next two, as a share of the
/// range of all steps' prices.
const SAMPLE_RAMP: f64 = 1e-2;
/// Width of everybody's ramps then.
const RAMP: f64 = 3e-4;
/// How far prices are from those of the sample at most.
const RADIUS: f64 = 0.04;
/// How far groups' prices may go in a neighbourhood, as a share of its radius: those of nodes go further.
const REACH: f64 = 0.5;
/// How often a sample's goals are corrected.
const CORRECTIONS: usize = 4;
/// Neighbourhoods within each other.
pub(super) const DEPTH: usize = 2;
/// How wide a neighbourhood is at least, and one within another always, in ramps.
const WITHIN: f64 = 100.0;
/// Neighbourhoods to look at before all is taken into account.
const NEIGHBOURHOODS: usize = 10;

impl Commitments {
    /// Nearly the same as all of it, for a fraction of the work: prices to start from in a sample, then their
    /// neighbourhood. Whether there is nothing left to do.
    pub(super) fn settle_reduced(
        &mut self,
        market: &mut Market,
        reduced: &mut [Reduced; DEPTH],
        narrowest: f64,
        stop: &dyn Fn() -> bool,
    ) -> Result<bool, Stopped> {
        let spread = market.steps.dearest - market.steps.cheapest;
        let width = |share: f64| (share * spread).max(narrowest);
        let widths = (width(SAMPLE_RAMP), width(RAMP));
        let every = market.layout.resources() / SAMPLE;
        if every > 1 {
            let widest = market.penalties.tracking;
            reduced[0].sample(market, &self.ceiling, every);
            self.sketch(market, &mut reduced[0], widest, widths, stop)?;
            if self.nobody_pays(market) && self.is_kept_by_all(market, narrowest, stop)? {
                return Ok(true);
            }
            market.grouped = true;
            market.rescale(widths.1);
        } else {
            market.units.set_epsilon(market.penalties.tracking);
        }
        market.settle(stop)?;
        self.measure(market);
        while market.units.epsilon > widths.1 {
            self.round(market, STEPS, false, stop)?;
            self.narrow(market, narrowest, stop)?;
        }
        let mut radius = RADIUS * spread;
        let corrections = if every > 1 { CORRECTIONS } else { 0 };
        for _ in 0..corrections {
            if market.off_target || !self.is_wrong(market) {
                break;
            }
            self.correct(market, &mut reduced[0], stop)?;
            let moved = self.sketch(market, &mut reduced[0], widths.0, widths, stop)?;
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
    /// `widths`: of its ramps, and of everybody's, in the end.
    fn sketch(
        &mut self,
        market: &mut Market,
        sample: &mut Reduced,
        widest: f64,
        widths: (f64, f64),
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
            while small.units.epsilon > widths.0 {
                commitments.round(small, STEPS, false, stop)?;
                commitments.narrow(small, widths.0, stop)?;
            }
            commitments.round(small, STEPS, false, stop)
        })?;
        sample.give_back(market);
        market.rescale(widths.1);
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
                let radius = WITHIN * small.units.epsilon;
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
    pub(super) fn set_free(&mut self) {
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
    pub(super) fn is_confined(&self, market: &Market) -> bool {
        market.group_price.iter().enumerate().any(|(g, price)| {
            let (price, excess) = (price.value(market.units), self.excess[g]);
            let (floor, roof) = self.bounds[g];
            let down = excess < 0.0 && price <= floor && floor > 0.0;
            let up = excess > 0.0 && price >= roof && roof < self.penalty;
            self.open[g] && (down || up)
        })
    }
}
