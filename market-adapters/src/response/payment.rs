//! What a response earns, by templates that are data of the rule pack `response-payments`.
//!
//! ```text
//! delivered = Σ max(0, ±(baseline − actual))       over the quarters of a step; − for filling a valley
//! ratio     = delivered / cleared                  of that step
//! gross     = price · pay(ratio)                   by the band that the ratio lies in
//! penalty   = price · factor · (lacks_to · cleared − delivered)⁺
//! net       = gross − penalty;  distributable = max(0, net)
//! ```
//!
//! Only what was delivered counts: drawing more in one quarter does not undo drawing less in another. Gross and penalty are
//! rounded to the fen, once for each event.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use chrono::NaiveDate;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::Deserialize;
use toml::Spanned;
use vpp_core::{Invalid, Price};

use super::SLOTS;
use crate::rules::{self, Head, PackId, Refusal, RuleError, Status, date, optional_date, refusal};

/// Which way the event asks to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Draw less: peak shaving.
    Shaving,
    /// Draw more: valley filling.
    Filling,
}

/// What was cleared and what came, quarter of an hour by quarter of an hour; energies in Wh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Which way.
    pub direction: Direction,
    /// The first quarter's number in its local day: steps of an hour begin on the hour.
    pub first_slot: usize,
    /// Without the event.
    pub baseline_wh: Vec<i64>,
    /// As metered; an export is negative.
    pub actual_wh: Vec<i64>,
    /// What was cleared; not negative.
    pub cleared_wh: Vec<i64>,
}

/// What it comes to. Money in fen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Payment {
    /// Wh cleared.
    pub cleared_wh: i64,
    /// Wh delivered, whatever is paid of it.
    pub delivered_wh: i64,
    /// Paid for what was delivered.
    pub gross_fen: i64,
    /// Taken for what was not; not negative.
    pub penalty_fen: i64,
}

impl Payment {
    /// What remains; negative where the penalty is more than what is paid.
    #[must_use]
    pub fn net_fen(&self) -> i64 {
        self.gross_fen - self.penalty_fen
    }

    /// What can be shared out.
    #[must_use]
    pub fn distributable_fen(&self) -> i64 {
        self.net_fen().max(0)
    }

    /// Delivered over cleared; none where nothing was cleared.
    #[must_use]
    pub fn ratio(&self) -> Option<Decimal> {
        ratio(self.delivered_wh, self.cleared_wh)
    }
}

/// What is judged by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Each quarter of an hour.
    Slot,
    /// Each hour of the clock.
    Hour,
    /// The event as a whole.
    Event,
}

/// What is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pays {
    /// Nothing.
    Nothing,
    /// What was delivered.
    Delivered,
    /// What was delivered, times the ratio where that is below 1.
    InProportion,
}

/// How ratios from one bound on are paid.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Band {
    /// Least ratio.
    pub from: Decimal,
    /// What is paid for.
    pub pays: Pays,
    /// Up to which ratio.
    #[serde(default)]
    pub paid_to: Decimal,
    /// Up to which ratio energy counts as lacking.
    #[serde(default)]
    pub lacks_to: Decimal,
    /// What each kWh of it costs, in prices.
    #[serde(default)]
    pub penalty: Decimal,
}

/// A template.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// Its name.
    pub name: String,
    raw: RawTemplate,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTemplate {
    step: Step,
    bands: Vec<Band>,
    #[serde(default)]
    deviation_at_most: Option<Decimal>,
    #[serde(default)]
    coefficient: Option<Decimal>,
    #[serde(default)]
    mean_below_baseline: bool,
    #[serde(default)]
    most_below_baseline: bool,
    #[serde(deserialize_with = "date")]
    valid_from: NaiveDate,
    #[serde(default, deserialize_with = "optional_date")]
    valid_to: Option<NaiveDate>,
    source: String,
    status: Status,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPack {
    pack: Head,
    template: BTreeMap<String, Spanned<RawTemplate>>,
}

/// The templates of a rule pack.
#[derive(Clone, Debug, PartialEq)]
pub struct PaymentRules {
    /// Which it is.
    pub pack: PackId,
    templates: Vec<Template>,
}

impl PaymentRules {
    /// The pack that comes with this crate.
    ///
    /// # Panics
    /// Never: a test reads it.
    #[must_use]
    pub fn standard() -> &'static PaymentRules {
        static PACK: LazyLock<PaymentRules> = LazyLock::new(|| {
            PaymentRules::parse(include_str!("../../rules/response-payments.toml"))
                .expect("the pack that comes with the crate is sound")
        });
        &PACK
    }

    /// Reads a pack from text.
    ///
    /// # Errors
    /// The first template that is impossible, with its line.
    pub fn parse(text: &str) -> Result<PaymentRules, RuleError> {
        rules::parse(text, RawPack::check)
    }

    /// All templates.
    #[must_use]
    pub fn templates(&self) -> &[Template] {
        &self.templates
    }

    /// A template by its name.
    #[must_use]
    pub fn template(&self, name: &str) -> Option<&Template> {
        self.templates.iter().find(|template| template.name == name)
    }
}

