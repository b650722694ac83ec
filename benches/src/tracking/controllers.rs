//! Ways to share a signal out.

use anyhow::Context as _;
use chrono::TimeDelta;
use vpp_core::grid::BaseLoad;
use vpp_core::{
    Acknowledgement, AcknowledgementStatus, Aggregator, AggregatorId, Energy, Node, NodeId,
    NodeKind, Pile, PileKind, Power, RegulationAward, RegulationSignal, RequestId, SequenceNumber,
    Session, Station, StationId, StationKind, Telemetry, Timestamp,
};
use vpp_dispatch::{Config, Engine, Input, Output, Request, Solved};
use vpp_optimizer::regulate::{Answer, Fleet, Penalties, Problem, Regulator};

use super::PERIOD_S;
use super::plant::{HIGH_KW, LOW_KW, PLAN_KW, Plant};

/// Sends setpoints when a value comes.
pub(super) trait Controller {
    fn name(&self) -> &'static str;

    /// Before the first value. `award_kw`: what 1 and −1 mean.
    fn begin(&mut self, _plant: &mut Plant, _award_kw: f64) -> anyhow::Result<()> {
        Ok(())
    }

    /// What all would draw without the signal.
    #[allow(clippy::cast_precision_loss)]
    fn baseline_kw(&self, plant: &Plant) -> f64 {
        PLAN_KW * plant.stations.len() as f64
    }

    fn follow(&mut self, plant: &mut Plant, value: f64, asked_kw: f64) -> anyhow::Result<()>;

    /// Milliseconds that each value took, from its coming to the commands, where that says anything.
    fn decisions_ms(&self) -> &[f64] {
        &[]
    }
}

/// Each moves by the same power.
pub(super) struct EqualShare;

impl Controller for EqualShare {
    fn name(&self) -> &'static str {
        "equal share"
    }

    #[allow(clippy::cast_precision_loss)]
    fn follow(&mut self, plant: &mut Plant, _value: f64, asked_kw: f64) -> anyhow::Result<()> {
        let share = asked_kw / plant.stations.len() as f64;
        for station in 0..plant.stations.len() {
            plant.command(station, PLAN_KW - share);
        }
        Ok(())
    }
}

/// Each moves in proportion to how fast it is: capacity within one period.
pub(super) struct Proportional;

impl Controller for Proportional {
    fn name(&self) -> &'static str {
        "proportional to capacity"
    }

    fn follow(&mut self, plant: &mut Plant, _value: f64, asked_kw: f64) -> anyhow::Result<()> {
        let weights: Vec<f64> = plant
            .stations
            .iter()
            .map(|station| 1.0 - (-PERIOD_S / station.lag_s).exp())
            .collect();
        let all: f64 = weights.iter().sum();
        for (station, weight) in weights.iter().enumerate() {
            plant.command(station, PLAN_KW - asked_kw * weight / all);
        }
        Ok(())
    }
}

/// The linear program of one instant, told the plan and nothing of what became of it.
pub(super) struct OpenLoop {
    regulator: Regulator,
    answer: Answer,
}

impl OpenLoop {
    pub(super) fn new(plant: &Plant) -> anyhow::Result<OpenLoop> {
        let count = plant.stations.len();
        let mut regulator = Regulator::new();
        regulator.set_fleet(&Fleet {
            resource_node: vec![None; count],
            resource_group: vec![None; count],
            ..Fleet::default()
        })?;
        Ok(OpenLoop {
            regulator,
            answer: Answer::default(),
        })
    }
}

impl Controller for OpenLoop {
    fn name(&self) -> &'static str {
        "open-loop LP"
    }

    #[allow(clippy::cast_precision_loss)]
    fn follow(&mut self, plant: &mut Plant, _value: f64, asked_kw: f64) -> anyhow::Result<()> {
        let count = plant.stations.len();
        let problem = Problem {
            low_kw: vec![LOW_KW; count],
            high_kw: vec![HIGH_KW; count],
            plan_kw: vec![PLAN_KW; count],
            rise_price: vec![0.01; count],
            fall_price: vec![0.01; count],
            target_kw: PLAN_KW * count as f64 - asked_kw,
            penalties: Penalties::default(),
            ..Problem::default()
        };
        self.regulator
            .solve(&problem, &mut self.answer, &|| false)?;
        for (station, draw) in self.answer.draw_kw.iter().enumerate() {
            plant.command(station, *draw);
        }
        Ok(())
    }
}

