//! The covariance of the resources at a front.

use super::super::chain::{Batch, Ports};
use super::super::lane::Kernel;
use super::{Entry, Live, Member};

/// Adds the covariance of a front's own resources, one after the other: what one does now answers what it did at all
/// earlier ports, and that answer is carried through the closed loop from interval to interval.
pub(super) struct Gather<'a> {
    pub(super) members: &'a [Member],
    pub(super) live: &'a mut Live,
    pub(super) batches: &'a [Batch],
}

impl Kernel for Gather<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Live {
            maps,
            covariance,
            ports,
            ..
        } = self.live;
        let most = maps.iter().map(Vec::len).max().unwrap_or(0);
        // The covariance of the chain's states with each port passed so far.
        let mut carried = vec![0.0; 4 * most];
        let mut row = vec![0.0; most];
        for member in self.members {
            let batch = &self.batches[member.batch as usize];
            let map = &maps[member.map as usize];
            let lane = member.lane as usize;
            let layout = Ports::of(batch.shape);
            if layout.states == 2 {
                walk::<2>(batch, lane, map, &mut carried, &mut row, covariance, *ports);
            } else {
                walk::<4>(batch, lane, map, &mut carried, &mut row, covariance, *ports);
            }
        }
    }
}

#[inline(always)]
fn walk<const NX: usize>(
    batch: &Batch,
    lane: usize,
    map: &[Entry],
    carried: &mut [f64],
    row: &mut [f64],
    covariance: &mut [f64],
    ports: usize,
) {
    let layout = Ports::of(batch.shape);
    let stride = layout.stride();
    let most = carried.len() / 4;
    let Some(last) = map.last() else { return };
    let (mut passed, mut next) = (0, 0);
    for t in map[0].interval..=last.interval {
        let here = &batch.covariance[t as usize * stride..(t as usize + 1) * stride];
        let value = |at: usize| here[at].0[lane];
        while next < map.len() && map[next].interval == t {
            let entry = map[next];
            let quantity = entry.quantity as usize;
            row[..passed].fill(0.0);
            for q in 0..NX {
                let answer = value(layout.answer(quantity, q));
                let states = &carried[q * most..q * most + passed];
                for (sum, state) in row[..passed].iter_mut().zip(states) {
                    *sum -= answer * state;
                }
            }
            let out = &mut covariance[entry.port as usize * ports..];
            let earlier = &map[..passed];
            if passed > 0 && (earlier[passed - 1].port - earlier[0].port) as usize == passed - 1 {
                let first = earlier[0].port as usize;
                for (sum, value) in out[first..first + passed].iter_mut().zip(&row[..passed]) {
                    *sum += value;
                }
            } else {
                for (earlier, value) in earlier.iter().zip(&row[..passed]) {
                    out[earlier.port as usize] += value;
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
        step::<NX>(&value, layout, carried, most, passed);
        for entry in &map[passed..next] {
            for q in 0..NX {
                carried[q * most + passed] = value(layout.with_state(entry.quantity as usize, q));
            }
            passed += 1;
        }
    }
}

/// Carries the states' covariance through the closed loop of an interval.
#[inline(always)]
fn step<const NX: usize>(
    value: &impl Fn(usize) -> f64,
    layout: Ports,
    carried: &mut [f64],
    most: usize,
    passed: usize,
) {
    let closed: [[f64; NX]; NX] =
        std::array::from_fn(|to| std::array::from_fn(|from| value(layout.closed(to, from))));
    let mut parts = carried.chunks_exact_mut(most.max(1));
    let states: [&mut [f64]; NX] =
        std::array::from_fn(|_| &mut parts.next().unwrap_or_default()[..passed]);
    for k in 0..passed {
        let before: [f64; NX] = std::array::from_fn(|q| states[q][k]);
        for to in 0..NX {
            let mut sum = 0.0;
            for from in 0..NX {
                sum += closed[to][from] * before[from];
            }
            states[to][k] = sum;
        }
    }
}
