//! What is drawn beyond the plan, because vehicles come and go between two plans: what is usual at the time of the day, and how
//! far off that stations, whichever an event means, have been together in the last cycles. That less is drawn than planned is not
//! counted on: stations that are held back do draw what they may. Where cycles take seconds there is none to speak of, and a
//! station on its way to a new setpoint would look like it.

use chrono::TimeDelta;
use serde::{Deserialize, Serialize};
use vpp_core::{Interval, Power, Timestamp};

use crate::usual::{Calendar, UsualLoad, quarters};

/// So many cycles are remembered.
const CYCLES: usize = 16;
/// With fewer nothing is said.
const ENOUGH: usize = 4;
/// Shorter cycles are not looked at.
const SHORTEST: TimeDelta = TimeDelta::minutes(1);
/// The share of the last cycles in which no more than what is planned for was drawn beyond the plan.
const COVERED: f64 = 0.9;

/// What one station drew beyond its plan.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Unplanned {
    /// Watts of the readings since the last plan, and how many there were.
    sum: i64,
    readings: i64,
    /// None where nobody looks.
    seen: Option<Box<Seen>>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Seen {
    /// What is usual; negative below the plan.
    usual: UsualLoad,
    /// How far off the usual it was in the last cycles, by their number, kW; not a number where nothing was planned.
    off: [f32; CYCLES],
}

impl Default for Seen {
    fn default() -> Seen {
        Seen {
            usual: UsualLoad::default(),
            off: [f32::NAN; CYCLES],
        }
    }
}

/// The cycle that is on, where cycles are long enough to tell.
pub(crate) fn told_in(now: Timestamp, length: TimeDelta) -> Option<Interval> {
    Interval::new(now, now + length)
        .ok()
        .filter(|_| length >= SHORTEST)
}

fn place(cycle: u64) -> usize {
    usize::try_from(cycle % CYCLES as u64).unwrap_or_default()
}

impl Unplanned {
    /// Takes a reading.
    pub(crate) fn observe(&mut self, power: Power) {
        self.sum += power.as_watts();
        self.readings += 1;
    }

    /// A cycle is over for which so much was planned, if anything.
    pub(crate) fn close(
        &mut self,
        calendar: &Calendar,
        (cycle, interval): (u64, Interval),
        planned: Option<Power>,
    ) {
        let (sum, readings) = (
            std::mem::take(&mut self.sum),
            std::mem::take(&mut self.readings),
        );
        let seen = self.seen.get_or_insert_default();
        seen.off[place(cycle)] = f32::NAN;
        let Some(planned) = planned.filter(|_| readings > 0) else {
            return;
        };
        let beyond = Power::from_watts(sum / readings) - planned;
        let usual = seen.usual.mean_kw(calendar, interval).unwrap_or_default();
        #[allow(clippy::cast_possible_truncation)] // kW of a station
        let off = (beyond.as_kilowatts() - usual) as f32;
        seen.off[place(cycle)] = off;
        for (at, part) in quarters(interval) {
            seen.usual.observe(calendar, at + part, beyond);
        }
    }
}

