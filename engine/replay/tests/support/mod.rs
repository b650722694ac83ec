//! What the tests on a virtual clock share.

use chrono::TimeDelta;
use vpp_dispatch::Config;
use vpp_replay::Plant;
use vpp_scenarios::Scenario;
use vpp_scenarios::world::World;

/// The plant of a scenario at its start, with a report each second.
pub(crate) fn plant(scenario: &Scenario) -> Plant<World> {
    let operators = scenario
        .aggregators
        .iter()
        .map(|row| World::operated(scenario, &row.id).expect("sound"));
    let config = Config {
        telemetry_period: TimeDelta::seconds(1),
        ..Config::default()
    };
    let fleet = scenario.fleet().expect("sound");
    let start = scenario.start();
    Plant::new(config, &fleet, operators.collect(), Vec::new(), start).expect("sound")
}
