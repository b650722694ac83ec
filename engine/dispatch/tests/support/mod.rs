//! A small world around the engine: stations that obey or do not, and a loop that carries messages between them.

// Each test binary uses its own part of it.
#![allow(dead_code)]

use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::TimeDelta;
use vpp_core::grid::BaseLoad;
use vpp_core::{
    Acknowledgement, AcknowledgementStatus, Aggregator, AggregatorId, Command, Energy, Event,
    EventRequest, Interval, Invalid, Node, NodeId, NodeKind, Pile, PileKind, Power, Programme,
    RegulationSignal, RequestId, Scope, Session, Station, StationChange, StationId, StationKind,
    Telemetry, Timestamp,
};
use vpp_dispatch::{
    Achieved, Answer, Config, CycleReport, Engine, Fact, Input, Output, Request, Solved,
};
use vpp_optimizer::{Solution, Status};

/// What a station makes of its commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Answers and follows.
    Obeys,
    /// Answers that it follows, and does not.
    Ignores,
    /// Answers that it will not.
    Refuses,
    /// Reports, and never answers or follows.
    Mute,
    /// Follows, and its answers are lost.
    Unheard,
    /// Its commands come a cycle late, after younger ones.
    Delayed,
    /// Neither reports nor answers; draws what it drew.
    Dead,
}

/// What becomes of a problem that the engine wants solved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Solver {
    /// Solved in time.
    Works,
    /// Stopped in the middle of it, in time.
    Stopped,
    /// Solved after the budget of its cycle is over.
    Late,
    /// Never solved.
    Hangs,
    /// Answers at once that there is no solution.
    Fails,
}

/// A station.
#[derive(Clone, Debug)]
pub(crate) struct Fake {
    pub(crate) station: Station,
    pub(crate) behaviour: Behaviour,
    /// What its vehicles would draw.
    pub(crate) demand: Power,
    /// What each of its vehicles could do.
    pub(crate) sessions: Vec<Session>,
    pub(crate) in_force: Option<Command>,
    /// The ceiling that holds without a command: that of the last command accepted.
    pub(crate) fallback: Power,
    /// Commands that it may still come to follow.
    pub(crate) on_the_way: Vec<Command>,
    /// The power it was last at.
    pub(crate) draw: Power,
    /// Time constant with which it follows, s; 0: at once.
    pub(crate) lag_s: f64,
    settled_at: Timestamp,
}

impl Fake {
    /// Takes a command as a station should: newest only, alive only.
    pub(crate) fn take(
        &mut self,
        now: Timestamp,
        command: &Command,
    ) -> Option<AcknowledgementStatus> {
        match self.behaviour {
            Behaviour::Dead | Behaviour::Mute => return None,
            Behaviour::Refuses => return Some(AcknowledgementStatus::Refused),
            _ => {}
        }
        if command.valid_until <= now {
            return Some(AcknowledgementStatus::Expired);
        }
        if (self.in_force.as_ref()).is_some_and(|last| last.sequence >= command.sequence) {
            return Some(AcknowledgementStatus::Superseded);
        }
        self.in_force = Some(command.clone());
        self.fallback = command.fallback_setpoint;
        Some(AcknowledgementStatus::Accepted)
    }

    /// The setpoint that it keeps to now, whatever the engine thinks.
    pub(crate) fn setpoint(&self, now: Timestamp) -> Power {
        let alive = self.in_force.as_ref().filter(|c| c.valid_until > now);
        alive.map_or(self.fallback, |command| command.setpoint)
    }

    /// What it draws now.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        let told = match self.behaviour {
            Behaviour::Ignores => self.station.default_setpoint,
            _ => self.setpoint(now),
        };
        self.in_force.take_if(|command| command.valid_until <= now);
        let export: Power = self.sessions.iter().map(|s| s.max_discharge).sum();
        let goal = told.min(self.demand).max(-export);
        let seconds = (now - self.settled_at).as_seconds_f64();
        self.settled_at = now;
        self.draw = if self.lag_s > 0.0 {
            let way = (goal - self.draw).as_kilowatts();
            self.draw + Power::round_kilowatts(way * (1.0 - (-seconds / self.lag_s).exp()))
        } else {
            goal
        };
    }

    pub(crate) fn report(&self, now: Timestamp) -> Telemetry {
        Telemetry {
            station: self.station.id.clone(),
            sampled_at: now,
            active_power: self.draw,
            sessions: self.sessions.clone(),
            command_in_force: self.in_force.as_ref().map(|command| command.sequence),
        }
    }
}

