//! The world by itself, and under an operator.

mod closed_loop;
mod coarse;
mod physics;
mod scenario;
mod swap;

use std::sync::Arc;

use chrono::{TimeDelta, TimeZone, Utc};
use vpp_core::{
    AggregatorId, NodeId, Pile, PileKind, Power, Station, StationId, StationKind, Timestamp,
};

use super::*;
use crate::draw::Quantiles;
use crate::format::SessionProfile;

fn kw(kilowatts: i64) -> Power {
    Power::from_watts(kilowatts * 1_000)
}

fn quantiles(values: &[f64]) -> Quantiles {
    Quantiles::new(values.to_vec()).unwrap()
}

fn aggregator() -> AggregatorId {
    AggregatorId::new("agg").unwrap()
}

/// Three in the afternoon in Guangzhou.
fn start() -> Timestamp {
    Utc.with_ymd_and_hms(2025, 7, 15, 7, 0, 0).unwrap()
}

fn after(seconds: i64) -> Timestamp {
    start() + TimeDelta::seconds(seconds)
}

fn profile() -> SessionProfile {
    let mut arrival_shape = vec![0.02; 24];
    arrival_shape[8..20].fill(0.76 / 12.0);
    SessionProfile {
        arrivals_per_ac_pile_day: 1.5,
        arrivals_per_dc_pile_day: 12.0,
        arrival_shape,
        weekend_arrival_shape: None,
        weekend_factor: 1.0,
        holidays: Default::default(),
        stay_h: quantiles(&[0.5, 2.0, 4.0, 8.0, 16.0]),
        energy_kwh: quantiles(&[2.0, 8.0, 15.0, 25.0, 60.0]),
        dc_energy_kwh: quantiles(&[5.0, 15.0, 25.0, 45.0]),
        dc_dwell_minutes: 10.0,
        battery_capacity_kwh: None,
        models: Default::default(),
    }
}

fn behaviour() -> Behaviour {
    Behaviour {
        battery_capacity_kwh: quantiles(&[35.0, 60.0, 100.0]),
        v2g_consent_share: 0.7,
        v2g_floor: 0.3,
        soc_ceiling: 1.0,
        stated_share: 1.0,
        soc_ceilings: Default::default(),
        disobeying_pile_share: 0.0,
        refusing_station_share: 0.0,
        unreachable_station_share: 0.0,
        unreachable_from: start(),
        response_delay_s: [0.5, 3.0],
    }
}

fn station(number: u64) -> Station {
    let pile = |kind, count, rated, discharge| Pile {
        kind,
        count,
        rated_power: kw(rated),
        discharge_power: kw(discharge),
    };
    Station {
        id: StationId::new(format!("s{number}")).unwrap(),
        aggregator: aggregator(),
        node: NodeId::new("n").unwrap(),
        kind: StationKind::Charging,
        piles: vec![
            pile(PileKind::Ac, 10, 7, 0),
            pile(PileKind::Ac, 6, 7, 7),
            pile(PileKind::Dc, 3, 60, 0),
            pile(PileKind::Dc, 1, 30, 30),
        ],
        import_limit: kw(322),
        export_limit: kw(72),
        ramp_per_second: kw(64),
        default_setpoint: kw(322),
        charge_efficiency: 0.95,
        discharge_efficiency: 0.94,
        regulates: false,
    }
}

/// Stations with these numbers.
fn config(seed: u64, numbers: std::ops::Range<u64>, behaviour: Behaviour) -> WorldConfig {
    let (profile, behaviour) = (Arc::new(profile()), Arc::new(behaviour));
    let model = |number| StationModel {
        number,
        station: station(number),
        profile: Arc::clone(&profile),
        swaps: None,
        recorded: None,
        behaviour: Arc::clone(&behaviour),
    };
    WorldConfig {
        seed,
        start: start(),
        warm_up: WARM_UP,
        in_long_steps: false,
        stations: numbers.map(model).collect(),
    }
}

fn world(seed: u64, numbers: std::ops::Range<u64>) -> World {
    World::new(config(seed, numbers, behaviour()))
}
