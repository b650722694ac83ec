//! A linear program in the hands of a solver: [`Model::new`] turns it into the solver's own form, [`Model::run`] solves
//! it. Apart, so that the time of the one can be told from the time of the other.

#[cfg(feature = "highs")]
mod highs;

use std::time::Duration;

use good_lp::{Constraint, Solution as _, SolverModel as _, Variable, WithTimeLimit as _};

use super::lp::{Lp, Term};
use super::{Backend, SolveError};

/// What Clarabel aims at, relative.
const TOLERANCE: f64 = 1e-9;
/// What an answer must prove, by its own residuals and duality gap, to be called optimal. Relative.
const OPTIMAL: f64 = 1e-7;

/// A solver's answer.
pub(crate) struct Answer {
    values: Vec<f64>,
    /// Marginal price of each row, at least 0, for rows written as `≤`.
    pub(crate) row_prices: Option<Vec<f64>>,
    pub(crate) objective: f64,
    pub(crate) optimal: bool,
    /// The solver's own word for how it ended.
    pub(crate) ending: String,
    /// The solver's own time; `None` where it does not tell.
    pub(crate) took: Option<Duration>,
}

impl Answer {
    pub(crate) fn value(&self, term: Term) -> f64 {
        term.offset + term.column.map_or(0.0, |column| self.values[column])
    }
}

/// A program in a solver's own form.
pub(crate) enum Model {
    /// Without columns there is nothing to decide, and some solvers refuse.
    Constant {
        cost: f64,
    },
    Clarabel(Box<Clarabel>),
    Microlp(Box<Microlp>),
    #[cfg(feature = "highs")]
    Highs(highs::Highs),
}

impl Model {
    pub(crate) fn new(lp: Lp, backend: Backend) -> Result<Self, SolveError> {
        if lp.handles.is_empty() {
            return Ok(Self::Constant {
                cost: lp.constant_cost,
            });
        }
        Ok(match backend {
            Backend::Clarabel => Self::Clarabel(Box::new(Clarabel::new(lp))),
            Backend::Microlp => Self::Microlp(Box::new(Microlp::new(lp))),
            #[cfg(feature = "highs")]
            Backend::Highs(method) => Self::Highs(highs::Highs::new(lp, method)?),
        })
    }

    pub(crate) fn run(self, time_limit: Option<Duration>) -> Result<Answer, SolveError> {
        match self {
            Self::Constant { cost } => Ok(Answer {
                values: Vec::new(),
                row_prices: None,
                objective: cost,
                optimal: true,
                ending: "nothing to decide".into(),
                took: Some(Duration::ZERO),
            }),
            Self::Clarabel(model) => model.run(time_limit),
            Self::Microlp(model) => model.run(time_limit),
            #[cfg(feature = "highs")]
            Self::Highs(model) => model.run(time_limit),
        }
    }
}

pub(crate) struct Clarabel {
    model: good_lp::solvers::clarabel::ClarabelProblem,
    bound_rows: usize,
    constant_cost: f64,
}

impl Clarabel {
    fn new(lp: Lp) -> Self {
        let cost = lp.cost();
        let mut model = lp.columns.minimise(cost).using(good_lp::clarabel);
        add_rows(&mut model, lp.rows);
        Self {
            model,
            bound_rows: lp.bound_rows,
            constant_cost: lp.constant_cost,
        }
    }

    fn run(mut self, time_limit: Option<Duration>) -> Result<Answer, SolveError> {
        let settings = self.model.settings();
        settings
            .verbose(false)
            .tol_feas(TOLERANCE)
            .tol_gap_abs(TOLERANCE)
            .tol_gap_rel(TOLERANCE);
        if let Some(limit) = time_limit {
            settings.time_limit(limit.as_secs_f64());
        }
        // good_lp hands out a solution of reduced accuracy as if it were a good one: it is judged by its figures.
        let solved = self.model.solve().map_err(|error| refused(&error))?;
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
            took: Some(Duration::from_secs_f64(found.solve_time.max(0.0))),
        })
    }
}

pub(crate) struct Microlp {
    model: good_lp::solvers::microlp::MicroLpProblem,
    handles: Vec<Variable>,
    costs: Vec<f64>,
    constant_cost: f64,
}

impl Microlp {
    fn new(lp: Lp) -> Self {
        let cost = lp.cost();
        let mut model = lp.columns.minimise(cost).using(good_lp::microlp);
        add_rows(&mut model, lp.rows);
        Self {
            model,
            handles: lp.handles,
            costs: lp.costs,
            constant_cost: lp.constant_cost,
        }
    }

    fn run(self, time_limit: Option<Duration>) -> Result<Answer, SolveError> {
        let mut model = self.model;
        if let Some(limit) = time_limit {
            model = model.with_time_limit(limit.as_secs_f64());
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
            took: None,
        })
    }
}

fn add_rows(model: &mut impl good_lp::SolverModel, rows: Vec<Constraint>) {
    for row in rows {
        model.add_constraint(row);
    }
}

fn refused(error: &good_lp::ResolutionError) -> SolveError {
    SolveError::Unsolved {
        ending: error.to_string(),
    }
}