/// What stations together hardly ever draw more beyond the plan, or below it where `below`; magnitude.
pub(crate) fn expected<'a>(
    stations: impl Iterator<Item = &'a Unplanned>,
    calendar: &Calendar,
    interval: Interval,
    below: bool,
) -> Power {
    let sign = if below { -1.0 } else { 1.0 };
    let (mut usual, mut sums) = (0.0, [None; CYCLES]);
    for seen in stations.filter_map(|station| station.seen.as_ref()) {
        usual += sign * seen.usual.mean_kw(calendar, interval).unwrap_or_default();
        for (sum, kilowatts) in sums.iter_mut().zip(seen.off) {
            if !kilowatts.is_nan() {
                *sum = Some(sum.unwrap_or(0.0) + sign * f64::from(kilowatts));
            }
        }
    }
    // Cycles in which something was planned for one of them.
    let mut sums: Vec<f64> = sums.into_iter().flatten().collect();
    let count = sums.len();
    if count < ENOUGH {
        return Power::ZERO;
    }
    sums.sort_unstable_by(f64::total_cmp);
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )] // at most sixteen
    let (mean, covered) = {
        let at = (count as f64 * COVERED).ceil() as usize;
        let mean = sums.iter().sum::<f64>() / count as f64;
        (mean, sums[at.clamp(1, count) - 1])
    };
    Power::round_kilowatts((usual + mean).max(0.0) + covered - mean).max(Power::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(cycle: u32) -> Interval {
        // A Monday, 00:00 in Beijing.
        let monday: Timestamp = "2027-07-04T16:00:00Z".parse().unwrap();
        let start = monday + TimeDelta::minutes(15) * i32::try_from(cycle).unwrap();
        Interval::new(start, start + TimeDelta::minutes(15)).unwrap()
    }

    fn kilowatts(kw: u32) -> Power {
        Power::from_watts(1_000 * i64::from(kw))
    }

    /// By hand: in twenty cycles two stations draw 1, 2, … 20 kW together beyond 100 planned. The last sixteen are 5 to 20;
    /// nine tenths of them are fifteen: 19. Seen from below they are −12.5 in the mean, which is not counted on, and fifteen are at
    /// most −6: 6.5 above the mean. The one is at its plan in the mean.
    #[test]
    fn nine_of_ten_cycles_drew_no_more_beyond_the_plan() {
        let calendar = Calendar::default();
        let (mut one, mut other) = (Unplanned::default(), Unplanned::default());
        for cycle in 1..=20_u32 {
            for kw in [0, 2] {
                one.observe(kilowatts(99 + kw));
                other.observe(kilowatts(cycle));
            }
            let closed = (cycle.into(), interval(cycle));
            one.close(&calendar, closed, Some(kilowatts(100)));
            other.close(&calendar, closed, Some(Power::ZERO));
        }
        let next = interval(21);
        let both = |below| expected([&one, &other].into_iter(), &calendar, next, below);
        assert_eq!(both(false), kilowatts(19));
        assert_eq!(both(true), Power::from_watts(6_500));
        let one = expected([&one].into_iter(), &calendar, next, false);
        assert_eq!(one, Power::ZERO);
    }

    /// By hand: 30 kW beyond the plan at noon on Monday, none else until Tuesday noon: 30 are expected then, none a quarter before.
    #[test]
    fn what_is_usual_at_the_time_is_expected() {
        let (calendar, mut station) = (Calendar::default(), Unplanned::default());
        for cycle in 1..144_u32 {
            station.observe(kilowatts(if cycle == 48 { 40 } else { 10 }));
            let closed = (cycle.into(), interval(cycle));
            station.close(&calendar, closed, Some(kilowatts(10)));
        }
        let at = |cycle: u32| expected([&station].into_iter(), &calendar, interval(cycle), false);
        assert_eq!((at(143), at(144)), (Power::ZERO, kilowatts(30)));
    }

    #[test]
    fn what_was_not_planned_or_not_read_says_nothing() {
        let (calendar, mut station) = (Calendar::default(), Unplanned::default());
        for cycle in 1..=8_u32 {
            let closed = (cycle.into(), interval(cycle));
            station.observe(kilowatts(9));
            station.close(&calendar, closed, None);
            station.close(&calendar, closed, Some(kilowatts(5)));
        }
        let seen =
            |station: &Unplanned| expected([station].into_iter(), &calendar, interval(13), false);
        assert_eq!(seen(&station), Power::ZERO);
        // Planned for three times is too little, four times is enough, whatever was before.
        for cycle in 9..=12_u32 {
            assert_eq!(seen(&station), Power::ZERO);
            station.observe(kilowatts(9));
            let closed = (cycle.into(), interval(cycle));
            station.close(&calendar, closed, Some(kilowatts(5)));
        }
        assert_eq!(seen(&station), kilowatts(4));
        let (now, quarter) = (interval(1).start(), TimeDelta::minutes(15));
        assert_eq!(told_in(now, TimeDelta::seconds(4)), None);
        assert_eq!(told_in(now, quarter), Some(interval(1)));
    }
}
