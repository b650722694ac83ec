//! `vpp aggregator`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use vpp_aggregator::owners::Owners;
use vpp_aggregator::{Operator, Sites as _, kafka};
use vpp_core::AggregatorId;
use vpp_scenarios::world::World;
use vpp_service::Clock;

use crate::plant;
use crate::say::{note, say};

/// Run one aggregator of a scenario, with simulated stations behind it, against a broker; with --grpc its owners reserve.
///
/// Examples:
///   vpp aggregator scenarios/guangzhou-pilot.toml --id agg-a --kafka 127.0.0.1:9092
///   vpp aggregator scenarios/fleet-small.toml --id agg-a --grpc 127.0.0.1:50061 --data-dir agg-a.data
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The scenario file.
    scenario: PathBuf,
    /// Which of its aggregators.
    #[arg(long)]
    id: AggregatorId,
    /// Where the broker is.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9092")]
    kafka: String,
    /// Serve ReservationService here.
    #[arg(long, value_name = "HOST:PORT")]
    grpc: Option<String>,
    /// Keep reservations and what vehicles gave here; without it they are forgotten at the end.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
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
    scenario.move_to(clock.now().fixed_offset());
    let world = World::from_scenario(&scenario, Some(&arguments.id))?;
    let runtime = tokio::runtime::Runtime::new()?;
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    runtime.spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            flag.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    });
    let time: kafka::Clock = Arc::new(move || clock.now());
    if let Some(folder) = &arguments.data_dir {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let (stations, warranties) = (world.stations().to_vec(), scenario.warranties());
    let owners = Owners::open(
        arguments.data_dir.as_deref(),
        &stations,
        warranties,
        Arc::clone(&time),
    );
    let owners = runtime.block_on(owners)?;
    let desk = owners.desk();
    let (leave, left) = oneshot::channel::<()>();
    let server = runtime.block_on(serve(owners, arguments.grpc.as_deref(), left))?;
    let config = kafka::Config::new(&arguments.kafka, arguments.id.clone());
    say!(
        "aggregator {} on broker {}; stop with Ctrl-C",
        arguments.id,
        arguments.kafka
    );
    let operator = Operator::new(arguments.id.clone(), world).with_desk(desk);
    let report = kafka::run(&config, operator, &time, &stop)?;
    drop(leave);
    runtime.block_on(server)?;
    say!("{report:#?}");
    Ok(ExitCode::SUCCESS)
}

/// Serves owners, if anywhere, and keeps their record until `left` is told or dropped.
async fn serve(
    owners: Owners,
    address: Option<&str>,
    left: oneshot::Receiver<()>,
) -> anyhow::Result<tokio::task::JoinHandle<()>> {
    let listener = match address {
        Some(address) => {
            let listener = TcpListener::bind(address).await;
            let listener = listener.with_context(|| format!("--grpc {address}"))?;
            say!("owners on gRPC {}", listener.local_addr()?);
            Some(listener)
        }
        None => None,
    };
    Ok(tokio::spawn(async move {
        let left = async {
            let _ = left.await;
        };
        if let Err(error) = owners.run(listener, left).await {
            note!("reservations: {error}");
        }
    }))
}
