//! HiGHS: its options spelled out, its status read.

use std::time::Duration;

use highs::{HighsModelStatus, HighsSolutionStatus};

use super::{Answer, add_rows, refused};
use crate::reference::lp::Lp;
use crate::reference::{HighsMethod, SolveError};

pub(crate) struct Highs {
    model: highs::Model,
    constant_cost: f64,
}

impl Highs {
    pub(super) fn new(lp: Lp, method: HighsMethod) -> Result<Self, SolveError> {
        let cost = lp.cost();
        let mut model = lp.columns.minimise(cost).using(good_lp::highs);
        add_rows(&mut model, lp.rows);
        let mut model = model.try_into_inner().map_err(|error| refused(&error))?;
        model.make_quiet();
        let (solver, crossover) = match method {
            HighsMethod::Simplex => ("simplex", "on"),
            HighsMethod::InteriorPoint => ("ipx", "off"),
            HighsMethod::InteriorPointCrossover => ("ipx", "on"),
        };
        // Tolerances and presolve are HiGHS's defaults, spelled out so that a comparison says what it compares with.
        // No method here runs on more than one thread unless told to, and HiGHS's own choice of threads is its best.
        for (option, value) in [
            ("solver", solver),
            ("run_crossover", crossover),
            ("presolve", "on"),
            ("parallel", "choose"),
        ] {
            model.set_option(option, value);
        }
        model.set_option("threads", 0);
        for (option, value) in [
            ("primal_feasibility_tolerance", 1e-7),
            ("dual_feasibility_tolerance", 1e-7),
            ("ipm_optimality_tolerance", 1e-8),
        ] {
            model.set_option(option, value);
        }
        Ok(Self {
            model,
            constant_cost: lp.constant_cost,
        })
    }

    pub(super) fn run(mut self, time_limit: Option<Duration>) -> Result<Answer, SolveError> {
        if let Some(limit) = time_limit {
            self.model.set_option("time_limit", limit.as_secs_f64());
        }
        let unsolved = |ending: String| SolveError::Unsolved { ending };
        let solved = self
            .model
            .try_solve()
            .map_err(|status| unsolved(format!("{status:?}")))?;
        let status = solved.status();
        let ending = format!("{status:?}");
        if solved.primal_solution_status() != HighsSolutionStatus::Feasible {
            return Err(unsolved(ending));
        }
        let solution = solved.get_solution();
        // One more kW at a `≤` row lowers the cost: HiGHS counts that negative.
        let prices = solution.dual_rows().iter().map(|dual| (-dual).max(0.0));
        Ok(Answer {
            row_prices: Some(prices.collect()),
            objective: solved.objective_value() + self.constant_cost,
            values: solution.columns().to_vec(),
            optimal: status == HighsModelStatus::Optimal,
            ending,
            took: None,
        })
    }
}
