//! The eight scenes of one district under one engine: buses, vans, homes, offices, works, a park and a swap station answer a call
//! together, and nobody leaves short for it.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod support;

use vpp_aggregator::Sites;
use vpp_core::{EventOutcome, StationKind};
use vpp_dispatch::Request;
use vpp_replay::Plant;
use vpp_scenarios::Scenario;
use vpp_scenarios::world::World;

#[test]
fn eight_scenes_answer_a_call() {
    let text = include_str!("../../../scenarios/baiyun-scenes.toml");
    let scenario = Scenario::parse(text).unwrap();
    let fleet = scenario.fleet().unwrap();
    let piles: u64 = (fleet.stations().iter())
        .filter(|station| station.kind == StationKind::Charging)
        .map(vpp_core::Station::v2g_pile_count)
        .sum();
    assert!(piles >= 300, "{piles} exporting piles");
    assert!(
        fleet
            .stations()
            .iter()
            .any(|station| station.kind == StationKind::Swap)
    );
    let mut plant = support::plant(&scenario);
    for _ in 0..60 {
        plant.advance();
    }
    let before: f64 = draws(&plant).iter().sum();
    let (_, request) = scenario.event_requests().unwrap().remove(0);
    plant.request(Request::SubmitEvent(request)).unwrap();
    for _ in 0..300 {
        plant.advance();
    }
    let during = draws(&plant);
    println!("{before} kW before; {during:?}");
    assert!(
        during.iter().sum::<f64>() < before - 500.0,
        "{before} kW before, {during:?}"
    );
    for _ in 0..400 {
        plant.advance();
    }
    let event = plant.engine().events().values().next().unwrap();
    assert_eq!(event.outcome, Some(EventOutcome::Delivered), "{event:?}");
    assert_eq!(plant.counts().limit_violations, 0);
    assert_eq!(plant.counts().refused_inputs, 0);
    for operator in plant.operators() {
        let tally = operator.sites().total();
        assert_eq!(tally.short_departures, 0, "{tally:?}");
        assert_eq!(operator.doubts(), vpp_aggregator::Doubts::default());
    }
}

/// kW of each station.
fn draws(plant: &Plant<World>) -> Vec<f64> {
    let each = |operator: &vpp_aggregator::Operator<World>| {
        let stations = operator.sites().stations().len();
        let power = |at| operator.sites().active_power(at).as_kilowatts();
        (0..stations).map(power).collect::<Vec<f64>>()
    };
    plant.operators().iter().flat_map(each).collect()
}
