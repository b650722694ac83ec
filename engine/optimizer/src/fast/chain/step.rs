//! Along the direction: how far, towards what, and going there.

use super::super::lane::Lane;
use super::super::rows::{Point, kinds};
use super::{Batch, Reach, excess, read};

impl Batch {
    /// Calls `see` for each row with its slack, price and aim, and how the first two change along the direction.
    #[inline(always)]
    fn along<const NU: usize>(
        &mut self,
        mut see: impl FnMut(&mut Lane, &mut Lane, &mut Lane, Lane, [Lane; 2]),
    ) {
        let mut point = Point::<NU>::start(self.unmet);
        let mut by = Point::<NU>::start(self.unmet_by);
        let mut row = 0;
        for t in 0..self.hours.len() {
            let gains = self.gains(t);
            point.advance(read(&self.controls, t), &gains);
            by.advance(read(&self.by, t), &gains);
            for of in kinds(self.kinds[t]) {
                let (slack, price) = (self.slack[row], self.price[row]);
                let present = self.present[row];
                let off = excess(point.value(of, &gains), slack, self.limit[row]);
                let gone = off + by.value(of, &gains);
                let wanted = self.aim[row] + price * (gone - slack);
                let price_by = wanted / (slack + price * self.softness);
                let slack_by = present * (price_by * self.softness - gone);
                see(
                    &mut self.slack[row],
                    &mut self.price[row],
                    &mut self.aim[row],
                    present,
                    [slack_by, price_by],
                );
                row += 1;
            }
        }
    }

    #[inline(always)]
    pub(super) fn measure_step<const NX: usize, const NU: usize>(&mut self) -> Reach {
        // The greatest rate at which a slack or price runs towards zero.
        let mut primal = Lane::ZERO;
        let mut dual = Lane::ZERO;
        let mut sums = [Lane::ZERO; 4];
        let tiny = Lane::splat(f64::MIN_POSITIVE);
        self.along::<NU>(|slack, price, _, _, [slack_by, price_by]| {
            primal = primal.max(-slack_by / *slack);
            dual = dual.max(-price_by / price.max(tiny));
            sums[0] += *slack * *price;
            sums[1] += slack_by * *price;
            sums[2] += *slack * price_by;
            sums[3] += slack_by * price_by;
        });
        Reach {
            primal: 1.0 / primal.greatest().max(f64::MIN_POSITIVE),
            dual: 1.0 / dual.greatest().max(f64::MIN_POSITIVE),
            sums: sums.map(Lane::total),
        }
    }

    #[inline(always)]
    pub(super) fn aim_rows<const NX: usize, const NU: usize>(&mut self, target: f64, weight: f64) {
        self.along::<NU>(|_, _, aim, present, [slack_by, price_by]| {
            *aim = present * target - slack_by * price_by * weight;
        });
    }

    #[inline(always)]
    pub(super) fn go<const NX: usize, const NU: usize>(&mut self, primal: f64, dual: f64) {
        self.along::<NU>(|slack, price, aim, _, [slack_by, price_by]| {
            *slack += slack_by * primal;
            *price += price_by * dual;
            *aim = Lane::ZERO;
        });
        for (value, by) in self.controls.iter_mut().zip(&self.by) {
            *value += *by * primal;
        }
        self.unmet += self.unmet_by * primal;
    }
}