/// The engine with its stations.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) engine: Engine,
    pub(crate) now: Timestamp,
    pub(crate) fakes: Vec<Fake>,
    pub(crate) solver: Solver,
    /// Every step: when, what came, and what came of it.
    pub(crate) steps: Vec<(Timestamp, Input, Vec<Output>)>,
    /// What was seen at the stations themselves and must never be.
    pub(crate) wrongs: Vec<String>,
    /// Number of the engine's life.
    pub(crate) epoch: u64,
    /// What was recorded in its lives before.
    facts: Vec<Fact>,
    next_request: u32,
    held_back: Vec<Solved>,
    /// Commands on their way to stations that are [`Behaviour::Delayed`].
    mail: Vec<Command>,
}

pub(crate) fn kilowatts(kw: i64) -> Power {
    Power::from_watts(kw * 1_000)
}

pub(crate) fn kilowatt_hours(kwh: i64) -> Energy {
    Energy::from_watt_milliseconds(kwh * 3_600_000_000)
}

pub(crate) fn start() -> Timestamp {
    Timestamp::from_timestamp(1_800_000_000, 0).unwrap()
}

pub(crate) fn aggregator_id(index: usize) -> AggregatorId {
    AggregatorId::new(["north", "south"][index % 2]).unwrap()
}

pub(crate) fn station_id(index: usize) -> StationId {
    StationId::new(format!("station-{index:03}")).unwrap()
}

/// Sixty kW of connection; by default it may use all of it.
pub(crate) fn station(index: usize, feeder: &str) -> Station {
    Station {
        id: station_id(index),
        aggregator: aggregator_id(index),
        node: NodeId::new(feeder).unwrap(),
        kind: StationKind::Charging,
        piles: vec![Pile {
            kind: PileKind::Dc,
            count: 2,
            rated_power: kilowatts(30),
            discharge_power: kilowatts(10),
        }],
        import_limit: kilowatts(60),
        export_limit: kilowatts(20),
        ramp_per_second: kilowatts(60),
        default_setpoint: kilowatts(60),
        charge_efficiency: 0.95,
        discharge_efficiency: 0.95,
        regulates: true,
    }
}

/// A change of one station's ramp, in kW a second, and of nothing else.
pub(crate) fn ramp_of(index: usize, kw: i64) -> StationChange {
    StationChange {
        id: station_id(index),
        kind: None,
        piles: None,
        import_limit: None,
        export_limit: None,
        ramp_per_second: Some(kilowatts(kw)),
        default_setpoint: None,
        charge_efficiency: None,
        discharge_efficiency: None,
        regulates: None,
    }
}

/// A vehicle that needs little and has long.
pub(crate) fn session(now: Timestamp, discharge: Power) -> Session {
    Session {
        departure: now + TimeDelta::hours(10),
        energy_needed: kilowatt_hours(10),
        energy_room: kilowatt_hours(200),
        energy_available: if discharge > Power::ZERO {
            kilowatt_hours(40)
        } else {
            Energy::ZERO
        },
        max_charge: kilowatts(30),
        max_discharge: discharge,
    }
}

pub(crate) fn node(id: &str, parent: Option<&str>, import: Power, base: Power) -> Node {
    Node {
        id: NodeId::new(id).unwrap(),
        kind: if parent.is_none() {
            NodeKind::Substation
        } else {
            NodeKind::Feeder
        },
        parent: parent.map(|parent| NodeId::new(parent).unwrap()),
        import_limit: import,
        export_limit: kilowatts(30),
        agreement: None,
        base_load: BaseLoad::constant(base),
    }
}

impl World {
    /// `n` stations of two aggregators that draw 50 kW each, under two feeders with room for all.
    pub(crate) fn new(n: usize) -> World {
        let half = i64::try_from(n).unwrap() * 30 + 80;
        let nodes = vec![
            node("substation", None, kilowatts(2 * half), kilowatts(40)),
            node(
                "feeder-0",
                Some("substation"),
                kilowatts(half),
                kilowatts(20),
            ),
            node(
                "feeder-1",
                Some("substation"),
                kilowatts(half),
                kilowatts(20),
            ),
        ];
        let stations = (0..n)
            .map(|index| {
                station(
                    index,
                    if 2 * index < n {
                        "feeder-0"
                    } else {
                        "feeder-1"
                    },
                )
            })
            .collect();
        let mut world = World::with(nodes, stations);
        for _ in 0..3 {
            world.report();
            world.wait(TimeDelta::seconds(2));
        }
        world.report();
        world
    }

