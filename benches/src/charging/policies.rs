//! Ways to share a garage's limit out over its vehicles.

use chrono::{DateTime, TimeDelta};
use vpp_aggregator::{PileReading, PileSetpoint, Splitter};
use vpp_core::{
    AggregatorId, Energy, NodeId, Pile, PileKind, Power, Session, Station, StationId, StationKind,
    Timestamp,
};

use super::Garage;

/// How often the controller looks before what it says holds for a period.
const LOOKS: i32 = 3;

/// A vehicle plugged in, as a policy sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vehicle {
    pub(super) pile: usize,
    pub(super) arrival: usize,
    /// Periods until it leaves.
    pub(super) stays: usize,
    /// What it still wants, kWh.
    pub(super) wants_kwh: f64,
    /// What it drew in the period before, kW.
    pub(super) drew_kw: f64,
}

/// How the limit is shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    /// Everybody charges at full power, whatever the limit.
    Uncontrolled,
    /// Everybody gets a little, again and again, until there is no more.
    RoundRobin,
    /// Who came first gets all that it can take, and so on.
    FirstCome,
    /// Who leaves first.
    EarliestDeadline,
    /// Who can wait least.
    LeastLaxity,
    /// Ours.
    Window,
}

impl Policy {
    pub(super) const ALL: [Policy; 6] = [
        Policy::Uncontrolled,
        Policy::RoundRobin,
        Policy::FirstCome,
        Policy::EarliestDeadline,
        Policy::LeastLaxity,
        Policy::Window,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Policy::Uncontrolled => "uncontrolled",
            Policy::RoundRobin => "round robin",
            Policy::FirstCome => "first come, first served",
            Policy::EarliestDeadline => "earliest deadline first",
            Policy::LeastLaxity => "least laxity first",
            Policy::Window => "window (vpp)",
        }
    }
}

/// A policy at work.
pub(super) struct Controller {
    policy: Policy,
    splitter: Splitter,
    station: Station,
    told: Vec<PileSetpoint>,
}

impl Controller {
    pub(super) fn new(policy: Policy, garage: &Garage) -> Controller {
        Controller {
            policy,
            splitter: Splitter::new(),
            station: station(garage),
            told: Vec::new(),
        }
    }

    /// What each vehicle shall draw in a period, kW, in the order of `vehicles`.
    pub(super) fn share(
        &mut self,
        garage: &Garage,
        period: usize,
        limit_kw: f64,
        vehicles: &[Vehicle],
    ) -> Vec<f64> {
        let most = |vehicle: &Vehicle| garage.most_kw(vehicle.wants_kwh);
        match self.policy {
            Policy::Uncontrolled => vehicles.iter().map(most).collect(),
            Policy::RoundRobin => round_robin(garage, limit_kw, vehicles),
            Policy::FirstCome => sorted(garage, limit_kw, vehicles, |v| v.arrival as f64),
            Policy::EarliestDeadline => sorted(garage, limit_kw, vehicles, |v| v.stays as f64),
            Policy::LeastLaxity => sorted(garage, limit_kw, vehicles, |v| {
                v.stays as f64 - v.wants_kwh / garage.pile_kw() / garage.period_h()
            }),
            Policy::Window => self.window(garage, period, limit_kw, vehicles),
        }
    }

