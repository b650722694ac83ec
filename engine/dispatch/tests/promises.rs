//! What is promised of later times: by hand, over a restart, and how often it is kept.

#![allow(clippy::unwrap_used)] // a test that cannot go on shall fail

mod support;

use chrono::TimeDelta;
use vpp_core::{Energy, Power, Scope, Timestamp};
use vpp_dispatch::{CallDirection, Callable, Fact, Output};

use support::{World, aggregator_id, kilowatts, session};

const QUARTER: TimeDelta = TimeDelta::minutes(15);
const WEEK: i32 = 672;

/// Vehicles that stay for a year and need nothing, at four stations of 60 kW each.
fn world() -> World {
    let mut world = World::new(4);
    let mut lasting = session(world.now, Power::ZERO);
    lasting.departure = world.now + TimeDelta::days(365);
    (lasting.energy_needed, lasting.energy_room) =
        (Energy::ZERO, Energy::from_watt_milliseconds(1 << 60));
    for fake in &mut world.fakes {
        fake.sessions = vec![lasting.clone(); 2];
    }
    world.decide();
    world
}

/// A quarter of an hour later; what was recorded of it.
fn next_quarter(world: &mut World) -> (Timestamp, Vec<Callable>) {
    // The small world's own checks by the second are not needed here.
    world.now += QUARTER;
    world.report();
    world.steps.clear();
    let outputs = world.decide();
    let recorded = outputs.into_iter().find_map(|output| match output {
        Output::Record(fact) => match *fact {
            Fact::Callable { at, callable } => Some((at, callable)),
            _ => None,
        },
        _ => None,
    });
    recorded.expect("each quarter is recorded")
}

/// By hand: each of two aggregators has two stations that draw 50 of 60 kW and could stop for an hour: 100 kW up, 20 kW down.
#[test]
fn what_was_callable_at_this_time_of_the_week_is_promised() {
    let mut world = world();
    let (at, callable) = next_quarter(&mut world);
    assert_eq!(at.timestamp() % 900, 0);
    let one = |index| Callable {
        aggregator: aggregator_id(index),
        up: kilowatts(100),
        down: kilowatts(20),
    };
    assert_eq!(callable, [one(0), one(1)]);
    // Another cycle of the same quarter sees nothing anew.
    world.now += TimeDelta::seconds(4);
    let again = world.decide();
    assert!(
        !again
            .iter()
            .any(|output| matches!(output, Output::Record(_))),
        "{again:?}"
    );

    let soon = world.now + TimeDelta::hours(30);
    let reliable = world
        .engine
        .reliable(world.now, &Scope::All, soon, 0.95)
        .unwrap();
    assert_eq!(
        (reliable.up.callable, reliable.up.due),
        (None, 0),
        "a week is watched first"
    );
    for _ in 0..WEEK {
        next_quarter(&mut world);
    }
    let of = |world: &World, scope: Scope, confidence| {
        let soon = world.now + TimeDelta::hours(30);
        world
            .engine
            .reliable(world.now, &scope, soon, confidence)
            .unwrap()
    };
    let all = of(&world, Scope::All, 0.95);
    assert_eq!(all.up.callable, Some(kilowatts(200)));
    assert_eq!(all.down.callable, Some(kilowatts(40)));
    assert_eq!(all.up.due, 0, "promises are judged a day later");
    let north = of(&world, Scope::Aggregator(aggregator_id(0)), 0.93);
    assert_eq!(
        (north.up.callable, north.confidence),
        (Some(kilowatts(100)), 0.95)
    );

    // A day later ten quarters' promises were kept; then the north's vehicles are gone for five.
    for _ in 0..96 + 10 {
        next_quarter(&mut world);
    }
    assert_eq!(
        world.engine.due_promises().len(),
        3 * 2 * 6,
        "three scopes, six confidences"
    );
    assert!(
        world
            .engine
            .due_promises()
            .iter()
            .all(vpp_dispatch::DuePromise::is_kept)
    );
    for index in [0, 2] {
        world.fakes[index].demand = Power::ZERO;
        world.fakes[index].sessions.clear();
    }
    for _ in 0..5 {
        next_quarter(&mut world);
    }
    let due = world.engine.due_promises();
    let up = |due: &&vpp_dispatch::DuePromise| {
        due.direction == CallDirection::Up && (due.confidence - 0.95).abs() < 1e-12
    };
    let up: Vec<_> = (due.iter().filter(up))
        .map(|due| {
            (
                due.aggregator.clone(),
                due.promised,
                due.actual,
                due.is_kept(),
            )
        })
        .collect();
    assert_eq!(
        up,
        [
            (None, kilowatts(200), kilowatts(100), false),
            (Some(aggregator_id(0)), kilowatts(100), Power::ZERO, false),
            (Some(aggregator_id(1)), kilowatts(100), kilowatts(100), true),
        ]
    );
    // One in seven days and one hour came due while all was well.
    let north = of(&world, Scope::Aggregator(aggregator_id(0)), 0.95);
    assert_eq!((north.up.due, north.up.kept), (16, 11));
    world.now += TimeDelta::seconds(4);
    world.decide();
    assert_eq!(world.engine.due_promises(), []);
}

