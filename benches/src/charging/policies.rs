//! Ways to share a garage's room out over its vehicles.

use super::garage::{Case, Garage, Limits, Room};
use super::planned::{Planner, Scope};
use super::window::Window;

/// Somebody who feeds in by a rule of thumb keeps so much time to spare, h.
const RESERVE_H: f64 = 1.0;

/// A vehicle plugged in, as a policy sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vehicle {
    pub(super) pile: usize,
    pub(super) arrival: usize,
    /// Periods until it leaves.
    pub(super) stays: usize,
    /// What its battery still wants, kWh.
    pub(super) wants_kwh: f64,
    /// The same, below zero where it holds more than it wants.
    pub(super) left_kwh: f64,
    /// What would fit besides, kWh.
    pub(super) spare_kwh: f64,
    /// What may be taken out of it, kWh, and how fast it is fed in, kW.
    pub(super) available_kwh: f64,
    pub(super) discharge_kw: f64,
    /// What it drew in the period before, kW.
    pub(super) drew_kw: f64,
}

impl Vehicle {
    /// Periods that it can wait before it must charge at full power.
    fn laxity(&self, garage: &Garage) -> f64 {
        self.stays as f64
            - self.wants_kwh / garage.efficiency / garage.pile_kw() / garage.period_h()
    }
}

/// How the room is shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    /// Everybody charges at full power, whatever the limit.
    Uncontrolled,
    /// Everybody gets a little, again and again, until there is no more.
    RoundRobin,
    /// As many as there is room for charge at full power, for one period; then it is the next ones' turn.
    Rotation,
    /// Who came first gets all that it can take, and so on.
    FirstCome,
    /// Who leaves first.
    EarliestDeadline,
    /// Who can wait least.
    LeastLaxity,
    /// Ours: the limit split over the piles.
    Window,
    /// Ours: a plan for the garage, split over the piles.
    Plan,
    /// Everybody feeds in when that pays most, as long as it can still be full in time, and else charges; whatever the limit.
    UncontrolledV2g,
    /// Those with time to spare feed in when that pays most, as far as the limits allow; else as least laxity first.
    LeastLaxityV2g,
    /// Ours: a plan for the garage that may feed in.
    PlanV2g,
    /// Ours: a plan for each vehicle that may feed in.
    VehiclesV2g,
}

impl Policy {
    /// Those that only charge.
    pub(super) const CHARGING: [Policy; 8] = [
        Policy::Uncontrolled,
        Policy::RoundRobin,
        Policy::Rotation,
        Policy::FirstCome,
        Policy::EarliestDeadline,
        Policy::LeastLaxity,
        Policy::Window,
        Policy::Plan,
    ];
    pub(super) const V2G: [Policy; 4] = [
        Policy::UncontrolledV2g,
        Policy::LeastLaxityV2g,
        Policy::PlanV2g,
        Policy::VehiclesV2g,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Policy::Uncontrolled => "uncontrolled",
            Policy::RoundRobin => "round robin",
            Policy::Rotation => "rotation",
            Policy::FirstCome => "first come, first served",
            Policy::EarliestDeadline => "earliest deadline first",
            Policy::LeastLaxity => "least laxity first",
            Policy::Window => "window (vpp)",
            Policy::Plan => "plan (vpp)",
            Policy::UncontrolledV2g => "uncontrolled, V2G",
            Policy::LeastLaxityV2g => "least laxity first, V2G",
            Policy::PlanV2g => "plan, V2G (vpp)",
            Policy::VehiclesV2g => "plan of vehicles, V2G (vpp)",
        }
    }

    /// Whether it feeds in, and charges more than is wanted to do so.
    pub(super) fn feeds_in(self) -> bool {
        Policy::V2G.contains(&self)
    }

    /// Whether it must keep every limit at every moment.
    pub(super) fn is_ours(self) -> bool {
        use Policy::{Plan, PlanV2g, VehiclesV2g, Window};
        matches!(self, Window | Plan | PlanV2g | VehiclesV2g)
    }
}

/// A policy at work.
pub(super) struct Controller<'a> {
    policy: Policy,
    case: &'a Case,
    limits: Limits<'a>,
    window: Window,
    planner: Planner,
    /// Piles, the one whose turn it is first.
    turns: Vec<usize>,
    /// When feeding in pays most.
    dearest: f64,
}

