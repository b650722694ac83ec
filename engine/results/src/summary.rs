//! The figures of a run on one page: `summary.json`. All but its header is worked out of the tables.

mod derive;

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::schema::Timestamp;
use crate::{Error, FORMAT, files};

/// Its file in a run's folder. A folder without it holds no whole run.
pub const SUMMARY_FILE: &str = "summary.json";

/// The figures of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// [`FORMAT`](crate::FORMAT) of whoever wrote it.
    pub format: u32,
    /// What was run.
    pub scenario: Header,
    /// Energy of all stations.
    pub energy: Energy,
    /// Money of all aggregators.
    pub money: Money,
    /// What events asked for, and got.
    pub events: Events,
    /// How the regulation signal was followed; `None` without one.
    pub regulation: Option<Regulation>,
    /// How often promises of [`Reliability::STATED`] were kept; `None` without any.
    pub reliability: Option<Reliability>,
    /// How the limits of the electric tree were kept.
    pub limits: Limits,
    /// What became of the vehicles.
    pub vehicles: Vehicles,
    /// Commands and alarms.
    pub messages: Messages,
}

/// No local time is further from UTC than a day.
fn offset_h<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let hours = f64::deserialize(deserializer)?;
    if hours.abs() <= 24.0 {
        return Ok(hours);
    }
    let problem = format!("utc_offset_h: {hours} is not between -24 and 24");
    Err(serde::de::Error::custom(problem))
}

/// What was run: the part of the summary that no table holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Name of the scenario.
    pub name: String,
    /// Its first instant.
    pub start: Timestamp,
    /// Its length, minutes.
    pub duration_minutes: u64,
    /// Length of an interval of the tables, seconds.
    pub interval_s: u64,
    /// Hours that local time is ahead of UTC.
    #[serde(deserialize_with = "offset_h")]
    pub utc_offset_h: f64,
    /// Seed of every draw.
    pub seed: u64,
    /// Rule packs in force, with their versions.
    pub rule_packs: Vec<RulePack>,
    /// Charging and swap stations.
    pub stations: u64,
    /// Piles.
    pub piles: u64,
    /// Of them those that can export.
    pub v2g_piles: u64,
    /// Of the stations those that swap packs.
    pub swap_stations: u64,
    /// Who operates them.
    pub aggregators: u64,
    /// Sum of the connections, MVA.
    pub capacity_mva: f64,
}

/// A rule pack and its version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulePack {
    /// Such as `guangdong-2025`.
    pub name: String,
    /// Grows with every changed figure.
    pub version: u32,
}

/// Energy, kWh.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Energy {
    /// Drawn.
    pub import_kwh: f64,
    /// Fed back.
    pub export_kwh: f64,
    /// Strongest mean draw of all stations in an interval, kW.
    pub peak_kw: f64,
    /// Drawn, by period of the tariff.
    pub import_by_period_kwh: Periods,
    /// Fed back, by period of the tariff.
    pub export_by_period_kwh: Periods,
}

/// kWh by period of the tariff.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Periods {
    /// Sharp hours.
    pub sharp: f64,
    /// Peak hours.
    pub peak: f64,
    /// Flat hours.
    pub flat: f64,
    /// Valley hours.
    pub valley: f64,
}

/// Money, CNY.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// What energy drawn cost by the tariff.
    pub energy_cost_cny: f64,
    /// What energy fed back earned.
    pub feed_in_cny: f64,
    /// Subsidies earned.
    pub subsidy_cny: f64,
    /// Cost without what was earned.
    pub net_cost_cny: f64,
}

/// Events: demand response, valley filling, peak shaving.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// How many there were.
    pub events: u64,
    /// Of them those that all who promised delivered.
    pub delivered: u64,
    /// Promised power over the time of the event, kWh.
    pub promised_kwh: f64,
    /// Delivered, kWh.
    pub delivered_kwh: f64,
    /// Missing to the promises, kWh.
    pub shortfall_kwh: f64,
}

