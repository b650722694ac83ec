//! Compiles the `.proto` files without a system `protoc`, and keeps their descriptors for server reflection.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

use prost::Message;

const FILES: [&str; 12] = [
    "vpp/v1/fleet.proto",
    "vpp/v1/fleet_service.proto",
    "vpp/v1/dispatch.proto",
    "vpp/v1/dispatch_service.proto",
    "vpp/v1/telemetry.proto",
    "vpp/v1/command.proto",
    "vpp/v1/journal.proto",
    "vpp/v1/settlement_service.proto",
    "vpp/v1/invitation.proto",
    "vpp/v1/invitation_service.proto",
    "vpp/v1/reservation.proto",
    "vpp/v1/reservation_service.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    for file in FILES {
        println!("cargo::rerun-if-changed={file}");
    }
    let descriptors = protox::Compiler::new(["."])?
        .include_source_info(true)
        .include_imports(true)
        .open_files(FILES)?
        .file_descriptor_set();
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(descriptors)?;
    Ok(())
}
