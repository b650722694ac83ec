//! What the meters of a station say, quarter of an hour by quarter of an hour, and what of it is settled.
//!
//! Four quantities are never mixed: what the piles discharged, what left through the gate, what of that came from the sun
//! or a battery of the station's own, and the vehicle-to-grid energy that is settled:
//!
//! ```text
//! settled = min(pile discharge, max(0, gate export − sun export − storage export))
//! ```
//!
//! The gate meter counts "without sun, storage and other devices that feed back" (Guangzhou, document 255 of 2025, part 3
//! (4) 3). Where such a device has no meter of its own, nothing can be told apart: nothing is settled, and that is flagged.
//! What is discharged and used inside the station never crosses the gate: it saves a purchase and earns no feed-in price.
//!
//! A missing quarter is estimated: what was drawn, in between its neighbours where both are near, else as in the same quarter
//! of the week before; what was fed in, nothing until the reading comes. So what is estimated is charged and not paid. A
//! reading that comes late, or again with other figures, makes a new version; the old one is kept by whoever keeps records.

use std::collections::BTreeMap;

use chrono::{TimeDelta, Timelike as _};
use chrono_tz::Tz;
use sha2::{Digest as _, Sha256};
use vpp_core::{Interval, Invalid, Timestamp};
use vpp_market_adapters::response::baseline::History;

/// Length of a reading.
pub const QUARTER: TimeDelta = TimeDelta::minutes(15);
/// A gap is bridged in between its neighbours where it is no longer than this.
const BRIDGE: TimeDelta = TimeDelta::hours(2);
/// No station moves more in a quarter of an hour, Wh: 1 GW.
const MOST_WH: i64 = 250_000_000;

/// Registers of a quarter of an hour, Wh; none is negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// Drawn through the gate.
    pub gate_in_wh: i64,
    /// Fed out through the gate.
    pub gate_out_wh: i64,
    /// Discharged at the piles, alternating current.
    pub pile_discharge_wh: i64,
    /// Made by the station's own panels and not used by them.
    pub sun_out_wh: i64,
    /// Discharged by the station's own battery.
    pub storage_out_wh: i64,
}

/// A device behind the gate that feeds back besides the piles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behind {
    /// There is none.
    #[default]
    None,
    /// It has a meter of its own.
    Metered,
    /// It has none.
    Unmetered,
}

/// What is behind a station's gate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gate {
    /// Panels.
    pub sun: Behind,
    /// A battery.
    pub storage: Behind,
}

/// A quarter of an hour as it is settled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quarter {
    /// As read, or as estimated.
    pub reading: Reading,
    /// Vehicle-to-grid energy that earns the feed-in price, Wh.
    pub settled_wh: i64,
    /// Whether there was no reading.
    pub estimated: bool,
    /// Whether something behind the gate could not be told apart.
    pub unmetered: bool,
}

/// The readings of one station, checked as they come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Readings {
    quarters: BTreeMap<Timestamp, Reading>,
    /// Counts every change: what was settled from an older version is settled anew.
    version: u64,
}

/// What a reading changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is the first of its quarter.
    New,
    /// It had come before, the same.
    Repeated,
    /// It replaces another, which is given back.
    Corrected(Reading),
}

/// Energy in each period of a tariff, Wh: sharp, peak, flat, valley.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registers {
    /// Drawn.
    pub forward_wh: [i64; 4],
    /// Vehicle-to-grid energy settled.
    pub reverse_wh: [i64; 4],
    /// Quarters that were estimated.
    pub estimated: usize,
    /// Quarters in which something could not be told apart.
    pub unmetered: usize,
}

