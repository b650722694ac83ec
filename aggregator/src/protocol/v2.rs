//! OCPP 2.0.1 and 2.1: `SetChargingProfileRequest`. In 2.1 a pile that discharges gets a setpoint, in either direction.
//!
//! By the tables "operationMode for various ChargingProfilePurposes" and "Limits and setpoints per operation mode" of the
//! 2.1 specification, as EVerest's station software checks them: `CentralSetpoint` needs `setpoint`, may have `limit` and
//! `dischargeLimit`, and is allowed in `TxProfile` and `TxDefaultProfile`; `ChargingOnly` needs `limit` and has nothing else;
//! `ChargingStationMaxProfile` takes `ChargingOnly` only.

use serde::{Deserialize, Serialize};
use vpp_core::{Power, Timestamp};

use super::order::{
    Course, Limit, OrderError, PileOrder, RateUnit, check, check_charging, profile_id,
    transaction_id,
};
use super::wiring::{Connector, Wiring};
use crate::site::Lease;

/// Which version the station speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// 2.0.1: limits on charging only.
    V201,
    /// 2.1: setpoints too.
    V21,
}

/// Whom a profile is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose<'a> {
    /// The running transaction of the EVSE, by the identifier that the station gave it.
    Transaction(&'a str),
    /// Any transaction of the EVSE that has no profile of its own.
    Default,
}

/// `SetChargingProfileRequest`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetChargingProfile {
    /// The EVSE, from 1; 0 is the whole station.
    pub evse_id: u32,
    /// The profile.
    pub charging_profile: ChargingProfile,
}

/// A charging profile of OCPP 2.x, as far as it is used here. `maxOfflineDuration` of 2.1 is left away: it would make a
/// station that is offline forget the fallback together with the setpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChargingProfile {
    /// A new profile of the same number takes the place of the old one.
    pub id: i32,
    /// Always 0, which every station has.
    pub stack_level: u32,
    /// What it is for.
    pub charging_profile_purpose: ProfilePurpose,
    /// `Absolute`.
    pub charging_profile_kind: ProfileKind,
    /// The transaction, for a `TxProfile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<String>,
    /// One.
    pub charging_schedule: Vec<ChargingSchedule>,
}

/// `chargingProfilePurpose`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProfilePurpose {
    /// A limit on the whole station.
    ChargingStationMaxProfile,
    /// For transactions without a profile of their own.
    TxDefaultProfile,
    /// For one transaction.
    TxProfile,
}

/// `chargingProfileKind`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProfileKind {
    /// Bound to an instant.
    Absolute,
}

/// `operationMode` of 2.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OperationMode {
    /// Charge up to the limit.
    ChargingOnly,
    /// Follow a setpoint of the management system, in either direction.
    CentralSetpoint,
}

/// A schedule without `duration`: its last period goes on without end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChargingSchedule {
    /// The profile's number once more.
    pub id: i32,
    /// When the first period begins.
    pub start_schedule: Timestamp,
    /// Unit of limits and setpoints.
    pub charging_rate_unit: RateUnit,
    /// The periods, the first at 0 s.
    pub charging_schedule_period: Vec<ChargingSchedulePeriod>,
}

/// What holds from an instant on. Positive charges, negative discharges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChargingSchedulePeriod {
    /// From the schedule's start, s.
    pub start_period: i32,
    /// Only in 2.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation_mode: Option<OperationMode>,
    /// The most that it may draw; never negative.
    pub limit: Limit,
    /// What to follow; only in 2.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setpoint: Option<Limit>,
    /// The most that it may discharge, as a number from zero down; only in 2.1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discharge_limit: Option<Limit>,
    /// How many phases charge; without it a station takes 3. Not for direct current.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number_phases: Option<u8>,
}

