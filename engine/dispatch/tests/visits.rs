//! Who comes and goes: seen, expected of the next day and judged, kept over a restart.

#![allow(clippy::unwrap_used)] // a test that cannot go on shall fail

mod support;

use chrono::TimeDelta;
use vpp_core::{Energy, Power, Scope, Timestamp};
use vpp_dispatch::{ExpectedVisits, Fact, Output, Visits};

use support::{World, aggregator_id, session};

const QUARTER: TimeDelta = TimeDelta::minutes(15);
const WEEK: i32 = 672;

fn kilowatt_hours(kwh: i64) -> Energy {
    Energy::from_watt_milliseconds(kwh * 3_600_000_000)
}

/// A quarter of an hour goes by in which all who are there leave, and `counts` come to each station, for 10 kWh each.
fn next_quarter(world: &mut World, counts: &[u32]) -> Vec<Output> {
    world.now += QUARTER;
    let now = world.now;
    for (fake, count) in world.fakes.iter_mut().zip(counts) {
        let one = |number: u32| {
            let mut one = session(now, Power::ZERO);
            one.departure = now + QUARTER - TimeDelta::milliseconds(1 + i64::from(number));
            (one.energy_needed, one.energy_room) = (kilowatt_hours(10), kilowatt_hours(20));
            one
        };
        fake.sessions = (0..*count).map(one).collect();
    }
    world.report();
    world.decide()
}

fn recorded(outputs: &[Output]) -> Option<(Timestamp, Vec<Visits>)> {
    outputs.iter().find_map(|output| match output {
        Output::Record(fact) => match &**fact {
            Fact::Visits { at, visits } => {
                Some((*at, visits.iter().map(|(_, visits)| *visits).collect()))
            }
            _ => None,
        },
        _ => None,
    })
}

fn expected(world: &World, scope: &Scope, ahead: TimeDelta) -> Option<ExpectedVisits> {
    let start = world.now + ahead;
    let quarters = world
        .engine
        .expected_visits(world.now, scope, start, QUARTER)
        .unwrap();
    assert!(quarters.len() <= 1);
    quarters.first().map(|(_, expected)| *expected)
}

/// By hand: two stations of each of two aggregators; three and two vehicles come to the north, then one and none: five came for
/// 50 kWh; then one for 10 kWh while five left.
#[test]
fn what_was_seen_is_kept_for_each_quarter() {
    let mut world = World::new(4);
    world.decide();
    let first = next_quarter(&mut world, &[3, 0, 2, 0]);
    assert_eq!(recorded(&first), None, "not watched from its beginning");
    let began = vpp_dispatch::visits::next_quarter(world.now) - QUARTER;
    let second = next_quarter(&mut world, &[3, 0, 2, 0]);
    let visits = |arrivals, departures, kwh| Visits {
        arrivals,
        departures,
        energy_needed: kilowatt_hours(kwh),
    };
    let none = Visits::default();
    assert_eq!(
        recorded(&second),
        Some((began, vec![visits(5, 5, 50), none]))
    );
    let third = next_quarter(&mut world, &[1, 0, 0, 0]);
    assert_eq!(
        recorded(&third).map(|(_, visits)| visits),
        Some(vec![visits(1, 5, 10), none])
    );
    // Another cycle of the same quarter, and one after an hour of which nobody knows, say nothing.
    world.now += TimeDelta::seconds(4);
    assert_eq!(recorded(&world.decide()), None);
    world.now += QUARTER * 4;
    world.report();
    assert_eq!(recorded(&world.decide()), None);
}

