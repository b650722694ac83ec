//! What a plan looks at: intervals, prices, limits and vehicles to come.

use vpp_core::{Energy, Flexibility, Power, Station};
use vpp_optimizer::{Node, Resource};

use super::garage::{Case, Garage, Limits};
use super::policies::Vehicle;
use super::sessions::Session;

/// How far ahead, minutes.
pub(super) const HORIZON_MIN: usize = 1_440;
pub(super) const QUARTER_MIN: usize = 15;
/// CNY/kWh by which energy counts as dearer for each hour that it comes later: at one price, soon rather than late.
const PATIENCE: f64 = 0.001;

/// A vehicle that is expected.
pub(super) struct Coming {
    pub(super) arrival: usize,
    pub(super) departure: usize,
    pub(super) wants_kwh: f64,
}

pub(super) fn timetable(case: &Case, period: usize, end: usize) -> Vec<Coming> {
    let soon = |session: &&Session| period < session.arrival && session.arrival < end;
    (case.sessions.iter().filter(soon))
        .map(|session| Coming {
            arrival: session.arrival,
            departure: session.departure,
            wants_kwh: session.kwh,
        })
        .collect()
}

/// Each may charge from when it comes until it leaves.
pub(super) fn to_come(
    template: &Resource,
    garage: &Garage,
    expected: &[Coming],
    cuts: &[usize],
    hours: &[f64],
) -> Option<Resource> {
    if expected.is_empty() {
        return None;
    }
    let charge_kw = garage.pile_kw() * garage.efficiency;
    let between = |from: usize, to: usize| to.saturating_sub(from) as f64 * garage.period_h();
    let mut resource = template.clone();
    for (t, cut) in cuts.windows(2).enumerate() {
        let (mut charge, mut lower, mut upper) = (0.0, 0.0, 0.0);
        for coming in expected {
            let (arrival, departure) = (coming.arrival, coming.departure);
            charge +=
                garage.pile_kw() * between(cut[0].max(arrival), cut[1].min(departure)) / hours[t];
            let wants = coming
                .wants_kwh
                .min(charge_kw * between(arrival, departure));
            lower += (wants - charge_kw * between(cut[1].max(arrival), departure)).max(0.0);
            upper += wants.min(charge_kw * between(arrival, cut[1].min(departure)));
        }
        resource.charge_max_kw[t] = charge;
        resource.power_max_kw[t] = charge;
        resource.energy_min_kwh[t] = f64::min(lower, upper);
        resource.energy_max_kwh[t] = upper;
    }
    Some(resource)
}

/// Periods at which intervals begin and end: quarters of an hour. Longer ones would hide which part of them a vehicle is there for:
/// hours from the seventh interval on cost the depot half a hundredth of its energy.
pub(super) fn cuts(garage: &Garage, period: usize) -> Vec<usize> {
    let step = (QUARTER_MIN / garage.period_min).max(1);
    let end = period + HORIZON_MIN / garage.period_min;
    let mut cuts = vec![period];
    let mut at = period;
    while at < end {
        at = (at / step + 1) * step;
        cuts.push(at);
    }
    cuts
}

pub(super) fn resource(case: &Case, station: &Station, cuts: &[usize]) -> Resource {
    let count = cuts.len() - 1;
    let price = |prices: &[f64]| -> Vec<f64> {
        let last = prices.len() - 1;
        let mean = |cut: &[usize]| {
            let of = |at: usize| prices[at.min(last)];
            (cut[0]..cut[1]).map(of).sum::<f64>() / (cut[1] - cut[0]) as f64
        };
        let later = |at: usize| (at - cuts[0]) as f64 * case.garage.period_h() * PATIENCE;
        (cuts.windows(2))
            .map(|cut| mean(cut) + later(cut[0]))
            .collect()
    };
    let energy_price = price(&case.prices.drawn);
    let cheapest = energy_price.iter().copied().fold(f64::INFINITY, f64::min);
    Resource {
        node: Some(1),
        charge_max_kw: vec![0.0; count],
        discharge_max_kw: vec![0.0; count],
        power_min_kw: vec![0.0; count],
        power_max_kw: vec![0.0; count],
        energy_min_kwh: vec![0.0; count],
        energy_max_kwh: vec![0.0; count],
        charge_efficiency: station.charge_efficiency,
        discharge_efficiency: station.discharge_efficiency,
        initial_power_kw: 0.0,
        ramp_kw_per_h: f64::INFINITY,
        throughput_max_kwh: f64::INFINITY,
        feed_in_price: price(&case.prices.fed_in),
        wear: 0.0,
        // What is not charged today is not had for less tomorrow; yet nobody is to be charged with more than it wants.
        terminal_value: 0.9 * cheapest / station.charge_efficiency,
        energy_price,
        regulates: false,
    }
}

