//! What somebody was told, on disk before they are told. An append-only file of records, each with its length and a
//! checksum; a tail torn by a crash is cut off, what is before it stays.

mod records;
mod usual;

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use prost::Message as _;
use vpp_dispatch::Fact;
use vpp_proto::v1;
use vpp_proto::v1::journal_record::Record;

use records::{from_fact, to_fact};

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

#[cfg(test)]
mod tests {
    use super::*;
    use vpp_core::{Aggregator, AggregatorId, Energy, Power, RequestId};
    use vpp_dispatch::{Callable, Request, Visits};

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
