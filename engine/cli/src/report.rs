//! `vpp report`.

use crate::say::note;
use std::path::PathBuf;
use std::process::ExitCode;

use vpp_results::report;

/// Make the report of a replayed scenario anew, from the tables in its folder.
///
/// DIR/report.html opens in any browser, without a network.
///
/// Examples:
///
///   vpp report out
///
///   vpp report out --lang zh
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The folder that `vpp replay --out` wrote.
    dir: PathBuf,
    /// Language of the report.
    #[arg(long, value_enum, default_value = "en")]
    lang: Language,
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Language {
    /// English.
    En,
    /// Chinese.
    Zh,
}

impl From<Language> for report::Language {
    fn from(language: Language) -> report::Language {
        match language {
            Language::En => report::Language::English,
            Language::Zh => report::Language::Chinese,
        }
    }
}

pub(crate) fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    report::write(&arguments.dir, arguments.lang.into())?;
    let path = arguments.dir.join(report::REPORT_FILE);
    note!("vpp: the report is in {}", path.display());
    Ok(ExitCode::SUCCESS)
}
