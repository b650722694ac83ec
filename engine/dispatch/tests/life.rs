//! A programme from its call to its end, with stations and solvers that do not always do as told.

#![allow(clippy::unwrap_used)] // a test that cannot go on shall fail

mod support;

use chrono::TimeDelta;
use support::{
    Behaviour, Solver, World, aggregator_id, commands, kilowatts, node, report, signal, station,
};
use vpp_core::{
    AggregatorChange, Decision, EventOutcome, EventState, NodeKind, Power, Reason, RegulationAward,
    RegulationSignal, Scope,
};
use vpp_dispatch::{Answer, Input, Output, RegulationNote, Request};

#[test]
fn an_event_is_delivered_and_its_stations_are_let_go() {
    let mut world = World::new(6);
    let event = world.submit(world.demand_response(120, 8, 60)).unwrap();
    assert_eq!(event.state, EventState::Scheduled);
    let end = event.request.interval.end();
    let cycles = world.run_until(end + TimeDelta::seconds(8));
    let mut told: Vec<_> = cycles
        .iter()
        .flat_map(|outputs| commands(outputs))
        .filter(|command| command.reason == Reason::Release)
        .map(|command| command.station.clone())
        .collect();
    told.sort();
    told.dedup();
    assert!(!told.is_empty(), "the end of the event lets stations go");
    let ended = &world.engine.events()[&event.id];
    assert_eq!(ended.state, EventState::Ended);
    assert_eq!(ended.outcome, Some(EventOutcome::Delivered), "{ended:?}");
    assert_eq!(world.draw(), kilowatts(300), "all draw again as before");
}

/// Two districts: one of two substations, one of a third. What one of them is asked for is nobody else's business.
#[test]
fn an_event_of_a_district_a_substation_or_a_feeder_takes_the_stations_below_it() {
    let at = |id: &str, kind, parent| vpp_core::Node {
        kind,
        ..node(id, parent, kilowatts(1_000), Power::ZERO)
    };
    let nodes = vec![
        at("north", NodeKind::District, None),
        at("sub-1", NodeKind::Substation, Some("north")),
        at("sub-2", NodeKind::Substation, Some("north")),
        at("south", NodeKind::District, None),
        at("sub-3", NodeKind::Substation, Some("south")),
        at("feeder-1", NodeKind::Feeder, Some("sub-1")),
        at("feeder-2", NodeKind::Feeder, Some("sub-2")),
        at("feeder-3", NodeKind::Feeder, Some("sub-3")),
    ];
    let feeders = ["feeder-1", "feeder-2", "feeder-3"];
    let stations = (0..6).map(|index| station(index, feeders[index / 2]));
    for (scope, taking_part) in [("north", 0..4), ("sub-2", 2..4), ("feeder-3", 4..6)] {
        let mut world = World::with(nodes.clone(), stations.clone().collect());
        for _ in 0..4 {
            world.report();
            world.wait(TimeDelta::seconds(2));
        }
        world.report();
        let reduction = 30 * i64::try_from(taking_part.len()).unwrap();
        let event = vpp_core::EventRequest {
            scope: Scope::Node(vpp_core::NodeId::new(scope).unwrap()),
            ..world.demand_response(reduction, 8, 60)
        };
        let event = world.submit(event).unwrap();
        assert_eq!(event.accepted, kilowatts(reduction), "{scope}");
        world.run_until(event.request.interval.start() + TimeDelta::seconds(40));
        for (index, fake) in world.fakes.iter().enumerate() {
            let expected = if taking_part.contains(&index) { 20 } else { 50 };
            let error = (fake.draw - kilowatts(expected)).as_watts().abs();
            assert!(error <= 2, "{scope}: station {index} draws {}", fake.draw);
        }
        assert_eq!(world.wrongs, Vec::<String>::new());
    }
}

