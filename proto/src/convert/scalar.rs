//! Instants and durations.

use chrono::TimeDelta;
use vpp_core::{Invalid, Timestamp};

/// An instant that must be there.
///
/// # Errors
/// When it is absent, out of range, or before 1970.
pub fn to_timestamp(
    field: &str,
    wire: Option<&prost_types::Timestamp>,
) -> Result<Timestamp, Invalid> {
    let wire = wire.ok_or_else(|| Invalid::new(field, "is missing"))?;
    let nanos = u32::try_from(wire.nanos)
        .map_err(|_| Invalid::new(field, format!("{} nanoseconds is negative", wire.nanos)))?;
    // Year 2200: later instants are errors of units, and would overflow sums of times.
    if !(0..7_258_118_400).contains(&wire.seconds) {
        return Err(Invalid::new(
            field,
            format!("{} s is outside 1970 to 2200", wire.seconds),
        ));
    }
    Timestamp::from_timestamp(wire.seconds, nanos)
        .ok_or_else(|| Invalid::new(field, format!("{nanos} nanoseconds is out of range")))
}

/// An instant that may be absent.
///
/// # Errors
/// As [`to_timestamp`] when it is there.
pub fn optional_timestamp(
    field: &str,
    wire: Option<&prost_types::Timestamp>,
) -> Result<Option<Timestamp>, Invalid> {
    wire.map(|wire| to_timestamp(field, Some(wire))).transpose()
}

/// An instant, to the wire.
#[must_use]
pub fn from_timestamp(instant: Timestamp) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: instant.timestamp(),
        nanos: i32::try_from(instant.timestamp_subsec_nanos()).unwrap_or(999_999_999),
    }
}

/// A duration that may be absent; positive, at most 24 hours.
///
/// # Errors
/// When it is there and outside that range.
pub fn to_duration(
    field: &str,
    wire: Option<&prost_types::Duration>,
) -> Result<Option<TimeDelta>, Invalid> {
    let Some(wire) = wire else { return Ok(None) };
    let length = u32::try_from(wire.nanos)
        .ok()
        .and_then(|nanos| TimeDelta::new(wire.seconds, nanos))
        .filter(|length| *length > TimeDelta::zero() && *length <= TimeDelta::hours(24));
    length
        .map(Some)
        .ok_or_else(|| Invalid::new(field, format!("{} s is outside (0, 86400] s", wire.seconds)))
}
