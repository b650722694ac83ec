//! The configuration file of `vpp serve`: TOML, every knob with its unit, its default and its bounds.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use chrono::TimeDelta;
use serde::Deserialize;
use vpp_core::{Invalid, Power};
use vpp_dispatch::{Calendar, Config};
use vpp_optimizer::Backend;
#[cfg(feature = "highs")]
use vpp_optimizer::HighsMethod;

use crate::solver::Method;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Not readable as TOML, or an unknown key; the text names line and column.
    #[error("{0}")]
    Syntax(#[from] toml::de::Error),
    /// A value out of bounds.
    #[error("{0}")]
    Value(#[from] Invalid),
}

/// How the live engine runs.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceConfig {
    /// Where gRPC listens. Default 127.0.0.1:50051.
    pub grpc_address: SocketAddr,
    /// Where the journal is kept. None: nothing survives a restart, which the engine says when it starts.
    pub data_dir: Option<PathBuf>,
    /// The ledger of settlements: `sqlite:FILE` or `postgres://HOST/DATABASE`. None: `ledger.db` in `data_dir`, where there is
    /// one.
    pub ledger: Option<String>,
    /// Whether plans count on Guangzhou's subsidy for V2G energy, as long as this year's budget lasts: less what the ledger
    /// says was granted, and less what vehicles feed in from the start of the engine on. Default false.
    pub subsidies: bool,
    /// The broker.
    pub kafka: KafkaConfig,
    /// The state machine.
    pub dispatch: DispatchConfig,
}

impl Default for ServiceConfig {
    fn default() -> ServiceConfig {
        ServiceConfig {
            grpc_address: SocketAddr::from(([127, 0, 0, 1], 50_051)),
            data_dir: None,
            ledger: None,
            subsidies: false,
            kafka: KafkaConfig::default(),
            dispatch: DispatchConfig::default(),
        }
    }
}

/// The broker, and how it is used.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaConfig {
    /// `host:port`, several separated by commas. Default 127.0.0.1:9092.
    pub bootstrap: String,
    /// Consumer group of the engine. Default `vpp-engine`.
    pub group: String,
    /// Partitions of the telemetry and acknowledgement topics when the engine makes them. Default 6.
    pub partitions: i32,
    /// Replicas of the topics that the engine makes. Default 1; 3 for operation.
    pub replication: i32,
    /// Whether the engine makes topics that are missing. Default true.
    pub create_topics: bool,
    /// How long the broker may hold an empty fetch, ms. Default 5.
    pub fetch_wait_ms: u32,
    /// Further properties of librdkafka (`security.protocol`, `sasl.username`, …).
    pub properties: BTreeMap<String, String>,
}

impl Default for KafkaConfig {
    fn default() -> KafkaConfig {
        KafkaConfig {
            bootstrap: "127.0.0.1:9092".into(),
            group: "vpp-engine".into(),
            partitions: 6,
            replication: 1,
            create_topics: true,
            fetch_wait_ms: 5,
            properties: BTreeMap::new(),
        }
    }
}

/// The state machine's knobs; see [`vpp_dispatch::Config`] for what each means.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[allow(missing_docs)] // documented once, in vpp_dispatch::Config
pub struct DispatchConfig {
    pub solver: SolverName,
    pub cycle_s: f64,
    pub deadline_s: f64,
    pub solve_budget_s: f64,
    pub telemetry_period_s: f64,
    pub silent_periods: i32,
    pub command_lifetime_s: f64,
    pub acknowledgement_timeout_s: f64,
    pub exclusion_s: f64,
    pub deadband_kw: f64,
    pub horizon_minutes: Vec<f64>,
    pub baseline_window_s: f64,
    pub real_time_notice_s: f64,
    pub local_offset_h: f64,
    pub holidays: Vec<chrono::NaiveDate>,
    pub callable_share: f64,
    pub delivered_share: f64,
    pub wear_cny_per_kwh: f64,
    pub charging_value_cny_per_kwh: f64,
    pub default_price_cny_per_kwh: f64,
    pub signal_timeout_s: f64,
    pub regulation_reserve_s: f64,
    pub regulation_delay_s: f64,
    pub orderly: bool,
}

