//! What the piles speak: setpoints to OCPP messages, OCPP messages to readings, connector status of OCPP and T/CEC 102.
//!
//! Pure: no network, no clock. A message is its payload as JSON ([`serde_json::Value`]); frames, sockets and identifiers of
//! calls belong to whoever keeps the connection. `docs/ocpp.md` has the mapping as a table, and how to put it behind
//! [`Sites`](crate::Sites).
//!
//! ```text
//!  PileSetpoint + Lease ─► PileOrder ─► v16 / v2: SetChargingProfile ─► answer: refusal
//!  status, transaction: who is there    meter: power, state of charge, registers    needs: the vehicle ─► PileReading
//! ```
//!
//! Sign: as everywhere positive draws. OCPP 2.1 has the same for setpoints, and magnitudes for what a vehicle can discharge;
//! limits of OCPP 1.6 and 2.0.1 are never negative, so that a negative setpoint is refused there.
//!
//! The message types are our own, few and held against the published schemas (`tests/ocpp/`): those of the crate `rust-ocpp`
//! 3.0.4 leave out or misspell what OCPP 2.1 says of vehicle-to-grid.

pub mod answer;
pub mod figure;
pub mod meter;
pub mod needs;
pub mod order;
pub mod reading;
pub mod status;
pub mod tcec;
pub mod transaction;
pub mod v16;
pub mod v2;
pub mod wiring;

mod vehicle;
mod wire;

pub use answer::Answer;
pub use figure::{Absent, Figure, Measured, StateOfCharge};
pub use meter::Reading;
pub use needs::Needs;
pub use order::{Limit, OrderError, PileOrder, RateUnit};
pub use reading::pile_reading;
pub use status::{ConnectorStatus, StatusReport};
pub use transaction::TransactionEvent;
pub use wiring::{Ac, Connector, Phases, Supply, Wiring};
