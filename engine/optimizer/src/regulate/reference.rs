//! The program as written, through good_lp: slow, right, and the oracle for the fast solver.

use std::time::Duration;

use super::layout::Layout;
use super::problem::{Fleet, Problem};
use super::validate::{RegulateError, problem as check};
use crate::reference::lp::{Lp, Term};
use crate::reference::solvers::Model;
use crate::reference::{Backend, Options, SolveError};

/// What the reference found.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// Draw of each resource, kW.
    pub draw_kw: Vec<f64>,
    /// What it costs, CNY for each hour that it lasts.
    pub objective: f64,
    /// How long the solver itself says it took; `None` where it does not tell.
    pub took: Option<Duration>,
}

/// Solves a problem with a general solver.
///
/// # Errors
///
/// What [`super::Regulator`] refuses, and [`RegulateError::Unsolved`] when the solver does not reach an optimum.
pub fn reference(
    fleet: &Fleet,
    problem: &Problem,
    options: &Options,
) -> Result<Reference, RegulateError> {
    Program::new(fleet, problem, options.backend)?.run(options.time_limit)
}

/// The program of a problem in the solver's own form, not yet solved: for those who measure the solver and not the
/// making of its input. Others call [`reference()`].
pub struct Program {
    model: Model,
    draws: Vec<Draw>,
    constant: f64,
}

/// A resource's draw: where it cannot avoid to be, more, less.
type Draw = [(f64, Term); 3];

impl Program {
    /// Writes the program down for a solver.
    ///
    /// # Errors
    ///
    /// What [`super::Regulator`] refuses, and [`RegulateError::Unsolved`] when the solver refuses the program.
    pub fn new(fleet: &Fleet, problem: &Problem, backend: Backend) -> Result<Self, RegulateError> {
        let written = write_down(fleet, problem)?;
        Ok(Self {
            model: Model::new(written.lp, backend).map_err(unsolved)?,
            draws: written.draws,
            constant: written.constant,
        })
    }

    /// Solves it; does nothing else of size.
    ///
    /// # Errors
    ///
    /// [`RegulateError::Unsolved`] when the solver does not reach an optimum.
    pub fn run(self, time_limit: Option<Duration>) -> Result<Reference, RegulateError> {
        let answer = self.model.run(time_limit).map_err(unsolved)?;
        if !answer.optimal {
            let ending = answer.ending;
            return Err(RegulateError::Unsolved { ending });
        }
        let value = |terms: &Draw| -> f64 {
            terms
                .iter()
                .map(|&(factor, term)| factor * answer.value(term))
                .sum()
        };
        Ok(Reference {
            draw_kw: self.draws.iter().map(value).collect(),
            objective: answer.objective + self.constant,
            took: answer.took,
        })
    }
}

fn unsolved(error: SolveError) -> RegulateError {
    let ending = match error {
        SolveError::Unsolved { ending } => ending,
        SolveError::Problem(other) => other.to_string(),
    };
    RegulateError::Unsolved { ending }
}

/// The program, what its columns mean, and what is paid whatever they are.
struct Written {
    lp: Lp,
    draws: Vec<Draw>,
    constant: f64,
}

fn write_down(fleet: &Fleet, problem: &Problem) -> Result<Written, RegulateError> {
    let layout = Layout::new(fleet)?;
    check(
        problem,
        layout.resources(),
        layout.nodes(),
        fleet.group_count,
    )?;
    let mut lp = Lp::default();
    let none = (f64::INFINITY, f64::INFINITY);

    // x = near + rise − fall, where near is the point of low..high closest to the plan; what is left costs the same
    // whatever is decided.
    let mut constant = 0.0;
    let mut draws: Vec<Draw> = Vec::new();
    for i in 0..problem.low_kw.len() {
        let (low, high, plan) = (problem.low_kw[i], problem.high_kw[i], problem.plan_kw[i]);
        let near = plan.clamp(low, high);
        constant += problem.rise_price[i] * (near - plan).max(0.0);
        constant += problem.fall_price[i] * (plan - near).max(0.0);
        let rise = lp.term(0.0, high - near, problem.rise_price[i]);
        let fall = lp.term(0.0, near - low, problem.fall_price[i]);
        draws.push([(1.0, lp.term(near, near, 0.0)), (1.0, rise), (-1.0, fall)]);
    }
    let negative = |terms: &[(f64, Term)]| -> Vec<(f64, Term)> {
        terms
            .iter()
            .map(|&(factor, term)| (-factor, term))
            .collect()
    };

    // Σ x − target ≤ over,  target − Σ x ≤ under
    let all: Vec<_> = draws.iter().flatten().copied().collect();
    let (over, under) = (
        lp.term(0.0, none.0, problem.penalties.tracking),
        lp.term(0.0, none.1, problem.penalties.tracking),
    );
    lp.at_most(&[&all[..], &[(-1.0, over)]].concat(), problem.target_kw);
    lp.at_most(
        &[&negative(&all)[..], &[(-1.0, under)]].concat(),
        -problem.target_kw,
    );

    // lower − over ≤ base + Σ x below ≤ upper + over
    let mut below = vec![Vec::new(); fleet.node_parent.len()];
    let mut base = vec![0.0; fleet.node_parent.len()];
    let path = |n: Option<usize>| std::iter::successors(n, |&n| fleet.node_parent[n]);
    for (terms, &node) in draws.iter().zip(&fleet.resource_node) {
        path(node).for_each(|n| below[n].extend_from_slice(terms));
    }
    for (n, &own) in problem.base_kw.iter().enumerate() {
        path(Some(n)).for_each(|above| base[above] += own);
    }
    for (n, terms) in below.iter().enumerate() {
        let over = lp.term(0.0, none.0, problem.penalties.overload);
        if problem.upper_kw[n].is_finite() {
            lp.at_most(
                &[&terms[..], &[(-1.0, over)]].concat(),
                problem.upper_kw[n] - base[n],
            );
        }
        if problem.lower_kw[n].is_finite() {
            let row = [&negative(terms)[..], &[(-1.0, over)]].concat();
            lp.at_most(&row, base[n] - problem.lower_kw[n]);
        }
    }

    // Σ x in group ≤ ceiling + short
    for (g, &ceiling) in problem.ceiling_kw.iter().enumerate() {
        let members = draws
            .iter()
            .zip(&fleet.resource_group)
            .filter(|(_, group)| **group == Some(g));
        let mut row: Vec<_> = members.flat_map(|(terms, _)| *terms).collect();
        if ceiling.is_finite() && !row.is_empty() {
            row.push((-1.0, lp.term(0.0, none.0, problem.penalties.commitment)));
            lp.at_most(&row, ceiling);
        } else if ceiling.is_finite() {
            constant += problem.penalties.commitment * (-ceiling).max(0.0);
        }
    }

    Ok(Written {
        lp,
        draws,
        constant,
    })
}
