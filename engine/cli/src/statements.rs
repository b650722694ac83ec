//! `vpp statements`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use chrono::DateTime;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use vpp_ledger::{Entry, Filter, Line, Statement};

use crate::files::may_write;
use crate::say::{note, say};
use crate::settle::book::Book;
use crate::settle::{cny, kwh};
use crate::table::{self, Column, Format};

/// Statements shown when no more are asked for.
const SHOWN: usize = 100;

/// List the statements of a ledger, show the lines of one, or write them as tables: what each event and month came to for each
/// aggregator and station, by which rule, and out of which readings.
///
/// Examples:
///
///   vpp statements sqlite:ledger.db --aggregator agg-a
///
///   vpp statements sqlite:ledger.db --id month/2027-07/agg-a --station station-0001
///
///   vpp statements sqlite:ledger.db --subject event/dr-1 --superseded --out dr-1 --format parquet
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// The ledger: sqlite:FILE or postgres://HOST/DATABASE.
    ledger: String,
    /// Only this statement, with its lines.
    #[arg(long, conflicts_with_all = ["aggregator", "subject"], value_parser = clap::builder::NonEmptyStringValueParser::new())]
    id: Option<String>,
    /// Only of this aggregator.
    #[arg(long)]
    aggregator: Option<String>,
    /// Only with lines of this station, and of the lines only those.
    #[arg(long)]
    station: Option<String>,
    /// Only of this event or month: event/dr-1, month/2027-07.
    #[arg(long)]
    subject: Option<String>,
    /// Those that a later version took the place of as well.
    #[arg(long)]
    superseded: bool,
    /// Write the tables `statements`, `lines` and `entries` into this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Of these tables.
    #[arg(long, value_enum, default_value_t = Format::Csv)]
    format: Format,
    /// Overwrite files of these names that are there.
    #[arg(long)]
    force: bool,
}

/// The tables.
const TABLES: [&str; 3] = ["statements", "lines", "entries"];

/// A statement with all that it says.
struct Whole {
    statement: Statement,
    lines: Vec<Line>,
    entries: Vec<Entry>,
}

pub(crate) fn main(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let out = arguments.out.as_deref();
    let tables = out.map(|folder| arguments.format.files(folder, TABLES));
    may_write(tables.iter().flatten(), arguments.force)?;
    let book = Book::open_existing(&arguments.ledger)?;
    let filter = Filter {
        id: arguments.id.clone(),
        aggregator: arguments.aggregator.clone(),
        // Of one statement all lines are looked at, and those of the station shown.
        station: arguments.station.clone().filter(|_| arguments.id.is_none()),
        subject: arguments.subject.clone(),
        superseded: arguments.superseded,
        after: None,
    };
    let most = if arguments.out.is_some() {
        usize::MAX
    } else {
        SHOWN + 1
    };
    let mut statements = book.statements(filter, most)?;
    if let (Some(id), true) = (&arguments.id, statements.is_empty()) {
        anyhow::bail!("--id: there is no statement {id:?}; without --id all are listed");
    }
    if let Some(folder) = &arguments.out {
        let whole = |statement: Statement| {
            Ok(Whole {
                lines: book.lines(&statement, arguments.station.as_deref())?,
                entries: book.entries(&statement)?,
                statement,
            })
        };
        let all: Vec<Whole> = statements
            .into_iter()
            .map(whole)
            .collect::<anyhow::Result<_>>()?;
        write(folder, arguments.format, &all)?;
        note!("vpp: {} statements are in {}", all.len(), folder.display());
        return Ok(ExitCode::SUCCESS);
    }
    let more = statements.len() > SHOWN;
    statements.truncate(SHOWN);
    say!("{}", list(&statements));
    if arguments.id.is_some() {
        for statement in &statements {
            let lines = book.lines(statement, arguments.station.as_deref())?;
            say!(
                "{}@{}\n{}",
                statement.id,
                statement.version,
                details(&lines)
            );
        }
    }
    if more {
        note!("vpp: there are more than {SHOWN}: narrow them down, or write all with --out");
    }
    Ok(ExitCode::SUCCESS)
}

fn posted(statement: &Statement) -> String {
    let at = DateTime::from_timestamp_millis(statement.posted_ms);
    at.map_or(String::new(), |at| {
        at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
    })
}

