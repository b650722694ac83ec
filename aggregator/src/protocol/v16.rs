//! OCPP 1.6: `SetChargingProfile.req`. Limits on charging only; nothing can discharge.

use serde::{Deserialize, Serialize};
use vpp_core::{Power, Timestamp};

use super::order::{Course, Limit, OrderError, PileOrder, RateUnit, check_charging, profile_id};
use super::wiring::{Connector, Wiring};
use crate::site::Lease;

/// Whom a profile is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The running transaction of the connector, by the number that the central system gave it.
    Transaction(i32),
    /// Any transaction of the connector that has no profile of its own.
    Default,
}

/// `SetChargingProfile.req`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SetChargingProfile {
    /// The connector, from 1; 0 is the whole charge point.
    pub connector_id: u32,
    /// The profile.
    pub cs_charging_profiles: ChargingProfile,
}

/// A charging profile of OCPP 1.6, as far as it is used here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChargingProfile {
    /// A new profile of the same number takes the place of the old one.
    pub charging_profile_id: i32,
    /// The transaction, for a `TxProfile`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<i32>,
    /// Always 0, which every charge point has.
    pub stack_level: u32,
    /// What it is for.
    pub charging_profile_purpose: ProfilePurpose,
    /// `Absolute`.
    pub charging_profile_kind: ProfileKind,
    /// The two periods.
    pub charging_schedule: ChargingSchedule,
}

/// `chargingProfilePurpose`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProfilePurpose {
    /// A limit on the whole charge point.
    ChargePointMaxProfile,
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

/// A schedule without `duration`: its last period goes on without end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChargingSchedule {
    /// When the first period begins.
    pub start_schedule: Timestamp,
    /// Unit of the limits.
    pub charging_rate_unit: RateUnit,
    /// The periods, the first at 0 s.
    pub charging_schedule_period: Vec<ChargingSchedulePeriod>,
}

/// A limit from an instant on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChargingSchedulePeriod {
    /// From the schedule's start, s.
    pub start_period: i32,
    /// The limit; never negative.
    pub limit: Limit,
    /// How many phases charge; without it a charge point takes 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number_phases: Option<u8>,
}

/// The profile that makes a connector follow its order, and fall back by itself when the lease ends.
///
/// # Errors
/// See [`OrderError`]; a negative setpoint always.
pub fn set_charging_profile(
    connector: &Connector,
    purpose: Purpose,
    order: &PileOrder,
    now: Timestamp,
) -> Result<SetChargingProfile, OrderError> {
    check_charging(connector, order, "1.6")?;
    let wiring = connector.wiring();
    let limits = [wiring.limit(order.setpoint), wiring.ceiling(order.fallback)];
    let schedule = schedule(wiring, Course::new(now, order.valid_until)?, limits);
    let (number, transaction_id, charging_profile_purpose) = match purpose {
        Purpose::Default => (1, None, ProfilePurpose::TxDefaultProfile),
        Purpose::Transaction(id) => (2, Some(id), ProfilePurpose::TxProfile),
    };
    Ok(SetChargingProfile {
        connector_id: connector.number(),
        cs_charging_profiles: ChargingProfile {
            charging_profile_id: profile_id(connector.number(), number),
            transaction_id,
            stack_level: 0,
            charging_profile_purpose,
            charging_profile_kind: ProfileKind::Absolute,
            charging_schedule: schedule,
        },
    })
}

/// The station's own fallback, for a charge point with several connectors: its import limit while the lease holds, then the
/// lease's fallback, whatever is plugged in.
///
/// # Errors
/// See [`OrderError`].
pub fn station_ceiling(
    wiring: Wiring,
    import_limit: Power,
    lease: &Lease,
    now: Timestamp,
) -> Result<SetChargingProfile, OrderError> {
    let fallback = lease.fallback;
    if fallback < Power::ZERO {
        return Err(OrderError::NegativeFallback { fallback });
    }
    let limits = [wiring.ceiling(import_limit), wiring.ceiling(fallback)];
    let schedule = schedule(wiring, Course::new(now, lease.valid_until)?, limits);
    Ok(SetChargingProfile {
        connector_id: 0,
        cs_charging_profiles: ChargingProfile {
            charging_profile_id: profile_id(0, 0),
            transaction_id: None,
            stack_level: 0,
            charging_profile_purpose: ProfilePurpose::ChargePointMaxProfile,
            charging_profile_kind: ProfileKind::Absolute,
            charging_schedule: schedule,
        },
    })
}

fn schedule(wiring: Wiring, course: Course, limits: [Limit; 2]) -> ChargingSchedule {
    let period = |start_period, limit| ChargingSchedulePeriod {
        start_period,
        limit,
        number_phases: wiring.number_phases(),
    };
    let [until, from] = limits;
    ChargingSchedule {
        start_schedule: course.start,
        charging_rate_unit: wiring.unit(),
        charging_schedule_period: vec![period(0, until), period(course.seconds, from)],
    }
}
