//! The words of the field, as plain types: units, time, identifiers, the electric tree, stations and their state,
//! flexibility, programmes, commands.
//!
//! Everything here is a value. No clock, no I/O, no async, no randomness; the crates above decide, this one names.
//!
//! Sign: power is positive when a station *draws from* the grid and negative when it exports, everywhere.

pub mod change;
pub mod command;
pub mod fault;
pub mod fleet;
pub mod flexibility;
pub mod forecast;
pub mod grid;
pub mod id;
pub mod invalid;
pub mod programme;
pub mod reservation;
pub mod station;
pub mod telemetry;
pub mod time;
pub mod units;

pub use change::{AggregatorChange, NodeChange, StationChange};
pub use command::{
    Acknowledgement, AcknowledgementStatus, Command, Decision, Reason, SequenceNumber,
};
pub use fault::{Fault, FaultKind};
pub use fleet::{Fleet, StationLimits};
pub use flexibility::{EnergyEnvelope, Flexibility};
pub use forecast::{Forecast, Quote, TimeOfWeek};
pub use grid::{Agreement, ElectricTree, Node, NodeKind};
pub use id::{
    AggregatorId, EventId, InvitationId, NodeId, RequestId, ReservationId, StationId, VehicleId,
};
pub use invalid::{Invalid, InvalidKind};
pub use programme::{
    Commitment, Event, EventOutcome, EventRequest, EventState, Programme, RegulationAward,
    RegulationSignal, Scope,
};
pub use reservation::{
    Booking, Cause, OwnerRequest, Promise, Reservation, ReservationState, Unkept, Veto, Violation,
};
pub use station::{Aggregator, Pile, PileKind, Station, StationKind};
pub use telemetry::{Session, Telemetry};
pub use time::{Interval, Timestamp};
pub use units::{Energy, Money, Power, Price};
