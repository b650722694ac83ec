//! A report as headings, texts and tables, and what it is written as.

use std::fmt::Write as _;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, ContentArrangement, Table as Terminal};

/// A report in one language.
pub(super) struct Document {
    /// As HTML names languages.
    pub(super) language: &'static str,
    pub(super) title: String,
    pub(super) blocks: Vec<Block>,
}

pub(super) enum Block {
    Heading(String),
    Text(String),
    Table(Table),
}

pub(super) struct Table {
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<Cell>>,
}

#[derive(Clone)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Text,
    Number,
    Good,
    Bad,
    Open,
}

impl Cell {
    pub(super) fn text(text: impl Into<String>) -> Cell {
        let (text, kind) = (text.into(), Kind::Text);
        Cell { text, kind }
    }

    pub(super) fn number(text: impl Into<String>) -> Cell {
        let (text, kind) = (text.into(), Kind::Number);
        Cell { text, kind }
    }
}

/// Tables as wide as the terminal.
pub(super) fn terminal(documents: &[Document]) -> String {
    let mut out = String::new();
    for document in documents {
        let _ = writeln!(out, "{}\n", document.title);
        for block in &document.blocks {
            let _ = match block {
                Block::Heading(text) => writeln!(out, "\n{text}"),
                Block::Text(text) => writeln!(out, "{text}"),
                Block::Table(table) => writeln!(out, "{}", table.terminal()),
            };
        }
        out.push('\n');
    }
    // Names may hold what a terminal would obey.
    out.replace(|c: char| c.is_control() && c != '\n', "\u{fffd}")
}

impl Table {
    fn terminal(&self) -> Terminal {
        let mut table = Terminal::new();
        table
            .load_style(UTF8_FULL_CONDENSED)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_header(&self.head);
        for row in &self.rows {
            let cells = row.iter().map(|cell| {
                let align = match cell.kind {
                    Kind::Number => CellAlignment::Right,
                    _ => CellAlignment::Left,
                };
                comfy_table::Cell::new(&cell.text).set_alignment(align)
            });
            table.add_row(cells);
        }
        table
    }

    fn is_number(&self, column: usize) -> bool {
        let first = self.rows.first().and_then(|row| row.get(column));
        first.is_some_and(|cell| cell.kind == Kind::Number)
    }
}

/// Markdown with tables.
pub(super) fn markdown(documents: &[Document]) -> String {
    let mut out = String::new();
    let plain = |text: &str| {
        let text = text.replace('<', "&lt;").replace('|', "\\|");
        text.replace('\n', "<br>")
    };
    for document in documents {
        let _ = writeln!(out, "# {}\n", plain(&document.title));
        for block in &document.blocks {
            let _ = match block {
                Block::Heading(text) => writeln!(out, "## {text}\n"),
                Block::Text(text) => writeln!(out, "{text}\n"),
                Block::Table(table) => {
                    let head: Vec<String> = table.head.iter().map(|name| plain(name)).collect();
                    let _ = writeln!(out, "| {} |", head.join(" | "));
                    let columns = 0..table.head.len();
                    let rules = columns.map(|at| if table.is_number(at) { "---:" } else { "---" });
                    let _ = writeln!(out, "| {} |", rules.collect::<Vec<_>>().join(" | "));
                    for row in &table.rows {
                        let row: Vec<String> = row.iter().map(|cell| plain(&cell.text)).collect();
                        let _ = writeln!(out, "| {} |", row.join(" | "));
                    }
                    writeln!(out)
                }
            };
        }
    }
    out
}

