//! Checks of the stations, row by row.

use std::collections::BTreeSet;

use vpp_core::units::MAX_KILOWATTS;

use super::Findings;
use crate::format::{Exact, Scenario, StationRow};

/// The most piles that one station may have: far above the largest known.
pub(super) const MAX_PILES: u64 = 10_000;

/// What the rows may refer to.
struct Known<'a> {
    aggregators: BTreeSet<&'a str>,
    nodes: BTreeSet<&'a str>,
    profiles: BTreeSet<&'a str>,
    swaps: BTreeSet<&'a str>,
}

impl Scenario {
    pub(super) fn check_fleet(&self, findings: &mut Findings) {
        let known = Known {
            aggregators: self.aggregators.iter().map(|row| row.id.as_str()).collect(),
            nodes: self.nodes.iter().map(|row| row.id.as_str()).collect(),
            profiles: self.sessions.keys().map(String::as_str).collect(),
            swaps: self.swaps.keys().map(String::as_str).collect(),
        };
        let profile = self.fleet.profile.as_str();
        if !known.profiles.contains(profile) {
            let profiles = known.profiles.iter().copied();
            findings.known("fleet.profile", "session profile", profile, profiles);
        }
        if self.fleet.stations.is_empty() {
            findings.add("fleet.stations", "no station; at least 1 is needed");
        }
        let names = self.fleet.stations.iter().enumerate();
        findings.unique(
            "station",
            names.map(|(i, row)| (format!("fleet.stations[{i}].id"), row.id.as_str())),
        );
        for (i, row) in self.fleet.stations.iter().enumerate() {
            check_references(findings, i, row, &known);
            check_figures(findings, i, row);
            if self.fleet.recorded.is_some() && row.slots > 0 {
                let message = "slots where vehicles are recorded; make it a station with DC piles";
                findings.add(format!("fleet.stations[{i}].slots"), message);
            }
        }
    }
}

fn check_references(findings: &mut Findings, i: usize, row: &StationRow, known: &Known<'_>) {
    let path = |key: &str| format!("fleet.stations[{i}].{key}");
    let (aggregator, node) = (row.aggregator.as_str(), row.node.as_str());
    if !known.aggregators.contains(aggregator) {
        let names = known.aggregators.iter().copied();
        findings.known(path("aggregator"), "aggregator", aggregator, names);
    }
    if !known.nodes.contains(node) {
        findings.known(path("node"), "node", node, known.nodes.iter().copied());
    }
    let (what, profiles) = match row.slots {
        0 => ("session profile", &known.profiles),
        _ => ("swap profile", &known.swaps),
    };
    match row.profile.as_deref() {
        Some(profile) if !profiles.contains(profile) => {
            findings.known(path("profile"), what, profile, profiles.iter().copied());
        }
        None if row.slots > 0 => {
            findings.add(path("profile"), "a station with slots needs a swap profile");
        }
        _ => {}
    }
}

fn check_figures(findings: &mut Findings, i: usize, row: &StationRow) {
    let path = |key: &str| format!("fleet.stations[{i}].{key}");
    let mut piles = u64::from(row.ac) + u64::from(row.dc);
    if let Some(exact) = &row.exact {
        check_exact(findings, &path("exact"), exact);
        if piles + u64::from(row.slots) > 0 || row.v2g_ac.is_some() || row.v2g_dc.is_some() {
            let message = "stands in place of ac, dc, slots, v2g_ac and v2g_dc";
            findings.add(path("exact"), message);
        }
        piles += exact.pile_count();
    }
    if row.slots > 0 && piles > 0 {
        let message = "piles and slots at one station; make it two";
        findings.add(format!("fleet.stations[{i}]"), message);
    }
    let piles = piles + u64::from(row.slots);
    if piles == 0 || piles > MAX_PILES {
        let message = format!("{piles} piles, outside 1 to {MAX_PILES}");
        findings.add(format!("fleet.stations[{i}]"), message);
    }
    findings.within(path("place[0]"), row.place[0], -180.0, 180.0);
    findings.within(path("place[1]"), row.place[1], -90.0, 90.0);
    for (key, exporting, all) in [
        ("v2g_ac", row.v2g_ac, row.ac),
        ("v2g_dc", row.v2g_dc, row.dc),
    ] {
        if let Some(exporting) = exporting.filter(|count| *count > all) {
            let message = format!("{exporting} exporting piles of {all}");
            findings.add(path(key), message);
        }
    }
    if let Some(limit) = row.import_limit_kw {
        // Below a kilowatt no vehicle charges.
        findings.within(path("import_limit_kw"), limit, 1.0, 1e6);
    }
    if let Some(default) = row.default_setpoint_kw {
        let most = row.import_limit_kw.unwrap_or(1e6);
        findings.within(path("default_setpoint_kw"), default, 0.0, most);
    }
}

fn check_exact(findings: &mut Findings, at: &str, exact: &Exact) {
    let path = |key: &str| format!("{at}.{key}");
    for (i, group) in exact.piles.iter().enumerate() {
        let path = |key: &str| format!("{at}.piles[{i}].{key}");
        if group.count == 0 {
            findings.add(path("count"), "0 is not positive");
        }
        findings.positive(path("rated_power_kw"), group.rated_power_kw, 1e4);
        let discharge_kw = group.discharge_power_kw;
        findings.within(path("discharge_power_kw"), discharge_kw, 0.0, 1e4);
    }
    findings.power(path("export_limit_kw"), exact.export_limit_kw);
    let ramp_kw = exact.ramp_kw_per_second;
    // Below a watt a second it could not move at all.
    findings.within(path("ramp_kw_per_second"), ramp_kw, 1e-3, MAX_KILOWATTS);
    for (key, share) in [
        ("charge_efficiency", exact.charge_efficiency),
        ("discharge_efficiency", exact.discharge_efficiency),
    ] {
        findings.positive(path(key), share, 1.0);
    }
}
