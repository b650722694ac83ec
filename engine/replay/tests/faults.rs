//! What goes wrong on purpose: limits hold meanwhile, it is counted, and afterwards all is well.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod support;

use chrono::TimeDelta;
use vpp_aggregator::Sites as _;
use vpp_core::Power;
use vpp_dispatch::{Answer, CycleReport, Request};
use vpp_replay::Plant;
use vpp_replay::faults::{FaultCounts, Switches};
use vpp_scenarios::Scenario;
use vpp_scenarios::world::{Tally, World};

const SMALL: &str = include_str!("../../../scenarios/fleet-small.toml");
/// The small fleet for twenty minutes, with demand response from the first minute to the tenth.
const FAULTY_S: std::ops::Range<i64> = 120..300;
const END_S: i64 = 1_200;

fn scenario(fault: &str) -> Scenario {
    let fault = format!("[[fault]]\nid = \"f\"\nstart_offset_s = 120\nduration_s = 180\n{fault}");
    let text = SMALL
        .replace("duration_minutes = 10", "duration_minutes = 20")
        .replace(
            "start_offset_s = 60\nduration_s = 300",
            "start_offset_s = 60\nduration_s = 540",
        )
        .replacen("[[aggregator]]", &format!("{fault}\n\n[[aggregator]]"), 1);
    Scenario::parse(&text).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

struct Seen {
    /// The most that flowed through a node over its limit.
    worst: f64,
    /// The cycle before the fault, that before its end, and the last.
    before: CycleReport,
    during: CycleReport,
    last: CycleReport,
    refusals: usize,
    faults: FaultCounts,
    tally: Tally,
    /// The acknowledgements and commands of the last minute.
    answered: (u64, u64),
    plant: Plant<World>,
}

/// Runs it to its end, second by second, with the stations' own meters.
fn run(scenario: &Scenario) -> Seen {
    let mut plant = support::plant(scenario);
    let switches = Switches {
        reachable: World::set_reachable,
        refusal: World::set_refusal,
    };
    plant.set_faults(scenario.faults().unwrap(), switches);
    let (start, mut calls) = (scenario.start(), scenario.event_requests().unwrap());
    let (mut reports, mut worst, mut refusals) = (Vec::new(), 0.0_f64, 0);
    let mut at_minute = plant.counts();
    for second in 1..=END_S {
        if let Some(report) = plant.advance() {
            refusals += report.refusal_count;
            reports.push((second, report));
        }
        if second == END_S - 60 {
            at_minute = plant.counts();
        }
        let due = start + TimeDelta::seconds(second + 30);
        let called: Vec<_> = calls
            .extract_if(.., |(_, request)| request.interval.start() <= due)
            .collect();
        for (_, request) in called {
            let answer = plant.request(Request::SubmitEvent(request)).unwrap();
            assert!(matches!(answer, Answer::Event(_)));
        }
        worst = worst.max(fullest(&plant));
    }
    let last_before = |second: i64| {
        let report = reports.iter().rev().find(|(at, _)| *at <= second);
        report.unwrap().1.clone()
    };
    let mut tally = Tally::default();
    for operator in plant.operators() {
        tally.add(&operator.sites().total());
    }
    let counts = plant.counts();
    Seen {
        worst,
        before: last_before(FAULTY_S.start - 1),
        during: last_before(FAULTY_S.end - 1),
        last: last_before(END_S),
        refusals,
        faults: plant.fault_counts(),
        tally,
        answered: (
            counts.acknowledgements - at_minute.acknowledgements,
            counts.commands - at_minute.commands,
        ),
        plant,
    }
}

/// The flow through the fullest node over its limit, by the stations' own meters.
fn fullest(plant: &Plant<World>) -> f64 {
    let (fleet, now) = (plant.engine().fleet(), plant.now());
    let nodes = fleet.tree().nodes();
    let mut flows: Vec<Power> = nodes.iter().map(|node| node.base_load.at(now)).collect();
    for operator in plant.operators() {
        let sites = operator.sites();
        for (at, station) in sites.stations().iter().enumerate() {
            let index = fleet.station_index(&station.id).unwrap();
            flows[fleet.node_of(index)] += sites.active_power(at);
        }
    }
    fleet.tree().sum_upwards(&mut flows);
    let shares = nodes.iter().zip(&flows);
    let share = |(node, flow): (&vpp_core::Node, &Power)| {
        flow.as_kilowatts() / node.import_limit_over(now, now).as_kilowatts()
    };
    shares.map(share).fold(0.0, f64::max)
}

/// Limits held all the time, every station reports again, what is sent is answered, and no limit was seen broken.
fn is_well_again(seen: &Seen) {
    assert!(
        seen.worst <= 1.0,
        "a node carried {} of its limit",
        seen.worst
    );
    assert_eq!(seen.plant.counts().limit_violations, 0);
    assert_eq!((seen.faults.begun, seen.faults.ended), (1, 1));
    assert_eq!(seen.last.fresh_station_count, 12);
    assert_eq!(
        seen.answered.0, seen.answered.1,
        "answered and sent in the last minute"
    );
}

#[test]
fn silent_stations_fall_back_and_come_back() {
    let seen = run(&scenario("kind = \"station_silent\"\nshare = 0.25"));
    is_well_again(&seen);
    assert_eq!(
        (
            seen.before.fresh_station_count,
            seen.during.fresh_station_count
        ),
        (12, 9)
    );
}

#[test]
fn stations_that_refuse_are_left_out_and_asked_again() {
    let seen = run(&scenario(
        "kind = \"station_refuses\"\naggregator = \"agg-b\"",
    ));
    is_well_again(&seen);
    assert!(seen.refusals > 0);
    assert_eq!(
        seen.during.fresh_station_count, 12,
        "they report all the time"
    );
    let refused: u64 = seen.plant.operators()[1].statistics().refused;
    assert_eq!(refused, seen.refusals as u64);
}

#[test]
fn late_reports_are_not_taken_for_the_present() {
    let seen = run(&scenario(
        "kind = \"telemetry_late\"\ndelay_s = 40\nnode = \"feeder-c\"",
    ));
    is_well_again(&seen);
    assert_eq!(
        seen.during.fresh_station_count, 8,
        "four stations are below feeder-c"
    );
    // One a second and station while the fault is on, and 39 more, which wait for those before them.
    assert_eq!(seen.faults.late_reports, 4 * (180 + 39));
    assert_eq!(seen.faults.lost_reports, 0);
}

#[test]
fn while_the_broker_is_away_nothing_passes_and_nothing_old_is_followed_afterwards() {
    let seen = run(&scenario("kind = \"broker_away\"\naggregator = \"agg-b\""));
    is_well_again(&seen);
    assert_eq!(seen.during.fresh_station_count, 6);
    assert!(seen.faults.late_commands > 0);
    // 180 reports of each of six stations; the queue keeps 64 of each.
    assert_eq!(
        (seen.faults.late_reports, seen.faults.lost_reports),
        (6 * 64, 6 * 116)
    );
    let statistics = seen.plant.operators()[1].statistics();
    assert!(
        statistics.expired + statistics.superseded > 0,
        "{statistics:?}"
    );
}

#[test]
fn a_clock_that_is_far_ahead_is_not_believed() {
    let seen = run(&scenario(
        "kind = \"clock_skew\"\nskew_s = 600\naggregator = \"agg-b\"",
    ));
    is_well_again(&seen);
    assert_eq!(seen.faults.skewed_reports, 6 * 180);
    assert_eq!(seen.during.fresh_station_count, 6);
    assert_eq!(seen.plant.counts().refused_inputs, 6 * 180);
}

#[test]
fn a_clock_that_is_a_little_behind_changes_nothing_that_counts() {
    let seen = run(&scenario("kind = \"clock_skew\"\nskew_s = -2"));
    is_well_again(&seen);
    assert_eq!(seen.faults.skewed_reports, 12 * 180);
    assert_eq!(seen.during.fresh_station_count, 12);
}

#[test]
fn vehicles_get_what_they_need_whatever_is_said_of_them() {
    let well = run(&scenario("kind = \"wrong_forecast\"\nfactor = 1"));
    let seen = run(&scenario("kind = \"wrong_forecast\"\nfactor = 0.1"));
    is_well_again(&seen);
    assert_eq!(seen.faults.wrong_reports, 12 * 180);
    assert_eq!(seen.tally.arrivals, well.tally.arrivals);
    assert_eq!(seen.tally.short_departures, well.tally.short_departures);
}

#[test]
fn two_runs_with_faults_are_the_same() {
    let scenario = scenario("kind = \"broker_away\"");
    let (first, second) = (run(&scenario), run(&scenario));
    assert_eq!(first.plant.counts(), second.plant.counts());
    assert_eq!(first.faults, second.faults);
    assert_eq!(first.tally, second.tally);
}

/// What the calendar and the subsidy of a scenario become when it is replayed.
mod year {
    use super::*;
    use vpp_replay::run::Run;

    #[test]
    fn a_replay_has_the_subsidy_the_awards_and_the_faults_of_its_scenario() {
        let text = SMALL
            .replace("duration_minutes = 10", "duration_minutes = 2880")
            .replace("duration_s = 120\nperiod_s", "duration_s = 120\nevery_days = 1\nperiod_s")
            .replace("[assumptions]", "[subsidy]\ndischarge_cny_per_kwh = 0.5\nbudget_cny = 1000\n\n[dispatch]\ncycle_s = 3600\n\n[assumptions]")
            .replacen("[[aggregator]]", "[[fault]]\nid = \"f\"\nkind = \"station_silent\"\nstart_offset_s = 7200\nduration_s = 60\n\n[[aggregator]]", 1);
        let scenario = Scenario::parse(&text).unwrap_or_else(|problems| panic!("{problems:#?}"));
        let mut run = Run::new(&scenario).unwrap();
        let subsidy = run.plant().engine().subsidy().unwrap();
        assert!(
            (subsidy.price.as_f64() - 0.5).abs() < 1e-9
                && (subsidy.left_cny - 1_000.0).abs() < 1e-9
        );
        run.begin();
        let (mut values, mut silent) = ([0, 0], 0);
        while !run.is_over() {
            let step = run.advance();
            let day = usize::from(run.now() >= scenario.start() + TimeDelta::days(1));
            values[day] += usize::from(step.signal.is_some());
            assert!(
                step.refused_regulation.is_none(),
                "{:?}",
                step.refused_regulation
            );
            let stations = run.plant().operators().iter().flat_map(|operator| {
                let sites = operator.sites();
                (0..sites.stations().len()).map(|at| sites.reachable(at))
            });
            silent = silent.max(stations.filter(|reachable| !reachable).count());
        }
        // 120 s with a value every 4 s, on both days.
        assert_eq!(values, [30, 30]);
        assert_eq!(silent, 12, "a fault shorter than a step is on for a step");
        assert_eq!(
            (
                run.plant().fault_counts().begun,
                run.plant().fault_counts().ended
            ),
            (1, 1)
        );
        assert!(run.plant().engine().regulation().is_none());
    }
}
