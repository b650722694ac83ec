//! `vpp import`.

use crate::files::may_write;
use crate::say::say;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::anyhow;
use indicatif::{ProgressBar, ProgressStyle};
use vpp_scenarios::import::{City, ImportOptions, Stage, import, import_city};

use vpp_results::files;

/// Make a scenario from public data: real stations, sessions, base loads and a regulation signal.
///
/// Examples:
///
///   vpp import --data ../shared/data --out my-city.toml --stations 900
///
///   vpp import --data ../shared/data --city guangzhou-2027 --out scenarios/guangzhou-2027.toml --force
///
/// A city's pilot has its plan's size; a later year includes the file of the year before, from the same folder.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// Folder with the data sets.
    #[arg(long)]
    data: PathBuf,
    /// The scenario file to write.
    #[arg(long)]
    out: PathBuf,
    /// A year of a city's pilot instead of a sample: guangzhou-2025, guangzhou-2026, guangzhou-2027.
    #[arg(long, conflicts_with_all = ["name", "stations", "aggregators", "seed"])]
    city: Option<String>,
    /// Name of the scenario; by default that of the file.
    #[arg(long)]
    name: Option<String>,
    /// Stations to sample.
    #[arg(long, default_value_t = ImportOptions::default().stations)]
    stations: u32,
    /// Aggregators to share them out to.
    #[arg(long, default_value_t = ImportOptions::default().aggregators)]
    aggregators: u32,
    /// Seed of the sample.
    #[arg(long, default_value_t = ImportOptions::default().seed)]
    seed: u64,
    /// Overwrite the file if it is there.
    #[arg(long)]
    force: bool,
}

pub(crate) fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let out = &arguments.out;
    may_write([out], arguments.force)?;
    let stem = out
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned());
    let options = ImportOptions {
        name: arguments.name.clone().or(stem).unwrap_or_default(),
        stations: arguments.stations,
        aggregators: arguments.aggregators,
        seed: arguments.seed,
        ..ImportOptions::default()
    };
    let bar = ProgressBar::new(Stage::ALL.len() as u64);
    bar.set_style(ProgressStyle::with_template("{bar:24} {pos}/{len} {msg}")?);
    let mut progress = |stage: Stage| {
        bar.set_message(stage.to_string());
        bar.inc(1);
    };
    let text = match &arguments.city {
        None => import(&arguments.data, &options, &mut progress)?,
        Some(name) => {
            let city = City::by_name(name).ok_or_else(|| {
                let known = City::ALL.map(City::name).join(", ");
                anyhow!("--city: there is no {name:?}; known: {known}")
            })?;
            import_city(&arguments.data, city, &mut progress)?
        }
    };
    bar.finish_and_clear();
    files::write(out, &text)?;
    say!(
        "{}: {} bytes; check it with: vpp check {}",
        out.display(),
        text.len(),
        out.display()
    );
    Ok(ExitCode::SUCCESS)
}
