#![allow(clippy::unwrap_used)] // a test that cannot go on shall fail

use chrono::{TimeZone as _, Utc};
use proptest::prelude::*;
use vpp_core::{AggregatorId, Energy, Fleet, NodeId, Pile, PileKind, StationKind};

use super::*;
use crate::Scenario;
use crate::stays::to_csv;

const PERIOD_S: i64 = 10;

fn at(seconds: i64) -> Timestamp {
    Utc.with_ymd_and_hms(2025, 7, 15, 8, 0, 0).unwrap() + TimeDelta::seconds(seconds)
}

fn kwh(energy: f64) -> Energy {
    Energy::floor_kilowatt_hours(energy)
}

fn kw(power: f64) -> Power {
    Power::round_kilowatts(power)
}

fn station(piles: u32) -> Station {
    Station {
        id: StationId::new("s-1").unwrap(),
        aggregator: AggregatorId::new("agg").unwrap(),
        node: NodeId::new("feeder").unwrap(),
        kind: StationKind::Charging,
        piles: vec![
            Pile {
                kind: PileKind::Dc,
                count: 1,
                rated_power: kw(60.0),
                discharge_power: kw(20.001),
            },
            Pile {
                kind: PileKind::Ac,
                count: piles - 1,
                rated_power: kw(7.001),
                discharge_power: Power::ZERO,
            },
        ],
        import_limit: kw(90.123),
        export_limit: kw(20.001),
        ramp_per_second: kw(1.001),
        default_setpoint: kw(50.057),
        charge_efficiency: 0.93,
        discharge_efficiency: 0.91,
        regulates: true,
    }
}

fn session(departure_s: i64, room: f64) -> Session {
    Session {
        departure: at(departure_s),
        energy_needed: kwh(room / 2.0),
        energy_room: kwh(room),
        energy_available: Energy::ZERO,
        max_charge: kw(7.0),
        max_discharge: Power::ZERO,
    }
}

fn report(seconds: i64, sessions: &[Session]) -> Telemetry {
    Telemetry {
        station: StationId::new("s-1").unwrap(),
        sampled_at: at(seconds),
        active_power: Power::ZERO,
        sessions: sessions.to_vec(),
        command_in_force: None,
    }
}

fn recorded(reports: &[Telemetry]) -> Recording {
    let mut recorder = Recorder::new([station(5)]);
    for report in reports {
        recorder.take(report.sampled_at.min(at(1_000)), report);
    }
    recorder.finish().unwrap()
}

/// Arrival and departure of each stay, seconds.
fn spans(recording: &Recording) -> Vec<(i64, i64)> {
    let seconds = |time: Timestamp| (time - at(0)).num_seconds();
    let span = |stay: &Stay| (seconds(stay.arrival), seconds(stay.session.departure));
    recording.stays.iter().map(span).collect()
}

#[test]
fn who_is_gone_has_left_when_it_said_or_when_it_was_missed() {
    let (a, b, c) = (session(25, 10.0), session(900, 20.0), session(700, 30.0));
    let found = recorded(&[
        report(0, &[a.clone(), b.clone()]),
        report(20, &[a, b.clone(), c.clone()]),
        // a left at 25 as it said, b between 20 and 30 before it said.
        report(30, std::slice::from_ref(&c)),
        report(40, &[c]),
    ]);
    assert_eq!(spans(&found), [(0, 25), (0, 30), (20, 700)]);
}

#[test]
fn a_changed_departure_is_no_other_vehicle_and_another_battery_is() {
    let (a, b) = (session(600, 10.0), session(900, 20.0));
    let later = |session: &Session, by: i64| Session {
        departure: session.departure + TimeDelta::seconds(by),
        ..session.clone()
    };
    let found = recorded(&[
        report(0, &[a.clone(), b.clone()]),
        report(10, &[later(&a, 300), b.clone()]),
        // In the place of b is one with 33 kWh to take.
        report(20, &[later(&a, 300), session(1_000, 33.0)]),
    ]);
    assert_eq!(spans(&found), [(0, 900), (0, 20), (20, 1_000)]);
    // With another entry gone beside it, nobody knows.
    let found = recorded(&[
        report(0, &[a.clone(), b.clone()]),
        report(10, &[later(&b, 60)]),
    ]);
    assert_eq!(spans(&found).len(), 3);
}

#[test]
fn needs_are_those_at_the_arrival_and_powers_the_greatest() {
    let mut first = session(900, 20.0);
    first.max_charge = kw(2.0);
    let mut second = session(900, 19.99);
    second.energy_needed = kwh(9.0);
    let found = recorded(&[
        report(0, &[]),
        report(10, std::slice::from_ref(&first)),
        report(20, &[second]),
    ]);
    let session = &found.stays[0].session;
    assert_eq!(session.energy_needed, first.energy_needed);
    assert_eq!(session.energy_room, first.energy_room);
    assert_eq!(session.max_charge, kw(7.0));
    // The weakest pile that bears it, not the first.
    assert_eq!(found.stays[0].pile, 1);
}

#[test]
fn late_repeated_strange_and_impossible_reports_are_counted_and_change_nothing() {
    let a = [session(900, 20.0)];
    let mut strange = report(30, &a);
    strange.station = StationId::new("s-2").unwrap();
    let crowd = vec![session(900, 20.0); 6];
    let reports = [
        report(10, &a),
        report(10, &[]),
        report(5, &[]),
        strange,
        report(20, &crowd),
        // From tomorrow.
        report(90_000, &[]),
        report(30, &a),
    ];
    let found = recorded(&reports);
    assert_eq!(spans(&found), [(10, 900)]);
    let expected = Counts {
        reports: 2,
        late: 1,
        repeated: 1,
        unknown: 1,
        refused: 2,
        stations: 1,
        stays: 1,
    };
    assert_eq!(found.counts, expected);
}

