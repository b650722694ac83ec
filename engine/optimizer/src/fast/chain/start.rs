//! Slacks and prices to begin with.

use super::super::lane::Lane;
use super::super::rows::{Point, kind, kinds};
use super::{Batch, FLOOR, read};

impl Batch {
    /// Unmet energy begins as little as its price wants, or as the rows need.
    #[inline(always)]
    pub(super) fn start_rows<const NX: usize, const NU: usize>(&mut self, target: f64) {
        let free = self
            .unmet_pinned
            .map(|pinned| if pinned > 0.0 { 0.0 } else { 1.0 });
        let least = Lane::splat(target) / self.unmet_cost.max(Lane::splat(1e-9));
        let mut lack = Lane::ZERO;
        let mut point = Point::<NU>::start(Lane::ZERO);
        let mut row = 0;
        for t in 0..self.hours.len() {
            let gains = self.gains(t);
            point.advance(read(&self.controls, t), &gains);
            for of in kinds(self.kinds[t]) {
                if of == kind::NEED || of == kind::SUSTAIN_UP {
                    let short = point.value(of, &gains) - self.limit[row];
                    lack = lack.max(short * self.present[row]);
                }
                row += 1;
            }
        }
        self.unmet = (lack + least) * free;
        let mut point = Point::<NU>::start(self.unmet);
        let mut row = 0;
        for t in 0..self.hours.len() {
            let gains = self.gains(t);
            point.advance(read(&self.controls, t), &gains);
            for of in kinds(self.kinds[t]) {
                let room = self.limit[row] - point.value(of, &gains);
                let present = self.present[row];
                let floor = if of == kind::UNMET { 0.0 } else { FLOOR };
                let least = self.size * floor;
                let slack = room.max(least);
                self.slack[row] = present * slack + (Lane::ONE - present);
                self.price[row] = present * Lane::splat(target) / self.slack[row];
                row += 1;
            }
        }
    }
}