/// What a programme uses is counted from the load before it: callable is what was called already, too.
#[test]
fn what_is_called_already_was_callable() {
    let mut world = world();
    next_quarter(&mut world);
    let now = world.now;
    let event = world.demand_response(80, 0, 7_200);
    world.submit(event).unwrap();
    world.cycle();
    world.cycle();
    assert!(world.draw() < kilowatts(125), "{}", world.draw());
    world.now = now;
    let (_, callable) = next_quarter(&mut world);
    assert_eq!(callable[0].up + callable[1].up, kilowatts(200));
}

/// By hand: from 10:00 to 18:00 each of the four stations draws 50 kW that could wait, else 10. In the night 40 kW are called for the
/// next night, 200 for the next noon, of the north 100; what vehicles say that are here now would be 36 and 18. At noon it is the
/// other way round. What begins within the hour, or below one feeder, is promised of who is here.
#[test]
fn what_is_called_far_ahead_is_promised_by_what_is_usual_then() {
    let mut world = world();
    let start = world.now;
    let hour = |world: &World| (world.now - start).num_hours() % 24;
    let quarter = |world: &mut World| {
        let load = if (10..18).contains(&hour(world)) {
            50
        } else {
            10
        };
        for fake in &mut world.fakes {
            fake.demand = kilowatts(load);
        }
        next_quarter(world);
    };
    for _ in 0..WEEK + 2 * 96 + 12 {
        quarter(&mut world);
    }
    assert_eq!(hour(&world), 3, "at night");
    let promised = |world: &mut World, scope: Scope, from_s, length_s| {
        let mut event = world.demand_response(500, from_s, length_s);
        event.scope = scope;
        let id = world.request_id();
        let request = vpp_dispatch::Request::SubmitEvent(event);
        match world.ask_as(id, true, request) {
            Ok(vpp_dispatch::Answer::Event(event)) => event.accepted,
            other => panic!("{other:?}"),
        }
    };
    let (all, north) = (Scope::All, Scope::Aggregator(aggregator_id(0)));
    assert_eq!(
        promised(&mut world, all.clone(), 9 * 3_600, 3_600),
        kilowatts(200)
    );
    assert_eq!(
        promised(&mut world, north.clone(), 9 * 3_600, 3_600),
        kilowatts(100)
    );
    // These vehicles could wait for longer, too.
    assert_eq!(
        promised(&mut world, all.clone(), 9 * 3_600, 7_200),
        kilowatts(200)
    );
    assert_eq!(
        promised(&mut world, all.clone(), 17 * 3_600, 3 * 3_600),
        kilowatts(40)
    );
    assert_eq!(
        promised(&mut world, all.clone(), 1_800, 3_600),
        kilowatts(36)
    );
    let feeder = Scope::Node(vpp_core::NodeId::new("feeder-0").unwrap());
    assert!(promised(&mut world, feeder, 9 * 3_600, 3_600) < kilowatts(40));
    while hour(&world) < 12 {
        quarter(&mut world);
    }
    assert_eq!(promised(&mut world, all, 10 * 3_600, 3_600), kilowatts(40));
}

