//! Demand response as markets settle it: what would have been drawn ([`baseline`]), what was delivered and earns
//! ([`payment`]), and who gets how much of it ([`split()`]). Pure arithmetic: energies are whole watt-hours, money is exact
//! to the fen.

pub mod accuracy;
pub mod baseline;
pub mod clearing;
pub mod invitation;
pub mod payment;
mod split;

pub use split::split;

/// Quarters of an hour in a local day.
pub const SLOTS: usize = 96;
