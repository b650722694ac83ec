//! `vpp schema`.

use std::path::PathBuf;
use std::process::ExitCode;

use vpp_results::files;

use crate::files::may_write;
use crate::say::say;

/// Print the JSON Schema of scenario files, by which editors complete keys and show what they mean.
///
/// Example: vpp schema --out scenario.schema.json, and `#:schema scenario.schema.json` as the first line of a scenario
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Write it here instead.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Overwrite the file if it is there.
    #[arg(long)]
    force: bool,
}

pub(crate) fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    may_write(&arguments.out, arguments.force)?;
    let text = format!("{:#}", vpp_scenarios::schema::schema());
    match &arguments.out {
        Some(out) => files::write(out, text + "\n")?,
        None => say!("{text}"),
    }
    Ok(ExitCode::SUCCESS)
}
