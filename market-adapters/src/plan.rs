//! A city's plan: what it wants of its pilot in each year, and what other places have shown. Targets are data
//! (`rules/guangzhou-plan.toml`); [`judge`] holds them against what a run measured.

mod judge;
mod measured;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use toml::Spanned;

use crate::rules::{self, Head, PackId, Refusal, RuleError, Status, refusal};

pub use judge::{Finding, Reason, Verdict, judge};
pub use measured::{Built, Measured, Place, Regulated, Response};

/// A city's plan.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Which pack it is.
    pub pack: PackId,
    /// What it wants, in its order.
    pub targets: Vec<Target>,
    /// Other places to compare with.
    pub cities: Vec<City>,
}

/// A text in both languages of the report.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bilingual {
    /// English.
    pub en: String,
    /// Chinese.
    pub zh: String,
}

/// A language of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Chinese.
    Chinese,
}

impl Bilingual {
    /// The text in a language.
    #[must_use]
    pub fn text(&self, language: Language) -> &str {
        match language {
            Language::English => &self.en,
            Language::Chinese => &self.zh,
        }
    }
}

/// One figure that the plan wants.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Its name for programs.
    pub id: String,
    /// What of a run it is held against.
    pub measure: Measure,
    /// It counts stations whose id begins so alone; all where that is empty.
    pub stations: String,
    /// What is wanted by the end of a year; a figure holds until a later one.
    pub values: BTreeMap<i32, f64>,
    /// Whether it is the most that may be; else the least that shall be.
    pub at_most: bool,
    /// Decimals that count.
    pub decimals: u32,
    /// Unit of the figure.
    pub unit: Bilingual,
    /// Its name for people.
    pub name: Bilingual,
    /// How a run measures it.
    pub how: Bilingual,
    /// Part and paragraph of the plan.
    pub source: Bilingual,
    /// How sure it is.
    pub status: Status,
}

impl Target {
    /// What holds in a year, and since which; none before the plan.
    #[must_use]
    pub fn wanted_in(&self, year: i32) -> Option<(i32, f64)> {
        let (since, value) = self.values.range(..=year).next_back()?;
        Some((*since, *value))
    }
}

/// What of a run a target is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Charging stations.
    ChargingStations,
    /// Swap stations.
    SwapStations,
    /// Piles, without the slots of swap stations.
    Piles,
    /// Connections of all stations, MVA.
    ConnectionMva,
    /// What stations may draw at most, MW.
    ConnectedMw,
    /// Energy fed back, MWh.
    V2gEnergyMwh,
    /// Piles and slots that can export.
    V2gPiles,
    /// Stays in which a vehicle fed back, a day.
    V2gVehicles,
    /// Kinds of facilities.
    Scenes,
    /// Aggregators in the strongest demand response.
    ResponseAggregators,
    /// Their stations.
    ResponseStations,
    /// Their piles.
    ResponsePiles,
    /// Mean power delivered in it, MW.
    ResponseMw,
    /// Stations enrolled in regulation.
    RegulationStations,
    /// Subsidies, million CNY.
    SubsidyMillionCny,
}

impl Measure {
    /// Whether it adds up over a year, so that a part of the year has a part of it.
    #[must_use]
    pub fn accrues(self) -> bool {
        matches!(self, Measure::V2gEnergyMwh | Measure::SubsidyMillionCny)
    }
}

/// What another place has shown.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct City {
    /// Where and when.
    pub place: Bilingual,
    /// What was told of it.
    pub figures: Bilingual,
    /// Mean power of its response, MW, where it was told or follows from that.
    #[serde(default)]
    pub response_mw: Option<f64>,
    /// Stations behind that.
    #[serde(default)]
    pub stations: Option<u32>,
    /// Energy discharged in a year, MWh.
    #[serde(default)]
    pub discharged_mwh: Option<f64>,
    /// Who told it.
    pub source: String,
    /// How sure it is.
    pub status: Status,
}

impl Plan {
    /// Guangzhou's plan for 2025 to 2027.
    ///
    /// # Panics
    /// Never: a test reads it.
    #[must_use]
    pub fn guangzhou() -> &'static Plan {
        static PACK: LazyLock<Plan> = LazyLock::new(|| {
            Plan::parse(include_str!("../rules/guangzhou-plan.toml"))
                .expect("the pack that comes with the crate is sound")
        });
        &PACK
    }

    /// Reads a plan from text.
    ///
    /// # Errors
    /// The first figure that is missing, of the wrong type or impossible, with its line.
    pub fn parse(text: &str) -> Result<Plan, RuleError> {
        rules::parse(text, RawPlan::check)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPlan {
    pack: Head,
    target: Vec<Spanned<RawTarget>>,
    #[serde(default)]
    city: Vec<City>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTarget {
    id: String,
    measure: Measure,
    #[serde(default)]
    stations: String,
    values: BTreeMap<String, f64>,
    #[serde(default)]
    at_most: bool,
    #[serde(default)]
    decimals: u32,
    unit: Bilingual,
    name: Bilingual,
    how: Bilingual,
    source: Bilingual,
    status: Status,
}

impl RawPlan {
    fn check(self) -> Result<Plan, Refusal> {
        let (pack, _) = self.pack.check()?;
        let mut targets: Vec<Target> = Vec::new();
        for raw in self.target {
            let again = |target: &Target| target.id == raw.get_ref().id;
            if targets.iter().any(again) {
                let problem = format!("{} stands already above", raw.get_ref().id);
                return Err(refusal(&raw, "target.id", problem));
            }
            let mut values = BTreeMap::new();
            for (year, value) in &raw.get_ref().values {
                let known = year.parse().ok().filter(|year| (2000..2100).contains(year));
                let Some(year) = known.filter(|_| value.is_finite() && *value >= 0.0) else {
                    let problem = format!("{year} = {value} is no year with a number from 0 up");
                    return Err(refusal(&raw, "target.values", problem));
                };
                values.insert(year, *value);
            }
            if values.is_empty() {
                return Err(refusal(&raw, "target.values", "no year".into()));
            }
            let raw = raw.into_inner();
            targets.push(Target {
                id: raw.id,
                measure: raw.measure,
                stations: raw.stations,
                values,
                at_most: raw.at_most,
                decimals: raw.decimals.min(6),
                unit: raw.unit,
                name: raw.name,
                how: raw.how,
                source: raw.source,
                status: raw.status,
            });
        }
        Ok(Plan {
            pack,
            targets,
            cities: self.city,
        })
    }
}

#[cfg(test)]
mod tests;
