//! Piles that cannot charge a little: never less than their least, no chatter, and nobody waits for ever.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod common;

use common::{at, kw, reading, station};
use proptest::prelude::*;
use vpp_aggregator::{PileReading, PileSetpoint, Splitter};
use vpp_core::Power;

/// 6 A on one phase.
const LEAST: Power = Power::from_watts(1_320);

fn car(pile: u32, hours: f64, needed_kwh: f64) -> PileReading {
    PileReading {
        min_charge: LEAST,
        says: true,
        ..reading(pile, Power::ZERO, hours, needed_kwh)
    }
}

/// What each pile was told, second after second, while all do at once what they are told.
fn run(
    readings: &mut [PileReading],
    seconds: i64,
    ceiling: impl Fn(i64) -> Power,
) -> Vec<Vec<Power>> {
    let mut splitter = Splitter::new();
    let mut out: Vec<PileSetpoint> = Vec::new();
    let mut told = Vec::new();
    for second in 0..seconds {
        let now = at(second * 1_000);
        splitter.split(&station("s", 4), ceiling(second), readings, now, &mut out);
        for (reading, told) in readings.iter_mut().zip(&out) {
            let session = &mut reading.session;
            reading.active_power = told.setpoint.min(session.max_charge);
            let charged = reading.active_power * chrono::TimeDelta::seconds(1);
            session.energy_needed = (session.energy_needed - charged).max(vpp_core::Energy::ZERO);
        }
        told.push(out.iter().map(|told| told.setpoint).collect());
    }
    told
}

/// When a pile was switched on or off, s.
fn switches(told: &[Vec<Power>], pile: usize) -> Vec<usize> {
    let on = |second: usize| told[second][pile] > Power::ZERO;
    (1..told.len())
        .filter(|second| on(*second) != on(*second - 1))
        .collect()
}

#[test]
fn what_nobody_can_begin_to_charge_with_is_not_fed_in() {
    // Three give 5 kW each. What is left of it is less than the one who must charge can begin with.
    let mut cars: Vec<PileReading> = (0..4).map(|pile| car(pile, 12.0, 0.0)).collect();
    cars[0] = car(0, 1.0, 6.5);
    cars[0].session.max_discharge = Power::ZERO;
    let export = Power::from_watts(-14_500);
    let told = run(&mut cars, 1, |_| export);
    assert_eq!(told[0][0], Power::ZERO);
    assert_eq!(told[0].iter().sum::<Power>(), export);
}

/// One that charges with 4 kW or not at all must have most of that within the next quarter of an hour; another can give what the
/// ceiling leaves out. It begins to give before anybody takes: else nobody ever would.
#[test]
fn who_cannot_begin_with_a_little_is_given_enough_to_begin() {
    let mut cars = [car(0, 1.6, 5.7), car(1, 4.0, 0.0)];
    cars[0].session.max_discharge = Power::ZERO;
    cars[0].min_charge = Power::from_watts(3_960);
    cars[0].session.max_charge = Power::from_watts(4_000);
    let told = run(&mut cars, 3_000, |_| Power::from_watts(800));
    let on = |second: &usize| told[*second][0] >= Power::from_watts(3_960);
    let first = (0..told.len()).find(on);
    assert!(first.is_some_and(|first| first < 30), "{first:?}");
    // And goes on: it does not leave short, and is switched on and off now and then only.
    assert!(switches(&told, 0).len() <= 6, "{:?}", switches(&told, 0));
    let on = (0..told.len()).filter(on).count();
    assert!(on > 2_700, "{on} s");
    for told in &told {
        let sum = told.iter().sum::<Power>();
        assert!(
            sum <= Power::from_watts(800) && sum >= Power::from_watts(-4_000),
            "{told:?}"
        );
    }
}