pub(super) fn here(template: &Resource, flexibility: &Flexibility) -> Resource {
    let kilowatts =
        |powers: &[Power]| -> Vec<f64> { powers.iter().map(|p| p.as_kilowatts()).collect() };
    let kwh = |energies: &[Energy]| -> Vec<f64> {
        energies.iter().map(|e| e.as_kilowatt_hours()).collect()
    };
    let charge_max_kw = kilowatts(&flexibility.max_charge);
    let discharge_max_kw = kilowatts(&flexibility.max_discharge);
    Resource {
        power_min_kw: discharge_max_kw.iter().map(|power| -power).collect(),
        power_max_kw: charge_max_kw.clone(),
        charge_max_kw,
        discharge_max_kw,
        energy_min_kwh: kwh(&flexibility.envelope.lower),
        energy_max_kwh: kwh(&flexibility.envelope.upper),
        ..template.clone()
    }
}

/// One vehicle by itself.
pub(super) fn of_vehicle(
    template: &Resource,
    garage: &Garage,
    vehicle: &Vehicle,
    cuts: &[usize],
) -> Resource {
    let mut resource = template.clone();
    let departure = cuts[0] + vehicle.stays;
    let most = garage.pile_kw() * garage.efficiency * garage.period_h() * vehicle.stays as f64;
    let wants = vehicle.left_kwh.min(most);
    for (t, cut) in cuts.windows(2).enumerate() {
        let part = here_for(cut, departure);
        resource.charge_max_kw[t] = garage.pile_kw() * part;
        resource.discharge_max_kw[t] = vehicle.discharge_kw * part;
        resource.power_max_kw[t] = resource.charge_max_kw[t];
        resource.power_min_kw[t] = -resource.discharge_max_kw[t];
        resource.energy_min_kwh[t] = match departure <= cut[1] {
            true => wants,
            false => -vehicle.available_kwh.max(0.0),
        };
        resource.energy_max_kwh[t] = vehicle.wants_kwh + vehicle.spare_kwh.max(0.0);
    }
    resource
}

/// For which share of an interval a vehicle that is there now is still there.
pub(super) fn here_for(cut: &[usize], departure: usize) -> f64 {
    departure.clamp(cut[0], cut[1]).saturating_sub(cut[0]) as f64 / (cut[1] - cut[0]) as f64
}

/// The feeder with its houses, and the garage's transformer with its sun: as they are now, and later as they were the day
/// before.
pub(super) fn nodes(
    garage: &Garage,
    limits: Limits<'_>,
    period: usize,
    cuts: &[usize],
) -> Vec<Node> {
    let count = cuts.len() - 1;
    let day = HORIZON_MIN / garage.period_min;
    let node = |parent, import: f64, export: f64, base_kw| Node {
        parent,
        import_limit_kw: vec![import; count],
        export_limit_kw: vec![export; count],
        base_kw,
    };
    let kw = limits.transformer_kw;
    let Some(around) = limits.surroundings else {
        let endless = f64::INFINITY;
        return vec![
            node(None, endless, endless, vec![0.0; count]),
            node(Some(0), kw, 0.0, vec![0.0; count]),
        ];
    };
    let known = |at: usize| {
        around.at(
            if at <= period {
                at
            } else {
                at.saturating_sub(day).min(period)
            },
            kw,
        )
    };
    let mean = |cut: &[usize], of: fn((f64, f64)) -> f64| {
        // This moment's for the first interval.
        let end = if cut[0] == period { cut[0] + 1 } else { cut[1] };
        (cut[0]..end).map(|at| of(known(at))).sum::<f64>() / (end - cut[0]) as f64
    };
    let series = |of: fn((f64, f64)) -> f64| -> Vec<f64> {
        cuts.windows(2).map(|cut| mean(cut, of)).collect()
    };
    let feeder = around.feeder(kw);
    vec![
        node(
            None,
            feeder.draw_kw,
            feeder.feed_in_kw,
            series(|(_, houses)| houses),
        ),
        node(Some(0), kw, around.export_kw(kw), series(|(sun, _)| -sun)),
    ]
}
