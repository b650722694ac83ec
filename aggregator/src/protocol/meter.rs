//! `MeterValues`: power, state of charge, registers.
//!
//! Rules, the same for all versions:
//!
//! - Each figure is taken from its newest samples. One that is there and makes no sense is absent with its reason; an older
//!   one does not stand in for it.
//! - Power is import less export, each a number from zero up. Import alone will do; export alone only above zero, for a pile
//!   that exports draws nothing.
//! - A sample without phase is the total; without one the phases are added up.
//! - Power at `Inlet` is what the pile draws and goes before `Outlet`, which is the default; other places are not read.
//! - Power at the begin of an interruption or at the end of a transaction is that of a moment that is over.
//! - Power needs a unit, because OCPP has a default (Wh, percent) only for the others.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use vpp_core::{Energy, Invalid, Power, Timestamp};

use super::figure::{Absent, Figure, Measured, StateOfCharge};
use super::wire::{magnitude, read};

/// Some appendices of the versions spell per-phase values against neutral.
const PHASES: [&str; 6] = ["L1", "L2", "L3", "L1-N", "L2-N", "L3-N"];
/// Contexts of a moment that is over.
const OVER: [&str; 2] = ["Interruption.Begin", "Transaction.End"];

/// What a pile's meter says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reading {
    /// `connectorId` of OCPP 1.6, `evseId` of 2.x; 0 is the meter of the whole station.
    pub connector: u32,
    /// Its power; positive draws.
    pub active_power: Figure<Measured<Power>>,
    /// State of charge of the battery. Piles with alternating current seldom know it.
    pub state_of_charge: Figure<Measured<StateOfCharge>>,
    /// Register of all energy that it ever drew.
    pub energy_drawn: Figure<Measured<Energy>>,
    /// Register of all energy that it ever exported.
    pub energy_exported: Figure<Measured<Energy>>,
}

/// `MeterValues.req` of OCPP 1.6.
///
/// # Errors
/// When the payload has not the form of the message; the field says where.
pub fn v16(payload: &Value) -> Result<Reading, Invalid> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Message {
        connector_id: u32,
        meter_value: Vec<MeterValue<Sampled16>>,
    }
    let message: Message = read(payload)?;
    reading(message.connector_id, &message.meter_value)
}

/// `MeterValuesRequest` of OCPP 2.0.1 and 2.1.
///
/// # Errors
/// When the payload has not the form of the message; the field says where.
pub fn v2(payload: &Value) -> Result<Reading, Invalid> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Message {
        evse_id: u32,
        meter_value: Vec<MeterValue<Sampled2>>,
    }
    let message: Message = read(payload)?;
    reading(message.evse_id, &message.meter_value)
}

/// Samples of one instant.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct MeterValue<S> {
    timestamp: DateTime<Utc>,
    sampled_value: Vec<S>,
}

/// A sample of 1.6: the value is a text.
#[derive(Deserialize)]
struct Sampled16 {
    value: Value,
    context: Option<String>,
    format: Option<String>,
    measurand: Option<String>,
    phase: Option<String>,
    location: Option<String>,
    unit: Option<String>,
}

/// A sample of 2.x: the value is a number.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sampled2 {
    value: Value,
    context: Option<String>,
    measurand: Option<String>,
    phase: Option<String>,
    location: Option<String>,
    unit_of_measure: Option<UnitOfMeasure>,
}

#[derive(Deserialize)]
struct UnitOfMeasure {
    unit: Option<String>,
    multiplier: Option<i32>,
}

/// A sample of any version.
pub(super) struct Sample<'a> {
    field: String,
    at: Timestamp,
    value: Figure<f64>,
    context: &'a str,
    measurand: &'a str,
    phase: Option<&'a str>,
    location: &'a str,
    unit: Option<&'a str>,
}

pub(super) trait Sampled {
    fn sample(&self, field: String, at: Timestamp) -> Sample<'_>;
}

impl Sampled for Sampled16 {
    fn sample(&self, field: String, at: Timestamp) -> Sample<'_> {
        let number = || self.value.as_str()?.trim().parse::<f64>().ok();
        let value = if self.format.as_deref() == Some("SignedData") {
            let field = field.clone();
            Err(Absent::Signed { field })
        } else {
            finite(&field, number(), &self.value)
        };
        Sample {
            at,
            value,
            context: self.context.as_deref().unwrap_or("Sample.Periodic"),
            measurand: measurand(self.measurand.as_deref()),
            phase: self.phase.as_deref(),
            location: self.location.as_deref().unwrap_or("Outlet"),
            unit: self.unit.as_deref(),
            field,
        }
    }
}

impl Sampled for Sampled2 {
    fn sample(&self, field: String, at: Timestamp) -> Sample<'_> {
        let unit = self.unit_of_measure.as_ref();
        let exponent = unit.and_then(|unit| unit.multiplier).unwrap_or(0);
        let number = self
            .value
            .as_f64()
            .map(|value| value * 10f64.powi(exponent));
        Sample {
            at,
            value: finite(&field, number, &self.value),
            context: self.context.as_deref().unwrap_or("Sample.Periodic"),
            measurand: measurand(self.measurand.as_deref()),
            phase: self.phase.as_deref(),
            location: self.location.as_deref().unwrap_or("Outlet"),
            unit: unit.and_then(|unit| unit.unit.as_deref()),
            field,
        }
    }
}

fn measurand(named: Option<&str>) -> &str {
    named.unwrap_or("Energy.Active.Import.Register")
}

