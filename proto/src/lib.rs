//! The wire: messages and services of `vpp.v1`, and the only conversions between wire and domain.
//!
//! `TryFrom` comes in and may refuse, naming the field; `From` goes out and cannot fail.

pub mod client;
pub mod convert;
pub mod topics;

/// Generated from `proto/vpp/v1/*.proto`; the documentation of each item stands there.
#[allow(
    missing_docs,
    unreachable_pub,
    rustdoc::all,
    clippy::all,
    clippy::pedantic
)]
pub mod v1 {
    tonic::include_proto!("vpp.v1");
}

/// Descriptors of all files, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The version of the Kafka messages' meaning that this code writes and accepts.
pub const SCHEMA_VERSION: u32 = 1;