#[test]
fn a_valley_is_filled_and_its_stations_are_let_go() {
    let mut world = World::new(6);
    world.hold_back(30);
    assert_eq!(world.draw(), kilowatts(180));
    let request = vpp_core::EventRequest {
        programme: vpp_core::Programme::ValleyFilling {
            increase: kilowatts(90),
        },
        ..world.demand_response(1, 8, 60)
    };
    let event = world.submit(request.clone()).unwrap();
    assert_eq!(event.accepted, kilowatts(90));
    // The same stations are not sold twice, whichever way.
    let refused = world.submit(world.demand_response(10, 8, 60)).unwrap_err();
    assert!(refused.problem.contains("is promised to"), "{refused}");
    let end = event.request.interval.end();
    world.run_until(event.request.interval.start() + TimeDelta::seconds(30));
    assert!(world.draw() >= kilowatts(269), "{}", world.draw());
    world.run_until(end + TimeDelta::seconds(8));
    let ended = &world.engine.events()[&event.id];
    assert_eq!(ended.outcome, Some(EventOutcome::Delivered), "{ended:?}");
    world.run_until(end + TimeDelta::seconds(24));
    assert_eq!(world.draw(), kilowatts(180), "all hold back again");
    assert_eq!(world.wrongs, Vec::<String>::new());
    // More than they can take is not promised.
    let more = world.submit(vpp_core::EventRequest {
        programme: vpp_core::Programme::ValleyFilling {
            increase: kilowatts(900),
        },
        ..world.demand_response(1, 8, 60)
    });
    let more = more.unwrap();
    assert!(
        more.accepted < kilowatts(181) && more.refused > kilowatts(700),
        "{more:?}"
    );
}

/// A feeder with room for 20 kW more gives 20 kW more, whatever its stations could; and a ceiling does not stand beside it.
#[test]
fn no_valley_is_filled_beyond_what_fits() {
    let mut world = World::new(6);
    world.hold_back(30);
    let limit = |kw: i64| vpp_core::NodeChange {
        id: vpp_core::NodeId::new("feeder-0").unwrap(),
        import_limit: Some(kilowatts(kw)),
        export_limit: None,
        agreement: None,
        base_load: None,
    };
    // Three stations that draw 30 kW each, and 20 kW of base load.
    world.ask(Request::UpdateNode(limit(130))).unwrap();
    let filling = |world: &World| vpp_core::EventRequest {
        programme: vpp_core::Programme::ValleyFilling {
            increase: kilowatts(900),
        },
        ..world.demand_response(1, 8, 60)
    };
    let event = world.submit(filling(&world)).unwrap();
    let other_feeder = 90.0 * world.engine.config().callable_share;
    let most = 20.0 + other_feeder;
    let accepted = event.accepted.as_kilowatts();
    assert!(
        accepted <= most + 1e-9 && accepted > most - 1.0,
        "{accepted} of {most}"
    );
    world.run_until(event.request.interval.end() + TimeDelta::seconds(8));
    let ended = &world.engine.events()[&event.id];
    assert_eq!(ended.outcome, Some(EventOutcome::Delivered), "{ended:?}");
    let ceiling = vpp_core::EventRequest {
        programme: vpp_core::Programme::PeakShaving {
            node: vpp_core::NodeId::new("substation").unwrap(),
            ceiling: kilowatts(300),
        },
        ..world.demand_response(1, 8, 60)
    };
    world.submit(ceiling).unwrap();
    let refused = world.submit(filling(&world)).unwrap_err();
    assert!(refused.problem.contains("is promised to"), "{refused}");
}

#[test]
fn an_event_goes_on_over_a_restart_with_the_same_baseline() {
    let mut world = World::new(6);
    let event = world.submit(world.demand_response(120, 8, 120)).unwrap();
    world.run_until(event.request.interval.start() + TimeDelta::seconds(30));
    let drawn = world.draw();
    world.restart();
    // Two cycles without a report, as after a real start.
    for _ in 0..2 {
        world.step(Input::CycleStarted);
        world.wait(TimeDelta::seconds(4));
    }
    world.report();
    let mut delivered = Vec::new();
    for outputs in world.run_until(event.request.interval.end() + TimeDelta::seconds(8)) {
        delivered.push(report(&outputs).delivered);
    }
    assert_eq!(delivered[3], kilowatts(300) - drawn, "{delivered:?}");
    let ended = &world.engine.events()[&event.id];
    assert_eq!(ended.outcome, Some(EventOutcome::Delivered), "{ended:?}");
    assert_eq!(world.draw(), kilowatts(300), "all draw again as before");
    assert_eq!(world.wrongs, Vec::<String>::new());
}

#[test]
fn the_share_of_stations_that_fail_moves_to_the_others() {
    for behaviour in [Behaviour::Refuses, Behaviour::Mute] {
        let mut world = World::new(6);
        for fake in &mut world.fakes[..2] {
            fake.behaviour = behaviour;
        }
        world.submit(world.demand_response(120, 0, 120)).unwrap();
        world.cycle();
        let others = |world: &World| world.fakes[2..].iter().map(|f| f.draw).sum::<Power>();
        let before = others(&world);
        world.cycle();
        world.cycle();
        assert!(
            others(&world) < before || before <= kilowatts(80),
            "{behaviour:?}"
        );
        assert!(
            others(&world) <= kilowatts(81),
            "{behaviour:?}: {}",
            others(&world)
        );
    }
}

