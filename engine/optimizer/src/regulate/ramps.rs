//! What resources draw at a price, as sums over ramps: the loops that take the time, written so that the compiler makes
//! vector instructions of them.

use std::ops::Range;

use super::forest::LONGEST;
use super::layout::Layout;
use super::price::{Flow, Price, Units, two_sum};
use super::steps::Steps;

/// Prices that are asked about at once: reading a step costs as much as working out what it adds at one price.
pub(super) const LANES: usize = 8;

/// A quantity at each of several prices.
pub(super) type Lanes = [f64; LANES];

/// Offsets of ramps that have none: few enough to stay at hand.
const NONE: [f64; 2 * LONGEST] = [0.0; 2 * LONGEST];

/// Ramps side by side. A ramp starts at `start + ε·offset`, is `ε` wide, and adds `kw`. No offsets at all means 0.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ramps<'a> {
    pub(super) start: &'a [f64],
    pub(super) offset: &'a [f64],
    pub(super) kw: &'a [f64],
    pub(super) units: Units,
}

impl Ramps<'_> {
    /// How far up its ramp a step is: below 0 not yet begun, above 1 complete.
    #[inline(always)]
    pub(super) fn place(&self, at: usize, price: Price) -> f64 {
        let offset = self.offset.get(at).copied().unwrap_or(0.0);
        place(self.start[at], offset, price, self.units.steepness)
    }

    /// Offsets of a range within one segment.
    #[inline(always)]
    pub(super) fn offsets(&self, range: Range<usize>) -> &[f64] {
        if self.offset.is_empty() {
            &NONE[..range.len()]
        } else {
            &self.offset[range]
        }
    }

    /// What a range of ramps adds at a price without levels.
    #[inline(always)]
    pub(super) fn risen(&self, range: Range<usize>, price: Price) -> Flow {
        const WIDTH: usize = 4;
        let steepness = self.units.steepness;
        let (start, offset) = (&self.start[range.clone()], self.offsets(range.clone()));
        let kw = &self.kw[range];
        let (mut sums, mut slopes) = ([0.0; WIDTH], [0.0; WIDTH]);
        let (starts, offsets) = (start.chunks_exact(WIDTH), offset.chunks_exact(WIDTH));
        let kws = kw.chunks_exact(WIDTH);
        let rest = starts
            .remainder()
            .iter()
            .zip(offsets.remainder())
            .zip(kws.remainder());
        let mut sum = Flow::default();
        for ((&start, &offset), &kw) in rest {
            sum += ramp(place(start, offset, price, steepness), kw);
        }
        for ((start, offset), kw) in starts.zip(offsets).zip(kws) {
            for lane in 0..WIDTH {
                let at = place(start[lane], offset[lane], price, steepness);
                let flow = ramp(at, kw[lane]);
                sums[lane] += flow.kw;
                slopes[lane] += flow.slope;
            }
        }
        sum += Flow {
            kw: (sums[0] + sums[1]) + (sums[2] + sums[3]),
            slope: (slopes[0] + slopes[1]) + (slopes[2] + slopes[3]),
        };
        sum
    }

    /// Where on which ramp of a range `kw` have been added, if ramps do not overlap but where they start as one. Compares
    /// each with each.
    #[inline(always)]
    pub(super) fn step_at(&self, range: Range<usize>, kw: f64) -> Option<Price> {
        let (start, kws) = (&self.start[range.clone()], &self.kw[range.clone()]);
        for first in (0..start.len()).step_by(LANES) {
            let count = LANES.min(start.len() - first);
            let mut tried = [f64::NEG_INFINITY; LANES];
            tried[..count].copy_from_slice(&start[first..first + count]);
            let (mut before, mut with) = ([0.0; LANES], [0.0; LANES]);
            for (&start, &kw) in start.iter().zip(kws) {
                for lane in 0..LANES {
                    before[lane] += if start < tried[lane] { kw } else { 0.0 };
                    with[lane] += if start <= tried[lane] { kw } else { 0.0 };
                }
            }
            let found = (0..LANES).find(|&lane| (before[lane] < kw) & (kw <= with[lane]));
            if let Some(lane) = found {
                let offset = self.offsets(range)[first + lane];
                return Some(Price {
                    frac: offset + (kw - before[lane]) / (with[lane] - before[lane]),
                    ..Price::at(tried[lane])
                });
            }
        }
        None
    }

    /// What the two ramps of each position in a range add.
    #[inline(always)]
    pub(super) fn risen_two_by_two(
        &self,
        range: Range<usize>,
        price: Price,
    ) -> impl Iterator<Item = f64> {
        let steepness = self.units.steepness;
        let range = 2 * range.start..2 * range.end;
        let pairs = |column| <[f64]>::chunks_exact(column, 2);
        let offset = pairs(self.offsets(range.clone()));
        let steps = pairs(&self.start[range.clone()])
            .zip(offset)
            .zip(pairs(&self.kw[range]));
        steps.map(move |((start, offset), kw)| {
            let risen =
                |side: usize| kw[side] * unit(place(start[side], offset[side], price, steepness));
            risen(0) + risen(1)
        })
    }

    /// What taking the steps in a range costs less than it earns at a price, where that is below 0: CNY/h.
    #[inline(always)]
    pub(super) fn gain(&self, range: Range<usize>, price: Price) -> f64 {
        const WIDTH: usize = 4;
        let epsilon = self.units.epsilon;
        let gain = |start: f64, offset: f64, kw: f64| {
            let cost = (start - price.base) + epsilon * (offset - price.frac);
            kw * if cost < 0.0 { cost } else { 0.0 }
        };
        let starts = self.start[range.clone()].chunks_exact(WIDTH);
        let offsets = self.offsets(range.clone()).chunks_exact(WIDTH);
        let kws = self.kw[range].chunks_exact(WIDTH);
        let rest = starts
            .remainder()
            .iter()
            .zip(offsets.remainder())
            .zip(kws.remainder());
        let mut sum = 0.0;
        for ((&start, &offset), &kw) in rest {
            sum += gain(start, offset, kw);
        }
        let mut sums = [0.0; WIDTH];
        for ((start, offset), kw) in starts.zip(offsets).zip(kws) {
            for lane in 0..WIDTH {
                sums[lane] += gain(start[lane], offset[lane], kw[lane]);
            }
        }
        sum + ((sums[0] + sums[1]) + (sums[2] + sums[3]))
    }

    /// Adds what a range of ramps adds at each of several prices. Offsets are left out: this is for finding out where to
    /// look closer.
    #[inline(always)]
    pub(super) fn add_risen(&self, range: Range<usize>, prices: &Lanes, sums: &mut Lanes) {
        let steepness = self.units.steepness;
        for (&start, &kw) in self.start[range.clone()].iter().zip(&self.kw[range]) {
            for lane in 0..LANES {
                sums[lane] += kw * unit((prices[lane] - start) * steepness);
            }
        }
    }
}

