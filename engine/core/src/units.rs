//! Physical and market quantities.
//!
//! Sign: positive is consumption (charging), negative is feed-in (discharging), everywhere.
//! Storage: integers, so that sums do not depend on their order and a replay is bit-exact. Arithmetic is checked:
//! an overflow is a programmer's error and panics, in release builds too.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Neg, Sub, SubAssign};

use chrono::TimeDelta;
use rust_decimal::Decimal;
use rust_decimal::prelude::{FromPrimitive, ToPrimitive};

use crate::Invalid;

const WATT_MILLISECONDS_PER_KWH: i64 = 3_600_000_000;

/// The largest power that a message may speak of, in kilowatts: 100 GW, above any national peak. What is larger is an
/// error of units, and the bound keeps every sum of powers far from overflow.
pub const MAX_KILOWATTS: f64 = 1e8;

/// The largest energy that a message may speak of, in kilowatt-hours (100 GWh).
pub const MAX_KILOWATT_HOURS: f64 = 1e8;

macro_rules! quantity {
    ($name:ident, $base:literal) => {
        impl $name {
            /// Nothing.
            pub const ZERO: $name = $name(0);

            /// The smaller of two.
            #[must_use]
            pub fn min(self, other: $name) -> $name {
                Ord::min(self, other)
            }

            /// The larger of two.
            #[must_use]
            pub fn max(self, other: $name) -> $name {
                Ord::max(self, other)
            }

            /// The nearest value inside `[low, high]`. Where the bounds cross, `high` wins.
            #[must_use]
            pub fn limited_to(self, low: $name, high: $name) -> $name {
                Ord::min(Ord::max(self, low), high)
            }

            /// Magnitude, without sign.
            #[must_use]
            pub fn abs(self) -> $name {
                $name(self.0.abs())
            }
        }

        impl Add for $name {
            type Output = $name;
            fn add(self, other: $name) -> $name {
                $name(
                    self.0
                        .checked_add(other.0)
                        .expect(concat!($base, " overflow in a sum")),
                )
            }
        }

        impl Sub for $name {
            type Output = $name;
            fn sub(self, other: $name) -> $name {
                $name(
                    self.0
                        .checked_sub(other.0)
                        .expect(concat!($base, " overflow in a difference")),
                )
            }
        }

        impl Neg for $name {
            type Output = $name;
            fn neg(self) -> $name {
                $name(-self.0)
            }
        }

        impl AddAssign for $name {
            fn add_assign(&mut self, other: $name) {
                *self = *self + other;
            }
        }

        impl SubAssign for $name {
            fn sub_assign(&mut self, other: $name) {
                *self = *self - other;
            }
        }

        impl Sum for $name {
            fn sum<I: Iterator<Item = $name>>(items: I) -> $name {
                items.fold($name::ZERO, |total, item| total + item)
            }
        }

        impl<'a> Sum<&'a $name> for $name {
            fn sum<I: Iterator<Item = &'a $name>>(items: I) -> $name {
                items.copied().sum()
            }
        }
    };
}

/// Active power in whole watts. Positive draws from the grid.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct Power(i64);

quantity!(Power, "watts");

impl Power {
    /// From whole watts.
    pub const fn from_watts(watts: i64) -> Power {
        Power(watts)
    }

    /// From kilowatts, to the nearest watt.
    ///
    /// # Errors
    /// `field` is refused when the value is not finite or beyond [`MAX_KILOWATTS`].
    pub fn from_kilowatts(field: &str, kilowatts: f64) -> Result<Power, Invalid> {
        checked_round(field, "kW", kilowatts, 1e3, MAX_KILOWATTS).map(Power)
    }

    /// From a kilowatt figure of our own (a solver's, a forecast's), rounded down to the watt.
    ///
    /// # Panics
    /// When the figure is not finite or out of range: that is our error, not the caller's input.
    #[must_use]
    pub fn floor_kilowatts(kilowatts: f64) -> Power {
        Power(checked_watts((kilowatts * 1e3).floor()))
    }

