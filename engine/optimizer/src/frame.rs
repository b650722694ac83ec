//! The parts of a problem that every method needs, worked out once: own limits, the forest, who holds regulation.

use crate::limits::OwnLimits;
use crate::problem::{Problem, Requirement};
use crate::solution::Relaxation;
use crate::stop::Stop;

/// A validated problem with what follows from it.
#[derive(Clone)]
pub(crate) struct Frame<'a> {
    pub(crate) problem: &'a Problem,
    pub(crate) limits: Vec<OwnLimits>,
    pub(crate) forest: Forest,
    /// For each resource the regulation that it may hold.
    pub(crate) regulation: Vec<Option<Holding>>,
}

/// The regulation requirement that a resource serves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Holding {
    pub(crate) requirement: usize,
    pub(crate) sustain_h: f64,
}

/// The nodes with their subtrees.
#[derive(Clone)]
pub(crate) struct Forest {
    /// Nodes, those below before those above.
    pub(crate) upwards: Vec<usize>,
    /// For each node the resources anywhere below it.
    pub(crate) resources: Vec<Vec<usize>>,
    /// For each node and interval the base load at and below it.
    pub(crate) base_kw: Vec<Vec<f64>>,
}

impl<'a> Frame<'a> {
    /// The problem must be valid: a cycle among nodes would not end.
    pub(crate) fn new(problem: &'a Problem) -> Self {
        let limits = problem
            .resources
            .iter()
            .map(|r| OwnLimits::new(r, &problem.intervals_h))
            .collect();
        let mut regulation = vec![None; problem.resources.len()];
        for (index, requirement) in problem.requirements.iter().enumerate() {
            let Requirement::Regulation {
                members, sustain_h, ..
            } = requirement
            else {
                continue;
            };
            for &member in members.iter().filter(|&&i| problem.resources[i].regulates) {
                let holding = Holding {
                    requirement: index,
                    sustain_h: *sustain_h,
                };
                regulation[member] = Some(holding);
            }
        }
        Self {
            problem,
            limits,
            forest: Forest::new(problem),
            regulation,
        }
    }

    /// That of some of the resources, which are all that `problem` has: their limits as they are here. `None` when the caller
    /// says stop.
    pub(crate) fn part<'b>(
        &self,
        problem: &'b Problem,
        resources: &[usize],
        stop: &Stop<'_>,
    ) -> Option<Frame<'b>> {
        let mut limits = Vec::with_capacity(resources.len());
        for (at, &i) in resources.iter().enumerate() {
            stop.go_on_at(at)?;
            limits.push(self.limits[i].clone());
        }
        Some(Frame {
            problem,
            limits,
            forest: Forest::new(problem),
            regulation: resources.iter().map(|&i| self.regulation[i]).collect(),
        })
    }

    /// `None` when the caller says stop.
    pub(crate) fn relaxations(&self, stop: &Stop<'_>) -> Option<Vec<Relaxation>> {
        let mut relaxations = Vec::new();
        let pairs = self.limits.iter().zip(&self.problem.resources).enumerate();
        for (i, (own, r)) in pairs {
            stop.go_on_at(i)?;
            relaxations.extend(own.relaxations(i, r, &self.problem.intervals_h));
        }
        Some(relaxations)
    }

    /// For each node and interval, the sum of a quantity (by resource and interval) over all resources below it. `None`
    /// when the caller says stop.
    pub(crate) fn sums_below(
        &self,
        of: impl Fn(usize, usize) -> f64,
        stop: &Stop<'_>,
    ) -> Option<Vec<Vec<f64>>> {
        let horizon = self.problem.horizon();
        let mut sums = vec![vec![0.0; horizon]; self.problem.nodes.len()];
        for (i, resource) in self.problem.resources.iter().enumerate() {
            stop.go_on_at(i)?;
            if let Some(node) = resource.node {
                let row = sums[node].iter_mut().enumerate();
                row.for_each(|(t, sum)| *sum += of(i, t));
            }
        }
        stop.go_on()?;
        add_upwards(self.problem, &self.forest.upwards, &mut sums);
        Some(sums)
    }

    /// For one interval and each node, the sum of a quantity over the resources that hang directly under it.
    pub(crate) fn sums_at(&self, of: impl Fn(usize) -> f64) -> Vec<f64> {
        let mut sums = vec![0.0; self.problem.nodes.len()];
        for (i, resource) in self.problem.resources.iter().enumerate() {
            if let Some(node) = resource.node {
                sums[node] += of(i);
            }
        }
        sums
    }

    /// Regulation that the resource's requirement asks for in an interval: up, down.
    pub(crate) fn regulation_asked_kw(&self, resource: usize, t: usize) -> (f64, f64) {
        let holding = self.regulation[resource];
        match holding.map(|holding| &self.problem.requirements[holding.requirement]) {
            Some(Requirement::Regulation { up_kw, down_kw, .. }) => (up_kw[t], down_kw[t]),
            _ => (0.0, 0.0),
        }
    }
}

impl Forest {
    fn new(problem: &Problem) -> Self {
        let nodes = &problem.nodes;
        let path = |start: Option<usize>| std::iter::successors(start, |&n| nodes[n].parent);
        let upwards = upwards(problem);
        let mut resources = vec![Vec::new(); nodes.len()];
        for (i, resource) in problem.resources.iter().enumerate() {
            for node in path(resource.node) {
                resources[node].push(i);
            }
        }
        let mut base_kw: Vec<Vec<f64>> = nodes.iter().map(|node| node.base_kw.clone()).collect();
        add_upwards(problem, &upwards, &mut base_kw);
        Self {
            upwards,
            resources,
            base_kw,
        }
    }
}

/// Nodes, those below before those above. Without cycles each is reached from the roots.
fn upwards(problem: &Problem) -> Vec<usize> {
    let nodes = &problem.nodes;
    let mut below: Vec<Vec<usize>> = vec![Vec::new(); nodes.len()];
    let mut order: Vec<usize> = Vec::with_capacity(nodes.len());
    for (n, node) in nodes.iter().enumerate() {
        match node.parent {
            Some(parent) => below[parent].push(n),
            None => order.push(n),
        }
    }
    let mut next = 0;
    while next < order.len() {
        order.append(&mut below[order[next]]);
        next += 1;
    }
    order.reverse();
    order
}

/// Adds each node's row to the row of the node above, from the bottom up.
fn add_upwards(problem: &Problem, upwards: &[usize], rows: &mut [Vec<f64>]) {
    for &node in upwards {
        if let Some(parent) = problem.nodes[node].parent {
            let row = std::mem::take(&mut rows[node]);
            rows[parent]
                .iter_mut()
                .zip(&row)
                .for_each(|(sum, kw)| *sum += kw);
            rows[node] = row;
        }
    }
}
