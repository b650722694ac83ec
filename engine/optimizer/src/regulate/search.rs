//! The price at which a part of the forest draws a given power.
//!
//! What is drawn grows with the price, in steps at the resources' own prices. First a few guesses by slope and by
//! proportion narrow the range; then the prices of all steps left in it are gathered once and searched by selection
//! (quickselect): each guess discards those on one side, so all guesses together touch each step a few times. Last
//! comes the place on the ramp of the step that is found.

use super::curve::Price;
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
    low: f64,
    low_kw: f64,
    high: f64,
    high_kw: f64,
}

impl Bracket {
    fn contains(&self, price: f64) -> bool {
        price > self.low && price < self.high
    }

    fn narrow(&mut self, price: f64, kw: f64, goal: f64) {
        if kw > goal {
            (self.high, self.high_kw) = (price, kw);
        } else {
            (self.low, self.low_kw) = (price, kw);
        }
    }

    fn share(&self, goal: f64) -> f64 {
        let rise = self.high_kw - self.low_kw;
        if rise > 0.0 {
            (goal - self.low_kw) / rise
        } else {
            0.5
        }
    }
}

impl Market {
    /// The price at which `goal` is drawn below watched node `k`, between two prices at which less and more is drawn.
    /// Starts from the node's last price. Leaves the flows below it at the price it returns.
    pub(super) fn search(
        &mut self,
        k: usize,
        goal: f64,
        (low, low_kw): (f64, f64),
        (high, high_kw): (f64, f64),
        stop: &dyn Fn() -> bool,
    ) -> Result<Price, Stopped> {
        let mut bracket = Bracket {
            low,
            low_kw,
            high,
            high_kw,
        };
        let node = &self.forest.nodes[k];
        let tolerance = 1e-12 + 2e-16 * (goal.abs() + (node.most - node.least).abs());
        let near = |kw: f64| (kw - goal).abs() <= tolerance;

        let mut guess = self.price[k];
        for _ in 0..SLOPE_GUESSES {
            let value = guess.value(self.epsilon);
            if !bracket.contains(value) {
                break;
            }
            let flow = self.flow(k, guess, stop)?;
            if near(flow.kw) {
                return Ok(guess);
            }
            bracket.narrow(value, flow.kw, goal);
            if flow.slope <= 0.0 {
                break;
            }
            guess.frac += (goal - flow.kw) / flow.slope;
        }
        let steps = self.steps_below(k);
        if steps > MANY_STEPS {
            for turn in 0..PROPORTION_GUESSES {
                // Away from the end that it crowds, or the far end never moves.
                let share = bracket.share(goal);
                let share = if turn % 2 == 0 {
                    share.mul_add(0.98, 0.01)
                } else {
                    share.mul_add(0.9, 0.05)
                };
                let value = bracket.low + share * (bracket.high - bracket.low);
                if !bracket.contains(value) {
                    break;
                }
                let flow = self.flow(k, Price::at(value), stop)?;
                if near(flow.kw) {
                    return Ok(Price::at(value));
                }
                bracket.narrow(value, flow.kw, goal);
            }
        }
        if let Some(price) = self.select(k, goal, &mut bracket, &near, stop)? {
            return Ok(price);
        }
        self.climb(k, goal, &bracket, &near, stop)
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
        k: usize,
        goal: f64,
        bracket: &mut Bracket,
        near: &dyn Fn(f64) -> bool,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Price>, Stopped> {
        self.gather(k, bracket);
        let mut left = 0..self.candidates.len();
        for turn in 0.. {
            let count = left.len();
            if count == 0 {
                break;
            }
            let share = if turn < SELECTIONS || turn % 2 == 0 {
                bracket.share(goal)
            } else {
                0.5
            };
            #[allow(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss
            )]
            let at = ((share.clamp(0.0, 1.0) * count as f64) as usize).min(count - 1);
            let window = &mut self.candidates[left.clone()];
            let pivot = *window.select_nth_unstable_by(at, f64::total_cmp).1;
            let flow = self.flow(k, Price::at(pivot), stop)?;
            if near(flow.kw) {
                return Ok(Some(Price::at(pivot)));
            }
            bracket.narrow(pivot, flow.kw, goal);
            left = if flow.kw > goal {
                let kept = keep(&mut self.candidates[left.start..left.start + at], |c| {
                    c < pivot
                });
                left.start..left.start + kept
            } else {
                let from = left.start + at + 1;
                let kept = keep(&mut self.candidates[from..left.end], |c| c > pivot);
                from..from + kept
            };
        }
        Ok(None)
    }

    /// Collects where ramps start inside the range.
    fn gather(&mut self, k: usize, bracket: &Bracket) {
        self.candidates.clear();
        let node = self.forest.nodes[k];
        let levels = self.forest.levels;
        for level in 0..=2 * levels {
            #[allow(clippy::cast_precision_loss)]
            let shift = (level as f64 - levels as f64) * self.penalties.overload;
            for segment in &self.forest.segments[node.segment..node.segment_end] {
                for at in segment.start..segment.end {
                    let paid = if self.grouped {
                        let group = self.layout.group[at] as usize;
                        self.group_price
                            .get(group)
                            .map_or(0.0, |price| price.value(self.epsilon))
                    } else {
                        0.0
                    };
                    for (price, kw) in [
                        (self.steps.down_price[at], self.steps.down_kw[at]),
                        (self.steps.up_price[at], self.steps.up_kw[at]),
                    ] {
                        let price = price + paid - shift;
                        if kw > 0.0 && bracket.contains(price) {
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
        k: usize,
        goal: f64,
        bracket: &Bracket,
        near: &dyn Fn(f64) -> bool,
        stop: &dyn Fn() -> bool,
    ) -> Result<Price, Stopped> {
        let base = bracket.low;
        // A little further than the ramps: rounding of a price may have put its ramp's start just after `base`.
        let greatest =
            base.abs() + self.penalties.overload * f64::from(u8::from(self.forest.levels > 0));
        let width = ((bracket.high - base) / self.epsilon).min(1.0)
            + 1e-3
            + 8.0 * f64::EPSILON * greatest / self.epsilon;
        let mut range = Bracket {
            low: 0.0,
            high: width,
            ..*bracket
        };
        let mut frac = width * range.share(goal).clamp(0.0, 1.0);
        let mut price = Price { base, frac };
        for turn in 0..RAMP_GUESSES {
            let flow = self.flow(k, price, stop)?;
            if near(flow.kw) || range.high - range.low <= f64::EPSILON {
                break;
            }
            range.narrow(frac, flow.kw, goal);
            let by_slope = frac + (goal - flow.kw) / flow.slope;
            frac = if turn % 4 < 3 && flow.slope > 0.0 && range.contains(by_slope) {
                by_slope
            } else {
                0.5 * (range.low + range.high)
            };
            price.frac = frac;
        }
        Ok(price)
    }
}

/// Moves what fulfils a condition to the front; how many do.
fn keep(values: &mut [f64], condition: impl Fn(f64) -> bool) -> usize {
    let mut kept = 0;
    for at in 0..values.len() {
        if condition(values[at]) {
            values.swap(kept, at);
            kept += 1;
        }
    }
    kept
}
