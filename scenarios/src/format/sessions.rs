//! Who comes to which kind of station, and swaps.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::draw::Quantiles;

/// `[sessions.<profile>]`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionProfile {
    /// Vehicles that come to an AC pile in a day (those that find all piles taken drive on).
    pub arrivals_per_ac_pile_day: f64,
    /// Vehicles that come to a DC pile in a day.
    pub arrivals_per_dc_pile_day: f64,
    /// Share of the day's arrivals in each hour, **local** (`Asia/Shanghai`), 24 values that add up to 1.
    pub arrival_shape: Vec<f64>,
    /// The same of Saturdays, Sundays and public holidays; without it that of the other days.
    #[serde(default)]
    pub weekend_arrival_shape: Option<Vec<f64>>,
    /// Arrivals on a Saturday, Sunday or public holiday over those of another day.
    #[serde(default = "one")]
    pub weekend_factor: f64,
    /// Public holidays: those of the scenario's `[calendar]`, which reading it puts here.
    #[serde(skip)]
    pub holidays: BTreeSet<NaiveDate>,
    /// Stay at an AC pile, hours: quantiles at even steps from 0 % to 100 %.
    pub stay_h: Quantiles,
    /// Energy wanted at an AC pile, at the battery: quantiles. What the stay cannot hold at full power is cut.
    pub energy_kwh: Quantiles,
    /// Energy wanted at a DC pile, at the battery: quantiles.
    pub dc_energy_kwh: Quantiles,
    /// What a vehicle stays at a DC pile beyond its charging time at full power, minutes.
    pub dc_dwell_minutes: f64,
    /// Battery capacities, where they are not those of `[assumptions]`: quantiles.
    #[serde(default)]
    pub battery_capacity_kwh: Option<Quantiles>,
    /// Share of the vehicles that are of each model of `[warranties]`; the others have `[warranty]`.
    #[serde(default)]
    pub models: BTreeMap<String, f64>,
}

fn one() -> f64 {
    1.0
}

/// `[swaps.<profile>]`: one kind of swap station.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SwapProfile {
    /// Swaps in a day for each slot; 0: a bank of batteries, charged and discharged for the grid alone.
    pub swaps_per_slot_day: f64,
    /// Share of the day's swaps in each hour, **local** (`Asia/Shanghai`), 24 values that add up to 1; none where nobody swaps.
    #[serde(default)]
    pub swap_shape: Vec<f64>,
    /// **Local** hour, 0 to 23, at which all packs are to be charged each day, whatever swaps are expected.
    #[serde(default)]
    pub ready_hour: Option<u32>,
    /// What a pack holds.
    pub pack_kwh: f64,
    /// State of charge of packs that come back, 0 to 1: quantiles. At the begin packs are from there on to full.
    pub arriving_soc: Quantiles,
    /// The most that a slot draws.
    pub slot_power_kw: f64,
    /// The most that a slot gives, as a magnitude.
    pub slot_discharge_kw: f64,
    /// State of charge from which on a pack is handed out.
    pub charged_soc: f64,
    /// State of charge below which none is discharged.
    pub floor_soc: f64,
    /// How sure it is to have enough packs, standard deviations of the number of swaps: 1.645 for 95 %.
    pub deviations: f64,
    /// Share of the slots whose packs are kept full beyond that.
    pub reserve_share: f64,
    /// The model of `[warranties]` that all packs are of; without it they have `[warranty]`.
    #[serde(default)]
    pub model: Option<String>,
}
