//! What one pile shall do until its lease ends, and what it does by itself afterwards: common to all versions.
//!
//! A schedule of two periods says both at once, so that a pile that hears nothing more falls back without anybody:
//!
//! ```text
//!  startSchedule                         valid_until
//!       ├──────── the setpoint ───────────────┼──────── the fallback, without end ────────►
//!       0                                  seconds                              (startPeriod)
//! ```
//!
//! `startSchedule` is laid back by less than a second, so that the whole seconds of `startPeriod` end on the lease's last
//! millisecond and not before or after it.

use chrono::{SubsecRound as _, TimeDelta};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use vpp_core::{Power, Timestamp};

use super::wiring::Connector;
use crate::site::{Lease, PileSetpoint};

/// The longest identifier of a transaction in OCPP 2.x, characters.
const MAX_TRANSACTION_ID: usize = 36;

/// In what a pile takes its limits: `chargingRateUnit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RateUnit {
    /// Watts, the sum of all phases.
    #[serde(rename = "W")]
    Watts,
    /// Amperes per phase.
    #[serde(rename = "A")]
    Amperes,
}

/// A limit or setpoint in the unit of its schedule, in tenths: OCPP takes one decimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Limit(i64);

impl Limit {
    /// From tenths of a watt or ampere.
    #[must_use]
    pub const fn from_tenths(tenths: i64) -> Limit {
        Limit(tenths)
    }

    /// Tenths of a watt or ampere.
    #[must_use]
    pub const fn as_tenths(self) -> i64 {
        self.0
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 10 == 0 {
            return serializer.serialize_i64(self.0 / 10);
        }
        #[allow(clippy::cast_precision_loss)] // a power in tenths of a watt stays far below 2^53
        serializer.serialize_f64(self.0 as f64 / 10.0)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Limit, D::Error> {
        let tenths = f64::deserialize(deserializer)? * 10.0;
        if (tenths - tenths.round()).abs() > 1e-3 || tenths.abs() > 1e15 {
            let problem = format!("{} is not in tenths", tenths / 10.0);
            return Err(D::Error::custom(problem));
        }
        #[allow(clippy::cast_possible_truncation)] // bounded above
        Ok(Limit(tenths.round() as i64))
    }
}

/// Why an order cannot be said to a pile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// The version has limits only, and they are never negative.
    #[error("setpoint {setpoint}: OCPP {version} cannot discharge")]
    VersionCannotDischarge {
        /// `1.6` or `2.0.1`.
        version: &'static str,
        /// What was asked.
        setpoint: Power,
    },
    /// The pile, or the vehicle at it, charges only.
    #[error("setpoint {setpoint}: pile {connector} cannot discharge")]
    CannotDischarge {
        /// Its number at the controller.
        connector: u32,
        /// What was asked.
        setpoint: Power,
    },
    /// The pile is off with so little, which a setpoint must say itself.
    #[error("setpoint {setpoint} is below {least}, the least of pile {connector}")]
    BelowLeast {
        /// Its number at the controller.
        connector: u32,
        /// What was asked.
        setpoint: Power,
        /// The least that it charges with.
        least: Power,
    },
    /// A fallback is a ceiling on the draw.
    #[error("fallback {fallback} is negative")]
    NegativeFallback {
        /// What was asked.
        fallback: Power,
    },
    /// The lease does not hold any more.
    #[error("the lease ended at {valid_until}, it is {now}")]
    LeaseOver {
        /// When it ended.
        valid_until: Timestamp,
        /// Now.
        now: Timestamp,
    },
    /// A schedule cannot say so.
    #[error("a lease until {valid_until} is too long for a schedule")]
    LeaseTooLong {
        /// When it ends.
        valid_until: Timestamp,
    },
    /// An identifier of OCPP 2.x has 1 to 36 characters.
    #[error("transactionId: {length} characters, must be 1 to 36")]
    TransactionId {
        /// Its length.
        length: usize,
    },
    /// A setpoint for a pile that the controller does not have.
    #[error("pile {pile}: the station has {piles}")]
    NoSuchPile {
        /// Number of the pile within its station, from 0.
        pile: u32,
        /// How many there are.
        piles: usize,
    },
}

/// What one pile shall do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PileOrder {
    /// What it shall draw; negative: export. For charging it is a ceiling.
    pub setpoint: Power,
    /// First instant at which the setpoint no longer holds.
    pub valid_until: Timestamp,
    /// Ceiling on its draw from then on: its part of the station's fallback. No export.
    pub fallback: Power,
}

impl PileOrder {
    /// The order for a pile where a vehicle may plug in while nobody names it: it waits until the lease ends. For a default
    /// profile, which holds until its transaction gets a profile of its own.
    #[must_use]
    pub fn waiting(lease: &Lease, fallback: Power) -> PileOrder {
        PileOrder {
            setpoint: Power::ZERO,
            valid_until: lease.valid_until,
            fallback,
        }
    }

