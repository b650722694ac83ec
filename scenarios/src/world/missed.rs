//! Whose doing it is that a vehicle leaves short.
//!
//! Of what a vehicle lacks, a part cannot be made good any more: what pile and battery do not take at full power until it
//! leaves. That part only grows, and what it grows by in a step is the doing of whoever held the vehicle back in that step. When
//! it leaves, that part is all that it lacks: so every shortfall is explained to the last watt-hour.

use serde::{Deserialize, Serialize};
use vpp_core::Cause;

/// What a vehicle can no longer be given, watt-milliseconds at the battery.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Missed {
    whole: i64,
    by: [i64; Cause::ALL.len()],
}

impl Missed {
    /// Of a vehicle that has just come: what its maker forbids, and `whole` with what there is not the time for.
    pub(super) fn at_arrival(forbidden: i64, whole: i64) -> Missed {
        let mut missed = Missed::default();
        missed.grow(forbidden, || Some(Cause::Warranty));
        missed.grow(whole, || Some(Cause::TooShort));
        missed
    }

    /// It is `whole` now. `by` says whose doing it is; nobody's now is that of whom most was, for who is let charge too late
    /// has been held back before.
    pub(super) fn grow(&mut self, whole: i64, by: impl FnOnce() -> Option<Cause>) {
        let more = whole - self.whole;
        if more > 0 {
            self.whole = whole;
            let cause = by().unwrap_or_else(|| self.cause());
            self.by[cause as usize] += more;
        }
    }

    /// What explains most of it; where nothing does, there was not the time.
    pub(super) fn cause(&self) -> Cause {
        let most = self.by.iter().max().copied().unwrap_or(0);
        let mut causes = Cause::ALL.into_iter();
        let main = causes.find(|cause| most > 0 && self.by[*cause as usize] == most);
        main.unwrap_or(Cause::TooShort)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missed_is_the_doing_of_whoever_held_back() {
        let mut missed = Missed::at_arrival(0, 0);
        assert_eq!(missed.cause(), Cause::TooShort);
        missed.grow(30, || Some(Cause::Ceiling));
        // It does not shrink, and who is served late is held back by whoever let it wait.
        missed.grow(20, || Some(Cause::OwnControl));
        missed.grow(40, || None);
        assert_eq!(missed.by[Cause::Ceiling as usize], 40);
        missed.grow(90, || Some(Cause::OwnControl));
        assert_eq!((missed.cause(), missed.whole), (Cause::OwnControl, 90));
        let forbidden = Missed::at_arrival(50, 60);
        assert_eq!(forbidden.cause(), Cause::Warranty);
    }
}
