//! The reference solver: the linear program as written in the design, through good_lp.
//!
//! Readable and right rather than fast; the oracle for every other method behind the same [`Problem`] and [`Solution`].

mod coupling;
pub(crate) mod lp;
mod model;
mod mps;
pub(crate) mod solvers;
#[cfg(test)]
mod tests;

use std::time::Duration;

use crate::finish::{Way, finish, hold_directions, lost_much};
use crate::frame::Frame;
use crate::problem::Problem;
use crate::rules::solve_frame;
use crate::solution::{Prices, ResourceSchedule, Solution, Status};
use crate::validate::{ProblemError, validate};

use coupling::Coupling;
use lp::Lp;
use model::Block;
use solvers::{Answer, Model};

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
    /// HiGHS, in C++: the general solver to compare with.
    ///
    /// Only with the cargo feature `highs`, which builds it: on Debian, `apt-get install cmake clang libclang-dev`, and
    /// some minutes.
    #[cfg(feature = "highs")]
    Highs(HighsMethod),
}

/// The methods of HiGHS. Its newer interior point method, HiPO, is not among them: it needs a BLAS library, which the
/// build would fetch and compile as well.
#[cfg(feature = "highs")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HighsMethod {
    /// Dual simplex.
    Simplex,
    /// The interior point method IPX, ended where it has converged.
    InteriorPoint,
    /// The same, followed by crossover to a vertex: HiGHS's own default for it.
    InteriorPointCrossover,
}

/// Why there is no solution.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SolveError {
    /// The problem was refused.
    #[error(transparent)]
    Problem(#[from] ProblemError),
    /// The solver ended without a usable schedule: out of time, or stuck. [`crate::rules()`] always has one.
    #[error("no usable solution: {ending}")]
    Unsolved {
        /// The solver's word for how it ended.
        ending: String,
    },
}

/// Solves a problem.
///
/// A plan that charges and discharges at once (a subsidy or a negative price can make that pay, and burning energy can
/// make room under a limit) cannot be carried out. It is netted; where that costs anything, the program is solved
/// twice more with each such resource and interval held to one direction, and the best counts.
///
/// # Errors
///
/// [`SolveError::Problem`] if it has no meaning, [`SolveError::Unsolved`] if the solver came to no end that is at least
/// as good as [`crate::rules()`].
pub fn solve(problem: &Problem, options: &Options) -> Result<Solution, SolveError> {
    validate(problem)?;
    let frame = Frame::new(problem);
    let raw = Raw::solve(&frame, options)?;
    let bound = raw.objective;
    let ending = raw.ending.clone();
    let mut best = raw.finish(&frame, bound);
    let mut spent = raw.took;
    for way in Way::ALL {
        let left = options.time_limit.map(|limit| limit.saturating_sub(spent));
        if !lost_much(best.objective, bound) || left.is_some_and(|left| left.is_zero()) {
            break;
        }
        let options = Options {
            time_limit: left,
            ..options.clone()
        };
        // The program may have no solution where a held direction meets a ramp; then the first stands.
        let held = hold_directions(&frame, &raw.schedule, way);
        let Some(Ok(other)) = held.map(|one_way| Raw::solve(&one_way, &options)) else {
            continue;
        };
        spent += other.took;
        let other = other.finish(&frame, bound);
        if other.objective < best.objective {
            // Prices stay those of the program that was asked for.
            best = Solution {
                prices: best.prices,
                status: best.status,
                ..other
            };
        }
    }
    if best.status == Status::Feasible && best.objective > solve_frame(&frame).objective {
        return Err(SolveError::Unsolved { ending });
    }
    Ok(best)
}

/// The program of a problem in the solver's own form, not yet solved: for those who measure the solver and not the
/// making of its input. Others call [`solve`].
pub struct Program {
    blocks: Vec<Block>,
    coupling: Coupling,
    model: Model,
    intervals_h: Vec<f64>,
}