    /// From a kilowatt figure of our own, rounded to the nearest watt.
    ///
    /// # Panics
    /// When the figure is not finite or out of range: that is our error, not the caller's input.
    #[must_use]
    pub fn round_kilowatts(kilowatts: f64) -> Power {
        Power(checked_watts((kilowatts * 1e3).round()))
    }

    /// Whole watts.
    pub const fn as_watts(self) -> i64 {
        self.0
    }

    /// Kilowatts, for people, the wire and the optimizer.
    #[allow(clippy::cast_precision_loss)] // exact up to 2^53 W, nine million gigawatts
    #[must_use]
    pub fn as_kilowatts(self) -> f64 {
        self.0 as f64 / 1e3
    }

    /// `self × numerator / denominator`, rounded towards zero; zero when the denominator is zero.
    #[must_use]
    pub fn scaled(self, numerator: Power, denominator: Power) -> Power {
        if denominator.0 == 0 {
            return Power::ZERO;
        }
        let scaled = i128::from(self.0) * i128::from(numerator.0) / i128::from(denominator.0);
        Power(i64::try_from(scaled).expect("watts overflow in a share"))
    }
}

impl Mul<TimeDelta> for Power {
    type Output = Energy;
    fn mul(self, length: TimeDelta) -> Energy {
        Energy(
            self.0
                .checked_mul(length.num_milliseconds())
                .expect("watt-milliseconds overflow in power × time"),
        )
    }
}

impl fmt::Display for Power {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.abs() {
            0..1_000 => write!(f, "{} W", self.0),
            1_000..1_000_000 => write!(f, "{:.1} kW", self.as_kilowatts()),
            _ => write!(f, "{:.2} MW", self.as_kilowatts() / 1e3),
        }
    }
}

/// Energy in watt-milliseconds (millijoules): exact for power × milliseconds, ±2.5 TWh. Positive is drawn from the grid.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct Energy(i64);

quantity!(Energy, "watt-milliseconds");

impl Energy {
    /// From watt-milliseconds.
    pub const fn from_watt_milliseconds(watt_milliseconds: i64) -> Energy {
        Energy(watt_milliseconds)
    }

    /// From kilowatt-hours, to the nearest watt-millisecond.
    ///
    /// # Errors
    /// `field` is refused when the value is not finite or beyond [`MAX_KILOWATT_HOURS`].
    pub fn from_kilowatt_hours(field: &str, kwh: f64) -> Result<Energy, Invalid> {
        #[allow(clippy::cast_precision_loss)]
        let per_kwh = WATT_MILLISECONDS_PER_KWH as f64;
        checked_round(field, "kWh", kwh, per_kwh, MAX_KILOWATT_HOURS).map(Energy)
    }

    /// From a kilowatt-hour figure of our own, rounded down to the watt-millisecond.
    ///
    /// # Panics
    /// When the figure is not finite or out of range: that is our error, not the caller's input.
    #[must_use]
    pub fn floor_kilowatt_hours(kwh: f64) -> Energy {
        assert!(
            kwh.abs() <= 10.0 * MAX_KILOWATT_HOURS,
            "a computed energy of {kwh} kWh is not finite or out of range"
        );
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // bounded above
        Energy((kwh * WATT_MILLISECONDS_PER_KWH as f64).floor() as i64)
    }

    /// Watt-milliseconds.
    pub const fn as_watt_milliseconds(self) -> i64 {
        self.0
    }

    /// Kilowatt-hours, for people, the wire and the optimizer.
    #[allow(clippy::cast_precision_loss)]
    #[must_use]
    pub fn as_kilowatt_hours(self) -> f64 {
        self.0 as f64 / WATT_MILLISECONDS_PER_KWH as f64
    }
}

impl Div<TimeDelta> for Energy {
    type Output = Power;
    /// The mean power that moves this energy in `length`, rounded towards zero.
    fn div(self, length: TimeDelta) -> Power {
        Power(self.0 / length.num_milliseconds())
    }
}

impl fmt::Display for Energy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kwh = self.as_kilowatt_hours();
        if kwh.abs() < 1e3 {
            write!(f, "{kwh:.1} kWh")
        } else {
            write!(f, "{:.2} MWh", kwh / 1e3)
        }
    }
}

/// A price in CNY per kilowatt-hour, exact.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct Price(Decimal);

