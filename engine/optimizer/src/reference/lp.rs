//! A linear program in the making, and the two solvers that can take it.

use std::time::Duration;

use good_lp::{Constraint, Expression, ProblemVariables, Solution as _, SolverModel as _};
use good_lp::{Variable, WithTimeLimit as _, variable};

use super::{Backend, SolveError};

/// Ranges narrower than this are a constant: a solver that needs an interior would find none.
const NARROW: f64 = 1e-9;
/// What Clarabel aims at, relative.
const TOLERANCE: f64 = 1e-9;
/// What an answer must prove, by its own residuals and duality gap, to be called optimal. Relative.
const OPTIMAL: f64 = 1e-7;

/// Columns (variables), rows (constraints) and the objective.
#[derive(Default)]
pub(crate) struct Lp {
    columns: ProblemVariables,
    handles: Vec<Variable>,
    costs: Vec<f64>,
    constant_cost: f64,
    /// Rows that Clarabel makes of the columns' bounds. They come before all others.
    bound_rows: usize,
    rows: Vec<Constraint>,
}

/// A quantity that is a constant plus, unless its range is empty, a column.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Term {
    offset: f64,
    column: Option<usize>,
}

/// A solver's answer.
pub(crate) struct Answer {
    values: Vec<f64>,
    /// Marginal price of each row, at least 0, for rows written as `≤`.
    pub(crate) row_prices: Option<Vec<f64>>,
    pub(crate) objective: f64,
    pub(crate) optimal: bool,
    /// The solver's own word for how it ended.
    pub(crate) ending: String,
    /// Zero where the solver does not tell.
    pub(crate) took: Duration,
}

impl Answer {
    pub(crate) fn value(&self, term: Term) -> f64 {
        term.offset + term.column.map_or(0.0, |column| self.values[column])
    }
}

impl Lp {
    /// A new quantity within bounds, with its cost for each unit.
    pub(crate) fn term(&mut self, min: f64, max: f64, cost: f64) -> Term {
        let offset = if min.is_finite() { min } else { 0.0 };
        self.constant_cost += cost * offset;
        if max - min <= NARROW {
            return Term {
                offset,
                column: None,
            };
        }
        let mut definition = variable();
        if min.is_finite() {
            definition = definition.min(0.0);
            self.bound_rows += 1;
        }
        if max.is_finite() {
            definition = definition.max(max - offset);
            self.bound_rows += 1;
        }
        self.handles.push(self.columns.add(definition));
        self.costs.push(cost);
        Term {
            offset,
            column: Some(self.handles.len() - 1),
        }
    }

    /// A new quantity without a lower bound.
    pub(crate) fn free_below(&mut self, max: f64) -> Term {
        self.term(f64::NEG_INFINITY, max, 0.0)
    }

    /// `sum += factor · term`
    fn add(&self, sum: &mut Expression, factor: f64, term: Term) {
        *sum += factor * term.offset;
        if let Some(column) = term.column {
            sum.add_mul(factor, self.handles[column]);
        }
    }

    /// `Σ factor · term ≤ limit`; returns the row's number.
    pub(crate) fn at_most(&mut self, terms: &[(f64, Term)], limit: f64) -> usize {
        let mut sum = Expression::with_capacity(terms.len());
        for &(factor, term) in terms {
            self.add(&mut sum, factor, term);
        }
        self.rows.push(sum.leq(limit));
        self.rows.len() - 1
    }

    /// `Σ factor · term = value`
    pub(crate) fn equal(&mut self, terms: &[(f64, Term)], value: f64) {
        let mut sum = Expression::with_capacity(terms.len());
        for &(factor, term) in terms {
            self.add(&mut sum, factor, term);
        }
        self.rows.push(sum.eq(value));
    }

    pub(crate) fn solve(
        self,
        backend: Backend,
        time_limit: Option<Duration>,
    ) -> Result<Answer, SolveError> {
        let mut cost = Expression::with_capacity(self.handles.len());
        for (&column, &factor) in self.handles.iter().zip(&self.costs) {
            cost.add_mul(factor, column);
        }
        if self.handles.is_empty() {
            // Nothing to decide.
            return Ok(Answer {
                values: Vec::new(),
                row_prices: None,
                objective: self.constant_cost,
                optimal: true,
                ending: "nothing to decide".into(),
                took: Duration::ZERO,
            });
        }
        match backend {
            Backend::Clarabel => self.solve_clarabel(&cost, time_limit),
            Backend::Microlp => self.solve_microlp(&cost, time_limit),
        }
    }

    fn solve_clarabel(
        self,
        cost: &Expression,
        time_limit: Option<Duration>,
    ) -> Result<Answer, SolveError> {
        let mut model = self.columns.minimise(cost).using(good_lp::clarabel);
        for row in self.rows {
            model.add_constraint(row);
        }
        let settings = model.settings();
        settings
            .verbose(false)
            .tol_feas(TOLERANCE)
            .tol_gap_abs(TOLERANCE)
            .tol_gap_rel(TOLERANCE);
        if let Some(limit) = time_limit {
            settings.time_limit(limit.as_secs_f64());
        }
        // good_lp hands out a solution of reduced accuracy as if it were a good one: it is judged by its figures.
        let solved = model.solve().map_err(|error| refused(&error))?;
        let found = solved.inner();
        let gap = (found.obj_val - found.obj_val_dual).abs();
        let scale = found.obj_val.abs().min(found.obj_val_dual.abs()).max(1.0);
        let optimal = found.r_prim <= OPTIMAL && found.r_dual <= OPTIMAL && gap <= OPTIMAL * scale;
        let ending = format!("{:?}", found.status);
        // A certificate of infeasibility has no objective. The program always has a solution, so it is noise.
        if !found.obj_val.is_finite() {
            return Err(SolveError::Unsolved { ending });
        }
        Ok(Answer {
            values: found.x.clone(),
            row_prices: Some(found.z[self.bound_rows..].to_vec()),
            objective: found.obj_val + self.constant_cost,
            optimal,
            ending,
            took: Duration::from_secs_f64(found.solve_time.max(0.0)),
        })
    }

    fn solve_microlp(
        self,
        cost: &Expression,
        time_limit: Option<Duration>,
    ) -> Result<Answer, SolveError> {
        let mut model = self.columns.minimise(cost).using(good_lp::microlp);
        if let Some(limit) = time_limit {
            model = model.with_time_limit(limit.as_secs_f64());
        }
        for row in self.rows {
            model.add_constraint(row);
        }
        let found = model.solve().map_err(|error| refused(&error))?;
        let values: Vec<f64> = self
            .handles
            .iter()
            .map(|&column| found.value(column))
            .collect();
        let paid: f64 = values
            .iter()
            .zip(&self.costs)
            .map(|(value, cost)| value * cost)
            .sum();
        Ok(Answer {
            objective: paid + self.constant_cost,
            values,
            row_prices: None,
            optimal: matches!(found.status(), good_lp::solvers::SolutionStatus::Optimal),
            ending: "time limit".into(),
            took: Duration::ZERO,
        })
    }
}

fn refused(error: &good_lp::ResolutionError) -> SolveError {
    SolveError::Unsolved {
        ending: error.to_string(),
    }
}
