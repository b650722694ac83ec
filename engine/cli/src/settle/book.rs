//! The ledger, for commands that have nothing else to wait for.

use crate::say::note;
use anyhow::Context as _;
use chrono::{Datelike as _, NaiveDate};
use serde_json::Value;
use vpp_ledger::{Batch, Entry, Filter, Ledger, Line, Posted, Statement};
use vpp_market_adapters::response::baseline::EventWindow;
use vpp_settlement::event::Settlement;

/// Statements read at once.
const PAGE: usize = 1_000;
/// Lines read at once.
const LINES: u32 = 10_000;

/// The ledger, for a program without other things to wait for.
pub(crate) struct Book {
    runtime: tokio::runtime::Runtime,
    ledger: Ledger,
}

impl Book {
    /// Opens it, and makes its tables where they are missing.
    pub(crate) fn open(url: &str) -> anyhow::Result<Book> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let ledger = runtime.block_on(Ledger::open(url))?;
        Ok(Book { runtime, ledger })
    }

    /// Opens one that is there.
    pub(crate) fn open_existing(url: &str) -> anyhow::Result<Book> {
        let whole = if url.starts_with("sqlite:") && !url.contains('?') {
            format!("{url}?mode=rw")
        } else {
            url.to_owned()
        };
        Book::open(&whole)
            .with_context(|| format!("there is no ledger {url}, or it cannot be opened"))
    }

    /// Granted in the year of a month by other settlements than that month's, fen.
    pub(crate) fn subsidies_besides(&self, first: NaiveDate) -> anyhow::Result<i64> {
        let run = format!("month/{}", first.format("%Y-%m"));
        let granted = self.ledger.subsidies_of(first.year(), Some(&run));
        Ok(self.runtime.block_on(granted)?)
    }

    /// Statements that fit, page by page, at most so many.
    pub(crate) fn statements(
        &self,
        mut filter: Filter,
        most: usize,
    ) -> anyhow::Result<Vec<Statement>> {
        let mut all: Vec<Statement> = Vec::new();
        while all.len() < most {
            let page = u32::try_from(PAGE.min(most - all.len())).unwrap_or(u32::MAX);
            let found = self
                .runtime
                .block_on(self.ledger.statements(&filter, page))?;
            let Some(last) = found.last() else { break };
            filter.after = Some((last.id.clone(), last.version));
            all.extend(found);
        }
        Ok(all)
    }

    /// Lines of a statement, of one station or of all.
    pub(crate) fn lines(&self, of: &Statement, station: Option<&str>) -> anyhow::Result<Vec<Line>> {
        let (mut all, mut after) = (Vec::new(), 0);
        loop {
            let page = self.ledger.lines(&of.id, of.version, station, after, LINES);
            let found = self.runtime.block_on(page)?;
            let Some((last, _)) = found.last() else {
                return Ok(all);
            };
            after = *last;
            all.extend(found.into_iter().map(|(_, line)| line));
        }
    }

    /// Entries of a statement's version, in the order in which they were posted.
    pub(crate) fn entries(&self, of: &Statement) -> anyhow::Result<Vec<Entry>> {
        let history = self.runtime.block_on(self.ledger.history(&of.id))?;
        let of_version = history
            .into_iter()
            .filter(|(version, _)| *version == of.version);
        Ok(of_version.map(|(_, entry)| entry).collect())
    }

    /// That no station of these events is paid for the same quarter of an hour by another event that stands in the ledger.
    pub(crate) fn check_events(&self, events: &[Settlement]) -> anyhow::Result<()> {
        for settled in events {
            let filter = Filter {
                aggregator: Some(settled.aggregator.to_string()),
                ..Filter::default()
            };
            let theirs = self.statements(filter, usize::MAX)?;
            let others = theirs.iter().filter(|statement| {
                let event = statement.subject.strip_prefix("event/");
                event.is_some_and(|event| events.iter().all(|ours| ours.event.as_str() != event))
            });
            for statement in others {
                for line in self.lines(statement, None)? {
                    let same = settled
                        .stations
                        .iter()
                        .any(|ours| ours.station.as_str() == line.station);
                    anyhow::ensure!(
                        !(same && overlaps(&settled.window, &line.detail)),
                        "{} is paid for {} on {} already, and {} is at the same time: name the stations of each event",
                        line.station,
                        statement.subject,
                        settled.window.date,
                        settled.event
                    );
                }
            }
        }
        Ok(())
    }

    /// Posts all batches of a settlement, and tells what that did.
    pub(crate) fn post(
        &self,
        run: &str,
        batches: &[Batch],
        budget: Option<(i32, i64)>,
    ) -> anyhow::Result<()> {
        let now = chrono::Utc::now().timestamp_millis();
        let posting = self.ledger.post_run(run, batches, now, budget);
        let (posted, back) = self.runtime.block_on(posting)?;
        let count = |of: fn(&&Posted) -> bool| posted.iter().filter(of).count();
        let new = count(|posted| matches!(posted, Posted::Version(1)));
        let again = count(|posted| matches!(posted, Posted::Version(2..)));
        note!(
            "vpp: posted {new} new and {again} corrected batches; {} stood there as they are, {back} were taken back",
            posted.len() - new - again
        );
        Ok(())
    }
}

/// Whether what a line of a response was worked out of lies, in part, in an event's window.
fn overlaps(window: &EventWindow, detail: &str) -> bool {
    let Ok(detail) = serde_json::from_str::<Value>(detail) else {
        return false;
    };
    let (Some(first), Some(quarters)) = (
        detail["first_quarter"].as_u64(),
        detail["actual_wh"].as_array(),
    ) else {
        return false;
    };
    let first = usize::try_from(first).unwrap_or(usize::MAX);
    detail["date"] == window.date.to_string()
        && first < window.first + window.slots
        && window.first < first.saturating_add(quarters.len())
}