impl<'a> Controller<'a> {
    pub(super) fn new(policy: Policy, case: &'a Case, limits: Limits<'a>) -> Controller<'a> {
        let fed_in = case.prices.fed_in.iter().copied();
        let mut prices: Vec<f64> = fed_in.collect();
        prices.sort_by(f64::total_cmp);
        prices.dedup();
        Controller {
            policy,
            case,
            limits,
            window: Window::new(&case.garage),
            planner: Planner::new(match policy {
                Policy::VehiclesV2g => Scope::Vehicles,
                _ => Scope::Station {
                    may_feed_in: policy == Policy::PlanV2g,
                },
            }),
            turns: Vec::new(),
            // The peak and what is dearer.
            dearest: prices.iter().rev().nth(1).copied().unwrap_or(f64::INFINITY),
        }
    }

    /// What each vehicle shall draw in a period, kW, in the order of `vehicles`; negative feeds in.
    pub(super) fn share(
        &mut self,
        period: usize,
        vehicles: &[Vehicle],
    ) -> anyhow::Result<Vec<f64>> {
        let garage = &self.case.garage;
        let room = self.limits.room(period);
        let limit_kw = room.draw_kw.max(0.0);
        let pays = self.case.prices.fed_in[period] >= self.dearest;
        let most = |vehicle: &Vehicle| garage.most_kw(vehicle.wants_kwh);
        Ok(match self.policy {
            Policy::Uncontrolled => vehicles.iter().map(most).collect(),
            Policy::RoundRobin => round_robin(garage, limit_kw, vehicles),
            Policy::Rotation => rotation(garage, limit_kw, vehicles, &mut self.turns),
            Policy::FirstCome => sorted(garage, limit_kw, vehicles, |v| v.arrival as f64),
            Policy::EarliestDeadline => sorted(garage, limit_kw, vehicles, |v| v.stays as f64),
            Policy::LeastLaxity => sorted(garage, limit_kw, vehicles, |v| v.laxity(garage)),
            Policy::UncontrolledV2g if pays => (vehicles.iter())
                .map(|vehicle| match spares(garage, vehicle) {
                    0.0 => most(vehicle),
                    given => -given,
                })
                .collect(),
            Policy::UncontrolledV2g => vehicles.iter().map(most).collect(),
            Policy::LeastLaxityV2g if pays => feed_in(garage, room, vehicles),
            Policy::LeastLaxityV2g => sorted(garage, limit_kw, vehicles, |v| v.laxity(garage)),
            Policy::Window => (self.window).split(garage, period, limit_kw, vehicles, false),
            Policy::Plan | Policy::PlanV2g => {
                let may_feed_in = self.policy == Policy::PlanV2g;
                let planned =
                    (self.planner).setpoints_kw(self.case, self.limits, period, vehicles)?;
                let setpoint = planned[0].clamp(-room.feed_in_kw.max(0.0), limit_kw);
                (self.window).split(garage, period, setpoint, vehicles, may_feed_in)
            }
            Policy::VehiclesV2g => {
                let planned =
                    (self.planner).setpoints_kw(self.case, self.limits, period, vehicles)?;
                guarded(garage, room, vehicles, planned)
            }
        })
    }
}

/// Plans of vehicles, as far as vehicles can still follow them, piles charge so little, and limits hold in this very period.
fn guarded(garage: &Garage, room: Room, vehicles: &[Vehicle], planned: &[f64]) -> Vec<f64> {
    let mut shares: Vec<f64> = (vehicles.iter().zip(planned))
        .map(|(vehicle, planned)| {
            let most = garage.most_kw(vehicle.wants_kwh + vehicle.spare_kwh);
            let least = garage.least_kw().min(most);
            let fed_in = garage.most_fed_in_kw(vehicle.discharge_kw, vehicle.available_kwh);
            match planned.min(most).max(-fed_in) {
                // Now and then its least instead; at once where there is little time left.
                little if little > 0.0 && little < least => {
                    let waits = vehicle.laxity(garage) * garage.period_h() >= RESERVE_H;
                    if waits && little < 0.5 * least {
                        0.0
                    } else {
                        least
                    }
                }
                share => share,
            }
        })
        .collect();
    let scale = |shares: &mut Vec<f64>, sign: f64, excess: f64| {
        let all: f64 = shares.iter().map(|share| (sign * share).max(0.0)).sum();
        let kept = 1.0 - (excess / all).clamp(0.0, 1.0);
        for share in shares.iter_mut().filter(|share| sign * **share > 0.0) {
            *share *= kept;
            if *share > 0.0 && *share < garage.least_kw() {
                *share = 0.0;
            }
        }
    };
    let total: f64 = shares.iter().sum();
    if total > room.draw_kw {
        scale(&mut shares, 1.0, total - room.draw_kw);
    }
    let total: f64 = shares.iter().sum();
    if -total > room.feed_in_kw {
        scale(&mut shares, -1.0, -total - room.feed_in_kw);
    }
    shares
}

