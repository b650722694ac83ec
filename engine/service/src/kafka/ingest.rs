//! What comes in: telemetry and acknowledgements, in batches. Offsets are stored for committing only after the engine has
//! taken the batch and its dead letters have left.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use prost::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use vpp_core::{Acknowledgement, Invalid, Telemetry};
use vpp_dispatch::Input;
use vpp_proto::convert::from_timestamp;
use vpp_proto::{SCHEMA_VERSION, topics, v1};

use super::produce::Producer;
use crate::clock::Clock;
use crate::config::KafkaConfig;
use crate::sequencer::Message;
use crate::statistics::Statistics;

/// A batch is closed when it has so many records, or when none waits any longer.
const BATCH: usize = 1_000;
/// Records above this size are refused unread.
const MAX_RECORD: usize = 1 << 20;
/// So much of a refused record is kept.
const MAX_DEAD_PAYLOAD: usize = 64 * 1024;

/// The consumer's thread; stopping it commits what the engine has.
pub(crate) struct Ingest {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Ingest {
    pub(crate) fn start(
        config: &KafkaConfig,
        sequencer: mpsc::SyncSender<Message>,
        producer: Producer,
        clock: Clock,
        statistics: Arc<Statistics>,
    ) -> Result<Ingest, KafkaError> {
        let mut client = super::client(&config.bootstrap);
        client
            .set("group.id", &config.group)
            .set("enable.auto.commit", "true")
            .set("auto.commit.interval.ms", "1000")
            // Only what the engine has taken is stored, and only what is stored is committed.
            .set("enable.auto.offset.store", "false")
            // Where the next records to read are gone (a broker that keeps little, an engine that was away for long),
            // what counts is what comes now. The oldest that is left may be gone as well before it is fetched, and so on
            // for ever: seen on the embedded broker.
            .set("auto.offset.reset", "latest")
            // A broker that holds an empty fetch for its whole wait would otherwise make each message late by it.
            .set("fetch.wait.max.ms", config.fetch_wait_ms.to_string())
            .set("session.timeout.ms", "10000")
            .set("partition.assignment.strategy", "cooperative-sticky");
        super::customize(&mut client, &config.properties);
        let consumer: BaseConsumer = client.create()?;
        consumer.subscribe(&[topics::TELEMETRY, topics::ACKNOWLEDGEMENTS])?;
        let stop = Arc::new(AtomicBool::new(false));
        let worker = Worker {
            consumer,
            sequencer,
            producer,
            clock,
            statistics,
            stop: Arc::clone(&stop),
        };
        let thread = std::thread::Builder::new()
            .name("vpp-ingest".into())
            .spawn(move || worker.run())
            .map_err(|_| KafkaError::Canceled)?;
        Ok(Ingest {
            stop,
            thread: Some(thread),
        })
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Worker {
    consumer: BaseConsumer,
    sequencer: mpsc::SyncSender<Message>,
    producer: Producer,
    clock: Clock,
    statistics: Arc<Statistics>,
    stop: Arc<AtomicBool>,
}

impl Worker {
    fn run(self) {
        let mut complained: Option<Instant> = None;
        while !self.stop.load(Ordering::Relaxed) {
            let batch = self.next_batch(&mut complained);
            if !batch.is_empty() && !self.take(&batch) {
                return;
            }
        }
    }

    /// Waits for a first record, then takes what is there.
    fn next_batch(&self, complained: &mut Option<Instant>) -> Vec<BorrowedMessage<'_>> {
        let mut batch = Vec::new();
        let mut wait = Duration::from_millis(100);
        while batch.len() < BATCH {
            match self.consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => batch.push(message),
                Some(Err(error)) => {
                    // A broker that is away is told once in a while, not for each attempt.
                    if complained.is_none_or(|at| at.elapsed() > Duration::from_secs(10)) {
                        tracing::warn!(%error, "reading from the broker failed; trying on");
                        *complained = Some(Instant::now());
                    }
                    break;
                }
            }
            wait = Duration::ZERO;
        }
        batch
    }

