//! Grid frequency as a regulation signal: a governor's droop with a dead band.
//!
//! ```text
//! e = nominal − frequency                      Hz; positive: too slow, draw less
//! signal = sign(e) · min(1, max(0, |e| − dead band) / (droop · nominal))
//! ```

use std::sync::LazyLock;

use serde::Deserialize;
use toml::Spanned;
use vpp_core::Invalid;

use crate::rules::{self, Dated, Head, PackId, Refusal, RuleError, Status, refusal};

/// Frequencies outside this share of the nominal one are no measurement: units trip long before.
const CREDIBLE: f64 = 0.2;

/// A droop with a dead band.
#[derive(Clone, Debug, PartialEq)]
pub struct Droop {
    /// Where nothing is asked for, Hz.
    pub nominal_hz: f64,
    /// Within so much of it, still nothing, Hz.
    pub dead_band_hz: f64,
    /// Beyond the dead band by so much, as a share of the nominal frequency, everything is asked for.
    pub droop: f64,
    /// Which pack it is.
    pub pack: PackId,
    /// Whether all of its figures are sourced.
    pub sourced: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPack {
    pack: Head,
    nominal_hz: Spanned<Dated<f64>>,
    dead_band_hz: Spanned<Dated<f64>>,
    droop: Spanned<Dated<f64>>,
}

impl Droop {
    /// The pack that comes with this crate.
    ///
    /// # Panics
    /// Never: a test reads it.
    #[must_use]
    pub fn standard() -> &'static Droop {
        static PACK: LazyLock<Droop> = LazyLock::new(|| {
            Droop::parse(include_str!("../../rules/primary-frequency.toml"))
                .expect("the pack that comes with the crate is sound")
        });
        &PACK
    }

    /// Reads a pack from text.
    ///
    /// # Errors
    /// The first figure that is missing, of the wrong type or impossible, with its line.
    pub fn parse(text: &str) -> Result<Droop, RuleError> {
        rules::parse(text, RawPack::check)
    }

    /// Checks figures that were set by hand.
    ///
    /// # Errors
    /// The first that cannot be.
    pub fn check(&self) -> Result<(), Invalid> {
        let bounds = [
            ("nominal_hz", self.nominal_hz, 1.0, 1_000.0),
            (
                "dead_band_hz",
                self.dead_band_hz,
                0.0,
                CREDIBLE * self.nominal_hz,
            ),
            ("droop", self.droop, 1e-6, 1.0),
        ];
        for (field, value, low, high) in bounds {
            if !(low..=high).contains(&value) {
                let problem = format!("{value} is outside {low} to {high}");
                return Err(Invalid::new(field, problem));
            }
        }
        Ok(())
    }

    /// What a frequency asks for: −1 to 1, positive: draw less.
    ///
    /// # Errors
    /// A frequency that is not a number or too far from the nominal one to be a measurement: nothing follows from it.
    pub fn signal(&self, frequency_hz: f64) -> Result<f64, Invalid> {
        let error = self.nominal_hz - frequency_hz;
        let bound = CREDIBLE * self.nominal_hz;
        if error.is_nan() || error.abs() > bound {
            let problem = format!(
                "{frequency_hz} Hz is no frequency of a grid of {} Hz",
                self.nominal_hz
            );
            return Err(Invalid::new("frequency_hz", problem));
        }
        let beyond = (error.abs() - self.dead_band_hz).max(0.0);
        let share = (beyond / (self.droop * self.nominal_hz)).min(1.0);
        Ok(if share > 0.0 {
            share.copysign(error)
        } else {
            0.0
        })
    }
}

impl RawPack {
    fn check(self) -> Result<Droop, Refusal> {
        let (pack, _) = self.pack.check()?;
        let figures = [&self.nominal_hz, &self.dead_band_hz, &self.droop];
        let droop = Droop {
            nominal_hz: self.nominal_hz.get_ref().value,
            dead_band_hz: self.dead_band_hz.get_ref().value,
            droop: self.droop.get_ref().value,
            pack,
            sourced: (figures.iter()).all(|figure| figure.get_ref().status != Status::Unverified),
        };
        droop.check().map_err(|invalid| {
            let at = figures
                .into_iter()
                .zip(["nominal_hz", "dead_band_hz", "droop"]);
            let found = at.into_iter().find(|(_, name)| *name == invalid.field);
            let at = found.map_or(&self.nominal_hz, |(figure, _)| figure);
            refusal(at, &invalid.field, invalid.problem)
        })?;
        Ok(droop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: dead band 0.03 Hz, all at 0.5 % of 50 Hz = 0.25 Hz beyond it.
    #[test]
    fn nothing_inside_the_band_then_in_proportion_then_everything() {
        let droop = Droop {
            dead_band_hz: 0.03,
            droop: 0.005,
            ..Droop::standard().clone()
        };
        let table = [
            (50.0, 0.0),
            (49.97, 0.0),
            (50.03, 0.0),
            (49.845, 0.5),
            (50.155, -0.5),
            (49.72, 1.0),
            (49.0, 1.0),
            (51.0, -1.0),
        ];
        for (frequency, expected) in table {
            let signal = droop.signal(frequency).unwrap();
            assert!((signal - expected).abs() < 1e-9, "{frequency}: {signal}");
        }
    }

    #[test]
    fn what_is_no_frequency_asks_for_nothing() {
        for frequency in [f64::NAN, f64::INFINITY, 0.0, -50.0, 60.1] {
            assert!(Droop::standard().signal(frequency).is_err(), "{frequency}");
        }
    }

    #[test]
    fn a_pack_says_what_it_does_not_know_and_where_it_is_wrong() {
        assert!(!Droop::standard().sourced);
        let text = include_str!("../../rules/primary-frequency.toml");
        let wrong = text.replace("value = 0.005", "value = 0.0");
        let message = Droop::parse(&wrong).unwrap_err().to_string();
        assert!(message.contains("droop: 0 is outside"), "{message}");
        assert!(message.starts_with("line 2"), "{message}");
    }
}
