//! What several subcommands share: a scenario, its prices, and its registration through gRPC.

use std::path::Path;

use anyhow::Context as _;
use chrono::TimeDelta;
use tonic::transport::Channel;
use vpp_dispatch::PricePoint;
use vpp_proto::client::register_fleet;
use vpp_scenarios::Scenario;
use vpp_scenarios::price::IntervalPrice;

/// The scenario that is built in.
const PILOT: &str = include_str!("../../../scenarios/guangzhou-pilot.toml");

/// The scenario of a file, or the one that is built in.
pub(crate) fn scenario(file: Option<&Path>) -> anyhow::Result<Scenario> {
    match file {
        Some(file) => Ok(Scenario::load(file)?),
        None => Scenario::parse(PILOT)
            .map_err(|problems| anyhow::anyhow!("the built-in scenario: {}", problems[0])),
    }
}

/// How far a plan looks beyond the end of a scenario.
const BEYOND: TimeDelta = TimeDelta::hours(32);

/// Quarter-hour prices of a scenario and of a day and a bit after it.
pub(crate) fn prices(scenario: &Scenario) -> anyhow::Result<Vec<PricePoint>> {
    let point = |price: IntervalPrice| PricePoint {
        interval: price.interval,
        energy: price.energy,
        feed_in: price.feed_in,
    };
    Ok(scenario.prices(BEYOND)?.into_iter().map(point).collect())
}

/// Registers a scenario's fleet. Sent again, nothing happens twice.
pub(crate) async fn register(channel: Channel, scenario: &Scenario) -> anyhow::Result<()> {
    let registered = register_fleet(channel, &scenario.header.name, &scenario.fleet()?).await;
    registered.context("registering the fleet")
}

/// Connects to an engine.
pub(crate) async fn connect(address: &str) -> anyhow::Result<Channel> {
    let url = if address.contains("://") {
        address.to_owned()
    } else {
        format!("http://{address}")
    };
    Channel::from_shared(url)?
        .connect()
        .await
        .with_context(|| format!("no engine answers at {address}; start one with `vpp serve`"))
}
