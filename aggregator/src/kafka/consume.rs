//! What comes in: the aggregator's command topic.
//!
//! All partitions are assigned by hand: one process holds all stations of its aggregator, and after a crash it goes on at
//! once instead of waiting for a group to give up its predecessor. The group serves to commit offsets.
//!
//! After a restart the agents know nothing. So reading begins a command's longest life before now, and not at the committed
//! offset: what was acknowledged before a crash is in force again after it. What lies below the committed offset is not
//! answered a second time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use rdkafka::ClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::MetadataPartition;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use vpp_proto::topics;

use super::offsets::{Offsets, Place};
use super::{Clock, Config};

/// No command lives longer.
const LONGEST_LIFE: TimeDelta = TimeDelta::minutes(15);
/// How long one question to the broker may take.
const ANSWER: Duration = Duration::from_secs(3);
/// How long to wait before asking again.
const AGAIN: Duration = Duration::from_millis(200);
/// Offsets are stored this often at least.
const POLL: Duration = Duration::from_millis(20);
/// How often to look for partitions that were added.
const LOOK_FOR_PARTITIONS: Duration = Duration::from_secs(60);
/// What the group has committed is on disk this soon.
const COMMIT_MS: &str = "500";

/// Does not log the end of a partition as an error: it is asked for.
struct Quiet;

impl ClientContext for Quiet {
    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::PartitionEOF) {
            tracing::error!(%error, reason, "the Kafka client");
        }
    }
}

impl ConsumerContext for Quiet {}

/// What the control loop hears.
#[derive(Debug)]
pub(super) enum Heard {
    /// A record.
    Record(Received),
    /// All that was there at the start has been read: what is in force is known.
    UpToNow,
}

/// A record of the command topic.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) place: Place,
    pub(super) key: Vec<u8>,
    pub(super) payload: Vec<u8>,
    /// Whether an earlier run has answered it.
    pub(super) answered: bool,
}

/// The thread that reads.
pub(super) struct Intake {
    consumer: BaseConsumer<Quiet>,
    topic: String,
    clock: Clock,
    stop: Arc<AtomicBool>,
    /// For each assigned partition, the first offset that was not answered by an earlier run.
    unanswered_from: BTreeMap<i32, i64>,
    /// Partitions whose end has been seen once.
    read_up: BTreeSet<i32>,
}

impl Intake {
    pub(super) fn new(
        config: &Config,
        clock: Clock,
        stop: Arc<AtomicBool>,
    ) -> Result<Intake, KafkaError> {
        let mut client = config.client();
        client
            .set("group.id", format!("vpp-aggregator-{}", config.aggregator))
            .set("enable.auto.commit", "true")
            .set("auto.commit.interval.ms", COMMIT_MS)
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            // When what was committed is no longer kept, the oldest that is: stale commands do no harm, lost ones do.
            .set("auto.offset.reset", "earliest")
            // Some brokers do not wake a waiting fetch when a record comes; then this is the latency.
            .set("fetch.wait.max.ms", "5")
            .set("fetch.error.backoff.ms", "100")
            .set("topic.metadata.refresh.interval.ms", "30000");
        config.finish(&mut client);
        Ok(Intake {
            consumer: client.create_with_context(Quiet)?,
            topic: topics::commands(&config.aggregator),
            clock,
            stop,
            unanswered_from: BTreeMap::new(),
            read_up: BTreeSet::new(),
        })
    }

