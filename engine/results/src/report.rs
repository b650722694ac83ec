//! The report: one HTML file that opens from disk, made from a run's tables alone.
//!
//! What is drawn is worked out here and lies in the page as JSON; the page's own script draws it. The page may fetch
//! nothing: its content security policy forbids it.

mod series;

mod fleet;
mod limits;
mod programmes;
mod stations;
pub mod sweep;
mod visits;

mod page;

use std::path::Path;

use serde::Serialize;

use crate::{Error, Summary, files, open};

pub use page::Language;
pub(crate) use page::{Kind, page};
pub(crate) use series::{Axis, Means, local, round};

/// The report's file in a run's folder.
pub const REPORT_FILE: &str = "report.html";

/// All that the page draws.
#[derive(Serialize)]
struct Model {
    summary: Summary,
    fleet: fleet::Fleet,
    days: Vec<fleet::Day>,
    typical: Option<fleet::Typical>,
    decisions: Vec<(String, u64)>,
    aggregators: Vec<programmes::Aggregator>,
    events: programmes::Events,
    regulation: Option<programmes::Regulation>,
    reliability: Vec<programmes::Reliability>,
    visits: Vec<visits::Forecast>,
    nodes: Vec<limits::Node>,
    prices: Vec<limits::Price>,
    alarms: limits::Alarms,
    profiles: Vec<stations::Profile>,
    stations: Option<stations::HeatMap>,
}

/// Makes the report of a run's folder anew and writes it there.
///
/// # Errors
/// When the summary or a table is not there or damaged, or the report cannot be written.
pub fn write(folder: &Path, language: Language) -> Result<(), Error> {
    files::write(&folder.join(REPORT_FILE), html(folder, language)?)
}

/// The report of a run's folder, as text.
///
/// # Errors
/// When the summary or a table is not there, or damaged.
pub fn html(folder: &Path, language: Language) -> Result<String, Error> {
    let summary = open(folder)?;
    let header = &summary.scenario;
    let (fleet, days, typical, decisions) = fleet::collect(folder, header)?;
    let model = Model {
        aggregators: programmes::aggregators(folder, header)?,
        events: programmes::events(folder)?,
        regulation: programmes::regulation(folder)?,
        reliability: programmes::reliability(folder)?,
        visits: visits::forecasts(folder)?,
        nodes: limits::nodes(folder, header)?,
        prices: limits::prices(folder, header)?,
        alarms: limits::alarms(folder)?,
        profiles: stations::profiles(folder)?,
        stations: stations::heat_map(folder, header)?,
        fleet,
        days,
        typical,
        decisions,
        summary,
    };
    let title = model.summary.scenario.name.clone();
    Ok(page(&title, Kind::Report, language, &model))
}