/// Knows each station exactly and where it is, not what the signal will be: where commands show before the next value
/// comes, nearly the best that any controller can do.
pub(super) struct Foresight;

impl Controller for Foresight {
    fn name(&self) -> &'static str {
        "knows the stations"
    }

    fn follow(&mut self, plant: &mut Plant, _value: f64, asked_kw: f64) -> anyhow::Result<()> {
        let target = self.baseline_kw(plant) - asked_kw;
        // Where each will be at the next value if told its least, its most, or what brings all to the target.
        let at_next = |share: f64| {
            let mut ahead = plant.clone();
            for station in 0..ahead.stations.len() {
                ahead.command(station, LOW_KW + share * (HIGH_KW - LOW_KW));
            }
            ahead.live(PERIOD_S.max(plant.dead_time_s + 0.5 * PERIOD_S));
            ahead.draw_kw()
        };
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..30 {
            let middle = 0.5 * (low + high);
            if at_next(middle) < target {
                low = middle;
            } else {
                high = middle;
            }
        }
        for station in 0..plant.stations.len() {
            plant.command(station, LOW_KW + high * (HIGH_KW - LOW_KW));
        }
        Ok(())
    }
}

/// The engine, with telemetry every period and a cycle every other.
pub(super) struct ClosedLoop {
    engine: Engine,
    start: Timestamp,
    values: u64,
    followed: Vec<Option<SequenceNumber>>,
    decisions_ms: Vec<f64>,
}

impl ClosedLoop {
    /// `late`: how late the market lets it be.
    pub(super) fn new(plant: &Plant, late: TimeDelta) -> anyhow::Result<ClosedLoop> {
        let config = Config {
            callable_share: 1.0,
            regulation_delay: late,
            ..Config::default()
        };
        let start = Timestamp::from_timestamp(1_800_000_000, 0).context("an instant")?;
        let mut new = ClosedLoop {
            engine: Engine::new(config, 1)?,
            start,
            values: 0,
            followed: vec![None; plant.stations.len()],
            decisions_ms: Vec::new(),
        };
        let id = AggregatorId::new("one")?;
        let display_name = String::new();
        new.ask(
            "aggregator",
            Request::RegisterAggregator(Aggregator {
                id: id.clone(),
                display_name,
                tested_share: None,
            }),
        )?;
        let limit = Power::round_kilowatts(1e6);
        let node = NodeId::new("node")?;
        new.ask(
            "node",
            Request::RegisterNodes(vec![Node {
                id: node.clone(),
                kind: NodeKind::Substation,
                parent: None,
                import_limit: limit,
                export_limit: limit,
                agreement: None,
                base_load: BaseLoad::constant(Power::ZERO),
            }]),
        )?;
        let stations = (0..plant.stations.len()).map(|index| {
            Ok(Station {
                id: StationId::new(format!("station-{index}"))?,
                aggregator: id.clone(),
                node: node.clone(),
                kind: StationKind::Charging,
                piles: vec![Pile {
                    kind: PileKind::Dc,
                    count: 1,
                    rated_power: Power::round_kilowatts(HIGH_KW),
                    discharge_power: Power::round_kilowatts(-LOW_KW),
                }],
                import_limit: Power::round_kilowatts(HIGH_KW),
                export_limit: Power::round_kilowatts(-LOW_KW),
                ramp_per_second: Power::round_kilowatts(HIGH_KW),
                default_setpoint: Power::round_kilowatts(PLAN_KW),
                charge_efficiency: 0.95,
                discharge_efficiency: 0.95,
                regulates: true,
            })
        });
        let stations: anyhow::Result<Vec<Station>> = stations.collect();
        new.ask("stations", Request::RegisterStations(stations?))?;
        Ok(new)
    }

    fn ask(&mut self, id: &str, request: Request) -> anyhow::Result<()> {
        let input = Input::Request {
            id: RequestId::new(id)?,
            validate_only: false,
            request,
        };
        for output in self.engine.step(self.start, input) {
            if let Output::Answer(answer) = output {
                (*answer)?;
            }
        }
        Ok(())
    }

    #[allow(clippy::cast_possible_truncation)]
    fn now(&self, plant: &Plant) -> Timestamp {
        self.start + TimeDelta::milliseconds((plant.clock_s * 1e3).round() as i64)
    }

