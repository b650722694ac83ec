//! Why vehicles leave short: what the stations know and what their operators see come to the same.

#![allow(clippy::unwrap_used)] // a test that cannot go on shall fail

use chrono::TimeDelta;
use vpp_aggregator::{Operator, Sites as _};
use vpp_core::{
    Cause, Command, Decision, Power, Promise, Reason, SequenceNumber, Timestamp, Unkept,
};
use vpp_scenarios::Scenario;
use vpp_scenarios::world::{Tally, World};

const SMALL: &str = include_str!("../fleet-small.toml");

fn scenario() -> Scenario {
    let changes = [
        ("soc_ceiling = 0.98", "soc_ceiling = 0.8"),
        ("refusing_station_share = 0", "refusing_station_share = 0.3"),
        ("disobeying_pile_share = 0", "disobeying_pile_share = 0.1"),
        (
            "default_setpoint_share = 0.7",
            "default_setpoint_share = 0.15",
        ),
    ];
    let text = changes.iter().fold(SMALL.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replacen(from, to, 1)
    });
    Scenario::parse(&text).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

/// Lets everybody have little power for six hours; some stations refuse and keep their own ceiling.
fn lived(operator: &mut Operator<World>, start: Timestamp) -> (Tally, Unkept) {
    for second in 0..6 * 3_600 {
        let now = start + TimeDelta::seconds(second);
        operator.control(now);
        if second % 60 != 0 {
            continue;
        }
        let commands: Vec<Command> = (operator.sites().stations().iter())
            .map(|station| Command {
                station: station.id.clone(),
                aggregator: station.aggregator.clone(),
                sequence: SequenceNumber {
                    epoch: 1,
                    number: u64::try_from(second).unwrap() + 1,
                },
                issued_at: now,
                valid_until: now + TimeDelta::minutes(3),
                setpoint: station
                    .import_limit
                    .scaled(Power::from_watts(1), Power::from_watts(6)),
                fallback_setpoint: station.default_setpoint,
                decision: Decision::Optimal,
                reason: Reason::Event,
                cycle: 1,
            })
            .collect();
        operator.receive_all(now, &commands);
    }
    (operator.sites().total(), operator.unkept())
}

#[test]
fn every_short_departure_has_one_cause_and_the_operator_sees_the_same() {
    let scenario = scenario();
    let (mut truth, mut seen) = (Tally::default(), Unkept::default());
    for row in &scenario.aggregators {
        let mut operator = World::operated(&scenario, &row.id).unwrap();
        let (tally, unkept) = lived(&mut operator, scenario.start());
        truth.add(&tally);
        seen.merge(&unkept);
    }
    println!(
        "{} of {} short: {:?}",
        truth.short_departures, truth.departures, truth.unkept
    );
    println!("seen: {seen:?}");
    assert_eq!(truth.unkept.total(), truth.short_departures);
    let lacked: vpp_core::Energy = Unkept::each()
        .map(|(promise, cause)| truth.unkept.energy(promise, cause))
        .sum();
    assert_eq!(lacked, truth.energy_short);
    // For whom it was too late already when the operator first looked, there was not the time.
    let causes: [&[Cause]; 3] = [
        &[Cause::Ceiling],
        &[Cause::OwnControl, Cause::TooShort],
        &[Cause::Warranty],
    ];
    for causes in causes {
        let count = |of: &Unkept| -> u64 {
            let each = causes
                .iter()
                .map(|cause| of.count(Promise::Departure, *cause));
            each.sum()
        };
        let (truth, seen) = (count(&truth.unkept), count(&seen));
        assert!(truth >= 10, "{causes:?}: {truth}");
        // Who lacked a few watt-hours, or whose battery took less near its end, may count otherwise.
        assert!(
            truth.abs_diff(seen) * 10 <= truth,
            "{causes:?}: {truth}, seen {seen}"
        );
    }
    assert!(truth.short_departures.abs_diff(seen.total()) * 20 <= truth.short_departures);
}
