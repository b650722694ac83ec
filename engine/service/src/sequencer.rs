//! The one thread that owns the engine: it merges what comes into one order, stamps it, steps the engine, and carries out
//! what comes back. What must last is in the journal before anybody is told.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::{broadcast, oneshot};
use vpp_core::{Decision, Event, Invalid, RegulationSignal, RequestId, Timestamp};
use vpp_dispatch::{
    Achieved, Answer, CycleReport, Engine, Input, Output, RegulationNote, Request, Solved,
};

use crate::clock::Clock;
use crate::kafka::produce::Producer;
use crate::recorder::{Record, Recorder, Reply};
use crate::seldom::Seldom;
use crate::solver::Solver;
use crate::statistics::Statistics;
use crate::watchdog::{Heartbeat, TURN};

/// A question to the engine that changes nothing.
pub(crate) type Query = Box<dyn FnOnce(&Engine, Timestamp) + Send>;

/// Everything that the sequencer can be sent.
pub(crate) enum Message {
    /// A change that somebody asks for.
    Request {
        id: RequestId,
        validate_only: bool,
        request: Request,
        reply: Reply,
    },
    /// Telemetry and acknowledgements; the answer names those that were refused.
    Batch {
        inputs: Vec<Input>,
        reply: SyncSender<Vec<(usize, Invalid)>>,
    },
    /// A value of the regulation signal, and when it came.
    Signal {
        signal: RegulationSignal,
        received: Instant,
        reply: oneshot::Sender<Result<Achieved, Invalid>>,
    },
    /// The regulation stream was closed.
    RegulationStopped,
    /// The optimizer is done.
    Solved(Solved),
    /// A question.
    Query(Query),
    /// Stop.
    Stop,
}

impl From<Solved> for Message {
    fn from(solved: Solved) -> Message {
        Message::Solved(solved)
    }
}

/// What others may listen to.
#[derive(Clone)]
pub(crate) struct Feeds {
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) cycles: broadcast::Sender<Arc<CycleReport>>,
}

pub(crate) struct Sequencer {
    pub(crate) engine: Engine,
    pub(crate) clock: Clock,
    pub(crate) recorder: Recorder,
    pub(crate) heartbeat: Heartbeat,
    pub(crate) producer: Producer,
    pub(crate) solver: Solver,
    pub(crate) feeds: Feeds,
    pub(crate) statistics: Arc<Statistics>,
    pub(crate) last: Timestamp,
    /// Room for what a step leads to, kept from one to the next.
    pub(crate) outputs: Vec<Output>,
    /// Signals that could not be followed come in rows; their number is in the statistics.
    pub(crate) unfollowed: Seldom,
    /// When the last cycle began, and how long it took until the optimizer had its problem.
    pub(crate) cycle_began: Instant,
    pub(crate) ingest_time: Duration,
}

/// What one step leads to besides its side effects.
#[derive(Default)]
struct Stepped {
    rejected: Option<Invalid>,
    achieved: Option<Achieved>,
}

