//! The dispatch engine, its aggregators and their stations on a virtual clock: the same state machine and the same agents
//! that run live, without threads, network or waiting.
//!
//! Time moves in steps of one second, or of any length ([`Plant::advance_by`]). In each, the stations live, then they report
//! (every telemetry period), then a control cycle runs where one is due, then whoever drives the plant acts for the grid. A
//! command is taken and answered in the instant in which it is sent, and the optimizer takes no time at all; delays are the
//! stations' own. Two runs of the same plant are the same, on however many threads.

pub mod faults;
pub mod folder;
pub mod market_day;
pub mod record;
pub mod run;

use std::collections::{BTreeMap, VecDeque};

use chrono::TimeDelta;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use vpp_aggregator::{Operator, Sites};
use vpp_core::{
    AggregatorId, Command, Fault, Fleet, Invalid, RegulationSignal, RequestId, Telemetry, Timestamp,
};
use vpp_dispatch::{
    Achieved, Answer, Config, CycleReport, Engine, Input, Output, PricePoint, Request, Solved,
    Subsidy,
};
use vpp_optimizer::{Problem, Solution};

use faults::{FaultCounts, Faults, Switches};

/// One step of time.
pub const STEP: TimeDelta = TimeDelta::seconds(1);

/// The engine with its aggregators.
///
/// Between two steps it can be saved, while [`Engine::can_be_saved`] ([`Plant::resume`]).
#[derive(Debug, Deserialize, Serialize)]
#[serde(bound(serialize = "S: Serialize", deserialize = "S: Deserialize<'de>"))]
pub struct Plant<S> {
    engine: Engine,
    operators: Vec<Operator<S>>,
    routes: BTreeMap<AggregatorId, usize>,
    now: Timestamp,
    next_report: Timestamp,
    next_cycle: Timestamp,
    next_request: u64,
    last_solved: Option<(Problem, Solution)>,
    counts: Counts,
    before_cycle: Counts,
    faults: Option<Faults>,
    #[serde(skip)]
    switches: Option<Switches<S>>,
    /// Room for what a step leads to.
    #[serde(skip)]
    outputs: Vec<Output>,
}

/// What has happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Counts {
    /// Control cycles.
    pub cycles: u64,
    /// Commands sent.
    pub commands: u64,
    /// Those that an aggregator answered.
    pub acknowledgements: u64,
    /// Reports and answers that the engine refused.
    pub refused_inputs: u64,
    /// Limits that measured power broke, over all cycles.
    pub limit_violations: u64,
    /// Times that the regulation signal broke off.
    pub lost_signals: u64,
}

/// What one step of the engine led to besides commands.
#[derive(Default)]
struct Stepped {
    answer: Option<Result<Answer, Invalid>>,
    achieved: Option<Achieved>,
    rejected: Option<Invalid>,
    report: Option<CycleReport>,
}

impl<S: Sites> Plant<S> {
    /// A plant at its start: the fleet registered, nothing reported yet. Each aggregator of the fleet has its operator.
    ///
    /// # Errors
    /// What the engine refuses: its configuration, or the fleet.
    ///
    /// # Panics
    /// When an operator's aggregator is there twice.
    pub fn new(
        config: Config,
        fleet: &Fleet,
        operators: Vec<Operator<S>>,
        prices: Vec<PricePoint>,
        start: Timestamp,
    ) -> Result<Plant<S>, Invalid> {
        let mut routes = BTreeMap::new();
        for (at, operator) in operators.iter().enumerate() {
            let id = operator.aggregator().clone();
            assert!(
                routes.insert(id, at).is_none(),
                "an aggregator is there twice"
            );
        }
        let cycle = config.cycle;
        let mut plant = Plant {
            engine: Engine::new(config, 1)?,
            operators,
            routes,
            now: start,
            next_report: start,
            next_cycle: start + cycle,
            next_request: 0,
            last_solved: None,
            counts: Counts::default(),
            before_cycle: Counts::default(),
            faults: None,
            switches: None,
            outputs: Vec::new(),
        };
        for aggregator in fleet.aggregators() {
            plant.request(Request::RegisterAggregator(aggregator.clone()))?;
        }
        plant.request(Request::RegisterNodes(fleet.tree().nodes().to_vec()))?;
        plant.request(Request::RegisterStations(fleet.stations().to_vec()))?;
        plant.step(Input::Prices(prices));
        Ok(plant)
    }

    /// Goes on where another one of the same fleet and faults was saved; `sites` lets the stations' side do so.
    pub fn resume(&mut self, saved: Plant<S>, sites: impl Fn(&mut S, S)) {
        let fresh = std::mem::replace(self, saved);
        let saved = std::mem::replace(&mut self.engine, fresh.engine);
        self.engine.resume(saved);
        let saved = std::mem::replace(&mut self.operators, fresh.operators);
        for (operator, saved) in self.operators.iter_mut().zip(saved) {
            operator.resume(saved, &sites);
        }
        self.switches = fresh.switches;
    }