/// A ceiling that is raised at the instant at which it was lowered: nobody was switched off in between, and nobody rests or lost its
/// turn.
#[test]
fn what_is_told_twice_at_an_instant_counts_once() {
    let cars: Vec<PileReading> = (0..3).map(|pile| car(pile, 12.0, 40.0)).collect();
    let (mut twice, mut once) = (
        Splitter::trusting(chrono::TimeDelta::minutes(1)),
        Splitter::trusting(chrono::TimeDelta::minutes(1)),
    );
    let (mut out, mut seen) = (Vec::new(), 0);
    for minute in 0..240 {
        let now = at(minute * 60_000);
        // Room for two of three now and then, for one otherwise.
        let ceiling = if minute % 5 == 0 { kw(3) } else { kw(2) };
        twice.split(&station("s", 4), Power::ZERO, &cars, now, &mut out);
        twice.split(&station("s", 4), ceiling, &cars, now, &mut out);
        let on = |out: &[PileSetpoint]| {
            let on = out.iter().map(|told| told.setpoint > Power::ZERO);
            on.collect::<Vec<bool>>()
        };
        let told = on(&out);
        once.split(&station("s", 4), ceiling, &cars, now, &mut out);
        assert_eq!(told, on(&out), "minute {minute}");
        seen += told.iter().filter(|on| **on).count();
    }
    assert!(seen > 240, "{seen}");
}

#[test]
fn what_is_too_little_for_all_goes_by_turns() {
    // Room for two of three.
    let mut cars: Vec<PileReading> = (0..3).map(|pile| car(pile, 12.0, 40.0)).collect();
    let hours = 6;
    let told = run(&mut cars, hours * 3_600, |_| kw(3));
    for told in &told {
        assert!(
            told.iter()
                .all(|told| *told == Power::ZERO || *told >= LEAST),
            "{told:?}"
        );
        assert!(told.iter().sum::<Power>() <= kw(3));
    }
    let on: Vec<usize> = (0..3)
        .map(|pile| told.iter().filter(|told| told[pile] > Power::ZERO).count())
        .collect();
    // Two thirds of the time each, give or take a turn.
    let fair = told.len() * 2 / 3;
    assert!(
        on.iter().all(|on| on.abs_diff(fair) <= 15 * 60),
        "{on:?} of {fair}"
    );
    for pile in 0..3 {
        let switches = switches(&told, pile);
        assert!(
            switches.windows(2).all(|pair| pair[1] - pair[0] >= 60),
            "{switches:?}"
        );
    }
}

#[test]
fn a_ceiling_that_trembles_makes_no_contactor_chatter() {
    let mut cars: Vec<PileReading> = (0..4).map(|pile| car(pile, 12.0, 40.0)).collect();
    // Now there is room for three, now for two.
    let told = run(&mut cars, 3_600, |second| {
        Power::from_watts(3_960 + if second % 2 == 0 { 40 } else { -40 })
    });
    for pile in 0..4 {
        let switches = switches(&told, pile);
        assert!(switches.len() <= 60, "{} times in an hour", switches.len());
        let off_to_on = switches
            .windows(2)
            .filter(|pair| told[pair[0]][pile] == Power::ZERO);
        for pair in off_to_on {
            assert!(pair[1] - pair[0] >= 60, "{switches:?}");
        }
    }
}

/// A three-phase pile that needs 4 kW where there are 3: the others do not wait for it.
#[test]
fn a_pile_for_which_there_is_too_little_keeps_nobody_back() {
    let mut large = car(0, 3.0, 20.0);
    large.session.max_charge = kw(11);
    large.min_charge = Power::from_watts(3_960);
    let mut cars = vec![large, car(1, 4.0, 4.0), car(2, 4.0, 4.0)];
    let told = run(&mut cars, 3 * 3_600, |_| kw(3));
    let used: i64 = told.iter().flatten().map(|told| told.as_watts()).sum();
    let most = told.len() as i64 * 3_000;
    // Until the two have what they need: 8 kWh.
    assert!(
        used >= (8 * 3_600_000).min(most * 9 / 10),
        "{used} of {most} Ws"
    );
}

