//! The figures of a capability test.

use std::sync::LazyLock;

use serde::Deserialize;
use toml::Spanned;

use crate::rules::{self, Dated, Head, PackId, Refusal, RuleError, refusal};

/// What the capability is for: how near is near enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Following a regulation signal.
    Regulation,
    /// Demand response and peak shaving.
    DemandResponse,
}

/// The figures of a capability test.
#[derive(Clone, Debug, PartialEq)]
pub struct CapabilityRules {
    pack: PackId,
    raw: RawPack,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPack {
    pack: Head,
    steps: Spanned<Dated<Vec<f64>>>,
    repeats: Spanned<Dated<u32>>,
    rest_s: Spanned<Dated<f64>>,
    hold_s: Spanned<Dated<f64>>,
    threshold: Spanned<Dated<f64>>,
    band_regulation: Spanned<Dated<f64>>,
    band_demand_response: Spanned<Dated<f64>>,
    settle_s: Spanned<Dated<f64>>,
    admission_connected_kw: Spanned<Dated<f64>>,
    admission_adjustable_kw: Spanned<Dated<f64>>,
    admission_ramp_per_min: Spanned<Dated<f64>>,
    admission_sustain_s: Spanned<Dated<f64>>,
}

impl CapabilityRules {
    /// The pack that comes with this crate.
    ///
    /// # Panics
    /// Never: a test reads it.
    #[must_use]
    pub fn standard() -> &'static CapabilityRules {
        static PACK: LazyLock<CapabilityRules> = LazyLock::new(|| {
            CapabilityRules::parse(include_str!("../../rules/capability-test.toml"))
                .expect("the pack that comes with the crate is sound")
        });
        &PACK
    }

    /// Reads a pack from text.
    ///
    /// # Errors
    /// The first figure that is missing, of the wrong type or impossible, with its line.
    pub fn parse(text: &str) -> Result<CapabilityRules, RuleError> {
        rules::parse(text, RawPack::check)
    }

    /// Which pack it is, for the record of a test.
    #[must_use]
    pub fn pack(&self) -> &PackId {
        &self.pack
    }

    /// Shares of the capacity, ascending.
    #[must_use]
    pub fn steps(&self) -> &[f64] {
        &self.raw.steps.get_ref().value
    }

    /// How often all steps are taken.
    #[must_use]
    pub fn repeats(&self) -> u32 {
        self.raw.repeats.get_ref().value
    }

    /// How long nothing is asked for before a step, s.
    #[must_use]
    pub fn rest_s(&self) -> f64 {
        self.raw.rest_s.get_ref().value
    }

    /// How long a step is kept, s.
    #[must_use]
    pub fn hold_s(&self) -> f64 {
        self.raw.hold_s.get_ref().value
    }

    /// How long it must be within the band to count as settled, s.
    #[must_use]
    pub fn settle_s(&self) -> f64 {
        self.raw.settle_s.get_ref().value
    }

    pub(super) fn threshold(&self) -> f64 {
        self.raw.threshold.get_ref().value
    }

    /// What counts as there, share of the target.
    #[must_use]
    pub fn band(&self, purpose: Purpose) -> f64 {
        match purpose {
            Purpose::Regulation => &self.raw.band_regulation,
            Purpose::DemandResponse => &self.raw.band_demand_response,
        }
        .get_ref()
        .value
    }

    /// Least power connected and adjustable, kW; least ramp, 1/min; least sustain, s.
    #[must_use]
    pub fn admission(&self) -> [f64; 4] {
        let raw = &self.raw;
        [
            &raw.admission_connected_kw,
            &raw.admission_adjustable_kw,
            &raw.admission_ramp_per_min,
            &raw.admission_sustain_s,
        ]
        .map(|figure| figure.get_ref().value)
    }
}

impl RawPack {
    fn check(self) -> Result<CapabilityRules, Refusal> {
        let (pack, _) = self.pack.clone().check()?;
        let steps = &self.steps.get_ref().value;
        let ascending = steps.windows(2).all(|pair| pair[0] < pair[1]);
        let inside = |share: &f64| *share > 0.0 && *share <= 1.0;
        if steps.is_empty() || !ascending || !steps.iter().all(inside) {
            let problem = "must be ascending shares above 0 and up to 1".to_owned();
            return Err(refusal(&self.steps, "steps", problem));
        }
        if !(1..=100).contains(&self.repeats.get_ref().value) {
            let problem = "must be 1 to 100".to_owned();
            return Err(refusal(&self.repeats, "repeats", problem));
        }
        let day = 86_400.0;
        let ranges = [
            ("rest_s", &self.rest_s, 1.0, day),
            ("hold_s", &self.hold_s, 1.0, day),
            ("settle_s", &self.settle_s, 1.0, self.hold_s.get_ref().value),
            ("threshold", &self.threshold, 1e-6, 0.5),
            ("band_regulation", &self.band_regulation, 1e-6, 1.0),
            (
                "band_demand_response",
                &self.band_demand_response,
                1e-6,
                1.0,
            ),
            (
                "admission_connected_kw",
                &self.admission_connected_kw,
                0.0,
                1e9,
            ),
            (
                "admission_adjustable_kw",
                &self.admission_adjustable_kw,
                0.0,
                1e9,
            ),
            (
                "admission_ramp_per_min",
                &self.admission_ramp_per_min,
                0.0,
                1e3,
            ),
            ("admission_sustain_s", &self.admission_sustain_s, 0.0, day),
        ];
        for (name, figure, low, high) in ranges {
            let value = figure.get_ref().value;
            if !(low..=high).contains(&value) {
                let problem = format!("{value} is outside {low} to {high}");
                return Err(refusal(figure, name, problem));
            }
        }
        Ok(CapabilityRules { pack, raw: self })
    }
}
