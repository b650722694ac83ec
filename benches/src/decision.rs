//! One value of the regulation signal, from the state to commands ready: the engine alone, without transport, all stations
//! enrolled and behind feeders that carry limits.

use std::time::Instant;

use anyhow::Context as _;
use chrono::TimeDelta;
use serde_json::{Value, json};
use vpp_core::grid::BaseLoad;
use vpp_core::{
    Acknowledgement, AcknowledgementStatus, Aggregator, AggregatorId, Energy, Node, NodeId,
    NodeKind, Pile, PileKind, Power, RegulationAward, RegulationSignal, RequestId, SequenceNumber,
    Session, Station, StationId, StationKind, Telemetry, Timestamp,
};
use vpp_dispatch::{Config, Engine, Input, Output, Request, Solved};

use crate::support::round;

/// Stations behind a feeder, and feeders behind a substation.
const FEEDER: usize = 8;
const SUBSTATION: usize = 20;
/// Between two values of the signal.
const PERIOD: TimeDelta = TimeDelta::seconds(2);

/// How many stations, how long.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Numbers of stations.
    #[arg(long, value_delimiter = ',', default_value = "1080,100000")]
    sizes: Vec<usize>,
    /// Values of the signal at each size, after ten to warm up.
    #[arg(long, default_value_t = 200)]
    signals: u32,
}

pub(crate) fn measure(asked: &Arguments, print: impl Fn(&Value)) -> anyhow::Result<()> {
    for &stations in &asked.sizes {
        let mut plant = Plant::new(stations)?;
        plant.start()?;
        let (mut times, mut commands) = (Vec::new(), 0);
        for k in 1..=asked.signals + 10 {
            let value = (f64::from(k) * 0.7).sin();
            let (ms, sent) = plant.signal(u64::from(k), value);
            if k > 10 {
                times.push(ms);
                commands += sent;
            }
            plant.pass();
        }
        times.sort_by(f64::total_cmp);
        print(&json!({
            "bench": "decision",
            "stations": stations,
            "signals": times.len(),
            "commands_each": commands / times.len().max(1),
            "median_ms": round(times[times.len() / 2]),
            "p99_ms": round(times[times.len() * 99 / 100]),
            "worst_ms": round(times[times.len() - 1]),
        }));
    }
    Ok(())
}

/// The engine, and stations that do at once what they are told.
struct Plant {
    engine: Engine,
    now: Timestamp,
    outputs: Vec<Output>,
    draw: Vec<Power>,
    followed: Vec<Option<SequenceNumber>>,
    requests: u32,
}

impl Plant {
    fn new(stations: usize) -> anyhow::Result<Plant> {
        let mut plant = Plant {
            engine: Engine::new(Config::default(), 1)?,
            now: Timestamp::from_timestamp(1_800_000_000, 0).context("an instant")?,
            outputs: Vec::new(),
            draw: vec![kilowatts(20.0); stations],
            followed: vec![None; stations],
            requests: 0,
        };
        let id = AggregatorId::new("one")?;
        plant.ask(Request::RegisterAggregator(Aggregator {
            id: id.clone(),
            display_name: String::new(),
            tested_share: None,
        }))?;
        let feeders = stations.div_ceil(FEEDER);
        let substations = feeders.div_ceil(SUBSTATION);
        let name = |kind: &str, at: usize| NodeId::new(format!("{kind}-{at}"));
        let node = |id, kind, parent, limit| Node {
            id,
            kind,
            parent,
            import_limit: kilowatts(limit),
            export_limit: kilowatts(limit),
            agreement: None,
            base_load: BaseLoad::constant(Power::ZERO),
        };
        let mut nodes = Vec::new();
        #[allow(clippy::cast_precision_loss)] // small counts
        let below = |stations: usize| stations as f64;
        for at in 0..substations {
            let limit = 45.0 * below(FEEDER * SUBSTATION);
            nodes.push(node(
                name("substation", at)?,
                NodeKind::Substation,
                None,
                limit,
            ));
        }
        for at in 0..feeders {
            let parent = Some(name("substation", at / SUBSTATION)?);
            let limit = 48.0 * below(FEEDER);
            nodes.push(node(name("feeder", at)?, NodeKind::Feeder, parent, limit));
        }
        plant.ask(Request::RegisterNodes(nodes))?;
        let station = |index: usize| {
            Ok(Station {
                id: StationId::new(format!("station-{index}"))?,
                aggregator: id.clone(),
                node: name("feeder", index / FEEDER)?,
                kind: StationKind::Charging,
                piles: vec![Pile {
                    kind: PileKind::Dc,
                    count: 1,
                    rated_power: kilowatts(60.0),
                    discharge_power: kilowatts(20.0),
                }],
                import_limit: kilowatts(60.0),
                export_limit: kilowatts(20.0),
                ramp_per_second: kilowatts(60.0),
                default_setpoint: kilowatts(20.0),
                charge_efficiency: 0.95,
                discharge_efficiency: 0.95,
                regulates: true,
            })
        };
        let all: anyhow::Result<Vec<Station>> = (0..stations).map(station).collect();
        // As many as one request may carry.
        for chunk in all?.chunks(10_000) {
            plant.ask(Request::RegisterStations(chunk.to_vec()))?;
        }
        Ok(plant)
    }

