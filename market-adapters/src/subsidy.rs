//! Subsidies out of a yearly budget that ends: what is claimed, what is granted of it, and why not more.
//!
//! Grants are made in the order in which they are claimed; the one that the budget no longer covers gets what is left, and
//! from then on nothing is granted in that year. A plan made for a decision sees the subsidy as a price
//! ([`Budget::discharge_price`]) that ends with the budget.

use std::sync::LazyLock;

use chrono::{Datelike, NaiveDate, NaiveTime};
use chrono_tz::Tz;
use rust_decimal::{Decimal, RoundingStrategy};
use serde::Deserialize;
use toml::Spanned;
use vpp_core::{Invalid, Price, Timestamp};

use crate::rules::{self, Dated, Head, PackId, Refusal, RuleError, refusal};

/// The figures of a city's subsidies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubsidyRules {
    /// Which pack it is.
    pub pack: PackId,
    zone: Tz,
    equipment_share: Dated<Decimal>,
    platform_share: Dated<Decimal>,
    discharge_rate: Dated<Decimal>,
    yearly_budget: Dated<Decimal>,
}

/// What somebody claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// For V2G equipment that cost so much, fen.
    Equipment {
        /// What it cost.
        cost_fen: i64,
        /// What is asked for of it.
        asked_fen: i64,
    },
    /// For connecting a platform, fen.
    Platform {
        /// What it cost.
        cost_fen: i64,
        /// What is asked for of it.
        asked_fen: i64,
    },
    /// For energy discharged.
    Discharge {
        /// Wh.
        wh: i64,
        /// For each kWh.
        rate: Price,
    },
}

/// What keeps a grant below what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// The share of the cost, or the rate for each kWh.
    Cap,
    /// The year's budget.
    Budget,
}

/// What a claim comes to, in fen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// As claimed.
    pub asked_fen: i64,
    /// As granted.
    pub granted_fen: i64,
    /// Why it is less, if it is.
    pub cut: Option<Cut>,
}

/// The budget of a calendar year.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    year: i32,
    total_fen: i64,
    equipment_fen: i64,
    platform_fen: i64,
    discharge_fen: i64,
}

impl SubsidyRules {
    /// The pack that comes with this crate.
    ///
    /// # Panics
    /// Never: a test reads it.
    #[must_use]
    pub fn guangzhou() -> &'static SubsidyRules {
        static PACK: LazyLock<SubsidyRules> = LazyLock::new(|| {
            SubsidyRules::parse(include_str!("../rules/subsidies-guangzhou.toml"))
                .expect("the pack that comes with the crate is sound")
        });
        &PACK
    }

    /// Reads a pack from text.
    ///
    /// # Errors
    /// The first figure that is missing, of the wrong type or impossible, with its line.
    pub fn parse(text: &str) -> Result<SubsidyRules, RuleError> {
        rules::parse(text, RawPack::check)
    }

    /// The calendar year of an instant, whose budget it is, and when that ends.
    #[must_use]
    pub fn year_of(&self, at: Timestamp) -> (i32, Timestamp) {
        let year = at.with_timezone(&self.zone).year();
        let next = NaiveDate::from_ymd_opt(year + 1, 1, 1).map(|day| day.and_time(NaiveTime::MIN));
        let next = next.and_then(|day| day.and_local_timezone(self.zone).earliest());
        (year, next.map_or(at, |at| at.to_utc()))
    }

    /// For each kWh discharged, at most.
    #[must_use]
    pub fn discharge_rate(&self) -> Price {
        Price::from_cny_per_kwh(self.discharge_rate.value)
    }

    /// Whether all figures hold on a local day.
    fn hold_on(&self, day: NaiveDate) -> bool {
        let holds = |figure: &Dated<Decimal>| {
            figure.valid_from <= day && figure.valid_to.is_none_or(|end| day < end)
        };
        [
            &self.equipment_share,
            &self.platform_share,
            &self.discharge_rate,
            &self.yearly_budget,
        ]
        .into_iter()
        .all(holds)
    }
}