/// The profile that makes an EVSE follow its order, and fall back by itself when the lease ends.
///
/// # Errors
/// See [`OrderError`]; a negative setpoint in 2.0.1 always, in 2.1 for a pile that charges only.
pub fn set_charging_profile(
    version: Version,
    connector: &Connector,
    purpose: Purpose<'_>,
    order: &PileOrder,
    now: Timestamp,
) -> Result<SetChargingProfile, OrderError> {
    match version {
        Version::V201 => check_charging(connector, order, "2.0.1")?,
        Version::V21 => check(connector, order)?,
    }
    let wiring = connector.wiring();
    let course = Course::new(now, order.valid_until)?;
    let (number, transaction_id, charging_profile_purpose) = match purpose {
        Purpose::Default => (1, None, ProfilePurpose::TxDefaultProfile),
        Purpose::Transaction(id) => (2, Some(transaction_id(id)?), ProfilePurpose::TxProfile),
    };
    let first = if version == Version::V21 && connector.discharges() {
        following(wiring, order.setpoint)
    } else {
        charging(version, wiring, 0, wiring.limit(order.setpoint))
    };
    let fallback = wiring.ceiling(order.fallback);
    let second = charging(version, wiring, course.seconds, fallback);
    Ok(SetChargingProfile {
        evse_id: connector.number(),
        charging_profile: ChargingProfile {
            transaction_id,
            ..profile(
                profile_id(connector.number(), number),
                charging_profile_purpose,
                wiring.unit(),
                course,
                [first, second],
            )
        },
    })
}

/// The station's own fallback: its import limit while the lease holds, then the lease's fallback, whatever is plugged in.
///
/// # Errors
/// See [`OrderError`].
pub fn station_ceiling(
    version: Version,
    wiring: Wiring,
    import_limit: Power,
    lease: &Lease,
    now: Timestamp,
) -> Result<SetChargingProfile, OrderError> {
    let fallback = lease.fallback;
    if fallback < Power::ZERO {
        return Err(OrderError::NegativeFallback { fallback });
    }
    let course = Course::new(now, lease.valid_until)?;
    let periods = [
        charging(version, wiring, 0, wiring.ceiling(import_limit)),
        charging(version, wiring, course.seconds, wiring.ceiling(fallback)),
    ];
    Ok(SetChargingProfile {
        evse_id: 0,
        charging_profile: profile(
            profile_id(0, 0),
            ProfilePurpose::ChargingStationMaxProfile,
            wiring.unit(),
            course,
            periods,
        ),
    })
}

fn profile(
    id: i32,
    charging_profile_purpose: ProfilePurpose,
    charging_rate_unit: RateUnit,
    course: Course,
    periods: [ChargingSchedulePeriod; 2],
) -> ChargingProfile {
    ChargingProfile {
        id,
        stack_level: 0,
        charging_profile_purpose,
        charging_profile_kind: ProfileKind::Absolute,
        transaction_id: None,
        charging_schedule: vec![ChargingSchedule {
            id,
            start_schedule: course.start,
            charging_rate_unit,
            charging_schedule_period: periods.to_vec(),
        }],
    }
}

fn charging(
    version: Version,
    wiring: Wiring,
    start_period: i32,
    limit: Limit,
) -> ChargingSchedulePeriod {
    ChargingSchedulePeriod {
        start_period,
        operation_mode: (version == Version::V21).then_some(OperationMode::ChargingOnly),
        limit,
        setpoint: None,
        discharge_limit: None,
        number_phases: wiring.number_phases(),
    }
}

/// A setpoint to follow. The limits on both sides keep what overshoots within it: never more drawn than the setpoint, or than
/// nothing where it discharges, and never more discharged.
fn following(wiring: Wiring, setpoint: Power) -> ChargingSchedulePeriod {
    ChargingSchedulePeriod {
        start_period: 0,
        operation_mode: Some(OperationMode::CentralSetpoint),
        limit: wiring.limit(setpoint.max(Power::ZERO)),
        setpoint: Some(wiring.limit(setpoint)),
        discharge_limit: Some(wiring.limit(setpoint.min(Power::ZERO))),
        number_phases: wiring.number_phases(),
    }
}
