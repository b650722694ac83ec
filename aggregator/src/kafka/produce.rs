//! What goes out. Acknowledgements are sent until the broker has them; reports make way for newer ones.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::time::{Duration, Instant};

use prost::Message as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext};
use vpp_core::{Acknowledgement, Telemetry};
use vpp_proto::{topics, v1};

use super::offsets::Place;
use super::{Config, Report};

/// An acknowledgement that was not taken is sent again after this.
const AGAIN: Duration = Duration::from_millis(200);
/// So long answers wait for others. A broker keeps, finds and hands out batches, not messages: the embedded one looks through all
/// that it has for each, and slowed down within ten minutes when every answer was one of its own.
const ACKNOWLEDGEMENTS_LINGER_MS: &str = "5";
/// A report that has waited longer is not worth sending: several newer ones are there.
const REPORT_LIFE_MS: &str = "10000";

/// What the broker has taken and what not.
#[derive(Debug, Default)]
pub(super) struct Counters {
    acknowledgements: AtomicU64,
    acknowledgements_repeated: AtomicU64,
    telemetry: AtomicU64,
    telemetry_dropped: AtomicU64,
}

impl Counters {
    pub(super) fn fill(&self, report: &mut Report) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        report.acknowledgements = read(&self.acknowledgements);
        report.acknowledgements_repeated = read(&self.acknowledgements_repeated);
        report.telemetry = read(&self.telemetry);
        report.telemetry_dropped = read(&self.telemetry_dropped);
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn producer(config: &Config) -> ClientConfig {
    let mut client = config.client();
    client
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("linger.ms", "1")
        .set("retry.backoff.ms", "50");
    client
}

/// An acknowledgement on its way.
#[derive(Debug)]
struct Answer {
    /// Of its command.
    place: Place,
    station: String,
    payload: Vec<u8>,
}

/// What becomes of acknowledgements.
struct Fate {
    done: Sender<Place>,
    failed: Sender<Answer>,
    counters: Arc<Counters>,
}

impl ClientContext for Fate {}

impl ProducerContext for Fate {
    type DeliveryOpaque = Box<Answer>;

    // The other ends are gone only when the process stops; then the commands are read again by the next one.
    fn delivery(&self, result: &DeliveryResult<'_>, answer: Box<Answer>) {
        match result {
            Ok(_) => {
                count(&self.counters.acknowledgements);
                let _ = self.done.send(answer.place);
            }
            Err((error, _)) => {
                count(&self.counters.acknowledgements_repeated);
                tracing::warn!(%error, station = answer.station, "the broker did not take an acknowledgement");
                let _ = self.failed.send(*answer);
            }
        }
    }
}

/// Sends acknowledgements, each until the broker has it.
pub(super) struct Acknowledgements {
    client: ClientConfig,
    producer: ThreadedProducer<Fate>,
    done: Sender<Place>,
    failed: (Sender<Answer>, Receiver<Answer>),
    counters: Arc<Counters>,
    waiting: VecDeque<Answer>,
    not_before: Instant,
}

impl Acknowledgements {
    pub(super) fn new(
        config: &Config,
        done: Sender<Place>,
        counters: Arc<Counters>,
    ) -> Result<Acknowledgements, KafkaError> {
        let mut client = producer(config);
        // Never given up: what the engine waits for, and what its command's offset waits for.
        client.set("message.timeout.ms", "0");
        // Commands come in bursts, and so do their answers: in one batch rather than in ten. The engine waits for seconds.
        client.set("linger.ms", ACKNOWLEDGEMENTS_LINGER_MS);
        config.finish(&mut client);
        let failed = mpsc::channel();
        let fate = Fate {
            done: done.clone(),
            failed: failed.0.clone(),
            counters: Arc::clone(&counters),
        };
        Ok(Acknowledgements {
            producer: client.create_with_context(fate)?,
            client,
            done,
            failed,
            counters,
            waiting: VecDeque::new(),
            not_before: Instant::now(),
        })
    }

    pub(super) fn send(&mut self, place: Place, acknowledgement: &Acknowledgement) {
        let payload = v1::Acknowledgement::from(acknowledgement).encode_to_vec();
        let station = acknowledgement.station.to_string();
        self.waiting.push_back(Answer {
            place,
            station,
            payload,
        });
        self.hand_over();
    }

    /// Sends again what was not taken.
    pub(super) fn pump(&mut self) {
        let failed = self.failed.1.try_iter();
        let before = self.waiting.len();
        self.waiting.extend(failed);
        if self.waiting.len() > before {
            self.not_before = Instant::now() + AGAIN;
            self.renew_after_a_fatal_error();
        }
        if Instant::now() >= self.not_before {
            self.hand_over();
        }
    }