impl Budget {
    /// The untouched budget of a year.
    ///
    /// # Errors
    /// A year in which the rules do not hold.
    pub fn of(rules: &SubsidyRules, year: i32) -> Result<Budget, Invalid> {
        let first = NaiveDate::from_ymd_opt(year, 1, 1);
        if !first.is_some_and(|day| rules.hold_on(day)) {
            let problem = format!("{year}: {} does not hold then", rules.pack);
            return Err(Invalid::new("year", problem));
        }
        Ok(Budget {
            year,
            total_fen: to_fen(rules.yearly_budget.value),
            equipment_fen: 0,
            platform_fen: 0,
            discharge_fen: 0,
        })
    }

    /// The budget of a year of which so much is left, CNY: all else was granted before.
    ///
    /// # Errors
    /// A year in which the rules do not hold; more than there is, less than nothing, or parts of a fen.
    pub fn with_left(rules: &SubsidyRules, year: i32, left: Decimal) -> Result<Budget, Invalid> {
        let mut budget = Budget::of(rules, year)?;
        let within = Decimal::ZERO <= left && left <= rules.yearly_budget.value;
        if !within || left.round_dp(2) != left {
            let most = rules.yearly_budget.value;
            let problem = format!("{left} CNY is not 0 to {most}, in whole fen");
            return Err(Invalid::new("left", problem));
        }
        budget.discharge_fen = budget.total_fen - to_fen(left);
        Ok(budget)
    }

    /// What has been granted, fen: for equipment, platforms and discharge.
    #[must_use]
    pub fn granted_fen(&self) -> [i64; 3] {
        [self.equipment_fen, self.platform_fen, self.discharge_fen]
    }

    /// What is left, fen.
    #[must_use]
    pub fn left_fen(&self) -> i64 {
        self.total_fen - self.granted_fen().iter().sum::<i64>()
    }

    /// What a kWh discharged earns from here on: the rate, or nothing once the budget is spent.
    #[must_use]
    pub fn discharge_price(&self, rules: &SubsidyRules) -> Price {
        let spent = self.left_fen() <= 0;
        Price::from_cny_per_kwh(if spent {
            Decimal::ZERO
        } else {
            rules.discharge_rate.value
        })
    }

    /// Grants what can be granted of a claim of a local day.
    ///
    /// # Errors
    /// A day of another year, a negative cost, energy or rate; nothing is granted then.
    pub fn grant(
        &mut self,
        rules: &SubsidyRules,
        day: NaiveDate,
        claim: Claim,
    ) -> Result<Grant, Invalid> {
        if day.year() != self.year || !rules.hold_on(day) {
            let problem = format!(
                "{day} is not of {} or {} does not hold",
                self.year, rules.pack
            );
            return Err(Invalid::new("day", problem));
        }
        let (asked_fen, most_fen) = claim.check(rules)?;
        let capped = asked_fen.min(most_fen);
        let granted_fen = capped.min(self.left_fen().max(0));
        let cut = if granted_fen < capped {
            Some(Cut::Budget)
        } else if capped < asked_fen {
            Some(Cut::Cap)
        } else {
            None
        };
        let of = match claim {
            Claim::Equipment { .. } => &mut self.equipment_fen,
            Claim::Platform { .. } => &mut self.platform_fen,
            Claim::Discharge { .. } => &mut self.discharge_fen,
        };
        *of += granted_fen;
        Ok(Grant {
            asked_fen,
            granted_fen,
            cut,
        })
    }
}

