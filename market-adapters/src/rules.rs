//! What every figure of a rule pack carries, and how a pack can be wrong.

use std::path::PathBuf;

use chrono::{NaiveDate, TimeZone};
use chrono_tz::Tz;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use toml::Spanned;
use vpp_core::{Invalid, Timestamp};

/// How sure a figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Stated by the city's own document.
    Seed,
    /// Quoted from the rule, or from press that quotes it.
    Sourced,
    /// General knowledge or a stand-in: a parameter, never to be shown as the rule.
    Unverified,
}

/// A figure with its validity and source.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dated<T> {
    /// The figure.
    pub value: T,
    /// First day on which it holds, local.
    #[serde(deserialize_with = "date")]
    pub valid_from: NaiveDate,
    /// First day on which it no longer holds, local; none when no end is known.
    #[serde(default, deserialize_with = "optional_date")]
    pub valid_to: Option<NaiveDate>,
    /// Where it comes from.
    pub source: String,
    /// How sure it is.
    pub status: Status,
}

impl Status {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Status::Seed => "seed",
            Status::Sourced => "sourced",
            Status::Unverified => "unverified",
        }
    }
}

impl<T> Dated<T> {
    /// Checks that the figure holds at `at`, in the rule's time zone.
    ///
    /// # Errors
    /// `field` is refused with the bound that `at` lies beyond.
    pub fn require_in_force(&self, field: &str, at: Timestamp, zone: Tz) -> Result<(), Invalid> {
        in_force(field, self.valid_from, self.valid_to, at, zone)
    }
}

/// Checks that figures hold at `at`; the first that does not is refused.
pub(crate) fn require_all<T>(
    figures: &[(&str, &Dated<T>)],
    at: Timestamp,
    zone: Tz,
) -> Result<(), Invalid> {
    let mut checks = figures
        .iter()
        .map(|(field, figure)| figure.require_in_force(field, at, zone));
    checks.try_for_each(|check| check)
}

pub(crate) fn in_force(
    field: &str,
    valid_from: NaiveDate,
    valid_to: Option<NaiveDate>,
    at: Timestamp,
    zone: Tz,
) -> Result<(), Invalid> {
    let day = zone.from_utc_datetime(&at.naive_utc()).date_naive();
    if day < valid_from {
        let problem = format!("{day} is before {valid_from}, when the figure comes into force");
        return Err(Invalid::new(field, problem));
    }
    match valid_to {
        Some(end) if day >= end => {
            let problem = format!("{day} is not before {end}, when the figure ends");
            Err(Invalid::new(field, problem))
        }
        _ => Ok(()),
    }
}

/// A rule pack that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RuleError {
    /// The file could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The text is not a rule pack.
    #[error("line {line}: {invalid}")]
    Invalid {
        /// Line, from 1.
        line: usize,
        /// Which figure, and what is wrong with it.
        invalid: Invalid,
    },
}

/// The version of the format that is read here.
const FORMAT: u32 = 1;

/// Where in the text a figure is, and what is wrong with it.
pub(crate) type Refusal = (usize, Invalid);

pub(crate) fn refusal<T>(at: &Spanned<T>, field: &str, problem: String) -> Refusal {
    (at.span().start, Invalid::new(field, problem))
}

/// Reads a pack from text: its raw form, then `check`.
pub(crate) fn parse<Raw: DeserializeOwned, Pack>(
    text: &str,
    check: impl FnOnce(Raw) -> Result<Pack, Refusal>,
) -> Result<Pack, RuleError> {
    let line_of = |offset: usize| {
        let before = &text.as_bytes()[..offset.min(text.len())];
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    };
    let raw: Raw = toml::from_str(text).map_err(|error| RuleError::Invalid {
        line: line_of(error.span().map_or(0, |span| span.start)),
        invalid: Invalid::new("rule_pack", error.message().trim().replace('\n', "; ")),
    })?;
    check(raw).map_err(|(offset, invalid)| RuleError::Invalid {
        line: line_of(offset),
        invalid,
    })
}

pub(crate) fn check_format(format: &Spanned<u32>) -> Result<(), Refusal> {
    let version = *format.get_ref();
    if version == FORMAT {
        return Ok(());
    }
    Err(refusal(
        format,
        "format",
        format!("{version} is not {FORMAT}"),
    ))
}

pub(crate) fn time_zone(name: &Spanned<String>) -> Result<Tz, Refusal> {
    name.get_ref().parse().map_err(|_| {
        let problem = format!("{:?} is no time zone", name.get_ref());
        refusal(name, "time_zone", problem)
    })
}

pub(crate) fn date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<NaiveDate, D::Error> {
    let text = toml::value::Datetime::deserialize(deserializer)?.to_string();
    text.parse()
        .map_err(|_| serde::de::Error::custom(format!("{text} is no plain date")))
}

pub(crate) fn optional_date<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<NaiveDate>, D::Error> {
    date(deserializer).map(Some)
}