/// How the regulation signal was followed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Regulation {
    /// Values of the signal.
    pub values: u64,
    /// Mean magnitude of what was asked for, kW.
    pub mean_requested_kw: f64,
    /// Mean magnitude of what the orders missed it by, kW.
    pub mean_ordered_error_kw: f64,
    /// Mean magnitude of what was achieved missed it by, kW.
    pub mean_achieved_error_kw: f64,
}

/// How often promises of one confidence, [`Reliability::STATED`], were kept: over several a share would say nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reliability {
    /// Promises that came due.
    pub promises: u64,
    /// Of them those that were kept.
    pub kept: u64,
    /// Share that was kept, 0 to 1.
    pub kept_share: f64,
    /// Share that was said to be kept, 0 to 1.
    pub stated_share: f64,
}

impl Reliability {
    /// The confidence of the promises that are counted: the one with which the engine promises when nobody asks for another.
    pub const STATED: f64 = 0.95;
}

/// How the limits of the electric tree were kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Limits found broken, counted in each interval.
    pub violations: u64,
    /// Highest mean power of an interval over its limit, in or out: 1 is at the limit.
    pub worst_loading: f64,
    /// Where that was; empty without nodes.
    pub worst_node: String,
    /// When that was.
    pub worst_at: Option<Timestamp>,
}

/// What became of the vehicles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vehicles {
    /// Came and were plugged in.
    pub arrivals: u64,
    /// Left.
    pub departures: u64,
    /// Left with less than they asked for.
    pub short_departures: u64,
    /// What those lacked, kWh at the battery.
    pub energy_short_kwh: f64,
    /// Why: each of them counted once.
    #[serde(default)]
    pub short_causes: ShortCauses,
    /// Found no free pile, or no charged pack.
    pub turned_away: u64,
    /// Fed energy back; one that comes on two days counts twice.
    pub v2g_vehicles: u64,
}

/// Why vehicles left short, each counted for what explains most of what it lacked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShortCauses {
    /// There was not the time, at full power from arrival to departure.
    pub too_short: u64,
    /// The station was told less than its vehicles needed.
    pub ceiling: u64,
    /// The station's own controller was in charge: out of reach, refusing, or without a command.
    pub own_control: u64,
    /// The maker allows no more.
    pub warranty: u64,
}

impl ShortCauses {
    /// Each with its name.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 4] {
        [
            ("too_short", self.too_short),
            ("ceiling", self.ceiling),
            ("own_control", self.own_control),
            ("warranty", self.warranty),
        ]
    }
}

/// Commands and alarms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Messages {
    /// Commands sent.
    pub commands: u64,
    /// Answered.
    pub acknowledgements: u64,
    /// Refused.
    pub refusals: u64,
    /// Setpoints that the guard cut.
    pub guarded: u64,
    /// Alarms of severity `warning`.
    pub warnings: u64,
    /// Alarms of severity `error`.
    pub errors: u64,
}

impl Summary {
    /// Writes it into a run's folder, whole or not at all. It comes last: it says that the run is whole.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, folder: &Path) -> Result<(), Error> {
        let path = folder.join(SUMMARY_FILE);
        let json = |cause| Error::Json {
            path: path.clone(),
            cause,
        };
        let mut text = serde_json::to_string_pretty(self).map_err(json)?;
        text.push('\n');
        files::write(&path, text)
    }

    /// Reads that of a run's folder.
    ///
    /// # Errors
    /// When there is none, or it is none of this version.
    pub fn read(folder: &Path) -> Result<Summary, Error> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let path = folder.join(SUMMARY_FILE);
        let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
        let json = |cause| Error::Json {
            path: path.clone(),
            cause,
        };
        let Version { format } = serde_json::from_str(&text).map_err(json)?;
        if format != FORMAT {
            let found = format.to_string();
            return Err(Error::Version { path, found });
        }
        serde_json::from_str(&text).map_err(json)
    }
}