/// What a vehicle feeds in that can still be full in time, kW.
fn spares(garage: &Garage, vehicle: &Vehicle) -> f64 {
    if vehicle.laxity(garage) * garage.period_h() < RESERVE_H {
        return 0.0;
    }
    garage.most_fed_in_kw(vehicle.discharge_kw, vehicle.available_kwh)
}

/// Those with the most time to spare feed in, as far as the room goes; those without charge.
fn feed_in(garage: &Garage, room: Room, vehicles: &[Vehicle]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..vehicles.len()).collect();
    order.sort_by(|a, b| {
        let laxity = |at: &usize| vehicles[*at].laxity(garage);
        laxity(b).total_cmp(&laxity(a))
    });
    let urgent = |vehicle: &Vehicle| vehicle.laxity(garage) * garage.period_h() < RESERVE_H;
    let must: Vec<Vehicle> = vehicles.iter().copied().filter(urgent).collect();
    let charged = sorted(garage, room.draw_kw.max(0.0), &must, |v| v.laxity(garage));
    let mut left = room.feed_in_kw + charged.iter().sum::<f64>();
    let mut charged = charged.into_iter();
    let mut shares: Vec<f64> = (vehicles.iter())
        .map(|vehicle| {
            if urgent(vehicle) {
                charged.next().unwrap_or(0.0)
            } else {
                0.0
            }
        })
        .collect();
    for at in order {
        if urgent(&vehicles[at]) {
            continue;
        }
        let given = spares(garage, &vehicles[at]).min(left.max(0.0));
        shares[at] = -given;
        left -= given;
    }
    shares
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

/// An ampere each in turn, who came first first, until nobody can take another or nothing is left. Who cannot have its least
/// gets nothing.
fn round_robin(garage: &Garage, limit_kw: f64, vehicles: &[Vehicle]) -> Vec<f64> {
    let step = garage.volts / 1e3;
    let mut order: Vec<usize> = (0..vehicles.len()).collect();
    order.sort_by_key(|at| vehicles[*at].arrival);
    let mut shares = vec![0.0; vehicles.len()];
    let mut left = limit_kw;
    let mut queue: std::collections::VecDeque<usize> = order.into();
    while let Some(at) = queue.pop_front() {
        let most = garage.most_kw(vehicles[at].wants_kwh);
        let given = if shares[at] > 0.0 {
            step
        } else {
            garage.least_kw().max(step)
        };
        if given <= most - shares[at] + 1e-9 && given <= left + 1e-9 {
            shares[at] += given;
            left -= given;
            queue.push_back(at);
        }
    }
    shares
}

/// As the package ev2gym does it: who comes is put first, whoever had its turn last; the last one gets what is left.
fn rotation(
    garage: &Garage,
    limit_kw: f64,
    vehicles: &[Vehicle],
    turns: &mut Vec<usize>,
) -> Vec<f64> {
    let wants = |vehicle: &Vehicle| vehicle.wants_kwh > 1e-9;
    turns.retain(|pile| (vehicles.iter()).any(|vehicle| vehicle.pile == *pile && wants(vehicle)));
    for vehicle in vehicles.iter().filter(|vehicle| wants(vehicle)) {
        if !turns.contains(&vehicle.pile) {
            turns.insert(0, vehicle.pile);
        }
    }
    let count = limit_kw / garage.pile_kw();
    let turn = (count.ceil() as usize).min(turns.len());
    let mut shares = vec![0.0; vehicles.len()];
    for (place, pile) in turns.iter().take(turn).enumerate() {
        let part = (count - place as f64).min(1.0) * garage.pile_kw();
        if let Some(at) = vehicles.iter().position(|vehicle| vehicle.pile == *pile) {
            shares[at] = if part < garage.least_kw() { 0.0 } else { part };
        }
    }
    turns.rotate_left(turn);
    shares
}
