//! The solver that a control loop keeps.

use super::allocation::Allocation;
use super::answer::{Answer, OPTIMAL, Status};
use super::commitments::Commitments;
use super::layout::Layout;
use super::market::Market;
use super::problem::{Fleet, Problem};
use super::report;
use super::validate::{RegulateError, problem as check};

/// Solves one problem after the other for one fleet, with buffers that are made once.
///
/// After the first answers it allocates nothing: what a larger problem of the same fleet could need is reserved by
/// [`Regulator::set_fleet`], except where limits contradict each other.
#[derive(Debug, Clone, Default)]
pub struct Regulator {
    market: Option<Market>,
    commitments: Commitments,
    allocation: Allocation,
    flow: Vec<f64>,
}

impl Regulator {
    /// Without a fleet yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a fleet on: orders it in memory and reserves what its problems need.
    ///
    /// # Errors
    ///
    /// An index that points at nothing, a node that is its own ancestor. The fleet from before is kept then.
    pub fn set_fleet(&mut self, fleet: &Fleet) -> Result<(), RegulateError> {
        let market = Market::new(Layout::new(fleet)?);
        self.commitments = Commitments::new(&market);
        self.allocation = Allocation::new(&market);
        self.flow.reserve(market.layout.nodes());
        self.market = Some(market);
        Ok(())
    }

    /// Decides one instant. Asks `stop` every 0.2 ms or so; once it says yes, the best draws so far are made to keep
    /// every limit and given back as [`Status::Stopped`].
    ///
    /// Prices of the last solve are where this one starts.
    ///
    /// # Errors
    ///
    /// A problem without a meaning. `answer` is as before then.
    pub fn solve(
        &mut self,
        problem: &Problem,
        answer: &mut Answer,
        stop: &dyn Fn() -> bool,
    ) -> Result<Status, RegulateError> {
        let market = self.market.as_mut().ok_or(RegulateError::NoFleet)?;
        let layout = &market.layout;
        check(problem, layout.resources(), layout.nodes(), layout.groups)?;
        market.load(problem);
        let allocation = &mut self.allocation;
        let settled = if stop() {
            Err(super::market::Stopped)
        } else {
            let narrowest = narrowest(market);
            self.commitments
                .settle(market, &problem.ceiling_kw, narrowest, stop)
        };
        if settled.is_err() {
            allocation.take_plan(market);
            allocation.project(market);
            report::tell(market, problem, allocation, &mut self.flow, answer);
            report::quote(market, answer);
            answer.gap = f64::INFINITY;
            answer.status = Status::Stopped;
            return Ok(answer.status);
        }
        allocation.take_prices(market);
        // Where overloading is a choice, the draws at the prices found are the choice.
        if market.forest.levels == 0 {
            allocation.project(market);
        }
        report::tell(market, problem, allocation, &mut self.flow, answer);
        report::quote(market, answer);
        if stop() {
            // No time left to prove what was found.
            answer.gap = f64::INFINITY;
            answer.status = Status::Stopped;
            return Ok(answer.status);
        }
        answer.gap = (answer.objective - report::bound(market, problem)).max(0.0);
        let proven = answer.gap <= OPTIMAL * answer.objective.abs().max(1.0);
        answer.status = if proven {
            Status::Optimal
        } else {
            Status::Feasible
        };
        Ok(answer.status)
    }
}

/// The width of ramps that together cost a tenth of the tolerance at most, where numbers still tell so close prices
/// apart.
fn narrowest(market: &Market) -> f64 {
    let steps = &market.steps;
    let scale = steps
        .dearest
        .abs()
        .max(steps.cheapest.abs())
        .max(1e-3 * market.penalties.tracking);
    (0.1 * OPTIMAL / (1.0 + steps.room)).clamp(1e-12 * scale, 1e-9 * scale)
}
