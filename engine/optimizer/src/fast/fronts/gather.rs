//! The covariance of the resources at a front.

use super::super::chain::{Batch, Ports};
use super::super::lane::{Kernel, multiply_add};
use super::super::rows::UNMET;
use super::{Entry, Live, Member};
use crate::stop::Stop;

/// Adds the covariance of a front's own resources, one after the other: what one does now answers what it did at all
/// earlier ports, and that answer is carried through the closed loop from interval to interval.
pub(super) struct Gather<'a> {
    pub(super) members: &'a [Member],
    pub(super) live: &'a mut Live,
    pub(super) batches: &'a [Batch],
    pub(super) stop: &'a Stop<'a>,
}

impl Kernel for Gather<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let Live {
            maps,
            covariance,
            ports,
            ..
        } = self.live;
        let most = maps.iter().map(Vec::len).max().unwrap_or(0);
        // The covariance of the chain's states with each port passed so far.
        let mut carried = vec![0.0; 4 * most];
        for member in self.members {
            if self.stop.now() {
                return;
            }
            let batch = &self.batches[member.batch as usize];
            let map = &maps[member.map as usize];
            let lane = member.lane as usize;
            if Ports::of(batch.shape).states == 2 {
                walk::<2, FUSED>(batch, lane, map, &mut carried, covariance, *ports);
            } else {
                walk::<4, FUSED>(batch, lane, map, &mut carried, covariance, *ports);
            }
        }
    }
}

#[inline(always)]
fn walk<const NX: usize, const FUSED: bool>(
    batch: &Batch,
    lane: usize,
    map: &[Entry],
    carried: &mut [f64],
    covariance: &mut [f64],
    ports: usize,
) {
    let layout = Ports::of(batch.shape);
    let stride = layout.stride();
    let most = carried.len() / 4;
    let Some(last) = map.last() else { return };
    let mut parts = carried.chunks_exact_mut(most.max(1));
    let states: [&mut [f64]; NX] = std::array::from_fn(|_| parts.next().unwrap_or_default());
    let (mut passed, mut next) = (0, 0);
    for t in map[0].interval..=last.interval {
        let here = &batch.covariance[t as usize * stride..(t as usize + 1) * stride];
        let value = |at: usize| here[at].0[lane];
        while next < map.len() && map[next].interval == t {
            let entry = map[next];
            let quantity = entry.quantity as usize;
            let answers: [f64; NX] = std::array::from_fn(|q| -value(layout.answer(quantity, q)));
            let earlier: [&[f64]; NX] = std::array::from_fn(|q| &states[q][..passed]);
            let out = &mut covariance[entry.port as usize * ports..][..ports];
            let answer = |k: usize, sum: f64| {
                let mut sum = sum;
                for q in 0..NX {
                    sum = multiply_add::<FUSED>(answers[q], earlier[q][k], sum);
                }
                sum
            };
            let seen = &map[..passed];
            if passed > 0 && (seen[passed - 1].port - seen[0].port) as usize == passed - 1 {
                let first = seen[0].port as usize;
                for (k, sum) in out[first..first + passed].iter_mut().enumerate() {
                    *sum = answer(k, *sum);
                }
            } else {
                for (k, seen) in seen.iter().enumerate() {
                    let sum = &mut out[seen.port as usize];
                    *sum = answer(k, *sum);
                }
            }
            for other in &map[passed..=next] {
                out[other.port as usize] += value(layout.own(quantity, other.quantity as usize));
            }
            next += 1;
        }
        if next == map.len() {
            return;
        }
        // Through the closed loop of the interval. What is unmet stays as it is.
        let closed: [[f64; NX]; NX] =
            std::array::from_fn(|to| std::array::from_fn(|from| value(layout.closed(to, from))));
        for k in 0..passed {
            let before: [f64; NX] = std::array::from_fn(|q| states[q][k]);
            for to in 0..NX {
                if to == UNMET {
                    continue;
                }
                let mut sum = closed[to][0] * before[0];
                for from in 1..NX {
                    sum = multiply_add::<FUSED>(closed[to][from], before[from], sum);
                }
                states[to][k] = sum;
            }
        }
        for entry in &map[passed..next] {
            for q in 0..NX {
                states[q][passed] = value(layout.with_state(entry.quantity as usize, q));
            }
            passed += 1;
        }
    }
}