#[test]
fn nothing_heard_is_no_recording() {
    assert_eq!(Recorder::new([station(5)]).finish(), None);
}

/// A stay as it was: pile, seconds from arrival to departure, how much sooner than announced it left.
#[derive(Clone, Debug)]
struct Truth {
    pile: usize,
    from: i64,
    to: i64,
    announced: i64,
    room: f64,
}

/// Stays at five piles, one after the other, each seen at least once.
fn truths() -> impl Strategy<Value = Vec<Truth>> {
    let visit = (
        0..200_i64,
        PERIOD_S + 1..600_i64,
        prop_oneof![Just(0), 50..4_000_i64],
    );
    let pile = prop::collection::vec(visit, 0..6);
    prop::collection::vec(pile, 5).prop_map(|piles| {
        let mut all = Vec::new();
        for (pile, visits) in piles.into_iter().enumerate() {
            let mut free = 0;
            for (wait, stay, sooner) in visits {
                let (from, to) = (free + wait, free + wait + stay);
                // Rooms are far from each other beside what moves in a period.
                #[allow(clippy::cast_precision_loss)]
                let room = 3.0 + 1.5 * all.len() as f64;
                all.push(Truth {
                    pile,
                    from,
                    to,
                    announced: to + sooner,
                    room,
                });
                free = to;
            }
        }
        all
    })
}

fn seen(truths: &[Truth], seconds: i64) -> Vec<Session> {
    let mut there: Vec<&Truth> = truths
        .iter()
        .filter(|t| t.from <= seconds && seconds < t.to)
        .collect();
    there.sort_by_key(|truth| truth.pile);
    let session = |truth: &&Truth| {
        #[allow(clippy::cast_precision_loss)]
        let charged = (seconds - truth.from) as f64 * 0.002;
        session(truth.announced, truth.room - charged)
    };
    there.iter().map(session).collect()
}

proptest! {
    #[test]
    fn known_stays_are_found_again(truths in truths(), offset in 0..PERIOD_S) {
        let last = truths.iter().map(|truth| truth.to).max().unwrap_or(0) + 2 * PERIOD_S;
        let mut recorder = Recorder::new([station(5)]);
        let mut end = 0;
        for seconds in (offset..last).step_by(10) {
            let report = report(seconds, &seen(&truths, seconds));
            recorder.take(report.sampled_at, &report);
            end = seconds;
        }
        let found = recorder.finish().unwrap();
        prop_assert!(end >= last - 2 * PERIOD_S);
        prop_assert_eq!(found.stays.len(), truths.len());
        // Each has its own needs: by these they are known.
        for truth in &truths {
            let near = |stay: &&Stay| (stay.session.energy_room.as_kilowatt_hours() - truth.room).abs() < 0.5;
            let stay = found.stays.iter().find(near).unwrap();
            let seconds = |time: Timestamp| (time - at(0)).num_seconds();
            let (came, left) = (seconds(stay.arrival), seconds(stay.session.departure));
            prop_assert!((came - truth.from).abs() <= PERIOD_S, "{truth:?} came at {came}");
            prop_assert!((left - truth.to).abs() <= PERIOD_S, "{truth:?} left at {left}");
        }
        let mut at_piles: Vec<&Stay> = found.stays.iter().collect();
        at_piles.sort_by_key(|stay| (stay.pile, stay.arrival));
        for pair in at_piles.windows(2).filter(|pair| pair[0].pile == pair[1].pile) {
            prop_assert!(pair[0].session.departure <= pair[1].arrival);
        }
    }
}

/// A fleet with a station of odd watts.
fn fleet() -> Fleet {
    let mut scenario = Scenario::parse(include_str!("../../fleet-small.toml")).unwrap();
    scenario.nodes[4].agreement = Some(crate::format::AgreementRow {
        import_limit_kw: 250.5,
        start_offset_s: 60,
        duration_s: 600,
    });
    let mut fleet = scenario.fleet().unwrap();
    let mut odd = station(5);
    odd.aggregator = AggregatorId::new("agg-a").unwrap();
    odd.node = NodeId::new("feeder-b").unwrap();
    fleet.insert_station(odd).unwrap();
    fleet
}

#[test]
fn a_recording_is_a_scenario_of_the_same_fleet_to_the_watt() {
    let fleet = fleet();
    let mut recorder = Recorder::new(fleet.stations().to_vec());
    for report in [
        report(0, &[session(900, 20.000_000_1), session(700, 30.0)]),
        report(40, &[session(900, 20.0)]),
    ] {
        recorder.take(report.sampled_at, &report);
    }
    let recording = recorder.finish().unwrap();
    let about = About {
        name: "recorded".into(),
        description: "An \"hour\".".into(),
        length: TimeDelta::seconds(61),
        rule_pack: "guangdong-2025".into(),
    };
    let text = scenario(&about, &recording, &fleet, &[]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(SCENARIO_FILE);
    std::fs::write(&file, text).unwrap();
    let table = to_csv(&recording.stays).unwrap();
    std::fs::write(folder.path().join(STAYS_FILE), table).unwrap();
    let read = Scenario::load(&file).unwrap();
    assert_eq!(read.header.duration_minutes, 2);
    assert_eq!(read.start(), at(0));
    let again = read.fleet().unwrap();
    assert_eq!(again.stations(), fleet.stations());
    assert_eq!(again.tree().nodes(), fleet.tree().nodes());
    assert_eq!(read.fleet.stays.len(), 2);
    let room = read.fleet.stays[0].session.energy_room;
    assert_eq!(room, kwh(20.0));
}