impl Sequencer {
    /// Runs until told to stop.
    pub(crate) fn run(mut self, messages: &Receiver<Message>) {
        let cycle = self
            .engine
            .config()
            .cycle
            .to_std()
            .unwrap_or(Duration::from_secs(4));
        let budget = self.engine.config().solve_budget.to_std().unwrap_or(cycle);
        let mut next_cycle = Instant::now() + cycle;
        let mut budget_ends: Option<(Instant, u64)> = None;
        loop {
            self.heartbeat.beat();
            let now = Instant::now();
            if let Some((_, number)) = budget_ends.filter(|(at, _)| *at <= now) {
                budget_ends = None;
                self.step(Input::SolveBudgetSpent { cycle: number }, None);
            }
            if next_cycle <= now {
                let late = now - next_cycle;
                // A loop that was stuck does not make up for lost cycles: it decides once, from what is true now.
                let skipped = u64::try_from(late.as_nanos() / cycle.as_nanos()).unwrap_or(0);
                self.statistics.skipped_cycles.add(skipped);
                let phase = u64::try_from(late.as_nanos() % cycle.as_nanos()).unwrap_or(0);
                next_cycle = now + cycle - Duration::from_nanos(phase);
                (self.cycle_began, self.ingest_time) = (now, Duration::ZERO);
                self.step(Input::CycleStarted, None);
                budget_ends = Some((now + budget, self.engine.cycle()));
            }
            let wake = budget_ends.map_or(next_cycle, |(at, _)| at.min(next_cycle));
            let wait = wake.saturating_duration_since(Instant::now()).min(TURN);
            match messages.recv_timeout(wait) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(message) => self.handle(message),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Request {
                id,
                validate_only,
                request,
                reply,
            } => {
                let input = Input::Request {
                    id,
                    validate_only,
                    request,
                };
                self.step_for(input, None, Some(reply));
            }
            Message::Batch { inputs, reply } => {
                let mut rejected = Vec::new();
                for (index, input) in inputs.into_iter().enumerate() {
                    if let Some(invalid) = self.step(input, None).rejected {
                        rejected.push((index, invalid));
                    }
                }
                let _ = reply.send(rejected);
            }
            Message::Signal {
                signal,
                received,
                reply,
            } => {
                let stepped = self.step(Input::Signal(signal), Some(received));
                self.count_signal(&stepped, received.elapsed());
                self.statistics.signal_to_command.record(received.elapsed());
                let _ = reply.send(match (stepped.achieved, stepped.rejected) {
                    (Some(achieved), _) => Ok(achieved),
                    (None, Some(invalid)) => Err(invalid),
                    (None, None) => Err(Invalid::state("signal", "was not followed")),
                });
            }
            Message::RegulationStopped => drop(self.step(Input::RegulationStopped, None)),
            Message::Solved(solved) => {
                let late = self.engine.late_solutions();
                self.step(Input::Solved(solved), None);
                self.statistics
                    .late_solutions
                    .add(self.engine.late_solutions() - late);
            }
            Message::Query(query) => {
                let now = self.now();
                query(&self.engine, now);
            }
            Message::Stop => {}
        }
    }

    fn count_signal(&mut self, stepped: &Stepped, elapsed: Duration) {
        let statistics = &self.statistics;
        statistics.signals.add(1);
        let deadline = self.engine.config().deadline.to_std().unwrap_or_default();
        statistics.late_signals.add(u64::from(elapsed > deadline));
        let Some(achieved) = &stepped.achieved else {
            statistics.refused_signals.add(1);
            if let Some(invalid) = &stepped.rejected {
                tracing::warn!(%invalid, "a value of the regulation signal was refused");
            }
            return;
        };
        let counter = match achieved.note {
            RegulationNote::Followed => return,
            RegulationNote::Repeated => &statistics.repeated_signals,
            RegulationNote::Late => &statistics.outdated_signals,
            RegulationNote::Clipped => &statistics.clipped_signals,
            RegulationNote::Short => &statistics.short_signals,
        };
        counter.add(1);
        let Some(kept_back) = self.unfollowed.now(Instant::now()) else {
            return;
        };
        tracing::warn!(
            kept_back,
            sequence = achieved.sequence,
            requested = %achieved.requested,
            ordered = %achieved.ordered,
            note = ?achieved.note,
            "a value of the regulation signal could not be followed as it came"
        );
    }

    /// The clock never goes back for the engine.
    fn now(&mut self) -> Timestamp {
        self.last = self.last.max(self.clock.now());
        self.last
    }

    fn step(&mut self, input: Input, signal: Option<Instant>) -> Stepped {
        self.step_for(input, signal, None)
    }

