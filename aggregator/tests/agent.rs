//! Commands in any order, late, repeated and wrong.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod common;

use chrono::TimeDelta;
use common::{at, command, kw, station};
use proptest::prelude::*;
use vpp_aggregator::StationAgent;
use vpp_core::AcknowledgementStatus::{Accepted, Expired, Refused, Superseded};
use vpp_core::{Command, Power, SequenceNumber};

#[test]
fn without_a_command_the_default_holds() {
    let agent = StationAgent::new(&station("s", 10));
    let in_force = agent.in_force(at(0));
    assert_eq!((in_force.setpoint, in_force.command), (kw(60), None));
}

#[test]
fn a_command_holds_until_it_expires_and_then_its_fallback() {
    let mut agent = StationAgent::new(&station("s", 10));
    let first = command("s", 1, 0, kw(20));
    assert_eq!(agent.receive(at(10), &first, None).status, Accepted);
    assert_eq!(agent.in_force(at(59_999)).setpoint, kw(20));
    assert_eq!(agent.in_force(at(59_999)).command, Some(first.sequence));
    let after = agent.in_force(at(60_000));
    assert_eq!((after.setpoint, after.command), (kw(50), None));
}

#[test]
fn a_repeated_command_gets_the_same_answer() {
    let mut agent = StationAgent::new(&station("s", 10));
    let first = command("s", 1, 0, kw(20));
    for now in [10, 20, 59_999] {
        assert_eq!(agent.receive(at(now), &first, None).status, Accepted);
    }
    assert_eq!(agent.receive(at(60_000), &first, None).status, Expired);
    let second = command("s", 2, 60_000, kw(20));
    let refused = agent.receive(at(60_001), &second, Some("local control"));
    assert_eq!(
        (refused.status, refused.detail.as_str()),
        (Refused, "local control")
    );
    let again = agent.receive(at(60_002), &second, None);
    assert_eq!(
        (again.status, again.detail.as_str()),
        (Refused, "local control")
    );
}

#[test]
fn an_older_command_changes_nothing() {
    let mut agent = StationAgent::new(&station("s", 10));
    agent.receive(at(10), &command("s", 5, 0, kw(20)), None);
    let older = agent.receive(at(20), &command("s", 4, 0, kw(30)), None);
    assert_eq!(older.status, Superseded);
    assert_eq!(agent.in_force(at(20)).setpoint, kw(20));
    let mut next_life = command("s", 1, 0, kw(40));
    next_life.sequence.epoch = 2;
    assert_eq!(agent.receive(at(30), &next_life, None).status, Accepted);
    assert_eq!(
        agent
            .receive(at(40), &command("s", 6, 0, kw(30)), None)
            .status,
        Superseded
    );
    assert_eq!(agent.in_force(at(40)).setpoint, kw(40));
}

#[test]
fn what_the_station_cannot_do_is_refused_and_leaves_no_trace() {
    let mut agent = StationAgent::new(&station("s", 10));
    let good = command("s", 1, 0, kw(20));
    let bad = [
        Command {
            setpoint: kw(101),
            ..good.clone()
        },
        Command {
            setpoint: kw(-41),
            ..good.clone()
        },
        Command {
            fallback_setpoint: kw(-1),
            ..good.clone()
        },
        Command {
            fallback_setpoint: kw(101),
            ..good.clone()
        },
        Command {
            issued_at: at(300_001),
            valid_until: at(360_000),
            ..good.clone()
        },
        Command {
            aggregator: "other".parse().unwrap(),
            ..good.clone()
        },
        Command {
            station: "other".parse().unwrap(),
            ..good.clone()
        },
    ];
    for bad in bad {
        let answer = agent.receive(at(0), &bad, None);
        assert_eq!(answer.status, Refused, "{bad:?}");
        assert!(!answer.detail.is_empty());
    }
    assert_eq!(agent.highest(), None);
    assert_eq!(agent.receive(at(0), &good, None).status, Accepted);
    let skewed = Command {
        issued_at: at(299_000),
        valid_until: at(360_000),
        ..command("s", 2, 0, kw(9))
    };
    assert_eq!(agent.receive(at(0), &skewed, None).status, Accepted);
}

#[test]
fn a_long_refusal_is_cut_between_letters() {
    let mut agent = StationAgent::new(&station("s", 10));
    let refusal = "站".repeat(100);
    let answer = agent.receive(at(0), &command("s", 1, 0, kw(20)), Some(&refusal));
    assert_eq!(answer.detail, "站".repeat(85));
}

/// A command out of a small world of numbers and times, so that they collide.
fn arbitrary_command() -> impl Strategy<Value = (Command, i64, bool)> {
    let numbers = (0_u64..3, 0_u64..6, 0_i64..50, 1_i64..60);
    (numbers, -40_i64..101, 0_i64..100, prop::bool::weighted(0.1)).prop_map(
        |((epoch, number, issued, life), setpoint, step, refuses)| {
            let mut command = command("s", number, issued * 1_000, kw(setpoint));
            command.sequence = SequenceNumber { epoch, number };
            command.valid_until = command.issued_at + TimeDelta::seconds(life);
            (command, step * 100, refuses)
        },
    )
}

proptest! {
    #[test]
    fn no_older_command_and_no_expired_one_ever_holds(
        commands in prop::collection::vec(arbitrary_command(), 1..60),
    ) {
        let station = station("s", 10);
        let mut agent = StationAgent::new(&station);
        let mut now = 0;
        let mut newest_in_force: Option<SequenceNumber> = None;
        let mut accepted: Vec<Command> = Vec::new();
        for (command, step, refuses) in commands {
            now += step;
            let before = agent.in_force(at(now));
            let answer = agent.receive(at(now), &command, refuses.then_some("fault"));
            prop_assert_eq!(answer.sequence, command.sequence);
            let in_force = agent.in_force(at(now));
            if answer.status == Accepted {
                accepted.push(command.clone());
                prop_assert!(at(now) < command.valid_until);
            } else {
                prop_assert_eq!(before, in_force, "what is not accepted changes nothing");
                prop_assert!(!answer.detail.is_empty());
            }
            if let Some(sequence) = in_force.command {
                prop_assert!(newest_in_force.is_none_or(|newest| newest <= sequence));
                newest_in_force = Some(sequence);
                let source = accepted.iter().find(|known| known.sequence == sequence).unwrap();
                prop_assert!(at(now) < source.valid_until);
                prop_assert_eq!(in_force.setpoint, source.setpoint);
                prop_assert_eq!(agent.in_force(source.valid_until).command, None);
            }
            let after = agent.in_force(at(10_000_000));
            prop_assert!(after.setpoint >= Power::ZERO && after.setpoint <= station.import_limit);
        }
    }
}
