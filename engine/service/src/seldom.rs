//! What may happen many times a second and is written into the log at most once a minute.

use std::time::{Duration, Instant};

/// How long nothing is written after something was.
const QUIET: Duration = Duration::from_secs(60);

/// Lets the first through, and then one a minute.
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    written: Option<Instant>,
    kept_back: u64,
}

impl Seldom {
    /// Whether to write now, and if so how many were not written since.
    pub(crate) fn now(&mut self, now: Instant) -> Option<u64> {
        if self.written.is_some_and(|at| now < at + QUIET) {
            self.kept_back += 1;
            return None;
        }
        self.written = Some(now);
        Some(std::mem::take(&mut self.kept_back))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_minute_and_none_is_forgotten() {
        let start = Instant::now();
        let mut seldom = Seldom::default();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(seldom.now(after(0)), Some(0));
        assert_eq!((seldom.now(after(1)), seldom.now(after(59))), (None, None));
        assert_eq!(seldom.now(after(60)), Some(2));
        assert_eq!(seldom.now(after(200)), Some(0));
    }
}
