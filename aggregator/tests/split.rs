//! A station's setpoint shared out: sums, bounds, urgency, piles that do not obey.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod common;

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use common::{at, kw, kwh, reading, station};
use proptest::prelude::*;
use vpp_aggregator::{PileReading, PileSetpoint, Splitter, split};
use vpp_core::{Energy, Power, Session, Timestamp};

fn shares(setpoint: Power, readings: &[PileReading]) -> Vec<Power> {
    let mut out = Vec::new();
    split(&station("s", 4), setpoint, readings, at(0), &mut out);
    assert_eq!(out.len(), readings.len());
    out.iter().map(|told| told.setpoint).collect()
}

#[test]
fn what_all_can_have_all_get() {
    let readings = [reading(0, kw(0), 4.0, 10.0), reading(3, kw(0), 9.0, 0.0)];
    assert_eq!(shares(kw(14), &readings), [kw(7), kw(7)]);
    assert_eq!(shares(kw(100), &readings), [kw(7), kw(7)]);
    assert_eq!(shares(kw(0), &readings), [kw(0), kw(0)]);
    assert_eq!(shares(kw(5), &[]), []);
}

#[test]
fn who_must_charge_comes_first_and_none_of_them_waits_for_another() {
    // 10 kWh at 7 kW take some 100 minutes.
    let mut readings = [
        reading(0, kw(0), 8.0, 10.0),
        reading(1, kw(0), 1.4, 10.0),
        reading(2, kw(0), 1.2, 10.0),
    ];
    // Who has time and consents gives for them.
    assert_eq!(shares(kw(5), &readings), [kw(-5), kw(5), kw(5)]);
    readings[0].session.max_discharge = kw(0);
    // By the rates that they need: both all that they can get. The odd watts go to the one that leaves first.
    assert_eq!(shares(kw(10), &readings), [kw(0), kw(5), kw(5)]);
    assert_eq!(shares(kw(17), &readings), [kw(3), kw(7), kw(7)]);
}

#[test]
fn who_needs_energy_comes_before_who_could_take_some() {
    let readings = [reading(0, kw(0), 8.0, 0.0), reading(1, kw(0), 8.0, 5.0)];
    assert_eq!(shares(kw(7), &readings), [kw(0), kw(7)]);
    assert_eq!(shares(kw(9), &readings), [kw(2), kw(7)]);
}

#[test]
fn equals_get_equal_parts_to_the_watt() {
    let readings: Vec<_> = (0..3).map(|pile| reading(pile, kw(0), 8.0, 5.0)).collect();
    let told = shares(kw(10), &readings);
    assert_eq!(told.iter().sum::<Power>(), kw(10));
    assert_eq!(
        told.iter().max().unwrap().as_watts() - told.iter().min().unwrap().as_watts(),
        1
    );
}

/// 6.65 kWh at 7 kW and 95 % take an hour.
#[test]
fn a_millisecond_decides_nothing_between_two_who_must_charge() {
    for late_ms in [-2, -1, 0, 1, 2] {
        let mut readings = [reading(0, kw(0), 1.0, 6.65), reading(1, kw(0), 1.0, 6.65)];
        readings[1].session.departure += TimeDelta::milliseconds(late_ms);
        let told = shares(kw(8), &readings);
        assert_eq!(told[0] + told[1], kw(8));
        assert!(
            (told[0] - told[1]).abs() <= Power::from_watts(10),
            "{told:?}"
        );
    }
}

#[test]
fn export_comes_from_who_can_best_spare_it() {
    let mut readings = vec![
        reading(0, kw(0), 3.0, 5.0),
        reading(1, kw(0), 12.0, 5.0),
        reading(2, kw(0), 6.0, 5.0),
    ];
    assert_eq!(shares(kw(-4), &readings), [kw(0), kw(-4), kw(0)]);
    assert_eq!(shares(kw(-12), &readings), [kw(-2), kw(-5), kw(-5)]);
    assert_eq!(shares(kw(-99), &readings), [kw(-5), kw(-5), kw(-5)]);
    readings[1].session.energy_available = kwh(0.0);
    assert_eq!(shares(kw(-4), &readings), [kw(0), kw(0), kw(-4)]);
}