    fn step_for(&mut self, input: Input, signal: Option<Instant>, reply: Option<Reply>) -> Stepped {
        let now = self.now();
        let mut outputs = std::mem::take(&mut self.outputs);
        self.engine.step_into(now, input, &mut outputs);
        let released = Instant::now();
        let mut stepped = Stepped::default();
        let (mut record, mut answered) = (Record::default(), None);
        for output in outputs.drain(..) {
            match output {
                Output::Command(command) => {
                    self.producer.send_command(&command, released, signal);
                }
                Output::Solve(request) => {
                    self.solver.submit(request, self.cycle_began);
                    self.ingest_time = self.cycle_began.elapsed();
                    self.statistics.ingest_time.record(self.ingest_time);
                }
                Output::Record(fact) => record.facts.push(*fact),
                Output::Answer(answer) => answered = Some(*answer),
                Output::Rejected(invalid) => stepped.rejected = Some(invalid),
                Output::Regulated(achieved) => stepped.achieved = Some(achieved),
                Output::EventChanged(event) => record.events.push(*event),
                Output::SignalLost { last } => {
                    self.statistics.lost_signals.add(1);
                    tracing::warn!(%last, "the regulation signal broke off: stations go back to their schedules");
                }
                Output::Cycle(report) => self.count(*report),
            }
        }
        self.outputs = outputs;
        record.answer = reply.zip(answered);
        if !record.facts.is_empty() || record.answer.is_some() || !record.events.is_empty() {
            self.recorder.record(record);
        }
        stepped
    }

    fn count(&self, report: CycleReport) {
        let statistics = &self.statistics;
        statistics.cycles.add(1);
        if report.deadline_missed {
            let [whole, solving] = [report.cycle_time, report.solve_time]
                .map(|time| time.to_std().unwrap_or_default());
            statistics.count_miss(whole, self.ingest_time, solving);
        }
        statistics
            .limit_violations
            .add(report.limit_violation_count as u64);
        if let Some(decision) = report.decision {
            statistics.busy_cycles.add(1);
            match decision {
                Decision::Optimal => {}
                Decision::Incumbent => statistics.incumbent_cycles.add(1),
                Decision::Hold => statistics.held_cycles.add(1),
                Decision::Fallback => statistics.fallback_cycles.add(1),
            }
            statistics
                .degraded_cycles
                .add(u64::from(decision != Decision::Optimal));
            statistics
                .cycle_time
                .record(report.cycle_time.to_std().unwrap_or_default());
            statistics
                .solve_time
                .record(report.solve_time.to_std().unwrap_or_default());
        }
        let _ = self.feeds.cycles.send(Arc::new(report));
    }
}

/// How others reach the sequencer.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) messages: mpsc::SyncSender<Message>,
    pub(crate) feeds: Feeds,
}

/// The engine has stopped, or has more to do than it can.
#[derive(Debug)]
pub(crate) enum Unavailable {
    Busy,
    Stopped,
}

impl Handle {
    fn send(&self, message: Message) -> Result<(), Unavailable> {
        self.messages.try_send(message).map_err(|e| match e {
            mpsc::TrySendError::Full(_) => Unavailable::Busy,
            mpsc::TrySendError::Disconnected(_) => Unavailable::Stopped,
        })
    }

    pub(crate) async fn request(
        &self,
        id: RequestId,
        validate_only: bool,
        request: Request,
    ) -> Result<Result<Answer, Invalid>, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Request {
            id,
            validate_only,
            request,
            reply,
        })?;
        answer.await.map_err(|_| Unavailable::Stopped)
    }

    pub(crate) async fn signal(
        &self,
        signal: RegulationSignal,
    ) -> Result<Result<Achieved, Invalid>, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Signal {
            signal,
            received: Instant::now(),
            reply,
        })?;
        answer.await.map_err(|_| Unavailable::Stopped)
    }

    pub(crate) fn stop_regulation(&self) {
        let _ = self.send(Message::RegulationStopped);
    }

    /// Asks the engine something.
    pub(crate) async fn query<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Engine, Timestamp) -> T + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (reply, answer) = oneshot::channel();
        let query: Query = Box::new(move |engine, now| {
            let _ = reply.send(question(engine, now));
        });
        self.send(Message::Query(query))?;
        answer.await.map_err(|_| Unavailable::Stopped)
    }
}
