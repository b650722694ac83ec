//! The composite index of Chinese regulation markets: each command scored by ramp, response time and precision.
//!
//! ```text
//! k1 = V / V_standard, cut to its cap      V: ramp from first movement to target
//! k2 = 1 − T / T0, at least 0              T: from the command to first movement
//! k3 = 1 − E / (E0 · rated), at least 0    E: mean |got − asked| once the target is reached
//! K  = w1·k1 + w2·k2 + w3·k3, or their product; mean over the effective commands
//! fee = M · D · B · min(K, cap)            D: mileage, MW; B: clearing price, CNY/MW
//! ```
//!
//! The rules read do not say that `k2` and `k3` end at 0; here they do. A command that asks for less movement than
//! counts as any is not effective. The target is reached within `E0 · rated` of it; if it never is, the ramp counts to
//! the end of the command and the error from its first movement (its beginning where there is none). Between samples
//! power is taken as linear.

use std::sync::LazyLock;

use chrono_tz::Tz;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::Deserialize;
use toml::Spanned;
use vpp_core::{Invalid, Money, Timestamp};

use super::{Record, Sample};
use crate::rules::{self, Dated, Head, PackId, Refusal, RuleError, refusal};

/// How the three become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Combine {
    /// Weighted sum.
    Sum,
    /// Product of those with a weight.
    Product,
}

/// The figures of a composite index.
#[derive(Clone, Debug, PartialEq)]
pub struct CompositeRules {
    pack: PackId,
    zone: Tz,
    combine: Combine,
    weights: Dated<[f64; 3]>,
    ramp_cap: Dated<f64>,
    standard_ramp_per_min: Dated<f64>,
    response_limit_s: Dated<f64>,
    error_limit: Dated<f64>,
    movement: Dated<f64>,
    decimals: Dated<u32>,
    settlement_cap: Dated<Decimal>,
    fee_factor: Dated<Decimal>,
    admission: Dated<f64>,
}

/// One effective command.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CommandScore {
    /// When it came, s.
    pub at_s: f64,
    /// Ramp, kW/min; infinite where the target was reached as soon as anything moved; 0 where nothing moved.
    pub ramp_kw_per_min: f64,
    /// From the command to first movement, s; the command's whole length where nothing moved.
    pub response_s: f64,
    /// Mean distance from the target, kW.
    pub error_kw: f64,
    /// Ramp over the standard ramp, capped.
    pub k1: f64,
    /// Response time.
    pub k2: f64,
    /// Precision.
    pub k3: f64,
    /// The three together.
    pub k: f64,
    /// How far the plant moved, as far as it was asked to, kW.
    pub mileage_kw: f64,
}

/// A period's score.
#[derive(Clone, Debug, PartialEq)]
pub struct CompositeScore {
    /// Its effective commands.
    pub commands: Vec<CommandScore>,
    /// Mean over the commands, rounded as the rule says; none without an effective command.
    pub k: Option<Decimal>,
    /// Mileage, kW.
    pub mileage_kw: f64,
    /// Whether the score admits the plant to the market.
    pub admitted: bool,
}

