//! Counters and latencies of the live engine.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;

/// Latencies, kept to two significant digits, up to a minute.
#[derive(Debug)]
pub struct Distribution(Mutex<Histogram<u64>>);

impl Default for Distribution {
    fn default() -> Distribution {
        let histogram = Histogram::new_with_bounds(1, 60_000_000, 3);
        Distribution(Mutex::new(
            histogram.unwrap_or_else(|e| unreachable!("fixed bounds: {e}")),
        ))
    }
}

impl Distribution {
    /// Takes a value.
    pub fn record(&self, length: Duration) {
        let micros = u64::try_from(length.as_micros()).unwrap_or(u64::MAX);
        self.locked().saturating_record(micros);
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.locked().len()
    }

    /// The value below which this share (0 to 1) of all lies; zero without any.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let histogram = self.locked();
        if histogram.is_empty() {
            return Duration::ZERO;
        }
        Duration::from_micros(histogram.value_at_quantile(share))
    }

    /// The largest value; zero without any.
    #[must_use]
    pub fn worst(&self) -> Duration {
        Duration::from_micros(self.locked().max())
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Histogram<u64>> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// What the live engine counts.
        #[derive(Debug, Default)]
        pub struct Statistics {
            $($(#[$doc])* pub $name: Counter,)*
            /// From the beginning of a control cycle in which a programme was on to its commands.
            pub cycle_time: Distribution,
            /// The part of it spent in the optimizer.
            pub solve_time: Distribution,
            /// From the arrival of a regulation signal to the release of its commands.
            pub signal_to_command: Distribution,
            /// From the arrival of a regulation signal to the broker's receipt of each of its commands.
            pub signal_to_broker: Distribution,
            /// From the release of a command to the broker's receipt.
            pub command_to_broker: Distribution,
        }
    };
}

/// A count that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds.
    pub fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    /// The count.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

counters! {
    /// Control cycles.
    cycles,
    /// Control cycles in which a programme was on.
    busy_cycles,
    /// Cycles whose commands were released after the deadline.
    deadline_misses,
    /// Cycles decided without the optimizer's proof: incumbent, hold or fallback.
    degraded_cycles,
    /// Cycles that began more than a whole cycle late: the loop was stuck.
    skipped_cycles,
    /// Problems that the solver came to no end with, so that the general one was asked.
    stalled_solves,
    /// Solutions that came too late and were ignored.
    late_solutions,
    /// Commands released.
    commands,
    /// Commands that the broker did not take.
    lost_commands,
    /// Records of telemetry and acknowledgements taken.
    records,
    /// Records refused and sent to the dead-letter topic.
    dead_letters,
    /// Refused records that could not be sent there.
    lost_dead_letters,
    /// Limits that measured power broke, added up over cycles.
    limit_violations,
}