    /// The orders for the named piles of a station, in the order of the setpoints. `connectors` are all of its piles by number,
    /// so that the fallbacks of all of them together stay below the station's, whoever is named.
    ///
    /// # Errors
    /// When a setpoint names a pile that is not there, or the fallback is negative.
    pub fn for_station(
        setpoints: &[PileSetpoint],
        lease: &Lease,
        connectors: &[Connector],
    ) -> Result<Vec<PileOrder>, OrderError> {
        let fallbacks = fallbacks(lease.fallback, connectors)?;
        let order = |told: &PileSetpoint| {
            let at = usize::try_from(told.pile).ok();
            let fallback = at.and_then(|at| fallbacks.get(at)).copied();
            Ok(PileOrder {
                setpoint: told.setpoint,
                valid_until: lease.valid_until,
                fallback: fallback.ok_or(OrderError::NoSuchPile {
                    pile: told.pile,
                    piles: connectors.len(),
                })?,
            })
        };
        setpoints.iter().map(order).collect()
    }
}

/// A station's fallback shared out over all of its piles, in their order: as many as it is enough for get the least with
/// which they charge, the first ones first, and they share the rest equally. The parts never add up to more.
///
/// # Errors
/// When it is negative.
pub fn fallbacks(fallback: Power, connectors: &[Connector]) -> Result<Vec<Power>, OrderError> {
    if fallback < Power::ZERO {
        return Err(OrderError::NegativeFallback { fallback });
    }
    let mut rest = fallback;
    let mut served: i64 = 0;
    for connector in connectors {
        let least = connector.wiring().least();
        if least > rest {
            break;
        }
        rest -= least;
        served += 1;
    }
    let more = Power::from_watts(rest.as_watts().checked_div(served).unwrap_or(0));
    let part = |(at, connector): (i64, &Connector)| {
        if at < served {
            connector.wiring().least() + more
        } else {
            Power::ZERO
        }
    };
    Ok((0..).zip(connectors).map(part).collect())
}

/// A lease as a schedule says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Course {
    /// When the first period begins: now, or less than a second ago.
    pub(super) start: Timestamp,
    /// When the second one begins, from there.
    pub(super) seconds: i32,
}

impl Course {
    pub(super) fn new(now: Timestamp, valid_until: Timestamp) -> Result<Course, OrderError> {
        // OCPP 2.x takes three decimals of a second.
        let end = valid_until.trunc_subsecs(3);
        let left = (end - now.trunc_subsecs(3)).num_milliseconds();
        if left <= 0 {
            return Err(OrderError::LeaseOver { valid_until, now });
        }
        let seconds = left / 1_000 + i64::from(left % 1_000 > 0);
        let start = end.checked_sub_signed(TimeDelta::seconds(seconds));
        match (start, i32::try_from(seconds)) {
            (Some(start), Ok(seconds)) => Ok(Course { start, seconds }),
            _ => Err(OrderError::LeaseTooLong { valid_until }),
        }
    }
}

/// What every version asks of an order that it can only say as a limit.
pub(super) fn check_charging(
    connector: &Connector,
    order: &PileOrder,
    version: &'static str,
) -> Result<(), OrderError> {
    if order.setpoint < Power::ZERO {
        let setpoint = order.setpoint;
        return Err(OrderError::VersionCannotDischarge { version, setpoint });
    }
    check(connector, order)
}

/// What every version asks of an order.
pub(super) fn check(connector: &Connector, order: &PileOrder) -> Result<(), OrderError> {
    let PileOrder {
        setpoint, fallback, ..
    } = *order;
    let (least, number) = (connector.wiring().least(), connector.number());
    if fallback < Power::ZERO {
        return Err(OrderError::NegativeFallback { fallback });
    }
    if setpoint < Power::ZERO && !connector.discharges() {
        return Err(OrderError::CannotDischarge {
            connector: number,
            setpoint,
        });
    }
    if setpoint > Power::ZERO && setpoint < least {
        return Err(OrderError::BelowLeast {
            connector: number,
            setpoint,
            least,
        });
    }
    Ok(())
}

/// Profile numbers are the same each time, so that a new profile takes the place of the last one and they never pile up:
/// within a station each pile and purpose has its own.
pub(super) fn profile_id(connector: u32, purpose: i32) -> i32 {
    let number = i32::try_from(connector).expect("a connector's number is bounded");
    number * 4 + purpose
}

/// The identifier of a transaction in OCPP 2.x, checked.
pub(super) fn transaction_id(id: &str) -> Result<String, OrderError> {
    let length = id.chars().count();
    if length == 0 || length > MAX_TRANSACTION_ID {
        return Err(OrderError::TransactionId { length });
    }
    Ok(id.to_owned())
}
