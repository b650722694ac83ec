//! An invitation from publication to payment, and what stands in its way.

#![allow(clippy::unwrap_used)] // a test that cannot go on shall fail

mod support;

use chrono::TimeDelta;
use rust_decimal::Decimal;
use support::{World, aggregator_id, kilowatts};
use vpp_core::{
    AggregatorId, EventOutcome, EventState, Interval, Invalid, InvalidKind, InvitationId, NodeId,
    Power, Price, RequestId, Scope,
};
use vpp_dispatch::{Answer, Fact, Input, Invited, Output, Request};
use vpp_market_adapters::response::clearing::{Bounds, Pricing};
use vpp_market_adapters::response::invitation::{
    Declaration, Invitation, InvitationStep, Kind, Product, State,
};
use vpp_market_adapters::response::payment::Direction;

fn price(milli: i64) -> Price {
    Price::from_cny_per_kwh(Decimal::new(milli, 3))
}

fn id() -> InvitationId {
    InvitationId::new("dr-1").unwrap()
}

/// For 120 kW, five minutes from the second minute on; declarations for one minute.
fn invitation(world: &World) -> Invitation {
    let start = world.now + TimeDelta::seconds(120);
    Invitation {
        kind: Kind::RealTime,
        product: Product::Active(Direction::Shaving),
        scope: Scope::All,
        demand: kilowatts(120),
        interval: Interval::new(start, start + TimeDelta::seconds(300)).unwrap(),
        declare_until: world.now + TimeDelta::seconds(60),
        bounds: Bounds {
            floor: price(0),
            cap: price(5_000),
            least: kilowatts(1),
        },
        pricing: Pricing::PayAsBid,
    }
}

fn declaration(aggregator: AggregatorId, kw: Option<i64>, milli: Option<i64>) -> InvitationStep {
    InvitationStep::Declare(Declaration {
        aggregator,
        power: kw.map(kilowatts),
        price: milli.map(price),
        whole: false,
    })
}

fn take(world: &mut World, step: InvitationStep) -> Result<Invited, Invalid> {
    let request = Request::StepInvitation {
        invitation: id(),
        step,
    };
    match world.ask(request)? {
        Answer::Invitation(invited) => Ok(*invited),
        other => panic!("an invitation was asked for, not {other:?}"),
    }
}

fn publish(world: &mut World) -> Invited {
    let step = InvitationStep::Publish(Box::new(invitation(world)));
    take(world, step).unwrap()
}

fn state(world: &World) -> State {
    world.engine.invitations()[&id()].process.state()
}

/// The cheaper one gives all that it offers; the other the rest. Both promises are kept, though the stations of the second
/// could do with less.
#[test]
fn from_publication_to_payment() {
    let mut world = World::new(6);
    let published = publish(&mut world);
    assert_eq!(published.process.state(), State::Published);
    take(
        &mut world,
        declaration(aggregator_id(0), Some(80), Some(1_000)),
    )
    .unwrap();
    let declared = take(
        &mut world,
        declaration(aggregator_id(1), Some(70), Some(900)),
    )
    .unwrap();
    assert_eq!(declared.process.offers().len(), 2);
    let start = declared.process.invitation().interval.start();
    world.run_until(start - TimeDelta::seconds(40));
    assert_eq!(state(&world), State::Cleared);
    let event = world.engine.invitations()[&id()].event.clone().unwrap();
    let called = world.engine.events()[&event].clone();
    assert_eq!(
        (called.state, called.accepted),
        (EventState::Scheduled, kilowatts(120))
    );
    let promised: Vec<(AggregatorId, Power)> = (called.commitments.iter())
        .map(|commitment| (commitment.aggregator.clone(), commitment.power))
        .collect();
    assert_eq!(
        promised,
        [
            (aggregator_id(0), kilowatts(50)),
            (aggregator_id(1), kilowatts(70))
        ]
    );
    // The event is the invitation's: it is not called off by itself.
    let refused = world.ask(Request::CancelEvent(event.clone())).unwrap_err();
    assert!(refused.problem.contains("belongs to dr-1"), "{refused}");

    world.run_until(start + TimeDelta::seconds(60));
    assert_eq!(state(&world), State::Executing);
    let drawn = |world: &World, of: usize| -> Power {
        world
            .fakes
            .iter()
            .skip(of)
            .step_by(2)
            .map(|fake| fake.draw)
            .sum()
    };
    assert!(drawn(&world, 0) <= kilowatts(100), "{}", drawn(&world, 0));
    assert!(drawn(&world, 1) <= kilowatts(80), "{}", drawn(&world, 1));
    world.run_until(start + TimeDelta::seconds(310));
    assert_eq!(state(&world), State::Executed);
    assert_eq!(
        world.engine.events()[&event].outcome,
        Some(EventOutcome::Delivered)
    );
    assert_eq!(
        take(&mut world, InvitationStep::Evaluate)
            .unwrap()
            .process
            .state(),
        State::Evaluated
    );
    let paid = take(&mut world, InvitationStep::Pay).unwrap();
    assert_eq!(paid.process.state(), State::Paid);
    // Two declarations, cleared, begun, ended, evaluated, paid.
    assert_eq!(paid.process.trail().len(), 7);
    assert_eq!(world.wrongs, Vec::<String>::new());
}

