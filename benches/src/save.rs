//! Instances to files, so that anybody can put another solver beside ours.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;

use crate::optimizer::{Size, Source};

/// Which instance, and where to.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Number of stations.
    #[arg(long, default_value_t = 1_080)]
    stations: usize,
    /// Number of intervals.
    #[arg(long, default_value_t = 24)]
    intervals: usize,
    /// Seed of the generator.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// In place of a generated instance, what the dispatch engine asks in a cycle of the pilot scenario.
    #[arg(long, conflicts_with_all = ["intervals", "seed"])]
    pilot: bool,
    /// File ending in `.json` (the problem, for `optimizer --instance`) or `.mps` (its linear program, free format).
    #[arg(long)]
    out: PathBuf,
}

pub(crate) fn write(arguments: &Arguments) -> anyhow::Result<()> {
    let source = if arguments.pilot {
        Source::Pilot {
            stations: arguments.stations,
        }
    } else {
        Source::Generated {
            size: Size {
                stations: arguments.stations,
                intervals: arguments.intervals,
            },
            seed: arguments.seed,
        }
    };
    let problem = source.problem()?;
    let path = &arguments.out;
    let create = || {
        let file = File::create(path).with_context(|| path.display().to_string())?;
        anyhow::Ok(BufWriter::new(file))
    };
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => {
            let mut file = create()?;
            serde_json::to_writer(&mut file, &problem)?;
            file.flush()?;
        }
        Some("mps") => {
            let mut file = create()?;
            file.write_all(vpp_optimizer::reference::mps(&problem)?.as_bytes())?;
            file.flush()?;
        }
        _ => anyhow::bail!("{}: neither .json nor .mps", path.display()),
    }
    Ok(())
}
