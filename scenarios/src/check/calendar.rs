//! Checks of `[calendar]` and `[subsidy]`.

use chrono::{NaiveDate, NaiveTime, TimeZone};
use chrono_tz::Asia::Shanghai;
use vpp_market_adapters::tariff::RulePack;

use super::Findings;
use crate::format::Scenario;

impl Scenario {
    /// A date must be one for which there are prices. It may lie outside the scenario: a calendar is a year's, a scenario
    /// perhaps a day's.
    pub(super) fn check_calendar(&self, findings: &mut Findings) {
        let days = |key: &'static str, days: &[NaiveDate]| -> Vec<(String, NaiveDate)> {
            let numbered = days.iter().enumerate();
            numbered
                .map(|(i, day)| (format!("calendar.{key}[{i}]"), *day))
                .collect()
        };
        for (key, all) in [
            ("hot_days", &self.calendar.hot_days),
            ("holidays", &self.calendar.holidays),
        ] {
            let named: Vec<_> = (days(key, all).into_iter())
                .map(|(path, day)| (path, day.to_string()))
                .collect();
            let names = named.iter().map(|(path, day)| (path.clone(), day.as_str()));
            findings.unique("day", names);
            for (path, day) in days(key, all) {
                self.check_day(findings, path, day);
            }
        }
        if let Some(subsidy) = &self.subsidy {
            let (price, budget) = (subsidy.discharge_cny_per_kwh, subsidy.budget_cny);
            findings.positive("subsidy.discharge_cny_per_kwh", price, 1_000.0);
            if let Some(budget) = budget {
                findings.within("subsidy.budget_cny", budget, 0.0, 1e12);
            }
        }
    }

    fn check_day(&self, findings: &mut Findings, path: String, day: NaiveDate) {
        let Some(rules) = RulePack::by_name(&self.tariff.rule_pack) else {
            return;
        };
        let midnight = Shanghai.from_local_datetime(&day.and_time(NaiveTime::MIN));
        let Some(at) = midnight.earliest() else {
            return findings.add(path, format!("{day} is no day there"));
        };
        if let Err(invalid) = rules.tariff().require_in_force(at.to_utc()) {
            findings.add(path, format!("{}: {invalid}", self.tariff.rule_pack));
        }
    }
}
