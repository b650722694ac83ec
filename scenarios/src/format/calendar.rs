//! `[calendar]` and `[subsidy]`.

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::schema::DateText;

/// `[calendar]`: local days that are not like others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Calendar {
    /// Days declared hot (35 °C), which bring the sharp price outside its months too: TOML local dates, such as
    /// `2025-06-20`.
    #[serde(default, deserialize_with = "crate::parse::dates")]
    #[schemars(with = "Vec<DateText>")]
    pub hot_days: Vec<NaiveDate>,
    /// Public holidays, on which vehicles come as at a weekend: TOML local dates.
    #[serde(default, deserialize_with = "crate::parse::dates")]
    #[schemars(with = "Vec<DateText>")]
    pub holidays: Vec<NaiveDate>,
}

/// `[subsidy]`: what is paid for energy fed in, on top of its price, until the budget is spent.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubsidyRow {
    /// Paid for each kWh that a vehicle feeds in, CNY.
    pub discharge_cny_per_kwh: f64,
    /// What may be paid in all, CNY; without it there is no bound.
    #[serde(default)]
    pub budget_cny: Option<f64>,
}
