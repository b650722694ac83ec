//! What a scenario must hold as a whole. Every finding is collected; none stops the search.

mod calendar;
mod calls;
mod faults;
mod fleet;
mod generate;
mod tree;
mod warranty;

use vpp_core::AggregatorId;
use vpp_core::units::MAX_KILOWATTS;
use vpp_market_adapters::tariff::RulePack;

use crate::draw::Quantiles;
use crate::format::{Dispatch, FORMAT, Scenario, SessionProfile, SwapProfile};
use crate::generate::Generated;
use crate::problem::did_you_mean;

/// One thing that is wrong, by key; the place is found later.
pub(crate) struct Finding {
    pub(crate) path: String,
    pub(crate) message: String,
    pub(crate) hint: String,
}

/// Collects findings.
#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        self.add_hint(path, message, "");
    }

    fn add_hint(
        &mut self,
        path: impl Into<String>,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.0.push(Finding {
            path: path.into(),
            message: message.into(),
            hint: hint.into(),
        });
    }

    /// `value` must lie in `low..=high`.
    fn within(&mut self, path: impl Into<String>, value: f64, low: f64, high: f64) {
        if !(low..=high).contains(&value) {
            self.add(path, format!("{value} is outside {low} to {high}"));
        }
    }

    /// `value` must be above zero and at most `high`.
    fn positive(&mut self, path: impl Into<String>, value: f64, high: f64) {
        if !(value > 0.0 && value <= high) {
            self.add(path, format!("{value} is not above 0 and at most {high}"));
        }
    }

    /// A power that may be zero.
    fn power(&mut self, path: impl Into<String>, kilowatts: f64) {
        self.within(path, kilowatts, 0.0, MAX_KILOWATTS);
    }

    /// A name that must be one of the known ones.
    fn known<'a>(
        &mut self,
        path: impl Into<String>,
        what: &str,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) {
        let hint = did_you_mean(name, known);
        self.add_hint(path, format!("{what} {name} is unknown"), hint);
    }

    /// Names that come twice, each with the path of the later one.
    fn unique<'a>(&mut self, what: &str, names: impl Iterator<Item = (String, &'a str)>) {
        let mut seen = std::collections::BTreeMap::new();
        for (path, name) in names {
            if let Some(first) = seen.get(name) {
                self.add(path, format!("{what} {name} stands already at {first}"));
            } else {
                seen.insert(name, path);
            }
        }
    }
}

fn check_dispatch(findings: &mut Findings, dispatch: &Dispatch) {
    let path = |key: &str| format!("dispatch.{key}");
    let (cycle, step) = (dispatch.cycle_s, dispatch.step_s);
    findings.within(path("cycle_s"), f64::from(cycle), 1.0, 3_600.0);
    findings.within(path("step_s"), f64::from(step), 1.0, 900.0);
    if step > 0 && cycle % step != 0 {
        findings.add(
            path("step_s"),
            format!("{step} does not divide the cycle of {cycle}"),
        );
    }
    // A local midnight ends a step.
    if step > 0 && 3_600 % step != 0 {
        findings.add(path("step_s"), format!("{step} does not divide an hour"));
    }
    let count = dispatch.horizon_minutes.len();
    if !(1..=96).contains(&count) {
        findings.add(
            path("horizon_minutes"),
            format!("{count} intervals are outside 1 to 96"),
        );
    }
    for (at, minutes) in dispatch.horizon_minutes.iter().enumerate() {
        let path = format!("dispatch.horizon_minutes[{at}]");
        findings.within(path, f64::from(*minutes), 1.0, 1_440.0);
    }
}

impl Scenario {
    /// Everything that is wrong with the values, with what was made of rows of `fleet.generate`.
    pub(crate) fn check(&self, generated: &[Generated]) -> Vec<Finding> {
        let mut findings = self.check_all();
        self.at_their_rows(&mut findings, generated);
        findings
    }

    fn check_all(&self) -> Vec<Finding> {
        let mut findings = Findings::default();
        self.check_header(&mut findings);
        check_dispatch(&mut findings, &self.dispatch);
        self.check_calendar(&mut findings);
        self.check_assumptions(&mut findings);
        self.check_warranties(&mut findings);
        for (name, profile) in &self.sessions {
            check_profile(&mut findings, name, profile);
        }
        for (name, swaps) in &self.swaps {
            check_swaps(&mut findings, name, swaps);
        }
        if self.aggregators.is_empty() {
            findings.add("aggregator", "no aggregator; at least 1 is needed");
        }
        let names = self.aggregators.iter().enumerate();
        findings.unique(
            "aggregator",
            names.map(|(i, row)| (format!("aggregator[{i}].id"), row.id.as_str())),
        );
        self.check_tree(&mut findings);
        self.check_fleet(&mut findings);
        self.check_events(&mut findings);
        self.check_regulation(&mut findings);
        self.check_faults(&mut findings);
        if findings.0.is_empty() {
            // The sums need figures that are sound one by one.
            self.check_defaults(&mut findings);
        }
        findings.0
    }