#[test]
fn an_urgent_vehicle_charges_through_an_export_that_the_others_can_bear() {
    let readings = [
        reading(0, kw(0), 1.0, 10.0),
        reading(1, kw(0), 9.0, 5.0),
        reading(2, kw(0), 9.0, 5.0),
    ];
    assert_eq!(shares(kw(-3), &readings), [kw(7), kw(-5), kw(-5)]);
    assert_eq!(shares(kw(-8), &readings), [kw(2), kw(-5), kw(-5)]);
    assert_eq!(shares(kw(-10), &readings), [kw(0), kw(-5), kw(-5)]);
}

/// Runs a splitter for so many seconds against piles whose draw `draws` says.
fn run(
    splitter: &mut Splitter,
    readings: &mut [PileReading],
    seconds: std::ops::Range<i64>,
    setpoint: Power,
    draws: impl Fn(u32, Power) -> Power,
) -> Vec<PileSetpoint> {
    let mut out = Vec::new();
    for second in seconds {
        splitter.split(
            &station("s", 4),
            setpoint,
            readings,
            at(second * 1_000),
            &mut out,
        );
        for (reading, told) in readings.iter_mut().zip(&out) {
            reading.active_power = draws(reading.pile, told.setpoint);
        }
    }
    out
}

/// The next vehicle at a pile that obeyed nobody counts with all that it can draw before it draws it, and is believed once it
/// has waited when told.
#[test]
fn a_pile_that_did_not_obey_is_not_believed_at_once() {
    let car = |pile| reading(pile, kw(7), 8.0, 10.0);
    let mut readings: Vec<_> = (0..3).map(car).collect();
    let mut splitter = Splitter::new();
    let draw = |readings: &[PileReading]| -> Power {
        readings.iter().map(|reading| reading.active_power).sum()
    };
    let wild = |pile, told| if pile == 0 { kw(7) } else { told };
    run(&mut splitter, &mut readings, 0..90, kw(14), wild);
    assert_eq!(splitter.unruly().collect::<Vec<_>>(), [0]);
    // It leaves: room for the next one stays.
    readings.remove(0);
    run(&mut splitter, &mut readings, 90..200, kw(14), wild);
    assert!(draw(&readings) <= kw(7), "{}", draw(&readings));
    // The next one comes and draws at once: the ceiling holds in every second.
    readings.insert(
        0,
        PileReading {
            active_power: Power::ZERO,
            ..car(0)
        },
    );
    for second in 200..260 {
        run(
            &mut splitter,
            &mut readings,
            second..second + 1,
            kw(14),
            wild,
        );
        assert!(draw(&readings) <= kw(14), "{second} s: {}", draw(&readings));
    }
    // One that waits when told is believed.
    readings[0] = PileReading {
        active_power: Power::ZERO,
        ..car(0)
    };
    run(&mut splitter, &mut readings, 260..320, kw(14), |_, told| {
        told
    });
    assert!(draw(&readings) > kw(13), "{}", draw(&readings));
    assert!(
        readings[0].active_power > kw(3),
        "{}",
        readings[0].active_power
    );
}

#[test]
fn a_pile_that_does_not_obey_is_made_up_for_by_the_others() {
    let mut readings: Vec<_> = (0..4).map(|pile| reading(pile, kw(7), 8.0, 10.0)).collect();
    let mut splitter = Splitter::new();
    let wild = |pile, told| if pile == 2 { kw(7) } else { told };
    let draw = |readings: &[PileReading]| -> Power {
        readings.iter().map(|reading| reading.active_power).sum()
    };
    run(&mut splitter, &mut readings, 0..15, kw(12), wild);
    assert_eq!(
        draw(&readings),
        kw(16),
        "no blame before it had time to settle"
    );
    // Once it is found out, what was shared out less in the meantime comes back bit by bit.
    run(&mut splitter, &mut readings, 15..90, kw(12), wild);
    let close = |draw: Power, to: Power| draw <= to && draw > to - Power::from_watts(100);
    assert!(close(draw(&readings), kw(12)), "{}", draw(&readings));
    assert_eq!(splitter.unruly().collect::<Vec<_>>(), [2]);
    let mut begin = 90;
    for setpoint in [kw(20), kw(9), kw(7), kw(25)] {
        run(
            &mut splitter,
            &mut readings,
            begin..begin + 90,
            setpoint,
            wild,
        );
        assert!(
            close(draw(&readings), setpoint),
            "{} of {setpoint}",
            draw(&readings)
        );
        begin += 90;
    }
    run(&mut splitter, &mut readings, begin..begin + 40, kw(3), wild);
    assert_eq!(draw(&readings), kw(7), "its own draw cannot be avoided");
    let obeys = |_, told| told;
    let told = run(
        &mut splitter,
        &mut readings,
        begin + 40..begin + 120,
        kw(12),
        obeys,
    );
    assert!(
        close(told[2].setpoint, kw(3)),
        "it takes part again when it obeys"
    );
}

