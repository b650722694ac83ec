//! `vpp compare`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment, Color, Table};
use vpp_results::compare::{COMPARE_FILE, Comparison, Verdict, describe};
use vpp_results::files;

use crate::files::may_write;
use crate::report::Language;
use crate::say::{note, say};

/// Compare two replayed scenarios: what B did better or worse than A.
///
/// Prints each figure of both, the difference and its share of A's. Where it is known which way is better, green and ▲ say
/// that B is better, red and ▼ that it is worse. Other scenarios, fleets, lengths or seeds are said first. Of a run that lacks a
/// table, or has one that is cut short, nothing is said but which.
///
/// Examples:
///
///   vpp compare base v2g
///
///   vpp compare base v2g --out differences
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// A folder that `vpp replay --out` wrote: what B is held against.
    a: PathBuf,
    /// Another one.
    b: PathBuf,
    /// Write compare.html into this folder: figures, and curves over each other.
    #[arg(long)]
    out: Option<PathBuf>,
    /// Overwrite the file if it is there.
    #[arg(long)]
    force: bool,
    /// Language of figures and page.
    #[arg(long, value_enum, default_value = "en")]
    lang: Language,
}

pub(crate) fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let page = arguments.out.as_ref();
    let page = page.map(|folder| folder.join(COMPARE_FILE));
    may_write(&page, arguments.force)?;
    let (a, b) = (arguments.a.as_path(), arguments.b.as_path());
    let (mut of_a, mut of_b) = (label(a), label(b));
    if of_a == of_b {
        (of_a, of_b) = (format!("A: {of_a}"), format!("B: {of_b}"));
    }
    let language = arguments.lang.into();
    let comparison = Comparison::read(&[(of_a, a), (of_b, b)], language)?;
    if !comparison.differ().is_empty() {
        let what: Vec<_> = comparison
            .differ()
            .iter()
            .map(|what| describe(what))
            .collect();
        say!("not alike: {}", what.join(", "));
    }
    say!("{}", table(&comparison));
    if let (Some(folder), Some(path)) = (&arguments.out, page) {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        files::write(&path, comparison.html(language))?;
        note!("vpp: the comparison is in {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// The folder's own name.
fn label(folder: &Path) -> String {
    let whole = std::fs::canonicalize(folder);
    let name = whole.as_deref().unwrap_or(folder).file_name();
    name.map_or_else(
        || folder.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    )
}

fn table(comparison: &Comparison) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    let mut header = vec![String::new()];
    header.extend(comparison.labels().into_iter().map(str::to_owned));
    header.extend(["difference".to_owned(), "share".to_owned()]);
    table.set_header(header);
    for (name, unit, values, verdicts) in comparison.figures() {
        let [first, second] = values else { continue };
        let verdict = verdicts.last().copied().unwrap_or(Verdict::Other);
        let (difference, share) = match (first, second, verdict) {
            (_, _, Verdict::Same) => ("=".to_owned(), String::new()),
            (Some(first), Some(second), _) => {
                let difference = second - first;
                let share = if *first == 0.0 {
                    "–".to_owned()
                } else {
                    format!("{:+.1} %", difference / first.abs() * 100.0)
                };
                let sign = if difference > 0.0 { "+" } else { "" };
                (format!("{sign}{}", figure(difference, unit)), share)
            }
            _ => ("–".to_owned(), "–".to_owned()),
        };
        let (mark, colour) = match verdict {
            Verdict::Better => ("▲ ", Some(Color::Green)),
            Verdict::Worse => ("▼ ", Some(Color::Red)),
            Verdict::Same | Verdict::Other => ("", None),
        };
        let cell = |text: String| {
            let cell = Cell::new(text).set_alignment(CellAlignment::Right);
            match colour {
                Some(colour) => cell.fg(colour),
                None => cell,
            }
        };
        let plain = |value: &Option<f64>| {
            let text = value.map_or("–".to_owned(), |value| figure(value, unit));
            Cell::new(text).set_alignment(CellAlignment::Right)
        };
        table.add_row([
            Cell::new(name),
            plain(first),
            plain(second),
            cell(format!("{mark}{difference}")),
            cell(share),
        ]);
    }
    table
}

/// A figure in its unit, with as many digits as say something.
fn figure(value: f64, unit: &str) -> String {
    match unit {
        "share" => format!("{:.2} %", value * 100.0),
        "CNY/kWh" => format!("{value:.4} CNY/kWh"),
        "" => format!("{value:.0}"),
        unit if value.abs() >= 1e4 => format!("{value:.0} {unit}"),
        unit => format!("{value:.1} {unit}"),
    }
}