    /// Hands a batch to the engine and stores its offsets. False when the engine has gone.
    fn take(&self, batch: &[BorrowedMessage<'_>]) -> bool {
        let mut inputs = Vec::with_capacity(batch.len());
        let mut positions = Vec::with_capacity(batch.len());
        let mut refused = Vec::new();
        // A full batch: more wait. Then of each station's reports only the last counts; commands' answers all do.
        let newest = (batch.len() >= BATCH).then(|| newest_reports(batch));
        for (position, message) in batch.iter().enumerate() {
            if newest.as_ref().is_some_and(|kept| !kept[position]) {
                self.statistics.superseded_reports.add(1);
                continue;
            }
            match decode(
                message.topic(),
                message.key(),
                message.payload().unwrap_or_default(),
            ) {
                Ok(input) => {
                    inputs.push(input);
                    positions.push(position);
                }
                Err(invalid) => refused.push((position, invalid)),
            }
        }
        let (reply, answer) = mpsc::sync_channel(1);
        if self
            .sequencer
            .send(Message::Batch { inputs, reply })
            .is_err()
        {
            return false;
        }
        let Ok(rejected) = answer.recv() else {
            return false;
        };
        refused.extend(
            rejected
                .into_iter()
                .map(|(index, invalid)| (positions[index], invalid)),
        );
        for (position, invalid) in refused {
            self.bury(&batch[position], &invalid);
        }
        self.statistics.records.add(batch.len() as u64);
        self.store(batch);
        true
    }

    fn bury(&self, message: &BorrowedMessage<'_>, invalid: &Invalid) {
        self.statistics.dead_letters.add(1);
        let payload = message.payload().unwrap_or_default();
        let letter = v1::DeadLetter {
            schema_version: SCHEMA_VERSION,
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            field: invalid.field.clone(),
            reason: invalid.problem.clone(),
            reject_time: Some(from_timestamp(self.clock.now())),
            payload: payload[..payload.len().min(MAX_DEAD_PAYLOAD)].to_vec(),
        };
        self.producer.send_dead_letter(message.key(), &letter);
    }

    fn store(&self, batch: &[BorrowedMessage<'_>]) {
        let mut offsets = TopicPartitionList::new();
        for message in batch {
            let next = Offset::Offset(message.offset() + 1);
            if let Some(mut known) = offsets.find_partition(message.topic(), message.partition()) {
                let _ = known.set_offset(next);
            } else {
                let _ = offsets.add_partition_offset(message.topic(), message.partition(), next);
            }
        }
        // Fails for a partition that was taken away meanwhile: its next owner reads again what is not committed, which
        // is harmless.
        if let Err(error) = self.consumer.store_offsets(&offsets) {
            tracing::debug!(%error, "offsets of a partition taken away were not stored");
        }
    }
}

/// Which records of a batch to look at: of the reports of a station only the last.
fn newest_reports(batch: &[BorrowedMessage<'_>]) -> Vec<bool> {
    last_of_each(batch.iter().map(|message| {
        let report = message.topic() == topics::TELEMETRY;
        report.then(|| message.key().unwrap_or_default())
    }))
}

/// Of those with the same key, the last; all of those without one.
fn last_of_each<'a>(
    keys: impl DoubleEndedIterator<Item = Option<&'a [u8]>> + ExactSizeIterator,
) -> Vec<bool> {
    let mut seen = HashSet::with_capacity(keys.len());
    let backwards = keys.rev();
    let mut kept: Vec<bool> = backwards
        .map(|key| key.is_none_or(|key| seen.insert(key)))
        .collect();
    kept.reverse();
    kept
}

/// Decodes a record of the topic it came from.
///
/// # Errors
/// What is wrong with it, with the field; an empty field when it could not be read at all.
pub(crate) fn decode(topic: &str, key: Option<&[u8]>, payload: &[u8]) -> Result<Input, Invalid> {
    if payload.len() > MAX_RECORD {
        let problem = format!("record of {} bytes, at most {MAX_RECORD}", payload.len());
        return Err(Invalid::new("", problem));
    }
    let unreadable = |e: prost::DecodeError| Invalid::new("", format!("not a message: {e}"));
    let (station, input) = match topic {
        topics::TELEMETRY => {
            let wire = v1::Telemetry::decode(payload).map_err(unreadable)?;
            let telemetry = Telemetry::try_from(wire)?;
            (telemetry.station.clone(), Input::Telemetry(telemetry))
        }
        topics::ACKNOWLEDGEMENTS => {
            let wire = v1::Acknowledgement::decode(payload).map_err(unreadable)?;
            let acknowledgement = Acknowledgement::try_from(wire)?;
            (
                acknowledgement.station.clone(),
                Input::Acknowledgement(acknowledgement),
            )
        }
        other => return Err(Invalid::new("", format!("topic {other} is not read here"))),
    };
    // Rights are granted by key, so the key is what counts.
    if key != Some(station.as_str().as_bytes()) {
        return Err(Invalid::new(
            "station_id",
            format!("{station} is not the key of the record"),
        ));
    }
    Ok(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_stations_reports_the_last_is_kept_and_of_answers_all() {
        let keys: [Option<&[u8]>; 6] = [Some(b"a"), None, Some(b"b"), Some(b"a"), None, Some(b"a")];
        let kept = last_of_each(keys.into_iter());
        assert_eq!(kept, [false, true, true, false, true, true]);
    }
}
