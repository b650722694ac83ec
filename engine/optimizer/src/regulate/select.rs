//! The search where overloading is a choice: prices there differ by whole penalties, and nothing is settled early.
//!
//! Guesses by proportion narrow the range; then the prices of all steps left in it are gathered once and searched by
//! selection (quickselect): each guess discards those on one side, so all guesses together touch each step a few times.

use super::bracket::{Bracket, Goal};
use super::market::{Market, Stopped};
use super::price::Price;

/// Guesses by proportion before all steps are gathered.
const PROPORTION_GUESSES: usize = 6;
/// Selections by proportion before plain halving takes turns with it.
const SELECTIONS: usize = 8;

impl Market {
    /// Cuts the range by proportion, a little away from the end that it crowds, or the far end would never move.
    pub(super) fn halve(
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

    pub(super) fn steps_below(&self, k: usize) -> usize {
        let node = &self.forest.nodes[k];
        let segments = &self.forest.segments[node.segment..node.segment_end];
        segments
            .iter()
            .map(|segment| 2 * (segment.end - segment.start))
            .sum()
    }

    /// Narrows the range until no step starts inside it.
    pub(super) fn select(
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
                    for step in 2 * at..2 * at + 2 {
                        let (step, kw) = (self.steps.start[step], self.steps.kw[step]);
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
