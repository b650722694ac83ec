//! Which offsets may be committed: those below the first whose acknowledgement the broker does not have yet.

use std::collections::{BTreeMap, BTreeSet};

/// Where a command stands in its topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) partition: i32,
    pub(super) offset: i64,
}

/// The offsets that were handed on and are not dealt with yet.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    partitions: BTreeMap<i32, Partition>,
}

#[derive(Debug, Default)]
struct Partition {
    underway: BTreeSet<i64>,
    /// The first offset that was not handed on yet.
    next: i64,
    /// What was stored last.
    stored: i64,
}

impl Offsets {
    /// A command was handed on.
    pub(super) fn begin(&mut self, place: Place) {
        let partition = self.partitions.entry(place.partition).or_default();
        partition.underway.insert(place.offset);
        partition.next = partition.next.max(place.offset + 1);
    }

    /// A command is dealt with.
    pub(super) fn settle(&mut self, place: Place) {
        if let Some(partition) = self.partitions.get_mut(&place.partition) {
            partition.underway.remove(&place.offset);
        }
    }

    /// The last offset of each partition up to which everything is dealt with, where it has moved.
    pub(super) fn take_moved(&mut self) -> Vec<Place> {
        let mut moved = Vec::new();
        for (number, partition) in &mut self.partitions {
            let first_open = partition
                .underway
                .first()
                .copied()
                .unwrap_or(partition.next);
            if first_open > partition.stored {
                partition.stored = first_open;
                moved.push(Place {
                    partition: *number,
                    offset: first_open - 1,
                });
            }
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(offset: i64) -> Place {
        Place {
            partition: 3,
            offset,
        }
    }

    #[test]
    fn nothing_is_committed_past_a_command_without_answer() {
        let mut offsets = Offsets::default();
        (10..14).for_each(|offset| offsets.begin(place(offset)));
        // Below the first that was handed on, everything is of an earlier run.
        assert_eq!(offsets.take_moved(), [place(9)]);
        offsets.settle(place(11));
        offsets.settle(place(13));
        assert_eq!(offsets.take_moved(), []);
        offsets.settle(place(10));
        assert_eq!(offsets.take_moved(), [place(11)]);
        offsets.settle(place(12));
        offsets.settle(place(12));
        assert_eq!(offsets.take_moved(), [place(13)]);
        assert_eq!(offsets.take_moved(), []);
    }
}
