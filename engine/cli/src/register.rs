//! `vpp register`.

use std::path::PathBuf;
use std::process::ExitCode;

use crate::plant;
use crate::say::say;

/// Register a scenario's aggregators, electric tree and stations with a running engine.
///
/// Example: vpp register scenarios/guangzhou-pilot.toml --engine 127.0.0.1:50051
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The scenario file.
    scenario: PathBuf,
    /// Where the engine's gRPC listens.
    #[arg(long, default_value = "127.0.0.1:50051")]
    engine: String,
}

pub(crate) fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let scenario = plant::scenario(Some(&arguments.scenario))?;
    tokio::runtime::Runtime::new()?.block_on(async {
        plant::register(plant::connect(&arguments.engine).await?, &scenario).await
    })?;
    say!(
        "registered {} aggregators, {} nodes, {} stations",
        scenario.aggregators.len(),
        scenario.nodes.len(),
        scenario.fleet.stations.len()
    );
    Ok(ExitCode::SUCCESS)
}
