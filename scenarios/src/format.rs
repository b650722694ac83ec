//! The types of a scenario file, one field for each key.
//!
//! What is read here is checked afterwards as a whole (see [`Scenario::parse`]); a `Scenario` in hand has passed.
//! Key names carry their unit. Powers are kilowatts, positive towards the station.

mod calendar;
mod exact;
mod fault;
mod generate;
mod sessions;

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset};
use schemars::JsonSchema;
use serde::Deserialize;
use vpp_aggregator::{Warranties, Warranty};
use vpp_core::{AggregatorId, EventId, NodeId, NodeKind, StationId};

use crate::draw::Quantiles;
use crate::schema::{DateTimeText, Id, NodeLevel, OneOrMany, WarrantyKeys};
use crate::stays::Stay;

pub use calendar::{Calendar, SubsidyRow};
pub use exact::{Exact, PileGroup};
pub use fault::{FaultKind, FaultRow};
pub use generate::{GenerateRow, GridRow};
pub use sessions::{SessionProfile, SwapProfile};

/// The version of the format that this crate reads.
pub const FORMAT: u32 = 1;

/// A scenario file.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// Version of the format: [`FORMAT`].
    pub format: u32,
    /// `[scenario]`: name, start, length, seed.
    #[serde(rename = "scenario")]
    pub header: Header,
    /// `[[source]]`: where figures were taken from.
    #[serde(rename = "source", default)]
    pub sources: Vec<Source>,
    /// `[tariff]`: which prices hold.
    pub tariff: TariffChoice,
    /// `[calendar]`: days that are not like others.
    #[serde(default)]
    pub calendar: Calendar,
    /// `[subsidy]`: what is paid for energy fed in, if anything.
    #[serde(default)]
    pub subsidy: Option<SubsidyRow>,
    /// `[assumptions]`: what no source gives station by station.
    pub assumptions: Assumptions,
    /// `[warranty]`: what the makers of all vehicles allow, if anybody limits it.
    #[serde(default)]
    #[schemars(with = "Option<WarrantyKeys>")]
    pub warranty: Option<Warranty>,
    /// `[warranties.<model>]`: what the maker of a model allows, in place of `[warranty]`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, WarrantyKeys>")]
    pub warranties: BTreeMap<String, Warranty>,
    /// `[sessions.<profile>]`: how vehicles come, stay and charge.
    pub sessions: BTreeMap<String, SessionProfile>,
    /// `[swaps.<profile>]`: how packs are swapped at swap stations.
    #[serde(default)]
    pub swaps: BTreeMap<String, SwapProfile>,
    /// `[dispatch]`: how the dispatcher runs in a replay.
    #[serde(default)]
    pub dispatch: Dispatch,
    /// `[[event]]`: what the grid calls.
    #[serde(rename = "event", default)]
    pub events: Vec<EventRow>,
    /// `[regulation]`: the regulation award and its signal, if there is one.
    #[serde(default)]
    pub regulation: Option<Regulation>,
    /// `[[fault]]`: what goes wrong.
    #[serde(rename = "fault", default)]
    pub faults: Vec<FaultRow>,
    /// `[[aggregator]]`: who operates stations.
    #[serde(rename = "aggregator")]
    pub aggregators: Vec<AggregatorRow>,
    /// `[[node]]`: the electric tree, in any order.
    #[serde(rename = "node")]
    pub nodes: Vec<NodeRow>,
    /// `[fleet]`: the stations. Last in the file, so that a file cut short is never taken for a smaller fleet.
    pub fleet: FleetRows,
}

/// `[scenario]`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Short name: letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// What it is for, in a sentence or two.
    #[serde(default)]
    pub description: String,
    /// When it begins: a TOML date-time with offset, such as `2025-07-15T16:00:00+08:00`.
    #[serde(deserialize_with = "crate::parse::date_time")]
    #[schemars(with = "DateTimeText")]
    pub start: DateTime<FixedOffset>,
    /// How long it lasts; 1 minute to 366 days.
    pub duration_minutes: u32,
    /// Seed of every draw. The same file and seed give the same run.
    pub seed: u64,
}

/// `[[source]]`: provenance of figures in the file.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Name of the source.
    pub name: String,
    /// Its licence.
    pub licence: String,
    /// What was taken from it, and how it was changed.
    pub taken: String,
}

/// `[tariff]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TariffChoice {
    /// Name of a rule pack of `vpp-market-adapters`, such as `guangdong-2025`.
    pub rule_pack: String,
    /// Whether every day is hot; else those of `[calendar]` are.
    #[serde(default)]
    pub sharp_day: bool,
}

fn all() -> f64 {
    1.0
}

