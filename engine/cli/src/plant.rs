//! What several subcommands share: a scenario, its prices, and its registration through gRPC.

use std::path::Path;

use anyhow::Context as _;
use chrono::TimeDelta;
use tonic::transport::Channel;
use vpp_core::{Interval, Timestamp};
use vpp_dispatch::PricePoint;
use vpp_market_adapters::Tariff;
use vpp_proto::client::register_fleet;
use vpp_scenarios::Scenario;

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

/// Quarter-hour prices for a day and a bit from `start`.
pub(crate) fn prices(tariff: &Tariff, start: Timestamp, sharp_day: bool) -> Vec<PricePoint> {
    let quarter = TimeDelta::minutes(15);
    let first = start - TimeDelta::seconds(start.timestamp().rem_euclid(900));
    let point = |step: i32| {
        let at = first + quarter * step;
        Some(PricePoint {
            interval: Interval::new(at, at + quarter).ok()?,
            energy: tariff.price_at(at, sharp_day),
            feed_in: tariff.feed_in_price_at(at, sharp_day),
        })
    };
    (0..32 * 4).filter_map(point).collect()
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
