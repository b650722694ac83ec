//! The thread that owns the journal: first what must last, then whom it concerns. A slow disk delays answers, never the
//! control loop.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use tokio::sync::{broadcast, oneshot};
use vpp_core::{Event, Invalid};
use vpp_dispatch::{Answer, Fact};

use crate::journal::{Journal, JournalError};
use crate::statistics::Statistics;

/// So many steps may wait for the disk.
const WAITING: usize = 1_024;

/// Where facts are kept: the journal on its disk.
pub(crate) trait Ledger: Send + 'static {
    /// Adds a fact; not durable yet.
    fn append(&mut self, fact: &Fact) -> Result<(), JournalError>;
    /// Makes what was added durable.
    fn sync(&mut self) -> Result<(), JournalError>;
}

impl Ledger for Journal {
    fn append(&mut self, fact: &Fact) -> Result<(), JournalError> {
        Journal::append(self, fact)
    }

    fn sync(&mut self) -> Result<(), JournalError> {
        Journal::sync(self)
    }
}

/// Where the answer to a request goes.
pub(crate) type Reply = oneshot::Sender<Result<Answer, Invalid>>;

/// What one step of the engine has to record and to tell.
#[derive(Default)]
pub(crate) struct Record {
    /// To be durable first.
    pub(crate) facts: Vec<Fact>,
    /// Who asked, and the answer.
    pub(crate) answer: Option<(Reply, Result<Answer, Invalid>)>,
    /// Events that changed.
    pub(crate) events: Vec<Event>,
}

impl Record {
    fn tell(self, events: &broadcast::Sender<Event>, failed: Option<&str>) {
        for event in self.events {
            let _ = events.send(event);
        }
        if let Some((reply, answer)) = self.answer {
            // Nobody is told what would not survive. The engine itself goes on with it: the same request, sent again, is
            // answered once the disk is well.
            let answer = match failed {
                Some(reason) if !self.facts.is_empty() => Err(Invalid::state("journal", reason)),
                _ => answer,
            };
            let _ = reply.send(answer);
        }
    }
}

/// A handle to the thread; without a journal there is none, and everything is told at once.
pub(crate) struct Recorder {
    events: broadcast::Sender<Event>,
    statistics: Arc<Statistics>,
    records: Option<SyncSender<Record>>,
    thread: Option<JoinHandle<()>>,
}

impl Recorder {
    pub(crate) fn start(
        journal: Option<impl Ledger>,
        events: broadcast::Sender<Event>,
        statistics: Arc<Statistics>,
    ) -> std::io::Result<Recorder> {
        let mut recorder = Recorder {
            events,
            statistics,
            records: None,
            thread: None,
        };
        if let Some(journal) = journal {
            let (sender, receiver) = sync_channel(WAITING);
            let (events, statistics) = (recorder.events.clone(), Arc::clone(&recorder.statistics));
            let thread = std::thread::Builder::new()
                .name("vpp-journal".into())
                .spawn(move || write(journal, &receiver, &events, &statistics))?;
            (recorder.records, recorder.thread) = (Some(sender), Some(thread));
        }
        Ok(recorder)
    }