impl Claim {
    /// What is asked for, and the most that there can be, fen.
    fn check(self, rules: &SubsidyRules) -> Result<(i64, i64), Invalid> {
        let not_negative = |field: &str, value: i64| {
            if value < 0 {
                return Err(Invalid::new(field, format!("{value} is negative")));
            }
            Ok(())
        };
        match self {
            Claim::Equipment {
                cost_fen,
                asked_fen,
            }
            | Claim::Platform {
                cost_fen,
                asked_fen,
            } => {
                not_negative("cost_fen", cost_fen)?;
                not_negative("asked_fen", asked_fen)?;
                let share = if matches!(self, Claim::Equipment { .. }) {
                    rules.equipment_share.value
                } else {
                    rules.platform_share.value
                };
                // Down: never above the share.
                let most = (Decimal::from(cost_fen) * share).floor();
                Ok((asked_fen, i64::try_from(most).unwrap_or(i64::MAX)))
            }
            Claim::Discharge { wh, rate } => {
                not_negative("wh", wh)?;
                let rate = rate.as_cny_per_kwh();
                if rate < Decimal::ZERO || rate > Decimal::ONE_THOUSAND {
                    let problem = format!("{rate} CNY/kWh is outside 0 to 1000");
                    return Err(Invalid::new("rate", problem));
                }
                let kwh = Decimal::from(wh) / Decimal::ONE_THOUSAND;
                let most = rate.min(rules.discharge_rate.value);
                Ok((to_fen(kwh * rate), to_fen(kwh * most)))
            }
        }
    }
}

/// Whole fen, halves up.
fn to_fen(cny: Decimal) -> i64 {
    let fen = cny * Decimal::ONE_HUNDRED;
    let whole = fen.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero);
    i64::try_from(whole).unwrap_or(i64::MAX)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPack {
    pack: Head,
    equipment_share: Spanned<Dated<Decimal>>,
    platform_share: Spanned<Dated<Decimal>>,
    discharge_rate: Spanned<Dated<Decimal>>,
    yearly_budget: Spanned<Dated<Decimal>>,
}

