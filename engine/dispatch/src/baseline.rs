//! The load before a programme begins: mean of a station's readings over a window, kept in one-minute buckets.

use chrono::TimeDelta;
use vpp_core::{Power, Timestamp};

/// Mean load over the last minutes. Its memory is bounded by the window, whatever the rhythm of the reports.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct LoadMeter {
    /// Minute since 1970, sum of watts, readings; ascending.
    buckets: Vec<(i64, i64, i64)>,
}

impl LoadMeter {
    /// Takes a reading.
    pub(crate) fn record(&mut self, at: Timestamp, power: Power, window: TimeDelta) {
        let minute = at.timestamp().div_euclid(60);
        match self.buckets.last_mut() {
            Some(last) if last.0 == minute => {
                last.1 += power.as_watts();
                last.2 += 1;
            }
            Some(last) if last.0 > minute => return,
            _ => self.buckets.push((minute, power.as_watts(), 1)),
        }
        let oldest = minute - window.num_minutes().max(1);
        self.buckets.retain(|bucket| bucket.0 > oldest);
    }

    /// Mean of the minutes' means; none before the first reading.
    pub(crate) fn mean(&self) -> Option<Power> {
        let count = i64::try_from(self.buckets.len())
            .ok()
            .filter(|count| *count > 0)?;
        let sum: i64 = self
            .buckets
            .iter()
            .map(|(_, watts, readings)| watts / readings)
            .sum();
        Some(Power::from_watts(sum / count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_minute_counts_once_however_often_it_was_read() {
        let at = |seconds| Timestamp::from_timestamp(seconds, 0).unwrap();
        let window = TimeDelta::minutes(15);
        let mut meter = LoadMeter::default();
        assert_eq!(meter.mean(), None);
        for second in 0..60 {
            meter.record(at(second), Power::from_watts(1_000), window);
        }
        meter.record(at(60), Power::from_watts(3_000), window);
        assert_eq!(meter.mean(), Some(Power::from_watts(2_000)));
        // Twenty minutes later only the new reading is inside the window.
        meter.record(at(1_260), Power::from_watts(500), window);
        assert_eq!(meter.mean(), Some(Power::from_watts(500)));
    }
}
