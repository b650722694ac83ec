//! Tariffs and markets: one module for each market or outside system, their figures as data in `rules/`.
//!
//! No figure of a rule stands in the code: each is read from a rule pack, with its validity, its source and how sure
//! it is.

pub mod capability;
pub mod catalogue;
pub mod plan;
pub mod regulation;
pub mod response;
pub mod rules;
pub mod subsidy;
pub mod tariff;

pub use rules::{Dated, PackId, RuleError, Series, Status};
pub use tariff::{Period, RulePack, Tariff};