/// 0.05 kWh at 95 % in a minute are 2.85 kW: it gives less and less, rather than 5 kW and then nothing while the other still draws.
#[test]
fn who_gives_for_another_does_not_run_dry_at_once() {
    let mut readings = [reading(0, kw(0), 9.0, -5.0), reading(1, kw(0), 1.0, 6.65)];
    readings[0].session.energy_available = kwh(0.05);
    let (mut splitter, mut told) = (Splitter::new(), Vec::new());
    for second in 0..30 {
        splitter.split(
            &station("s", 4),
            kw(0),
            &readings,
            at(second * 1_000),
            &mut told,
        );
        for (reading, told) in readings.iter_mut().zip(&told) {
            reading.active_power = told.setpoint;
        }
    }
    assert_eq!(told[0].setpoint, -Power::from_watts(2_850));
    assert_eq!(told[1].setpoint, Power::from_watts(2_850));
    // An export is what the station was told: all of it is given.
    splitter.split(
        &station("s", 4),
        kw(-4),
        &readings[..1],
        at(30_000),
        &mut told,
    );
    assert_eq!(told[0].setpoint, kw(-4));
}

#[test]
fn a_pile_that_does_not_export_is_not_counted_on() {
    let mut readings: Vec<_> = (0..3).map(|pile| reading(pile, kw(0), 8.0, 1.0)).collect();
    let mut splitter = Splitter::new();
    let idle = |pile, told: Power| if pile == 0 { told.max(kw(0)) } else { told };
    run(&mut splitter, &mut readings, 0..300, kw(-6), idle);
    let total: Power = readings.iter().map(|reading| reading.active_power).sum();
    assert_eq!(total, kw(-6));
}

#[test]
fn a_pile_that_lags_is_not_blamed() {
    let mut readings: Vec<_> = (0..4).map(|pile| reading(pile, kw(0), 8.0, 10.0)).collect();
    let mut splitter = Splitter::new();
    let mut out = Vec::new();
    let mut past = vec![vec![Power::ZERO; 4]; 10];
    for second in 0..600_usize {
        // A ceiling that saws up and down, followed ten seconds later.
        let phase = i64::try_from(second % 40).unwrap();
        let setpoint = kw(8 + (phase - 20).abs());
        splitter.split(
            &station("s", 4),
            setpoint,
            &readings,
            at(1_000 * i64::try_from(second).unwrap()),
            &mut out,
        );
        assert_eq!(splitter.unruly().count(), 0, "second {second}");
        let slot = &mut past[second % 10];
        for (at, told) in out.iter().enumerate() {
            readings[at].active_power = std::mem::replace(&mut slot[at], told.setpoint);
        }
    }
}

fn tenths(of_a_kilowatt_hour: i64) -> Energy {
    Energy::from_watt_milliseconds(of_a_kilowatt_hour * 360_000_000)
}

fn arbitrary_reading() -> impl Strategy<Value = PileReading> {
    let energies = (0_i64..60, 0_i64..40, 0_i64..40);
    let powers = (0_i64..120_000, 0_i64..60_000, -60_000_i64..120_000);
    (energies, powers, -10_i64..1_000).prop_map(|(energies, powers, minutes)| PileReading {
        pile: 0,
        active_power: Power::from_watts(powers.2),
        min_charge: Power::ZERO,
        says: true,
        defies: false,
        session: Session {
            departure: at(0) + TimeDelta::minutes(minutes),
            energy_needed: tenths(energies.0),
            energy_room: tenths(energies.0 + energies.1),
            energy_available: tenths(energies.2),
            max_charge: Power::from_watts(powers.0),
            max_discharge: Power::from_watts(powers.1),
        },
        vehicle: None,
        battery: None,
    })
}

fn arbitrary_readings() -> impl Strategy<Value = Vec<PileReading>> {
    prop::collection::vec(arbitrary_reading(), 0..40).prop_map(|mut readings| {
        for (pile, reading) in (0..).zip(&mut readings) {
            reading.pile = pile;
        }
        readings
    })
}

fn charge_limit(reading: &PileReading) -> Power {
    match reading.session.energy_room < kwh(0.001) {
        true => Power::ZERO,
        false => reading.session.max_charge,
    }
}