/// The solvers to choose from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SolverName {
    /// The one made for these problems.
    #[default]
    Fast,
    /// General, interior point, pure Rust.
    Clarabel,
    /// General, simplex, pure Rust; for small fleets.
    Microlp,
    /// General, in C++: HiGHS. Only in a build with the cargo feature `highs`.
    #[cfg(feature = "highs")]
    Highs,
}

impl From<SolverName> for Method {
    fn from(name: SolverName) -> Method {
        match name {
            SolverName::Fast => Method::Fast,
            SolverName::Clarabel => Method::Reference(Backend::Clarabel),
            SolverName::Microlp => Method::Reference(Backend::Microlp),
            #[cfg(feature = "highs")]
            SolverName::Highs => Method::Reference(Backend::Highs(HighsMethod::Simplex)),
        }
    }
}

#[allow(clippy::cast_precision_loss)] // a few seconds in milliseconds
fn seconds(length: TimeDelta) -> f64 {
    length.num_milliseconds() as f64 / 1e3
}

impl Default for DispatchConfig {
    fn default() -> DispatchConfig {
        let config = Config::default();
        DispatchConfig {
            solver: SolverName::default(),
            cycle_s: seconds(config.cycle),
            deadline_s: seconds(config.deadline),
            solve_budget_s: seconds(config.solve_budget),
            telemetry_period_s: seconds(config.telemetry_period),
            silent_periods: config.silent_periods,
            command_lifetime_s: seconds(config.command_lifetime),
            acknowledgement_timeout_s: seconds(config.acknowledgement_timeout),
            exclusion_s: seconds(config.exclusion),
            deadband_kw: config.deadband.as_kilowatts(),
            horizon_minutes: config
                .horizon
                .iter()
                .map(|length| seconds(*length) / 60.0)
                .collect(),
            baseline_window_s: seconds(config.baseline_window),
            real_time_notice_s: seconds(config.real_time_notice),
            local_offset_h: seconds(config.calendar.local_offset) / 3_600.0,
            holidays: config.calendar.holidays.into_iter().collect(),
            callable_share: config.callable_share,
            delivered_share: config.delivered_share,
            wear_cny_per_kwh: config.wear_cny_per_kwh,
            charging_value_cny_per_kwh: config.charging_value_cny_per_kwh,
            default_price_cny_per_kwh: config.default_price_cny_per_kwh,
            signal_timeout_s: seconds(config.signal_timeout),
            regulation_reserve_s: seconds(config.regulation_reserve),
            regulation_delay_s: seconds(config.regulation_delay),
            orderly: config.orderly,
        }
    }
}

impl ServiceConfig {
    /// Reads and checks a file's text.
    ///
    /// # Errors
    /// Syntax and unknown keys with line and column; values out of bounds by name.
    pub fn parse(text: &str) -> Result<ServiceConfig, ConfigError> {
        let config: ServiceConfig = toml::from_str(text)?;
        config.check()?;
        Ok(config)
    }

    /// Where the ledger is, if there is one.
    #[must_use]
    pub fn ledger_url(&self) -> Option<String> {
        let beside = |folder: &PathBuf| format!("sqlite:{}", folder.join("ledger.db").display());
        self.ledger
            .clone()
            .or_else(|| self.data_dir.as_ref().map(beside))
    }

    /// Checks that the values can be.
    ///
    /// # Errors
    /// The first key that is out of bounds.
    pub fn check(&self) -> Result<(), Invalid> {
        for (key, value, most) in [
            ("kafka.partitions", self.kafka.partitions, 10_000),
            ("kafka.replication", self.kafka.replication, 100),
        ] {
            if !(1..=most).contains(&value) {
                return Err(Invalid::new(key, format!("{value} is outside 1..={most}")));
            }
        }
        if self.kafka.bootstrap.is_empty() || self.kafka.group.is_empty() {
            return Err(Invalid::new(
                "kafka",
                "bootstrap and group must not be empty",
            ));
        }
        self.dispatch
            .to_config()?
            .check()
            .map_err(|invalid| invalid.within("dispatch"))
    }
}

