//! What is promised over all stations: events, regulation, peaks.

use vpp_optimizer::{Requirement, Resource};

use super::AGGREGATORS;
use super::network::Grid;
use super::timing::Timing;

/// Name, hours of the day, and the share of the undisturbed draw that is promised.
const EVENTS: [(&str, f64, f64, f64); 2] = [
    ("afternoon", 14.5, 17.0, 0.8),
    ("evening", 19.0, 21.0, 0.65),
];
/// Regulation in each direction, as a share of what the members can have connected at the worst time.
const REGULATION_SHARE: f64 = 0.25;
const SUSTAIN_H: f64 = 0.25;
/// CNY for each kW of the horizon's peak.
const PEAK_PRICE: f64 = 1.2;

pub(super) fn draw(resources: &[Resource], grid: &Grid, timing: &Timing) -> Vec<Requirement> {
    let mut requirements = Vec::new();
    let all: Vec<usize> = (0..resources.len()).collect();
    for (name, from_h, to_h, share) in EVENTS {
        let active: Vec<bool> = (0..timing.horizon())
            .map(|t| timing.within(t, from_h, to_h))
            .collect();
        // What all promise together is more than the sum of the parts.
        requirements.push(event(
            name.into(),
            all.clone(),
            resources,
            timing,
            &active,
            share,
        ));
        for aggregator in 0..AGGREGATORS {
            // Not by `i % 5`: that would follow the feeders' order.
            let members = all
                .iter()
                .copied()
                .filter(|i| (i * 7 / 3) % AGGREGATORS == aggregator);
            let name = format!("{name}/aggregator {aggregator}");
            let part = share * (0.9 + 0.04 * aggregator as f64);
            requirements.push(event(
                name,
                members.collect(),
                resources,
                timing,
                &active,
                part,
            ));
        }
    }
    requirements.push(regulation(resources, timing.horizon()));
    let peaks = grid.shaved.iter();
    requirements.extend(peaks.map(|&(node, ceiling_kw)| peak(node, ceiling_kw, timing)));
    requirements
}

/// The draw of some stations when each charges as early as it can.
fn undisturbed_kw(members: &[usize], resources: &[Resource], timing: &Timing) -> Vec<f64> {
    let mut kw = vec![0.0; timing.horizon()];
    for &i in members {
        let mut before = 0.0;
        for (t, kw) in kw.iter_mut().enumerate() {
            let by_now = resources[i].energy_max_kwh[t];
            *kw +=
                (by_now - before).max(0.0) / (resources[i].charge_efficiency * timing.lengths_h[t]);
            before = by_now;
        }
    }
    kw
}

fn event(
    name: String,
    members: Vec<usize>,
    resources: &[Resource],
    timing: &Timing,
    active: &[bool],
    share: f64,
) -> Requirement {
    let baseline_kw = undisturbed_kw(&members, resources, timing);
    let promised = active.iter().zip(&baseline_kw);
    let promised = promised.map(|(on, kw)| if *on { share * kw } else { 0.0 });
    Requirement::DemandResponse {
        name,
        direction: vpp_optimizer::Direction::Shaving,
        members,
        commitment_kw: promised.collect(),
        baseline_kw,
    }
}

fn regulation(resources: &[Resource], horizon: usize) -> Requirement {
    let members: Vec<usize> = (0..resources.len())
        .filter(|&i| resources[i].regulates)
        .collect();
    let connected =
        |t: usize| -> f64 { members.iter().map(|&i| resources[i].charge_max_kw[t]).sum() };
    let least = (0..horizon).map(connected).fold(f64::INFINITY, f64::min);
    let award = REGULATION_SHARE * if least.is_finite() { least } else { 0.0 };
    Requirement::Regulation {
        name: "regulation".into(),
        members,
        up_kw: vec![award; horizon],
        down_kw: vec![award; horizon],
        sustain_h: SUSTAIN_H,
    }
}

/// A ceiling below the limit while the tariff is at its peak, and a price on the peak.
fn peak(node: usize, promised_kw: f64, timing: &Timing) -> Requirement {
    let at = |t: usize| {
        if timing.within(t, 14.0, 19.0) {
            promised_kw
        } else {
            f64::INFINITY
        }
    };
    Requirement::PeakShaving {
        name: format!("peak of node {node}"),
        node,
        ceiling_kw: (0..timing.horizon()).map(at).collect(),
        peak_price: PEAK_PRICE,
    }
}
