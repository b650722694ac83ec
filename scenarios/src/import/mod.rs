//! Distils a scenario from public data sets: a sample of real stations, real session statistics, base loads and a
//! regulation signal. The figures go into the file with their source and licence; the data sets stay where they are.
//!
//! The same data, options and seed give the same bytes.

mod city;
mod figures;
mod grid;
mod read;
mod sample;
pub(crate) mod write;

use std::fmt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, FixedOffset};
use vpp_core::{AggregatorId, EventId, Invalid, Power};
use vpp_market_adapters::RulePack;

use crate::format::{
    Calendar, Dispatch, EventKind, EventRow, FORMAT, FleetRows, Header, Regulation, TariffChoice,
};
use crate::{Problem, Scenario};
use sample::Draws;

pub use city::{City, import_city};

/// The most aggregators: one letter each.
pub const MAX_AGGREGATORS: u32 = 26;

/// What to make.
#[derive(Clone, Debug, PartialEq)]
pub struct ImportOptions {
    /// Name of the scenario.
    pub name: String,
    /// When it begins.
    pub start: DateTime<FixedOffset>,
    /// How long it lasts.
    pub duration_minutes: u32,
    /// Number of stations.
    pub stations: u32,
    /// Number of aggregators.
    pub aggregators: u32,
    /// Seed of the sample, and of the scenario.
    pub seed: u64,
    /// Reduction of the demand-response event; without it there is none.
    pub reduction_kw: Option<f64>,
    /// Capacity of regulation up and down; without it there is none.
    pub regulation_kw: Option<f64>,
}

impl Default for ImportOptions {
    /// The pilot: enough stations that 20 MW can be shed in a summer's afternoon.
    fn default() -> ImportOptions {
        ImportOptions {
            name: "guangzhou-pilot".into(),
            start: figures::start(),
            duration_minutes: 5,
            stations: 640,
            aggregators: 5,
            seed: 2025,
            reduction_kw: Some(20_000.0),
            regulation_kw: Some(2_000.0),
        }
    }
}

/// Which part of the import begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Stations are read and sampled.
    Stations,
    /// Stations are grouped to feeders, feeders to substations.
    Grid,
    /// Session statistics are read.
    Sessions,
    /// Base loads are read.
    Loads,
    /// The regulation signal is read.
    Signal,
    /// The file is written and read back.
    Check,
}

impl Stage {
    /// All, in their order.
    pub const ALL: [Stage; 6] = [
        Stage::Stations,
        Stage::Grid,
        Stage::Sessions,
        Stage::Loads,
        Stage::Signal,
        Stage::Check,
    ];
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Stage::Stations => "sampling stations",
            Stage::Grid => "grouping stations to feeders",
            Stage::Sessions => "reading sessions",
            Stage::Loads => "reading base loads",
            Stage::Signal => "reading the regulation signal",
            Stage::Check => "checking the scenario",
        })
    }
}

