//! The price at which a part of the forest draws a given power.
//!
//! What is drawn grows with the price, in steps at the resources' own prices. First a few guesses by slope and by
//! proportion narrow the range; then the prices of all steps left in it are gathered once and searched by selection
//! (quickselect): each guess discards those on one side, so all guesses together touch each step a few times. Last
//! comes the place on the ramp of the step that is found.

use super::curve::{Price, Units};
use super::market::{Market, Stopped};

/// Guesses by slope before anything else.
const SLOPE_GUESSES: usize = 6;
/// Guesses by proportion before all steps are gathered, and from how many steps on they pay.
const PROPORTION_GUESSES: usize = 6;
const MANY_STEPS: usize = 512;
/// Guesses on a ramp. Limits that start to cut within it add kinks; halving alone needs about 50.
const RAMP_GUESSES: usize = 80;
/// Selections by proportion before plain halving takes turns with it.
const SELECTIONS: usize = 8;

/// A range that holds the price, and what is drawn at its ends, kW.
#[derive(Clone, Copy)]
struct Bracket {
    low: (Price, f64),
    high: (Price, f64),
    units: Units,
}

impl Bracket {
    fn contains(&self, price: Price) -> bool {
        let above = |low: Price, high: Price| high.less(low, self.units).value(self.units) > 0.0;
        above(self.low.0, price) && above(price, self.high.0)
    }

    fn narrow(&mut self, price: Price, kw: f64, goal: f64) {
        if kw > goal {
            self.high = (price, kw);
        } else {
            self.low = (price, kw);
        }
    }

    /// How far the goal lies between what is drawn at the ends.
    fn share(&self, goal: f64) -> f64 {
        let rise = self.high.1 - self.low.1;
        if rise > 0.0 {
            (goal - self.low.1) / rise
        } else {
            0.5
        }
    }

    /// The price at a share of the way.
    fn at(&self, share: f64) -> Price {
        let (low, high) = (self.low.0.value(self.units), self.high.0.value(self.units));
        Price::at(low + share * (high - low))
    }
}

/// What is looked for: the watched node, and what shall be drawn below it.
#[derive(Clone, Copy)]
struct Goal {
    k: usize,
    kw: f64,
    tolerance: f64,
}

impl Goal {
    fn is_met(&self, kw: f64) -> bool {
        (kw - self.kw).abs() <= self.tolerance
    }
}

impl Market {
    /// The price at which `kw` is drawn below watched node `k`, between two prices at which less and more is drawn.
    /// Starts from the node's last price. Leaves the flows below it at the price it returns.
    pub(super) fn search(
        &mut self,
        k: usize,
        kw: f64,
        low: (Price, f64),
        high: (Price, f64),
        stop: &dyn Fn() -> bool,
    ) -> Result<Price, Stopped> {
        let mut bracket = Bracket {
            low,
            high,
            units: self.units,
        };
        let node = &self.forest.nodes[k];
        let tolerance = 1e-12 + 2e-16 * (kw.abs() + (node.most - node.least).abs());
        let goal = Goal { k, kw, tolerance };
        if let Some(price) = self.follow_slope(goal, &mut bracket, stop)? {
            return Ok(price);
        }
        if self.steps_below(k) > MANY_STEPS
            && let Some(price) = self.halve(goal, &mut bracket, stop)?
        {
            return Ok(price);
        }
        if let Some(price) = self.select(goal, &mut bracket, stop)? {
            return Ok(price);
        }
        self.climb(goal, &bracket, stop)
    }