/// Nobody is asked to export, and the one for whom the others give does not draw.
#[test]
fn vehicles_give_no_more_than_others_are_seen_to_take() {
    let asleep = reading(0, Power::ZERO, 1.2, 10.0);
    let giver = reading(1, Power::ZERO, 9.0, 0.0);
    let mut readings = vec![asleep, giver];
    readings[0].session.departure = at(60 * 60_000);
    let mut splitter = Splitter::new();
    let mut out = Vec::new();
    for export_limit in [Power::ZERO, kw(40)] {
        let mut station = station("s", 2);
        station.export_limit = export_limit;
        for second in 0..60 {
            splitter.split(
                &station,
                Power::ZERO,
                &readings,
                at(second * 1_000),
                &mut out,
            );
            readings[1].active_power = out[1].setpoint;
            let most = export_limit.min(Power::from_watts(1_500));
            assert!(
                out[1].setpoint >= -most,
                "{} at {second} s",
                out[1].setpoint
            );
        }
    }
    // Awake, it gets what the other gives.
    for second in 60..180 {
        splitter.split(
            &station("s", 2),
            Power::ZERO,
            &readings,
            at(second * 1_000),
            &mut out,
        );
        for (reading, told) in readings.iter_mut().zip(&out) {
            reading.active_power = told.setpoint;
        }
        assert!(out.iter().map(|told| told.setpoint).sum::<Power>() <= Power::ZERO);
    }
    assert!(out[0].setpoint >= kw(4), "{out:?}");
}

#[test]
fn who_should_have_left_takes_nothing_from_others() {
    let mut cars = vec![car(0, 1.0, 10.0), car(1, 1.0, 6.6)];
    cars[0].session.departure = at(-360_000);
    let told = run(&mut cars, 3_600, |_| kw(7));
    let energy: i64 = told.iter().map(|told| told[1].as_watts()).sum();
    assert!(
        energy as f64 / 3.6e6 >= 6.59,
        "{} kWh of 6.6",
        energy as f64 / 3.6e6
    );
}

#[test]
fn who_must_charge_does_not_wait_for_a_turn() {
    let mut cars = vec![car(0, 12.0, 10.0), car(1, 12.0, 10.0), car(2, 2.0, 6.0)];
    let told = run(&mut cars, 2 * 3_600, |_| Power::from_watts(6_000));
    let energy: i64 = told.iter().map(|told| told[2].as_watts()).sum();
    assert!(
        energy as f64 / 3.6e6 >= 5.99,
        "{} kWh of 6",
        energy as f64 / 3.6e6
    );
}

#[test]
fn a_vehicle_that_is_nearly_full_is_not_cut_off() {
    let mut nearly = car(0, 12.0, 1.0);
    nearly.session.max_charge = Power::from_watts(700);
    let told = run(&mut [nearly], 10, |_| Power::from_watts(900));
    // It takes 700 W of the 1,320 that are the least that the pile can be told.
    assert!(told.iter().all(|told| told[0] == LEAST), "{told:?}");
}

proptest! {
    #[test]
    fn no_pile_is_told_less_than_its_least_and_the_ceiling_holds(
        cars in prop::collection::vec((0.2_f64..12.0, 0.0_f64..40.0, 0_i64..5_000), 1..12),
        ceilings in prop::collection::vec(0_i64..60_000, 1..40),
    ) {
        let mut cars: Vec<PileReading> = (0_u32..).zip(&cars).map(|(pile, &(hours, needed, least))| PileReading {
            says: true,
            min_charge: Power::from_watts(least),
            ..car(pile, hours, needed)
        }).collect();
        let mut splitter = Splitter::new();
        let mut out = Vec::new();
        for (step, ceiling) in ceilings.iter().enumerate() {
            let now = at(i64::try_from(step).unwrap() * 7_000);
            splitter.split(&station("s", 4), Power::from_watts(*ceiling), &cars, now, &mut out);
            let mut draw = Power::ZERO;
            for (car, told) in cars.iter_mut().zip(&out) {
                prop_assert!(told.setpoint <= Power::ZERO || told.setpoint >= car.min_charge);
                car.active_power = told.setpoint.min(car.session.max_charge);
                draw += car.active_power;
            }
            prop_assert!(draw.as_watts() <= *ceiling, "{draw} of {ceiling} W");
        }
    }
}
