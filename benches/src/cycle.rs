//! The control cycle without any transport: the engine, the optimizer and the simulated stations in one thread.

use std::time::Instant;

use anyhow::Context as _;
use chrono::TimeDelta;
use serde_json::json;
use vpp_aggregator::Operator;
use vpp_core::{EventRequest, Interval, Power, Programme, RequestId, Scope, Timestamp};
use vpp_dispatch::{Config, Engine, Input, Output, Request, Solved};
use vpp_scenarios::Scenario;
use vpp_scenarios::world::World;

use crate::support::{self, round};

pub(crate) fn measure(cycles: usize) -> anyhow::Result<Vec<serde_json::Value>> {
    [400, 1_080]
        .into_iter()
        .map(|stations| case(stations, cycles))
        .collect()
}

struct Plant {
    engine: Engine,
    operators: Vec<Operator<World>>,
    now: Timestamp,
}

impl Plant {
    fn new(scenario: &Scenario, horizon: Vec<TimeDelta>) -> anyhow::Result<Plant> {
        let config = Config {
            telemetry_period: TimeDelta::seconds(4),
            horizon,
            ..Config::default()
        };
        let mut plant = Plant {
            engine: Engine::new(config, 1)?,
            operators: Vec::new(),
            now: scenario.start(),
        };
        let fleet = scenario.fleet()?;
        for aggregator in fleet.aggregators() {
            plant
                .operators
                .push(World::operated(scenario, &aggregator.id)?);
            plant.ask(
                aggregator.id.as_str(),
                Request::RegisterAggregator(aggregator.clone()),
            )?;
        }
        plant.ask(
            "nodes",
            Request::RegisterNodes(fleet.tree().nodes().to_vec()),
        )?;
        plant.ask(
            "stations",
            Request::RegisterStations(fleet.stations().to_vec()),
        )?;
        Ok(plant)
    }

    fn ask(&mut self, id: &str, request: Request) -> anyhow::Result<()> {
        let input = Input::Request {
            id: RequestId::new(id)?,
            validate_only: false,
            request,
        };
        let outputs = self.engine.step(self.now, input);
        let mut answers = outputs.into_iter().filter_map(|output| match output {
            Output::Answer(answer) => Some(*answer),
            _ => None,
        });
        answers.next().context("no answer")??;
        Ok(())
    }

    /// Four seconds of the stations, then their reports.
    fn live(&mut self) {
        for _ in 0..4 {
            self.now += TimeDelta::seconds(1);
            for operator in &mut self.operators {
                operator.control(self.now);
            }
        }
        for operator in &mut self.operators {
            for telemetry in operator.telemetry(self.now) {
                self.engine.step(self.now, Input::Telemetry(telemetry));
            }
        }
    }

    /// A few cycles, then an event for half of what is callable.
    fn settle_and_call(&mut self) -> anyhow::Result<()> {
        for _ in 0..5 {
            self.live();
            self.cycle();
        }
        let interval = Interval::new(self.now, self.now + TimeDelta::hours(3))?;
        let capability = self
            .engine
            .capability(self.now, &Scope::All, interval.length())?;
        let reduction = Power::round_kilowatts(capability.up.callable.as_kilowatts() * 0.5);
        let programme = Programme::DemandResponse { reduction };
        let event = EventRequest {
            programme,
            interval,
            scope: Scope::All,
        };
        self.ask("event", Request::SubmitEvent(event))
    }

    /// One cycle: milliseconds from state in to commands ready, and the optimizer's part of them.
    fn cycle(&mut self) -> (f64, f64) {
        let started = Instant::now();
        let mut outputs = self.engine.step(self.now, Input::CycleStarted);
        let mut solve_ms = 0.0;
        let solve = outputs
            .iter()
            .position(|output| matches!(output, Output::Solve(_)));
        if let Some(Output::Solve(request)) = solve.map(|position| outputs.swap_remove(position)) {
            let begun = Instant::now();
            let result = vpp_optimizer::solve(&request.problem, None, &|| false);
            solve_ms = begun.elapsed().as_secs_f64() * 1e3;
            let solved = Solved {
                cycle: request.cycle,
                result: result.map_err(|error| error.to_string()),
                solve_time: TimeDelta::zero(),
            };
            outputs = self.engine.step(self.now, Input::Solved(solved));
        }
        let cycle_ms = started.elapsed().as_secs_f64() * 1e3;
        for output in outputs {
            let Output::Command(command) = output else {
                continue;
            };
            let theirs = self
                .operators
                .iter_mut()
                .find(|o| *o.aggregator() == command.aggregator);
            if let Some(answer) = theirs.and_then(|o| o.receive(self.now, &command)) {
                self.engine.step(self.now, Input::Acknowledgement(answer));
            }
        }
        (cycle_ms, solve_ms)
    }
}

/// What the engine asks its optimizer during an event of the pilot: six intervals each of 5, 15, 30 and 60 minutes.
pub(crate) fn plan_problem(stations: usize) -> anyhow::Result<vpp_optimizer::Problem> {
    let lengths = [5, 15, 30, 60].map(TimeDelta::minutes);
    let horizon = lengths.into_iter().flat_map(|length| [length; 6]).collect();
    let mut plant = Plant::new(&support::pilot_of(stations)?, horizon)?;
    plant.settle_and_call()?;
    plant.live();
    let outputs = plant.engine.step(plant.now, Input::CycleStarted);
    let mut asked = outputs.into_iter().filter_map(|output| match output {
        Output::Solve(request) => Some(request.problem),
        _ => None,
    });
    asked.next().context("the engine asks for no plan")
}

fn case(stations: usize, cycles: usize) -> anyhow::Result<serde_json::Value> {
    let mut plant = Plant::new(&support::pilot_of(stations)?, Config::default().horizon)?;
    plant.settle_and_call()?;
    let (mut times, mut solves) = (Vec::new(), Vec::new());
    for _ in 0..cycles {
        plant.live();
        let (cycle_ms, solve_ms) = plant.cycle();
        times.push(cycle_ms);
        solves.push(solve_ms);
    }
    let share = solves.iter().sum::<f64>() / times.iter().sum::<f64>();
    times.sort_by(f64::total_cmp);
    Ok(json!({
        "bench": "cycle",
        "stations": stations,
        "cycles": cycles,
        "median_ms": round(times[times.len() / 2]),
        "p99_ms": round(times[times.len() * 99 / 100]),
        "worst_ms": round(times[times.len() - 1]),
        "optimizer_share": round(share),
    }))
}