    fn check_header(&self, findings: &mut Findings) {
        if self.format != FORMAT {
            let message = format!("format {} is not {FORMAT}", self.format);
            findings.add("format", message);
        }
        if AggregatorId::new(self.header.name.as_str()).is_err() {
            let message = format!("{:?} is no name", self.header.name);
            findings.add_hint(
                "scenario.name",
                message,
                "1 to 64 letters, digits, '-', '_', '.'",
            );
        }
        let minutes = f64::from(self.header.duration_minutes);
        findings.within("scenario.duration_minutes", minutes, 1.0, 527_040.0);
        let pack = self.tariff.rule_pack.as_str();
        match RulePack::by_name(pack) {
            None => findings.known("tariff.rule_pack", "rule pack", pack, RulePack::names()),
            Some(rules) => {
                // Figures follow each other without a gap: what holds at both ends holds between them.
                let last = self.end() - chrono::TimeDelta::milliseconds(1);
                for (key, at) in [("start", self.start()), ("duration_minutes", last)] {
                    if let Err(invalid) = rules.tariff().require_in_force(at) {
                        let path = format!("scenario.{key}");
                        findings.add(path, format!("{pack}: {invalid}"));
                        break;
                    }
                }
            }
        }
    }

    fn check_assumptions(&self, findings: &mut Findings) {
        let all = &self.assumptions;
        let path = |key: &str| format!("assumptions.{key}");
        for (key, share) in [
            ("v2g_share_ac", all.v2g_share_ac),
            ("v2g_share_dc", all.v2g_share_dc),
            ("v2g_consent_share", all.v2g_consent_share),
            ("v2g_floor", all.v2g_floor),
            ("default_setpoint_share", all.default_setpoint_share),
            ("stated_share", all.stated_share),
            ("disobeying_pile_share", all.disobeying_pile_share),
            ("refusing_station_share", all.refusing_station_share),
            ("unreachable_station_share", all.unreachable_station_share),
        ] {
            findings.within(path(key), share, 0.0, 1.0);
        }
        for (key, value, high) in [
            ("ac_power_kw", all.ac_power_kw, 1e4),
            ("charge_efficiency", all.charge_efficiency, 1.0),
            ("discharge_efficiency", all.discharge_efficiency, 1.0),
            ("connection_factor", all.connection_factor, 1.0),
            ("ramp_share_per_second", all.ramp_share_per_second, 10.0),
        ] {
            findings.positive(path(key), value, high);
        }
        findings.within(
            path("v2g_ac_discharge_kw"),
            all.v2g_ac_discharge_kw,
            0.0,
            1e4,
        );
        findings.within(
            path("v2g_dc_discharge_kw"),
            all.v2g_dc_discharge_kw,
            0.0,
            1e4,
        );
        check_quantiles(
            findings,
            &path("battery_capacity_kwh"),
            &all.battery_capacity_kwh,
            1e4,
        );
        self.check_dc_ratings(findings);
        let [shortest, longest] = all.response_delay_s;
        findings.within(path("response_delay_s[0]"), shortest, 0.0, 3600.0);
        findings.within(path("response_delay_s[1]"), longest, 0.0, 3600.0);
        if longest < shortest {
            let message = format!("the longest delay {longest} is below the shortest {shortest}");
            findings.add(path("response_delay_s[1]"), message);
        }
    }

    fn check_dc_ratings(&self, findings: &mut Findings) {
        let all = &self.assumptions;
        let (ratings, shares) = (&all.dc_powers_kw, &all.dc_shares);
        if ratings.is_empty() {
            findings.add(
                "assumptions.dc_powers_kw",
                "no rating; at least 1 is needed",
            );
        }
        for (i, &kilowatts) in ratings.iter().enumerate() {
            let path = format!("assumptions.dc_powers_kw[{i}]");
            findings.positive(path.as_str(), kilowatts, 1e4);
            if i > 0 && kilowatts <= ratings[i - 1] {
                let before = ratings[i - 1];
                findings.add(
                    path,
                    format!("{kilowatts} is not above the one before it, {before}"),
                );
            }
        }
        if shares.len() != ratings.len() {
            let message = format!("{} shares for {} ratings", shares.len(), ratings.len());
            findings.add("assumptions.dc_shares", message);
        }
        check_shares(findings, "assumptions.dc_shares", shares);
    }
}