#[inline(always)]
fn place(start: f64, offset: f64, price: Price, steepness: f64) -> f64 {
    (price.base - start) * steepness + (price.frac - offset)
}

/// Cut to 0..1.
#[inline(always)]
pub(super) fn unit(value: f64) -> f64 {
    let above = if value > 0.0 { value } else { 0.0 };
    if above < 1.0 { above } else { 1.0 }
}

#[inline(always)]
pub(super) fn ramp(place: f64, kw: f64) -> Flow {
    // Not `&&`: no branch.
    let on_ramp = (place > 0.0) & (place < 1.0);
    Flow {
        kw: kw * unit(place),
        slope: if on_ramp { kw } else { 0.0 },
    }
}

/// Where ramps start as seen from above the groups: with what each group pays added.
#[derive(Debug, Clone, Default)]
pub(super) struct Paid {
    pub(super) start: Vec<f64>,
    pub(super) offset: Vec<f64>,
    /// What each group pays, and those in none: as much as fits in a double, and the rest in ramps.
    paid: Vec<(f64, f64)>,
}

impl Paid {
    pub(super) fn new(layout: &Layout) -> Self {
        let steps = if layout.groups > 0 {
            2 * layout.resources()
        } else {
            0
        };
        Self {
            start: vec![0.0; steps],
            offset: vec![0.0; steps],
            paid: vec![(0.0, 0.0); layout.groups + 1],
        }
    }

    pub(super) fn load(&mut self, layout: &Layout, steps: &Steps, prices: &[Price], units: Units) {
        for (paid, price) in self.paid.iter_mut().zip(prices) {
            let price = price.moved(units.epsilon, units.epsilon);
            *paid = (price.base, price.frac);
        }
        let pairs = |column| <[f64]>::chunks_exact(column, 2);
        let (starts, offsets) = (
            self.start.chunks_exact_mut(2),
            self.offset.chunks_exact_mut(2),
        );
        let paid = &self.paid;
        for (((start, offset), step), &group) in starts
            .zip(offsets)
            .zip(pairs(&steps.start))
            .zip(&layout.group)
        {
            let (base, frac) = paid[group as usize];
            for side in 0..2 {
                let (sum, lost) = two_sum(base, step[side]);
                start[side] = sum;
                offset[side] = frac + lost * units.steepness;
            }
        }
    }
}

/// Runs loops with the widest vector instructions that the processor has. What they call must be inlined.
#[inline]
pub(super) fn vectorized<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}