impl Readings {
    /// How often they have changed.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How many there are from which an interval is worked out, and what tells them from others: `2976 readings, sha256:…`.
    /// The same readings have the same, whenever and in whatever order they came, and whatever else came.
    #[must_use]
    pub fn fingerprint(&self, interval: Interval) -> String {
        use std::fmt::Write as _;
        let mut hash = Sha256::new();
        // The week before and the next hours serve for estimates.
        let from = interval.start() - TimeDelta::weeks(1) - BRIDGE;
        let until = interval.end() + BRIDGE + QUARTER;
        let mut count: u64 = 0;
        for (at, reading) in self.quarters.range(from..until) {
            count += 1;
            let Reading {
                gate_in_wh,
                gate_out_wh,
                pile_discharge_wh,
                sun_out_wh,
                storage_out_wh,
            } = *reading;
            for number in [
                at.timestamp(),
                gate_in_wh,
                gate_out_wh,
                pile_discharge_wh,
                sun_out_wh,
                storage_out_wh,
            ] {
                hash.update(number.to_le_bytes());
            }
        }
        let mut text = format!("{count} readings, sha256:");
        for byte in hash.finalize().iter().take(8) {
            let _ = write!(text, "{byte:02x}");
        }
        text
    }

    /// Takes a reading of the quarter of an hour that begins at `at`.
    ///
    /// # Errors
    /// A time that is no quarter of an hour, an energy that is negative or beyond belief. Nothing changes then.
    pub fn take(&mut self, at: Timestamp, reading: Reading) -> Result<Taken, Invalid> {
        if at.timestamp_subsec_nanos() != 0 || at.timestamp() % QUARTER.num_seconds() != 0 {
            let problem = format!("{at} does not begin a quarter of an hour");
            return Err(Invalid::new("start_time", problem));
        }
        for (field, wh) in [
            ("gate_in_wh", reading.gate_in_wh),
            ("gate_out_wh", reading.gate_out_wh),
            ("pile_discharge_wh", reading.pile_discharge_wh),
            ("sun_out_wh", reading.sun_out_wh),
            ("storage_out_wh", reading.storage_out_wh),
        ] {
            if !(0..=MOST_WH).contains(&wh) {
                let problem = format!("{wh} Wh is outside 0 to {MOST_WH}");
                return Err(Invalid::new(field, problem));
            }
        }
        let taken = match self.quarters.get(&at) {
            Some(known) if *known == reading => return Ok(Taken::Repeated),
            Some(known) => Taken::Corrected(*known),
            None => Taken::New,
        };
        self.quarters.insert(at, reading);
        self.version += 1;
        Ok(taken)
    }

    /// The quarters of an interval, each read or estimated.
    ///
    /// # Errors
    /// An interval that does not begin and end with a quarter of an hour.
    pub fn settle(
        &self,
        gate: Gate,
        interval: Interval,
    ) -> Result<Vec<(Timestamp, Quarter)>, Invalid> {
        let whole = |at: Timestamp| {
            at.timestamp_subsec_nanos() == 0 && at.timestamp() % QUARTER.num_seconds() == 0
        };
        if !whole(interval.start()) || !whole(interval.end()) {
            let problem = "does not begin and end with a quarter of an hour";
            return Err(Invalid::new("interval", problem));
        }
        let starts = std::iter::successors(Some(interval.start()), |at| Some(*at + QUARTER));
        let starts = starts.take_while(|at| *at < interval.end());
        Ok(starts.map(|at| (at, self.quarter(gate, at))).collect())
    }

    /// What was read of the gate, draws less exports, by local days: what baselines are made of. Nothing is estimated.
    #[must_use]
    ///
    /// Of an hour that the clock shows twice the second counts; one that it leaves out has no reading.
    pub fn net_draws(&self, zone: Tz) -> History {
        let mut history = History::default();
        for (at, reading) in &self.quarters {
            let local = at.with_timezone(&zone);
            let slot = (local.hour() * 4 + local.minute() / 15) as usize;
            // A mean power, W: energies are of a quarter of an hour.
            let watts = 4 * (reading.gate_in_wh - reading.gate_out_wh);
            history.read(local.date_naive(), slot, watts);
        }
        history
    }

    fn quarter(&self, gate: Gate, at: Timestamp) -> Quarter {
        match self.quarters.get(&at) {
            Some(reading) => {
                let unmetered = gate.sun == Behind::Unmetered || gate.storage == Behind::Unmetered;
                Quarter {
                    reading: *reading,
                    settled_wh: if unmetered { 0 } else { reading.settled_wh() },
                    estimated: false,
                    unmetered,
                }
            }
            None => Quarter {
                reading: Reading {
                    gate_in_wh: self.estimate(at),
                    ..Reading::default()
                },
                settled_wh: 0,
                estimated: true,
                unmetered: false,
            },
        }
    }

