//! What every figure of a rule pack carries, and how a pack can be wrong.

use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::path::PathBuf;

use chrono::{NaiveDate, TimeZone};
use chrono_tz::Tz;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;
use vpp_core::{Invalid, Timestamp};

/// Which rules: a pack, and which version of it. Written `guangdong-2025@1`, as every settlement names the rules that it was
/// made by. A figure that changes makes a new version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackId {
    /// Its name.
    pub name: String,
    /// Its version, from 1.
    pub version: NonZeroU32,
}

impl fmt::Display for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

impl PackId {
    /// Whether this is what somebody means who writes `guangdong-2025`, or `guangdong-2025@1` to be sure of the version.
    #[must_use]
    pub fn is_meant_by(&self, text: &str) -> bool {
        text == self.name || text == self.to_string()
    }
}

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

/// A figure over time: one dated value, or several that follow each other without a gap, such as the price of each month.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series<T>(Vec<Dated<T>>);

impl<T> Series<T> {
    /// All values, the earliest first; at least one.
    #[must_use]
    pub fn all(&self) -> &[Dated<T>] {
        &self.0
    }

    /// The value in force on a local day. Before all of them the first, after them the last: whether a day is within their
    /// validity is [`Series::require_in_force`]'s to say.
    ///
    /// # Panics
    /// Never: there is at least one value.
    #[must_use]
    pub fn on(&self, day: NaiveDate) -> &Dated<T> {
        let begun = self.0.partition_point(|dated| dated.valid_from <= day);
        &self.0[begun.saturating_sub(1)]
    }

    /// Checks that a value holds at `at`, in the rule's time zone.
    ///
    /// # Errors
    /// `field` is refused with the bound that `at` lies beyond.
    pub fn require_in_force(&self, field: &str, at: Timestamp, zone: Tz) -> Result<(), Invalid> {
        let day = zone.from_utc_datetime(&at.naive_utc()).date_naive();
        self.on(day).require_in_force(field, at, zone)
    }

    /// Refuses values that leave a gap or hold at the same time.
    fn new(values: Vec<Dated<T>>) -> Result<Series<T>, String> {
        if values.is_empty() {
            return Err("there is no value".to_owned());
        }
        for value in &values {
            if let Some(end) = value.valid_to.filter(|end| *end <= value.valid_from) {
                return Err(format!(
                    "the value from {} on ends before, on {end}",
                    value.valid_from
                ));
            }
        }
        for pair in values.windows(2) {
            let (end, next) = (pair[0].valid_to, pair[1].valid_from);
            match end {
                None => {
                    return Err(format!(
                        "the value from {} on has no end, and another follows on {next}",
                        pair[0].valid_from
                    ));
                }
                Some(end) if end < next => {
                    return Err(format!("no value holds from {end} to {next}"));
                }
                Some(end) if end > next => {
                    return Err(format!("two values hold from {next} to {end}"));
                }
                Some(_) => {}
            }
        }
        Ok(Series(values))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Series<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Series<T>, D::Error> {
        struct OneOrMore<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMore<T> {
            type Value = Series<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a dated value, or an array of them")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Series<T>, A::Error> {
                let one = Dated::deserialize(MapAccessDeserializer::new(map))?;
                Series::new(vec![one]).map_err(A::Error::custom)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Series<T>, A::Error> {
                let mut values = Vec::new();
                while let Some(one) = all.next_element()? {
                    values.push(one);
                }
                Series::new(values).map_err(A::Error::custom)
            }
        }
        deserializer.deserialize_any(OneOrMore(PhantomData))
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
    holds_on(field, valid_from, valid_to, day)
}

/// Checks that a rule holds on a local day.
pub(crate) fn holds_on(
    field: &str,
    valid_from: NaiveDate,
    valid_to: Option<NaiveDate>,
    day: NaiveDate,
) -> Result<(), Invalid> {
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

/// How every pack begins.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    format: Spanned<u32>,
    name: String,
    version: NonZeroU32,
    time_zone: Spanned<String>,
}

/// Which pack a text is; nothing else of it is looked at.
pub(crate) fn id_of(text: &str) -> Result<PackId, RuleError> {
    #[derive(Deserialize)]
    struct Beginning {
        pack: Head,
    }
    parse(text, |raw: Beginning| Ok(raw.pack.check()?.0))
}

impl Head {
    /// Which pack it is, and whose days its dates are.
    pub(crate) fn check(self) -> Result<(PackId, Tz), Refusal> {
        let format = *self.format.get_ref();
        if format != FORMAT {
            let problem = format!("{format} is not {FORMAT}");
            return Err(refusal(&self.format, "pack.format", problem));
        }
        let zone = self.time_zone.get_ref();
        let zone = zone.parse().map_err(|_| {
            let problem = format!("{zone:?} is no time zone");
            refusal(&self.time_zone, "pack.time_zone", problem)
        })?;
        let (name, version) = (self.name, self.version);
        Ok((PackId { name, version }, zone))
    }
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