/// What it leaves out is filled in: what its stations can give, less a share, and what wear costs.
#[test]
fn the_engine_declares_for_an_aggregator() {
    let mut world = World::new(6);
    publish(&mut world);
    let declared = take(&mut world, declaration(aggregator_id(0), None, None)).unwrap();
    let offer = &declared.process.offers()[0];
    let config = world.engine.config();
    let wear = Price::round_cny_per_kwh(config.wear_cny_per_kwh);
    assert_eq!(offer.price, wear);
    // Three stations that draw 50 kW and need little.
    let most = kilowatts(150).as_kilowatts() * config.callable_share;
    let power = offer.power.as_kilowatts();
    assert!(
        power > 0.8 * most && power <= most.min(120.0) + 1e-9,
        "{power} of {most}"
    );
}

#[test]
fn what_cannot_be_is_refused_by_field_and_changes_nothing() {
    let mut world = World::new(4);
    let publication = |change: fn(&mut Invitation), world: &World| {
        let mut invitation = invitation(world);
        change(&mut invitation);
        InvitationStep::Publish(Box::new(invitation))
    };
    type Spoil = fn(&mut Invitation);
    let table: [(&str, Spoil); 5] = [
        ("product", |i| i.product = Product::Reactive),
        ("product", |i| i.product = Product::Reserve),
        ("demand_kw", |i| i.demand = Power::ZERO),
        ("scope.node_id", |i| {
            i.scope = Scope::Node(NodeId::new("moon").unwrap());
        }),
        ("declare_until", |i| i.declare_until = i.interval.end()),
    ];
    for (field, spoil) in table {
        let step = publication(spoil, &world);
        assert_eq!(take(&mut world, step).unwrap_err().field, field);
        assert!(world.engine.invitations().is_empty());
    }
    let unknown = take(&mut world, InvitationStep::Pay).unwrap_err();
    assert_eq!(
        (unknown.kind, unknown.field.as_str()),
        (InvalidKind::Unknown, "invitation_id")
    );
    // All checks, no change.
    let request = Request::StepInvitation {
        invitation: id(),
        step: publication(|_| {}, &world),
    };
    let name = RequestId::new("try").unwrap();
    world.ask_as(name.clone(), true, request.clone()).unwrap();
    assert!(world.engine.invitations().is_empty());
    // Sent twice, done once.
    let first = world.ask_as(name.clone(), false, request.clone()).unwrap();
    assert_eq!(world.ask_as(name, false, request).unwrap(), first);
    let again = publication(|_| {}, &world);
    assert_eq!(
        take(&mut world, again).unwrap_err().kind,
        InvalidKind::Taken
    );

    let before = world.engine.invitations().clone();
    let stranger = AggregatorId::new("east").unwrap();
    let table = [
        (
            declaration(stranger.clone(), Some(10), Some(1_000)),
            "aggregator_id",
        ),
        (
            declaration(aggregator_id(0), Some(10), Some(6_000)),
            "price",
        ),
        // Two stations of 60 + 20 kW each.
        (
            declaration(aggregator_id(0), Some(161), Some(1_000)),
            "power_kw",
        ),
        (
            declaration(aggregator_id(0), Some(0), Some(1_000)),
            "power_kw",
        ),
        (InvitationStep::Withdraw(aggregator_id(0)), "aggregator_id"),
        (InvitationStep::Evaluate, "invitation"),
        (InvitationStep::Pay, "invitation"),
    ];
    for (step, field) in table {
        assert_eq!(
            take(&mut world, step.clone()).unwrap_err().field,
            field,
            "{step:?}"
        );
        assert_eq!(*world.engine.invitations(), before);
    }
}