    fn report(&mut self, plant: &Plant) {
        let now = self.now(plant);
        for (index, station) in plant.stations.iter().enumerate() {
            let session = Session {
                departure: now + TimeDelta::hours(10),
                energy_needed: Energy::from_watt_milliseconds(0),
                energy_room: Energy::from_watt_milliseconds(1_000 * 3_600_000_000),
                energy_available: Energy::from_watt_milliseconds(1_000 * 3_600_000_000),
                max_charge: Power::round_kilowatts(HIGH_KW),
                max_discharge: Power::round_kilowatts(-LOW_KW),
            };
            let telemetry = Telemetry {
                station: self.engine.fleet().stations()[index].id.clone(),
                sampled_at: now,
                active_power: Power::round_kilowatts(station.draw_kw),
                sessions: vec![session],
                command_in_force: self.followed[index],
            };
            self.engine.step(now, Input::Telemetry(telemetry));
        }
    }

    fn cycle(&mut self, plant: &mut Plant) {
        let now = self.now(plant);
        let mut outputs = self.engine.step(now, Input::CycleStarted);
        let asked = outputs.iter().find_map(|output| match output {
            Output::Solve(request) => Some((request.cycle, request.problem.clone())),
            _ => None,
        });
        if let Some((cycle, problem)) = asked {
            let result = vpp_optimizer::solve(&problem, None, &|| false);
            let solved = Solved {
                cycle,
                result: result.map_err(|error| error.to_string()),
                solve_time: TimeDelta::zero(),
            };
            outputs.extend(self.engine.step(now, Input::Solved(solved)));
        }
        self.carry(plant, outputs);
    }

    /// Commands to the stations, answers back at once.
    fn carry(&mut self, plant: &mut Plant, outputs: Vec<Output>) {
        let now = self.now(plant);
        for output in outputs {
            let Output::Command(command) = output else {
                continue;
            };
            let Some(station) = self.engine.fleet().station_index(&command.station) else {
                continue;
            };
            plant.command(station, command.setpoint.as_kilowatts());
            self.followed[station] = Some(command.sequence);
            let answer = Acknowledgement {
                station: command.station,
                sequence: command.sequence,
                status: AcknowledgementStatus::Accepted,
                detail: String::new(),
                acknowledged_at: now,
            };
            self.engine.step(now, Input::Acknowledgement(answer));
        }
    }
}

impl Controller for ClosedLoop {
    fn name(&self) -> &'static str {
        if self.engine.config().regulation_delay > TimeDelta::zero() {
            "closed loop (the engine), as late as PJM forgives"
        } else {
            "closed loop (the engine)"
        }
    }

    fn begin(&mut self, plant: &mut Plant, award_kw: f64) -> anyhow::Result<()> {
        for _ in 0..3 {
            self.report(plant);
            plant.live(PERIOD_S);
        }
        self.start = self.now(plant);
        plant.clock_s = 0.0;
        self.report(plant);
        let capacity = Power::round_kilowatts(award_kw);
        let award = RegulationAward {
            up: capacity,
            down: capacity,
        };
        let sustain = TimeDelta::minutes(15);
        self.ask("regulation", Request::StartRegulation { award, sustain })?;
        // Before the signal counts as broken.
        for _ in 0..4 {
            self.cycle(plant);
            plant.live(PERIOD_S);
            self.report(plant);
            plant.live(PERIOD_S);
            self.report(plant);
        }
        let promised = self.engine.regulation().context("regulation is on")?.award;
        anyhow::ensure!(promised == award, "{promised:?} of {award:?}");
        Ok(())
    }

    /// The schedule, as far as stations can be there.
    fn baseline_kw(&self, plant: &Plant) -> f64 {
        let states = self.engine.states().iter().zip(&plant.stations);
        states
            .map(|(state, station)| match state.schedule {
                Some(schedule) => station.expected_kw(schedule.as_kilowatts()),
                None => station.draw_kw,
            })
            .sum()
    }

    fn decisions_ms(&self) -> &[f64] {
        &self.decisions_ms
    }

    fn follow(&mut self, plant: &mut Plant, value: f64, _asked_kw: f64) -> anyhow::Result<()> {
        self.report(plant);
        self.values += 1;
        let now = self.now(plant);
        let signal = RegulationSignal {
            sequence: self.values,
            signal_time: now,
            value,
        };
        let started = std::time::Instant::now();
        let outputs = self.engine.step(now, Input::Signal(signal));
        self.decisions_ms
            .push(started.elapsed().as_secs_f64() * 1e3);
        self.carry(plant, outputs);
        if self.values.is_multiple_of(2) {
            self.cycle(plant);
        }
        Ok(())
    }
}
