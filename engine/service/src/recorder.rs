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
        journal: Option<Journal>,
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
    mut journal: Journal,
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
