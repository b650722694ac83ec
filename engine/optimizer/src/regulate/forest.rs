//! The limits that can bind at all, in post-order, with everything that no price changes.
//!
//! Most nodes cannot reach their limit even when all below them draw their most or their least: they are left out, and
//! what hangs under them counts as hanging under the next node above that is watched. The last entry is a root above
//! everything, without a limit.

use super::layout::Layout;
use super::problem::Problem;
use super::steps::Steps;

/// Closer than this to a limit counts as able to reach it, kW.
const NEAR_KW: f64 = 1e-6;
/// Positions in one segment at most.
pub(super) const LONGEST: usize = 256;
/// Limits that miss each other by less do not contradict each other, kW.
const NOISE_KW: f64 = 1e-9;

/// Whether a node's own members alone overload it, whatever they do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Forced {
    #[default]
    No,
    /// Above the upper limit even when all draw their least.
    Above,
    /// Below the lower limit even when all draw their most.
    Below,
}

/// One limit that can bind. Flows are those of resources only, without base.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Watched {
    /// Rank in the layout.
    pub(super) rank: usize,
    /// Index of the watched node above.
    pub(super) parent: usize,
    /// Index of the first watched node of its subtree.
    pub(super) first: usize,
    /// First of its segments, those of its subtree included.
    pub(super) segment: usize,
    /// One past its last segment.
    pub(super) segment_end: usize,
    pub(super) upper: f64,
    pub(super) lower: f64,
    pub(super) forced: Forced,
    /// Least draw of its own segments.
    pub(super) low: f64,
    /// What all below draw at least and at most when every limit below holds.
    pub(super) least: f64,
    pub(super) most: f64,
    pub(super) depth: usize,
}

/// Positions that hang under one watched node with no other between.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) owner: usize,
}

/// The watched nodes of one problem.
#[derive(Debug, Clone, Default)]
pub(super) struct Forest {
    pub(super) nodes: Vec<Watched>,
    pub(super) segments: Vec<Segment>,
    /// Base load of each rank with those below.
    pub(super) base: Vec<f64>,
    /// How many nodes overloading may take in turns on one path; 0 where no limit needs to be broken, or only for
    /// reasons that no decision changes.
    pub(super) levels: usize,
    /// Overload of nodes with nobody below, kW: as fixed as their base.
    pub(super) idle_overload: f64,
    least: Vec<f64>,
    most: Vec<f64>,
    pending: Vec<(usize, usize)>,
    /// Watched node at or above each rank, and above those under none.
    owner: Vec<usize>,
}

impl Forest {
    /// The root above everything.
    pub(super) fn root(&self) -> usize {
        self.nodes.len() - 1
    }

    pub(super) fn reserve(&mut self, layout: &Layout) {
        let nodes = layout.nodes();
        self.nodes.reserve(nodes + 1);
        // Each node cuts the segment of the one above in two.
        self.segments
            .reserve(2 * nodes + 1 + layout.resources() / LONGEST);
        self.pending.reserve(nodes + 1);
        self.owner.reserve(nodes + 1);
        for column in [&mut self.base, &mut self.least, &mut self.most] {
            column.resize(nodes, 0.0);
        }
    }

    pub(super) fn build(&mut self, layout: &Layout, problem: &Problem, steps: &Steps) {
        self.sum_up(layout, problem, steps);
        self.watch(layout, problem);
        self.cut(layout);
        self.find_owners(layout);
        // A penalty above every difference of prices that can occur acts like a hard limit.
        let top = problem.penalties.tracking;
        let spread = 2.0 * top
            + if layout.groups > 0 {
                problem.penalties.commitment
            } else {
                0.0
            };
        let conflict = self.reach(steps, true);
        self.levels = 0;
        if conflict || problem.penalties.overload < spread {
            self.reach(steps, false);
            self.levels = self.nodes.iter().map(|node| node.depth).max().unwrap_or(0);
        }
    }

    /// Base, least and greatest draw below each rank.
    fn sum_up(&mut self, layout: &Layout, problem: &Problem, steps: &Steps) {
        let nodes = layout.nodes();
        self.least.copy_from_slice(&steps.least[..nodes]);
        self.most.copy_from_slice(&steps.most[..nodes]);
        for (base, &node) in self.base.iter_mut().zip(&layout.node) {
            *base = problem.base_kw[node as usize];
        }
        for rank in 0..nodes {
            let above = layout.parent[rank];
            if above < nodes {
                self.base[above] += self.base[rank];
                self.least[above] += self.least[rank];
                self.most[above] += self.most[rank];
            }
        }
    }

