//! An event as it stands in a file: what was cleared, and how it is settled.

use std::collections::BTreeSet;

use anyhow::Context as _;
use chrono::{NaiveDate, NaiveTime, Timelike as _};
use rust_decimal::Decimal;
use serde::Deserialize;
use vpp_core::{AggregatorId, EventId, Price, StationId};
use vpp_market_adapters::response::SLOTS;
use vpp_market_adapters::response::baseline::{BaselineRules, Calendar, EventWindow};
use vpp_market_adapters::response::payment::{Direction, PaymentRules};
use vpp_settlement::event::{Cleared, Terms};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventFile {
    pub(crate) event: EventId,
    pub(crate) aggregator: AggregatorId,
    direction: Way,
    date: toml::value::Datetime,
    from: String,
    to: String,
    invited_on: toml::value::Datetime,
    cleared_kw: Power,
    price_cny_per_kwh: Decimal,
    baseline: String,
    payment: String,
    /// Those that took part; none: all of the aggregator. For a single event all that have readings.
    pub(crate) stations: Option<BTreeSet<StationId>>,
    #[serde(default)]
    holidays: Vec<toml::value::Datetime>,
    #[serde(default)]
    worked: Vec<toml::value::Datetime>,
    #[serde(default)]
    event_days: Vec<toml::value::Datetime>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Way {
    Shaving,
    Filling,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Power {
    All(f64),
    Each(Vec<f64>),
}

impl EventFile {
    /// What was cleared.
    pub(crate) fn cleared(&self) -> anyhow::Result<Cleared> {
        anyhow::ensure!(
            self.price_cny_per_kwh >= Decimal::ZERO
                && self.price_cny_per_kwh <= Decimal::ONE_THOUSAND,
            "price_cny_per_kwh: {} is outside 0 to 1000",
            self.price_cny_per_kwh
        );
        let (first, last) = (quarter("from", &self.from)?, quarter("to", &self.to)?);
        anyhow::ensure!(first < last, "to: {:?} does not come after from", self.to);
        let slots = last - first;
        let kilowatts = match &self.cleared_kw {
            Power::All(kw) => vec![*kw; slots],
            Power::Each(each) => {
                let count = each.len();
                anyhow::ensure!(
                    count == slots,
                    "cleared_kw: {count} figures for {slots} quarters"
                );
                each.clone()
            }
        };
        let wh = |kw: &f64| {
            anyhow::ensure!(
                (0.0..=1e6).contains(kw),
                "cleared_kw: {kw} is outside 0 to 1000000"
            );
            #[allow(clippy::cast_possible_truncation)] // bounded above
            Ok((kw * 250.0).round() as i64)
        };
        Ok(Cleared {
            event: self.event.clone(),
            aggregator: self.aggregator.clone(),
            direction: match self.direction {
                Way::Shaving => Direction::Shaving,
                Way::Filling => Direction::Filling,
            },
            window: EventWindow {
                date: date(&self.date).context("date")?,
                first,
                slots,
                invited_on: date(&self.invited_on).context("invited_on")?,
            },
            cleared_wh: kilowatts.iter().map(wh).collect::<anyhow::Result<_>>()?,
            price: Price::from_cny_per_kwh(self.price_cny_per_kwh),
        })
    }

    /// Days that are not what their weekday says, as far as the event itself says so.
    pub(crate) fn calendar(&self) -> anyhow::Result<Calendar> {
        Ok(Calendar {
            holidays: dates(&self.holidays).context("holidays")?,
            worked: dates(&self.worked).context("worked")?,
            events: dates(&self.event_days).context("event_days")?,
        })
    }

    /// Whose baseline and template are asked for by name.
    pub(crate) fn terms<'a>(&self, calendar: &'a Calendar) -> anyhow::Result<Terms<'a>> {
        let (baselines, payments) = (BaselineRules::standard(), PaymentRules::standard());
        let baseline = baselines.entry(&self.baseline).with_context(|| {
            let known = baselines.methods().iter().map(|m| m.method().name());
            let known = known.collect::<Vec<_>>().join(", ");
            let name = &self.baseline;
            format!("baseline: there is no method {name:?}; known: {known}")
        })?;
        let template = payments.template(&self.payment).with_context(|| {
            let known = payments.templates().iter().map(|t| t.name.as_str());
            let known = known.collect::<Vec<_>>().join(", ");
            let name = &self.payment;
            format!("payment: there is no template {name:?}; known: {known}")
        })?;
        Ok(Terms {
            baseline,
            baseline_pack: &baselines.pack,
            template,
            payment_pack: &payments.pack,
            calendar,
        })
    }
}

pub(crate) fn dates(days: &[toml::value::Datetime]) -> anyhow::Result<BTreeSet<NaiveDate>> {
    days.iter().map(date).collect()
}

pub(crate) fn date(date: &toml::value::Datetime) -> anyhow::Result<NaiveDate> {
    let text = date.to_string();
    text.parse()
        .with_context(|| format!("{text} is no plain date"))
}

fn quarter(field: &str, text: &str) -> anyhow::Result<usize> {
    if text == "24:00" {
        return Ok(SLOTS);
    }
    let time =
        NaiveTime::parse_from_str(text, "%H:%M").with_context(|| format!("{field}: {text:?}"))?;
    anyhow::ensure!(
        time.minute() % 15 == 0,
        "{field}: {text:?} is no quarter of an hour"
    );
    Ok((time.hour() * 4 + time.minute() / 15) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarters_are_read_and_others_refused() {
        assert_eq!(quarter("from", "14:15").expect("a quarter"), 57);
        assert_eq!(quarter("to", "24:00").expect("the end"), 96);
        assert!(quarter("from", "14:10").is_err());
        assert!(quarter("from", "25:00").is_err());
    }
}
