//! The only place that reads the time of day.

use std::sync::Arc;
use std::time::Instant;

use chrono::{TimeDelta, Utc};
use vpp_core::Timestamp;

/// Tells the time: that of the wall, or that of a scenario that begins when the clock is made and runs at the same pace.
/// It runs on the machine's monotonic clock, so that it never goes back.
#[derive(Clone, Debug)]
pub struct Clock(Arc<Origin>);

#[derive(Debug)]
struct Origin {
    instant: Instant,
    time: Timestamp,
}

impl Clock {
    /// The time of the wall.
    #[must_use]
    pub fn wall() -> Clock {
        Clock::starting_at(Utc::now())
    }

    /// A time of its own that is `time` now.
    #[must_use]
    pub fn starting_at(time: Timestamp) -> Clock {
        Clock(Arc::new(Origin {
            instant: Instant::now(),
            time,
        }))
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let elapsed = TimeDelta::from_std(self.0.instant.elapsed()).unwrap_or(TimeDelta::MAX);
        self.0.time + elapsed
    }
}
