//! The process: commands in from the broker, acknowledgements and reports out to it.
//!
//! ```text
//!  broker ──► intake thread ──► control loop ──► acknowledgements ──► broker
//!                  ▲            (one thread,         │
//!                  │             owns the sites)     └─► reports ───► broker
//!                  └── offsets whose acknowledgement the broker has ──┘
//! ```
//!
//! The control loop never waits for the broker: with the broker away it goes on setting piles and lets commands expire into
//! their fallback. A command's offset is committed only after the broker has its acknowledgement, so a crash in between
//! answers it again, with the same answer.

mod consume;
mod offsets;
mod produce;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use prost::Message as _;
use rdkafka::ClientConfig;
use rdkafka::error::KafkaError;
use vpp_core::{AggregatorId, Command, Invalid, Timestamp, Unkept};
use vpp_proto::v1;

use crate::operator::{Operator, Statistics};
use crate::site::Sites;
use crate::stay::Doubts;
use consume::{Heard, Intake, Received};
use offsets::Place;
use produce::{Acknowledgements, Counters, Reports};

/// Where now comes from.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Commands above this size are refused unread.
const MAX_COMMAND_BYTES: usize = 64 * 1024;
/// So many commands are taken before the timers are looked at again.
const BATCH: usize = 512;
/// The stop flag is looked at this often at least.
const STOP_CHECK: Duration = Duration::from_millis(50);
/// Commands that wait for the control loop. It takes them much faster than a broker brings them.
const QUEUE: usize = 4_096;
/// Before the stations are set for the first time: what is in force is read again first, and they keep what they had.
const HEAR_FIRST: Duration = Duration::from_secs(1);
/// How long the last acknowledgements may take to leave when the process stops.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How to run.
#[derive(Clone, Debug)]
pub struct Config {
    /// Brokers, `host:port` separated by commas.
    pub bootstrap: String,
    /// Whose commands to take.
    pub aggregator: AggregatorId,
    /// How often every station is set anew: expiry, vehicles that came and went, piles that do not obey.
    pub control_period: Duration,
    /// How often every station reports.
    pub telemetry_period: Duration,
    /// Further properties of the Kafka clients, such as those of security. They come last and win.
    pub client_properties: BTreeMap<String, String>,
}

impl Config {
    /// The usual periods: control each second, reports every two.
    #[must_use]
    pub fn new(bootstrap: impl Into<String>, aggregator: AggregatorId) -> Config {
        Config {
            bootstrap: bootstrap.into(),
            aggregator,
            control_period: Duration::from_secs(1),
            telemetry_period: Duration::from_secs(2),
            client_properties: BTreeMap::new(),
        }
    }

    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        client
            .set("bootstrap.servers", &self.bootstrap)
            .set("client.id", format!("vpp-aggregator-{}", self.aggregator))
            .set("socket.nagle.disable", "true")
            .set("reconnect.backoff.ms", "100")
            .set("reconnect.backoff.max.ms", "1000");
        client
    }

    fn finish(&self, client: &mut ClientConfig) {
        for (name, value) in &self.client_properties {
            client.set(name, value);
        }
    }
}

/// Why it could not run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A Kafka client could not be made: a property that it does not take.
    #[error("cannot make a Kafka client: {0}")]
    Client(#[from] KafkaError),
    /// The thread that takes commands ended.
    #[error("the thread that takes commands ended")]
    Intake,
    /// The configuration and the stations do not belong together.
    #[error("configured for aggregator {configured}, the stations belong to {actual}")]
    Aggregator {
        /// In the configuration.
        configured: AggregatorId,
        /// Of the operator.
        actual: AggregatorId,
    },
}

/// What has happened, when it stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Commands taken.
    pub commands: u64,
    /// Commands of an earlier run that were read again to know what is in force; not answered anew.
    pub recovered: u64,
    /// Records that were no commands.
    pub malformed: u64,
    /// Acknowledgements that the broker has.
    pub acknowledgements: u64,
    /// Times an acknowledgement had to be sent again.
    pub acknowledgements_repeated: u64,
    /// Acknowledgements that the broker did not have when it stopped. Their commands will be read again.
    pub acknowledgements_left: u64,
    /// Reports that the broker has.
    pub telemetry: u64,
    /// Reports given up, because newer ones were there or they had waited too long.
    pub telemetry_dropped: u64,
    /// Times that every station was set.
    pub controls: u64,
    /// Periods of control that were missed.
    pub controls_missed: u64,
    /// What became of the commands.
    pub operator: Statistics,
    /// What readings were not taken as they were.
    pub doubts: Doubts,
    /// Promises to owners of vehicles that were not kept, and why.
    pub unkept: Unkept,
}