/// What a solver claims of a [`Program`], before any repair.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// CNY.
    pub objective: f64,
    /// Whether it holds this for the optimum; else it stopped early.
    pub optimal: bool,
    /// The solver's own word for how it ended.
    pub ending: String,
    /// The solver's own time; `None` where it does not tell.
    pub took: Option<Duration>,
}

impl Program {
    /// Writes the program down for a solver.
    ///
    /// # Errors
    ///
    /// [`SolveError::Problem`] if the problem has no meaning, [`SolveError::Unsolved`] if the solver refuses the program.
    pub fn new(problem: &Problem, backend: Backend) -> Result<Self, SolveError> {
        validate(problem)?;
        Self::of_frame(&Frame::new(problem), backend)
    }

    fn of_frame(frame: &Frame<'_>, backend: Backend) -> Result<Self, SolveError> {
        let (lp, blocks, coupling) = write_down(frame);
        Ok(Self {
            blocks,
            coupling,
            model: Model::new(lp, backend)?,
            intervals_h: frame.problem.intervals_h.clone(),
        })
    }

    /// Solves it; does nothing else of size.
    ///
    /// # Errors
    ///
    /// [`SolveError::Unsolved`] if the solver came to no end that has a schedule.
    pub fn run(self, time_limit: Option<Duration>) -> Result<Claim, SolveError> {
        let answer = self.model.run(time_limit)?;
        Ok(Claim {
            objective: answer.objective,
            optimal: answer.optimal,
            ending: answer.ending,
            took: answer.took,
        })
    }

    fn solve(self, time_limit: Option<Duration>) -> Result<Raw, SolveError> {
        let answer = self.model.run(time_limit)?;
        Ok(Raw {
            schedule: self
                .blocks
                .iter()
                .map(|block| read(block, &answer))
                .collect(),
            objective: answer.objective,
            optimal: answer.optimal,
            prices: self.coupling.prices(&answer, &self.intervals_h),
            took: answer.took.unwrap_or_default(),
            ending: answer.ending,
        })
    }
}

/// The program as text in free MPS format, for any other solver. Its optimum is that of [`solve`] before repair.
///
/// Columns are `C0`, `C1`, … and rows `R0`, `R1`, …, in the order of the resources, then of requirements and nodes; the
/// costs are the row `COST`, to be minimised, with the constant part of the cost (negated, as MPS has it) as its right
/// hand side.
///
/// # Errors
///
/// [`ProblemError`] if the problem has no meaning.
pub fn mps(problem: &Problem) -> Result<String, ProblemError> {
    validate(problem)?;
    let (lp, ..) = write_down(&Frame::new(problem));
    Ok(mps::text(&lp))
}

fn write_down(frame: &Frame<'_>) -> (Lp, Vec<Block>, Coupling) {
    let mut lp = Lp::default();
    let resources = 0..frame.problem.resources.len();
    let blocks: Vec<Block> = resources.map(|i| Block::new(frame, &mut lp, i)).collect();
    let coupling = Coupling::new(frame, &mut lp, &blocks);
    (lp, blocks, coupling)
}

/// What the solver said, before any repair.
struct Raw {
    schedule: Vec<ResourceSchedule>,
    objective: f64,
    optimal: bool,
    ending: String,
    took: Duration,
    prices: Option<Prices>,
}

impl Raw {
    /// Repaired and scored. `bound` is the objective that the solver claims for the program as asked.
    fn finish(&self, frame: &Frame<'_>, bound: f64) -> Solution {
        let status = if self.optimal {
            Status::Optimal
        } else {
            Status::Feasible
        };
        finish(frame, &self.schedule, self.prices.clone(), status, bound)
    }

    fn solve(frame: &Frame<'_>, options: &Options) -> Result<Self, SolveError> {
        Program::of_frame(frame, options.backend)?.solve(options.time_limit)
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
