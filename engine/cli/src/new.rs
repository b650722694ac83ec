//! `vpp new`.

use crate::files::may_write;
use crate::say::say;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::builder::PossibleValuesParser;
use vpp_core::AggregatorId;
use vpp_scenarios::template::{TEMPLATES, Template};

use vpp_results::files;

/// Write a scenario to begin with: commented, sound, and small enough to run.
///
/// Example: vpp new my-city --template city, then vpp check my-city.toml
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Its name, or the file to write: my-city is my-city.toml.
    name: PathBuf,
    /// What to begin with.
    #[arg(long, default_value = "minimal", value_parser = PossibleValuesParser::new(TEMPLATES.map(|template| template.name)))]
    template: String,
    /// Overwrite the file if it is there.
    #[arg(long)]
    force: bool,
}

pub(crate) fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let path = file(&arguments.name);
    let name = path.file_stem().and_then(|stem| stem.to_str());
    let name = name.context("the name is not UTF-8")?;
    AggregatorId::new(name)
        .map_err(|invalid| anyhow::anyhow!("{name:?} is no name: {}", invalid.problem))?;
    may_write([&path], arguments.force)?;
    let template = Template::by_name(&arguments.template).context("no such template")?;
    files::write(&path, template.text(name))?;
    say!(
        "{}: written from the template {}; check it with: vpp check {}",
        path.display(),
        template.name,
        path.display()
    );
    Ok(ExitCode::SUCCESS)
}

/// The file of a name.
fn file(name: &Path) -> PathBuf {
    if name.extension().is_some_and(|ending| ending == "toml") {
        return name.into();
    }
    let mut file = OsString::from(name);
    file.push(".toml");
    file.into()
}
