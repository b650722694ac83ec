//! `[[fleet.generate]]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use vpp_core::{AggregatorId, NodeId};

use crate::draw::Quantiles;
use crate::schema::{Id, OneOrMany};

/// A row of `[fleet] generate`: stations drawn with the scenario's seed, with feeders for them.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GenerateRow {
    /// With which names begin: stations are `ID-0001`, …, feeders `ID-f001`, …, substations `ID-s01`, ….
    pub id: String,
    /// How many stations.
    pub stations: u32,
    /// Session profile; without it the fleet's. Of swap stations, their swap profile.
    #[serde(default)]
    pub profile: Option<String>,
    /// Number of AC piles of a station: quantiles, rounded.
    #[serde(default)]
    pub ac: Option<Quantiles>,
    /// Number of DC piles of a station: quantiles, rounded.
    #[serde(default)]
    pub dc: Option<Quantiles>,
    /// Number of slots of a swap station, in place of piles: quantiles, rounded.
    #[serde(default)]
    pub slots: Option<Quantiles>,
    /// Share of the AC piles that can export; without it that of `[assumptions]`.
    #[serde(default)]
    pub v2g_share_ac: Option<f64>,
    /// Share of the DC piles that can export; without it that of `[assumptions]`.
    #[serde(default)]
    pub v2g_share_dc: Option<f64>,
    /// Share of the stations that are enrolled in frequency regulation.
    #[serde(default)]
    pub regulates_share: f64,
    /// Ceiling while no command is in force over the connection limit; without it that of `[assumptions]`.
    #[serde(default)]
    pub default_setpoint_share: Option<f64>,
    /// Who operates the stations: the share of each aggregator; they add up to 1.
    #[schemars(with = "BTreeMap<String, f64>")]
    pub aggregators: BTreeMap<AggregatorId, f64>,
    /// Where they are: `[[west, south], [east, north]]`, degrees.
    pub place: [[f64; 2]; 2],
    /// What feeds them.
    pub grid: GridRow,
}

/// `grid` of a generated part of the fleet: feeders with so many stations each, and substations with so many feeders each.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GridRow {
    /// What feeds them all: a `[[node]]`; none for roots.
    #[serde(default)]
    #[schemars(with = "Option<Id>")]
    pub parent: Option<NodeId>,
    /// Stations below a feeder, the last one may have fewer.
    pub stations_per_feeder: u32,
    /// Feeders below a substation; without it feeders hang below `parent` directly.
    #[serde(default)]
    pub feeders_per_substation: Option<u32>,
    /// Load at each feeder that is not ours: 24 values by hour of the **UTC** day, or one for all hours.
    #[serde(deserialize_with = "crate::parse::one_or_many")]
    #[schemars(with = "OneOrMany")]
    pub base_load_kw: Vec<f64>,
    /// Import limit of a feeder beyond the peak of its base load, over the connections underneath.
    pub feeder_share: f64,
    /// The same of a substation; without it that of its feeders.
    #[serde(default)]
    pub substation_share: Option<f64>,
    /// Export limit of each node over its import limit.
    pub export_share: f64,
}