impl CompositeRules {
    /// The packs that come with this crate.
    ///
    /// # Panics
    /// Never: a test reads them.
    #[must_use]
    pub fn known() -> &'static [CompositeRules] {
        static KNOWN: LazyLock<Vec<CompositeRules>> = LazyLock::new(|| {
            let texts = [
                include_str!("../../rules/hunan-2025.toml"),
                include_str!("../../rules/southern-2025.toml"),
            ];
            let packs = texts.map(|text| {
                CompositeRules::parse(text).expect("packs that come with the crate are sound")
            });
            packs.into()
        });
        &KNOWN
    }

    /// The pack of that name, or of that name and version.
    #[must_use]
    pub fn by_name(name: &str) -> Option<&'static CompositeRules> {
        CompositeRules::known()
            .iter()
            .find(|rules| rules.pack.is_meant_by(name))
    }

    /// Reads a pack from text.
    ///
    /// # Errors
    /// The first figure that is missing, of the wrong type or impossible, with its line.
    pub fn parse(text: &str) -> Result<CompositeRules, RuleError> {
        rules::parse(text, RawPack::check)
    }

    /// Which pack it is, for the record of a run.
    #[must_use]
    pub fn pack(&self) -> &PackId {
        &self.pack
    }

    /// Whether every figure is quoted from the rule.
    #[must_use]
    pub fn is_sourced(&self) -> bool {
        let numbers = [
            &self.ramp_cap,
            &self.standard_ramp_per_min,
            &self.response_limit_s,
            &self.error_limit,
            &self.movement,
            &self.admission,
        ];
        let statuses = numbers.into_iter().map(|figure| figure.status);
        let others = [
            self.weights.status,
            self.decimals.status,
            self.settlement_cap.status,
            self.fee_factor.status,
        ];
        statuses
            .chain(others)
            .all(|status| status != rules::Status::Unverified)
    }

    /// Checks that all figures hold at an instant.
    ///
    /// # Errors
    /// The first figure that is not in force then.
    pub fn require_in_force(&self, at: Timestamp) -> Result<(), Invalid> {
        self.weights.require_in_force("weights", at, self.zone)?;
        let figures = [
            ("ramp_cap", &self.ramp_cap),
            ("standard_ramp_per_min", &self.standard_ramp_per_min),
            ("response_limit_s", &self.response_limit_s),
            ("error_limit", &self.error_limit),
            ("movement", &self.movement),
            ("admission", &self.admission),
        ];
        rules::require_all(&figures, at, self.zone)?;
        self.decimals.require_in_force("decimals", at, self.zone)?;
        self.settlement_cap
            .require_in_force("settlement_cap", at, self.zone)?;
        self.fee_factor
            .require_in_force("fee_factor", at, self.zone)
    }

    /// Scores a period.
    #[must_use]
    pub fn score(&self, record: &Record) -> CompositeScore {
        let samples = record.samples();
        let mut commands = Vec::new();
        let mut begin = 0;
        for end in 1..=samples.len() {
            let same = end < samples.len()
                && (samples[end].asked_kw - samples[begin].asked_kw).abs() <= f64::EPSILON;
            if same {
                continue;
            }
            // The first sample of the next command still shows what this one led to.
            let last = end.min(samples.len() - 1);
            commands.extend(self.score_command(&samples[begin..=last], record.rated_kw()));
            begin = end;
        }
        #[allow(clippy::cast_precision_loss)]
        let mean = (!commands.is_empty())
            .then(|| commands.iter().map(|command| command.k).sum::<f64>() / commands.len() as f64);
        let k = mean.and_then(Decimal::from_f64_retain).map(|k| {
            k.round_dp_with_strategy(self.decimals.value, RoundingStrategy::MidpointAwayFromZero)
        });
        CompositeScore {
            mileage_kw: commands.iter().map(|command| command.mileage_kw).sum(),
            admitted: mean.is_some_and(|mean| mean >= self.admission.value),
            commands,
            k,
        }
    }

    /// What a period earns at a clearing price of mileage, CNY/MW, to the fen.
    #[must_use]
    pub fn fee(&self, score: &CompositeScore, clearing_price: Decimal) -> Money {
        let k = score.k.unwrap_or_default().min(self.settlement_cap.value);
        let mileage_mw = Decimal::from_f64_retain(score.mileage_kw / 1e3).unwrap_or_default();
        let fee = self.fee_factor.value * mileage_mw * clearing_price * k;
        Money::from_cny(fee.round_dp_with_strategy(2, RoundingStrategy::MidpointAwayFromZero))
    }

    /// One command: samples from the one at which it came.
    fn score_command(&self, samples: &[Sample], rated_kw: f64) -> Option<CommandScore> {
        let (first, last) = (samples.first()?, samples.last()?);
        let asked = first.asked_kw - first.got_kw;
        let movement = self.movement.value * rated_kw;
        if asked.abs() <= movement || last.at_s <= first.at_s {
            return None;
        }
        // Progress towards the target, kW.
        let towards = |sample: &Sample| (sample.got_kw - first.got_kw) * asked.signum();
        let crossing = |level: f64| {
            let pair = samples.windows(2).find(|pair| towards(&pair[1]) >= level)?;
            let (from, to) = (towards(&pair[0]), towards(&pair[1]));
            let share = ((level - from) / (to - from)).clamp(0.0, 1.0);
            Some(pair[0].at_s + share * (pair[1].at_s - pair[0].at_s))
        };
        let tolerance = self.error_limit.value * rated_kw;
        let moved_at = crossing(movement);
        let target = (asked.abs() - tolerance).max(movement);
        let reached_at = crossing(target);
        let length = last.at_s - first.at_s;
        let response_s = moved_at.map_or(length, |at| at - first.at_s);
        let ramp_kw_per_min = match (moved_at, reached_at) {
            (Some(from), Some(to)) => 60.0 * (target - movement) / (to - from),
            (Some(from), None) => 60.0 * (towards(last) - movement).max(0.0) / (last.at_s - from),
            (None, _) => 0.0,
        };
        let ramp = if ramp_kw_per_min.is_nan() {
            f64::INFINITY
        } else {
            ramp_kw_per_min
        };
        let judged_from = reached_at.or(moved_at).unwrap_or(first.at_s);
        let error_kw = mean_distance(samples, first.asked_kw, judged_from);
        let standard = self.standard_ramp_per_min.value * rated_kw;
        let k1 = (ramp / standard).min(self.ramp_cap.value);
        let late = if moved_at.is_some() {
            response_s
        } else {
            f64::INFINITY
        };
        let k2 = (1.0 - late / self.response_limit_s.value).max(0.0);
        let k3 = (1.0 - error_kw / tolerance).max(0.0);
        let parts = self.weights.value.into_iter().zip([k1, k2, k3]);
        let k = match self.combine {
            Combine::Sum => parts.map(|(weight, k)| weight * k).sum(),
            Combine::Product => parts
                .filter(|(weight, _)| *weight > 0.0)
                .map(|(_, k)| k)
                .product(),
        };
        Some(CommandScore {
            at_s: first.at_s,
            ramp_kw_per_min: ramp,
            response_s,
            error_kw,
            k1,
            k2,
            k3,
            k,
            mileage_kw: (last.got_kw - first.got_kw).abs().min(asked.abs()),
        })
    }
}

