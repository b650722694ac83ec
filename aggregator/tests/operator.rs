//! An aggregator's stations from command to pile.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod common;

use common::{Obedient, aggregator, at, command, kw};
use vpp_aggregator::{Operator, Sites};
use vpp_core::AcknowledgementStatus::{Accepted, Refused};
use vpp_core::{AcknowledgementStatus, Power};

fn status(answer: Option<vpp_core::Acknowledgement>) -> Option<AcknowledgementStatus> {
    answer.map(|answer| answer.status)
}

#[test]
fn an_accepted_command_reaches_the_piles_at_once() {
    let mut operator = Operator::new(aggregator(), Obedient::new(2));
    assert_eq!(operator.sites().active_power(0), kw(28));
    let answer = operator.receive(at(10), &command("s0", 1, 0, kw(12)));
    assert_eq!(status(answer), Some(Accepted));
    assert_eq!(operator.sites().active_power(0), kw(12));
    assert_eq!(operator.sites().active_power(1), kw(28));
    let lease = operator.sites().leases[0].unwrap();
    assert_eq!((lease.valid_until, lease.fallback), (at(60_000), kw(50)));
    let reports = operator.telemetry(at(20));
    assert_eq!(
        reports[0].command_in_force,
        Some(command("s0", 1, 0, kw(12)).sequence)
    );
    assert_eq!(
        (reports[0].active_power, reports[0].sessions.len()),
        (kw(12), 4)
    );
    assert_eq!(reports[1].command_in_force, None);
}

#[test]
fn an_expired_command_gives_way_to_its_fallback() {
    let mut operator = Operator::new(aggregator(), Obedient::new(1));
    operator.receive(at(10), &command("s0", 1, 0, kw(-12)));
    assert_eq!(operator.sites().active_power(0), kw(-12));
    operator.control(at(59_999));
    assert_eq!(operator.sites().active_power(0), kw(-12));
    operator.control(at(60_000));
    assert_eq!(operator.sites().active_power(0), kw(28));
    assert_eq!(operator.telemetry(at(60_000))[0].command_in_force, None);
}

#[test]
fn strangers_and_stations_out_of_reach_are_not_answered_for() {
    let mut operator = Operator::new(aggregator(), Obedient::new(2));
    operator.sites_mut().reachable[1] = false;
    assert_eq!(operator.receive(at(0), &command("x", 1, 0, kw(1))), None);
    assert_eq!(operator.receive(at(0), &command("s1", 1, 0, kw(1))), None);
    operator.control(at(1_000));
    assert_eq!(operator.sites().leases[1], None, "nothing reaches it");
    assert_eq!(operator.telemetry(at(1_000)).len(), 1);
    let statistics = operator.statistics();
    assert_eq!((statistics.unknown_station, statistics.unreachable), (1, 1));
    operator.sites_mut().reachable[1] = true;
    let answer = operator.receive(at(2_000), &command("s1", 1, 0, kw(1)));
    assert_eq!(
        status(answer),
        Some(Accepted),
        "it has not seen the command before"
    );
}

#[test]
fn a_station_that_refuses_says_so_and_is_left_alone() {
    let mut operator = Operator::new(aggregator(), Obedient::new(1));
    operator.sites_mut().refusals[0] = Some("local control".into());
    let answer = operator
        .receive(at(0), &command("s0", 1, 0, Power::ZERO))
        .unwrap();
    assert_eq!(
        (answer.status, answer.detail.as_str()),
        (Refused, "local control")
    );
    operator.control(at(1_000));
    assert_eq!(operator.sites().leases[0], None);
    assert_eq!(operator.sites().active_power(0), kw(28));
}