impl Price {
    /// From CNY per kilowatt-hour.
    pub const fn from_cny_per_kwh(price: Decimal) -> Price {
        Price(price)
    }

    /// From CNY per kilowatt-hour, rounded to the hundredth of a fen; nothing where it is no number.
    #[must_use]
    pub fn round_cny_per_kwh(price: f64) -> Price {
        Price(Decimal::from_f64(price).map_or(Decimal::ZERO, |price| price.round_dp(4)))
    }

    /// CNY per kilowatt-hour, exact.
    pub const fn as_cny_per_kwh(self) -> Decimal {
        self.0
    }

    /// CNY per kilowatt-hour for the optimizer.
    #[must_use]
    pub fn as_f64(self) -> f64 {
        self.0.to_f64().unwrap_or(f64::NAN)
    }
}

/// An amount of money in CNY, exact.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct Money(Decimal);

impl Money {
    /// From CNY.
    pub const fn from_cny(amount: Decimal) -> Money {
        Money(amount)
    }

    /// CNY, exact.
    pub const fn as_cny(self) -> Decimal {
        self.0
    }
}

impl Mul<Price> for Energy {
    type Output = Money;
    fn mul(self, price: Price) -> Money {
        let kwh = Decimal::from(self.0) / Decimal::from(WATT_MILLISECONDS_PER_KWH);
        Money(kwh * price.0)
    }
}

fn checked_round(
    field: &str,
    unit: &str,
    value: f64,
    per_unit: f64,
    max: f64,
) -> Result<i64, Invalid> {
    if !value.is_finite() {
        return Err(Invalid::new(
            field,
            format!("{value} {unit} is not a finite number"),
        ));
    }
    if value.abs() > max {
        return Err(Invalid::new(
            field,
            format!("{value} {unit} is beyond ±{max} {unit}"),
        ));
    }
    #[allow(clippy::cast_possible_truncation)] // bounded above
    Ok((value * per_unit).round() as i64)
}

fn checked_watts(watts: f64) -> i64 {
    assert!(
        watts.abs() <= MAX_KILOWATTS * 1e3,
        "a computed power of {watts} W is not finite or out of range"
    );
    #[allow(clippy::cast_possible_truncation)] // bounded above
    {
        watts as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn power_times_time_is_exact_energy() {
        let energy = Power::from_watts(7_000) * TimeDelta::minutes(15);
        assert_eq!(energy.as_watt_milliseconds(), 7_000 * 900_000);
        assert!((energy.as_kilowatt_hours() - 1.75).abs() < 1e-12);
        assert_eq!(energy / TimeDelta::minutes(15), Power::from_watts(7_000));
    }

    #[test]
    fn what_is_not_a_number_is_refused_with_the_field() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e9, -1e9] {
            let refusal = Power::from_kilowatts("active_power_kw", bad).unwrap_err();
            assert_eq!(refusal.field, "active_power_kw", "{bad}");
        }
        assert_eq!(Power::from_kilowatts("p", -0.0).unwrap(), Power::ZERO);
    }

    #[test]
    fn energy_times_price_is_exact_money() {
        // 20 kWh at the sharp feed-in price of 0.962625 CNY/kWh.
        let energy = Energy::from_kilowatt_hours("e", 20.0).unwrap();
        let price = Price::from_cny_per_kwh(Decimal::new(962_625, 6));
        assert_eq!((energy * price).as_cny(), Decimal::new(1_925_250, 5));
    }

    proptest! {
        #[test]
        fn kilowatts_survive_the_round_trip(watts in -100_000_000_000_i64..100_000_000_000) {
            let power = Power::from_watts(watts);
            prop_assert_eq!(Power::from_kilowatts("p", power.as_kilowatts()).unwrap(), power);
        }

        #[test]
        fn a_share_never_exceeds_its_whole(whole in 0_i64..1 << 50, part in 0_i64..1 << 40, total in 1_i64..1 << 40) {
            let part = part.min(total);
            let share = Power::from_watts(whole).scaled(Power::from_watts(part), Power::from_watts(total));
            prop_assert!(share <= Power::from_watts(whole) && share >= Power::ZERO);
        }
    }
}
