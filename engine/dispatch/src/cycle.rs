//! The control cycle: read the whole state, decide afresh, release what the guard lets pass.
//!
//! ```text
//! CycleStarted ─► age state, turn events, account ─► Problem ─► Solve ───► Solved ──────────► allocation ─► guard ─► commands
//!                                                                 └──► SolveBudgetSpent ──► hold, or rules ──┘
//! ```

use vpp_core::{Decision, Reason, RegulationAward, Timestamp};
use vpp_optimizer::Status;

use crate::baseline::Baseline;
use crate::engine::Engine;
use crate::input::{Fact, Output, SolveRequest, Solved};
use crate::issue::Issued;
use crate::plan::PendingSolve;
use crate::report::Released;
use crate::state::StationState;

impl Engine {
    /// A cycle begins.
    pub(crate) fn start_cycle(&mut self, now: Timestamp, outputs: &mut Vec<Output>) {
        self.cycle += 1;
        let before = self.cycle_started_at.replace(now);
        self.pending = None;
        self.miss_acknowledgements(now);
        self.expire_regulation(now, outputs);
        self.account_until(now);
        self.see_unplanned(now);
        self.turn_invitations(now, outputs);
        self.turn_events(now, outputs);
        self.foresee_scheduled(now, outputs);
        self.engage(now, outputs);
        self.settle_promises(now, before, outputs);
        self.settle_visits(now, before, outputs);
        self.keep_usual(now, before, outputs);
        if !self.states.iter().any(StationState::is_managed) {
            self.plan = None;
            self.unsolved_cycles = 0;
            self.close_cycle(now, Released::default(), outputs);
            return;
        }
        self.know_all();
        let pending = self.build_problem(now);
        outputs.push(Output::Solve(Box::new(SolveRequest {
            cycle: self.cycle,
            problem: pending.problem.clone(),
            budget: self.config.solve_until(),
        })));
        self.pending = Some(pending);
    }

    /// The optimizer is done. What comes for a cycle that is over is ignored and counted.
    pub(crate) fn take_solution(
        &mut self,
        now: Timestamp,
        solved: Solved,
        outputs: &mut Vec<Output>,
    ) {
        if solved.cycle != self.cycle || self.pending.is_none() {
            self.late_solutions += 1;
            return;
        }
        let Some(pending) = self.pending.take() else {
            return;
        };
        let Ok(solution) = solved.result else {
            self.do_without(now, &pending, solved.solve_time, outputs);
            return;
        };
        self.unsolved_cycles = 0;
        let decision = match solution.status {
            Status::Optimal => Decision::Optimal,
            Status::Feasible | Status::Stalled => Decision::Incumbent,
            Status::Rules => Decision::Fallback,
        };
        self.apply(now, &pending, &solution, decision);
        self.release(now, decision, solved.solve_time, outputs);
    }

    /// The optimizer's budget is over: an allocation goes out all the same.
    pub(crate) fn go_without(&mut self, now: Timestamp, cycle: u64, outputs: &mut Vec<Output>) {
        if cycle != self.cycle {
            return;
        }
        let Some(pending) = self.pending.take() else {
            return;
        };
        let spent = self
            .cycle_started_at
            .map_or(self.config.solve_budget, |at| now - at);
        self.do_without(now, &pending, spent, outputs);
    }

    /// Keeps the last allocation while it serves the same programmes and is young; shares out by rule otherwise.
    fn do_without(
        &mut self,
        now: Timestamp,
        pending: &PendingSolve,
        solve_time: chrono::TimeDelta,
        outputs: &mut Vec<Output>,
    ) {
        self.unsolved_cycles += 1;
        let serves = self
            .plan
            .as_ref()
            .is_some_and(|plan| plan.programmes == pending.programmes);
        let holds = serves && self.unsolved_cycles <= self.config.hold_cycles;
        let decision = if holds {
            Decision::Hold
        } else {
            let solution = vpp_optimizer::rules(&pending.problem);
            let solution = solution.expect("problems built from checked registrations are valid");
            self.apply(now, pending, &solution, Decision::Fallback);
            Decision::Fallback
        };
        if let Some(plan) = &mut self.plan {
            plan.decision = decision;
        }
        self.release(now, decision, solve_time, outputs);
    }

