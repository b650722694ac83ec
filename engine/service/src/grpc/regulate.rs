//! `Regulate`: the grid's signal in, achieved power out.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chrono::TimeDelta;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use vpp_core::{Invalid, Power, RegulationAward, RegulationSignal};
use vpp_dispatch::{Achieved, Answer, RegulationNote, Request};
use vpp_proto::convert::{to_duration, to_timestamp};
use vpp_proto::v1;
use vpp_proto::v1::regulate_request::Message as Asked;
use vpp_proto::v1::regulate_response::Message as Told;

use super::fleet::count;
use super::status::{refused, request_id, unavailable};
use crate::sequencer::Handle;
use crate::statistics::Statistics;

type Answers = Pin<Box<dyn Stream<Item = Result<v1::RegulateResponse, Status>> + Send>>;

/// Whose values are followed: those of the stream that was opened last. A sender that lost its connection opens another one,
/// often before the first is seen to be broken; then nothing that still comes on that one is followed, nor does its end stop
/// anything.
#[derive(Clone)]
pub(super) struct Sender {
    opened: Arc<AtomicU64>,
    statistics: Arc<Statistics>,
}

impl Sender {
    pub(super) fn new(statistics: Arc<Statistics>) -> Sender {
        Sender {
            opened: Arc::default(),
            statistics,
        }
    }

    /// A stream is followed from now on; its number.
    fn open(&self) -> u64 {
        self.opened.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn is_followed(&self, stream: u64) -> bool {
        self.opened.load(Ordering::SeqCst) == stream
    }

    /// The sender has ended the stream; whether it was the one that is followed.
    fn close(&self, stream: u64) -> bool {
        let opened = &self.opened;
        let closed =
            opened.compare_exchange(stream, stream + 1, Ordering::SeqCst, Ordering::SeqCst);
        closed.is_ok()
    }
}

/// Opens the regulation that the first message asks for, then follows the values.
pub(super) async fn open(
    handle: Handle,
    sender: Sender,
    mut requests: Streaming<v1::RegulateRequest>,
) -> Result<Answers, Status> {
    let first = requests
        .message()
        .await?
        .and_then(|request| request.message);
    let Some(Asked::Start(start)) = first else {
        return Err(refused(Invalid::new(
            "start",
            "must be the first message of the stream",
        )));
    };
    let id = start.request_id.clone();
    let started = begin(&handle, start).await.inspect_err(|status| {
        sender.statistics.refused_streams.add(1);
        tracing::warn!(
            request_id = id,
            reason = status.message(),
            "a regulation stream was refused"
        );
    })?;
    let stream = sender.open();
    let (answers, receiver) = mpsc::channel(64);
    let _ = answers
        .send(Ok(v1::RegulateResponse {
            message: Some(started),
        }))
        .await;
    tokio::spawn(follow(handle, (sender, stream), requests, answers));
    Ok(Box::pin(ReceiverStream::new(receiver)))
}

async fn begin(handle: &Handle, start: v1::RegulationStart) -> Result<Told, Status> {
    let power =
        |field: &str, kw| Power::from_kilowatts(field, kw).map_err(|e| refused(e.within("start")));
    let asked = RegulationAward {
        up: power("capacity_up_kw", start.capacity_up_kw)?,
        down: power("capacity_down_kw", start.capacity_down_kw)?,
    };
    let sustain = to_duration("start.sustain", start.sustain.as_ref()).map_err(refused)?;
    let request = Request::StartRegulation {
        award: asked,
        sustain: sustain.unwrap_or(TimeDelta::minutes(15)),
    };
    let id = request_id(start.request_id)?;
    let answer = handle
        .request(id, false, request)
        .await
        .map_err(unavailable)?;
    let Answer::Regulation {
        award,
        station_count,
    } = answer.map_err(|e| refused(e.within("start")))?
    else {
        return Err(Status::internal(
            "regulation was asked for, something else came",
        ));
    };
    let refusal_reason = if award == asked {
        String::new()
    } else {
        format!(
            "{} up and {} down were asked; the {station_count} enrolled stations can keep {} and {}",
            asked.up, asked.down, award.up, award.down
        )
    };
    Ok(Told::Started(v1::RegulationStarted {
        capacity_up_kw: award.up.as_kilowatts(),
        capacity_down_kw: award.down.as_kilowatts(),
        station_count: count(station_count),
        refusal_reason,
    }))
}

/// Follows values until the stream ends or breaks. One that ends has stopped regulation; after one that breaks the
/// engine waits for its successor until the signal's timeout.
async fn follow(
    handle: Handle,
    (sender, stream): (Sender, u64),
    mut requests: Streaming<v1::RegulateRequest>,
    answers: mpsc::Sender<Result<v1::RegulateResponse, Status>>,
) {
    loop {
        let answer = match requests.message().await {
            Ok(Some(_)) if !sender.is_followed(stream) => {
                sender.statistics.replaced_streams.add(1);
                tracing::warn!("a value came on a regulation stream that another one has replaced");
                Err(Status::aborted(
                    "another stream of the same sender is followed: open one again, or use that",
                ))
            }
            Ok(Some(request)) => value(&handle, request).await,
            Ok(None) => {
                if sender.close(stream) {
                    handle.stop_regulation();
                }
                return;
            }
            Err(_) => return,
        };
        let answer = answer.map(|told| v1::RegulateResponse {
            message: Some(told),
        });
        let failed = answer.is_err();
        if answers.send(answer).await.is_err() || failed {
            return;
        }
    }
}

async fn value(handle: &Handle, request: v1::RegulateRequest) -> Result<Told, Status> {
    let received = std::time::Instant::now();
    let Some(Asked::Signal(wire)) = request.message else {
        return Err(refused(Invalid::new(
            "signal",
            "is missing: one start, then values",
        )));
    };
    let signal_time =
        to_timestamp("signal.signal_time", wire.signal_time.as_ref()).map_err(refused)?;
    let signal = RegulationSignal {
        sequence: wire.sequence,
        signal_time,
        value: wire.value,
    };
    let achieved = handle
        .signal(signal)
        .await
        .map_err(unavailable)?
        .map_err(refused)?;
    tracing::debug!(
        sequence = achieved.sequence,
        requested = %achieved.requested,
        ordered = %achieved.ordered,
        achieved = %achieved.achieved,
        commands = achieved.command_count,
        note = ?achieved.note,
        "regulation"
    );
    Ok(Told::Achieved(to_wire(
        &achieved,
        received.elapsed().as_secs_f64() * 1e3,
    )))
}

fn to_wire(achieved: &Achieved, decision_ms: f64) -> v1::RegulationAchieved {
    let note = match achieved.note {
        RegulationNote::Followed => "",
        RegulationNote::Repeated => "repeated: the value in force is kept",
        RegulationNote::Late => "older than one before: the value in force is kept",
        RegulationNote::Clipped => "beyond ±1: followed as ±1, the rest is the shortfall",
        RegulationNote::Short => "more than the stations can do: followed as far as that goes",
    };
    v1::RegulationAchieved {
        sequence: achieved.sequence,
        requested_kw: achieved.requested.as_kilowatts(),
        ordered_kw: achieved.ordered.as_kilowatts(),
        achieved_kw: achieved.achieved.as_kilowatts(),
        command_count: count(achieved.command_count),
        decision_ms,
        note: note.into(),
        shortfall_kw: achieved.shortfall.as_kilowatts(),
    }
}