fn finite(field: &str, number: Option<f64>, text: &Value) -> Figure<f64> {
    let not_a_number = || Absent::NotANumber {
        field: format!("{field}.value"),
        text: text.to_string(),
    };
    number
        .filter(|number| number.is_finite())
        .ok_or_else(not_a_number)
}

/// The figures of a message's samples.
pub(super) fn reading<S: Sampled>(
    connector: u32,
    values: &[MeterValue<S>],
) -> Result<Reading, Invalid> {
    let mut samples = Vec::new();
    for (outer, value) in values.iter().enumerate() {
        for (inner, sampled) in value.sampled_value.iter().enumerate() {
            let field = format!("meterValue[{outer}].sampledValue[{inner}]");
            samples.push(sampled.sample(field, value.timestamp));
        }
    }
    if samples.is_empty() {
        return Err(Invalid::new("meterValue", "has no samples"));
    }
    Ok(Reading {
        connector,
        active_power: active_power(&samples),
        state_of_charge: state_of_charge(&samples),
        energy_drawn: register(&samples, "Energy.Active.Import.Register"),
        energy_exported: register(&samples, "Energy.Active.Export.Register"),
    })
}

fn active_power(samples: &[Sample<'_>]) -> Figure<Measured<Power>> {
    const IMPORT: &str = "Power.Active.Import";
    const EXPORT: &str = "Power.Active.Export";
    let wanted = |sample: &Sample<'_>| {
        [IMPORT, EXPORT].contains(&sample.measurand) && !OVER.contains(&sample.context)
    };
    let newest = newest(samples, wanted);
    let [import, export] =
        [IMPORT, EXPORT].map(|name| total(&newest, name, &["W", "kW"], None).transpose());
    let watts = match (import?, export?) {
        (Some(import), export) => import - export.unwrap_or(0.0),
        (None, Some(export)) if export > 0.0 => -export,
        (None, _) => return Err(Absent::NotReported { figure: IMPORT }),
    };
    Ok(Measured {
        value: Power::from_kilowatts(&newest[0].field, watts / 1e3)?,
        sampled_at: newest[0].at,
    })
}

fn state_of_charge(samples: &[Sample<'_>]) -> Figure<Measured<StateOfCharge>> {
    let known = samples.iter().filter(|sample| sample.measurand == "SoC");
    let Some(sample) = known.max_by_key(|sample| sample.at) else {
        return Err(Absent::NotReported { figure: "SoC" });
    };
    let percent = in_units(sample, &["Percent"], Some("Percent"))?;
    Ok(Measured {
        value: StateOfCharge::from_percent(&sample.field, percent)?,
        sampled_at: sample.at,
    })
}

fn register(samples: &[Sample<'_>], name: &'static str) -> Figure<Measured<Energy>> {
    let newest = newest(samples, |sample| sample.measurand == name);
    let watt_hours = total(&newest, name, &["Wh", "kWh"], Some("Wh"))
        .ok_or(Absent::NotReported { figure: name })??;
    Ok(Measured {
        value: Energy::from_kilowatt_hours(&newest[0].field, watt_hours / 1e3)?,
        sampled_at: newest[0].at,
    })
}

/// The newest of the wanted samples at the place that counts.
fn newest<'a>(
    samples: &'a [Sample<'a>],
    wanted: impl Fn(&Sample<'a>) -> bool,
) -> Vec<&'a Sample<'a>> {
    let at_place = |place: &str| -> Vec<&'a Sample<'a>> {
        let there = samples
            .iter()
            .filter(|sample| sample.location == place && wanted(sample));
        there.collect()
    };
    let places = [at_place("Inlet"), at_place("Outlet")];
    let at = places.iter().flatten().map(|sample| sample.at).max();
    let newest = places.into_iter().map(|place| {
        let newest = place.into_iter().filter(|sample| Some(sample.at) == at);
        newest.collect::<Vec<_>>()
    });
    newest
        .into_iter()
        .find(|place| !place.is_empty())
        .unwrap_or_default()
}

/// A measurand's total: the sample without phase, or the sum of the phases; none where it is not there.
fn total(
    samples: &[&Sample<'_>],
    measurand: &str,
    units: &'static [&'static str; 2],
    default_unit: Option<&str>,
) -> Option<Figure<f64>> {
    let of_it = || {
        samples
            .iter()
            .filter(|sample| sample.measurand == measurand)
    };
    let value = |sample: &&Sample<'_>| {
        let value = in_units(sample, units, default_unit)?;
        magnitude(&format!("{}.value", sample.field), value)
    };
    if let Some(whole) = of_it().find(|sample| sample.phase.is_none()) {
        return Some(value(whole));
    }
    let phases = of_it().filter(|sample| sample.phase.is_some_and(|phase| PHASES.contains(&phase)));
    let mut values = phases.map(value).peekable();
    values.peek()?;
    Some(values.sum())
}

/// The value in the first unit, where `kX` is a thousand `X`.
fn in_units(
    sample: &Sample<'_>,
    units: &'static [&'static str],
    default_unit: Option<&str>,
) -> Figure<f64> {
    let expected = units[units.len() - 1];
    let field = || sample.field.clone();
    let Some(unit) = sample.unit.or(default_unit) else {
        return Err(Absent::NoUnit {
            field: field(),
            expected,
        });
    };
    if !units.contains(&unit) {
        return Err(Absent::WrongUnit {
            field: field(),
            unit: unit.into(),
            expected,
        });
    }
    let thousand = if unit == units[0] { 1.0 } else { 1e3 };
    Ok(sample.value.clone()? * thousand)
}
