//! Determinism, energy, and needs without control.

use std::time::Instant;

use super::*;

#[test]
fn the_same_seed_gives_the_same_world() {
    let run = |seed| {
        let mut world = world(seed, 0..5);
        world.advance(after(1_800));
        format!("{world:?}")
    };
    assert!(run(7) == run(7), "the same bytes");
    assert!(run(7) != run(8), "another day");
}

#[test]
fn a_station_lives_the_same_day_whoever_is_beside_it_and_however_often_it_is_looked_at() {
    let mut all = world(3, 0..6);
    let mut some = world(3, 2..4);
    for second in 1..=3_600 {
        all.advance(after(second));
    }
    for seventh in 0..=(3_600_000 / 7_300) {
        some.advance(start() + TimeDelta::milliseconds(seventh * 7_300));
    }
    some.advance(after(3_600));
    for (in_all, in_some) in [(2, 0), (3, 1)] {
        assert_eq!(all.readings(in_all), some.readings(in_some));
        assert_eq!(all.active_power(in_all), some.active_power(in_some));
        assert_eq!(all.tally(in_all), some.tally(in_some));
    }
}

#[test]
fn energy_is_neither_made_nor_lost() {
    let mut world = world(5, 0..8);
    let before: Vec<Energy> = (0..8).map(|station| world.stored(station)).collect();
    let seconds = 4 * 3_600;
    world.advance(after(seconds));
    for (station, before) in before.into_iter().enumerate() {
        let tally = world.tally(station);
        let (came, went) = (tally.energy_arrived, tally.energy_departed);
        let moved = tally.energy_charged - tally.energy_discharged;
        assert_eq!(world.stored(station), before + came - went + moved);
        let stored = tally.energy_charged.as_kilowatt_hours();
        let expected = tally.energy_drawn.as_kilowatt_hours() * 0.95;
        assert!(stored > 10.0, "{stored}");
        assert!((stored - expected).abs() < 1e-3, "{stored} {expected}");
    }
}

#[test]
fn without_control_everybody_leaves_with_what_was_promised() {
    let mut world = world(11, 0..30);
    world.advance(after(24 * 3_600));
    let total = world.total();
    assert!(total.departures > 1_000, "{total:?}");
    assert_eq!(total.short_departures, 0, "{total:?}");
    assert!(
        total.energy_drawn.as_kilowatt_hours() > 10_000.0,
        "{total:?}"
    );
}

#[test]
fn the_default_ceiling_holds_without_any_word_from_outside() {
    let mut config = config(13, 0..10, behaviour());
    for model in &mut config.stations {
        model.station.default_setpoint = kw(60);
    }
    let mut world = World::new(config);
    let mut busiest = Power::ZERO;
    for second in 1..=3_600 {
        world.advance(after(second));
        for station in 0..10 {
            busiest = busiest.max(world.active_power(station));
            let draw = world.active_power(station);
            assert!(draw <= kw(60), "second {second}: {draw}");
        }
    }
    assert!(busiest > kw(50), "{busiest}");
}

#[test]
fn the_warm_up_ends_in_a_usual_day() {
    let mut world = world(17, 0..60);
    let vehicles = |world: &World| -> usize { (0..60).map(|at| world.readings(at).len()).sum() };
    let at_start = vehicles(&world);
    world.advance(after(24 * 3_600));
    let a_day_later = vehicles(&world);
    assert!(at_start > 200, "{at_start}");
    assert!(
        at_start.abs_diff(a_day_later) < at_start / 7,
        "{at_start} {a_day_later}"
    );
}

#[test]
fn shares_of_stations_and_piles_come_out_as_stated() {
    let behaviour = Behaviour {
        disobeying_pile_share: 0.1,
        refusing_station_share: 0.2,
        unreachable_station_share: 0.3,
        ..behaviour()
    };
    let config = WorldConfig {
        warm_up: TimeDelta::zero(),
        ..config(19, 0..500, behaviour)
    };
    let world = World::new(config);
    let count = |is: &dyn Fn(usize) -> bool| (0..500).filter(|at| is(*at)).count();
    let refusing = count(&|at| world.refusal(at).is_some());
    assert!((80..120).contains(&refusing), "{refusing}");
    let silent = count(&|at| !world.reachable(at));
    assert!((125..175).contains(&silent), "{silent}");
    let piles = world.states.iter().flat_map(StationState::piles);
    let wild = piles.filter(|pile| !pile.obeys).count();
    assert!((900..1_100).contains(&wild), "{wild} of 10,000");
}

#[test]
fn a_city_warms_up_in_no_time() {
    let config = config(23, 0..500, behaviour());
    let begin = Instant::now();
    let mut world = World::new(config);
    let warm_up = begin.elapsed();
    let begin = Instant::now();
    world.advance(after(600));
    let ten_minutes = begin.elapsed();
    println!("10,000 piles: {warm_up:?} to warm up, {ten_minutes:?} for ten minutes");
    assert!(warm_up.as_secs_f64() < 15.0, "{warm_up:?}");
}