#[test]
fn what_a_test_showed_is_callable_and_no_more() {
    let mut world = World::new(4);
    let hour = TimeDelta::hours(1);
    let callable = |world: &World| {
        let capability = world.engine.capability(world.now, &Scope::All, hour);
        capability.unwrap().up.callable
    };
    let change = |index: usize, tested_share: Option<f64>| {
        Request::UpdateAggregator(AggregatorChange {
            id: aggregator_id(index),
            display_name: None,
            tested_share: Some(tested_share),
        })
    };
    let promise = |world: &mut World| {
        let request = world.demand_response(100_000, 0, 3600);
        let id = world.request_id();
        match world.ask_as(id, true, Request::SubmitEvent(request)) {
            Ok(Answer::Event(event)) => event.accepted,
            other => panic!("{other:?}"),
        }
    };
    let (untested, promised) = (callable(&world), promise(&mut world));
    assert!(untested > Power::ZERO);
    for index in 0..2 {
        world.ask(change(index, Some(0.5))).unwrap();
    }
    assert_eq!(callable(&world).as_watts(), untested.as_watts() / 2);
    assert_eq!(promise(&mut world).as_watts(), promised.as_watts() / 2);
    // One is tested again and keeps nothing: what is left is the other's.
    world.ask(change(0, Some(0.0))).unwrap();
    assert_eq!(callable(&world).as_watts(), untested.as_watts() / 4);
    for wrong in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        let refused = world.ask(change(0, Some(wrong))).unwrap_err();
        assert_eq!(refused.field, "aggregator.tested_share");
        assert_eq!(callable(&world).as_watts(), untested.as_watts() / 4);
    }
    for index in 0..2 {
        world.ask(change(index, None)).unwrap();
    }
    assert_eq!(callable(&world), untested);
}

#[test]
fn a_station_silent_for_three_periods_is_no_longer_callable() {
    let mut world = World::new(4);
    world.fakes[0].behaviour = Behaviour::Dead;
    world.wait(TimeDelta::seconds(6));
    let callable = |world: &World| {
        let hour = TimeDelta::hours(1);
        let capability = world.engine.capability(world.now, &Scope::All, hour);
        capability.unwrap().callable_station_count
    };
    assert_eq!(callable(&world), 4, "at six seconds it still counts");
    world.wait(TimeDelta::seconds(1));
    world.report();
    assert_eq!(callable(&world), 3);
}

#[test]
fn without_a_solver_the_plan_is_held_and_then_shared_out_by_rule() {
    for solver in [Solver::Hangs, Solver::Fails, Solver::Late] {
        let mut world = World::new(4);
        world.submit(world.demand_response(80, 0, 300)).unwrap();
        assert_eq!(report(&world.cycle()).decision, Some(Decision::Optimal));
        world.solver = solver;
        let cycles: Vec<_> = (0..14).map(|_| world.cycle()).collect();
        for (index, outputs) in cycles.iter().enumerate() {
            let expected = if index < 3 {
                Decision::Hold
            } else {
                Decision::Fallback
            };
            assert_eq!(
                report(outputs).decision,
                Some(expected),
                "{solver:?} {index}"
            );
            assert!(!report(outputs).deadline_missed);
        }
        let sent = cycles
            .iter()
            .map(|outputs| commands(outputs).len())
            .sum::<usize>();
        assert!(sent >= 4, "{solver:?}: commands are renewed all the same");
        assert!(
            world.draw() <= kilowatts(121),
            "{solver:?}: {}",
            world.draw()
        );
        let late = if solver == Solver::Late { 13 } else { 0 };
        assert_eq!(world.engine.late_solutions(), late);
    }
}

#[test]
fn a_cycle_released_after_its_deadline_says_so() {
    let mut world = World::new(2);
    world.submit(world.demand_response(20, 0, 300)).unwrap();
    world.step(Input::CycleStarted);
    world.wait(TimeDelta::milliseconds(4_001));
    let outputs = world.step(Input::SolveBudgetSpent { cycle: 1 });
    assert!(report(&outputs).deadline_missed);
}

