//! `vpp serve`.

use crate::say::say;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use chrono::TimeDelta;
use vpp_core::{Interval, Timestamp};
use vpp_dispatch::PricePoint;
use vpp_market_adapters::{RulePack, Tariff};
use vpp_service::{Clock, EmbeddedBroker, Service, ServiceConfig};

/// Run the dispatch engine alone, from a configuration file.
///
/// Examples:
///   vpp serve --config engine.toml
///   vpp serve --embedded-broker            (to try out: no broker to install)
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The configuration file (TOML); without it the defaults.
    #[arg(long)]
    config: Option<PathBuf>,
    /// Where the broker is; over the file's `kafka.bootstrap`.
    #[arg(long, value_name = "HOST:PORT")]
    kafka: Option<String>,
    /// Start a broker inside the process, in memory.
    #[arg(long, conflicts_with = "kafka")]
    embedded_broker: bool,
    /// Where gRPC listens; over the file's `grpc_address`.
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<std::net::SocketAddr>,
    /// Where the journal is kept; over the file's `data_dir`.
    #[arg(long)]
    data_dir: Option<PathBuf>,
}

pub(crate) fn main(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let mut config = match &arguments.config {
        None => ServiceConfig::default(),
        Some(file) => {
            let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
            ServiceConfig::parse(&text).with_context(|| file.display().to_string())?
        }
    };
    let broker = if arguments.embedded_broker {
        let broker = EmbeddedBroker::start()?;
        say!("{}", broker.notice());
        config.kafka.create_topics = false;
        config.kafka.bootstrap = broker.bootstrap();
        Some(broker)
    } else {
        None
    };
    if let Some(kafka) = arguments.kafka {
        config.kafka.bootstrap = kafka;
    }
    config.grpc_address = arguments.listen.unwrap_or(config.grpc_address);
    config.data_dir = arguments.data_dir.or(config.data_dir);
    let clock = Clock::wall();
    let prices = prices(RulePack::guangdong_2025().tariff(), clock.now());
    let bootstrap = config.kafka.bootstrap.clone();
    tokio::runtime::Runtime::new()?.block_on(async {
        let service = Service::start(config, prices, clock).await?;
        say!(
            "gRPC on {}, broker {bootstrap}; stop with Ctrl-C",
            service.address()
        );
        stop_signal().await?;
        service.stop().await;
        anyhow::Ok(())
    })?;
    drop(broker);
    Ok(ExitCode::SUCCESS)
}

/// Quarter-hour prices for a day and a bit from `start`, of days that are not declared hot.
fn prices(tariff: &Tariff, start: Timestamp) -> Vec<PricePoint> {
    let quarter = TimeDelta::minutes(15);
    let first = start - TimeDelta::seconds(start.timestamp().rem_euclid(900));
    let point = |step: i32| {
        let at = first + quarter * step;
        Some(PricePoint {
            interval: Interval::new(at, at + quarter).ok()?,
            energy: tariff.price_at(at, false),
            feed_in: tariff.feed_in_price_at(at, false),
        })
    };
    (0..32 * 4).filter_map(point).collect()
}

/// Waits for Ctrl-C or a polite kill.
async fn stop_signal() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}