/// An import that came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A data file could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A data file does not hold what it should.
    #[error("{}: line {line}: {problem}", path.display())]
    Data {
        /// Which file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// An option that cannot be.
    #[error("{0}")]
    Option(#[from] Invalid),
    /// What was made does not pass the check of scenarios: the options do not fit together.
    #[error("the scenario made of it would be wrong: {}", .0.iter().map(Problem::to_string).collect::<Vec<_>>().join("; "))]
    Made(Vec<Problem>),
}

/// Makes the text of a scenario file from the data sets in `data_dir`. `progress` is told what begins.
///
/// # Errors
/// A data file that is missing or broken, with file and line; options that cannot be or do not fit together.
pub fn import(
    data_dir: &Path,
    options: &ImportOptions,
    progress: &mut dyn FnMut(Stage),
) -> Result<String, ImportError> {
    let mut draws = Draws::new(options.seed);
    progress(Stage::Stations);
    let known = read::stations(&data_dir.join("shenzhen-stations/stations.csv"))?;
    check_options(options, known.len())?;
    let sampled = sample::by_size(&known, options.stations as usize, &mut draws);
    progress(Stage::Grid);
    let grouping = grid::group(&sampled, grid::Numbered::default(), &mut draws);
    let aggregators = grid::aggregators(options.aggregators)?;
    let operators = grid::operators(sampled.len(), &aggregators, &mut draws);
    progress(Stage::Sessions);
    let elaad = data_dir.join("elaad-sessions");
    let (sessions, assumptions) = (figures::sessions(&elaad)?, figures::assumptions(&elaad)?);
    progress(Stage::Loads);
    let houses = read::house_loads(&data_dir.join("loads-residential"))?;
    let nodes = grid::nodes(&grouping, &houses, &mut draws)?;
    progress(Stage::Signal);
    let regulation = match options.regulation_kw {
        Some(kw) => Some(regulation(&data_dir.join("regd-ev-vpp"), kw)?),
        None => None,
    };
    let event = options.reduction_kw.map(event).transpose()?;
    let stations = grid::rows(&sampled, &grouping, &operators, &mut draws)?;
    let mut scenario = Scenario {
        format: FORMAT,
        header: header(options),
        sources: figures::sources(sampled.len()),
        tariff: TariffChoice {
            rule_pack: RulePack::guangdong_2025().id().to_string(),
            sharp_day: false,
        },
        calendar: Calendar::default(),
        subsidy: None,
        assumptions,
        warranty: Some(figures::warranty()),
        warranties: std::collections::BTreeMap::new(),
        sessions,
        swaps: std::collections::BTreeMap::new(),
        dispatch: Dispatch::default(),
        events: event.into_iter().collect(),
        regulation,
        faults: Vec::new(),
        aggregators,
        nodes,
        fleet: FleetRows {
            profile: figures::PUBLIC.into(),
            stations,
            generate: Vec::new(),
            recorded: None,
            stays: Vec::new(),
        },
    };
    grid::enrol(&mut scenario);
    let imports: Vec<Power> = (scenario.stations().iter())
        .map(|station| station.import_limit)
        .collect();
    let (nodes, stations) = (&mut scenario.nodes, &mut scenario.fleet.stations);
    grid::limit(nodes, stations, &imports, &grouping);
    progress(Stage::Check);
    let text = write::text(&scenario).map_err(|problem| Invalid::new("scenario", problem))?;
    match Scenario::parse(&text) {
        Ok(_) => Ok(text),
        Err(problems) => Err(ImportError::Made(problems)),
    }
}

fn check_options(options: &ImportOptions, known: usize) -> Result<(), Invalid> {
    // The name goes into the file's first comment line: nothing that could end it.
    AggregatorId::new(options.name.as_str())
        .map_err(|invalid| Invalid::new("name", invalid.problem))?;
    let stations = options.stations as usize;
    if stations == 0 || stations > known {
        let problem = format!("{stations} is outside 1 to {known}, the stations with piles");
        return Err(Invalid::new("stations", problem));
    }
    let aggregators = options.aggregators;
    if aggregators == 0 || aggregators > MAX_AGGREGATORS {
        let problem = format!("{aggregators} is outside 1 to {MAX_AGGREGATORS}");
        return Err(Invalid::new("aggregators", problem));
    }
    Ok(())
}

fn header(options: &ImportOptions) -> Header {
    Header {
        name: options.name.clone(),
        description: figures::DESCRIPTION.into(),
        start: options.start,
        duration_minutes: options.duration_minutes,
        seed: options.seed,
    }
}

fn event(reduction_kw: f64) -> Result<EventRow, Invalid> {
    Ok(EventRow {
        id: EventId::new("dr-1")?,
        kind: EventKind::DemandResponse,
        start_offset_s: 20,
        duration_s: 120,
        every_days: None,
        reduction_kw: Some(reduction_kw),
        increase_kw: None,
        ceiling_kw: None,
        aggregator: None,
        node: None,
    })
}

fn regulation(folder: &Path, capacity_kw: f64) -> Result<Regulation, ImportError> {
    Ok(Regulation {
        capacity_up_kw: capacity_kw,
        capacity_down_kw: capacity_kw,
        start_offset_s: 40,
        duration_s: 80,
        every_days: None,
        period_s: 4.0,
        signal: read::liveliest_signal(&folder.join("regd_signal_2s.csv.gz"))?,
    })
}
