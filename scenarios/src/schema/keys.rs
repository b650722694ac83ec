//! What keys look like whose types belong to other crates. Nobody holds one of these.

#![allow(dead_code, reason = "they are there to be described")]

use schemars::JsonSchema;

/// A name: 1 to 64 letters, digits, `-`, `_`, `.`.
#[derive(JsonSchema)]
pub(crate) struct Id(#[schemars(regex(pattern = r"^[A-Za-z0-9._-]{1,64}$"))] String);

/// A TOML date-time with offset, such as `2025-07-15T16:00:00+08:00`.
#[derive(JsonSchema)]
#[schemars(extend("format" = "date-time"))]
pub(crate) struct DateTimeText(String);

/// A TOML local date, such as `2025-06-20`.
#[derive(JsonSchema)]
#[schemars(extend("format" = "date"))]
pub(crate) struct DateText(String);

/// One value for all hours, or 24 by hour of the UTC day.
#[derive(JsonSchema)]
#[serde(untagged)]
pub(crate) enum OneOrMany {
    /// For all hours.
    One(f64),
    /// By hour.
    Many(Vec<f64>),
}

/// Level of a node. A parent is never of a lower level than its child.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum NodeLevel {
    /// A part of the city, with the substations that feed it.
    District,
    /// High voltage to medium voltage.
    Substation,
    /// A medium-voltage line.
    Feeder,
    /// Medium voltage to low voltage.
    Transformer,
}

/// How a pile charges.
#[derive(JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PileCurrent {
    /// Alternating current, slow.
    Ac,
    /// Direct current, fast.
    Dc,
}

/// What the maker of a vehicle allows; no command breaks it.
#[derive(JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WarrantyKeys {
    /// Not discharged below this state of charge, 0 to 1.
    soc_floor: f64,
    /// Not charged above this one, 0 to 1.
    soc_ceiling: f64,
    /// The most that is discharged in a day (UTC), at the battery.
    discharge_kwh_per_day: f64,
    /// The most that is discharged in all, in full cycles of the battery.
    #[serde(default)]
    cycles: Option<f64>,
    /// The strongest discharge, at the plug.
    #[serde(default)]
    discharge_kw: Option<f64>,
    /// `[coldest, warmest]` cells for a discharge, °C.
    #[serde(default)]
    temperature_c: Option<[f64; 2]>,
}
