//! The dispatch state machine: what is true, what could be, what should be, and who is told.
//!
//! [`Engine::step`] is a function: an instant and an [`Input`] in, [`Output`]s out. It has no clock, no I/O, no
//! randomness, and no order that depends on hashing, so that the same inputs give the same outputs. Shells drive it: the
//! live one from Kafka, gRPC and timers, a replay from a file.
//!
//! It is level-triggered: each control cycle reads the whole state and decides afresh, so that a lost message is healed
//! by the next cycle.

mod accounting;
mod baseline;
pub mod capability;
pub mod config;
mod cycle;
mod engine;
mod events;
mod foresight;
mod guard;
mod ingest;
mod input;
mod invitations;
mod issue;
mod margin;
mod newcomers;
mod plan;
mod price;
pub mod promises;
mod regulation;
mod report;
mod requests;
mod state;
mod subsidy;
mod track;
mod unplanned;
mod usual;
pub mod visits;

pub use baseline::Baseline;
pub use capability::{Capability, CapabilityDirection};
pub use config::Config;
pub use engine::Engine;
pub use input::{Answer, Fact, Input, Output, PricePoint, Request, SolveRequest, Solved};
pub use invitations::Invited;
pub use plan::{Plan, PlannedPower};
pub use promises::{CallDirection, Callable, DuePromise, Reliable, ReliableDirection};
pub use regulation::{Achieved, Regulation, RegulationNote};
pub use report::{AggregatorTotals, CycleReport};
pub use state::{Ordered, StationState};
pub use subsidy::Subsidy;
pub use usual::Calendar;
pub use visits::{ExpectedVisits, PastVisits, Visits};
