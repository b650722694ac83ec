//! What would have been drawn without an event: as usual at that time of such a day for events that are called ahead, as just
//! before it for those that are not.

#![allow(clippy::unwrap_used)] // a test that cannot go on shall fail

mod support;

use chrono::{TimeDelta, Timelike as _};
use vpp_core::{Energy, Event, EventOutcome, NodeId, Power, Programme};

use support::{World, kilowatts, session};

const QUARTER: TimeDelta = TimeDelta::minutes(15);

/// Four stations that draw 20 kW each until 17:00 in Beijing, and 50 from then on; vehicles that stay and need nothing. It is
/// 16:45 on the fourth working day.
fn world() -> World {
    let mut world = World::new(4);
    let mut lasting = session(world.now, Power::ZERO);
    lasting.departure = world.now + TimeDelta::days(30);
    (lasting.energy_needed, lasting.energy_room) =
        (Energy::ZERO, Energy::from_watt_milliseconds(1 << 60));
    for fake in &mut world.fakes {
        fake.sessions = vec![lasting.clone(); 2];
    }
    // From Monday: the small world begins on a Friday.
    let monday = "2027-01-17T16:00:00Z".parse().unwrap();
    assert!(world.now < monday, "{}", world.now);
    world.now = monday;
    let thursday = monday + TimeDelta::days(3) + TimeDelta::minutes(16 * 60 + 45);
    while world.now < thursday {
        pass(&mut world, QUARTER);
    }
    world.steps.retain(|(_, _, outputs)| !outputs.is_empty());
    world
}

/// Time in which nobody looks more than once.
fn pass(world: &mut World, length: TimeDelta) {
    world.now += length;
    tune(world);
    world.report();
    world.decide();
}

/// What the stations want to draw at this time of the day.
fn tune(world: &mut World) {
    let local = (world.now + TimeDelta::hours(8)).hour();
    // A reading tells of the time before it.
    let on_the_hour = world.now.minute() == 0 && world.now.second() == 0;
    let evening = local >= 17 && !(local == 17 && on_the_hour);
    for fake in &mut world.fakes {
        fake.demand = kilowatts(if evening { 50 } else { 20 });
    }
}

/// Lives second by second until so long after now.
fn live(world: &mut World, length: TimeDelta) {
    let until = world.now + length;
    while world.now < until {
        tune(world);
        world.run_until(world.now + TimeDelta::seconds(20).min(until - world.now));
    }
}

fn event<'a>(world: &'a World, called: &Event) -> &'a Event {
    &world.engine.events()[&called.id]
}

/// What an event is held against, and what is drawn; kW, rounded: a setpoint is rounded down to the watt.
fn seen(world: &World, called: &Event) -> (i64, i64) {
    let on = event(world, called);
    let kilowatts = |power: Option<Power>| (power.unwrap().as_watts() + 500) / 1_000;
    (kilowatts(on.baseline), kilowatts(on.measured))
}

/// By hand: 80 kW before 17:00, 200 from then on as on the days before, 60 of which are promised.
#[test]
fn an_event_called_ahead_is_held_against_what_is_usual_then() {
    let mut world = world();
    let request = world.demand_response(60, 900, 3_600);
    let called = world.submit(request).unwrap();
    assert_eq!(called.accepted, kilowatts(60));
    live(&mut world, QUARTER + TimeDelta::minutes(2));
    assert_eq!(seen(&world, &called), (200, 140));
    // After a restart as well, though the quarter of an hour before the event is gone.
    world.restart();
    world.report();
    world.run_until(world.now + TimeDelta::minutes(1));
    assert_eq!(seen(&world, &called), (200, 140));
    live(&mut world, TimeDelta::hours(1));
    let ended = event(&world, &called);
    assert_eq!(ended.outcome, Some(EventOutcome::Delivered), "{ended:?}");
    assert_eq!(world.wrongs, Vec::<String>::new());
}

/// By hand: 80 kW before it, of which 60 are promised: all four stations may draw no more than 20 together.
#[test]
fn an_event_called_at_short_notice_is_held_against_the_load_before() {
    let mut world = world();
    live(&mut world, QUARTER - TimeDelta::minutes(1));
    let request = world.demand_response(60, 60, 3_600);
    let called = world.submit(request).unwrap();
    assert_eq!(called.accepted, kilowatts(60));
    live(&mut world, TimeDelta::minutes(3));
    assert_eq!(seen(&world, &called), (80, 20));
}

/// By hand: at 16:45 on Saturday nothing is known of Saturdays.
#[test]
fn where_nothing_is_known_the_load_before_holds() {
    let mut world = world();
    for _ in 0..2 * 96 {
        pass(&mut world, QUARTER);
    }
    let request = world.demand_response(60, 900, 3_600);
    let called = world.submit(request).unwrap();
    live(&mut world, QUARTER + TimeDelta::minutes(2));
    assert_eq!(seen(&world, &called).0, 80);
}

/// What was kept at midnight is known again.
#[test]
fn what_is_usual_survives_a_restart() {
    let mut world = world();
    world.restart();
    world.report();
    let request = world.demand_response(60, 900, 3_600);
    let called = world.submit(request).unwrap();
    live(&mut world, QUARTER + TimeDelta::minutes(2));
    assert_eq!(seen(&world, &called), (200, 140));
}

/// By hand: at 17:45 200 kW are drawn, at night 80, and the next day at 17:00 200 again: 0.9 of that can be promised for then, however
/// little there is in between.
#[test]
fn an_event_of_the_next_day_is_promised_by_what_is_usual_then() {
    let mut world = world();
    for _ in 0..4 {
        pass(&mut world, QUARTER);
    }
    let tomorrow = 24 * 3_600 - 2_700;
    let request = world.demand_response(150, tomorrow, 3_600);
    assert_eq!(world.submit(request).unwrap().accepted, kilowatts(150));
    // Until two in the night only 80 of them are left.
    let night = world.demand_response(150, 22_500, 7_200);
    assert_eq!(world.submit(night).unwrap().accepted, kilowatts(60));
}

/// By hand: at 23:45 200 kW are drawn and 80 from midnight on; 280 with the base load are 100 above the ceiling. That less will
/// be drawn anyway takes nothing off what can be given.
#[test]
fn a_ceiling_is_held_against_no_baseline() {
    let mut world = world();
    for _ in 0..28 {
        pass(&mut world, QUARTER);
    }
    let mut request = world.demand_response(1, 900, 3_600);
    request.programme = Programme::PeakShaving {
        node: NodeId::new("substation").unwrap(),
        ceiling: kilowatts(180),
    };
    assert_eq!(world.submit(request).unwrap().accepted, kilowatts(100));
}
