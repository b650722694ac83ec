//! Everything that can happen to the engine, and everything that it can make happen.

use chrono::TimeDelta;
use vpp_core::{
    Acknowledgement, Aggregator, AggregatorChange, AggregatorId, Command, Event, EventId,
    EventRequest, Interval, Invalid, InvitationId, Node, NodeChange, Price, RegulationAward,
    RegulationSignal, RequestId, Station, StationChange, StationId, Telemetry, Timestamp,
};
use vpp_market_adapters::response::invitation::InvitationStep;
use vpp_optimizer::{Problem, Solution};

use crate::baseline::Baseline;
use crate::invitations::Invited;
use crate::promises::Callable;
use crate::regulation::Achieved;
use crate::report::CycleReport;
use crate::subsidy::Subsidy;
use crate::visits::Visits;

/// A change that somebody asks for and is answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// Register an aggregator.
    RegisterAggregator(Aggregator),
    /// Change an aggregator.
    UpdateAggregator(AggregatorChange),
    /// Register nodes, parents first; all or none.
    RegisterNodes(Vec<Node>),
    /// Change a node.
    UpdateNode(NodeChange),
    /// Register stations; all or none.
    RegisterStations(Vec<Station>),
    /// Change a station.
    UpdateStation(StationChange),
    /// Call an event.
    SubmitEvent(EventRequest),
    /// Call an event off.
    CancelEvent(EventId),
    /// Publish an invitation, declare for it, move it on.
    StepInvitation {
        /// Which.
        invitation: InvitationId,
        /// What to do with it.
        step: InvitationStep,
    },
    /// Begin to follow the grid's regulation signal.
    StartRegulation {
        /// The capacity asked for.
        award: RegulationAward,
        /// For how long the full power must be kept.
        sustain: TimeDelta,
    },
}

/// What a request led to.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// What was to be registered is.
    Done,
    /// The aggregator as it is now.
    Aggregator(Aggregator),
    /// The node as it is now.
    Node(Node),
    /// The station as it is now.
    Station(Station),
    /// The event, with what was promised.
    Event(Event),
    /// The invitation as it is now.
    Invitation(Box<Invited>),
    /// An invitation was stepped before by the same request: told as it is now.
    InvitationKnown(InvitationId),
    /// The capacity promised, and by how many stations.
    Regulation {
        /// At most what was asked.
        award: RegulationAward,
        /// Stations enrolled and callable.
        station_count: usize,
    },
}

/// The price of energy in an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PricePoint {
    /// When.
    pub interval: Interval,
    /// Of energy drawn.
    pub energy: Price,
    /// Of energy fed in.
    pub feed_in: Price,
}

/// What the optimizer gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Solved {
    /// For which cycle.
    pub cycle: u64,
    /// The allocation, or why there is none.
    pub result: Result<Solution, String>,
    /// How long it took.
    pub solve_time: TimeDelta,
}

/// Everything that can happen to the engine.
#[derive(Clone, Debug, PartialEq)]
pub enum Input {
    /// Somebody asks for a change.
    Request {
        /// The caller's name for it: sent twice, done once.
        id: RequestId,
        /// All checks, no change.
        validate_only: bool,
        /// What is asked.
        request: Request,
    },
    /// A station reported.
    Telemetry(Telemetry),
    /// An aggregator answered a command.
    Acknowledgement(Acknowledgement),
    /// Prices became known; they replace those of the same intervals.
    Prices(Vec<PricePoint>),
    /// A subsidy for what vehicles feed in became known, or ended; it replaces the one before.
    Subsidy(Option<Subsidy>),
    /// A control cycle begins.
    CycleStarted,
    /// Between two control cycles that are long beside a stay: who came since the plan and cannot wait for the next one is let
    /// charge.
    Interim,
    /// The optimizer is done.
    Solved(Solved),
    /// The optimizer's budget of a cycle is over.
    SolveBudgetSpent {
        /// Which cycle.
        cycle: u64,
    },
    /// The grid sent a value of its regulation signal.
    Signal(RegulationSignal),
    /// The grid closed its regulation stream.
    RegulationStopped,
    /// Something that was acknowledged before a restart.
    Restored(Fact),
}

/// What must survive a restart, because somebody was told that it is so.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// A change of the fleet was done.
    FleetChanged {
        /// The request that asked for it.
        id: RequestId,
        /// What was asked.
        request: Request,
    },
    /// An event came to be or went on: as it is now.
    Event {
        /// The request that called it.
        id: RequestId,
        /// The event.
        event: Event,
    },
    /// Stations with a frozen baseline, all of them: what each would draw without the programme that uses it.
    Baselines(Vec<(StationId, Baseline)>),
    /// What stations usually draw, kW in each quarter of an hour of a working day and of a day of rest; not a number where
    /// nobody knows. It replaces what was kept before: nobody was told, and a loss is made good within days.
    UsualLoads(Vec<(StationId, Vec<f32>)>),
    /// What each aggregator could be called for at the beginning of a quarter of an hour.
    Callable {
        /// When.
        at: Timestamp,
        /// One for each aggregator.
        callable: Vec<Callable>,
    },
    /// Who came and went at each aggregator's stations in a quarter of an hour.
    Visits {
        /// When it began.
        at: Timestamp,
        /// One for each aggregator.
        visits: Vec<(AggregatorId, Visits)>,
    },
    /// An invitation came to be or went on: as it is now.
    Invitation {
        /// The request that asked for it, and for what; none where time brought it.
        asked: Option<(RequestId, InvitationStep)>,
        /// The invitation.
        invited: Box<Invited>,
    },
    /// A cancellation was done.
    EventCancelled {
        /// The request that asked for it.
        id: RequestId,
        /// The event, as it was answered.
        event: Event,
    },
}

/// An optimization to be done outside, within its budget.
#[derive(Clone, Debug, PartialEq)]
pub struct SolveRequest {
    /// For which cycle.
    pub cycle: u64,
    /// What is to be solved.
    pub problem: Problem,
    /// When it must stop with the best that it has, from the beginning of the cycle.
    pub budget: TimeDelta,
}

/// Everything that the engine can make happen.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// The answer to the request of this step.
    Answer(Box<Result<Answer, Invalid>>),
    /// The message of this step was refused; the state is as before.
    Rejected(Invalid),
    /// To be kept, durably, before the answer of this step leaves.
    Record(Box<Fact>),
    /// To be solved.
    Solve(Box<SolveRequest>),
    /// To be sent.
    Command(Command),
    /// An event changed.
    EventChanged(Box<Event>),
    /// A cycle is over.
    Cycle(Box<CycleReport>),
    /// A value of the regulation signal was followed.
    Regulated(Achieved),
    /// The regulation signal broke off: regulation is over, and stations go back to their schedules.
    SignalLost {
        /// When its last value came.
        last: Timestamp,
    },
}
