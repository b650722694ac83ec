//! Which vehicle of a report is which of the one before.
//!
//! Both lists are in the order of the piles, so what stays stays in order: the same vehicles are a longest common subsequence.
//! Two entries may be the same vehicle when the departure is the same and the energy still to be taken has moved no further than
//! its power moves it; entries with the same limits besides count twice, because of vehicles that leave at the same time. What
//! lies between two matches may be vehicles whose departure was changed, if it is equally many on both sides.

use chrono::TimeDelta;
use vpp_core::{Session, Timestamp};

/// What a meter rounds, and what a battery loses.
const ROUNDED_KWH: f64 = 0.1;
const LOSSES: f64 = 1.2;

/// For each entry of `now`, a report of the instant `at`, the place of the same vehicle in `before`, a report `since` earlier.
pub(super) fn matched(
    before: &[&Session],
    now: &[Session],
    at: Timestamp,
    since: TimeDelta,
) -> Vec<Option<usize>> {
    let score = |old: usize, new: usize| score(before[old], &now[new], since);
    let mut known = vec![None; now.len()];
    let (mut head, mut ends) = (0, (before.len(), now.len()));
    // Most reports change nothing, or one vehicle: only what lies between is compared each with each.
    while head < ends.0 && head < ends.1 && score(head, head) == 2 {
        known[head] = Some(head);
        head += 1;
    }
    while head < ends.0 && head < ends.1 && score(ends.0 - 1, ends.1 - 1) == 2 {
        ends = (ends.0 - 1, ends.1 - 1);
        known[ends.1] = Some(ends.0);
    }
    for (old, new) in common((head..ends.0).len(), (head..ends.1).len(), |old, new| {
        score(head + old, head + new)
    }) {
        known[head + new] = Some(head + old);
    }
    changed_departures(&mut known, before, now, at, since);
    known
}

/// 0: another vehicle; 1: the same; 2: the same, with the same limits.
fn score(old: &Session, new: &Session, since: TimeDelta) -> u16 {
    if old.departure != new.departure || !goes_on(old, new, since) {
        return 0;
    }
    let alike = old.max_charge == new.max_charge && old.max_discharge == new.max_discharge;
    if alike { 2 } else { 1 }
}

/// Whether the battery can have come from the one to the other.
fn goes_on(old: &Session, new: &Session, since: TimeDelta) -> bool {
    let power = (old.max_charge.max(old.max_discharge)).max(new.max_charge.max(new.max_discharge));
    #[allow(clippy::cast_precision_loss)] // milliseconds between two reports
    let hours = since.num_milliseconds() as f64 / 3.6e6;
    let most = power.as_kilowatts() * hours * LOSSES + ROUNDED_KWH;
    let moved = new.energy_room.as_kilowatt_hours() - old.energy_room.as_kilowatt_hours();
    moved.abs() <= most
}

/// A common subsequence of two lists with the greatest score; pairs in order.
fn common(olds: usize, news: usize, score: impl Fn(usize, usize) -> u16) -> Vec<(usize, usize)> {
    // best[old][new]: the most that the rest of both lists, from there on, gives.
    let width = news + 1;
    let mut best = vec![0_u16; (olds + 1) * width];
    for old in (0..olds).rev() {
        for new in (0..news).rev() {
            let here = score(old, new);
            let with = match here {
                0 => 0,
                _ => here + best[(old + 1) * width + new + 1],
            };
            let without = best[(old + 1) * width + new].max(best[old * width + new + 1]);
            best[old * width + new] = with.max(without);
        }
    }
    let (mut old, mut new, mut pairs) = (0, 0, Vec::new());
    while old < olds && new < news {
        let here = score(old, new);
        let most = best[old * width + new];
        if here > 0 && most == here + best[(old + 1) * width + new + 1] {
            pairs.push((old, new));
            (old, new) = (old + 1, new + 1);
        } else if most == best[(old + 1) * width + new] {
            old += 1;
        } else {
            new += 1;
        }
    }
    pairs
}

/// Pairs what lies between matches, where it is equally many and the one may be the other with a new departure. Whose time had
/// come has left.
fn changed_departures(
    known: &mut [Option<usize>],
    before: &[&Session],
    now: &[Session],
    at: Timestamp,
    since: TimeDelta,
) {
    let (mut old, mut new) = (0, 0);
    while new <= known.len() {
        let next = (new..known.len()).find(|place| known[*place].is_some());
        let (old_end, new_end) = match next {
            Some(place) => (known[place].unwrap_or(old), place),
            None => (before.len(), known.len()),
        };
        if old_end - old == new_end - new {
            for (old, new) in (old..old_end).zip(new..new_end) {
                let stays = before[old].departure > at && goes_on(before[old], &now[new], since);
                known[new] = stays.then_some(old);
            }
        }
        (old, new) = (old_end + 1, new_end + 1);
    }
}