    pub(crate) fn with(nodes: Vec<Node>, stations: Vec<Station>) -> World {
        let mut world = World {
            engine: Engine::new(Config::default(), 7).unwrap(),
            epoch: 7,
            facts: Vec::new(),
            now: start(),
            fakes: Vec::new(),
            solver: Solver::Works,
            steps: Vec::new(),
            wrongs: Vec::new(),
            next_request: 0,
            held_back: Vec::new(),
            mail: Vec::new(),
        };
        for index in 0..2 {
            let aggregator = Aggregator {
                id: aggregator_id(index),
                display_name: String::new(),
                tested_share: None,
            };
            world.ask(Request::RegisterAggregator(aggregator)).unwrap();
        }
        world.ask(Request::RegisterNodes(nodes)).unwrap();
        world
            .ask(Request::RegisterStations(stations.clone()))
            .unwrap();
        let now = world.now;
        world.fakes = stations
            .into_iter()
            .map(|station| Fake {
                behaviour: Behaviour::Obeys,
                demand: kilowatts(50),
                sessions: vec![session(now, Power::ZERO); 2],
                fallback: station.default_setpoint,
                in_force: None,
                on_the_way: Vec::new(),
                draw: Power::ZERO,
                lag_s: 0.0,
                settled_at: now,
                station,
            })
            .collect();
        world
    }

    /// One step of the engine, kept.
    pub(crate) fn step(&mut self, input: Input) -> Vec<Output> {
        let outputs = self.engine.step(self.now, input.clone());
        self.steps.push((self.now, input, outputs.clone()));
        outputs
    }

    pub(crate) fn request_id(&mut self) -> RequestId {
        self.next_request += 1;
        RequestId::new(format!("request-{}", self.next_request)).unwrap()
    }

    pub(crate) fn ask(&mut self, request: Request) -> Result<Answer, Invalid> {
        let id = self.request_id();
        self.ask_as(id, false, request)
    }

    pub(crate) fn ask_as(
        &mut self,
        id: RequestId,
        validate_only: bool,
        request: Request,
    ) -> Result<Answer, Invalid> {
        let outputs = self.step(Input::Request {
            id,
            validate_only,
            request,
        });
        answer(outputs)
    }

    pub(crate) fn submit(&mut self, request: EventRequest) -> Result<Event, Invalid> {
        match self.ask(Request::SubmitEvent(request))? {
            Answer::Event(event) => Ok(event),
            other => panic!("an event was asked for, not {other:?}"),
        }
    }

    pub(crate) fn wait(&mut self, length: TimeDelta) {
        self.now += length;
        for fake in &mut self.fakes {
            if fake.behaviour != Behaviour::Dead {
                fake.settle(self.now);
            }
        }
        self.observe();
    }

    /// Looks at the stations themselves: what they keep to, or would if a command that is on its way came now, taken as
    /// ceilings, must fit every limit; and each must be where the engine thinks that it may be.
    fn observe(&mut self) {
        let fleet = self.engine.fleet();
        let nodes = fleet.tree().nodes();
        let base = |node: &Node| node.base_load.at(self.now);
        let mut high: Vec<Power> = nodes.iter().map(base).collect();
        let mut low = high.clone();
        let mut wrongs = Vec::new();
        for (index, (fake, state)) in self.fakes.iter().zip(self.engine.states()).enumerate() {
            let setpoint = fake.setpoint(self.now);
            let alive = fake.on_the_way.iter().filter(|c| c.valid_until > self.now);
            let may: Vec<Power> = alive
                .map(|c| c.setpoint)
                .chain([setpoint, Power::ZERO])
                .collect();
            high[fleet.node_of(index)] += may.iter().copied().max().unwrap();
            low[fleet.node_of(index)] += may.into_iter().min().unwrap();
            let thought = state.exposure(&(&fake.station).into());
            let (least, most) = (thought.low, thought.high.max(fake.station.default_setpoint));
            if !(least..=most).contains(&setpoint) {
                let id = &fake.station.id;
                wrongs.push(format!("{id} keeps to {setpoint}, not {least} to {most}"));
            }
        }
        for index in (1..nodes.len()).rev() {
            if let Some(parent) = fleet.tree().parent(index) {
                high[parent] = high[parent] + high[index];
                low[parent] = low[parent] + low[index];
            }
        }
        for (node, (high, low)) in nodes.iter().zip(high.into_iter().zip(low)) {
            if high > node.import_limit || -low > node.export_limit {
                wrongs.push(format!("{} may be at {low} to {high}", node.id));
            }
        }
        self.wrongs.extend(
            wrongs
                .into_iter()
                .map(|wrong| format!("{}: {wrong}", self.now)),
        );
    }

