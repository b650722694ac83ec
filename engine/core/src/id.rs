//! Identifiers: short, printable, safe in a topic name and a file name. A copy shares the text: commands are made in the
//! control loop, which allocates nothing.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::Invalid;

/// The longest identifier, in bytes.
pub const MAX_ID_LENGTH: usize = 64;

fn check(kind: &str, text: &str) -> Result<(), Invalid> {
    if text.is_empty() {
        return Err(Invalid::new(kind, "is empty"));
    }
    if text.len() > MAX_ID_LENGTH {
        let length = text.len();
        return Err(Invalid::new(
            kind,
            format!("has {length} bytes, at most {MAX_ID_LENGTH}"),
        ));
    }
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if let Some(bad) = text.chars().find(|c| !legal(*c)) {
        return Err(Invalid::new(
            kind,
            format!("has the character {bad:?}; letters, digits, '-', '_' and '.' are allowed"),
        ));
    }
    if text.chars().all(|c| c == '.') {
        return Err(Invalid::new(kind, "consists of dots alone"));
    }
    Ok(())
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $field:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks and wraps.
            ///
            /// # Errors
            /// When the text is empty, longer than [`MAX_ID_LENGTH`], or has characters other than ASCII letters,
            /// digits, `-`, `_` and `.`.
            pub fn new(text: impl Into<String>) -> Result<$name, Invalid> {
                let text = text.into();
                check($field, &text)?;
                Ok($name(text.into()))
            }

            /// Whether it is a copy of the other one: sooner told than whether the texts are the same.
            #[must_use]
            pub fn is_copy_of(&self, other: &$name) -> bool {
                Arc::ptr_eq(&self.0, &other.0)
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = Invalid;
            fn from_str(text: &str) -> Result<$name, Invalid> {
                $name::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;
            fn try_from(text: String) -> Result<$name, Invalid> {
                $name::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                (*id.0).to_owned()
            }
        }
    };
}

id!(
    /// An aggregator: who operates stations. Part of a topic name.
    AggregatorId,
    "aggregator_id"
);
id!(
    /// A charging or swap station: the unit that receives commands.
    StationId,
    "station_id"
);
id!(
    /// A node of the electric tree: district, substation, feeder or transformer.
    NodeId,
    "node_id"
);
id!(
    /// One call of a programme.
    EventId,
    "event_id"
);
id!(
    /// An invitation to demand response.
    InvitationId,
    "invitation_id"
);
id!(
    /// A caller's own name for a request, so that sending it twice does it once.
    RequestId,
    "request_id"
);
id!(
    /// What an owner has agreed for one stay.
    ReservationId,
    "reservation_id"
);
id!(
    /// A vehicle, under a name that says nothing about its owner. Known to its aggregator alone.
    VehicleId,
    "vehicle_id"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_safe_in_topics_and_files() {
        for good in ["a", "agg-1", "GZ_0001.a", &"x".repeat(64)] {
            assert!(StationId::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a b", "a/b", "站", "a\0", &"x".repeat(65)] {
            assert_eq!(
                StationId::new(bad).unwrap_err().field,
                "station_id",
                "{bad:?}"
            );
        }
    }
}
