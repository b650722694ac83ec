//! Payloads as they come: read with the path of what is wrong.

use serde::Deserialize;
use serde_json::Value;
use vpp_core::{Energy, Invalid, Power};

use super::figure::{Absent, Figure};

/// A payload as the fields that are wanted. The error's field is the path in the payload.
pub(super) fn read<'de, T: Deserialize<'de>>(payload: &'de Value) -> Result<T, Invalid> {
    serde_path_to_error::deserialize(payload).map_err(|error| {
        let path = error.path().to_string();
        Invalid::new(path, error.into_inner().to_string())
    })
}

/// A number from zero up.
pub(super) fn magnitude(field: &str, value: f64) -> Figure<f64> {
    if value < 0.0 {
        return Err(Absent::Negative {
            field: field.into(),
            value: value.to_string(),
        });
    }
    Ok(value)
}

/// Watts from zero up as the most that can be, rounded down.
pub(super) fn power_floor(field: &str, watts: f64) -> Figure<Power> {
    let nearest = power(field, watts)?;
    #[allow(clippy::cast_precision_loss)] // exact up to 2^53 W
    let above = nearest.as_watts() as f64 > watts;
    Ok(nearest - Power::from_watts(i64::from(above)))
}

/// Watts from zero up as the least that can be, rounded up.
pub(super) fn power_ceiling(field: &str, watts: f64) -> Figure<Power> {
    let nearest = power(field, watts)?;
    #[allow(clippy::cast_precision_loss)] // exact up to 2^53 W
    let below = (nearest.as_watts() as f64) < watts;
    Ok(nearest + Power::from_watts(i64::from(below)))
}

fn power(field: &str, watts: f64) -> Figure<Power> {
    Ok(Power::from_kilowatts(
        field,
        magnitude(field, watts)? / 1e3,
    )?)
}

/// Watt-hours of either sign.
pub(super) fn energy(field: &str, watt_hours: f64) -> Figure<Energy> {
    Ok(Energy::from_kilowatt_hours(field, watt_hours / 1e3)?)
}

/// Watt-hours from zero up.
pub(super) fn energy_magnitude(field: &str, watt_hours: f64) -> Figure<Energy> {
    energy(field, magnitude(field, watt_hours)?)
}
