//! The ledger, for commands that have nothing else to wait for.

use chrono::{Datelike as _, NaiveDate};
use vpp_ledger::{Batch, Entry, Filter, Ledger, Line, Posted, Statement};

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

    /// Posts all batches of a settlement, and tells what that did.
    pub(crate) fn post(&self, run: &str, batches: &[Batch]) -> anyhow::Result<()> {
        let now = chrono::Utc::now().timestamp_millis();
        let posting = self.ledger.post_run(run, batches, now);
        let (posted, back) = self.runtime.block_on(posting)?;
        let count = |of: fn(&&Posted) -> bool| posted.iter().filter(of).count();
        let new = count(|posted| matches!(posted, Posted::Version(1)));
        let again = count(|posted| matches!(posted, Posted::Version(2..)));
        eprintln!(
            "vpp: posted {new} new and {again} corrected batches; {} stood there as they are, {back} were taken back",
            posted.len() - new - again
        );
        Ok(())
    }
}