#[test]
fn a_cancelled_event_keeps_what_came_and_lets_its_stations_go() {
    let mut world = World::new(4);
    let event = world.submit(world.demand_response(80, 0, 300)).unwrap();
    world.cycle();
    world.cycle();
    // Nothing but the cancellation itself can account for these two seconds.
    let before = world.engine.events()[&event.id].committed_energy;
    world.wait(TimeDelta::seconds(2));
    world.ask(Request::CancelEvent(event.id.clone())).unwrap();
    let cancelled = world.engine.events()[&event.id].clone();
    assert_eq!(cancelled.outcome, Some(EventOutcome::Cancelled));
    assert!(cancelled.committed_energy > before);
    let outputs = world.cycle();
    assert!(
        commands(&outputs)
            .iter()
            .all(|c| c.reason == Reason::Release)
    );
    assert_eq!(world.draw(), kilowatts(200));
    assert!(world.ask(Request::CancelEvent(event.id)).is_err());
}

#[test]
fn the_regulation_signal_is_followed_until_it_breaks_off() {
    let mut world = World::new(4);
    let award = RegulationAward {
        up: kilowatts(40),
        down: kilowatts(20),
    };
    let sustain = TimeDelta::minutes(15);
    world
        .ask(Request::StartRegulation { award, sustain })
        .unwrap();
    world.cycle();
    let middle = world.draw();
    let achieved = signal(&mut world, 1, 1.0);
    assert_eq!(achieved.note, RegulationNote::Followed);
    world.wait(TimeDelta::seconds(1));
    assert!(world.draw() < middle, "positive: draw less");
    assert_eq!(signal(&mut world, 1, 0.0).note, RegulationNote::Repeated);
    assert_eq!(signal(&mut world, 0, 0.0).note, RegulationNote::Late);
    let clipped = signal(&mut world, 2, 1.5);
    assert_eq!(clipped.note, RegulationNote::Clipped);
    assert_eq!(clipped.requested, achieved.requested);
    let before = world.seen();
    let bad = RegulationSignal {
        sequence: 3,
        signal_time: world.now,
        value: f64::NAN,
    };
    let outputs = world.step(Input::Signal(bad));
    assert!(matches!(&outputs[..], [Output::Rejected(i)] if i.field == "signal.value"));
    assert_eq!(world.seen(), before);
    let last = before_silence(&world);
    let cycles = world.run_until(world.now + TimeDelta::seconds(28));
    assert!(world.engine.regulation().is_none(), "the signal broke off");
    let lost = |output: &&Output| matches!(output, Output::SignalLost { .. });
    let alarms: Vec<&Output> = cycles.iter().flatten().filter(lost).collect();
    assert_eq!(alarms, [&Output::SignalLost { last }], "one alarm");
    let after = world.draw();
    assert!(
        (after - middle).abs() <= kilowatts(2),
        "back at the schedule: {after} {middle}"
    );
}

/// When the last value of the signal came.
fn before_silence(world: &World) -> vpp_core::Timestamp {
    world.engine.regulation().expect("followed").signal_at
}

/// Committed are 40 kW; then most vehicles leave.
#[test]
fn what_stations_cannot_follow_is_said() {
    let mut world = World::new(4);
    let award = RegulationAward {
        up: kilowatts(40),
        down: kilowatts(20),
    };
    let sustain = TimeDelta::minutes(15);
    world
        .ask(Request::StartRegulation { award, sustain })
        .unwrap();
    world.cycle();
    assert_eq!(signal(&mut world, 1, 0.5).shortfall, Power::ZERO);
    // By hand: half as much again as 40 kW.
    let clipped = signal(&mut world, 2, 1.5);
    assert_eq!(clipped.note, RegulationNote::Clipped);
    assert_eq!(clipped.shortfall, kilowatts(20));
    for fake in &mut world.fakes {
        fake.sessions.clear();
        fake.demand = Power::ZERO;
    }
    world.wait(TimeDelta::seconds(2));
    world.report();
    world.cycle();
    let short = signal(&mut world, 3, 1.0);
    assert_eq!(short.note, RegulationNote::Short, "{short:?}");
    assert!(
        short.shortfall > kilowatts(30) && short.shortfall <= kilowatts(40),
        "{short:?}"
    );
}

