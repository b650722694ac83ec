//! What the tests of the pure parts share.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]
#![allow(dead_code, reason = "each test binary uses a part of it")]

use chrono::TimeDelta;
use vpp_aggregator::{Lease, PileReading, PileSetpoint, Sites};
use vpp_core::{
    AggregatorId, Command, Decision, Energy, NodeId, Pile, PileKind, Power, Reason, SequenceNumber,
    Session, Station, StationId, StationKind, Timestamp,
};

pub(crate) fn kw(kilowatts: i64) -> Power {
    Power::from_watts(kilowatts * 1_000)
}

pub(crate) fn kwh(kilowatt_hours: f64) -> Energy {
    Energy::from_kilowatt_hours("e", kilowatt_hours).unwrap()
}

pub(crate) fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_timestamp_millis(1_752_566_400_000 + milliseconds).unwrap()
}

pub(crate) fn aggregator() -> AggregatorId {
    AggregatorId::new("agg").unwrap()
}

pub(crate) fn station(id: &str, piles: u32) -> Station {
    Station {
        id: StationId::new(id).unwrap(),
        aggregator: aggregator(),
        node: NodeId::new("n").unwrap(),
        kind: StationKind::Charging,
        piles: vec![Pile {
            kind: PileKind::Ac,
            count: piles,
            rated_power: kw(7),
            discharge_power: kw(5),
        }],
        import_limit: kw(100),
        export_limit: kw(40),
        ramp_per_second: kw(100),
        default_setpoint: kw(60),
        charge_efficiency: 0.95,
        discharge_efficiency: 0.95,
        regulates: false,
    }
}

/// A command with a life of 60 s from `issued_ms`.
pub(crate) fn command(station: &str, number: u64, issued_ms: i64, setpoint: Power) -> Command {
    Command {
        station: StationId::new(station).unwrap(),
        aggregator: aggregator(),
        sequence: SequenceNumber { epoch: 1, number },
        issued_at: at(issued_ms),
        valid_until: at(issued_ms) + TimeDelta::seconds(60),
        setpoint,
        fallback_setpoint: kw(50),
        decision: Decision::Optimal,
        reason: Reason::Event,
        cycle: 1,
    }
}

/// A vehicle that stays `hours`, takes 7 kW, gives 5 kW.
pub(crate) fn reading(pile: u32, power: Power, hours: f64, needed_kwh: f64) -> PileReading {
    #[allow(clippy::cast_possible_truncation)]
    let stay = TimeDelta::milliseconds((hours * 3.6e6) as i64);
    PileReading {
        pile,
        active_power: power,
        min_charge: Power::ZERO,
        says: true,
        defies: false,
        session: Session {
            departure: at(0) + stay,
            energy_needed: kwh(needed_kwh),
            energy_room: kwh(needed_kwh + 10.0),
            energy_available: kwh(20.0),
            max_charge: kw(7),
            max_discharge: kw(5),
        },
        vehicle: None,
        battery: None,
    }
}

/// Stations that do at once what they are told, and remember it.
#[derive(Debug)]
pub(crate) struct Obedient {
    pub(crate) stations: Vec<Station>,
    pub(crate) readings: Vec<Vec<PileReading>>,
    pub(crate) leases: Vec<Option<Lease>>,
    pub(crate) refusals: Vec<Option<String>>,
    pub(crate) reachable: Vec<bool>,
}

impl Obedient {
    /// Stations `s0`, `s1`, … with four vehicles each that draw 7 kW.
    pub(crate) fn new(stations: usize) -> Obedient {
        let vehicles = || (0..4).map(|pile| reading(pile, kw(7), 4.0, 10.0)).collect();
        Obedient {
            stations: (0..stations)
                .map(|at| station(&format!("s{at}"), 10))
                .collect(),
            readings: (0..stations).map(|_| vehicles()).collect(),
            leases: vec![None; stations],
            refusals: vec![None; stations],
            reachable: vec![true; stations],
        }
    }
}

impl Sites for Obedient {
    fn stations(&self) -> &[Station] {
        &self.stations
    }

    fn advance(&mut self, _now: Timestamp) {}

    fn readings(&self, station: usize) -> &[PileReading] {
        &self.readings[station]
    }

    fn active_power(&self, station: usize) -> Power {
        self.readings[station]
            .iter()
            .map(|reading| reading.active_power)
            .sum()
    }

    fn apply(&mut self, station: usize, setpoints: &[PileSetpoint], lease: Lease) {
        self.leases[station] = Some(lease);
        for told in setpoints {
            let same = |reading: &&mut PileReading| reading.pile == told.pile;
            if let Some(reading) = self.readings[station].iter_mut().find(same) {
                reading.active_power = told.setpoint;
            }
        }
    }

    fn refusal(&self, station: usize) -> Option<&str> {
        self.refusals[station].as_deref()
    }

    fn reachable(&self, station: usize) -> bool {
        self.reachable[station]
    }
}
