//! `vpp rules`.

use crate::say::say;
use std::process::ExitCode;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};
use serde_json::{Value, json};
use vpp_market_adapters::catalogue::{Figure, figures};

/// List the figures of all rule packs: since when they hold, where they come from, and how sure they are.
///
/// Status: `seed` is stated by the city's own document, `sourced` is quoted from the rule or from press that quotes it,
/// `unverified` is general knowledge or a stand-in, never to be shown as the rule.
///
/// Examples:
///
///   vpp rules --status unverified
///
///   vpp rules --pack guangdong-2025 --json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// Only this pack.
    #[arg(long)]
    pack: Option<String>,
    /// Only figures of this status: seed, sourced or unverified.
    #[arg(long, value_parser = ["seed", "sourced", "unverified"])]
    status: Option<String>,
    /// One JSON array.
    #[arg(long)]
    json: bool,
}

pub(crate) fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let all = figures();
    if let Some(pack) = &arguments.pack
        && !all.iter().any(|figure| figure.pack.is_meant_by(pack))
    {
        let mut packs: Vec<String> = all.iter().map(|figure| figure.pack.to_string()).collect();
        packs.dedup();
        anyhow::bail!(
            "--pack: there is no pack {pack:?}; known: {}",
            packs.join(", ")
        );
    }
    let wanted = |figure: &&Figure| {
        let status = figure.status.name();
        (arguments.pack.as_ref()).is_none_or(|pack| figure.pack.is_meant_by(pack))
            && (arguments.status.as_deref()).is_none_or(|wanted| status == wanted)
    };
    let figures: Vec<&Figure> = all.iter().filter(wanted).collect();
    if arguments.json {
        let rows: Vec<Value> = figures.iter().map(|figure| row(figure)).collect();
        say!("{}", Value::Array(rows));
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(["pack", "figure", "value", "holds", "status", "source"]);
    for figure in figures {
        let until = if figure.valid_to.is_empty() {
            format!("from {}", figure.valid_from)
        } else {
            format!("{} to {}", figure.valid_from, figure.valid_to)
        };
        table.add_row([
            figure.pack.to_string().as_str(),
            &figure.key,
            &figure.value,
            &until,
            figure.status.name(),
            &figure.source,
        ]);
    }
    say!("{table}");
    Ok(ExitCode::SUCCESS)
}

fn row(figure: &Figure) -> Value {
    json!({
        "pack": figure.pack.name,
        "version": figure.pack.version,
        "figure": figure.key,
        "value": figure.value,
        "valid_from": figure.valid_from,
        "valid_to": (!figure.valid_to.is_empty()).then_some(&figure.valid_to),
        "status": figure.status.name(),
        "source": figure.source,
    })
}