    /// Sends what changed, and lets go what no programme uses any longer.
    fn release(
        &mut self,
        now: Timestamp,
        decision: Decision,
        solve_time: chrono::TimeDelta,
        outputs: &mut Vec<Output>,
    ) {
        self.steer(now, false);
        let mut releasing = std::mem::take(&mut self.releasing);
        let callable = |station: &usize| self.states[*station].is_callable(now, &self.config);
        let wanted = (0..self.states.len())
            .filter(callable)
            .filter_map(|station| Some((station, self.wanted(station)?)));
        releasing.want(wanted);
        let reason = if self.open_events().next().is_some() {
            Reason::Event
        } else if self.regulation.is_some() {
            Reason::Regulation
        } else {
            Reason::Orderly
        };
        let issued = self.release_wanted(now, releasing, decision, reason, outputs);
        let released = Released {
            decision: Some(decision),
            solve_time,
            command_count: issued.commands,
            guarded_count: issued.guarded,
            exposed_node_count: self.releasing.exposed_nodes,
        };
        self.close_cycle(now, released, outputs);
    }

    fn close_cycle(&mut self, now: Timestamp, mut released: Released, outputs: &mut Vec<Output>) {
        let let_go = self.let_go(now, outputs);
        released.command_count += let_go.commands;
        released.guarded_count += let_go.guarded;
        let started_at = self.cycle_started_at.unwrap_or(now);
        let report = self.report(now, started_at, released);
        outputs.push(Output::Cycle(Box::new(report)));
    }

    /// Brings stations that no programme uses any longer back to their default at once, rather than when their command
    /// expires.
    fn let_go(&mut self, now: Timestamp, outputs: &mut Vec<Output>) -> Issued {
        let mut releasing = std::mem::take(&mut self.releasing);
        let default = |station: usize| self.fleet.stations()[station].default_setpoint;
        let wanted = (0..self.states.len())
            .filter(|&station| {
                let state = &self.states[station];
                !state.is_managed()
                    && state.is_callable(now, &self.config)
                    && state
                        .ordered()
                        .is_some_and(|c| c.setpoint != default(station))
            })
            .map(|station| (station, default(station)));
        releasing.want(wanted);
        self.release_wanted(now, releasing, Decision::Optimal, Reason::Release, outputs)
    }

    /// Marks the stations that a programme uses now, and freezes the baseline of those that an event begins to use, or
    /// regulation. One that has never reported has none yet.
    fn engage(&mut self, now: Timestamp, outputs: &mut Vec<Output>) {
        let mut changed = false;
        let used = self.used_stations(now);
        let spans = self.baseline_spans(now);
        for (station, (used, span)) in used.into_iter().zip(spans).enumerate() {
            let orderly = self.is_orderly(now, station);
            let reports = self.states[station].sampled_at.is_some();
            let baseline = match span {
                Some(span) => self.baseline_for(now, station, span),
                None if used && self.states[station].baseline.is_none() => {
                    Some(Baseline::flat(now, self.load_before(station), false))
                }
                None => None,
            };
            let state = &mut self.states[station];
            state.orderly = orderly && reports;
            if span.is_some() {
                state.usual.use_on(&self.config.calendar, now);
            } else if let Some(baseline) = state.baseline.as_mut().filter(|b| b.in_event) {
                // Regulation goes on.
                baseline.in_event = false;
                changed = true;
            }
            if let Some(baseline) = baseline.filter(|_| used && reports) {
                state.baseline = Some(baseline);
                changed = true;
            } else if !used {
                changed |= state.baseline.take().is_some();
                if !state.orderly {
                    state.schedule = None;
                }
                state.held = RegulationAward::default();
            }
        }
        if changed {
            // After a restart in the middle of an event its effect could not be told from the load before it.
            let states = self.fleet.stations().iter().zip(&self.states);
            let frozen =
                states.filter_map(|(s, state)| Some((s.id.clone(), state.baseline.clone()?)));
            outputs.push(Output::Record(Box::new(Fact::Baselines(frozen.collect()))));
        }
    }
}