/// The optimizer stops before its budget is over: what it has by then is used.
#[test]
fn what_the_optimizer_has_when_it_is_stopped_goes_out() {
    let mut world = World::new(4);
    world.solver = Solver::Stopped;
    world.submit(world.demand_response(80, 0, 300)).unwrap();
    let before = world.draw();
    for _ in 0..3 {
        let outputs = world.cycle();
        assert_eq!(report(&outputs).decision, Some(Decision::Incumbent));
        assert!(!report(&outputs).deadline_missed);
    }
    let drawn = world.draw();
    assert!(drawn < before, "{before} {drawn}");
}

/// Vehicles can wait for as long as the event lasts, by what is known when it is called. Then they need more before they
/// leave: what will be missing is known before it is.
#[test]
fn a_shortfall_is_foreseen_before_it_comes() {
    let mut world = World::new(6);
    let now = world.now;
    for fake in &mut world.fakes {
        for session in &mut fake.sessions {
            session.departure = now + TimeDelta::minutes(20);
            session.energy_needed = support::kilowatt_hours(4);
        }
    }
    world.report();
    let event = world.submit(world.demand_response(120, 0, 600)).unwrap();
    world.cycle();
    world.cycle();
    let foreseen = |world: &World| world.engine.events()[&event.id].forecast_shortfall;
    assert_eq!(foreseen(&world), Some(Power::ZERO));
    // They need more than was said: 9 kWh in 19 minutes leave no room to wait.
    for fake in &mut world.fakes {
        for session in &mut fake.sessions {
            session.energy_needed = support::kilowatt_hours(9);
        }
    }
    // They report it at the end of one cycle, and the next one plans with it.
    world.cycle();
    world.cycle();
    assert!(
        foreseen(&world).is_some_and(|kw| kw > kilowatts(20)),
        "{:?}",
        foreseen(&world)
    );
    world.run_until(event.request.interval.end() + TimeDelta::seconds(8));
    assert_eq!(foreseen(&world), None);
}

/// Before it begins: stations that fell silent cannot give what they promised.
#[test]
fn what_is_promised_and_no_longer_callable_is_foreseen() {
    let mut world = World::new(6);
    let event = world.submit(world.demand_response(120, 600, 300)).unwrap();
    let foreseen = |world: &World| world.engine.events()[&event.id].forecast_shortfall;
    world.cycle();
    assert_eq!(foreseen(&world), Some(Power::ZERO));
    for fake in &mut world.fakes[..5] {
        fake.behaviour = Behaviour::Dead;
    }
    world.run_until(world.now + TimeDelta::seconds(60));
    assert!(
        foreseen(&world).is_some_and(|kw| kw >= kilowatts(70)),
        "{:?}",
        foreseen(&world)
    );
}

/// With a subsidy it pays to feed in while an event is on; once the budget is spent it does not, and nobody does.
#[test]
fn a_subsidy_is_a_price_that_ends_with_its_budget() {
    let exported = |world: &World| -> Power {
        let export = |fake: &support::Fake| (-fake.draw).max(Power::ZERO);
        world.fakes.iter().map(export).sum()
    };
    let mut world = World::new(6);
    let now = world.now;
    for fake in &mut world.fakes {
        fake.sessions = vec![support::session(now, kilowatts(10)); 2];
    }
    world.report();
    let subsidy = |left_cny: f64| {
        Input::Subsidy(Some(vpp_dispatch::Subsidy {
            price: vpp_core::Price::round_cny_per_kwh(5.0),
            left_cny,
            until: now + TimeDelta::hours(1),
        }))
    };
    world.submit(world.demand_response(60, 0, 600)).unwrap();
    world.run_until(world.now + TimeDelta::seconds(20));
    assert_eq!(exported(&world), Power::ZERO);
    // Twelve vehicles of 10 kW: 120 kW at 5 CNY/kWh are 10 CNY a minute.
    world.step(subsidy(10.0));
    world.run_until(world.now + TimeDelta::seconds(40));
    assert!(exported(&world) > kilowatts(80), "{}", exported(&world));
    assert!(world.engine.subsidy().is_some_and(|s| s.left_cny < 6.0));
    world.run_until(world.now + TimeDelta::seconds(120));
    assert_eq!(world.engine.subsidy().map(|s| s.left_cny), Some(0.0));
    assert_eq!(exported(&world), Power::ZERO);
    // What cannot be changes nothing.
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        let outputs = world.step(subsidy(bad));
        assert!(matches!(outputs[..], [Output::Rejected(_)]), "{outputs:?}");
        assert_eq!(world.engine.subsidy().map(|s| s.left_cny), Some(0.0));
    }
}