    /// Waits until the broker has everything, at most so long; how many it does not have.
    pub(super) fn finish(&mut self, patience: Duration) -> u64 {
        let deadline = Instant::now() + patience;
        loop {
            self.pump();
            let left = deadline.saturating_duration_since(Instant::now());
            let underway = u64::try_from(self.producer.in_flight_count()).unwrap_or(0);
            let open = underway + self.waiting.len() as u64;
            if open == 0 || left.is_zero() {
                return open;
            }
            // Ends early when the queue is empty; what could not be delivered comes back through `failed`.
            let _ = self.producer.flush(left.min(AGAIN));
        }
    }

    /// Moves what waits into the client's queue as far as it takes it.
    fn hand_over(&mut self) {
        while let Some(answer) = self.waiting.pop_front() {
            let (station, payload) = (answer.station.clone(), answer.payload.clone());
            let record = BaseRecord::with_opaque_to(topics::ACKNOWLEDGEMENTS, Box::new(answer))
                .key(&station)
                .payload(&payload);
            let Err((error, record)) = self.producer.send(record) else {
                continue;
            };
            if !is_full(&error) {
                tracing::warn!(%error, station, "cannot send an acknowledgement yet");
                self.renew_after_a_fatal_error();
            }
            self.waiting.push_front(*record.delivery_opaque);
            self.not_before = Instant::now() + AGAIN;
            return;
        }
    }

    /// An idempotent producer that has lost its place takes nothing any more. Another one does; what the old one still
    /// had comes back as failed.
    fn renew_after_a_fatal_error(&mut self) {
        let Some((code, reason)) = self.producer.client().fatal_error() else {
            return;
        };
        tracing::error!(?code, reason, "making another producer of acknowledgements");
        let fate = Fate {
            done: self.done.clone(),
            failed: self.failed.0.clone(),
            counters: Arc::clone(&self.counters),
        };
        match self.client.create_with_context(fate) {
            Ok(producer) => self.producer = producer,
            Err(error) => tracing::error!(%error, "no other producer"),
        }
    }
}

/// What becomes of reports.
struct ReportFate(Arc<Counters>);

impl ClientContext for ReportFate {}

impl ProducerContext for ReportFate {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => count(&self.0.telemetry),
            Err((error, _)) => {
                count(&self.0.telemetry_dropped);
                tracing::debug!(%error, "the broker did not take a report");
            }
        }
    }
}

/// Sends reports of stations.
pub(super) struct Reports {
    client: ClientConfig,
    producer: ThreadedProducer<ReportFate>,
    counters: Arc<Counters>,
    /// Those that the client does not take yet, the oldest first.
    waiting: VecDeque<(String, Vec<u8>)>,
    /// How many may wait: one for each station.
    room: usize,
}

impl Reports {
    pub(super) fn new(
        config: &Config,
        stations: usize,
        counters: Arc<Counters>,
    ) -> Result<Reports, KafkaError> {
        let mut client = producer(config);
        client.set("message.timeout.ms", REPORT_LIFE_MS).set(
            "queue.buffering.max.messages",
            (4 * stations).max(1_000).to_string(),
        );
        config.finish(&mut client);
        let fate = ReportFate(Arc::clone(&counters));
        let producer = client.create_with_context(fate)?;
        Ok(Reports {
            client,
            producer,
            counters,
            waiting: VecDeque::new(),
            room: stations.max(1),
        })
    }

    pub(super) fn send(&mut self, reports: &[Telemetry]) {
        for report in reports {
            let payload = v1::Telemetry::from(report).encode_to_vec();
            if self.waiting.len() >= self.room {
                self.waiting.pop_front();
                count(&self.counters.telemetry_dropped);
            }
            self.waiting
                .push_back((report.station.to_string(), payload));
            self.pump();
        }
    }

    /// Moves what waits into the client's queue as far as it takes it.
    pub(super) fn pump(&mut self) {
        while let Some((station, payload)) = self.waiting.front() {
            let record = BaseRecord::to(topics::TELEMETRY)
                .key(station)
                .payload(payload);
            match self.producer.send(record) {
                Ok(()) => {}
                Err((error, _)) if is_full(&error) => return,
                Err((error, _)) => {
                    tracing::warn!(%error, station, "cannot send a report");
                    count(&self.counters.telemetry_dropped);
                    self.renew_after_a_fatal_error();
                }
            }
            self.waiting.pop_front();
        }
    }

    fn renew_after_a_fatal_error(&mut self) {
        if self.producer.client().fatal_error().is_none() {
            return;
        }
        match self
            .client
            .create_with_context(ReportFate(Arc::clone(&self.counters)))
        {
            Ok(producer) => self.producer = producer,
            Err(error) => tracing::error!(%error, "no other producer of reports"),
        }
    }
}

fn is_full(error: &KafkaError) -> bool {
    matches!(
        error,
        KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull)
    )
}
