//! A part of the forest between two prices.
//!
//! Once it is known that a price lies between two others, most of what hangs below a node cannot change any more: steps
//! that are taken at both or at neither, and nodes that cut at both. Nodes that cut at neither do not matter as nodes.
//! What is left is a smaller forest of the same kind, with constants; so each question costs a share of the one before.

use super::forest::{LONGEST, Segment, Watched};
use super::price::{Flow, Price, Units};
use super::ramps::{LANES, Lanes, Ramps};

/// Watched nodes in post-order and who hangs below them. The last node is the one whose price is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) nodes: &'a [Watched],
    /// What parents and owners count from.
    pub(super) first: usize,
    pub(super) segments: &'a [Segment],
    pub(super) ramps: Ramps<'a>,
    /// Ramps of each position.
    pub(super) each: usize,
}

impl View<'_> {
    /// Starts of all ramps in it: those of a subtree lie side by side.
    pub(super) fn starts(&self) -> &[f64] {
        let first = self.segments.iter().map(|segment| segment.start).min();
        let end = self.segments.iter().map(|segment| segment.end).max();
        &self.ramps.start[self.each * first.unwrap_or(0)..self.each * end.unwrap_or(0)]
    }

    /// What is drawn below each node at a price, before its limit.
    #[inline(always)]
    pub(super) fn add_at(&self, price: Price, segments: &[Segment], below: &mut [Flow]) {
        for segment in segments {
            let range = self.each * segment.start..self.each * segment.end;
            below[segment.owner - self.first] += self.ramps.risen(range, price);
        }
    }

    /// The same at several prices.
    #[inline(always)]
    pub(super) fn add_at_all(&self, prices: &Lanes, segments: &[Segment], below: &mut [Lanes]) {
        for segment in segments {
            let range = self.each * segment.start..self.each * segment.end;
            let sums = &mut below[segment.owner - self.first];
            let mut sum = *sums;
            self.ramps.add_risen(range, prices, &mut sum);
            *sums = sum;
        }
    }

    /// Adds up from node to node what each lets pass at several prices.
    #[inline(always)]
    pub(super) fn pass_up(&self, below: &mut [Lanes]) {
        for (k, node) in self.nodes.iter().enumerate().take(self.nodes.len() - 1) {
            let flow = below[k];
            let above = &mut below[node.parent - self.first];
            for lane in 0..LANES {
                above[lane] += node.pass(flow[lane]);
            }
        }
    }
}

/// A part of its own, and what making it takes.
#[derive(Debug, Clone, Default)]
pub(super) struct Part {
    nodes: Vec<Watched>,
    segments: Vec<Segment>,
    start: Vec<f64>,
    offset: Vec<f64>,
    kw: Vec<f64>,
    /// Where the members of each node of the old part go.
    heir: Vec<usize>,
    constant: Vec<f64>,
    index: Vec<usize>,
}

/// Members whose draw is known.
const SETTLED: usize = usize::MAX;

impl Part {
    pub(super) fn reserve(&mut self, nodes: usize, segments: usize, steps: usize) {
        self.nodes.reserve(nodes);
        self.segments.reserve(segments);
        for column in [&mut self.start, &mut self.offset, &mut self.kw] {
            column.resize(steps, 0.0);
        }
        self.heir.reserve(nodes);
        self.constant.reserve(nodes);
        self.index.reserve(nodes);
    }

    pub(super) fn view(&self, units: Units) -> View<'_> {
        let steps = self.segments.last().map_or(0, |segment| segment.end);
        View {
            nodes: &self.nodes,
            first: 0,
            segments: &self.segments,
            ramps: Ramps {
                start: &self.start[..steps],
                offset: &self.offset[..steps],
                kw: &self.kw[..steps],
                units,
            },
            each: 1,
        }
    }

    /// Takes over what can still change between two prices. `ends`: what is drawn below each node at them, before its
    /// limit; those of nodes that are left stay.
    pub(super) fn contract(
        &mut self,
        from: View<'_>,
        ends: &mut Vec<(f64, f64)>,
        low: f64,
        high: f64,
    ) {
        self.choose_heirs(from, ends);
        self.take_nodes(from, ends);
        self.take_steps(from, low, high);
    }

    fn choose_heirs(&mut self, from: View<'_>, ends: &[(f64, f64)]) {
        let count = from.nodes.len();
        self.heir.clear();
        self.heir.resize(count, SETTLED);
        self.constant.clear();
        self.constant.resize(count, 0.0);
        self.heir[count - 1] = count - 1;
        self.constant[count - 1] = from.nodes[count - 1].low;
        for k in (0..count - 1).rev() {
            let node = &from.nodes[k];
            let above = self.heir[node.parent - from.first];
            if above == SETTLED {
                continue;
            }
            let (least, most) = ends[k];
            let passed = node.pass(least);
            if passed >= node.pass(most) {
                self.constant[above] += passed;
                continue;
            }
            let open = least >= node.lower && most <= node.upper;
            let heir = if open { above } else { k };
            self.heir[k] = heir;
            self.constant[heir] += node.low;
        }
    }

    fn take_nodes(&mut self, from: View<'_>, ends: &mut Vec<(f64, f64)>) {
        self.nodes.clear();
        self.index.clear();
        for (k, node) in from.nodes.iter().enumerate() {
            self.index.push(self.nodes.len());
            if self.heir[k] == k {
                ends[self.nodes.len()] = ends[k];
                self.nodes.push(Watched {
                    low: self.constant[k],
                    ..*node
                });
            }
        }
        ends.truncate(self.nodes.len());
        // The last has no parent here.
        let count = self.nodes.len() - 1;
        for node in &mut self.nodes[..count] {
            node.parent = self.index[self.heir[node.parent - from.first]];
        }
    }

    fn take_steps(&mut self, from: View<'_>, low: f64, high: f64) {
        let ramps = from.ramps;
        let Ramps {
            start, kw, units, ..
        } = ramps;
        // Rounding must not drop anything that is not settled.
        let margin = 1e-14 * (1.0 + low.abs() + high.abs());
        let (begun, not_begun) = (low - margin - units.epsilon, high + margin);
        self.segments.clear();
        let mut count = 0;
        for segment in from.segments {
            let heir = self.heir[segment.owner - from.first];
            if heir == SETTLED {
                continue;
            }
            let range = from.each * segment.start..from.each * segment.end;
            let (first, mut risen) = (count, 0.0);
            let room = self.start.len().min(count + range.len());
            let (starts, offsets, kws) = (
                &mut self.start[..room],
                &mut self.offset[..room],
                &mut self.kw[..room],
            );
            let old = start[range.clone()]
                .iter()
                .zip(ramps.offsets(range.clone()));
            for ((&start, &offset), &kw) in old.zip(&kw[range]) {
                (starts[count], offsets[count], kws[count]) = (start, offset, kw);
                // No branches: which way a step goes is as good as random.
                risen += if start <= begun { kw } else { 0.0 };
                let open = (start > begun) & (start < not_begun) & (kw > 0.0);
                count += usize::from(open);
            }
            let owner = self.index[heir];
            self.nodes[owner].low += risen;
            match self.segments.last_mut() {
                Some(last)
                    if last.owner == owner
                        && last.end == first
                        && count - last.start <= LONGEST =>
                {
                    last.end = count;
                }
                _ if count > first => self.segments.push(Segment {
                    start: first,
                    end: count,
                    owner,
                }),
                _ => {}
            }
        }
    }
}
