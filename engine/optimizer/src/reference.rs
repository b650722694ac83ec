//! The reference solver: the linear program as written in the design, through good_lp.
//!
//! Readable and right rather than fast; the oracle for every other method behind the same [`Problem`] and [`Solution`].

mod coupling;
mod lp;
mod model;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::frame::Frame;
use crate::problem::Problem;
use crate::repair::{Draft, repair};
use crate::score::score;
use crate::solution::{Prices, ResourceSchedule, Solution, Status};
use crate::validate::{ProblemError, validate};

use coupling::Coupling;
use lp::{Answer, Lp};
use model::Block;

/// How to solve.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Which solver.
    pub backend: Backend,
    /// When to give up; `None` for never.
    pub time_limit: Option<Duration>,
}

/// The solvers that the reference can use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Backend {
    /// Interior point: the one to use.
    #[default]
    Clarabel,
    /// Simplex: slow on anything large, independent of the other, so a check on it. Gives no prices.
    Microlp,
}

/// Why there is no solution.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SolveError {
    /// The problem was refused.
    #[error(transparent)]
    Problem(#[from] ProblemError),
    /// The solver ended without a usable schedule: out of time, or stuck. [`crate::rules`] always has one.
    #[error("no usable solution: {ending}")]
    Unsolved {
        /// The solver's word for how it ended.
        ending: String,
    },
}

/// Solves a problem.
///
/// # Errors
///
/// [`SolveError::Problem`] if it has no meaning, [`SolveError::Unsolved`] if the solver came to no end that is at least
/// as good as [`crate::rules`].
pub fn solve(problem: &Problem, options: &Options) -> Result<Solution, SolveError> {
    validate(problem)?;
    let frame = Frame::new(problem);
    let raw = Raw::solve(&frame, options)?;
    let status = if raw.optimal {
        Status::Optimal
    } else {
        Status::Feasible
    };
    let mut schedule = repair(&frame, Draft::from_schedule(&raw.schedule));
    let outcome = score(&frame, &mut schedule);
    if status == Status::Feasible && outcome.objective > crate::rules::solve_frame(&frame).objective
    {
        return Err(SolveError::Unsolved { ending: raw.ending });
    }
    Ok(Solution {
        schedule,
        shortfalls: outcome.shortfalls,
        overloads: outcome.overloads,
        relaxed: frame.relaxations(),
        objective: outcome.objective,
        repair_cost: outcome.objective - raw.objective,
        status,
        prices: raw.prices,
    })
}

/// What the solver said, before any repair.
struct Raw {
    schedule: Vec<ResourceSchedule>,
    objective: f64,
    optimal: bool,
    ending: String,
    prices: Option<Prices>,
}

impl Raw {
    fn solve(frame: &Frame<'_>, options: &Options) -> Result<Self, SolveError> {
        let mut lp = Lp::default();
        let resources = 0..frame.problem.resources.len();
        let blocks: Vec<Block> = resources.map(|i| Block::new(frame, &mut lp, i)).collect();
        let coupling = Coupling::new(frame, &mut lp, &blocks);
        let answer = lp.solve(options.backend, options.time_limit)?;
        Ok(Self {
            schedule: blocks.iter().map(|block| read(block, &answer)).collect(),
            objective: answer.objective,
            optimal: answer.optimal,
            prices: coupling.prices(&answer, &frame.problem.intervals_h),
            ending: answer.ending,
        })
    }
}

fn read(block: &Block, answer: &Answer) -> ResourceSchedule {
    let values = |terms: &[lp::Term]| terms.iter().map(|&term| answer.value(term)).collect();
    ResourceSchedule {
        charge_kw: values(&block.charge),
        discharge_kw: values(&block.discharge),
        up_kw: values(&block.up),
        down_kw: values(&block.down),
        unmet_kwh: vec![0.0; block.charge.len()],
    }
}