fn list(statements: &[Statement]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(["statement", "version", "posted", "rules", "money"]);
    for statement in statements {
        let taken = if statement.superseded {
            ", superseded"
        } else {
            ""
        };
        table.add_row([
            statement.id.clone(),
            format!("{}{taken}", statement.version),
            posted(statement),
            statement.rules.clone(),
            cny(statement.fen),
        ]);
    }
    right(&mut table, &[4]);
    table
}

fn details(lines: &[Line]) -> Table {
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header([
            "station", "item", "energy", "CNY/kWh", "money", "rule", "out of",
        ]);
    for line in lines {
        table.add_row([
            line.station.clone(),
            line.item.clone(),
            kwh(line.wh),
            line.price.clone(),
            cny(line.fen),
            line.rule.clone(),
            line.detail.clone(),
        ]);
    }
    right(&mut table, &[2, 3, 4]);
    table
}

fn right(table: &mut Table, columns: &[usize]) {
    for column in columns {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

fn write(folder: &Path, format: Format, all: &[Whole]) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let [statements_file, lines_file, entries_file] = format.files(folder, TABLES);
    let text = |of: &dyn Fn(&Statement) -> String| {
        Column::Text(all.iter().map(|whole| of(&whole.statement)).collect())
    };
    let number = |of: &dyn Fn(&Statement) -> i64| {
        Column::Whole(all.iter().map(|whole| of(&whole.statement)).collect())
    };
    let statements = [
        ("statement", text(&|statement| statement.id.clone())),
        ("version", number(&|statement| statement.version)),
        (
            "superseded",
            number(&|statement| i64::from(statement.superseded)),
        ),
        ("posted_time", text(&posted)),
        ("subject", text(&|statement| statement.subject.clone())),
        (
            "aggregator",
            text(&|statement| statement.aggregator.clone()),
        ),
        ("rules", text(&|statement| statement.rules.clone())),
        ("fen", number(&|statement| statement.fen)),
    ];
    table::write(&statements_file, &statements)?;

    let lines = rows(all, |whole| &whole.lines);
    let columns = [
        ("statement", each_text(&lines, |(of, _)| of.id.clone())),
        ("version", each_number(&lines, |(of, _)| of.version)),
        (
            "station",
            each_text(&lines, |(_, line)| line.station.clone()),
        ),
        ("item", each_text(&lines, |(_, line)| line.item.clone())),
        ("wh", each_number(&lines, |(_, line)| line.wh)),
        (
            "price_cny_per_kwh",
            each_text(&lines, |(_, line)| line.price.clone()),
        ),
        ("fen", each_number(&lines, |(_, line)| line.fen)),
        ("rule", each_text(&lines, |(_, line)| line.rule.clone())),
        ("detail", each_text(&lines, |(_, line)| line.detail.clone())),
    ];
    table::write(&lines_file, &columns)?;

    let entries = rows(all, |whole| &whole.entries);
    let columns = [
        ("statement", each_text(&entries, |(of, _)| of.id.clone())),
        ("version", each_number(&entries, |(of, _)| of.version)),
        (
            "debit",
            each_text(&entries, |(_, entry)| entry.debit.clone()),
        ),
        (
            "credit",
            each_text(&entries, |(_, entry)| entry.credit.clone()),
        ),
        ("fen", each_number(&entries, |(_, entry)| entry.fen)),
        ("memo", each_text(&entries, |(_, entry)| entry.memo.clone())),
    ];
    table::write(&entries_file, &columns)
}

/// What all statements have of one kind, each with its statement.
fn rows<T>(all: &[Whole], of: impl Fn(&Whole) -> &Vec<T>) -> Vec<(&Statement, &T)> {
    let mut rows = Vec::new();
    for whole in all {
        rows.extend(of(whole).iter().map(|row| (&whole.statement, row)));
    }
    rows
}

fn each_text<T>(rows: &[(&Statement, &T)], of: impl Fn(&(&Statement, &T)) -> String) -> Column {
    Column::Text(rows.iter().map(of).collect())
}

fn each_number<T>(rows: &[(&Statement, &T)], of: impl Fn(&(&Statement, &T)) -> i64) -> Column {
    Column::Whole(rows.iter().map(of).collect())
}