fn discharge_limit(reading: &PileReading, now: Timestamp) -> Power {
    match reading.session.energy_available > kwh(0.0) && reading.session.departure > now {
        true => reading.session.max_discharge,
        false => Power::ZERO,
    }
}

/// Whether it must charge within the quarter of an hour for which others may give for it.
fn needs_soon(reading: &PileReading) -> bool {
    let left = (reading.session.departure - at(0)).num_minutes();
    reading.session.energy_needed > kwh(0.0) && (spare(reading) < 900_000 || left <= 15)
}

fn must(reading: &PileReading) -> bool {
    reading.session.departure > at(0)
        && reading.session.energy_needed > kwh(0.0)
        && charge_limit(reading) > Power::ZERO
        && spare(reading) <= 0
}

/// How long it may still wait, ms.
fn spare(reading: &PileReading) -> i64 {
    let session = &reading.session;
    let drawn = session.energy_needed.as_watt_milliseconds() * 100 / 95;
    let left = (session.departure - at(0)).num_milliseconds().max(0);
    left - drawn / session.max_charge.as_watts().max(1)
}

proptest! {
    #[test]
    fn sums_are_exact_and_every_pile_stays_within_its_bounds(
        readings in arbitrary_readings(),
        setpoint in -500_000_i64..1_000_000,
    ) {
        let setpoint = Power::from_watts(setpoint);
        let told = shares(setpoint, &readings);
        let total: Power = told.iter().sum();
        for (told, reading) in told.iter().zip(&readings) {
            prop_assert!(*told <= charge_limit(reading));
            prop_assert!(*told >= -discharge_limit(reading, at(0)));
            let gives_for_others = readings.iter().any(needs_soon);
            prop_assert!(setpoint < Power::ZERO || *told >= Power::ZERO || gives_for_others);
        }
        if setpoint >= Power::ZERO {
            let most: Power = readings.iter().map(charge_limit).sum();
            prop_assert_eq!(total, setpoint.min(most));
        } else {
            let supply: Power = -shares(kw(-1_000_000), &readings).iter().sum::<Power>();
            prop_assert_eq!(total, setpoint.max(-supply));
        }
    }

    #[test]
    fn more_to_share_takes_nothing_from_anybody(
        readings in arbitrary_readings(),
        low in 0_i64..500_000,
        more in 0_i64..500_000,
    ) {
        let before = shares(Power::from_watts(low), &readings);
        let after = shares(Power::from_watts(low + more), &readings);
        for (before, after) in before.iter().zip(&after) {
            // The odd watts of equal parts may go to somebody else.
            let odd = i64::try_from(readings.len()).unwrap();
            prop_assert!(after.as_watts() >= before.as_watts() - odd);
        }
    }

    #[test]
    fn nobody_who_can_wait_charges_while_one_who_must_goes_short(
        readings in arbitrary_readings(),
        setpoint in -100_000_i64..500_000,
    ) {
        let told = shares(Power::from_watts(setpoint), &readings);
        for (short, urgent) in told.iter().zip(&readings) {
            if !must(urgent) || *short >= charge_limit(urgent) {
                continue;
            }
            for (other, less) in told.iter().zip(&readings) {
                let cannot_wait = spare(less) <= 1_000 && less.session.energy_needed > kwh(0.0);
                prop_assert!(cannot_wait || *other <= Power::ZERO);
            }
        }
    }

    #[test]
    fn the_others_make_up_for_any_pile_that_does_not_obey(
        wild in prop::collection::vec(prop::bool::ANY, 6),
        setpoint in 0_i64..40,
    ) {
        let mut readings: Vec<_> = (0..6).map(|pile| reading(pile, kw(7), 8.0, 10.0)).collect();
        let draws = |pile: u32, told| if wild[pile as usize] { kw(7) } else { told };
        run(&mut Splitter::new(), &mut readings, 0..40, kw(setpoint), draws);
        let total: Power = readings.iter().map(|reading| reading.active_power).sum();
        let unavoidable = kw(7 * i64::try_from(wild.iter().filter(|wild| **wild).count()).unwrap());
        prop_assert!(total <= kw(setpoint).max(unavoidable) + kw(1), "{total}");
    }
}

fn city(min_charge: Power) -> Vec<PileReading> {
    let pile = |pile: u32| PileReading {
        says: true,
        defies: false,
        min_charge,
        ..reading(
            pile,
            kw(3),
            0.5 + f64::from(pile % 977) / 80.0,
            f64::from(pile % 61) / 2.0,
        )
    };
    (0..28_000).map(pile).collect()
}