#[test]
fn one_that_nobody_can_serve_is_cancelled_with_the_reason() {
    // Nobody declares.
    let mut world = World::new(4);
    let published = publish(&mut world);
    world.run_until(published.process.invitation().declare_until + TimeDelta::seconds(8));
    assert_eq!(state(&world), State::Cancelled);
    let reason = |world: &World| {
        format!(
            "{:?}",
            world.engine.invitations()[&id()].process.trail().last()
        )
    };
    assert!(
        reason(&world).contains("no offer could be taken"),
        "{}",
        reason(&world)
    );
    assert!(world.engine.events().is_empty());

    // The engine was away from before the declarations closed until after the beginning.
    let mut world = World::new(4);
    publish(&mut world);
    take(
        &mut world,
        declaration(aggregator_id(0), Some(10), Some(100)),
    )
    .unwrap();
    world.wait(TimeDelta::seconds(150));
    world.step(Input::CycleStarted);
    assert_eq!(state(&world), State::Cancelled);
    assert!(
        reason(&world).contains("not cleared in time"),
        "{}",
        reason(&world)
    );

    // The stations are promised to an event that was called meanwhile.
    let mut world = World::new(4);
    publish(&mut world);
    take(
        &mut world,
        declaration(aggregator_id(0), Some(10), Some(100)),
    )
    .unwrap();
    world.submit(world.demand_response(50, 100, 300)).unwrap();
    world.run_until(world.now + TimeDelta::seconds(80));
    assert_eq!(state(&world), State::Cancelled);
    assert!(
        reason(&world).contains("it cannot be delivered"),
        "{}",
        reason(&world)
    );
}

#[test]
fn a_cancelled_one_takes_its_event_along() {
    let mut world = World::new(6);
    publish(&mut world);
    take(
        &mut world,
        declaration(aggregator_id(0), Some(80), Some(1_000)),
    )
    .unwrap();
    world.run_until(world.now + TimeDelta::seconds(150));
    assert_eq!(state(&world), State::Executing);
    let cancelled = take(&mut world, InvitationStep::Cancel("a storm".into())).unwrap();
    assert_eq!(cancelled.process.state(), State::Cancelled);
    let event = &world.engine.events()[&cancelled.event.unwrap()];
    assert_eq!(event.outcome, Some(EventOutcome::Cancelled));
    world.run_until(world.now + TimeDelta::seconds(20));
    assert_eq!(world.draw(), kilowatts(300), "all draw again as before");
}

/// Killed and started again between any two steps, it goes on as if nothing had been.
#[test]
fn it_goes_on_over_a_restart_at_any_point() {
    for restart_at in 0..8 {
        let mut world = World::new(6);
        let restart = |world: &mut World, step: usize| {
            if step == restart_at {
                let before = world.engine.invitations().clone();
                world.restart();
                assert_eq!(
                    *world.engine.invitations(),
                    before,
                    "restarted at {restart_at}"
                );
            }
        };
        let published = publish(&mut world);
        let start = published.process.invitation().interval.start();
        restart(&mut world, 0);
        world.report();
        take(
            &mut world,
            declaration(aggregator_id(0), Some(80), Some(1_000)),
        )
        .unwrap();
        restart(&mut world, 1);
        world.report();
        take(&mut world, declaration(aggregator_id(1), None, None)).unwrap();
        restart(&mut world, 2);
        for (step, seconds) in [(3, -30), (4, 30), (5, 310)] {
            world.run_until(start + TimeDelta::seconds(seconds));
            restart(&mut world, step);
            world.report();
        }
        assert_eq!(state(&world), State::Executed, "restarted at {restart_at}");
        take(&mut world, InvitationStep::Evaluate).unwrap();
        restart(&mut world, 6);
        take(&mut world, InvitationStep::Pay).unwrap();
        restart(&mut world, 7);
        assert_eq!(state(&world), State::Paid);
        assert_eq!(world.engine.events().len(), 1);
    }
}