/// On a phone each row with a verdict stands by itself, other tables that are wider are moved under the finger; on paper all are set
/// smaller.
const STYLE: &str = "body{font:15px/1.5 system-ui,'PingFang SC','Microsoft YaHei',sans-serif;margin:0;color:#222;background:#fff}\
main{max-width:75em;margin:2em auto;padding:0 1em}h1,h2,p{overflow-wrap:anywhere}.wide{overflow-x:auto;margin:.6em 0 1.4em}\
table{border-collapse:collapse}th,td{border-bottom:1px solid #ddd;padding:.3em .7em;text-align:left;vertical-align:top}\
th{border-bottom:2px solid #888}td.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
td.g{background:#e2f2e4}td.b{background:#f9dfdc}td.o{background:#f1f1f1}\
@media(max-width:560px){body{font-size:14px}th,td{padding:.25em .45em}table{min-width:46em}\
table.v{min-width:0;width:100%}.v,.v tbody,.v tr,.v td{display:block}.v thead{display:none}\
.v tr{border:1px solid #ddd;border-radius:.5em;margin:.6em 0;padding:.4em .6em}.v td{border:0;padding:.1em .3em;border-radius:.3em}\
.v td:first-child{font-weight:600}.v td.n{text-align:left;white-space:normal}\
.v td:not(:first-child)::before{content:attr(data-name) \": \";color:#666}}\
@media print{@page{size:A4;margin:12mm}*{-webkit-print-color-adjust:exact;print-color-adjust:exact}body{font-size:10px}\
main{max-width:none;margin:0;padding:0}.wide{overflow:visible}table{font-size:8.5px}th,td{padding:2px 4px}td.n{white-space:normal}\
tr{break-inside:avoid}h1,h2{break-after:avoid}section+section{break-before:page}}";

/// Nothing is fetched and no script runs, whatever a scenario's text says.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// One HTML page that needs nothing else.
pub(super) fn html(documents: &[Document]) -> String {
    let mut out = String::from("<!doctype html>\n");
    let (title, language) = (documents.first()).map_or(("", "en"), |document| {
        (document.title.as_str(), document.language)
    });
    let _ = write!(
        out,
        "<html lang=\"{language}\"><head><meta charset=\"utf-8\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><link rel=\"icon\" href=\"data:,\">\
         <title>{}</title><style>{STYLE}</style></head>\n<body><main>\n",
        escaped(title)
    );
    for document in documents {
        let _ = writeln!(
            out,
            "<section lang=\"{}\">\n<h1>{}</h1>",
            document.language,
            escaped(&document.title)
        );
        for block in &document.blocks {
            match block {
                Block::Heading(text) => {
                    let _ = writeln!(out, "<h2>{}</h2>", escaped(text));
                }
                Block::Text(text) => {
                    let _ = writeln!(out, "<p>{}</p>", escaped(text));
                }
                Block::Table(table) => table.html(&mut out),
            }
        }
        out.push_str("</section>\n");
    }
    out.push_str("</main></body></html>\n");
    out
}

impl Table {
    fn html(&self, out: &mut String) {
        let judges = |cell: &Cell| matches!(cell.kind, Kind::Good | Kind::Bad | Kind::Open);
        let class = match self.rows.iter().flatten().any(judges) {
            true => " class=\"v\"",
            false => "",
        };
        let _ = write!(out, "<div class=\"wide\"><table{class}><thead><tr>");
        for name in &self.head {
            let _ = write!(out, "<th>{}</th>", escaped(name));
        }
        out.push_str("</tr></thead><tbody>\n");
        for row in &self.rows {
            out.push_str("<tr>");
            for (cell, name) in row.iter().zip(&self.head) {
                let class = match cell.kind {
                    Kind::Text => "",
                    Kind::Number => " class=\"n\"",
                    Kind::Good => " class=\"g\"",
                    Kind::Bad => " class=\"b\"",
                    Kind::Open => " class=\"o\"",
                };
                let _ = write!(
                    out,
                    "<td{class} data-name=\"{}\">{}</td>",
                    escaped(name),
                    escaped(&cell.text)
                );
            }
            out.push_str("</tr>\n");
        }
        out.push_str("</tbody></table></div>\n");
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\n', "<br>")
}
