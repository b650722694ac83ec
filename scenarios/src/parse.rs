//! From text to a checked [`Scenario`], or to all that is wrong with it.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use chrono::{DateTime, FixedOffset};
use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};

use crate::format::Scenario;
use crate::problem::{Locator, Problem, did_you_mean};

/// The largest scenario file: many times the largest fleet that one machine steps, and small enough to hold in memory.
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
    /// The file was read, and something in it is wrong.
    #[error("{}", listed(path, problems))]
    Problems {
        /// Which file.
        path: PathBuf,
        /// All that is wrong.
        problems: Vec<Problem>,
    },
}

fn listed(path: &Path, problems: &[Problem]) -> String {
    let line = |problem: &Problem| format!("{}: {problem}", path.display());
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

impl Scenario {
    /// Reads a scenario from the text of a file and checks it as a whole. A byte-order mark and CRLF line ends are fine.
    ///
    /// # Errors
    /// The first place where the text is no TOML or does not have the format's shape; when the shape is right,
    /// everything that is wrong with the values.
    pub fn parse(text: &str) -> Result<Scenario, Vec<Problem>> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let locator = Locator::new(text);
        let scenario: Scenario =
            toml::from_str(text).map_err(|e| vec![shape(text, &locator, &e)])?;
        let findings = scenario.check();
        if findings.is_empty() {
            return Ok(scenario);
        }
        let mut problems: Vec<Problem> = findings
            .into_iter()
            .map(|finding| locator.at_path(&finding.path, finding.message, finding.hint))
            .collect();
        problems.sort_by_key(|problem| (problem.line, problem.column));
        Err(problems)
    }

    /// Reads a scenario from bytes, which must be UTF-8.
    ///
    /// # Errors
    /// As [`Scenario::parse`]; the place of the first byte that is not UTF-8.
    pub fn parse_bytes(bytes: &[u8]) -> Result<Scenario, Vec<Problem>> {
        match std::str::from_utf8(bytes) {
            Ok(text) => Scenario::parse(text),
            Err(error) => {
                let offset = error.valid_up_to();
                let valid = String::from_utf8_lossy(&bytes[..offset]);
                let message = format!("byte 0x{:02x} is not UTF-8", bytes[offset]);
                let hint = "save the file as UTF-8".into();
                Err(vec![Locator::new(&valid).at_offset(offset, message, hint)])
            }
        }
    }

    /// Reads a scenario file.
    ///
    /// # Errors
    /// A file that cannot be read or is too large; otherwise as [`Scenario::parse`].
    pub fn load(path: impl AsRef<Path>) -> Result<Scenario, LoadError> {
        let path = path.as_ref();
        let io = |source| LoadError::Io {
            path: path.into(),
            source,
        };
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(io)?;
        // One byte more than allowed tells a file that is too large without reading it all.
        let mut limited = file.take(MAX_FILE_BYTES + 1);
        limited.read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(LoadError::TooLarge { path: path.into() });
        }
        Scenario::parse_bytes(&bytes).map_err(|problems| LoadError::Problems {
            path: path.into(),
            problems,
        })
    }
}

/// The problem behind a refusal of the TOML reader.
fn shape(text: &str, locator: &Locator<'_>, error: &toml::de::Error) -> Problem {
    // A file of something else (`*.toml` matches many) is not blamed for its first unknown key.
    if toml::from_str::<toml::Table>(text).is_ok_and(|table| !table.contains_key("scenario")) {
        let message = "not a scenario: there is no [scenario] table".into();
        return locator.at_offset(0, message, String::new());
    }
    let message = error.message().trim().replace('\n', "; ");
    let words: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let unknown = message.starts_with("unknown field") || message.starts_with("unknown variant");
    let hint = match words.split_first() {
        Some((word, known)) if unknown => did_you_mean(word, known.iter().copied()),
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
