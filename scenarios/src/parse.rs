//! From text to a checked [`Scenario`], or to all that is wrong with it.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, FixedOffset, NaiveDate};
use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};

use crate::format::Scenario;
use crate::problem::{Locator, Problem, did_you_mean};
use crate::sources::{Sources, text_of};
use crate::stays::{self, Known, Unread};

/// The largest scenario, all its files together: many times the largest fleet that one machine steps, and small enough to hold in
/// memory.
pub const MAX_FILE_BYTES: u64 = 64 << 20;

/// A scenario file that could not be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The file is larger than [`MAX_FILE_BYTES`].
    #[error("{}: more than {MAX_FILE_BYTES} bytes", path.display())]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// The file was read, and something in it or in a file that it includes is wrong.
    #[error("{}", listed(problems))]
    Problems {
        /// Which file was asked for; each problem says in which it is.
        path: PathBuf,
        /// All that is wrong.
        problems: Vec<Problem>,
    },
}

fn listed(problems: &[Problem]) -> String {
    problems
        .iter()
        .map(Problem::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

impl Scenario {
    /// Reads a scenario from the text of a file and checks it as a whole. A byte-order mark and CRLF line ends are fine. It
    /// includes no other file: those are found beside a file alone.
    ///
    /// # Errors
    /// The first place where the text is no TOML or does not have the format's shape; when the shape is right,
    /// everything that is wrong with the values.
    pub fn parse(text: &str) -> Result<Scenario, Vec<Problem>> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Scenario::read(&Sources::of_text(text)?)
    }

    /// Reads a scenario from bytes, which must be UTF-8.
    ///
    /// # Errors
    /// As [`Scenario::parse`]; the place of the first byte that is not UTF-8.
    pub fn parse_bytes(bytes: &[u8]) -> Result<Scenario, Vec<Problem>> {
        let text = text_of(bytes.to_vec(), None).map_err(|problem| vec![problem])?;
        Scenario::parse(&text)
    }

    /// Reads a scenario file with the files that it includes.
    ///
    /// # Errors
    /// A file that cannot be read or is too large; otherwise as [`Scenario::parse`], each problem with the file in which
    /// it stands.
    pub fn load(path: impl AsRef<Path>) -> Result<Scenario, LoadError> {
        let path = path.as_ref();
        Scenario::read(&Sources::load(path)?).map_err(|problems| LoadError::Problems {
            path: path.into(),
            problems,
        })
    }

    fn read(sources: &Sources) -> Result<Scenario, Vec<Problem>> {
        let merged = sources.merged()?;
        let locator = Locator::new(sources, Some(merged.get_ref().clone()));
        // A file of something else (`*.toml` matches many) is not blamed for its first unknown key.
        if !merged.get_ref().contains_key("scenario") {
            let message = "not a scenario: there is no [scenario] table".into();
            return Err(vec![locator.at_offset(0, message, String::new())]);
        }
        let mut scenario = Scenario::deserialize(toml::de::Deserializer::from(merged))
            .map_err(|error| vec![shape(&locator, &error)])?;
        let mut findings = scenario.check_rows_to_generate();
        if findings.is_empty() {
            let generated = scenario.generate();
            findings = scenario.check(&generated);
        }
        if findings.is_empty() {
            scenario.read_stays(&locator)?;
            let holidays: BTreeSet<NaiveDate> =
                scenario.calendar.holidays.iter().copied().collect();
            for profile in scenario.sessions.values_mut() {
                profile.holidays.clone_from(&holidays);
            }
            return Ok(scenario);
        }
        let mut problems: Vec<Problem> = findings
            .into_iter()
            .map(|finding| locator.at_path(&finding.path, finding.message, finding.hint))
            .collect();
        problems.sort_by(|a, b| {
            let place = |problem: &Problem| (problem.file.clone(), problem.line, problem.column);
            place(a).cmp(&place(b))
        });
        Err(problems)
    }
}

impl Scenario {
    /// Reads the table that `fleet.recorded` names, if it names one.
    fn read_stays(&mut self, locator: &Locator<'_>) -> Result<(), Vec<Problem>> {
        const KEY: &str = "fleet.recorded";
        let Some(name) = &self.fleet.recorded else {
            return Ok(());
        };
        let wrong =
            |message: String, hint: &str| vec![locator.at_path(KEY, message, hint.to_owned())];
        let Some(file) = locator.at_path(KEY, String::new(), String::new()).file else {
            let message = "a text by itself has no table beside it".into();
            return Err(wrong(message, "load it as a file"));
        };
        let path = file.parent().unwrap_or(Path::new("")).join(name);
        let stations = self.stations();
        let known = Known {
            piles: (stations.iter())
                .map(|station| (station.id.as_str(), station.pile_count()))
                .collect(),
            models: self.warranties.keys().map(String::as_str).collect(),
        };
        self.fleet.stays = stays::load(&path, &known).map_err(|unread| match unread {
            Unread::Io(error) => wrong(format!("{}: {error}", path.display()), ""),
            Unread::TooLarge => {
                let message = format!("{}: more than {MAX_FILE_BYTES} bytes", path.display());
                wrong(message, "record a shorter time")
            }
            Unread::Problems(problems) => problems,
        })?;
        Ok(())
    }
}

/// The problem behind a refusal of the TOML reader.
fn shape(locator: &Locator<'_>, error: &toml::de::Error) -> Problem {
    let message = error.message().trim().replace('\n', "; ");
    let words: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let unknown = message.starts_with("unknown field") || message.starts_with("unknown variant");
    let hint = match words.split_first() {
        // `include` is taken before the rest is read.
        Some((word, known)) if unknown => {
            did_you_mean(word, known.iter().copied().chain(["include"]))
        }
        _ if message.contains("date-time") => {
            "write it bare and with its offset: 2025-07-15T16:00:00+08:00".into()
        }
        _ => String::new(),
    };
    locator.at_offset(error.span().map_or(0, |span| span.start), message, hint)
}

/// Reads a TOML date-time that has an offset.
pub(crate) fn date_time<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<DateTime<FixedOffset>, D::Error> {
    let text = toml::value::Datetime::deserialize(deserializer)
        .map_err(|e| D::Error::custom(format!("{e}, expected a date-time")))?
        .to_string();
    DateTime::parse_from_rfc3339(&text)
        .map_err(|_| D::Error::custom(format!("{text} is no date-time with offset")))
}

/// Reads TOML local dates.
pub(crate) fn dates<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<NaiveDate>, D::Error> {
    let dates = Vec::<toml::value::Datetime>::deserialize(deserializer)
        .map_err(|e| D::Error::custom(format!("{e}, expected dates such as 2025-06-20")))?;
    let date = |date: toml::value::Datetime| {
        date.to_string()
            .parse::<NaiveDate>()
            .map_err(|_| D::Error::custom(format!("{date} is no date such as 2025-06-20")))
    };
    dates.into_iter().map(date).collect()
}

/// Reads a number or an array of numbers.
pub(crate) fn one_or_many<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Vec<f64>, D::Error> {
    struct OneOrMany;

    impl<'de> Visitor<'de> for OneOrMany {
        type Value = Vec<f64>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number or an array of numbers")
        }

        fn visit_f64<E>(self, value: f64) -> Result<Vec<f64>, E> {
            Ok(vec![value])
        }

        #[allow(clippy::cast_precision_loss)] // a load in kilowatts
        fn visit_i64<E>(self, value: i64) -> Result<Vec<f64>, E> {
            Ok(vec![value as f64])
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Vec<f64>, A::Error> {
            let mut all = Vec::new();
            while let Some(value) = values.next_element()? {
                all.push(value);
            }
            Ok(all)
        }
    }

    deserializer.deserialize_any(OneOrMany)
}