    /// What was probably drawn in a quarter without a reading.
    fn estimate(&self, at: Timestamp) -> i64 {
        let before = self.quarters.range(..at).next_back();
        let after = self.quarters.range(at..).next();
        if let (Some((from, earlier)), Some((to, later))) = (before, after)
            && *to - *from <= BRIDGE + QUARTER
        {
            let (from, to) = (from.timestamp(), to.timestamp());
            let (a, b) = (earlier.gate_in_wh, later.gate_in_wh);
            return a + (b - a) * (at.timestamp() - from) / (to - from);
        }
        let week = self.quarters.get(&(at - TimeDelta::weeks(1)));
        week.map_or(0, |reading| reading.gate_in_wh)
    }
}

impl Reading {
    /// Vehicle-to-grid energy that left through the gate.
    #[must_use]
    pub fn settled_wh(&self) -> i64 {
        let others = self.sun_out_wh + self.storage_out_wh;
        let left = (self.gate_out_wh - others).max(0);
        self.pile_discharge_wh.min(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Quarters from midnight in Guangzhou on 15 July 2025.
    fn at(quarter: i32) -> Timestamp {
        let midnight = chrono::DateTime::parse_from_rfc3339("2025-07-15T00:00:00+08:00");
        midnight.expect("a time").to_utc() + QUARTER * quarter
    }

    fn span(from: i32, to: i32) -> Interval {
        Interval::new(at(from), at(to)).expect("in order")
    }

    fn drawn(wh: i64) -> Reading {
        Reading {
            gate_in_wh: wh,
            ..Reading::default()
        }
    }

    /// By hand: piles discharged 10 kWh; what of it left through the gate, after the others' part, is settled.
    #[test]
    fn what_left_through_the_gate_from_vehicles_is_settled() {
        let metered = Gate {
            sun: Behind::Metered,
            storage: Behind::Metered,
        };
        for (gate_out, sun, storage, settled) in [
            (10_000, 0, 0, 10_000),
            // Some of it was used inside.
            (7_000, 0, 0, 7_000),
            // 3 of the 12 that left came from the sun, 2 from the battery.
            (12_000, 3_000, 2_000, 7_000),
            // More left than vehicles gave.
            (30_000, 5_000, 0, 10_000),
            // All that left was the sun's.
            (4_000, 6_000, 0, 0),
        ] {
            let reading = Reading {
                gate_out_wh: gate_out,
                pile_discharge_wh: 10_000,
                sun_out_wh: sun,
                storage_out_wh: storage,
                ..Reading::default()
            };
            let mut readings = Readings::default();
            readings.take(at(0), reading).expect("sound");
            let settled_now = readings.settle(metered, span(0, 1)).expect("quarters");
            assert_eq!(settled_now[0].1.settled_wh, settled, "{reading:?}");
            // Without a meter of its own nothing can be told apart.
            let blind = Gate {
                sun: Behind::Unmetered,
                ..metered
            };
            let quarter = readings.settle(blind, span(0, 1)).expect("quarters")[0].1;
            assert_eq!((quarter.settled_wh, quarter.unmetered), (0, true));
        }
    }

    #[test]
    fn a_missing_quarter_is_charged_and_not_paid() {
        let mut readings = Readings::default();
        let full = Reading {
            gate_in_wh: 8_000,
            gate_out_wh: 5_000,
            pile_discharge_wh: 5_000,
            ..Reading::default()
        };
        readings.take(at(0), full).expect("sound");
        readings.take(at(4), drawn(0)).expect("sound");
        readings
            .take(at(-4 * 24 * 7 + 20), drawn(3_000))
            .expect("sound");
        let quarters = readings
            .settle(Gate::default(), span(0, 24))
            .expect("quarters");
        let drawn: Vec<i64> = quarters.iter().map(|q| q.1.reading.gate_in_wh).collect();
        // In between for an hour; then nothing near, but one quarter of the week before.
        assert_eq!(drawn[..5], [8_000, 6_000, 4_000, 2_000, 0]);
        assert_eq!((drawn[20], drawn[21]), (3_000, 0));
        assert_eq!(quarters[0].1.settled_wh, 5_000);
        assert!(
            quarters[1..4]
                .iter()
                .all(|q| q.1.settled_wh == 0 && q.1.estimated)
        );
    }

    #[test]
    fn a_late_or_corrected_reading_makes_a_new_version() {
        let mut readings = Readings::default();
        assert_eq!(readings.take(at(1), drawn(5)), Ok(Taken::New));
        assert_eq!(readings.take(at(1), drawn(5)), Ok(Taken::Repeated));
        assert_eq!(readings.version(), 1);
        assert_eq!(
            readings.take(at(1), drawn(7)),
            Ok(Taken::Corrected(drawn(5)))
        );
        assert_eq!(readings.take(at(0), drawn(1)), Ok(Taken::New));
        assert_eq!(readings.version(), 3);
        // Whenever and in whatever order they came.
        let mut others = Readings::default();
        others.take(at(0), drawn(1)).expect("sound");
        others.take(at(1), drawn(7)).expect("sound");
        let day = span(0, 96);
        assert_eq!(others.fingerprint(day), readings.fingerprint(day));
        // What comes later is another month's.
        others.take(at(200), drawn(8)).expect("sound");
        assert_eq!(others.fingerprint(day), readings.fingerprint(day));
        others.take(at(1), drawn(8)).expect("sound");
        assert_ne!(others.fingerprint(day), readings.fingerprint(day));
    }

    #[test]
    fn what_is_no_reading_is_refused_and_changes_nothing() {
        let mut readings = Readings::default();
        let late = at(0) + TimeDelta::seconds(1);
        let negative = |change: fn(&mut Reading)| {
            let mut reading = Reading::default();
            change(&mut reading);
            reading
        };
        let table = [
            (late, Reading::default(), "start_time"),
            (at(0), negative(|r| r.gate_in_wh = -1), "gate_in_wh"),
            (
                at(0),
                negative(|r| r.sun_out_wh = MOST_WH + 1),
                "sun_out_wh",
            ),
        ];
        for (at, reading, field) in table {
            assert_eq!(
                readings.take(at, reading).expect_err("refused").field,
                field
            );
        }
        assert_eq!(readings, Readings::default());
        let odd = Interval::new(late, at(4)).expect("in order");
        assert_eq!(
            readings
                .settle(Gate::default(), odd)
                .expect_err("odd")
                .field,
            "interval"
        );
    }

    proptest! {
        /// Never more is settled than vehicles gave, nor than left through the gate; and in any order of arrival the same.
        #[test]
        fn settled_energy_is_vehicles_and_left(mut rows in prop::collection::vec(
            (0_i32..40, 0_i64..50_000, 0_i64..50_000, 0_i64..50_000, 0_i64..20_000, 0_i64..20_000), 1..40,
        )) {
            rows.sort_by_key(|row| row.0);
            rows.dedup_by_key(|row| row.0);
            let settle = |rows: &[(i32, i64, i64, i64, i64, i64)]| {
                let mut readings = Readings::default();
                for &(quarter, gate_in_wh, gate_out_wh, pile_discharge_wh, sun_out_wh, storage_out_wh) in rows {
                    let reading = Reading { gate_in_wh, gate_out_wh, pile_discharge_wh, sun_out_wh, storage_out_wh };
                    readings.take(at(quarter), reading).expect("sound");
                }
                readings.settle(Gate::default(), span(0, 40)).expect("quarters")
            };
            let quarters = settle(&rows);
            for (_, quarter) in &quarters {
                prop_assert!(quarter.settled_wh >= 0);
                prop_assert!(quarter.settled_wh <= quarter.reading.pile_discharge_wh);
                prop_assert!(quarter.settled_wh <= quarter.reading.gate_out_wh);
                prop_assert!(quarter.reading.gate_in_wh >= 0);
            }
            rows.reverse();
            prop_assert_eq!(quarters, settle(&rows));
        }
    }
}