    /// Records and tells, in the order of the calls.
    pub(crate) fn record(&self, record: Record) {
        let Some(records) = &self.records else {
            return record.tell(&self.events, None);
        };
        if let Err(TrySendError::Full(record) | TrySendError::Disconnected(record)) =
            records.try_send(record)
        {
            self.statistics.lost_facts.add(record.facts.len() as u64);
            tracing::error!("the journal's disk is too far behind: facts were not recorded");
            record.tell(&self.events, Some("the disk is too far behind"));
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        drop(self.records.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write(
    mut journal: impl Ledger,
    records: &Receiver<Record>,
    events: &broadcast::Sender<Event>,
    statistics: &Statistics,
) {
    while let Ok(first) = records.recv() {
        // What waits shares one sync.
        let batch: Vec<Record> = std::iter::once(first).chain(records.try_iter()).collect();
        let facts = || batch.iter().flat_map(|record| &record.facts);
        let count = facts().count() as u64;
        let mut recorded = || -> Result<(), JournalError> {
            for fact in facts() {
                journal.append(fact)?;
            }
            if count > 0 { journal.sync() } else { Ok(()) }
        };
        let failed = recorded().err().map(|error| {
            tracing::error!(%error, "the journal could not be written");
            statistics.lost_facts.add(count);
            error.to_string()
        });
        for record in batch {
            record.tell(events, failed.as_deref());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use vpp_core::EventId;
    use vpp_core::RequestId;
    use vpp_dispatch::Request;

    use super::*;

    /// A disk that takes its time, or none at all.
    struct Disk {
        sync: Duration,
        broken: bool,
    }

    impl Ledger for Disk {
        fn append(&mut self, _fact: &Fact) -> Result<(), JournalError> {
            Ok(())
        }

        fn sync(&mut self) -> Result<(), JournalError> {
            std::thread::sleep(self.sync);
            if self.broken {
                let error = std::io::Error::from(std::io::ErrorKind::StorageFull);
                return Err(JournalError::Io {
                    path: "journal".into(),
                    source: error,
                });
            }
            Ok(())
        }
    }

    fn recorder(disk: Disk) -> (Recorder, Arc<Statistics>) {
        let statistics = Arc::new(Statistics::default());
        let events = broadcast::channel(8).0;
        let started = Recorder::start(Some(disk), events, Arc::clone(&statistics));
        (started.expect("a thread"), statistics)
    }

    fn record() -> (Record, oneshot::Receiver<Result<Answer, Invalid>>) {
        let (reply, answer) = oneshot::channel();
        let fact = Fact::FleetChanged {
            id: RequestId::new("r").expect("an id"),
            request: Request::CancelEvent(EventId::new("e").expect("an id")),
        };
        let record = Record {
            facts: vec![fact],
            answer: Some((reply, Ok(Answer::Done))),
            events: Vec::new(),
        };
        (record, answer)
    }

    #[test]
    fn a_slow_disk_delays_answers_and_nobody_else() {
        let sync = Duration::from_millis(150);
        let disk = Disk {
            sync,
            broken: false,
        };
        let (recorder, statistics) = recorder(disk);
        let begun = Instant::now();
        let answers: Vec<_> = (0..100)
            .map(|_| {
                let (record, answer) = record();
                recorder.record(record);
                answer
            })
            .collect();
        // The loop handed over a hundred changes in less time than one takes to be durable.
        assert!(begun.elapsed() < sync, "{:?}", begun.elapsed());
        for answer in answers {
            answer.blocking_recv().expect("answered").expect("done");
        }
        assert!(begun.elapsed() >= sync, "an answer came before the disk");
        // Those that waited shared a sync.
        assert!(begun.elapsed() < sync * 20, "{:?}", begun.elapsed());
        assert_eq!(statistics.lost_facts.get(), 0);
    }

    #[test]
    fn a_disk_too_far_behind_is_told_to_whoever_asks() {
        let disk = Disk {
            sync: Duration::from_secs(1),
            broken: false,
        };
        let (recorder, statistics) = recorder(disk);
        let begun = Instant::now();
        // The first is being written when the others come.
        let (first, _) = record();
        recorder.record(first);
        std::thread::sleep(Duration::from_millis(100));
        let mut answers: Vec<_> = (0..=WAITING)
            .map(|_| {
                let (record, answer) = record();
                recorder.record(record);
                answer
            })
            .collect();
        let last = answers.pop().expect("one too many").blocking_recv();
        let refused = last.expect("answered").expect_err("refused");
        assert_eq!(refused.field, "journal");
        assert!(begun.elapsed() < Duration::from_secs(1), "without waiting");
        assert_eq!(statistics.lost_facts.get(), 1);
    }

    #[test]
    fn what_a_full_disk_did_not_take_is_not_answered_as_done() {
        let disk = Disk {
            sync: Duration::ZERO,
            broken: true,
        };
        let (recorder, statistics) = recorder(disk);
        let (record, answer) = record();
        recorder.record(record);
        let refused = answer.blocking_recv().expect("answered");
        assert_eq!(refused.expect_err("refused").field, "journal");
        assert_eq!(statistics.lost_facts.get(), 1);
    }
}