    /// Up to when it has lived.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The engine, to ask it what changes nothing.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The aggregators, in the order given.
    #[must_use]
    pub fn operators(&self) -> &[Operator<S>] {
        &self.operators
    }

    /// The aggregators, to bring faults into their stations.
    pub fn operators_mut(&mut self) -> &mut [Operator<S>] {
        &mut self.operators
    }

    /// What the optimizer was asked last, and what it found: without the repair, its cost is the optimum.
    #[must_use]
    pub fn last_solved(&self) -> Option<&(Problem, Solution)> {
        self.last_solved.as_ref()
    }

    /// What has happened since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The same, when the last control cycle began.
    #[must_use]
    pub fn counts_before_cycle(&self) -> Counts {
        self.before_cycle
    }

    /// Lets this go wrong from now on, and nothing else.
    pub fn set_faults(&mut self, faults: Vec<Fault>, switches: Switches<S>) {
        self.faults = (!faults.is_empty()).then(|| Faults::new(faults));
        self.switches = Some(switches);
    }

    /// What the faults did to messages.
    #[must_use]
    pub fn fault_counts(&self) -> FaultCounts {
        self.faults
            .as_ref()
            .map_or_else(FaultCounts::default, Faults::counts)
    }

    /// A step of one second. The report of the control cycle, if one ran.
    pub fn advance(&mut self) -> Option<CycleReport> {
        self.advance_by(STEP)
    }

    /// A step of time, not negative, in which nobody acts. The report of the control cycle, if one ran: at most one does, at the
    /// end.
    pub fn advance_by(&mut self, step: TimeDelta) -> Option<CycleReport> {
        self.now += step;
        let now = self.now;
        if let (Some(faults), Some(switches)) = (&mut self.faults, self.switches) {
            faults.turn(now, &mut self.operators, switches);
        }
        // Before a cycle, which commands most stations anyhow, only the others are set, and after it.
        let is_cycle = now >= self.next_cycle;
        let operators = self.operators.par_iter_mut();
        operators.for_each(|operator| match is_cycle {
            true => operator.advance(now),
            false => operator.control(now),
        });
        self.pass_what_was_held();
        if now >= self.next_report {
            self.next_report = now + self.engine.config().telemetry_period;
            self.report();
        }
        if !is_cycle {
            return None;
        }
        self.before_cycle = self.counts;
        self.next_cycle += self.engine.config().cycle;
        let report = self.step(Input::CycleStarted).report;
        let operators = self.operators.par_iter_mut();
        operators.for_each(|operator| operator.control_others(now));
        self.counts.cycles += 1;
        if let Some(report) = &report {
            self.counts.limit_violations += report.limit_violation_count as u64;
        }
        report
    }

    /// The first report and the first control cycle, at the start: the stations are steered from there on. Without it, both come
    /// with the first step.
    pub fn begin(&mut self) -> Option<CycleReport> {
        self.next_cycle = self.now;
        self.advance_by(TimeDelta::zero())
    }

    /// Lets who came since the last cycle and cannot wait for the next one charge.
    pub fn serve_newcomers(&mut self) {
        self.step(Input::Interim);
    }

    /// Lets all stations that moved report, whenever the next report is due.
    pub fn report(&mut self) {
        let now = self.now;
        let operators = self.operators.par_iter_mut();
        let reports: Vec<Vec<Telemetry>> =
            operators.map(|operator| operator.telemetry(now)).collect();
        for (at, reports) in reports.into_iter().enumerate() {
            for telemetry in reports {
                let arrived = match &mut self.faults {
                    Some(faults) => faults.report(now, self.operators[at].aggregator(), telemetry),
                    None => Some(telemetry),
                };
                if let Some(telemetry) = arrived {
                    self.step(Input::Telemetry(telemetry));
                }
            }
        }
    }

    /// What faults held up until now comes: reports, and commands that were sent meanwhile.
    fn pass_what_was_held(&mut self) {
        let now = self.now;
        let Some(faults) = &mut self.faults else {
            return;
        };
        let (commands, reports) = (faults.due_commands(now), faults.due_reports(now));
        for telemetry in reports {
            self.step(Input::Telemetry(telemetry));
        }
        for answer in self.hand_over(commands) {
            self.step(answer);
        }
    }

    /// Tells the engine prices, which replace those of the same intervals.
    pub fn price(&mut self, prices: Vec<PricePoint>) {
        self.step(Input::Prices(prices));
    }

    /// Tells the engine what is paid for energy fed in; it replaces what was paid before.
    pub fn subsidise(&mut self, subsidy: Option<Subsidy>) {
        self.step(Input::Subsidy(subsidy));
    }