impl DispatchConfig {
    /// The state machine's own configuration.
    ///
    /// # Errors
    /// A length that is not a number or out of range.
    pub fn to_config(&self) -> Result<Config, Invalid> {
        let mut horizon = Vec::with_capacity(self.horizon_minutes.len());
        for minutes in &self.horizon_minutes {
            horizon.push(length("dispatch.horizon_minutes", minutes * 60.0)?);
        }
        let defaults = Config::default();
        Ok(Config {
            cycle: length("dispatch.cycle_s", self.cycle_s)?,
            deadline: length("dispatch.deadline_s", self.deadline_s)?,
            solve_budget: length("dispatch.solve_budget_s", self.solve_budget_s)?,
            telemetry_period: length("dispatch.telemetry_period_s", self.telemetry_period_s)?,
            silent_periods: self.silent_periods,
            future_tolerance: defaults.future_tolerance,
            command_lifetime: length("dispatch.command_lifetime_s", self.command_lifetime_s)?,
            acknowledgement_timeout: length(
                "dispatch.acknowledgement_timeout_s",
                self.acknowledgement_timeout_s,
            )?,
            exclusion: length("dispatch.exclusion_s", self.exclusion_s)?,
            deadband: Power::from_kilowatts("dispatch.deadband_kw", self.deadband_kw)?,
            horizon,
            baseline_window: length("dispatch.baseline_window_s", self.baseline_window_s)?,
            real_time_notice: length("dispatch.real_time_notice_s", self.real_time_notice_s)?,
            calendar: Calendar {
                local_offset: offset("dispatch.local_offset_h", self.local_offset_h)?,
                holidays: self.holidays.iter().copied().collect(),
            },
            orderly: self.orderly,
            departure_margin: defaults.departure_margin,
            callable_share: self.callable_share,
            delivered_share: self.delivered_share,
            hold_cycles: defaults.hold_cycles,
            wear_cny_per_kwh: self.wear_cny_per_kwh,
            charging_value_cny_per_kwh: self.charging_value_cny_per_kwh,
            default_price_cny_per_kwh: self.default_price_cny_per_kwh,
            signal_timeout: length("dispatch.signal_timeout_s", self.signal_timeout_s)?,
            regulation_reserve: length("dispatch.regulation_reserve_s", self.regulation_reserve_s)?,
            regulation_delay: length("dispatch.regulation_delay_s", self.regulation_delay_s)?,
        })
    }
}

fn offset(key: &str, hours: f64) -> Result<TimeDelta, Invalid> {
    if !(-14.0..=14.0).contains(&hours) {
        let problem = format!("{hours} h is outside -14 h to 14 h");
        return Err(Invalid::new(key, problem));
    }
    #[allow(clippy::cast_possible_truncation)] // bounded above
    Ok(TimeDelta::seconds((hours * 3_600.0).round() as i64))
}

fn length(key: &str, seconds: f64) -> Result<TimeDelta, Invalid> {
    if !(0.0..=1e6).contains(&seconds) {
        return Err(Invalid::new(
            key,
            format!("{seconds} s is outside 0 s to 1000000 s"),
        ));
    }
    #[allow(clippy::cast_possible_truncation)] // bounded above
    Ok(TimeDelta::milliseconds((seconds * 1e3).round() as i64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_file_is_the_defaults() {
        let config = ServiceConfig::parse("").unwrap();
        assert_eq!(config.dispatch.to_config().unwrap(), Config::default());
    }

    #[test]
    fn bad_files_say_where() {
        let table = [
            ("grpc_addres = \"x\"", "unknown field `grpc_addres`"),
            (
                "[dispatch]\ncycle_s = 0.0",
                "dispatch.cycle: 0 s is outside 0.25 s to 3600 s",
            ),
            (
                "[dispatch]\ncycle_s = nan",
                "dispatch.cycle_s: NaN s is outside",
            ),
            ("[kafka]\npartitions = 0", "kafka.partitions: 0 is outside"),
            ("[dispatch]\nsolver = \"cplex\"", "line 2"),
        ];
        for (text, expected) in table {
            let message = ServiceConfig::parse(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{text:?} gives {message:?}");
        }
    }
}