impl RawPack {
    fn check(self) -> Result<SubsidyRules, Refusal> {
        let (pack, zone) = self.pack.check()?;
        let bounds = [
            ("equipment_share", &self.equipment_share, Decimal::ONE),
            ("platform_share", &self.platform_share, Decimal::ONE),
            ("discharge_rate", &self.discharge_rate, Decimal::ONE_HUNDRED),
            (
                "yearly_budget",
                &self.yearly_budget,
                Decimal::from(1_000_000_000_000_i64),
            ),
        ];
        for (field, figure, most) in bounds {
            let value = figure.get_ref().value;
            if value < Decimal::ZERO || value > most {
                let problem = format!("{value} is outside 0 to {most}");
                return Err(refusal(figure, field, problem));
            }
        }
        Ok(SubsidyRules {
            zone,
            pack,
            equipment_share: self.equipment_share.into_inner(),
            platform_share: self.platform_share.into_inner(),
            discharge_rate: self.discharge_rate.into_inner(),
            yearly_budget: self.yearly_budget.into_inner(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn day(month: u32) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, month, 1).expect("a day")
    }

    fn rate(text: &str) -> Price {
        Price::from_cny_per_kwh(text.parse().expect("a number"))
    }

    /// By hand, from the city's plan: half of the cost, 5 CNY/kWh, 20 million CNY a year for all of it.
    #[test]
    fn grants_keep_to_the_shares_the_rate_and_the_budget() {
        let rules = SubsidyRules::guangzhou();
        let mut budget = Budget::of(rules, 2026).expect("in force");
        let mut grant = |claim| budget.grant(rules, day(3), claim).expect("sound");
        let equipment = Claim::Equipment {
            cost_fen: 3_000_000_001,
            asked_fen: 1_800_000_000,
        };
        let granted = grant(equipment);
        assert_eq!(
            (granted.granted_fen, granted.cut),
            (1_500_000_000, Some(Cut::Cap))
        );
        // 100 MWh at 6 CNY/kWh: 5 are granted.
        let discharge = Claim::Discharge {
            wh: 100_000_000,
            rate: rate("6"),
        };
        let granted = grant(discharge);
        let expected = Grant {
            asked_fen: 60_000_000,
            granted_fen: 50_000_000,
            cut: Some(Cut::Cap),
        };
        assert_eq!(granted, expected);
        // 450 million fen are left: of 100 MWh at 4.5 CNY a kWh, ten times.
        let claim = Claim::Discharge {
            wh: 100_000_000,
            rate: rate("4.5"),
        };
        for _ in 0..10 {
            assert_eq!(grant(claim).cut, None);
        }
        let granted = grant(claim);
        assert_eq!((granted.granted_fen, granted.cut), (0, Some(Cut::Budget)));
        assert_eq!(
            (budget.left_fen(), budget.discharge_price(rules)),
            (0, rate("0"))
        );
        assert_eq!(budget.granted_fen(), [1_500_000_000, 0, 500_000_000]);
    }

    #[test]
    fn the_price_holds_until_the_budget_is_spent() {
        let rules = SubsidyRules::guangzhou();
        let mut budget = Budget::of(rules, 2026).expect("in force");
        assert_eq!(budget.discharge_price(rules), rate("5"));
        let claim = Claim::Platform {
            cost_fen: 3_999_999_998,
            asked_fen: 1_999_999_999,
        };
        budget.grant(rules, day(1), claim).expect("sound");
        // One fen is left.
        assert_eq!(budget.discharge_price(rules), rate("5"));
        let claim = Claim::Discharge {
            wh: 1_000,
            rate: rate("5"),
        };
        let granted = budget.grant(rules, day(2), claim).expect("sound");
        assert_eq!((granted.granted_fen, granted.cut), (1, Some(Cut::Budget)));
        assert_eq!(budget.discharge_price(rules), rate("0"));
    }

    #[test]
    fn what_cannot_be_claimed_is_refused_and_grants_nothing() {
        let rules = SubsidyRules::guangzhou();
        assert_eq!(Budget::of(rules, 2028).expect_err("over").field, "year");
        let mut budget = Budget::of(rules, 2026).expect("in force");
        let untouched = budget.clone();
        let discharge = |wh, text| Claim::Discharge {
            wh,
            rate: rate(text),
        };
        let other_year = NaiveDate::from_ymd_opt(2027, 1, 1).expect("a day");
        let table = [
            (other_year, discharge(1, "1"), "day"),
            (day(1), discharge(-1, "1"), "wh"),
            (day(1), discharge(1, "-1"), "rate"),
            (
                day(1),
                Claim::Equipment {
                    cost_fen: -1,
                    asked_fen: 0,
                },
                "cost_fen",
            ),
            (
                day(1),
                Claim::Platform {
                    cost_fen: 1,
                    asked_fen: -1,
                },
                "asked_fen",
            ),
        ];
        for (day, claim, field) in table {
            let refused = budget.grant(rules, day, claim).expect_err("refused");
            assert_eq!(refused.field, field);
            assert_eq!(budget, untouched);
        }
    }

    proptest! {
        /// However claims come, no more than the budget is granted, and nothing is granted that was not asked for.
        #[test]
        fn the_budget_is_a_hard_stop(claims in prop::collection::vec(
            (0_u8..3, 0_i64..2_000_000_000, 0_i64..2_000_000_000), 1..60,
        )) {
            let rules = SubsidyRules::guangzhou();
            let mut budget = Budget::of(rules, 2027).expect("in force");
            let day = NaiveDate::from_ymd_opt(2027, 6, 1).expect("a day");
            for (kind, a, b) in claims {
                let claim = match kind {
                    0 => Claim::Equipment { cost_fen: a, asked_fen: b },
                    1 => Claim::Platform { cost_fen: a, asked_fen: b },
                    _ => Claim::Discharge { wh: a, rate: Price::from_cny_per_kwh(Decimal::new(b % 8_000, 3)) },
                };
                let before = budget.left_fen();
                let grant = budget.grant(rules, day, claim).expect("sound");
                prop_assert!(0 <= grant.granted_fen && grant.granted_fen <= grant.asked_fen);
                prop_assert_eq!(budget.left_fen(), before - grant.granted_fen);
                prop_assert!(budget.left_fen() >= 0);
                prop_assert_eq!(grant.cut.is_none(), grant.granted_fen == grant.asked_fen);
            }
        }
    }
}