#[test]
fn promises_survive_a_restart() {
    let mut world = world();
    for quarter in 0..WEEK + 200 {
        world.fakes[0].demand = kilowatts(10 + i64::from(quarter * 7 % 40));
        world.now += QUARTER;
        world.report();
        world.decide();
    }
    let answers = |world: &World| {
        let hours = 1..=168;
        let of = |hour| {
            let start = world.now + TimeDelta::hours(hour);
            world
                .engine
                .reliable(world.now, &Scope::All, start, 0.8)
                .unwrap()
        };
        hours.map(of).collect::<Vec<_>>()
    };
    let before = answers(&world);
    assert!(before[0].up.due > 90 && before[0].up.kept < before[0].up.due);
    world.restart();
    assert_eq!(answers(&world), before);
    // Promises of before come due after it, too; what was missed meanwhile is neither kept nor broken.
    world.now += QUARTER * 3;
    world.report();
    world.decide();
    next_quarter(&mut world);
    let after = answers(&world);
    assert_eq!(after[0].up.due, before[0].up.due + 1);
}

/// Ten weeks of a load with days, weekends and noise, of which the last drifts down: promises are kept about as often as they
/// say.
#[test]
fn promises_are_kept_about_as_often_as_they_say() {
    let mut world = world();
    let mut draw = 1_u64;
    for quarter in 0..WEEK * 10 {
        draw = draw
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let noise = i64::try_from(draw >> 33).unwrap() % 10_000;
        let (day, hour) = (quarter / 96, i64::from(quarter % 96) / 4);
        let shape = (12 - (hour - 12).abs()) * 2_000;
        let quiet = if day % 7 >= 5 { 2 } else { 1 };
        let drift = i64::from((quarter - WEEK * 8).max(0)) * 3;
        for fake in &mut world.fakes {
            fake.demand = Power::from_watts((10_000 + shape / quiet + noise - drift).max(1_000));
        }
        next_quarter(&mut world);
    }
    for confidence in [0.5, 0.8, 0.9, 0.95] {
        let start = world.now + TimeDelta::hours(1);
        let reliable = world
            .engine
            .reliable(world.now, &Scope::All, start, confidence)
            .unwrap();
        #[allow(clippy::cast_precision_loss)] // some thousands
        let kept = reliable.up.kept as f64 / reliable.up.due as f64;
        assert!(reliable.up.due > 5_000);
        assert!((kept - confidence).abs() < 0.03, "{kept} of {confidence}");
    }
}

#[test]
fn what_cannot_be_promised_is_refused_by_name() {
    let world = world();
    let (now, hour) = (world.now, TimeDelta::hours(1));
    let node = Scope::Node(vpp_core::NodeId::new("feeder-0").unwrap());
    let stranger = Scope::Aggregator(vpp_core::AggregatorId::new("stranger").unwrap());
    for (scope, start, confidence, field) in [
        (Scope::All, now, 0.9, "start_time"),
        (Scope::All, now - hour, 0.9, "start_time"),
        (
            Scope::All,
            now + TimeDelta::days(7) + TimeDelta::seconds(1),
            0.9,
            "start_time",
        ),
        (Scope::All, now + hour, 0.0, "confidence"),
        (Scope::All, now + hour, 1.0, "confidence"),
        (Scope::All, now + hour, f64::NAN, "confidence"),
        (Scope::All, now + hour, 0.995, "confidence"),
        (node, now + hour, 0.9, "scope.node_id"),
        (stranger, now + hour, 0.9, "scope.aggregator_id"),
    ] {
        let refused = world.engine.reliable(now, &scope, start, confidence);
        assert_eq!(refused.unwrap_err().field, field);
    }
}