impl Template {
    /// How sure it is.
    #[must_use]
    pub fn status(&self) -> Status {
        self.raw.status
    }

    /// Where it comes from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.raw.source
    }

    /// Checks that it holds on a local day.
    ///
    /// # Errors
    /// The bound that the day lies beyond.
    pub fn require_in_force(&self, day: NaiveDate) -> Result<(), Invalid> {
        rules::holds_on(&self.name, self.raw.valid_from, self.raw.valid_to, day)
    }

    /// What a response earns at a price.
    ///
    /// # Errors
    /// Series of different lengths or longer than a day, a negative cleared energy, an energy beyond belief.
    pub fn pay(&self, response: &Response, price: Price) -> Result<Payment, Invalid> {
        response.check()?;
        let mut payment = Payment {
            cleared_wh: response.cleared_wh.iter().sum(),
            delivered_wh: (0..response.cleared_wh.len())
                .map(|slot| response.delivered(slot))
                .sum(),
            ..Payment::default()
        };
        if !self.is_valid(response) {
            return Ok(payment);
        }
        let (mut paid, mut lacking) = (Decimal::ZERO, Decimal::ZERO);
        for step in response.steps(self.raw.step) {
            let sum = |of: &dyn Fn(usize) -> i64| step.clone().map(of).sum::<i64>();
            let cleared = sum(&|slot| response.cleared_wh[slot]);
            let delivered = sum(&|slot| response.delivered(slot));
            let (pays, lacks) = self.step(cleared, delivered);
            paid += pays;
            lacking += lacks;
        }
        let fen = |wh: Decimal| {
            let cny = wh / Decimal::ONE_THOUSAND * price.as_cny_per_kwh();
            let fen = (cny * Decimal::ONE_HUNDRED)
                .round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero);
            i64::try_from(fen).map_err(|_| Invalid::new("price", "gives more than can be counted"))
        };
        payment.gross_fen = fen(paid)?;
        payment.penalty_fen = fen(lacking)?;
        Ok(payment)
    }

    /// Wh paid for, and Wh that count as lacking, each weighed by its factor.
    fn step(&self, cleared: i64, delivered: i64) -> (Decimal, Decimal) {
        let Some(ratio) = ratio(delivered, cleared) else {
            return (Decimal::ZERO, Decimal::ZERO);
        };
        let deviation = (ratio - Decimal::ONE).abs();
        if (self.raw.deviation_at_most).is_some_and(|most| deviation > most) {
            return (Decimal::ZERO, Decimal::ZERO);
        }
        let bands = self.raw.bands.iter().rev();
        let Some(band) = bands.into_iter().find(|band| ratio >= band.from) else {
            return (Decimal::ZERO, Decimal::ZERO);
        };
        let (cleared, delivered) = (Decimal::from(cleared), Decimal::from(delivered));
        let counted = delivered.min(band.paid_to * cleared);
        let coefficient = self.raw.coefficient.unwrap_or(Decimal::ONE);
        let pays = coefficient
            * match band.pays {
                Pays::Nothing => Decimal::ZERO,
                Pays::Delivered => counted,
                Pays::InProportion => counted * ratio.min(Decimal::ONE),
            };
        let lacks = (band.lacks_to * cleared - delivered).max(Decimal::ZERO) * band.penalty;
        (pays, lacks)
    }

    fn is_valid(&self, response: &Response) -> bool {
        let sign = response.sign();
        let lower = |of: fn(&[i64], i64) -> i64| {
            of(&response.actual_wh, sign) < of(&response.baseline_wh, sign)
        };
        let most =
            |series: &[i64], sign: i64| series.iter().map(|wh| wh * sign).max().unwrap_or_default();
        let sum = |series: &[i64], sign: i64| series.iter().map(|wh| wh * sign).sum();
        (!self.raw.mean_below_baseline || lower(sum))
            && (!self.raw.most_below_baseline || lower(most))
    }
}