/// Mean of `|got − target|` over time from an instant on, power linear between samples.
fn mean_distance(samples: &[Sample], target: f64, from: f64) -> f64 {
    let (mut area, mut length) = (0.0, 0.0);
    for pair in samples.windows(2) {
        let (start, end) = (pair[0].at_s.max(from), pair[1].at_s);
        if end <= start {
            continue;
        }
        let at = |time: f64| {
            let share = (time - pair[0].at_s) / (pair[1].at_s - pair[0].at_s);
            pair[0].got_kw + share * (pair[1].got_kw - pair[0].got_kw) - target
        };
        let (a, b) = (at(start), at(end));
        let mean = if a * b >= 0.0 {
            0.5 * (a + b).abs()
        } else {
            // Two triangles.
            0.5 * (a * a + b * b) / (a - b).abs()
        };
        area += mean * (end - start);
        length += end - start;
    }
    if length > 0.0 {
        area / length
    } else {
        samples
            .last()
            .map_or(0.0, |last| (last.got_kw - target).abs())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPack {
    pack: Head,
    combine: Combine,
    weights: Spanned<Dated<[f64; 3]>>,
    ramp_cap: Spanned<Dated<f64>>,
    standard_ramp_per_min: Spanned<Dated<f64>>,
    response_limit_s: Spanned<Dated<f64>>,
    error_limit: Spanned<Dated<f64>>,
    movement: Spanned<Dated<f64>>,
    decimals: Dated<u32>,
    settlement_cap: Dated<Decimal>,
    fee_factor: Dated<Decimal>,
    admission: Dated<f64>,
}

impl RawPack {
    fn check(self) -> Result<CompositeRules, Refusal> {
        let (pack, zone) = self.pack.check()?;
        let weights = self.weights.get_ref().value;
        if weights.iter().any(|weight| !(0.0..=1.0).contains(weight))
            || (weights.iter().sum::<f64>() - 1.0).abs() > 1e-9
        {
            let problem = format!("{weights:?} are no shares of 1");
            return Err(refusal(&self.weights, "weights.value", problem));
        }
        for (field, figure) in [
            ("ramp_cap.value", &self.ramp_cap),
            ("standard_ramp_per_min.value", &self.standard_ramp_per_min),
            ("response_limit_s.value", &self.response_limit_s),
            ("error_limit.value", &self.error_limit),
            ("movement.value", &self.movement),
        ] {
            let value = figure.get_ref().value;
            if !(value > 0.0 && value <= 3_600.0) {
                let problem = format!("{value} is not above 0 and up to 3600");
                return Err(refusal(figure, field, problem));
            }
        }
        Ok(CompositeRules {
            pack,
            zone,
            combine: self.combine,
            weights: self.weights.into_inner(),
            ramp_cap: self.ramp_cap.into_inner(),
            standard_ramp_per_min: self.standard_ramp_per_min.into_inner(),
            response_limit_s: self.response_limit_s.into_inner(),
            error_limit: self.error_limit.into_inner(),
            movement: self.movement.into_inner(),
            decimals: self.decimals,
            settlement_cap: self.settlement_cap,
            fee_factor: self.fee_factor,
            admission: self.admission,
        })
    }
}
