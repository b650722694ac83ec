//! The protocol mapping against the published schemas, and against a station that reads profiles by the specification.

#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]
#![cfg(feature = "ocpp")]

#[path = "../common/mod.rs"]
mod common;
mod messages;
mod needs;
mod orders;
mod readings;
mod schemas;
mod sites;
mod station;
mod status;
