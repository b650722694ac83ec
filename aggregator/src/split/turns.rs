//! Piles that cannot charge a little: they charge with their least or more, or wait.
//!
//! Where not all can charge, it goes by turns. First comes whoever's turn it is, until the turn is over; then those who need
//! energy, the one with the least time to spare first; then the others, the one that waited longest first. A pile for which
//! there is no room left is passed over, not those behind it: when the turns are over, it is the one that waited longest.
//! Whoever was switched off rests, so that contactors do not chatter; only shortly who would leave short for it. (A vehicle that must
//! charge now is given more than its least by the split itself, before it comes to turns.)

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use vpp_core::Timestamp;
use vpp_core::time::since;

use super::Load;

/// So long a vehicle that was switched on stays on, as long as the ceiling lets it.
const TURN: TimeDelta = TimeDelta::minutes(15);
/// So long a pile that was switched off stays off.
pub(super) const REST: TimeDelta = TimeDelta::minutes(1);
/// The same where the vehicle has not so much time to spare.
const SHORT_REST: TimeDelta = TimeDelta::seconds(10);

/// What a pile did lately.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(super) struct Turn {
    arrived: Timestamp,
    told: Told,
    /// When it was told last, and what it had been told before: what is told twice at an instant counts once.
    told_at: Option<Timestamp>,
    before: Told,
}

/// Since when a pile is switched on, and when it was switched off.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
struct Told {
    on_since: Option<Timestamp>,
    off_since: Option<Timestamp>,
}

/// Where a pile stands when it goes by turns.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standing {
    /// Its turn is not over.
    pub(super) is_its_turn: bool,
    /// It was switched off a moment ago, and just now.
    pub(super) rests: bool,
    pub(super) rests_shortly: bool,
    /// How long it has waited, s.
    pub(super) waited_s: i64,
}

impl Turn {
    /// A vehicle that has just come.
    pub(super) fn new(now: Timestamp) -> Turn {
        Turn {
            arrived: now,
            ..Turn::default()
        }
    }

    /// What held until `now`.
    fn told_before(&self, now: Timestamp) -> Told {
        match self.told_at == Some(now) {
            true => self.before,
            false => self.told,
        }
    }

    pub(super) fn standing(&self, now: Timestamp) -> Standing {
        let told = self.told_before(now);
        let waits = told.off_since.unwrap_or(self.arrived);
        let off = told.on_since.is_none();
        let within = |rest: TimeDelta| {
            let lately = |at: Timestamp| since(at, now) < rest && now >= at;
            off && told.off_since.is_some_and(lately)
        };
        Standing {
            is_its_turn: told.on_since.is_some_and(|at| since(at, now) < TURN),
            rests: within(REST),
            rests_shortly: within(SHORT_REST),
            waited_s: if off {
                since(waits, now).num_seconds()
            } else {
                0
            },
        }
    }

    /// Takes down what the pile was told.
    pub(super) fn tell(&mut self, charges: bool, now: Timestamp) {
        self.before = self.told_before(now);
        self.told_at = Some(now);
        self.told = match (self.before.on_since, charges) {
            (None, true) => Told {
                on_since: Some(now),
                ..self.before
            },
            (Some(_), false) => Told {
                on_since: None,
                off_since: Some(now),
            },
            _ => self.before,
        };
    }
}

/// The order in which piles are switched on: who comes first has the smallest.
pub(super) fn rank(load: &Load) -> (u8, i64, i64, u32) {
    let standing = &load.standing;
    let class = match (standing.is_its_turn, load.required > 0) {
        (true, _) => 0,
        (false, true) => 1,
        (false, false) => 2,
    };
    // Whole minutes: of two vehicles with the same urgency the one that waits becomes the more urgent.
    let spare = if class == 1 {
        load.spare_ms.div_euclid(60_000)
    } else {
        0
    };
    (class, spare, -standing.waited_s, load.pile)
}