/// Of 20 kW one takes 7 whatever it is told, as its station says: 13 are left for the others. The engine knows, so that where 5 are
/// left for all, who consents gives the 2 that are missing.
#[test]
fn whom_the_station_calls_defiant_is_counted_with_what_it_takes() {
    let mut cars: Vec<PileReading> = (0..3).map(|pile| reading(pile, kw(7), 4.0, 12.0)).collect();
    let mut out = Vec::new();
    let told = |cars: &[PileReading], ceiling, out: &mut Vec<PileSetpoint>| {
        Splitter::trusting(TimeDelta::minutes(5)).split(
            &station("s", 3),
            ceiling,
            cars,
            at(0),
            out,
        );
        out.iter().map(|told| told.setpoint).collect::<Vec<_>>()
    };
    cars[0].defies = true;
    cars[0].session.max_charge = kw(7);
    let shared = told(&cars, kw(20), &mut out);
    assert_eq!(shared[0], Power::ZERO);
    assert_eq!(shared.iter().sum::<Power>(), kw(13));
    cars[2].session.max_discharge = kw(7);
    cars[2].session.energy_available = cars[2].session.energy_room;
    let shared = told(&cars, kw(5), &mut out);
    assert_eq!(shared, [kw(0), kw(0), kw(-2)]);
}

/// Where looks are far apart there is no time to see who gives before others take: both are told at once.
#[test]
fn who_is_trusted_gives_for_another_from_the_first_moment_on() {
    let mut cars = [reading(0, kw(0), 1.4, 10.0), reading(1, kw(0), 8.0, 0.0)];
    cars[0].min_charge = Power::from_watts(1_320);
    cars[1].session.max_discharge = kw(7);
    cars[1].session.energy_available = kwh(20.0);
    let mut out = Vec::new();
    Splitter::trusting(TimeDelta::minutes(5)).split(
        &station("s", 2),
        kw(0),
        &cars,
        at(0),
        &mut out,
    );
    let told: Vec<Power> = out.iter().map(|told| told.setpoint).collect();
    assert!(told[0] > kw(6), "{told:?}");
    assert_eq!(told[0] + told[1], kw(0));
}

#[test]
fn a_city_of_piles_is_split_in_no_time() {
    let readings = city(Power::ZERO);
    let mut splitter = Splitter::new();
    let mut out = Vec::new();
    // The fastest counts: others may have the processor meanwhile.
    let mut fastest = Duration::MAX;
    for second in 0..20 {
        let start = Instant::now();
        let setpoint = kw([60_000, -20_000][usize::try_from(second % 2).unwrap()]);
        splitter.split(
            &station("s", 4),
            setpoint,
            &readings,
            at(second * 1_000),
            &mut out,
        );
        fastest = fastest.min(start.elapsed());
    }
    println!("28,000 piles: {fastest:?} a split");
    assert!(fastest.as_millis() < 250, "{fastest:?}");
}

/// There is not the least of 6 A for all of them: they go by turns, which end within these minutes.
#[test]
fn a_city_of_piles_takes_turns_in_no_time() {
    let least = Power::from_watts(1_320);
    let mut readings = city(least);
    let mut splitter = Splitter::new();
    let mut out = Vec::new();
    let mut fastest = Duration::MAX;
    let mut switched = 0;
    for minute in 0..20 {
        let start = Instant::now();
        let setpoint = kw([20_000, 15_000][usize::try_from(minute % 2).unwrap()]);
        splitter.split(
            &station("s", 4),
            setpoint,
            &readings,
            at(minute * 60_000),
            &mut out,
        );
        fastest = fastest.min(start.elapsed());
        let waiting = out.iter().filter(|told| told.setpoint == Power::ZERO);
        assert!(waiting.count() > 1_000);
        for (reading, told) in readings.iter_mut().zip(&out) {
            let told = told.setpoint;
            assert!(told <= Power::ZERO || told >= least, "{told}");
            if minute > 0 {
                let charged = reading.active_power > Power::ZERO;
                switched += usize::from(charged != (told > Power::ZERO));
            }
            reading.active_power = told;
        }
    }
    println!("28,000 piles by turns: {fastest:?} a split");
    assert!(switched > 1_000, "{switched}");
    assert!(fastest.as_millis() < 250, "{fastest:?}");
}
