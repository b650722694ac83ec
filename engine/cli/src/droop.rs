//! `vpp droop`.

use crate::files::may_write;
use crate::say::{note, say_as_it_is};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use vpp_market_adapters::regulation::droop::Droop;

use vpp_results::files;

/// Make a regulation signal from a record of grid frequency, by a droop with a dead band.
///
/// FILE is CSV with the columns `time_s` and `frequency_hz`. Out comes CSV with `time_s` and `signal`, −1 to 1, positive:
/// draw less. A row that is no frequency stops it: a signal with holes is none.
///
/// Examples:
///
///   vpp droop frequency.csv > signal.csv
///
///   vpp droop frequency.csv --nominal-hz 60 --dead-band-hz 0.036 --droop 0.05 --out signal.csv
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The record.
    file: PathBuf,
    /// Where nothing is asked for, Hz. Without it as in the rule pack primary-frequency: 50.
    #[arg(long)]
    nominal_hz: Option<f64>,
    /// Within so much of it, still nothing, Hz. Without it as in the rule pack (unverified).
    #[arg(long)]
    dead_band_hz: Option<f64>,
    /// Beyond the dead band by so much, as a share of the nominal frequency, everything. Without it as in the rule pack
    /// (unverified).
    #[arg(long)]
    droop: Option<f64>,
    /// Write here instead of to standard output.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Overwrite the file if it is there.
    #[arg(long)]
    force: bool,
}

pub(crate) fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    may_write(&arguments.out, arguments.force)?;
    let pack = Droop::standard();
    let droop = Droop {
        nominal_hz: arguments.nominal_hz.unwrap_or(pack.nominal_hz),
        dead_band_hz: arguments.dead_band_hz.unwrap_or(pack.dead_band_hz),
        droop: arguments.droop.unwrap_or(pack.droop),
        ..pack.clone()
    };
    droop.check()?;
    if !pack.sourced && (arguments.dead_band_hz.is_none() || arguments.droop.is_none()) {
        note!(
            "vpp: dead band {} Hz and droop {} are of the rule pack {}, which is not verified: set --dead-band-hz and \
             --droop to those of your grid",
            droop.dead_band_hz,
            droop.droop,
            pack.pack
        );
    }
    let text = signal(arguments, &droop)?;
    match &arguments.out {
        Some(path) => {
            files::write(path, text)?;
            note!("vpp: the signal is in {}", path.display());
        }
        None => say_as_it_is!("{text}"),
    }
    Ok(ExitCode::SUCCESS)
}

fn signal(arguments: &Arguments, droop: &Droop) -> anyhow::Result<String> {
    use std::fmt::Write as _;
    let name = arguments.file.display();
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_path(&arguments.file)
        .with_context(|| format!("{name}"))?;
    let header = reader.headers().with_context(|| format!("{name}"))?;
    anyhow::ensure!(
        header.iter().eq(["time_s", "frequency_hz"]),
        "{name}: line 1: the columns must be time_s,frequency_hz"
    );
    let mut text = String::from("time_s,signal\n");
    let mut before = f64::NEG_INFINITY;
    for (row, read) in reader.deserialize::<(f64, f64)>().enumerate() {
        let (time_s, frequency_hz) = read.with_context(|| format!("{name}"))?;
        let line = row + 2;
        anyhow::ensure!(
            time_s > before,
            "{name}: line {line}: time_s {time_s} does not come after the line before"
        );
        before = time_s;
        let value = droop.signal(frequency_hz);
        let value = value.with_context(|| format!("{name}: line {line}"))?;
        let _ = writeln!(text, "{time_s},{value:.6}");
    }
    Ok(text)
}
