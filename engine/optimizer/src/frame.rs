//! The parts of a problem that every method needs, worked out once: own limits, the forest, who holds regulation.

use crate::limits::OwnLimits;
use crate::problem::{Problem, Requirement};
use crate::solution::Relaxation;

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

    pub(crate) fn relaxations(&self) -> Vec<Relaxation> {
        let pairs = self.limits.iter().zip(&self.problem.resources).enumerate();
        pairs
            .flat_map(|(i, (own, r))| own.relaxations(i, r, &self.problem.intervals_h))
            .collect()
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
        let mut upwards: Vec<usize> = (0..nodes.len()).collect();
        let depth: Vec<usize> = upwards.iter().map(|&n| path(Some(n)).count()).collect();
        upwards.sort_by_key(|&n| std::cmp::Reverse(depth[n]));

        let mut resources = vec![Vec::new(); nodes.len()];
        for (i, resource) in problem.resources.iter().enumerate() {
            for node in path(resource.node) {
                resources[node].push(i);
            }
        }
        let mut base_kw: Vec<Vec<f64>> = nodes.iter().map(|node| node.base_kw.clone()).collect();
        for &node in &upwards {
            if let Some(parent) = nodes[node].parent {
                let below = base_kw[node].clone();
                base_kw[parent]
                    .iter_mut()
                    .zip(below)
                    .for_each(|(sum, kw)| *sum += kw);
            }
        }
        Self {
            upwards,
            resources,
            base_kw,
        }
    }
}
