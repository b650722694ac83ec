//! Numbers that may be infinite, in formats that people read.
//!
//! JSON has no infinity, and `serde_json` quietly writes `null` in its place. So there an infinity is the text `"inf"`
//! or `"-inf"` (and what is not a number `"nan"`, which [`crate::validate()`] then refuses by name). Other numbers, and
//! other formats, are as usual.

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// A number written so that infinities survive.
#[derive(Clone, Copy)]
struct Extended(f64);

impl Serialize for Extended {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_finite() || !serializer.is_human_readable() {
            serializer.serialize_f64(self.0)
        } else if self.0.is_nan() {
            serializer.serialize_str("nan")
        } else {
            serializer.serialize_str(if self.0 > 0.0 { "inf" } else { "-inf" })
        }
    }
}

impl<'de> Deserialize<'de> for Extended {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(NumberOrWord)
        } else {
            deserializer.deserialize_f64(NumberOrWord)
        }
    }
}

struct NumberOrWord;

impl Visitor<'_> for NumberOrWord {
    type Value = Extended;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "a number, \"inf\" or \"-inf\"")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Extended, E> {
        Ok(Extended(value))
    }

    #[allow(clippy::cast_precision_loss)] // a number without a point: the nearest f64 is meant
    fn visit_i64<E: Error>(self, value: i64) -> Result<Extended, E> {
        Ok(Extended(value as f64))
    }

    #[allow(clippy::cast_precision_loss)] // as above
    fn visit_u64<E: Error>(self, value: u64) -> Result<Extended, E> {
        Ok(Extended(value as f64))
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Extended, E> {
        match word {
            "inf" => Ok(Extended(f64::INFINITY)),
            "-inf" => Ok(Extended(f64::NEG_INFINITY)),
            "nan" => Ok(Extended(f64::NAN)),
            _ => Err(E::invalid_value(serde::de::Unexpected::Str(word), &self)),
        }
    }
}

/// For `#[serde(with = "extended::number")]`.
pub(crate) mod number {
    use super::{Deserialize as _, Deserializer, Extended, Serialize as _, Serializer};

    #[allow(clippy::trivially_copy_pass_by_ref)] // serde's signature
    pub(crate) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        Extended(*value).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Extended::deserialize(deserializer).map(|extended| extended.0)
    }
}

/// For `#[serde(with = "extended::series")]`.
pub(crate) mod series {
    use super::{Deserialize as _, Deserializer, Extended, Serializer};

    pub(crate) fn serialize<S: Serializer>(
        values: &[f64],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(|&value| Extended(value)))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<f64>, D::Error> {
        let values = Vec::<Extended>::deserialize(deserializer)?;
        Ok(values.into_iter().map(|extended| extended.0).collect())
    }
}