impl Response {
    fn sign(&self) -> i64 {
        match self.direction {
            Direction::Shaving => 1,
            Direction::Filling => -1,
        }
    }

    /// Wh delivered in a quarter of an hour.
    fn delivered(&self, slot: usize) -> i64 {
        let less = self.baseline_wh[slot] - self.actual_wh[slot];
        (self.sign() * less).max(0)
    }

    fn steps(&self, step: Step) -> Vec<std::ops::Range<usize>> {
        let slots = self.cleared_wh.len();
        match step {
            Step::Event => std::iter::once(0..slots).collect(),
            Step::Slot => (0..slots).map(|slot| slot..slot + 1).collect(),
            Step::Hour => {
                let hour_of = |slot: usize| (self.first_slot + slot) / 4;
                let mut steps: Vec<std::ops::Range<usize>> = Vec::new();
                for slot in 0..slots {
                    match steps.last_mut() {
                        Some(last) if hour_of(last.start) == hour_of(slot) => last.end = slot + 1,
                        _ => steps.push(slot..slot + 1),
                    }
                }
                steps
            }
        }
    }

    fn check(&self) -> Result<(), Invalid> {
        /// 1 TWh in a quarter of an hour: beyond any account.
        const BOUND: u64 = 1_000_000_000_000;
        let slots = self.cleared_wh.len();
        if slots == 0 || self.first_slot + slots > SLOTS {
            let problem = format!(
                "{slots} quarters of an hour from {} on are none or do not fit into a day",
                self.first_slot
            );
            return Err(Invalid::new("cleared_wh", problem));
        }
        for (field, series) in [
            ("baseline_wh", &self.baseline_wh),
            ("actual_wh", &self.actual_wh),
            ("cleared_wh", &self.cleared_wh),
        ] {
            if series.len() != slots {
                let problem = format!("has {} entries for {slots}", series.len());
                return Err(Invalid::new(field, problem));
            }
            if let Some(at) = series.iter().position(|wh| wh.unsigned_abs() > BOUND) {
                let problem = format!("{} Wh is beyond belief", series[at]);
                return Err(Invalid::new(format!("{field}[{at}]"), problem));
            }
        }
        if let Some(at) = self.cleared_wh.iter().position(|wh| *wh < 0) {
            let problem = format!("{} Wh is negative", self.cleared_wh[at]);
            return Err(Invalid::new(format!("cleared_wh[{at}]"), problem));
        }
        Ok(())
    }
}

fn ratio(delivered: i64, cleared: i64) -> Option<Decimal> {
    (cleared > 0).then(|| Decimal::from(delivered) / Decimal::from(cleared))
}

impl RawPack {
    fn check(self) -> Result<PaymentRules, Refusal> {
        let (pack, _) = self.pack.check()?;
        let mut templates = Vec::new();
        for (name, spanned) in self.template {
            let field = format!("template.{name}");
            (spanned.get_ref().check())
                .map_err(|problem| refusal(&spanned, &field, problem.to_owned()))?;
            let raw = spanned.into_inner();
            templates.push(Template { name, raw });
        }
        Ok(PaymentRules { pack, templates })
    }
}

impl RawTemplate {
    fn check(&self) -> Result<(), &'static str> {
        let ascending = (self.bands.windows(2)).all(|pair| pair[0].from < pair[1].from);
        if self.bands.first().is_none_or(|band| !band.from.is_zero()) || !ascending {
            return Err("bands must begin at 0 and ascend");
        }
        let most = Decimal::TEN;
        let within = |value: Decimal| (Decimal::ZERO..=most).contains(&value);
        let sound = |band: &Band| {
            within(band.from)
                && within(band.paid_to)
                && within(band.lacks_to)
                && within(band.penalty)
        };
        if !self.bands.iter().all(sound) {
            return Err("figures of bands must be 0 to 10");
        }
        if !within(self.coefficient.unwrap_or_default())
            || !within(self.deviation_at_most.unwrap_or_default())
        {
            return Err("coefficient and deviation_at_most must be 0 to 10");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
