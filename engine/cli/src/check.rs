//! `vpp check`.

use std::path::PathBuf;
use std::process::ExitCode;

use vpp_scenarios::Scenario;

/// Check scenario files; say what is wrong with line and column.
///
/// Example: vpp check scenarios/guangzhou-pilot.toml my-city.toml
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// The files.
    #[arg(required = true)]
    files: Vec<PathBuf>,
}

pub(crate) fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let mut sound = true;
    for file in &arguments.files {
        match Scenario::load(file) {
            Ok(scenario) => {
                let fleet = scenario.fleet()?;
                let piles: u64 = fleet
                    .stations()
                    .iter()
                    .map(vpp_core::Station::pile_count)
                    .sum();
                let v2g: u64 = fleet
                    .stations()
                    .iter()
                    .map(vpp_core::Station::v2g_pile_count)
                    .sum();
                println!(
                    "{}: sound: {} aggregators, {} stations, {piles} piles ({v2g} V2G), {} nodes, {} events",
                    file.display(),
                    fleet.aggregators().len(),
                    fleet.stations().len(),
                    fleet.tree().nodes().len(),
                    scenario.events.len(),
                );
            }
            Err(error) => {
                eprintln!("{error}");
                sound = false;
            }
        }
    }
    Ok(if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(2)
    })
}