    fn watch(&mut self, layout: &Layout, problem: &Problem) {
        self.nodes.clear();
        self.idle_overload = 0.0;
        for rank in 0..layout.nodes() {
            let node = layout.node[rank] as usize;
            let upper = problem.upper_kw[node] - self.base[rank];
            let lower = problem.lower_kw[node] - self.base[rank];
            let (least, most) = (self.least[rank], self.most[rank]);
            let can_bind = most > upper - NEAR_KW || least < lower + NEAR_KW;
            if layout.start[rank] == layout.own[rank + 1] {
                self.idle_overload += (-upper).max(lower).max(0.0);
            } else if can_bind {
                self.nodes.push(Watched {
                    rank,
                    upper,
                    lower,
                    ..Watched::default()
                });
            }
        }
        self.nodes.push(Watched {
            rank: layout.nodes(),
            upper: f64::INFINITY,
            lower: f64::NEG_INFINITY,
            ..Watched::default()
        });
    }

    /// Cuts the positions into segments and links the watched nodes. `pending` holds those without a parent yet.
    fn cut(&mut self, layout: &Layout) {
        self.segments.clear();
        self.pending.clear();
        for k in 0..self.nodes.len() {
            let rank = self.nodes[k].rank;
            let start = layout.start.get(rank).copied().unwrap_or(0);
            let mut end = layout
                .own
                .get(rank + 1)
                .copied()
                .unwrap_or(layout.resources());
            let last_end = end;
            let (mut first, mut segment) = (k, self.segments.len());
            while let Some(&(child, child_start)) = self.pending.last().filter(|p| p.1 >= start) {
                self.pending.pop();
                let below = &mut self.nodes[child];
                below.parent = k;
                (first, segment) = (below.first, below.segment);
                let child_end = layout.own[below.rank + 1];
                self.push_segments(child_end, end, k);
                end = child_start;
            }
            self.push_segments(start, end, k);
            debug_assert!(last_end >= start);
            self.nodes[k].first = first;
            self.nodes[k].segment = segment;
            self.nodes[k].segment_end = self.segments.len();
            self.pending.push((k, start));
        }
        let root = self.root();
        self.nodes[root].parent = root;
        for k in (0..root).rev() {
            self.nodes[k].depth = self.nodes[self.nodes[k].parent].depth + 1;
        }
    }

    fn push_segments(&mut self, start: usize, end: usize, owner: usize) {
        for start in (start..end).step_by(LONGEST) {
            let end = end.min(start + LONGEST);
            self.segments.push(Segment { start, end, owner });
        }
    }

    fn find_owners(&mut self, layout: &Layout) {
        let root = self.root();
        self.owner.clear();
        self.owner.resize(layout.nodes() + 1, root);
        let mut next = root;
        for rank in (0..layout.nodes()).rev() {
            if next > 0 && self.nodes[next - 1].rank == rank {
                next -= 1;
                self.owner[rank] = next;
            } else {
                self.owner[rank] = self.owner[layout.parent[rank]];
            }
        }
    }

    /// What is within reach when all limits hold; whether some cannot hold together. With `widen`, limits that a
    /// node's members break whatever they do are moved to where those can go.
    fn reach(&mut self, steps: &Steps, widen: bool) -> bool {
        for node in &mut self.nodes {
            (node.low, node.least, node.most) = (0.0, 0.0, 0.0);
        }
        for (&owner, (least, most)) in self.owner.iter().zip(steps.least.iter().zip(&steps.most)) {
            self.nodes[owner].low += least;
            self.nodes[owner].most += most;
        }
        let mut conflict = false;
        for k in 0..self.root() {
            let mut node = self.nodes[k];
            node.least += node.low;
            node.forced = Forced::No;
            if widen && self.least[node.rank] > node.upper {
                node.forced = Forced::Above;
                conflict |= node.least > self.least[node.rank] + NOISE_KW;
            } else if widen && self.most[node.rank] < node.lower {
                node.forced = Forced::Below;
                conflict |= node.most < self.most[node.rank] - NOISE_KW;
            }
            if node.forced == Forced::No {
                let noise = NOISE_KW;
                conflict |= node.least > node.upper + noise || node.most < node.lower - noise;
            }
            let (least, most) = node.range();
            self.nodes[k] = node;
            let above = &mut self.nodes[node.parent];
            above.least += least;
            above.most += most;
        }
        let root = self.root();
        self.nodes[root].least += self.nodes[root].low;
        conflict
    }
}

impl Watched {
    pub(super) fn clamp(&self, flow: f64) -> f64 {
        flow.max(self.lower).min(self.upper)
    }

    /// The least and the most that it lets pass.
    pub(super) fn range(&self) -> (f64, f64) {
        match self.forced {
            Forced::Above => (self.least, self.least),
            Forced::Below => (self.most, self.most),
            Forced::No => (self.clamp(self.least), self.clamp(self.most)),
        }
    }

    /// What it lets pass of what is drawn below it, where overloading is no choice.
    #[inline(always)]
    pub(super) fn pass(&self, flow: f64) -> f64 {
        match self.forced {
            Forced::Above => self.least,
            Forced::Below => self.most,
            Forced::No => {
                let above = if flow > self.lower { flow } else { self.lower };
                if above < self.upper {
                    above
                } else {
                    self.upper
                }
            }
        }
    }
}