    /// All stations that are alive report.
    pub(crate) fn report(&mut self) {
        for index in 0..self.fakes.len() {
            let now = self.now;
            let fake = &mut self.fakes[index];
            if fake.behaviour == Behaviour::Dead {
                continue;
            }
            fake.settle(now);
            let telemetry = fake.report(now);
            let outputs = self.step(Input::Telemetry(telemetry));
            assert_eq!(outputs, [], "a good report leads to nothing");
        }
    }

    /// Carries commands to the stations and their answers back.
    pub(crate) fn deliver(&mut self, outputs: &[Output]) {
        let late = std::mem::take(&mut self.mail);
        for command in commands(outputs) {
            let index = self.engine.fleet().station_index(&command.station).unwrap();
            self.fakes[index].on_the_way.push(command.clone());
            if self.fakes[index].behaviour == Behaviour::Delayed {
                self.mail.push(command.clone());
            } else {
                self.hand_over(index, command);
            }
        }
        for command in late {
            let index = self.engine.fleet().station_index(&command.station).unwrap();
            self.hand_over(index, &command);
        }
        self.observe();
    }

    fn hand_over(&mut self, index: usize, command: &Command) {
        let now = self.now;
        let fake = &mut self.fakes[index];
        let Some(status) = fake.take(now, command) else {
            return;
        };
        // What is older than a command that it follows can have no effect any more.
        let accepted = status == AcknowledgementStatus::Accepted;
        let number = command.sequence;
        fake.on_the_way
            .retain(|sent| sent.sequence > number || (sent.sequence < number && !accepted));
        if fake.behaviour == Behaviour::Unheard {
            return;
        }
        let outputs = self.step(Input::Acknowledgement(Acknowledgement {
            station: command.station.clone(),
            sequence: number,
            status,
            detail: String::new(),
            acknowledged_at: now,
        }));
        assert_eq!(outputs, [], "a good answer leads to nothing");
    }

    /// A cycle of 4 s: all that [`World::decide`] does, then all report twice.
    pub(crate) fn cycle(&mut self) -> Vec<Output> {
        let began = self.now;
        let outputs = self.decide();
        for second in [3, 4] {
            let at = began + TimeDelta::seconds(second);
            self.wait(at - self.now);
            self.report();
        }
        outputs
    }

    /// A cycle begins, is decided, and its commands are carried out.
    pub(crate) fn decide(&mut self) -> Vec<Output> {
        let late = std::mem::take(&mut self.held_back);
        let mut outputs = self.step(Input::CycleStarted);
        for solved in late {
            outputs.extend(self.step(Input::Solved(solved)));
        }
        let solve = outputs.iter().find_map(|output| match output {
            Output::Solve(request) => Some(request.clone()),
            _ => None,
        });
        if let Some(request) = solve {
            let solved = |result| Solved {
                cycle: request.cycle,
                result,
                solve_time: TimeDelta::milliseconds(100),
            };
            let solution = || {
                vpp_optimizer::solve(&request.problem, None, &|| false).map_err(|e| e.to_string())
            };
            match self.solver {
                Solver::Works => {
                    self.wait(TimeDelta::milliseconds(100));
                    outputs.extend(self.step(Input::Solved(solved(solution()))));
                }
                Solver::Stopped => {
                    self.wait(request.budget);
                    // As soon as it has something of its own.
                    let after = |count: usize| {
                        let asked = AtomicUsize::new(0);
                        let stop = || asked.fetch_add(1, Ordering::Relaxed) >= count;
                        vpp_optimizer::solve(&request.problem, None, &stop)
                    };
                    let rules = |solution: &Solution| solution.status == Status::Rules;
                    let mut tries = (1..).map(after);
                    let stopped = tries.find(|tried| !tried.as_ref().is_ok_and(rules));
                    let stopped = stopped.expect("an end").map_err(|e| e.to_string());
                    outputs.extend(self.step(Input::Solved(solved(stopped))));
                }
                Solver::Fails => {
                    let failed = solved(Err("stuck".into()));
                    outputs.extend(self.step(Input::Solved(failed)));
                }
                Solver::Late | Solver::Hangs => {
                    self.wait(request.budget);
                    let cycle = request.cycle;
                    outputs.extend(self.step(Input::SolveBudgetSpent { cycle }));
                    if self.solver == Solver::Late {
                        self.held_back.push(solved(solution()));
                    }
                }
            }
        }
        self.deliver(&outputs);
        outputs
    }

