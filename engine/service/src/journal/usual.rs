//! What stations usually draw, in a file beside the journal that is replaced as a whole every day: nobody was told, so that one that
//! is lost or damaged is learned anew.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use prost::Message as _;
use vpp_dispatch::Fact;
use vpp_proto::v1;

use super::{split_records, to_fact};

const NAME: &str = "usual-load.bin";

/// Replaces what was kept: all of it or nothing.
pub(super) fn keep(journal: &Path, framed: &[u8]) -> std::io::Result<()> {
    let path = journal.with_file_name(NAME);
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    file.write_all(framed)?;
    file.sync_data()?;
    std::fs::rename(new, path)
}

/// What was kept, if it is whole.
pub(super) fn kept(journal: &Path) -> Option<Fact> {
    let path = journal.with_file_name(NAME);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => return ignored(&path, &error.to_string()),
    };
    let (payloads, _) = split_records(&bytes);
    let record = payloads
        .first()
        .map(|payload| v1::JournalRecord::decode(*payload));
    let Some(Ok(v1::JournalRecord {
        record: Some(record),
    })) = record
    else {
        return ignored(&path, "it is damaged");
    };
    match to_fact(record) {
        Ok(fact @ Fact::UsualLoads(_)) => Some(fact),
        Ok(_) => ignored(&path, "it holds something else"),
        Err(invalid) => ignored(&path, &invalid.to_string()),
    }
}

fn ignored(path: &Path, reason: &str) -> Option<Fact> {
    tracing::warn!(path = %path.display(), reason, "what stations usually draw is learned anew");
    None
}

#[cfg(test)]
mod tests {
    use vpp_core::StationId;

    use super::*;
    use crate::journal::Journal;

    fn fact(kw: f32) -> Fact {
        let station = StationId::new("s1").unwrap();
        Fact::UsualLoads(vec![(station, vec![kw; 192])])
    }

    #[test]
    fn the_last_one_is_kept_and_a_damaged_one_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, recovered) = Journal::open(folder.path()).unwrap();
        assert_eq!(recovered.facts, []);
        for kw in [1.0, 2.5] {
            journal.append(&fact(kw)).unwrap();
        }
        assert_eq!(journal.length, 0, "the journal does not grow");
        drop(journal);
        let facts = || Journal::open(folder.path()).unwrap().1.facts;
        assert_eq!(facts(), [fact(2.5)]);
        let path = folder.path().join(NAME);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[40] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(facts(), []);
        std::fs::write(&path, &bytes[..30]).unwrap();
        assert_eq!(facts(), []);
    }

    #[test]
    fn where_it_cannot_be_written_the_journal_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(folder.path()).unwrap();
        std::fs::create_dir(folder.path().join("usual-load.new")).unwrap();
        journal.append(&fact(1.0)).unwrap();
        drop(journal);
        assert_eq!(Journal::open(folder.path()).unwrap().1.facts, []);
    }
}
