//! `vpp schema`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use vpp_results::files;

/// Print the JSON Schema of scenario files, by which editors complete keys and show what they mean.
///
/// Example: vpp schema --out scenario.schema.json, and `#:schema scenario.schema.json` as the first line of a scenario
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Write it here instead.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(crate) fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let text = format!("{:#}", vpp_scenarios::schema::schema());
    match &arguments.out {
        Some(out) => files::write(out, text + "\n")?,
        // Whoever reads only the first lines has seen enough.
        None => drop(writeln!(std::io::stdout(), "{text}")),
    }
    Ok(ExitCode::SUCCESS)
}
