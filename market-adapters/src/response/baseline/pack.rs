//! The rule pack of methods.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use chrono::NaiveDate;
use serde::Deserialize;
use toml::Spanned;
use vpp_core::Invalid;

use super::Baseline;
use super::methods::{Adjustment, Choose, LoadBefore, MeanOfDays};
use crate::response::SLOTS;
use crate::rules::{self, Head, PackId, Refusal, RuleError, Status, date, optional_date, refusal};

/// No method looks further back, days.
const MOST_LOOK_BACK: i64 = 400;

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDays {
    pub(super) candidates: usize,
    #[serde(default)]
    pub(super) least_candidates: Option<usize>,
    #[serde(default)]
    pub(super) same_type: bool,
    #[serde(default)]
    pub(super) workdays_only: bool,
    pub(super) look_back_days: i64,
    pub(super) first_day_before: i64,
    #[serde(default)]
    pub(super) energy_deviation: Option<f64>,
    pub(super) choose: Choose,
    #[serde(default)]
    pub(super) adjustment: Option<Adjustment>,
    #[serde(deserialize_with = "date")]
    pub(super) valid_from: NaiveDate,
    #[serde(default, deserialize_with = "optional_date")]
    pub(super) valid_to: Option<NaiveDate>,
    pub(super) source: String,
    pub(super) status: Status,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBefore {
    slots: usize,
    #[serde(deserialize_with = "date")]
    valid_from: NaiveDate,
    #[serde(default, deserialize_with = "optional_date")]
    valid_to: Option<NaiveDate>,
    source: String,
    status: Status,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum RawMethod {
    Days(RawDays),
    Before(RawBefore),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPack {
    pack: Head,
    method: BTreeMap<String, Spanned<RawMethod>>,
}

/// The methods of a rule pack.
pub struct BaselineRules {
    /// Which it is.
    pub pack: PackId,
    methods: Vec<MethodEntry>,
}

/// A method with what is known of it.
pub struct MethodEntry {
    method: Box<dyn Baseline>,
    /// First day on which it holds.
    pub valid_from: NaiveDate,
    /// First day on which it no longer holds.
    pub valid_to: Option<NaiveDate>,
    /// Where it comes from.
    pub source: String,
    /// How sure it is.
    pub status: Status,
}

impl MethodEntry {
    /// Checks that the method holds on a local day.
    ///
    /// # Errors
    /// The bound that the day lies beyond.
    pub fn require_in_force(&self, day: NaiveDate) -> Result<(), Invalid> {
        rules::holds_on(self.method.name(), self.valid_from, self.valid_to, day)
    }

    /// The method itself.
    #[must_use]
    pub fn method(&self) -> &dyn Baseline {
        &*self.method
    }
}

impl BaselineRules {
    /// The pack that comes with this crate.
    ///
    /// # Panics
    /// Never: a test reads it.
    #[must_use]
    pub fn standard() -> &'static BaselineRules {
        static PACK: LazyLock<BaselineRules> = LazyLock::new(|| {
            BaselineRules::parse(include_str!("../../../rules/baselines.toml"))
                .expect("the pack that comes with the crate is sound")
        });
        &PACK
    }

    /// Reads a pack from text.
    ///
    /// # Errors
    /// The first method that is impossible, with its line.
    pub fn parse(text: &str) -> Result<BaselineRules, RuleError> {
        rules::parse(text, RawPack::check)
    }

    /// All methods.
    #[must_use]
    pub fn methods(&self) -> &[MethodEntry] {
        &self.methods
    }

    /// A method by its name.
    #[must_use]
    pub fn entry(&self, name: &str) -> Option<&MethodEntry> {
        self.methods
            .iter()
            .find(|entry| entry.method.name() == name)
    }

    /// A method by its name, without what is known of it.
    #[must_use]
    pub fn method(&self, name: &str) -> Option<&dyn Baseline> {
        self.entry(name).map(MethodEntry::method)
    }
}

impl RawPack {
    fn check(self) -> Result<BaselineRules, Refusal> {
        let (pack, _) = self.pack.check()?;
        let mut methods = Vec::new();
        for (name, spanned) in self.method {
            let wrong =
                |problem: &str| refusal(&spanned, &format!("method.{name}"), problem.into());
            let (method, valid_from, valid_to, source, status): (Box<dyn Baseline>, _, _, _, _) =
                match spanned.get_ref().clone() {
                    RawMethod::Days(raw) => {
                        raw.check().map_err(wrong)?;
                        let about = (raw.valid_from, raw.valid_to, raw.source.clone(), raw.status);
                        let name = name.clone();
                        let method = Box::new(MeanOfDays { name, raw });
                        (method, about.0, about.1, about.2, about.3)
                    }
                    RawMethod::Before(raw) => {
                        if !(1..=SLOTS).contains(&raw.slots) {
                            return Err(wrong("slots must be 1 to 96"));
                        }
                        let name = name.clone();
                        let slots = raw.slots;
                        let method = Box::new(LoadBefore { name, slots });
                        (method, raw.valid_from, raw.valid_to, raw.source, raw.status)
                    }
                };
            methods.push(MethodEntry {
                method,
                valid_from,
                valid_to,
                source,
                status,
            });
        }
        Ok(BaselineRules { pack, methods })
    }
}

impl RawDays {
    fn check(&self) -> Result<(), &'static str> {
        let kept = match self.choose {
            Choose::All => 1,
            Choose::HighestEnergy(count) => count,
            Choose::Trim(count) => 2 * count + 1,
        };
        let least = self.least_candidates.unwrap_or(self.candidates);
        if !(1..=366).contains(&self.candidates) || least > self.candidates || least == 0 {
            return Err("candidates must be 1 to 366 and least_candidates at most as many");
        }
        if kept > least || kept == 0 {
            return Err("choose leaves no day or asks for more than there must be");
        }
        if !(1..=366).contains(&self.first_day_before)
            || !(self.first_day_before..=MOST_LOOK_BACK).contains(&self.look_back_days)
        {
            return Err("first_day_before must be 1 to 366, look_back_days no less and up to 400");
        }
        if (self.energy_deviation).is_some_and(|share| !(share > 0.0 && share <= 10.0)) {
            return Err("energy_deviation must be above 0 and up to 10");
        }
        match self.adjustment {
            Some(Adjustment {
                window_slots,
                gap_slots,
                cap,
            }) if !(1..=SLOTS).contains(&window_slots)
                || gap_slots > SLOTS
                || !(0.0..=1.0).contains(&cap) =>
            {
                Err(
                    "adjustment needs 1 to 96 window_slots, up to 96 gap_slots and a cap from 0 to 1",
                )
            }
            _ => Ok(()),
        }
    }
}