    /// Hands records on until it shall stop, and stores the offsets of those that are dealt with.
    pub(super) fn run(mut self, heard: &SyncSender<Heard>, settled: &Receiver<Place>) {
        let mut offsets = Offsets::default();
        let mut up_to_now = false;
        let mut look = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            if Instant::now() >= look {
                let wait = match self.assign() {
                    Ok(true) => LOOK_FOR_PARTITIONS,
                    Ok(false) => AGAIN,
                    Err(error) => {
                        tracing::warn!(%error, topic = self.topic, "cannot read commands yet");
                        AGAIN
                    }
                };
                look = Instant::now() + wait;
            }
            match self.consumer.poll(POLL) {
                Some(Ok(message)) => {
                    let place = Place {
                        partition: message.partition(),
                        offset: message.offset(),
                    };
                    let known = self.unanswered_from.get(&place.partition);
                    let answered = known.is_some_and(|first| place.offset < *first);
                    if !answered {
                        offsets.begin(place);
                    }
                    let key = message.key().unwrap_or_default().to_vec();
                    let payload = message.payload().unwrap_or_default().to_vec();
                    let received = Received {
                        place,
                        key,
                        payload,
                        answered,
                    };
                    if heard.send(Heard::Record(received)).is_err() {
                        break;
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => {
                    self.read_up.insert(partition);
                    if !up_to_now && self.read_up.len() == self.unanswered_from.len() {
                        up_to_now = true;
                        if heard.send(Heard::UpToNow).is_err() {
                            break;
                        }
                    }
                }
                Some(Err(error)) => tracing::warn!(%error, "reading commands"),
                None => {}
            }
            self.store(&mut offsets, settled);
        }
        self.store(&mut offsets, settled);
        if let Err(error) = self
            .consumer
            .commit_consumer_state(rdkafka::consumer::CommitMode::Sync)
        {
            tracing::debug!(%error, "nothing committed at the end");
        }
    }

    fn store(&self, offsets: &mut Offsets, settled: &Receiver<Place>) {
        settled.try_iter().for_each(|place| offsets.settle(place));
        for Place { partition, offset } in offsets.take_moved() {
            if let Err(error) = self.consumer.store_offset(&self.topic, partition, offset) {
                tracing::warn!(%error, partition, offset, "cannot store an offset");
            }
        }
    }

    /// Assigns the partitions that are not assigned yet; whether there are any at all.
    fn assign(&mut self) -> Result<bool, KafkaError> {
        let metadata = self.consumer.fetch_metadata(Some(&self.topic), ANSWER)?;
        let topic = metadata
            .topics()
            .iter()
            .find(|topic| topic.name() == self.topic);
        let partitions = topic.map_or(&[][..], |topic| topic.partitions());
        let known = &self.unanswered_from;
        let new: Vec<i32> = partitions
            .iter()
            .map(MetadataPartition::id)
            .filter(|id| !known.contains_key(id))
            .collect();
        if new.is_empty() {
            return Ok(!known.is_empty());
        }
        let committed = self.ask(&new, Offset::Invalid, |asked| {
            self.consumer.committed_offsets(asked, ANSWER)
        })?;
        let since = ((self.clock)() - LONGEST_LIFE).timestamp_millis();
        let recent = self.ask(&new, Offset::Offset(since), |asked| {
            self.consumer.offsets_for_times(asked, ANSWER)
        })?;
        let mut assignment = TopicPartitionList::new();
        let mut unanswered_from = BTreeMap::new();
        for partition in new {
            let committed = committed.get(&partition).copied();
            let start = match (committed, recent.get(&partition).copied()) {
                (Some(committed), Some(recent)) => Offset::Offset(committed.min(recent)),
                (Some(only), None) | (None, Some(only)) => Offset::Offset(only),
                (None, None) => Offset::Beginning,
            };
            assignment.add_partition_offset(&self.topic, partition, start)?;
            unanswered_from.insert(partition, committed.unwrap_or(0));
        }
        self.consumer.incremental_assign(&assignment)?;
        tracing::info!(topic = self.topic, ?assignment, "reading commands");
        self.unanswered_from.append(&mut unanswered_from);
        Ok(true)
    }

    /// The offsets that a question to the broker gives for partitions; those without one are left out.
    fn ask(
        &self,
        partitions: &[i32],
        with: Offset,
        question: impl Fn(TopicPartitionList) -> Result<TopicPartitionList, KafkaError>,
    ) -> Result<BTreeMap<i32, i64>, KafkaError> {
        let mut asked = TopicPartitionList::new();
        for partition in partitions {
            asked.add_partition_offset(&self.topic, *partition, with)?;
        }
        let mut offsets = BTreeMap::new();
        for element in question(asked)?.elements() {
            element.error()?;
            if let Offset::Offset(offset) = element.offset() {
                offsets.insert(element.partition(), offset);
            }
        }
        Ok(offsets)
    }
}
