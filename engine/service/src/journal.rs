//! What somebody was told, on disk before they are told. An append-only file of records, each with its length and a
//! checksum; a tail torn by a crash is cut off, what is before it stays.

mod usual;

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use prost::Message as _;
use vpp_core::{
    Aggregator, AggregatorId, Energy, Event, Invalid, Node, Power, RequestId, Station, StationId,
};
use vpp_dispatch::{Baseline, Callable, Fact, Invited, Request, Visits};
use vpp_proto::convert::{
    asked_from_wire, asked_to_wire, from_timestamp, invitation_from_wire, invitation_to_wire,
    to_timestamp,
};
use vpp_proto::v1;
use vpp_proto::v1::journal_record::Record;

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk refused.
    #[error("journal {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A record whose checksum holds cannot be understood: another version wrote it.
    #[error("journal {path}, record {record}: {reason}")]
    Record {
        /// The file.
        path: PathBuf,
        /// Its number, from 0.
        record: usize,
        /// What is wrong.
        reason: String,
    },
}

/// The open journal.
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
    /// Length of what is known to be whole.
    length: u64,
}

/// What the journal held.
pub(crate) struct Recovered {
    pub(crate) facts: Vec<Fact>,
    pub(crate) epoch: u64,
    /// Bytes cut off the end.
    pub(crate) torn: u64,
}