fn check_profile(findings: &mut Findings, name: &str, profile: &SessionProfile) {
    let path = |key: &str| format!("sessions.{name}.{key}");
    let hours = profile.arrival_shape.len();
    if hours != 24 {
        findings.add(path("arrival_shape"), format!("{hours} values, not 24"));
    }
    check_shares(findings, &path("arrival_shape"), &profile.arrival_shape);
    if let Some(shape) = &profile.weekend_arrival_shape {
        if shape.len() != 24 {
            let message = format!("{} values, not 24", shape.len());
            findings.add(path("weekend_arrival_shape"), message);
        }
        check_shares(findings, &path("weekend_arrival_shape"), shape);
    }
    findings.within(path("weekend_factor"), profile.weekend_factor, 0.0, 100.0);
    let (ac, dc) = (
        profile.arrivals_per_ac_pile_day,
        profile.arrivals_per_dc_pile_day,
    );
    findings.within(path("arrivals_per_ac_pile_day"), ac, 0.0, 1000.0);
    findings.within(path("arrivals_per_dc_pile_day"), dc, 0.0, 1000.0);
    let dwell = profile.dc_dwell_minutes;
    findings.within(path("dc_dwell_minutes"), dwell, 0.0, 1440.0);
    if let Some(capacities) = &profile.battery_capacity_kwh {
        check_quantiles(findings, &path("battery_capacity_kwh"), capacities, 1e4);
    }
    check_quantiles(findings, &path("stay_h"), &profile.stay_h, 8_760.0);
    check_quantiles(findings, &path("energy_kwh"), &profile.energy_kwh, 1e4);
    check_quantiles(
        findings,
        &path("dc_energy_kwh"),
        &profile.dc_energy_kwh,
        1e4,
    );
}

fn check_swaps(findings: &mut Findings, name: &str, swaps: &SwapProfile) {
    let path = |key: &str| format!("swaps.{name}.{key}");
    // Of no swaps there is no shape.
    if swaps.swaps_per_slot_day > 0.0 || !swaps.swap_shape.is_empty() {
        if swaps.swap_shape.len() != 24 {
            let message = format!("{} values, not 24", swaps.swap_shape.len());
            findings.add(path("swap_shape"), message);
        }
        check_shares(findings, &path("swap_shape"), &swaps.swap_shape);
    }
    if let Some(hour) = swaps.ready_hour {
        findings.within(path("ready_hour"), f64::from(hour), 0.0, 23.0);
    }
    findings.within(
        path("swaps_per_slot_day"),
        swaps.swaps_per_slot_day,
        0.0,
        1000.0,
    );
    findings.positive(path("pack_kwh"), swaps.pack_kwh, 1e4);
    findings.positive(path("slot_power_kw"), swaps.slot_power_kw, 1e4);
    findings.within(path("slot_discharge_kw"), swaps.slot_discharge_kw, 0.0, 1e4);
    check_quantiles(findings, &path("arriving_soc"), &swaps.arriving_soc, 1.0);
    for (key, share) in [
        ("charged_soc", swaps.charged_soc),
        ("floor_soc", swaps.floor_soc),
        ("reserve_share", swaps.reserve_share),
    ] {
        findings.within(path(key), share, 0.0, 1.0);
    }
    findings.within(path("deviations"), swaps.deviations, 0.0, 10.0);
}

/// Shares: none negative, in sum 1 but for the rounding of the figures.
fn check_shares(findings: &mut Findings, path: &str, shares: &[f64]) {
    for (i, &share) in shares.iter().enumerate() {
        findings.within(format!("{path}[{i}]"), share, 0.0, 1.0);
    }
    let sum: f64 = shares.iter().sum();
    if (sum - 1.0).abs() > 1e-3 {
        findings.add(path, format!("the shares add up to {sum:.4}, not to 1"));
    }
}

fn check_quantiles(findings: &mut Findings, path: &str, quantiles: &Quantiles, high: f64) {
    if let Some((position, message)) = quantiles.defect() {
        findings.add(format!("{path}[{position}]"), message);
    } else if quantiles.at(1.0) > high {
        let message = format!("the largest quantile {} is above {high}", quantiles.at(1.0));
        findings.add(path, message);
    }
}