/// Runs until `stop` is set: takes commands, sets piles, answers, reports. Blocks; give it a thread.
///
/// # Errors
/// When a client cannot be made, or the stations are another aggregator's. A broker that is away is no error.
pub fn run<S: Sites>(
    config: &Config,
    operator: Operator<S>,
    clock: &Clock,
    stop: &Arc<AtomicBool>,
) -> Result<Report, Error> {
    if *operator.aggregator() != config.aggregator {
        return Err(Error::Aggregator {
            configured: config.aggregator.clone(),
            actual: operator.aggregator().clone(),
        });
    }
    let counters = Arc::new(Counters::default());
    let (done, settled) = mpsc::channel();
    let (received, commands) = mpsc::sync_channel(QUEUE);
    let stations = operator.sites().stations().len();
    let acknowledgements = Acknowledgements::new(config, done.clone(), Arc::clone(&counters))?;
    let reports = Reports::new(config, stations, Arc::clone(&counters))?;
    let over = Arc::new(AtomicBool::new(false));
    let intake = Intake::new(config, Arc::clone(clock), Arc::clone(&over))?;
    let thread = thread::spawn(move || intake.run(&received, &settled));
    let mut control = Control {
        operator,
        clock: Arc::clone(clock),
        acknowledgements,
        reports,
        done,
        knows: false,
        report: Report::default(),
    };
    let outcome = control.run(config, &commands, stop);
    let mut report = control.finish();
    // An intake that waits for room in the queue shall not wait for ever.
    drop(commands);
    // Last: what was acknowledged until now is still to be committed.
    over.store(true, Ordering::Relaxed);
    let joined = thread.join();
    outcome?;
    joined.map_err(|_| Error::Intake)?;
    counters.fill(&mut report);
    Ok(report)
}

/// The control loop.
struct Control<S> {
    operator: Operator<S>,
    clock: Clock,
    acknowledgements: Acknowledgements,
    reports: Reports,
    /// Places whose commands are dealt with.
    done: Sender<Place>,
    /// Whether it knows what is in force. Before that it does not report: it would deny commands of before its start.
    knows: bool,
    report: Report,
}

impl<S: Sites> Control<S> {
    fn run(
        &mut self,
        config: &Config,
        commands: &Receiver<Heard>,
        stop: &AtomicBool,
    ) -> Result<(), Error> {
        let mut control = Timer::new(config.control_period, HEAR_FIRST);
        let mut telemetry = Timer::new(config.telemetry_period, Duration::ZERO);
        while !stop.load(Ordering::Relaxed) {
            let wait = control.left().min(telemetry.left()).min(STOP_CHECK);
            match commands.recv_timeout(wait) {
                Ok(first) => {
                    self.take(first);
                    commands
                        .try_iter()
                        .take(BATCH)
                        .for_each(|next| self.take(next));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Error::Intake),
            }
            if let Some(missed) = control.due() {
                self.operator.control((self.clock)());
                self.report.controls += 1;
                self.report.controls_missed += missed;
            }
            if telemetry.due().is_some() && self.knows {
                let reports = self.operator.telemetry((self.clock)());
                self.reports.send(&reports);
            }
            self.acknowledgements.pump();
            self.reports.pump();
        }
        Ok(())
    }

    fn take(&mut self, heard: Heard) {
        let received = match heard {
            Heard::Record(received) => received,
            Heard::UpToNow => {
                self.knows = true;
                return;
            }
        };
        let Received {
            place,
            key,
            payload,
            answered,
        } = received;
        let command = match decode(&key, &payload) {
            Ok(command) => command,
            Err(invalid) => {
                let Place { partition, offset } = place;
                tracing::warn!(partition, offset, %invalid, "a record that is no command");
                self.report.malformed += 1;
                self.settle(place);
                return;
            }
        };
        let answer = self.operator.receive((self.clock)(), &command);
        if answered {
            self.report.recovered += 1;
            return;
        }
        self.report.commands += 1;
        match answer {
            Some(acknowledgement) => self.acknowledgements.send(place, &acknowledgement),
            None => {
                tracing::debug!(station = %command.station, "a command that nobody answers");
                self.settle(place);
            }
        }
    }

    /// The intake may be gone already when the process stops; then there is nothing to settle.
    fn settle(&self, place: Place) {
        let _ = self.done.send(place);
    }

    fn finish(&mut self) -> Report {
        self.report.acknowledgements_left = self.acknowledgements.finish(LAST_WORDS);
        self.report.operator = self.operator.statistics();
        self.report.doubts = self.operator.doubts();
        self.report.unkept = self.operator.unkept();
        self.report
    }
}

fn decode(key: &[u8], payload: &[u8]) -> Result<Command, Invalid> {
    if payload.len() > MAX_COMMAND_BYTES {
        let problem = format!("has {} bytes, at most {MAX_COMMAND_BYTES}", payload.len());
        return Err(Invalid::new("command", problem));
    }
    let wire = v1::Command::decode(payload)
        .map_err(|error| Invalid::new("command", format!("cannot be decoded: {error}")))?;
    let command = Command::try_from(wire)?;
    // The key decides the partition, and with it the order: under another key it could overtake.
    if key != command.station.as_str().as_bytes() {
        return Err(Invalid::new("station_id", "is not the key of the record"));
    }
    Ok(command)
}

/// Something that is due again and again. Periods that were missed are left out, not caught up with.
struct Timer {
    period: Duration,
    next: Instant,
}

impl Timer {
    fn new(period: Duration, first: Duration) -> Timer {
        Timer {
            period: period.max(Duration::from_millis(1)),
            next: Instant::now() + first,
        }
    }

    fn left(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// If it is due: how many periods were missed.
    fn due(&mut self) -> Option<u64> {
        let late = Instant::now().checked_duration_since(self.next)?;
        let missed = late.as_nanos() / self.period.as_nanos();
        let missed = u32::try_from(missed).unwrap_or(u32::MAX - 1);
        self.next += self.period * (missed + 1);
        Some(u64::from(missed))
    }
}
