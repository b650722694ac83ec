//! A month as it stands in a file: by which rules it is settled, what was bought, and its events.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::Context as _;
use chrono::{Datelike as _, NaiveDate};
use rust_decimal::Decimal;
use serde::Deserialize;
use vpp_core::{AggregatorId, RequestId, StationId};
use vpp_market_adapters::RulePack;
use vpp_market_adapters::response::baseline::Calendar;
use vpp_market_adapters::subsidy::{Budget, Claim, SubsidyRules};
use vpp_settlement::month::{Month, MonthEvent, MonthRules, Purchase, calendar_of};

use super::book::Book;
use super::event_file::{EventFile, dates};
use super::warn;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MonthFile {
    month: String,
    tariff: String,
    pub(super) stations: PathBuf,
    #[serde(default)]
    subsidies: bool,
    subsidy_left_cny: Option<Decimal>,
    #[serde(default)]
    pub(super) hot_days: Vec<toml::value::Datetime>,
    #[serde(default)]
    holidays: Vec<toml::value::Datetime>,
    #[serde(default)]
    worked: Vec<toml::value::Datetime>,
    #[serde(default, rename = "claim")]
    claims: Vec<ClaimRow>,
    #[serde(default, rename = "event")]
    events: Vec<EventFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClaimRow {
    id: RequestId,
    kind: ClaimKind,
    aggregator: AggregatorId,
    station: Option<StationId>,
    cost_cny: Decimal,
    asked_cny: Decimal,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ClaimKind {
    Equipment,
    Platform,
}

impl ClaimRow {
    fn purchase(&self) -> anyhow::Result<Purchase> {
        let fen = |field: &str, cny: Decimal| {
            let fen = cny
                .checked_mul(Decimal::ONE_HUNDRED)
                .unwrap_or(Decimal::MAX);
            let whole = (Decimal::ZERO..=Decimal::from(1_000_000_000_000_i64)).contains(&fen)
                && fen.fract().is_zero();
            anyhow::ensure!(
                whole,
                "claim {}: {field}: {cny} is not 0 to 10000000000, in whole fen",
                self.id
            );
            Ok(i64::try_from(fen)?)
        };
        let (cost_fen, asked_fen) = (
            fen("cost_cny", self.cost_cny)?,
            fen("asked_cny", self.asked_cny)?,
        );
        Ok(Purchase {
            id: self.id.clone(),
            aggregator: self.aggregator.clone(),
            station: self.station.clone(),
            claim: match self.kind {
                ClaimKind::Equipment => Claim::Equipment {
                    cost_fen,
                    asked_fen,
                },
                ClaimKind::Platform => Claim::Platform {
                    cost_fen,
                    asked_fen,
                },
            },
        })
    }
}

impl MonthFile {
    fn first(&self) -> anyhow::Result<NaiveDate> {
        let first = format!("{}-01", self.month).parse();
        first.with_context(|| format!("month: {:?} is no month such as 2027-07", self.month))
    }

    /// One for each event: an event's days, those of its aggregator's others among them, say nothing of days without.
    pub(super) fn calendars(&self) -> anyhow::Result<Vec<Calendar>> {
        let base = Calendar {
            holidays: dates(&self.holidays).context("holidays")?,
            worked: dates(&self.worked).context("worked")?,
            events: BTreeSet::new(),
        };
        let days: Vec<(AggregatorId, NaiveDate)> = (self.events.iter())
            .map(|event| Ok((event.aggregator.clone(), event.cleared()?.window.date)))
            .collect::<anyhow::Result<_>>()?;
        let of = |event: &EventFile| {
            let days = days.iter().map(|(aggregator, date)| (aggregator, *date));
            let mut calendar = calendar_of(&base, &event.aggregator, days);
            let own = event.calendar()?;
            calendar.holidays.extend(own.holidays);
            calendar.worked.extend(own.worked);
            calendar.events.extend(own.events);
            Ok(calendar)
        };
        self.events.iter().map(of).collect()
    }

    pub(super) fn month<'a>(
        &'a self,
        calendars: &'a [Calendar],
        hot_days: &'a BTreeSet<NaiveDate>,
    ) -> anyhow::Result<Month<'a>> {
        let pack = RulePack::by_name(&self.tariff).with_context(|| {
            let known: Vec<&str> = RulePack::names().collect();
            format!(
                "tariff: there is no pack {:?}; known: {}",
                self.tariff,
                known.join(", ")
            )
        })?;
        let rules = MonthRules {
            tariff: pack,
            hot_days,
            subsidies: self.subsidies.then(SubsidyRules::guangzhou),
        };
        let event = |(event, calendar): (&EventFile, &'a Calendar)| {
            let about = || format!("event {} of {}", event.event, event.aggregator);
            let terms = event.terms(calendar).with_context(about)?;
            Ok(MonthEvent {
                cleared: event.cleared().with_context(about)?,
                terms,
                stations: event.stations.clone(),
            })
        };
        let events = self.events.iter().zip(calendars).map(event);
        let events: Vec<MonthEvent<'a>> = events.collect::<anyhow::Result<_>>()?;
        let templates: BTreeMap<&str, &MonthEvent<'a>> = (events.iter())
            .map(|event| (event.terms.template.name.as_str(), event))
            .collect();
        templates.values().for_each(|event| warn(&event.terms));
        let purchases = self
            .claims
            .iter()
            .map(ClaimRow::purchase)
            .collect::<anyhow::Result<_>>()?;
        Ok(Month::new(self.first()?, rules, events)?.with_purchases(purchases)?)
    }

    /// What is left of the year's budget: by the ledger, where there is one.
    pub(super) fn budget(&self, ledger: Option<&Book>) -> anyhow::Result<Option<Budget>> {
        if !self.subsidies {
            anyhow::ensure!(
                self.subsidy_left_cny.is_none(),
                "subsidy_left_cny: there are no subsidies"
            );
            return Ok(None);
        }
        let (rules, first) = (SubsidyRules::guangzhou(), self.first()?);
        let whole = Budget::of(rules, first.year())?;
        let left = match (ledger, self.subsidy_left_cny) {
            (Some(_), Some(_)) => {
                anyhow::bail!("subsidy_left_cny: the ledger knows; leave it out with --ledger")
            }
            (Some(ledger), None) => {
                let granted = ledger.subsidies_besides(first)?;
                Decimal::new((whole.left_fen() - granted).max(0), 2)
            }
            (None, Some(left)) => left,
            (None, None) => return Ok(Some(whole)),
        };
        Ok(Some(Budget::with_left(rules, first.year(), left)?))
    }

    /// All that may be granted in the month's year, fen.
    pub(super) fn whole_budget(&self) -> anyhow::Result<Option<(i32, i64)>> {
        if !self.subsidies {
            return Ok(None);
        }
        let year = self.first()?.year();
        let whole = Budget::of(SubsidyRules::guangzhou(), year)?;
        Ok(Some((year, whole.left_fen())))
    }
}
