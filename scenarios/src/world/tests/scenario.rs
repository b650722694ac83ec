//! From a scenario file to a world.

use super::*;

const SCENARIO: &str = r#"
format = 1

[scenario]
name = "two-aggregators"
start = 2025-07-15T16:00:00+08:00
duration_minutes = 60
seed = 5

[tariff]
rule_pack = "guangdong-2025"

[assumptions]
ac_power_kw = 7.0
dc_powers_kw = [60.0, 120.0]
dc_shares = [0.5, 0.5]
v2g_share_ac = 0.5
v2g_share_dc = 0.0
v2g_ac_discharge_kw = 7.0
v2g_dc_discharge_kw = 20.0
v2g_consent_share = 0.5
v2g_floor = 0.3
charge_efficiency = 0.95
discharge_efficiency = 0.94
battery_capacity_kwh = [40.0, 60.0, 90.0]
connection_factor = 1.0
default_setpoint_share = 1.0
ramp_share_per_second = 0.2
disobeying_pile_share = 0.0
refusing_station_share = 0.0
unreachable_station_share = 0.0
response_delay_s = [1.0, 3.0]

[sessions.office]
arrivals_per_ac_pile_day = 1.5
arrivals_per_dc_pile_day = 10.0
arrival_shape = [
  0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.08, 0.08, 0.06, 0.06,
  0.06, 0.06, 0.06, 0.06, 0.06, 0.06, 0.06, 0.06, 0.02, 0.02, 0.02, 0.02,
]
stay_h = [1.0, 6.0, 12.0]
energy_kwh = [2.0, 15.0, 50.0]
dc_energy_kwh = [5.0, 20.0, 45.0]
dc_dwell_minutes = 10.0

[[aggregator]]
id = "a"
name = "A"

[[aggregator]]
id = "b"
name = "B"

[[node]]
id = "feeder"
kind = "feeder"
import_limit_kw = 5000.0
export_limit_kw = 5000.0
base_load_kw = 100.0

[fleet]
profile = "office"
stations = [
  { id = "s0", aggregator = "a", node = "feeder", place = [113.3, 23.1], ac = 10, dc = 2 },
  { id = "s1", aggregator = "b", node = "feeder", place = [113.3, 23.1], ac = 10, dc = 4 },
  { id = "s2", aggregator = "a", node = "feeder", place = [113.3, 23.1], ac = 20 },
]
"#;

#[test]
fn each_aggregator_simulates_its_own_part_of_one_world() {
    let scenario = Scenario::parse(SCENARIO).unwrap_or_else(|problems| panic!("{problems:?}"));
    let mut whole = World::from_scenario(&scenario, None).unwrap();
    let second = AggregatorId::new("b").unwrap();
    let mut part = World::from_scenario(&scenario, Some(&second)).unwrap();
    let ids = |world: &World| -> Vec<String> {
        world
            .stations()
            .iter()
            .map(|station| station.id.to_string())
            .collect()
    };
    assert_eq!(
        (ids(&whole), ids(&part)),
        (
            vec!["s0".into(), "s1".into(), "s2".into()],
            vec!["s1".into()]
        )
    );
    assert_eq!(
        (whole.now(), part.now()),
        (scenario.start(), scenario.start())
    );
    whole.advance(scenario.end());
    part.advance(scenario.end());
    assert!(!part.readings(0).is_empty());
    assert_eq!(whole.readings(1), part.readings(0));
    assert_eq!(whole.tally(1), part.tally(0));
}
