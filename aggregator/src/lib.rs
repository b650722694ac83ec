//! The aggregator's side of the plant: takes the engine's commands for its stations, decides whether each may be followed,
//! splits a station's setpoint over its piles, answers, and reports.
//!
//! [`agent`] is the state of one station's commands, [`mod@split`] shares a setpoint out, [`operator`] drives all stations of
//! one aggregator through [`site::Sites`], [`stay`] keeps what owners and makers of vehicles were promised; all are pure and get
//! the time from outside. [`kafka`] is the process, [`protocol`] the words that real piles speak.

pub mod agent;
pub mod bank;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod operator;
#[cfg(feature = "owners")]
pub mod owners;
#[cfg(feature = "ocpp")]
pub mod protocol;
pub mod site;
pub mod split;
pub mod stay;

pub use agent::{InForce, StationAgent};
pub use bank::{Bank, Pack};
pub use operator::{Operator, Statistics};
pub use site::{BatteryReading, Lease, PileReading, PileSetpoint, Sites};
pub use split::{Splitter, split};
pub use stay::{Book, Desk, Doubts, Expectations, Guard, Used, Warranties, Warranty};