    fn ask(&mut self, request: Request) -> anyhow::Result<()> {
        self.requests += 1;
        let input = Input::Request {
            id: RequestId::new(format!("request-{}", self.requests))?,
            validate_only: false,
            request,
        };
        for output in self.engine.step(self.now, input) {
            if let Output::Answer(answer) = output {
                (*answer)?;
            }
        }
        Ok(())
    }

    /// Stations report, all of half the capacity is sold, and a first plan is made.
    fn start(&mut self) -> anyhow::Result<()> {
        for _ in 0..3 {
            self.report();
            self.now += PERIOD;
        }
        self.report();
        #[allow(clippy::cast_precision_loss)]
        let half = kilowatts(15.0 * self.draw.len() as f64);
        let award = RegulationAward {
            up: half,
            down: half,
        };
        let sustain = TimeDelta::minutes(15);
        self.ask(Request::StartRegulation { award, sustain })?;
        let mut outputs = self.engine.step(self.now, Input::CycleStarted);
        let solve = outputs.iter().position(|o| matches!(o, Output::Solve(_)));
        let solve = solve.map(|at| outputs.swap_remove(at));
        let Some(Output::Solve(request)) = solve else {
            anyhow::bail!("the engine asks for no plan");
        };
        let result = vpp_optimizer::solve(&request.problem, None, &|| false);
        let solved = Solved {
            cycle: request.cycle,
            result: result.map_err(|error| error.to_string()),
            solve_time: TimeDelta::zero(),
        };
        self.outputs = self.engine.step(self.now, Input::Solved(solved));
        self.carry();
        self.pass();
        Ok(())
    }

    /// Milliseconds, and commands.
    fn signal(&mut self, sequence: u64, value: f64) -> (f64, usize) {
        let signal = RegulationSignal {
            sequence,
            signal_time: self.now,
            value,
        };
        let begun = Instant::now();
        self.engine
            .step_into(self.now, Input::Signal(signal), &mut self.outputs);
        let ms = begun.elapsed().as_secs_f64() * 1e3;
        (ms, self.carry())
    }

    /// Commands to the stations, answers back at once.
    fn carry(&mut self) -> usize {
        let mut sent = 0;
        let mut outputs = std::mem::take(&mut self.outputs);
        for output in outputs.drain(..) {
            let Output::Command(command) = output else {
                continue;
            };
            let Some(station) = self.engine.fleet().station_index(&command.station) else {
                continue;
            };
            sent += 1;
            self.draw[station] = command.setpoint;
            self.followed[station] = Some(command.sequence);
            let answer = Acknowledgement {
                station: command.station,
                sequence: command.sequence,
                status: AcknowledgementStatus::Accepted,
                detail: String::new(),
                acknowledged_at: self.now,
            };
            self.engine.step(self.now, Input::Acknowledgement(answer));
        }
        // As the service does, the room is used again.
        self.outputs = outputs;
        sent
    }

    fn pass(&mut self) {
        self.now += PERIOD;
        self.report();
    }

    fn report(&mut self) {
        for index in 0..self.draw.len() {
            let session = Session {
                departure: self.now + TimeDelta::hours(10),
                energy_needed: Energy::from_watt_milliseconds(0),
                energy_room: Energy::from_watt_milliseconds(1_000 * 3_600_000_000),
                energy_available: Energy::from_watt_milliseconds(1_000 * 3_600_000_000),
                max_charge: kilowatts(60.0),
                max_discharge: kilowatts(20.0),
            };
            let telemetry = Telemetry {
                station: self.engine.fleet().stations()[index].id.clone(),
                sampled_at: self.now,
                active_power: self.draw[index],
                sessions: vec![session],
                command_in_force: self.followed[index],
            };
            self.engine.step(self.now, Input::Telemetry(telemetry));
        }
    }
}

fn kilowatts(kw: f64) -> Power {
    Power::round_kilowatts(kw)
}