/// `[assumptions]`: figures that hold for the whole fleet.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Assumptions {
    /// The most that an AC pile draws.
    pub ac_power_kw: f64,
    /// The ratings of DC piles, ascending.
    pub dc_powers_kw: Vec<f64>,
    /// The share of DC piles of each rating; same length, adds up to 1.
    pub dc_shares: Vec<f64>,
    /// Share of AC piles that can export, for stations that do not state `v2g_ac`.
    pub v2g_share_ac: f64,
    /// Share of DC piles that can export, for stations that do not state `v2g_dc`.
    pub v2g_share_dc: f64,
    /// The most that an exporting AC pile exports, as a magnitude.
    pub v2g_ac_discharge_kw: f64,
    /// The most that an exporting DC pile exports, as a magnitude.
    pub v2g_dc_discharge_kw: f64,
    /// Share of the sessions at exporting piles whose owner consents to export.
    pub v2g_consent_share: f64,
    /// Share of the sessions of which somebody says when the vehicle leaves and what it needs. Of the others, which are never
    /// discharged, the aggregator expects what is usual at the station. Without it 1.
    #[serde(default = "all")]
    pub stated_share: f64,
    /// State of charge below which no battery is discharged, in [0, 1).
    pub v2g_floor: f64,
    /// Share of the energy drawn that reaches the batteries, in (0, 1].
    pub charge_efficiency: f64,
    /// Share of the energy taken from the batteries that reaches the grid, in (0, 1].
    pub discharge_efficiency: f64,
    /// Battery capacities: quantiles at even steps from 0 % to 100 %.
    pub battery_capacity_kwh: Quantiles,
    /// Connection limit of a station over the sum of its pile ratings, in (0, 1].
    pub connection_factor: f64,
    /// Default setpoint (ceiling while no command is in force) over the connection limit, in [0, 1].
    pub default_setpoint_share: f64,
    /// How much of its connection limit a station can move per second; positive.
    pub ramp_share_per_second: f64,
    /// Share of piles that follow no setpoint and charge as they like.
    pub disobeying_pile_share: f64,
    /// Share of stations that refuse every command.
    pub refusing_station_share: f64,
    /// Share of stations that hear nothing and answer nothing.
    pub unreachable_station_share: f64,
    /// Shortest and longest time between a command's arrival and the station's first movement, seconds.
    pub response_delay_s: [f64; 2],
}

/// `[dispatch]`: how the dispatcher runs in a replay.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dispatch {
    /// From one plan to the next, seconds; a whole number of steps.
    pub cycle_s: u32,
    /// How often the world moves and piles are set, seconds.
    pub step_s: u32,
    /// Lengths of the intervals of the plan, minutes.
    pub horizon_minutes: Vec<u32>,
    /// Which stations are planned all the time.
    pub orderly: Orderly,
}

/// Which stations' charging is planned all the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Orderly {
    /// Those below a node with an agreement; all others in events only.
    #[default]
    Agreements,
    /// All.
    All,
}

impl Default for Dispatch {
    fn default() -> Dispatch {
        Dispatch {
            cycle_s: 900,
            step_s: 300,
            horizon_minutes: vec![15, 15, 30, 60, 120, 240, 480],
            orderly: Orderly::default(),
        }
    }
}

/// `[[event]]`: one call of a programme.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventRow {
    /// Its name.
    #[schemars(with = "Id")]
    pub id: EventId,
    /// What is called.
    pub kind: EventKind,
    /// Begin, seconds after the scenario's start.
    pub start_offset_s: u32,
    /// Length in seconds; positive.
    pub duration_s: u32,
    /// Repeats it every so many local days, as long as it ends within the scenario: `ID-0001`, `ID-0002`, ….
    #[serde(default)]
    pub every_days: Option<u32>,
    /// Demand response: by how much less to draw.
    #[serde(default)]
    pub reduction_kw: Option<f64>,
    /// Valley filling: by how much more to draw.
    #[serde(default)]
    pub increase_kw: Option<f64>,
    /// Peak shaving: the ceiling on the import of `node`, base load included.
    #[serde(default)]
    pub ceiling_kw: Option<f64>,
    /// Scope: the stations of this aggregator alone. Without `aggregator` and `node`: all.
    #[serde(default)]
    #[schemars(with = "Option<Id>")]
    pub aggregator: Option<AggregatorId>,
    /// Scope: the stations below this node alone. Peak shaving: where the ceiling holds.
    #[serde(default)]
    #[schemars(with = "Option<Id>")]
    pub node: Option<NodeId>,
}

/// The kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// Draw less than the baseline.
    DemandResponse,
    /// Draw more than the baseline.
    ValleyFilling,
    /// Keep a node under a ceiling.
    PeakShaving,
}

/// `[regulation]`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Regulation {
    /// The most that the signal may ask to draw less.
    pub capacity_up_kw: f64,
    /// The most that the signal may ask to draw more.
    pub capacity_down_kw: f64,
    /// Begin, seconds after the scenario's start.
    pub start_offset_s: u32,
    /// Length in seconds; positive.
    pub duration_s: u32,
    /// Repeats it every so many local days, as long as it ends within the scenario.
    #[serde(default)]
    pub every_days: Option<u32>,
    /// Time between two values of the signal, seconds; positive.
    pub period_s: f64,
    /// Per unit of the capacity, −1 to 1; **positive: draw less**. Begins at `start_offset_s`; begins anew when the
    /// duration outlasts it.
    pub signal: Vec<f64>,
}