    /// Asks the engine for a change.
    ///
    /// # Errors
    /// Why it refuses.
    pub fn request(&mut self, request: Request) -> Result<Answer, Invalid> {
        self.next_request += 1;
        let input = Input::Request {
            id: RequestId::new(format!("replay-{}", self.next_request))?,
            validate_only: false,
            request,
        };
        let stepped = self.step(input);
        stepped
            .answer
            .unwrap_or_else(|| Err(Invalid::state("request", "was not answered")))
    }

    /// Sends a value of the regulation signal.
    ///
    /// # Errors
    /// Why the engine refuses it.
    pub fn signal(&mut self, sequence: u64, value: f64) -> Result<Achieved, Invalid> {
        let stepped = self.step(Input::Signal(RegulationSignal {
            sequence,
            signal_time: self.now,
            value,
        }));
        let refused = || Invalid::state("signal", "was not followed");
        let rejected = stepped.rejected;
        stepped
            .achieved
            .ok_or_else(|| rejected.unwrap_or_else(refused))
    }

    /// Ends regulation.
    pub fn stop_regulation(&mut self) {
        self.step(Input::RegulationStopped);
    }

    /// Steps the engine, and with what follows from it until nothing more does.
    fn step(&mut self, input: Input) -> Stepped {
        let mut stepped = Stepped::default();
        let mut inputs = VecDeque::new();
        let mut first = true;
        let mut commands = Vec::new();
        let mut outputs = std::mem::take(&mut self.outputs);
        let mut next = Some(input);
        while let Some(input) = next {
            self.engine.step_into(self.now, input, &mut outputs);
            for output in outputs.drain(..) {
                match output {
                    Output::Command(command) => commands.push(command),
                    Output::Solve(request) => {
                        let cycle = request.cycle;
                        let result = self.solve(request.problem);
                        inputs.push_back(Input::Solved(Solved {
                            cycle,
                            result,
                            solve_time: TimeDelta::zero(),
                        }));
                    }
                    Output::Cycle(report) => stepped.report = Some(*report),
                    Output::Regulated(achieved) => stepped.achieved = Some(achieved),
                    Output::Answer(answer) => stepped.answer = Some(*answer),
                    Output::Rejected(invalid) => {
                        self.counts.refused_inputs += 1;
                        if first {
                            stepped.rejected = Some(invalid);
                        }
                    }
                    Output::SignalLost { .. } => self.counts.lost_signals += 1,
                    Output::Record(_) | Output::EventChanged(_) => {}
                }
            }
            first = false;
            if !commands.is_empty() {
                inputs.extend(self.deliver(std::mem::take(&mut commands)));
            }
            next = inputs.pop_front();
        }
        self.outputs = outputs;
        stepped
    }

    /// Commands to those whom they are for; the answers, in the order of the commands.
    fn deliver(&mut self, mut commands: Vec<Command>) -> Vec<Input> {
        self.counts.commands += commands.len() as u64;
        if let Some(faults) = &mut self.faults {
            commands.retain(|command| !faults.holds(command));
        }
        self.hand_over(commands)
    }

    fn hand_over(&mut self, commands: Vec<Command>) -> Vec<Input> {
        if commands.is_empty() {
            return Vec::new();
        }
        let mut sacks = vec![(Vec::new(), Vec::new()); self.operators.len()];
        let count = commands.len();
        for (at, command) in commands.into_iter().enumerate() {
            if let Some(&operator) = self.routes.get(&command.aggregator) {
                sacks[operator].0.push(at);
                sacks[operator].1.push(command);
            }
        }
        let now = self.now;
        let pairs = self.operators.par_iter_mut().zip(sacks);
        let answered = pairs.map(|(operator, (places, commands))| {
            let answers = operator.receive_all(now, &commands);
            places.into_iter().zip(answers).collect::<Vec<_>>()
        });
        let answered: Vec<_> = answered.collect();
        let mut answers = vec![None; count];
        for (at, answer) in answered.into_iter().flatten() {
            answers[at] = answer;
        }
        let answers = answers.into_iter().flatten();
        let inputs: Vec<Input> = answers.map(Input::Acknowledgement).collect();
        self.counts.acknowledgements += inputs.len() as u64;
        inputs
    }

    fn solve(&mut self, problem: Problem) -> Result<Solution, String> {
        let last = self.last_solved.as_ref();
        let fits = last.filter(|(last, _)| {
            last.resources.len() == problem.resources.len() && last.horizon() == problem.horizon()
        });
        let warm_start = fits.map(|(_, solution)| solution.schedule.as_slice());
        let solution = vpp_optimizer::solve(&problem, warm_start, &|| false)
            .map_err(|error| error.to_string())?;
        self.last_solved = Some((problem, solution.clone()));
        Ok(solution)
    }
}