impl Journal {
    /// Opens the journal of a folder, making both if need be, and reads what it holds.
    pub(crate) fn open(folder: &Path) -> Result<(Journal, Recovered), JournalError> {
        let path = folder.join("journal.bin");
        let io = |source| JournalError::Io {
            path: path.clone(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(io)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(io)?;
        // Two engines on one journal would both command.
        file.try_lock().map_err(|e| {
            io(std::io::Error::other(format!(
                "in use by another engine: {e}"
            )))
        })?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io)?;
        let (payloads, whole) = split_records(&bytes);
        let mut recovered = Recovered {
            facts: Vec::new(),
            epoch: 0,
            torn: (bytes.len() - whole) as u64,
        };
        for (record, payload) in payloads.into_iter().enumerate() {
            let unreadable = |reason: String| JournalError::Record {
                path: path.clone(),
                record,
                reason,
            };
            let wire = v1::JournalRecord::decode(payload).map_err(|e| unreadable(e.to_string()))?;
            match wire.record {
                Some(Record::Epoch(epoch)) => recovered.epoch = epoch,
                Some(record) => {
                    recovered
                        .facts
                        .push(to_fact(record).map_err(|e| unreadable(e.to_string()))?);
                }
                None => return Err(unreadable("a record of a later version".into())),
            }
        }
        // After the stations that it speaks of.
        recovered.facts.extend(usual::kept(&path));
        file.set_len(whole as u64).map_err(io)?;
        file.seek(SeekFrom::Start(whole as u64)).map_err(io)?;
        Ok((
            Journal {
                file,
                path,
                length: whole as u64,
            },
            recovered,
        ))
    }

    /// Writes a fact. Not durable before [`Journal::sync`].
    pub(crate) fn append(&mut self, fact: &Fact) -> Result<(), JournalError> {
        if matches!(fact, Fact::UsualLoads(_)) {
            let kept = usual::keep(&self.path, &framed(from_fact(fact)));
            if let Err(error) = kept {
                tracing::warn!(%error, "what stations usually draw was not kept");
            }
            return Ok(());
        }
        self.write(from_fact(fact))
    }

    /// Writes the epoch of this start, durably.
    pub(crate) fn begin(&mut self, epoch: u64) -> Result<(), JournalError> {
        self.write(Record::Epoch(epoch))?;
        self.sync()
    }

    fn write(&mut self, record: Record) -> Result<(), JournalError> {
        let framed = framed(record);
        if let Err(source) = self.file.write_all(&framed) {
            // A full disk may have taken a part: what follows must not stand behind garbage.
            let _ = self.file.set_len(self.length);
            let _ = self.file.seek(SeekFrom::Start(self.length));
            return Err(self.io(source));
        }
        self.length += framed.len() as u64;
        Ok(())
    }

    /// Waits until everything written is on the disk.
    pub(crate) fn sync(&mut self) -> Result<(), JournalError> {
        self.file.sync_data().map_err(|source| self.io(source))
    }

    fn io(&self, source: std::io::Error) -> JournalError {
        JournalError::Io {
            path: self.path.clone(),
            source,
        }
    }
}

/// A record with its length and its checksum.
fn framed(record: Record) -> Vec<u8> {
    let record = v1::JournalRecord {
        record: Some(record),
    };
    let payload = record.encode_to_vec();
    // The largest, what a hundred thousand stations usually draw, takes 80 MB.
    let length = u32::try_from(payload.len()).expect("a record is below 4 GiB");
    let mut framed = Vec::with_capacity(payload.len() + 8);
    framed.extend_from_slice(&length.to_le_bytes());
    framed.extend_from_slice(&crc32fast::hash(&payload).to_le_bytes());
    framed.extend_from_slice(&payload);
    framed
}

/// The payloads of whole records, and how many bytes they take.
fn split_records(bytes: &[u8]) -> (Vec<&[u8]>, usize) {
    let mut payloads = Vec::new();
    let mut at = 0;
    while let Some((header, rest)) = bytes[at..].split_at_checked(8) {
        let word =
            |i: usize| u32::from_le_bytes([header[i], header[i + 1], header[i + 2], header[i + 3]]);
        let Some(payload) = rest.get(..word(0) as usize) else {
            break;
        };
        if crc32fast::hash(payload) != word(4) {
            break;
        }
        payloads.push(payload);
        at += 8 + payload.len();
    }
    (payloads, at)
}

fn from_fact(fact: &Fact) -> Record {
    let event_record = |id: &RequestId, event: &Event| v1::EventRecord {
        request_id: id.to_string(),
        event: Some(event.into()),
    };
    match fact {
        Fact::Event { id, event } => Record::Event(event_record(id, event)),
        Fact::EventCancelled { id, event } => Record::EventCancelled(event_record(id, event)),
        Fact::FleetChanged { id, request } => from_change(id.to_string(), request),
        Fact::Invitation { asked, invited } => {
            let Invited { id, process, event } = &**invited;
            let asked = asked.as_ref();
            Record::Invitation(v1::InvitationRecord {
                invitation: Some(invitation_to_wire(id, process, event.as_ref())),
                asked: asked.map(|(request, step)| asked_to_wire(request.to_string(), id, step)),
            })
        }
        Fact::Callable { at, callable } => {
            let one = |one: &Callable| v1::AggregatorCallable {
                aggregator_id: one.aggregator.to_string(),
                up_kw: one.up.as_kilowatts(),
                down_kw: one.down.as_kilowatts(),
            };
            Record::Callable(v1::CallableRecord {
                time: Some(from_timestamp(*at)),
                aggregators: callable.iter().map(one).collect(),
            })
        }
        Fact::Visits { at, visits } => {
            let one = |(aggregator, visits): &(AggregatorId, Visits)| v1::AggregatorVisits {
                aggregator_id: aggregator.to_string(),
                arrival_count: visits.arrivals,
                departure_count: visits.departures,
                energy_needed_kwh: visits.energy_needed.as_kilowatt_hours(),
            };
            Record::Visits(v1::VisitsRecord {
                start_time: Some(from_timestamp(*at)),
                aggregators: visits.iter().map(one).collect(),
            })
        }
        Fact::Baselines(frozen) => Record::Baselines(v1::BaselinesRecord {
            stations: frozen
                .iter()
                .map(|(station, baseline)| v1::StationBaseline {
                    station_id: station.to_string(),
                    start_time: Some(from_timestamp(baseline.start)),
                    quarters_w: baseline.quarters.iter().map(|p| p.as_watts()).collect(),
                    in_event: baseline.in_event,
                })
                .collect(),
        }),
        Fact::UsualLoads(loads) => Record::UsualLoads(v1::UsualLoadsRecord {
            stations: loads
                .iter()
                .map(|(station, means)| v1::StationUsualLoad {
                    station_id: station.to_string(),
                    quarters_kw: means.clone(),
                })
                .collect(),
        }),
    }
}

fn from_change(request_id: String, request: &Request) -> Record {
    let validate_only = false;
    match request {
        Request::RegisterAggregator(aggregator) => {
            Record::RegisterAggregator(v1::RegisterAggregatorRequest {
                request_id,
                validate_only,
                aggregator: Some(aggregator.into()),
            })
        }
        Request::RegisterNodes(nodes) => Record::RegisterNodes(v1::RegisterNodesRequest {
            request_id,
            validate_only,
            nodes: nodes.iter().map(Into::into).collect(),
        }),
        Request::RegisterStations(stations) => {
            Record::RegisterStations(v1::RegisterStationsRequest {
                request_id,
                validate_only,
                stations: stations.iter().map(Into::into).collect(),
            })
        }
        Request::UpdateAggregator(change) => {
            Record::UpdateAggregator(v1::UpdateAggregatorRequest {
                request_id,
                ..change.into()
            })
        }
        Request::UpdateNode(change) => Record::UpdateNode(v1::UpdateNodeRequest {
            request_id,
            ..change.into()
        }),
        Request::UpdateStation(change) => Record::UpdateStation(v1::UpdateStationRequest {
            request_id,
            ..change.into()
        }),
        Request::SubmitEvent(_)
        | Request::CancelEvent(_)
        | Request::StepInvitation { .. }
        | Request::StartRegulation { .. } => {
            unreachable!("recorded as what they led to")
        }
    }
}

fn to_fact(record: Record) -> Result<Fact, Invalid> {
    let missing = |field: &str| Invalid::new(field, "is missing");
    let change = |id: String, request| {
        Ok(Fact::FleetChanged {
            id: RequestId::new(id)?,
            request,
        })
    };
    match record {
        Record::Epoch(_) => Err(Invalid::new("epoch", "is no fact")),
        Record::RegisterAggregator(wire) => {
            let aggregator = wire.aggregator.ok_or_else(|| missing("aggregator"))?;
            change(
                wire.request_id,
                Request::RegisterAggregator(Aggregator::try_from(aggregator)?),
            )
        }
        Record::UpdateAggregator(wire) => change(
            wire.request_id.clone(),
            Request::UpdateAggregator(wire.try_into()?),
        ),
        Record::RegisterNodes(wire) => {
            let nodes: Result<_, _> = wire.nodes.into_iter().map(Node::try_from).collect();
            change(wire.request_id, Request::RegisterNodes(nodes?))
        }
        Record::UpdateNode(wire) => change(
            wire.request_id.clone(),
            Request::UpdateNode(wire.try_into()?),
        ),
        Record::RegisterStations(wire) => {
            let stations: Result<_, _> = wire.stations.into_iter().map(Station::try_from).collect();
            change(wire.request_id, Request::RegisterStations(stations?))
        }
        Record::UpdateStation(wire) => change(
            wire.request_id.clone(),
            Request::UpdateStation(wire.try_into()?),
        ),
        Record::Event(wire) => {
            let event = wire.event.ok_or_else(|| missing("event"))?;
            Ok(Fact::Event {
                id: RequestId::new(wire.request_id)?,
                event: event.try_into()?,
            })
        }
        Record::Baselines(wire) => {
            let frozen = |wire: v1::StationBaseline| {
                #[allow(clippy::cast_precision_loss)] // refused where it is lost
                let power = |watts| Power::from_kilowatts("quarters_w", watts as f64 / 1e3);
                let powers = wire.quarters_w.into_iter().map(power);
                let baseline = Baseline {
                    start: to_timestamp("start_time", wire.start_time.as_ref())?,
                    quarters: powers.collect::<Result<_, Invalid>>()?,
                    in_event: wire.in_event,
                };
                if baseline.quarters.is_empty() {
                    return Err(missing("quarters_w"));
                }
                Ok((StationId::new(wire.station_id)?, baseline))
            };
            let stations = wire.stations.into_iter().map(frozen);
            Ok(Fact::Baselines(stations.collect::<Result<_, Invalid>>()?))
        }
        Record::UsualLoads(wire) => {
            let usual = |wire: v1::StationUsualLoad| {
                Ok((StationId::new(wire.station_id)?, wire.quarters_kw))
            };
            let stations = wire.stations.into_iter().map(usual);
            Ok(Fact::UsualLoads(stations.collect::<Result<_, Invalid>>()?))
        }
        Record::Callable(wire) => {
            let one = |wire: v1::AggregatorCallable| {
                Ok(Callable {
                    aggregator: AggregatorId::new(wire.aggregator_id)?,
                    up: Power::from_kilowatts("up_kw", wire.up_kw)?,
                    down: Power::from_kilowatts("down_kw", wire.down_kw)?,
                })
            };
            let aggregators = wire.aggregators.into_iter().map(one);
            Ok(Fact::Callable {
                at: to_timestamp("time", wire.time.as_ref())?,
                callable: aggregators.collect::<Result<_, Invalid>>()?,
            })
        }
        Record::Visits(wire) => {
            let one = |wire: v1::AggregatorVisits| {
                let energy = wire.energy_needed_kwh;
                let visits = Visits {
                    arrivals: wire.arrival_count,
                    departures: wire.departure_count,
                    energy_needed: Energy::from_kilowatt_hours("energy_needed_kwh", energy)?,
                };
                Ok((AggregatorId::new(wire.aggregator_id)?, visits))
            };
            let aggregators = wire.aggregators.into_iter().map(one);
            Ok(Fact::Visits {
                at: to_timestamp("start_time", wire.start_time.as_ref())?,
                visits: aggregators.collect::<Result<_, Invalid>>()?,
            })
        }
        Record::Invitation(wire) => {
            let invitation = wire.invitation.ok_or_else(|| missing("invitation"))?;
            let (id, process, event) = invitation_from_wire(invitation)?;
            let asked = wire.asked.map(asked_from_wire).transpose()?;
            let asked = asked.map(|(request, (_, step))| Ok((RequestId::new(request)?, step)));
            Ok(Fact::Invitation {
                asked: asked.transpose()?,
                invited: Box::new(Invited { id, process, event }),
            })
        }
        Record::EventCancelled(wire) => {
            let event = wire.event.ok_or_else(|| missing("event"))?;
            let id = RequestId::new(wire.request_id)?;
            Ok(Fact::EventCancelled {
                id,
                event: event.try_into()?,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vpp_core::AggregatorId;

    fn fact(number: usize) -> Fact {
        let id = AggregatorId::new(format!("a{number}")).unwrap();
        Fact::FleetChanged {
            id: RequestId::new(format!("r{number}")).unwrap(),
            request: Request::RegisterAggregator(Aggregator {
                id,
                display_name: "甲".into(),
                tested_share: Some(0.9),
            }),
        }
    }

    #[test]
    fn a_journal_cut_at_any_byte_keeps_every_whole_record() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(folder.path()).unwrap();
        journal.begin(7).unwrap();
        let mut ends = vec![journal.length];
        for number in 0..5 {
            journal.append(&fact(number)).unwrap();
            ends.push(journal.length);
        }
        journal.sync().unwrap();
        drop(journal);
        let path = folder.path().join("journal.bin");
        let bytes = std::fs::read(&path).unwrap();
        for cut in (0..=bytes.len()).rev() {
            std::fs::write(&path, &bytes[..cut]).unwrap();
            let (mut journal, recovered) = Journal::open(folder.path()).unwrap();
            let whole = ends.iter().filter(|end| **end <= cut as u64).count();
            assert_eq!(
                recovered.facts.len(),
                whole.saturating_sub(1),
                "cut at {cut}"
            );
            assert_eq!(recovered.epoch, if whole > 0 { 7 } else { 0 });
            journal.append(&fact(9)).unwrap();
            drop(journal);
            let (_, again) = Journal::open(folder.path()).unwrap();
            assert_eq!(again.facts.last(), Some(&fact(9)), "cut at {cut}");
            assert_eq!(again.torn, 0);
        }
    }

    #[test]
    fn what_was_callable_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let callable = |aggregator: &str, up: i64| Callable {
            aggregator: AggregatorId::new(aggregator).unwrap(),
            up: Power::from_watts(up),
            down: Power::from_watts(3),
        };
        let seen = Fact::Callable {
            at: vpp_core::Timestamp::from_timestamp(1_800_000_900, 0).unwrap(),
            callable: vec![callable("north", 123_456_789), callable("south", 0)],
        };
        let (mut journal, _) = Journal::open(folder.path()).unwrap();
        journal.append(&seen).unwrap();
        // Two aggregators take 70 bytes a quarter: 2.5 MB a year.
        assert!(journal.length < 72, "{} bytes", journal.length);
        drop(journal);
        let (_, recovered) = Journal::open(folder.path()).unwrap();
        assert_eq!(recovered.facts, [seen]);
    }

    #[test]
    fn who_came_and_went_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let visits = |arrivals, departures, energy| Visits {
            arrivals,
            departures,
            energy_needed: Energy::from_watt_milliseconds(energy),
        };
        let seen = Fact::Visits {
            at: vpp_core::Timestamp::from_timestamp(1_800_000_900, 0).unwrap(),
            visits: vec![
                (
                    AggregatorId::new("north").unwrap(),
                    visits(7, 9, 123_456_789_012),
                ),
                (AggregatorId::new("south").unwrap(), visits(0, 0, 0)),
            ],
        };
        let (mut journal, _) = Journal::open(folder.path()).unwrap();
        journal.append(&seen).unwrap();
        drop(journal);
        let (_, recovered) = Journal::open(folder.path()).unwrap();
        assert_eq!(recovered.facts, [seen]);
    }

    #[test]
    fn a_flipped_bit_ends_what_is_believed() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(folder.path()).unwrap();
        journal.append(&fact(1)).unwrap();
        journal.append(&fact(2)).unwrap();
        drop(journal);
        let path = folder.path().join("journal.bin");
        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let (_, recovered) = Journal::open(folder.path()).unwrap();
        assert_eq!(recovered.facts, [fact(1)]);
        assert!(recovered.torn > 0);
    }

    #[test]
    fn two_engines_do_not_share_a_journal() {
        let folder = tempfile::tempdir().unwrap();
        let _first = Journal::open(folder.path()).unwrap();
        assert!(Journal::open(folder.path()).is_err());
    }
}
