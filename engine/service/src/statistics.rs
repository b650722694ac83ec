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
    ($($(#[doc = $doc:literal])* $name:ident),* $(,)?) => {
        /// What the live engine counts.
        #[derive(Debug, Default)]
        pub struct Statistics {
            $($(#[doc = $doc])* pub $name: Counter,)*
            /// From the beginning of a control cycle in which a programme was on to its commands.
            pub cycle_time: Distribution,
            /// The part of it until the optimizer had its problem: the state aged and read, the problem made.
            pub ingest_time: Distribution,
            /// The part of it spent in the optimizer.
            pub solve_time: Distribution,
            /// From the arrival of a regulation signal to the release of its commands.
            pub signal_to_command: Distribution,
            /// From the arrival of a regulation signal to the broker's receipt of each of its commands.
            pub signal_to_broker: Distribution,
            /// From the release of a command to the broker's receipt.
            pub command_to_broker: Distribution,
        }

        impl Statistics {
            /// Name, meaning and count of each counter.
            fn counters(&self) -> Vec<(&'static str, &'static str, u64)> {
                vec![$((stringify!($name), concat!($($doc),*), self.$name.get())),*]
            }
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
    /// Those of them in which it took longest until the optimizer had its problem.
    misses_by_ingest,
    /// Those in which the optimizer took longest.
    misses_by_solver,
    /// Those in which it took longest to take over what it found and to release the commands.
    misses_by_publish,
    /// Commands that the broker had later than a cycle's deadline after their release.
    late_receipts,
    /// Cycles decided without the optimizer's proof: incumbent, hold or fallback.
    degraded_cycles,
    /// Those of them with the best that the optimizer had when it was stopped, or was not sure of.
    incumbent_cycles,
    /// Those in which the last allocation was kept, because the optimizer gave nothing in time.
    held_cycles,
    /// Those in which rules shared out.
    fallback_cycles,
    /// Times that the control loop stood still for longer than a cycle.
    stalls,
    /// Values of the regulation signal that came.
    signals,
    /// Those of them whose commands were released after the deadline.
    late_signals,
    /// Those that were refused: not a number, from the future, without a start.
    refused_signals,
    /// Those whose number had come before.
    repeated_signals,
    /// Those older than one before.
    outdated_signals,
    /// Those beyond what is committed, cut to it.
    clipped_signals,
    /// Those that asked for more than the stations can do.
    short_signals,
    /// Times that the signal broke off, so that stations went back to their schedules.
    lost_signals,
    /// Regulation streams that were refused: another one is followed, or what they asked for cannot be.
    refused_streams,
    /// Regulation streams that were cut off because the same sender had opened another one.
    replaced_streams,
    /// Facts that could not be written to the journal.
    lost_facts,
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
    /// Reports left out because a newer one of the same station was there already: the engine was behind.
    superseded_reports,
    /// Records refused and sent to the dead-letter topic.
    dead_letters,
    /// Refused records that could not be sent there.
    lost_dead_letters,
    /// Limits that measured power broke, added up over cycles.
    limit_violations,
}

impl Statistics {
    /// Counts a cycle whose commands were released after the deadline by what took longest of it: until the optimizer had its
    /// problem, in the optimizer, or from then on.
    pub(crate) fn count_miss(&self, whole: Duration, ingest: Duration, solving: Duration) {
        let publish = whole.saturating_sub(ingest + solving);
        let cause = if solving >= ingest.max(publish) {
            &self.misses_by_solver
        } else if ingest >= publish {
            &self.misses_by_ingest
        } else {
            &self.misses_by_publish
        };
        self.deadline_misses.add(1);
        cause.add(1);
    }

    /// Everything in the text format of Prometheus: counters, and quantiles of the latencies in seconds.
    #[must_use]
    pub fn to_text(&self) -> String {
        use std::fmt::Write as _;
        let mut text = String::new();
        for (name, meaning, count) in self.counters() {
            let meaning = meaning.trim();
            let _ = writeln!(
                text,
                "# HELP vpp_{name}_total {meaning}\n# TYPE vpp_{name}_total counter\nvpp_{name}_total {count}"
            );
        }
        for (name, distribution) in [
            ("cycle_time", &self.cycle_time),
            ("ingest_time", &self.ingest_time),
            ("solve_time", &self.solve_time),
            ("signal_to_command", &self.signal_to_command),
            ("signal_to_broker", &self.signal_to_broker),
            ("command_to_broker", &self.command_to_broker),
        ] {
            let _ = writeln!(text, "# TYPE vpp_{name}_seconds summary");
            for quantile in [0.5, 0.99, 0.999, 1.0] {
                let seconds = distribution.quantile(quantile).as_secs_f64();
                let _ = writeln!(
                    text,
                    "vpp_{name}_seconds{{quantile=\"{quantile}\"}} {seconds}"
                );
            }
            let _ = writeln!(text, "vpp_{name}_seconds_count {}", distribution.count());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_miss_has_one_cause() {
        let statistics = Statistics::default();
        let ms = Duration::from_millis;
        statistics.count_miss(ms(100), ms(10), ms(60));
        statistics.count_miss(ms(100), ms(50), ms(30));
        statistics.count_miss(ms(100), ms(50), ms(0));
        statistics.count_miss(ms(100), ms(10), ms(20));
        let counts = [
            &statistics.deadline_misses,
            &statistics.misses_by_solver,
            &statistics.misses_by_ingest,
            &statistics.misses_by_publish,
        ];
        assert_eq!(counts.map(Counter::get), [4, 1, 2, 1]);
    }

    #[test]
    fn the_text_names_every_count_and_latency() {
        let statistics = Statistics::default();
        statistics.cycles.add(3);
        statistics.cycle_time.record(Duration::from_millis(20));
        let text = statistics.to_text();
        assert!(
            text.contains("# HELP vpp_cycles_total Control cycles.\n"),
            "{text}"
        );
        assert!(text.contains("\nvpp_cycles_total 3\n"));
        assert!(text.contains("\nvpp_stalls_total 0\n"));
        assert!(text.contains("vpp_cycle_time_seconds_count 1\n"));
        let median = text
            .lines()
            .find_map(|line| line.strip_prefix("vpp_cycle_time_seconds{quantile=\"0.5\"} "));
        let median: f64 = median
            .and_then(|value| value.parse().ok())
            .unwrap_or_default();
        assert!((median - 0.02).abs() < 1e-4, "{median}");
    }
}
