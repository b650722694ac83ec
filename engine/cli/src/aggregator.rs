//! `vpp aggregator`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use vpp_aggregator::{Operator, kafka};
use vpp_core::AggregatorId;
use vpp_scenarios::world::World;
use vpp_service::Clock;

use crate::plant;

/// Run one aggregator of a scenario, with simulated stations behind it, against a broker.
///
/// Example: vpp aggregator scenarios/guangzhou-pilot.toml --id agg-a --kafka 127.0.0.1:9092
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The scenario file.
    scenario: PathBuf,
    /// Which of its aggregators.
    #[arg(long)]
    id: AggregatorId,
    /// Where the broker is.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    kafka: String,
}

pub(crate) fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut scenario = plant::scenario(Some(&arguments.scenario))?;
    let ids: Vec<&str> = scenario.aggregators.iter().map(|a| a.id.as_str()).collect();
    if !ids.contains(&arguments.id.as_str()) {
        let (id, known) = (&arguments.id, ids.join(", "));
        anyhow::bail!("the scenario has no aggregator {id}; it has {known}");
    }
    // Beside an engine on the wall's clock the world lives now, with the vehicles of this time of day.
    let clock = Clock::wall();
    scenario.header.start = clock.now().fixed_offset();
    let world = World::from_scenario(&scenario, Some(&arguments.id))?;
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    std::thread::spawn(move || {
        let waited = tokio::runtime::Runtime::new()
            .and_then(|runtime| runtime.block_on(tokio::signal::ctrl_c()));
        if waited.is_ok() {
            flag.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    });
    let config = kafka::Config::new(&arguments.kafka, arguments.id.clone());
    println!(
        "aggregator {} on broker {}; stop with Ctrl-C",
        arguments.id, arguments.kafka
    );
    let time: kafka::Clock = Arc::new(move || clock.now());
    let report = kafka::run(
        &config,
        Operator::new(arguments.id.clone(), world),
        &time,
        &stop,
    )?;
    println!("{report:#?}");
    Ok(ExitCode::SUCCESS)
}
