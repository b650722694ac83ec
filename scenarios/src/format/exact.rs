//! A station as it is registered with an engine, to the watt.

use schemars::JsonSchema;
use serde::Deserialize;
use vpp_core::PileKind;

use crate::schema::PileCurrent;

/// `exact` of a row of `[fleet] stations`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exact {
    /// Its piles, in groups of like ones; they are numbered from 0 in this order.
    pub piles: Vec<PileGroup>,
    /// The most that its connection exports, as a magnitude.
    pub export_limit_kw: f64,
    /// How fast its power changes.
    pub ramp_kw_per_second: f64,
    /// Share of the energy drawn that reaches the batteries, in (0, 1].
    pub charge_efficiency: f64,
    /// Share of the energy taken from the batteries that reaches the grid, in (0, 1].
    pub discharge_efficiency: f64,
}

/// Like piles of a station.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PileGroup {
    /// Alternating or direct current.
    #[schemars(with = "PileCurrent")]
    pub kind: PileKind,
    /// How many.
    pub count: u32,
    /// The most that one draws.
    pub rated_power_kw: f64,
    /// The most that one exports, as a magnitude.
    #[serde(default)]
    pub discharge_power_kw: f64,
}

impl Exact {
    /// Number of piles.
    #[must_use]
    pub fn pile_count(&self) -> u64 {
        self.piles.iter().map(|group| u64::from(group.count)).sum()
    }
}