    fn window(
        &mut self,
        garage: &Garage,
        period: usize,
        limit_kw: f64,
        vehicles: &[Vehicle],
    ) -> Vec<f64> {
        let period_ms = garage.period_min as i64 * 60_000;
        let at = |period: usize| instant(period as i64 * period_ms);
        let now = at(period);
        let mut readings: Vec<PileReading> = (vehicles.iter())
            .map(|vehicle| PileReading {
                pile: u32::try_from(vehicle.pile).unwrap_or(u32::MAX),
                active_power: Power::round_kilowatts(vehicle.drew_kw),
                min_charge: Power::floor_kilowatts(garage.least_kw()),
                session: Session {
                    departure: at(period + vehicle.stays),
                    energy_needed: energy(vehicle.wants_kwh),
                    energy_room: energy(vehicle.wants_kwh),
                    energy_available: Energy::ZERO,
                    max_charge: -Power::floor_kilowatts(-garage.most_kw(vehicle.wants_kwh)),
                    max_discharge: Power::ZERO,
                },
                vehicle: None,
                battery: None,
            })
            .collect();
        // The controller looks every few seconds, and the piles follow; what they are told in the end holds for the period.
        for look in 0..LOOKS {
            let now = now + TimeDelta::seconds(10) * look;
            let limit = Power::floor_kilowatts(limit_kw);
            (self.splitter).split(&self.station, limit, &readings, now, &mut self.told);
            for (reading, told) in readings.iter_mut().zip(&self.told) {
                reading.active_power = told.setpoint.min(reading.session.max_charge);
            }
        }
        self.told
            .iter()
            .map(|told| told.setpoint.as_kilowatts())
            .collect()
    }
}

fn instant(ms: i64) -> Timestamp {
    DateTime::from_timestamp_millis(1_800_000_000_000 + ms).unwrap_or_default()
}

fn energy(kwh: f64) -> Energy {
    Energy::floor_kilowatt_hours(kwh)
}

fn station(garage: &Garage) -> Station {
    let limit = Power::floor_kilowatts(1e5);
    Station {
        id: StationId::new("garage").unwrap_or_else(|invalid| unreachable!("{invalid}")),
        aggregator: AggregatorId::new("a").unwrap_or_else(|invalid| unreachable!("{invalid}")),
        node: NodeId::new("n").unwrap_or_else(|invalid| unreachable!("{invalid}")),
        kind: StationKind::Charging,
        piles: vec![Pile {
            kind: PileKind::Ac,
            count: 100,
            rated_power: Power::floor_kilowatts(garage.pile_kw()),
            discharge_power: Power::ZERO,
        }],
        import_limit: limit,
        export_limit: Power::ZERO,
        ramp_per_second: limit,
        default_setpoint: Power::ZERO,
        charge_efficiency: 1.0,
        discharge_efficiency: 1.0,
        regulates: false,
    }
}

/// In the order of `key`, each gets all that it can take of what is left, or nothing where that is less than its least.
fn sorted(
    garage: &Garage,
    limit_kw: f64,
    vehicles: &[Vehicle],
    key: impl Fn(&Vehicle) -> f64,
) -> Vec<f64> {
    let mut order: Vec<usize> = (0..vehicles.len()).collect();
    order.sort_by(|a, b| key(&vehicles[*a]).total_cmp(&key(&vehicles[*b])));
    let (mut shares, mut left) = (vec![0.0; vehicles.len()], limit_kw);
    for at in order {
        let most = garage.most_kw(vehicles[at].wants_kwh);
        let given = most.min(left);
        if given >= garage.least_kw().min(most) {
            shares[at] = given;
            left -= given;
        }
    }
    shares
}

/// An ampere each in turn, until nobody can take more or nothing is left. Who cannot have its least gets nothing.
fn round_robin(garage: &Garage, limit_kw: f64, vehicles: &[Vehicle]) -> Vec<f64> {
    let step = garage.volts / 1e3;
    let mut shares = vec![0.0; vehicles.len()];
    let mut left = limit_kw;
    let mut queue: std::collections::VecDeque<usize> = (0..vehicles.len()).collect();
    while let Some(at) = queue.pop_front() {
        let most = garage.most_kw(vehicles[at].wants_kwh);
        let first = if shares[at] > 0.0 {
            step
        } else {
            garage.least_kw().max(step)
        };
        let given = first.min(most - shares[at]);
        if given > 1e-12 && given <= left + 1e-12 {
            shares[at] += given;
            left -= given;
            queue.push_back(at);
        }
    }
    shares
}
