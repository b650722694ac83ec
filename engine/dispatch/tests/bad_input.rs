//! What is refused is named, and changes nothing.

#![allow(clippy::unwrap_used)] // a test that cannot go on shall fail

mod support;

use chrono::TimeDelta;
use support::{World, aggregator_id, kilowatts, station, station_id};
use vpp_core::{
    Acknowledgement, AcknowledgementStatus, AggregatorId, Energy, EventRequest, Interval,
    InvalidKind, NodeId, Power, Programme, RequestId, Scope, SequenceNumber, StationChange,
    Telemetry,
};
use vpp_dispatch::{Answer, Input, Output, Request};

fn rejected(world: &mut World, input: Input) -> vpp_core::Invalid {
    let before = world.seen();
    let outputs = world.step(input);
    assert_eq!(world.seen(), before, "what is refused changes nothing");
    match outputs.as_slice() {
        [Output::Rejected(invalid)] => invalid.clone(),
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_bad_report_is_refused_by_field_and_changes_nothing() {
    let mut world = World::new(4);
    world.now += TimeDelta::seconds(1);
    let good = world.fakes[0].report(world.now);
    let session = good.sessions[0].clone();
    let late = world.now + TimeDelta::seconds(301);
    let table: Vec<(&str, Telemetry)> = vec![
        (
            "station_id",
            Telemetry {
                station: station_id(99),
                ..good.clone()
            },
        ),
        (
            "sample_time",
            Telemetry {
                sampled_at: late,
                ..good.clone()
            },
        ),
        (
            "active_power_kw",
            Telemetry {
                active_power: kilowatts(120) + Power::from_watts(1),
                ..good.clone()
            },
        ),
        (
            "active_power_kw",
            Telemetry {
                active_power: -kilowatts(121),
                ..good.clone()
            },
        ),
        (
            "sessions[1].energy_needed_kwh",
            Telemetry {
                sessions: vec![
                    session.clone(),
                    vpp_core::Session {
                        // It may not leave with less than may be taken out of it.
                        energy_needed: -session.energy_available
                            - Energy::from_watt_milliseconds(1),
                        ..session.clone()
                    },
                ],
                ..good.clone()
            },
        ),
        (
            "sessions[0].max_charge_kw",
            Telemetry {
                sessions: vec![vpp_core::Session {
                    max_charge: -kilowatts(1),
                    ..session.clone()
                }],
                ..good.clone()
            },
        ),
        (
            "sessions",
            Telemetry {
                sessions: vec![session; Telemetry::MAX_SESSIONS + 1],
                ..good.clone()
            },
        ),
    ];
    for (field, telemetry) in table {
        assert_eq!(
            rejected(&mut world, Input::Telemetry(telemetry)).field,
            field
        );
    }
    let edge = Telemetry {
        active_power: kilowatts(120),
        sampled_at: late - TimeDelta::seconds(1),
        ..good
    };
    assert_eq!(world.step(Input::Telemetry(edge)), [], "the edge is inside");
}

#[test]
fn a_repeated_report_is_dropped_without_a_word_and_time_that_goes_back_is_refused() {
    let mut world = World::new(2);
    let before = world.seen();
    let at = |world: &World, back| {
        let mut old = world.fakes[0].report(world.now - TimeDelta::seconds(back));
        old.active_power = kilowatts(1);
        Input::Telemetry(old)
    };
    let repeated = at(&world, 0);
    assert_eq!(world.step(repeated), []);
    assert_eq!(world.seen(), before);
    for back in [1, 3_600] {
        let old = at(&world, back);
        assert_eq!(rejected(&mut world, old).field, "sample_time");
    }
}

#[test]
fn a_bad_answer_to_a_command_is_refused_by_field_and_changes_nothing() {
    let mut world = World::new(2);
    let good = Acknowledgement {
        station: station_id(0),
        sequence: SequenceNumber {
            epoch: 7,
            number: 0,
        },
        status: AcknowledgementStatus::Accepted,
        detail: String::new(),
        acknowledged_at: world.now,
    };
    let table = [
        (
            "station_id",
            Acknowledgement {
                station: station_id(99),
                ..good.clone()
            },
        ),
        (
            "acknowledge_time",
            Acknowledgement {
                acknowledged_at: world.now + TimeDelta::seconds(301),
                ..good.clone()
            },
        ),
        (
            "sequence",
            Acknowledgement {
                sequence: SequenceNumber {
                    epoch: 7,
                    number: 1,
                },
                ..good.clone()
            },
        ),
        (
            "sequence",
            Acknowledgement {
                sequence: SequenceNumber {
                    epoch: 8,
                    number: 0,
                },
                ..good.clone()
            },
        ),
    ];
    for (field, acknowledgement) in table {
        let invalid = rejected(&mut world, Input::Acknowledgement(acknowledgement));
        assert_eq!(invalid.field, field);
    }
}

#[test]
fn an_event_that_cannot_be_is_refused_by_field_and_changes_nothing() {
    let mut world = World::new(4);
    world.submit(world.demand_response(10, 600, 600)).unwrap();
    let now = world.now;
    let at = |seconds| now + TimeDelta::seconds(seconds);
    let span = |from, to| Interval::new(at(from), at(to)).unwrap();
    let good = EventRequest {
        interval: span(3_600, 4_200),
        ..world.demand_response(10, 0, 1)
    };
    let scoped = |scope| EventRequest {
        scope,
        ..good.clone()
    };
    let programmed = |programme| EventRequest {
        programme,
        ..good.clone()
    };
    let timed = |interval| EventRequest {
        interval,
        ..good.clone()
    };
    let reduction = |watts| {
        programmed(Programme::DemandResponse {
            reduction: Power::from_watts(watts),
        })
    };
    let shaving = |node: &str, watts| {
        programmed(Programme::PeakShaving {
            node: NodeId::new(node).unwrap(),
            ceiling: Power::from_watts(watts),
        })
    };
    let stranger = AggregatorId::new("stranger").unwrap();
    let nowhere = NodeId::new("nowhere").unwrap();
    let (value, unknown, state) = (InvalidKind::Value, InvalidKind::Unknown, InvalidKind::State);
    let table = [
        (value, "demand_response.reduction_kw", reduction(-1)),
        (value, "demand_response.reduction_kw", reduction(0)),
        (value, "peak_shaving.ceiling_kw", shaving("feeder-0", -1)),
        (unknown, "peak_shaving.node_id", shaving("nowhere", 1)),
        (value, "end_time", timed(span(-600, -300))),
        (value, "start_time", timed(span(-301, 300))),
        (
            value,
            "start_time",
            timed(span(8 * 86_400 + 1, 8 * 86_400 + 60)),
        ),
        (value, "end_time", timed(span(60, 86_461))),
        (
            unknown,
            "scope.aggregator_id",
            scoped(Scope::Aggregator(stranger)),
        ),
        (unknown, "scope.node_id", scoped(Scope::Node(nowhere))),
        (state, "scope", timed(span(1_199, 1_300))),
    ];
    for (kind, field, request) in table {
        let before = world.seen();
        let invalid = world
            .ask(Request::SubmitEvent(request.clone()))
            .expect_err(field);
        assert_eq!(
            (invalid.kind, invalid.field.as_str()),
            (kind, field),
            "{request:?}"
        );
        assert_eq!(world.seen(), before, "{field}");
    }
    // The end is not inside: the next may begin there.
    world.submit(timed(span(1_200, 1_300))).unwrap();
}

#[test]
fn more_than_is_callable_is_promised_in_part_and_the_parts_add_up() {
    let mut world = World::new(7);
    let event = world
        .submit(world.demand_response(10_000, 60, 600))
        .unwrap();
    assert!(event.accepted > Power::ZERO && event.refused > Power::ZERO);
    assert_eq!(event.accepted + event.refused, kilowatts(10_000));
    assert!(event.accepted <= world.draw());
    let parts: Power = event.commitments.iter().map(|part| part.power).sum();
    assert_eq!(parts, event.accepted);
    assert_eq!(event.commitments.len(), 2, "both aggregators take part");
}

#[test]
fn a_little_is_promised_whole_and_the_parts_add_up_to_the_watt() {
    let mut world = World::new(7);
    let mut request = world.demand_response(0, 60, 600);
    request.programme = Programme::DemandResponse {
        reduction: Power::from_watts(10_001),
    };
    let event = world.submit(request).unwrap();
    assert_eq!(event.refused, Power::ZERO);
    let parts: Power = event.commitments.iter().map(|part| part.power).sum();
    assert_eq!(parts, Power::from_watts(10_001));
}

#[test]
fn where_nothing_is_callable_an_event_is_refused_for_the_state() {
    let mut world = World::new(4);
    world.now += TimeDelta::seconds(60);
    let before = world.seen();
    let invalid = world
        .submit(world.demand_response(10, 60, 600))
        .unwrap_err();
    assert_eq!(invalid.kind, InvalidKind::State);
    assert_eq!(world.seen(), before);
}

#[test]
fn a_request_sent_twice_is_done_once_and_answered_the_same() {
    let mut world = World::new(4);
    let id = RequestId::new("mine").unwrap();
    let request = Request::SubmitEvent(world.demand_response(20, 60, 600));
    let first = world.ask_as(id.clone(), false, request.clone()).unwrap();
    let after = world.seen();
    world.now += TimeDelta::seconds(3);
    let outputs = world.step(Input::Request {
        id: id.clone(),
        validate_only: false,
        request: request.clone(),
    });
    assert_eq!(
        outputs,
        [Output::Answer(Box::new(Ok(first)))],
        "nothing is recorded again"
    );
    assert_eq!(world.seen(), after);
    assert_eq!(world.engine.events().len(), 1);

    let other = Request::SubmitEvent(world.demand_response(21, 60, 600));
    let invalid = world.ask_as(id, false, other).unwrap_err();
    assert_eq!(invalid.kind, InvalidKind::Taken);
    assert_eq!(invalid.field, "request_id");
    assert_eq!(world.seen(), after);
}

#[test]
fn a_partial_change_sent_again_after_another_is_done_once() {
    let mut world = World::new(2);
    let ramp = Request::UpdateStation(support::ramp_of(0, 5));
    let first = world.ask_as(RequestId::new("a").unwrap(), false, ramp.clone());
    let other = StationChange {
        regulates: Some(false),
        ramp_per_second: None,
        ..support::ramp_of(0, 5)
    };
    world.ask(Request::UpdateStation(other)).unwrap();
    let after = world.seen();
    let again = world.ask_as(RequestId::new("a").unwrap(), false, ramp);
    assert_eq!(again, first, "answered as the first time");
    assert_eq!(world.seen(), after);
    let station = &world.engine.fleet().stations()[0];
    assert_eq!(
        (station.ramp_per_second, station.regulates),
        (kilowatts(5), false)
    );
    let differs = Request::UpdateStation(support::ramp_of(0, 6));
    let invalid = world.ask_as(RequestId::new("a").unwrap(), false, differs);
    assert_eq!(invalid.unwrap_err().kind, InvalidKind::Taken);
}

#[test]
fn validating_changes_nothing() {
    let mut world = World::new(4);
    let event = world.submit(world.demand_response(20, 60, 600)).unwrap();
    let award = vpp_core::RegulationAward {
        up: kilowatts(10),
        down: kilowatts(10),
    };
    let requests = [
        Request::SubmitEvent(world.demand_response(20, 3_600, 600)),
        Request::CancelEvent(event.id),
        Request::RegisterStations(vec![station(50, "feeder-0")]),
        Request::UpdateStation(support::ramp_of(0, 5)),
        Request::RegisterNodes(vec![support::node(
            "new",
            Some("substation"),
            kilowatts(9),
            Power::ZERO,
        )]),
        Request::StartRegulation {
            award,
            sustain: TimeDelta::minutes(15),
        },
    ];
    for request in requests {
        let before = world.seen();
        let id = world.request_id();
        let answer = world.ask_as(id, true, request.clone());
        assert!(answer.is_ok(), "{request:?}: {answer:?}");
        assert_eq!(world.seen(), before, "{request:?}");
    }
}

#[test]
fn of_a_batch_with_one_bad_station_none_is_registered() {
    let mut world = World::new(2);
    let mut bad = station(51, "feeder-0");
    bad.default_setpoint = kilowatts(61);
    let before = world.seen();
    let batch = vec![station(50, "feeder-0"), bad];
    let invalid = world.ask(Request::RegisterStations(batch)).unwrap_err();
    assert_eq!(invalid.field, "stations[1].default_setpoint_kw");
    assert_eq!(world.seen(), before);
    let alone = world.ask(Request::RegisterStations(vec![station(50, "feeder-0")]));
    assert_eq!(alone.unwrap(), Answer::Done);
    assert_eq!(world.engine.states().len(), 3);
    assert_eq!(
        world.engine.fleet().stations()[2].aggregator,
        aggregator_id(50)
    );
}