    fn follow_slope(
        &mut self,
        goal: Goal,
        bracket: &mut Bracket,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Price>, Stopped> {
        let mut guess = self.price[goal.k];
        for _ in 0..SLOPE_GUESSES {
            if !bracket.contains(guess) {
                break;
            }
            let flow = self.flow(goal.k, guess, stop)?;
            if goal.is_met(flow.kw) {
                return Ok(Some(guess));
            }
            bracket.narrow(guess, flow.kw, goal.kw);
            if flow.slope <= 0.0 {
                break;
            }
            guess.frac += (goal.kw - flow.kw) / flow.slope;
        }
        Ok(None)
    }

    /// Cuts the range by proportion, a little away from the end that it crowds, or the far end would never move.
    fn halve(
        &mut self,
        goal: Goal,
        bracket: &mut Bracket,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Price>, Stopped> {
        for turn in 0..PROPORTION_GUESSES {
            let margin = if turn % 2 == 0 { 0.01 } else { 0.05 };
            let guess = bracket.at(bracket.share(goal.kw).mul_add(1.0 - 2.0 * margin, margin));
            if !bracket.contains(guess) {
                break;
            }
            let flow = self.flow(goal.k, guess, stop)?;
            if goal.is_met(flow.kw) {
                return Ok(Some(guess));
            }
            bracket.narrow(guess, flow.kw, goal.kw);
        }
        Ok(None)
    }

    fn steps_below(&self, k: usize) -> usize {
        let node = &self.forest.nodes[k];
        let segments = &self.forest.segments[node.segment..node.segment_end];
        segments
            .iter()
            .map(|segment| 2 * (segment.end - segment.start))
            .sum()
    }

    /// Narrows the range until no step starts inside it.
    fn select(
        &mut self,
        goal: Goal,
        bracket: &mut Bracket,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Price>, Stopped> {
        self.gather(goal.k, bracket);
        let units = self.units;
        let mut left = 0..self.candidates.len();
        for turn in 0.. {
            let count = left.len();
            if count == 0 {
                break;
            }
            let by_share = turn < SELECTIONS || turn % 2 == 0;
            let share = if by_share {
                bracket.share(goal.kw).clamp(0.0, 1.0)
            } else {
                0.5
            };
            #[allow(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss
            )]
            let at = ((share * count as f64) as usize).min(count - 1);
            let window = &mut self.candidates[left.clone()];
            let order = |a: &Price, b: &Price| a.value(units).total_cmp(&b.value(units));
            let pivot = *window.select_nth_unstable_by(at, order).1;
            let flow = self.flow(goal.k, pivot, stop)?;
            if goal.is_met(flow.kw) {
                return Ok(Some(pivot));
            }
            bracket.narrow(pivot, flow.kw, goal.kw);
            let inside = |&price: &Price| bracket.contains(price);
            left = if flow.kw > goal.kw {
                let start = left.start;
                start..start + keep(&mut self.candidates[start..start + at], inside)
            } else {
                let start = left.start + at + 1;
                start..start + keep(&mut self.candidates[start..left.end], inside)
            };
        }
        Ok(None)
    }

    /// Collects where ramps start inside the range.
    fn gather(&mut self, k: usize, bracket: &Bracket) {
        self.candidates.clear();
        let node = self.forest.nodes[k];
        let levels = self.forest.levels;
        let ends = (
            bracket.low.0.value(self.units),
            bracket.high.0.value(self.units),
        );
        for level in 0..=2 * levels {
            #[allow(clippy::cast_precision_loss)]
            let levels = levels as f64 - level as f64;
            let shift = levels * self.units.overload;
            // Most steps are far outside: a rough look, wide enough for all rounding, comes before the exact one.
            let margin = 1e-12 * (1.0 + ends.0.abs() + ends.1.abs() + shift.abs());
            let (low, high) = (ends.0 - shift - margin, ends.1 - shift + margin);
            for segment in &self.forest.segments[node.segment..node.segment_end] {
                for at in segment.start..segment.end {
                    let group = self.layout.group[at] as usize;
                    let paid = self.group_price.get(group).copied().unwrap_or_default();
                    let value = paid.base + self.units.epsilon * paid.frac;
                    for (step, kw) in [
                        (self.steps.down_price[at], self.steps.down_kw[at]),
                        (self.steps.up_price[at], self.steps.up_kw[at]),
                    ] {
                        if kw <= 0.0 || step + value < low || step + value > high {
                            continue;
                        }
                        let price = paid.above_step(step, self.units).shifted(levels);
                        if bracket.contains(price) {
                            self.candidates.push(price);
                        }
                    }
                }
            }
        }
    }

    /// The place on the ramps that start at or shortly before the lower end of a range in which none starts.
    fn climb(
        &mut self,
        goal: Goal,
        bracket: &Bracket,
        stop: &dyn Fn() -> bool,
    ) -> Result<Price, Stopped> {
        let start = bracket.low.0;
        let on = |frac: f64| Price {
            frac: start.frac + frac,
            ..start
        };
        let room = bracket.high.0.less(start, self.units).value(self.units) / self.units.epsilon;
        // A little further than the ramps: rounding may have put the start of one just after.
        let mut high = room.min(1.0) + 1e-3;
        let mut low = 0.0;
        let mut frac = high * bracket.share(goal.kw).clamp(0.0, 1.0);
        for turn in 0..RAMP_GUESSES {
            let flow = self.flow(goal.k, on(frac), stop)?;
            if goal.is_met(flow.kw) || high - low <= f64::EPSILON {
                break;
            }
            if flow.kw > goal.kw {
                high = frac;
            } else {
                low = frac;
            }
            let by_slope = frac + (goal.kw - flow.kw) / flow.slope;
            let inside = flow.slope > 0.0 && by_slope > low && by_slope < high;
            frac = if turn % 4 < 3 && inside {
                by_slope
            } else {
                0.5 * (low + high)
            };
        }
        Ok(on(frac))
    }
}

/// Moves what fulfils a condition to the front; how many do.
fn keep(values: &mut [Price], condition: impl Fn(&Price) -> bool) -> usize {
    let mut kept = 0;
    for at in 0..values.len() {
        if condition(&values[at]) {
            values.swap(kept, at);
            kept += 1;
        }
    }
    kept
}
