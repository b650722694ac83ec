//! Draws from the tables.

#![allow(clippy::unwrap_used)] // a test that cannot go on shall fail

use chrono::{Datelike, TimeDelta, Timelike};
use proptest::prelude::*;
use vpp_scenarios::Scenario;
use vpp_scenarios::draw::Quantiles;

fn small() -> Scenario {
    Scenario::parse(include_str!("../fleet-small.toml")).expect("the small fleet is sound")
}

/// A generator good enough to test draws with (SplitMix64).
fn uniform(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    #[allow(clippy::cast_precision_loss)] // 53 bits
    let value = ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64;
    value
}

fn tables() -> impl Strategy<Value = Quantiles> {
    proptest::collection::vec(0.0..100.0_f64, 2..30).prop_map(|mut values| {
        values.sort_by(f64::total_cmp);
        Quantiles::new(values).expect("sorted")
    })
}

proptest! {
    #[test]
    fn quantiles_never_fall(table in tables(), p in 0.0..1.0_f64, q in 0.0..1.0_f64) {
        let (low, high) = (p.min(q), p.max(q));
        prop_assert!(table.at(low) <= table.at(high));
        prop_assert!(table.at(0.0) <= table.at(p) && table.at(p) <= table.at(1.0));
    }

    #[test]
    fn share_above_undoes_the_quantile(table in tables(), p in 0.0..1.0_f64) {
        let value = table.at(p);
        // Where the table stands still, many shares have the same value.
        prop_assert!(table.share_above(value) <= 1.0 - p + 1e-6);
        prop_assert!(table.share_above(value - 1e-6) >= 1.0 - p - 1e-6);
    }

    #[test]
    fn no_visit_wants_more_than_its_stay_can_hold(p in 0.0..1.0_f64, q in 0.0..1.0_f64) {
        let scenario = small();
        let profile = scenario.profile_of(0);
        for visit in [profile.ac_visit(7.0, 0.94, p, q), profile.dc_visit(7.0, 0.94, q)] {
            #[allow(clippy::cast_precision_loss)]
            let hours = visit.stay.num_milliseconds() as f64 / 3.6e6;
            prop_assert!(visit.energy_kwh <= hours * 7.0 * 0.94 + 1e-4);
        }
    }
}

#[test]
fn tables_that_cannot_be_are_refused_with_the_place() {
    for (values, place) in [
        (vec![], "[0]"),
        (vec![1.0], "[0]"),
        (vec![1.0, 2.0, 1.5], "[2]"),
        (vec![-1.0, 2.0], "[0]"),
        (vec![1.0, f64::NAN], "[1]"),
        (vec![1.0, f64::INFINITY], "[1]"),
    ] {
        assert_eq!(
            Quantiles::new(values.clone()).unwrap_err().field,
            place,
            "{values:?}"
        );
    }
}

#[test]
fn draws_have_the_mean_of_their_table() {
    let table = Quantiles::new(vec![0.5, 1.0, 2.0, 4.0, 10.0]).unwrap();
    assert!((table.mean() - 3.0625).abs() < 1e-12);
    let mut state = 1;
    let draws = 100_000;
    let sum: f64 = (0..draws).map(|_| table.at(uniform(&mut state))).sum();
    assert!((sum / f64::from(draws) - table.mean()).abs() < 0.03);
}

#[test]
fn arrivals_follow_the_hours_of_the_city() {
    let scenario = small();
    let private = &scenario.sessions["private"];
    let (mut now, mut state) = (scenario.start(), 1);
    let until = now + TimeDelta::days(200);
    let mut by_local_hour = [0_u32; 24];
    while let Some(next) = private.next_arrival(20.0, now, until, || uniform(&mut state)) {
        now = next;
        by_local_hour[((now.hour() + 8) % 24) as usize] += 1;
    }
    let total: u32 = by_local_hour.iter().sum();
    assert!((3_800..4_200).contains(&total), "about 20 a day: {total}");
    for (hour, share) in private.arrival_shape.iter().enumerate() {
        let found = f64::from(by_local_hour[hour]) / f64::from(total);
        assert!(
            (found - share).abs() < 0.02,
            "hour {hour}: {found}, not {share}"
        );
    }
    assert_eq!(private.next_arrival(0.0, now, until, || 0.5), None);
}

/// Half as many come on Saturdays and Sundays, all of them at one in the afternoon.
#[test]
fn weekends_have_their_own_shape() {
    let mut profile = small().sessions["private"].clone();
    let mut shape = vec![0.0; 24];
    shape[13] = 1.0;
    profile.weekend_arrival_shape = Some(shape);
    profile.weekend_factor = 0.5;
    // A Saturday of its own in UTC, local from 08:00.
    let saturday = "2025-07-19T05:30:00Z".parse().unwrap();
    assert!((profile.arrival_share(saturday) - 0.5).abs() < 1e-12);
    assert!(profile.arrival_share(saturday + TimeDelta::hours(1)).abs() < 1e-12);
    // The Monday after it is like it once it is a holiday: local, from 16:00 of the day before in UTC.
    let monday = saturday + TimeDelta::days(2);
    assert!(profile.arrival_share(monday) < 0.5);
    profile.holidays = ["2025-07-21".parse().unwrap()].into();
    assert!((profile.arrival_share(monday) - 0.5).abs() < 1e-12);
    profile.holidays.clear();
    let (mut now, mut state) = (small().start(), 7);
    let until = now + TimeDelta::days(7 * 60);
    let (mut week, mut weekend) = (0.0, 0.0);
    while let Some(next) = profile.next_arrival(20.0, now, until, || uniform(&mut state)) {
        now = next;
        let local = next + TimeDelta::hours(8);
        if local.weekday().number_from_monday() < 6 {
            week += 1.0;
        } else {
            assert_eq!(local.hour(), 13);
            weekend += 1.0;
        }
    }
    let (a_weekday, a_weekend_day) = (week / 300.0, weekend / 120.0);
    assert!((19.0..21.0).contains(&a_weekday), "{a_weekday}");
    assert!((9.0..11.0).contains(&a_weekend_day), "{a_weekend_day}");
}

#[test]
fn the_calendars_holidays_are_every_profiles() {
    let text = include_str!("../fleet-small.toml");
    let text = format!("{text}\n[calendar]\nholidays = [2025-07-21]\n");
    let scenario = Scenario::parse(&text).unwrap();
    let day = "2025-07-21".parse().unwrap();
    for profile in scenario.sessions.values() {
        assert_eq!(profile.holidays, [day].into());
    }
}