/// By hand: where two and one come in every quarter, three are expected at every time, and 30 kWh.
#[test]
fn what_comes_at_this_time_of_the_week_is_expected() {
    let mut world = World::new(4);
    world.decide();
    let hour = TimeDelta::hours(1);
    for _ in 0..WEEK {
        next_quarter(&mut world, &[2, 0, 1, 0]);
    }
    assert_eq!(
        expected(&world, &Scope::All, hour),
        None,
        "a week is watched first"
    );
    for _ in 0..100 {
        next_quarter(&mut world, &[2, 0, 1, 0]);
    }
    let three = ExpectedVisits {
        arrivals: [3.0; 3],
        departures: [3.0; 3],
        energy_kwh: [30.0; 3],
    };
    let (north, south) = (
        Scope::Aggregator(aggregator_id(0)),
        Scope::Aggregator(aggregator_id(1)),
    );
    assert_eq!(expected(&world, &Scope::All, hour), Some(three));
    assert_eq!(expected(&world, &north, hour * 160), Some(three));
    assert_eq!(
        expected(&world, &south, hour),
        Some(ExpectedVisits::default())
    );
    // A day after the first it was judged: all stations, and each aggregator's.
    let past = world.engine.past_visits();
    let of: Vec<_> = past.iter().map(|past| past.aggregator.clone()).collect();
    assert_eq!(of, [None, Some(aggregator_id(0)), Some(aggregator_id(1))]);
    assert_eq!(
        (past[0].expected, past[0].actual.arrivals),
        (Some(three), 3)
    );
    // A whole week is told, from the next quarter on.
    let (now, week) = (world.now, TimeDelta::days(7));
    let soon = vpp_dispatch::visits::next_quarter(now);
    let quarters = world
        .engine
        .expected_visits(now, &Scope::All, soon, week - (soon - now))
        .unwrap();
    assert_eq!(quarters.len(), 672);
    assert!(
        quarters
            .iter()
            .all(|(at, expected)| *at > now && *expected == three)
    );

    world.restart();
    assert_eq!(expected(&world, &north, hour), Some(three));
}

/// Ten weeks of a town that drives to work and grows by half in the last two: no more comes than is said about as often as it
/// says.
#[test]
fn no_more_comes_than_is_said_as_often_as_it_says() {
    let mut world = World::new(4);
    world.decide();
    let (mut below, mut all) = ([0_u32; 3], 0_u32);
    let mut draw = 1_u64;
    for quarter in 0..WEEK * 10 {
        let counts: Vec<u32> = (0..4)
            .map(|_| {
                draw = draw
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                let hour = i64::from(quarter % 96) / 4;
                let busy = 3 + (12 - (hour - 12).abs());
                let busy = if quarter > WEEK * 8 {
                    busy * 3 / 2
                } else {
                    busy
                };
                u32::try_from((draw >> 33).cast_signed() % (busy + 1)).unwrap()
            })
            .collect();
        next_quarter(&mut world, &counts);
        world.steps.clear();
        let past = world.engine.past_visits().first();
        if let Some((past, expected)) = past.and_then(|past| Some((past, past.expected?))) {
            all += 1;
            for (below, said) in below.iter_mut().zip(expected.arrivals) {
                *below += u32::from(f64::from(past.actual.arrivals) < said);
            }
        }
    }
    assert!(all > 5_000);
    for (below, share) in below.into_iter().zip(vpp_dispatch::visits::SHARES) {
        let found = f64::from(below) / f64::from(all);
        assert!((found - share).abs() < 0.05, "{found} of {share}");
    }
}

#[test]
fn what_cannot_be_told_is_refused_by_name() {
    let world = World::new(2);
    let hour = TimeDelta::hours(1);
    let node = Scope::Node(vpp_core::NodeId::new("feeder-0").unwrap());
    let stranger = Scope::Aggregator(vpp_core::AggregatorId::new("stranger").unwrap());
    for (scope, ahead, length, field) in [
        (Scope::All, TimeDelta::zero(), hour, "start_time"),
        (Scope::All, hour * 169, hour, "start_time"),
        (Scope::All, hour, hour * 168, "duration"),
        (Scope::All, hour, -hour, "duration"),
        (node, hour, hour, "scope.node_id"),
        (stranger, hour, hour, "scope.aggregator_id"),
    ] {
        let refused = world
            .engine
            .expected_visits(world.now, &scope, world.now + ahead, length);
        assert_eq!(refused.unwrap_err().field, field);
    }
}