/// The other way round: stations that hold back at night draw more.
#[test]
fn a_valley_is_filled_from_publication_to_the_end() {
    let mut world = World::new(6);
    world.hold_back(30);
    let filling = Invitation {
        product: Product::Active(Direction::Filling),
        demand: kilowatts(90),
        ..invitation(&world)
    };
    take(
        &mut world,
        InvitationStep::Publish(Box::new(filling.clone())),
    )
    .unwrap();
    take(
        &mut world,
        declaration(aggregator_id(0), Some(40), Some(100)),
    )
    .unwrap();
    take(&mut world, declaration(aggregator_id(1), None, None)).unwrap();
    world.run_until(filling.interval.start() + TimeDelta::seconds(60));
    assert_eq!(state(&world), State::Executing);
    assert!(world.draw() >= kilowatts(269), "{}", world.draw());
    world.run_until(filling.interval.end() + TimeDelta::seconds(8));
    let event = world.engine.invitations()[&id()].event.clone().unwrap();
    let ended = &world.engine.events()[&event];
    assert_eq!(ended.outcome, Some(EventOutcome::Delivered), "{ended:?}");
    world.run_until(world.now + TimeDelta::seconds(20));
    assert_eq!(world.draw(), kilowatts(180), "all hold back again");
    assert_eq!(world.wrongs, Vec::<String>::new());
}

/// Who gave nothing is not asked for anything: not held to what it drew before, and free for another event.
#[test]
fn only_those_who_were_taken_take_part() {
    let mut world = World::new(6);
    let published = publish(&mut world);
    take(
        &mut world,
        declaration(aggregator_id(0), Some(60), Some(1_000)),
    )
    .unwrap();
    let interval = published.process.invitation().interval;
    world.run_until(interval.start() - TimeDelta::seconds(30));
    let event = world.engine.invitations()[&id()].event.clone().unwrap();
    // The other one is called at the same time.
    let other = vpp_core::EventRequest {
        scope: Scope::Aggregator(aggregator_id(1)),
        interval: Interval::new(interval.start(), interval.start() + TimeDelta::seconds(60))
            .unwrap(),
        ..world.demand_response(10, 0, 60)
    };
    world.submit(other).unwrap();
    let refused = world.submit(vpp_core::EventRequest {
        scope: Scope::Aggregator(aggregator_id(0)),
        interval,
        ..world.demand_response(10, 0, 60)
    });
    assert!(refused.unwrap_err().problem.contains("is promised to"));
    world.run_until(interval.start() + TimeDelta::seconds(80));
    // More vehicles come to the other one's stations: that is nobody's business.
    for fake in world.fakes.iter_mut().skip(1).step_by(2) {
        fake.demand = kilowatts(60);
    }
    world.run_until(interval.end() + TimeDelta::seconds(8));
    let south: Power = world
        .fakes
        .iter()
        .skip(1)
        .step_by(2)
        .map(|fake| fake.draw)
        .sum();
    assert_eq!(south, kilowatts(180));
    assert_eq!(
        world.engine.events()[&event].outcome,
        Some(EventOutcome::Delivered)
    );
}

/// Whatever was lost before, what was recorded last is enough.
#[test]
fn the_last_record_alone_brings_an_invitation_back() {
    let mut world = World::new(6);
    publish(&mut world);
    take(
        &mut world,
        declaration(aggregator_id(0), Some(80), Some(1_000)),
    )
    .unwrap();
    world.run_until(world.now + TimeDelta::seconds(150));
    let outputs = world.steps.iter().flat_map(|(_, _, outputs)| outputs);
    let recorded = outputs.filter_map(|output| match output {
        Output::Record(fact) => Some(fact.as_ref().clone()),
        _ => None,
    });
    let mut invited = recorded.filter(|fact| matches!(fact, Fact::Invitation { .. }));
    let last = invited.next_back().unwrap();
    let mut engine = vpp_dispatch::Engine::new(vpp_dispatch::Config::default(), 9).unwrap();
    engine.step(world.now, Input::Restored(last));
    assert_eq!(engine.invitations(), world.engine.invitations());
    // Its event was not recorded: it is called anew, or, with no station left, the invitation ends with the reason.
    engine.step(world.now, Input::CycleStarted);
    assert_eq!(
        engine.invitations()[&id()].process.state(),
        State::Cancelled
    );
}

#[test]
fn a_name_of_the_engines_own_is_refused() {
    let mut world = World::new(2);
    let request = Request::StepInvitation {
        invitation: id(),
        step: InvitationStep::Publish(Box::new(invitation(&world))),
    };
    let name = RequestId::new("invitation.dr-1").unwrap();
    let refused = world.ask_as(name, false, request).unwrap_err();
    assert_eq!(refused.field, "request_id");
}