    /// Cycles until an instant; gives the outputs of each.
    pub(crate) fn run_until(&mut self, until: Timestamp) -> Vec<Vec<Output>> {
        let mut cycles = Vec::new();
        while self.now < until {
            cycles.push(self.cycle());
        }
        cycles
    }

    /// All stations take no more than so much without a command, though their vehicles would take all.
    pub(crate) fn hold_back(&mut self, kw: i64) {
        for index in 0..self.fakes.len() {
            let change = StationChange {
                default_setpoint: Some(kilowatts(kw)),
                ramp_per_second: None,
                ..ramp_of(index, 0)
            };
            self.ask(Request::UpdateStation(change)).unwrap();
            let fake = &mut self.fakes[index];
            fake.station.default_setpoint = kilowatts(kw);
            fake.fallback = kilowatts(kw);
            fake.demand = kilowatts(60);
        }
        // Until what they drew before is no longer part of any baseline.
        let until = self.now + self.engine.config().baseline_window + TimeDelta::seconds(4);
        while self.now < until {
            self.wait(TimeDelta::seconds(2));
            self.report();
        }
    }

    pub(crate) fn demand_response(&self, kw: i64, from_s: i64, length_s: i64) -> EventRequest {
        let from = self.now + TimeDelta::seconds(from_s);
        EventRequest {
            programme: Programme::DemandResponse {
                reduction: kilowatts(kw),
            },
            interval: Interval::new(from, from + TimeDelta::seconds(length_s)).unwrap(),
            scope: Scope::All,
        }
    }

    /// The engine is gone and another one takes up what was recorded; the stations do not notice.
    pub(crate) fn restart(&mut self) {
        let outputs = self.steps.drain(..).flat_map(|(_, _, outputs)| outputs);
        let recorded = outputs.filter_map(|output| match output {
            Output::Record(fact) => Some(*fact),
            _ => None,
        });
        self.facts.extend(recorded);
        self.epoch += 1;
        self.engine = Engine::new(Config::default(), self.epoch).unwrap();
        self.held_back.clear();
        for fact in self.facts.clone() {
            self.step(Input::Restored(fact));
        }
    }

    /// What all stations draw.
    pub(crate) fn draw(&self) -> Power {
        self.fakes.iter().map(|fake| fake.draw).sum()
    }

    /// The engine, as far as anybody could see.
    pub(crate) fn seen(&self) -> String {
        format!("{:?}", self.engine)
    }
}

pub(crate) fn answer(outputs: Vec<Output>) -> Result<Answer, Invalid> {
    let answers = outputs.into_iter().filter_map(|output| match output {
        Output::Answer(answer) => Some(*answer),
        _ => None,
    });
    let mut answers: Vec<_> = answers.collect();
    assert_eq!(answers.len(), 1, "a request has one answer");
    answers.remove(0)
}

pub(crate) fn commands(outputs: &[Output]) -> Vec<&Command> {
    fn command(output: &Output) -> Option<&vpp_core::Command> {
        match output {
            Output::Command(command) => Some(command),
            _ => None,
        }
    }

    outputs.iter().filter_map(command).collect()
}

pub(crate) fn report(outputs: &[Output]) -> &CycleReport {
    let report = outputs.iter().find_map(|output| match output {
        Output::Cycle(report) => Some(report),
        _ => None,
    });
    report.expect("every cycle reports")
}

/// A value of the grid's signal comes; its commands are carried out.
pub(crate) fn signal(world: &mut World, sequence: u64, value: f64) -> Achieved {
    let signal = RegulationSignal {
        sequence,
        signal_time: world.now,
        value,
    };
    let outputs = world.step(Input::Signal(signal));
    world.deliver(&outputs);
    let achieved = outputs.iter().find_map(|output| match output {
        Output::Regulated(achieved) => Some(*achieved),
        _ => None,
    });
    achieved.expect("a good signal is answered")
}
