//! The pilot on a virtual clock: the same every time, and near what the signal asks for.

#![allow(clippy::unwrap_used)]

mod support;

use chrono::TimeDelta;
use vpp_aggregator::Sites as _;
use vpp_core::{EventOutcome, EventRequest, Interval, Power, Programme, RegulationAward, Scope};
use vpp_dispatch::{Answer, Request};
use vpp_replay::Plant;
use vpp_scenarios::Scenario;
use vpp_scenarios::world::World;

fn pilot() -> Plant<World> {
    let text = include_str!("../../../scenarios/guangzhou-pilot.toml");
    let scenario = Scenario::parse(text).unwrap();
    let mut plant = support::plant(&scenario);
    for _ in 0..60 {
        plant.advance();
    }
    plant
}

/// Steps of half a capacity, three minutes each, as `vpp test-capability` asks for them: asked and achieved, kW.
fn steps(plant: &mut Plant<World>) -> Vec<(f64, f64)> {
    let kilowatts = |kw: f64| Power::round_kilowatts(kw);
    let award = RegulationAward {
        up: kilowatts(1_300.0),
        down: kilowatts(1_300.0),
    };
    let sustain = TimeDelta::minutes(15);
    let answer = plant.request(Request::StartRegulation { award, sustain });
    assert!(matches!(answer, Ok(Answer::Regulation { award: given, .. }) if given == award));
    let mut trace = Vec::new();
    let mut sequence = 0;
    for value in [0.0, 0.5, 0.0, -0.5] {
        for _ in 0..180 {
            sequence += 1;
            let achieved = plant.signal(sequence, value).unwrap();
            plant.advance();
            trace.push((1_300.0 * value, achieved.achieved.as_kilowatts()));
        }
    }
    plant.stop_regulation();
    trace
}

#[test]
fn two_runs_are_the_same_and_no_limit_is_broken() {
    let run = || {
        let mut plant = pilot();
        let now = plant.now();
        let request = EventRequest {
            programme: Programme::DemandResponse {
                reduction: Power::round_kilowatts(5_000.0),
            },
            scope: Scope::All,
            interval: Interval::new(now, now + TimeDelta::minutes(3)).unwrap(),
        };
        plant.request(Request::SubmitEvent(request)).unwrap();
        let reports: Vec<_> = (0..240).filter_map(|_| plant.advance()).collect();
        let events: Vec<_> = plant.engine().events().values().cloned().collect();
        (reports, events, plant.counts())
    };
    let (reports, events, counts) = run();
    // A cycle every 4 s, before the event and after.
    assert_eq!((reports.len(), counts.cycles), (60, 75));
    assert_eq!(counts.limit_violations, 0);
    assert_eq!(counts.refused_inputs, 0);
    assert!(counts.acknowledgements > 0 && counts.acknowledgements <= counts.commands);
    assert_eq!(events[0].outcome, Some(EventOutcome::Delivered));
    assert_eq!((reports, events, counts), run());
}

#[test]
fn steps_are_kept_without_a_lasting_error_though_stations_have_dead_times() {
    let trace = steps(&mut pilot());
    for (step, part) in trace.chunks(180).enumerate() {
        // The last two minutes of each step.
        let last = &part[60..];
        #[allow(clippy::cast_precision_loss)]
        let mean = last.iter().map(|(asked, got)| got - asked).sum::<f64>() / last.len() as f64;
        // Measured when written: 27 kW at most; 146 to 211 kW while stations with dead times had their errors left alone.
        assert!(mean.abs() < 40.0, "step {step}: {mean} kW of 1000 kW");
    }
}

/// Two plants with the same vehicles: one is called to draw less, or more, for ten minutes. Between calls, what it has in its
/// batteries comes back to what it would have had: each plan is made of what vehicles still need, not of what was planned before.
#[test]
fn between_calls_stored_energy_comes_back_to_the_plan() {
    for value in [0.5, -0.5] {
        let mut plants = [small(), small()];
        let mut committed = Power::ZERO;
        for plant in &mut plants {
            let all = Power::round_kilowatts(1_000.0);
            let (up, down) = match value > 0.0 {
                true => (all, Power::ZERO),
                false => (Power::ZERO, all),
            };
            let award = RegulationAward { up, down };
            let sustain = TimeDelta::minutes(15);
            let answer = plant.request(Request::StartRegulation { award, sustain });
            let Ok(Answer::Regulation { award, .. }) = answer else {
                panic!("{answer:?}");
            };
            committed = if value > 0.0 { award.up } else { award.down };
        }
        let mut sequence = 0;
        let mut live = |value: f64, minutes: u32| {
            for _ in 0..minutes * 30 {
                sequence += 1;
                for (plant, value) in plants.iter_mut().zip([value, 0.0]) {
                    plant.signal(sequence, value).unwrap();
                    plant.advance();
                    plant.advance();
                }
            }
            drawn_kwh(&plants[0]) - drawn_kwh(&plants[1])
        };
        let called = live(value, 10);
        let left = [live(0.0, 20), live(0.0, 40)];
        let asked = committed.as_kilowatts() * value / -6.0;
        eprintln!("asked {asked:.1} kWh, moved {called:.1}, left of it {left:.1?}");
        // Not all of it: meanwhile some vehicles are full, or leave.
        assert!((0.6..1.3).contains(&(called / asked)), "{asked} {called}");
        let shares = left.map(|left| (left / called).abs());
        assert!(shares[0] < 0.8 && shares[1] < 0.5, "{called} {left:?}");
        for plant in &plants {
            assert_eq!(plant.counts().limit_violations, 0);
        }
    }
}

/// Twelve stations, and all of them regulate.
fn small() -> Plant<World> {
    let text = include_str!("../../../scenarios/fleet-small.toml");
    let regulating = |line: &str| match line.strip_prefix("  { id = \"s-") {
        Some(station) if !station.contains("regulates") => {
            line.replace(" },", ", regulates = true },") + "\n"
        }
        _ => line.to_owned() + "\n",
    };
    let text: String = text.lines().map(regulating).collect();
    let mut plant = support::plant(&Scenario::parse(&text).unwrap());
    for _ in 0..60 {
        plant.advance();
    }
    plant
}

/// What all stations drew since the start, less what they gave.
fn drawn_kwh(plant: &Plant<World>) -> f64 {
    let operators = plant.operators().iter();
    let tallies = operators.flat_map(|operator| {
        let world = operator.sites();
        (0..world.stations().len()).map(|station| world.tally(station))
    });
    let net = tallies.map(|tally| tally.metered_import - tally.metered_export);
    net.map(vpp_core::Energy::as_kilowatt_hours).sum()
}
