//! The live shell of the dispatch engine: it merges Kafka, gRPC and timers into one order, steps the engine, and carries
//! out what comes back. It decides nothing.
//!
//! ```text
//! Kafka ──► consumer ─┐                          ┌─► solver thread ─► back in
//! gRPC  ──► handlers ─┼─► sequencer (one thread) ┼─► producer ─► Kafka
//! timers ─────────────┘       Engine::step       └─► journal thread ─► answers, streams of gRPC
//! ```

mod clock;
mod config;
mod grpc;
mod journal;
mod kafka;
mod pool;
mod recorder;
mod seldom;
mod sequencer;
mod service;
mod solver;
mod statistics;
mod watchdog;

pub use clock::Clock;
pub use config::{ConfigError, ServiceConfig};
pub use journal::JournalError;
pub use kafka::{EmbeddedBroker, ListenError, Listener};
pub use service::{Service, ServiceError};
pub use statistics::{Distribution, Statistics};