/// `[[aggregator]]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AggregatorRow {
    /// Its name in topics and commands.
    #[schemars(with = "Id")]
    pub id: AggregatorId,
    /// Its name for people.
    pub name: String,
}

/// `[[node]]`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeRow {
    /// Its name.
    #[schemars(with = "Id")]
    pub id: NodeId,
    /// `district`, `substation`, `feeder` or `transformer`.
    #[schemars(with = "NodeLevel")]
    pub kind: NodeKind,
    /// The node that feeds it; none for a root.
    #[serde(default)]
    #[schemars(with = "Option<Id>")]
    pub parent: Option<NodeId>,
    /// The most that may flow down through it, base load included.
    pub import_limit_kw: f64,
    /// What is agreed beyond that, if anything.
    #[serde(default)]
    pub agreement: Option<AgreementRow>,
    /// The most that may flow up through it, as a magnitude.
    pub export_limit_kw: f64,
    /// Load at the node that is not ours: 24 values by hour of the **UTC** day, or one for all hours.
    #[serde(deserialize_with = "crate::parse::one_or_many")]
    #[schemars(with = "OneOrMany")]
    pub base_load_kw: Vec<f64>,
}

/// `agreement` of a `[[node]]`: more may flow down for a while, as long as charging is orderly.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgreementRow {
    /// The most that may flow down then, base load included.
    pub import_limit_kw: f64,
    /// Begin, seconds after the scenario's start.
    pub start_offset_s: u32,
    /// Length in seconds; positive.
    pub duration_s: u32,
}

/// `[fleet]`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FleetRows {
    /// The profile of stations that name none.
    pub profile: String,
    /// The stations, one row a line. When a scenario has been read, those that [`FleetRows::generate`] asks for stand
    /// behind them.
    #[serde(default)]
    pub stations: Vec<StationRow>,
    /// Stations that are drawn.
    #[serde(default)]
    pub generate: Vec<GenerateRow>,
    /// A CSV table of stays, relative to the file in which the key stands: then the vehicles are exactly these, and none is
    /// drawn.
    #[serde(default)]
    pub recorded: Option<String>,
    /// What stands in the table that `recorded` names, in the order of arrival.
    #[serde(skip)]
    pub stays: Vec<Stay>,
}

/// A row of `[fleet] stations`.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StationRow {
    /// Its name.
    #[schemars(with = "Id")]
    pub id: StationId,
    /// Who operates it.
    #[schemars(with = "Id")]
    pub aggregator: AggregatorId,
    /// The node that feeds it.
    #[schemars(with = "Id")]
    pub node: NodeId,
    /// Longitude and latitude, degrees; rounded, for maps and nearness only.
    pub place: [f64; 2],
    /// Number of AC piles.
    #[serde(default)]
    pub ac: u32,
    /// Number of DC piles.
    #[serde(default)]
    pub dc: u32,
    /// Number of slots: a swap station, without piles.
    #[serde(default)]
    pub slots: u32,
    /// Session profile; without it the fleet's. Of a swap station, its swap profile.
    #[serde(default)]
    pub profile: Option<String>,
    /// Whether it is enrolled in frequency regulation.
    #[serde(default)]
    pub regulates: bool,
    /// AC piles that can export; without it by `v2g_share_ac`.
    #[serde(default)]
    pub v2g_ac: Option<u32>,
    /// DC piles that can export; without it by `v2g_share_dc`.
    #[serde(default)]
    pub v2g_dc: Option<u32>,
    /// Connection limit; without it by `connection_factor`.
    #[serde(default)]
    pub import_limit_kw: Option<f64>,
    /// Ceiling while no command is in force; without it by `default_setpoint_share`.
    #[serde(default)]
    pub default_setpoint_kw: Option<f64>,
    /// What it is as registered, in place of `ac` and `dc` and of what `[assumptions]` would make of them.
    #[serde(default)]
    pub exact: Option<Exact>,
}

/// With what the names of a model's vehicles begin. Those of others begin with a digit.
pub(crate) fn beginning(model: &str) -> String {
    format!("{model}.")
}

impl Scenario {
    /// What the makers of the vehicles allow.
    #[must_use]
    pub fn warranties(&self) -> Warranties {
        let models = self.warranties.iter();
        Warranties {
            usual: self.warranty.clone(),
            models: models
                .map(|(model, warranty)| (beginning(model), warranty.clone()))
                .collect(),
            ..Warranties::default()
        }
    }

    /// The swap profile of a station; none of one with piles.
    #[must_use]
    pub fn swaps_of(&self, station: usize) -> Option<&SwapProfile> {
        let row = self.fleet.stations.get(station)?;
        let name = row.profile.as_ref().filter(|_| row.slots > 0)?;
        self.swaps.get(name)
    }

    /// The session profile of a station (position in `fleet.stations`, which is also its index in the built fleet).
    ///
    /// # Panics
    /// When the position is out of range.
    #[must_use]
    pub fn profile_of(&self, station: usize) -> &SessionProfile {
        let row = &self.fleet.stations[station];
        if row.slots > 0 {
            return &self.sessions[&self.fleet.profile];
        }
        &self.sessions[row.profile.as_ref().unwrap_or(&self.fleet.profile)]
    }
}
