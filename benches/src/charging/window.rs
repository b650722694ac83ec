//! Ours: a setpoint of the garage split over its piles, as an aggregator does it.

use chrono::{DateTime, TimeDelta};
use vpp_aggregator::{PileReading, PileSetpoint, Splitter};
use vpp_core::{
    AggregatorId, Energy, NodeId, Pile, PileKind, Power, Session, Station, StationId, StationKind,
    Timestamp,
};

use super::garage::Garage;
use super::policies::Vehicle;

/// How often the controller looks, s. What it says at the end of a period counts for all of it.
const LOOK_S: usize = 2;

pub(super) struct Window {
    splitter: Splitter,
    station: Station,
    told: Vec<PileSetpoint>,
}

impl Window {
    pub(super) fn new(garage: &Garage) -> Window {
        Window {
            splitter: Splitter::new(),
            station: station(garage),
            told: Vec::new(),
        }
    }

    pub(super) fn split(
        &mut self,
        garage: &Garage,
        period: usize,
        setpoint_kw: f64,
        vehicles: &[Vehicle],
        may_feed_in: bool,
    ) -> Vec<f64> {
        let now = instant(garage, period);
        let mut readings: Vec<PileReading> = (vehicles.iter())
            .map(|vehicle| PileReading {
                pile: u32::try_from(vehicle.pile).unwrap_or(u32::MAX),
                active_power: Power::round_kilowatts(vehicle.drew_kw),
                min_charge: Power::floor_kilowatts(garage.least_kw()),
                says: true,
                defies: false,
                session: session(garage, period, vehicle, may_feed_in),
                vehicle: None,
                battery: None,
            })
            .collect();
        // Between two looks the piles follow.
        for look in 0..garage.period_min * 60 / LOOK_S {
            let now = now + TimeDelta::seconds((look * LOOK_S) as i64);
            let setpoint = Power::floor_kilowatts(setpoint_kw);
            (self.splitter).split(&self.station, setpoint, &readings, now, &mut self.told);
            for (reading, told) in readings.iter_mut().zip(&self.told) {
                reading.active_power = told.setpoint.min(reading.session.max_charge);
            }
        }
        (self.told.iter())
            .map(|told| told.setpoint.as_kilowatts())
            .collect()
    }
}

/// Who is looked at once a period only, and may be fed in from for all of it, must reckon with losing that and as long again.
const FEED_IN_PERIODS: usize = 2;

/// What the pile's controller knows of the vehicle's stay. Power is what the vehicle can keep up for a whole period.
pub(super) fn session(
    garage: &Garage,
    period: usize,
    vehicle: &Vehicle,
    may_feed_in: bool,
) -> Session {
    let room_kwh = vehicle.wants_kwh + if may_feed_in { vehicle.spare_kwh } else { 0.0 };
    let early = if may_feed_in { FEED_IN_PERIODS } else { 0 };
    let stays = vehicle.stays.saturating_sub(early).max(1);
    let available_kwh = if may_feed_in {
        vehicle.available_kwh
    } else {
        0.0
    };
    let fed_in = garage.most_fed_in_kw(vehicle.discharge_kw, available_kwh);
    Session {
        departure: instant(garage, period + stays),
        // Below zero: what was stored in it beyond what it wants may be taken out again.
        energy_needed: Energy::floor_kilowatt_hours(if may_feed_in {
            vehicle.left_kwh
        } else {
            vehicle.wants_kwh
        }),
        energy_room: Energy::floor_kilowatt_hours(room_kwh),
        energy_available: Energy::floor_kilowatt_hours(available_kwh),
        max_charge: -Power::floor_kilowatts(-garage.most_kw(room_kwh)),
        max_discharge: Power::floor_kilowatts(fed_in),
    }
}

pub(super) fn instant(garage: &Garage, period: usize) -> Timestamp {
    let ms = garage.period_min as i64 * 60_000 * period as i64;
    DateTime::from_timestamp_millis(1_800_000_000_000 + ms).unwrap_or_default()
}

pub(super) fn station(garage: &Garage) -> Station {
    let limit = Power::floor_kilowatts(1e5);
    Station {
        id: StationId::new("garage").unwrap_or_else(|invalid| unreachable!("{invalid}")),
        aggregator: AggregatorId::new("a").unwrap_or_else(|invalid| unreachable!("{invalid}")),
        node: NodeId::new("n").unwrap_or_else(|invalid| unreachable!("{invalid}")),
        kind: StationKind::Charging,
        piles: vec![Pile {
            kind: PileKind::Ac,
            count: u32::try_from(garage.piles).unwrap_or(u32::MAX),
            rated_power: Power::floor_kilowatts(garage.pile_kw()),
            discharge_power: Power::floor_kilowatts(garage.pile_kw()),
        }],
        import_limit: limit,
        export_limit: limit,
        ramp_per_second: limit,
        default_setpoint: Power::ZERO,
        charge_efficiency: garage.efficiency,
        discharge_efficiency: garage.efficiency,
        regulates: false,
    }
}
