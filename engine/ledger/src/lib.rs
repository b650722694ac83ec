//! Money that must not be lost: a double-entry ledger in a database. Every entry moves fen from one account to another, so
//! that all accounts together are always zero. Nothing is changed or deleted: what is settled anew posts a new version,
//! which first takes the entries of the one before back.
//!
//! The database is embedded (`SQLite`, one file) unless a URL of `PostgreSQL` is given; the same code and the same tests for
//! both.

mod batch;
mod statement;

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr as _;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{Any, AnyPool, Row as _, Transaction};

pub use statement::{Filter, Statement};

/// Why the ledger could not be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A URL that is neither `sqlite:` nor `postgres:`.
    #[error("{0:?} is no ledger: sqlite:FILE or postgres://HOST/DATABASE is needed")]
    Url(String),
    /// The database refused or cannot be reached.
    #[error("the ledger's database: {0}")]
    Database(#[from] sqlx::Error),
    /// The tables could not be made or are of another version.
    #[error("the ledger's tables: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// More subsidies than there are in a year.
    #[error(
        "subsidies of {year}: {fen} fen are more than the {most} that there are: another settlement was posted meanwhile"
    )]
    Budget {
        /// The calendar year.
        year: i32,
        /// What would be granted.
        fen: i64,
        /// What may be.
        most: i64,
    },
    /// A batch with an entry of nothing, from an account to itself, or without a name; lines that do not say what the entries
    /// say.
    #[error("batch {batch}: {problem}")]
    Batch {
        /// Which.
        batch: String,
        /// What is wrong.
        problem: &'static str,
    },
}

/// Money from one account to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Who receives.
    pub debit: String,
    /// Who gives.
    pub credit: String,
    /// How much; above zero.
    pub fen: i64,
    /// What for.
    pub memo: String,
}

/// A line of a statement: a figure, and what it was worked out of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Whose; empty for the aggregator itself.
    pub station: String,
    /// What for: `energy/peak`, `feed-in/valley`, `subsidy/discharge`, `response`, `payment`, `penalty`.
    pub item: String,
    /// Energy, Wh.
    pub wh: i64,
    /// For each kWh, CNY; empty where it is not paid by the kWh.
    pub price: String,
    /// What it comes to, fen: negative when it is to be paid.
    pub fen: i64,
    /// The rule pack and the rule.
    pub rule: String,
    /// Readings, baseline and whatever else led to it, as JSON.
    pub detail: String,
}

/// Entries that belong together: all are posted or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// What is settled, `event/dr-1/agg-a`. The same name again is a new version.
    pub id: String,
    /// The event or the month: `event/dr-1`, `month/2027-07`.
    pub subject: String,
    /// Whose stations.
    pub aggregator: String,
    /// The settlement that it is part of, `month/2027-07`: done again, it takes back what is no longer part of it.
    pub run: String,
    /// The rules that it was settled by.
    pub rules: String,
    /// What comes from outside the plant, all in all, fen.
    pub fen: i64,
    /// The entries.
    pub entries: Vec<Entry>,
    /// What they were worked out of.
    pub lines: Vec<Line>,
}

/// What posting did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    /// A new version was posted, from 1.
    Version(i64),
    /// The version in force says the same: nothing was posted.
    Unchanged(i64),
}

/// The ledger.
#[derive(Clone, Debug)]
pub struct Ledger {
    pool: AnyPool,
    embedded: bool,
}

impl Ledger {
    /// Opens a ledger, and makes its tables where they are missing.
    ///
    /// `sqlite:FILE` is made where it is not there; `postgres://…` must be.
    ///
    /// # Errors
    /// A database that cannot be opened, tables of another version.
    pub async fn open(url: &str) -> Result<Ledger, LedgerError> {
        sqlx::any::install_default_drivers();
        let embedded = url.starts_with("sqlite:");
        if !embedded && !url.starts_with("postgres:") && !url.starts_with("postgresql:") {
            return Err(LedgerError::Url(url.to_owned()));
        }
        // A `?` begins what else the database is told; in a file's name it is written %3F.
        let full = if embedded && !url.contains('?') {
            format!("{url}?mode=rwc")
        } else {
            url.to_owned()
        };
        let options = AnyConnectOptions::from_str(&full)?;
        // SQLite has one writer; others would only wait for it.
        let connections = if embedded { 1 } else { 4 };
        let pool = AnyPoolOptions::new()
            .max_connections(connections)
            .connect_with(options)
            .await?;
        if embedded {
            sqlx::migrate!("migrations/sqlite").run(&pool).await?;
        } else {
            sqlx::migrate!("migrations/postgres").run(&pool).await?;
        }
        Ok(Ledger { pool, embedded })
    }

    /// Posts a batch at an instant (milliseconds of 1970): all of it or nothing. Posted again as it is, nothing happens.
    ///
    /// # Errors
    /// A batch that cannot be, a database that refuses.
    pub async fn post(&self, batch: &Batch, now_ms: i64) -> Result<Posted, LedgerError> {
        let posted = self.post_all(std::slice::from_ref(batch), now_ms).await?;
        Ok(posted[0])
    }

    /// Posts batches at an instant (milliseconds of 1970): all of them or none.
    ///
    /// # Errors
    /// As [`Ledger::post`].
    pub async fn post_all(
        &self,
        batches: &[Batch],
        now_ms: i64,
    ) -> Result<Vec<Posted>, LedgerError> {
        for batch in batches {
            batch.check()?;
        }
        let mut transaction = self.pool.begin().await?;
        let mut posted = Vec::with_capacity(batches.len());
        for batch in batches {
            posted.push(add(&mut transaction, batch, now_ms).await?);
        }
        transaction.commit().await?;
        Ok(posted)
    }

    /// Posts all batches of a settlement: all of them or none. Batches that it had before and has no longer are taken back by an
    /// empty version, so that nothing counts twice. What was posted, and how many were taken back.
    ///
    /// `budget` is a calendar year and all that may be granted in it, fen: it holds also when two settlements are posted at once.
    ///
    /// # Errors
    /// As [`Ledger::post`]; a batch of another settlement; a claim that another settlement has granted; more subsidies than
    /// there are.
    pub async fn post_run(
        &self,
        run: &str,
        batches: &[Batch],
        now_ms: i64,
        budget: Option<(i32, i64)>,
    ) -> Result<(Vec<Posted>, usize), LedgerError> {
        for batch in batches {
            batch.check()?;
            if batch.run != run {
                return Err(LedgerError::Batch {
                    batch: batch.id.clone(),
                    problem: "it is of another settlement",
                });
            }
        }
        let mut transaction = self.pool.begin().await?;
        if !self.embedded {
            // One settlement after the other, or each would find the budget as it was before the other. SQLite has one writer.
            sqlx::query("SELECT pg_advisory_xact_lock(hashtext('vpp settlement'))")
                .execute(&mut *transaction)
                .await?;
        }
        let mut posted = Vec::with_capacity(batches.len());
        for batch in batches {
            if batch.id.starts_with(batch::CLAIM)
                && granted_elsewhere(&mut transaction, batch).await?
            {
                let (batch, problem) = (
                    batch.id.clone(),
                    "another settlement has granted it already",
                );
                return Err(LedgerError::Batch { batch, problem });
            }
            posted.push(add(&mut transaction, batch, now_ms).await?);
        }
        let sql = format!(
            "SELECT id, subject, aggregator FROM batches WHERE run = $1 AND version = {}",
            statement::NEWEST
        );
        let before = sqlx::query(&sql)
            .bind(run)
            .fetch_all(&mut *transaction)
            .await?;
        let kept: BTreeSet<&str> = batches.iter().map(|batch| batch.id.as_str()).collect();
        let mut taken_back = 0;
        for row in before {
            let id: String = row.try_get(0)?;
            if kept.contains(id.as_str()) {
                continue;
            }
            let empty = Batch {
                id,
                subject: row.try_get(1)?,
                aggregator: row.try_get(2)?,
                run: run.to_owned(),
                rules: String::new(),
                fen: 0,
                entries: Vec::new(),
                lines: Vec::new(),
            };
            let taken = add(&mut transaction, &empty, now_ms).await?;
            taken_back += usize::from(matches!(taken, Posted::Version(_)));
        }
        if let Some((year, most)) = budget {
            let fen = statement::subsidies(&mut transaction, year, None).await?;
            if fen > most {
                return Err(LedgerError::Budget { year, fen, most });
            }
        }
        transaction.commit().await?;
        Ok((posted, taken_back))
    }

    /// What each account has received less what it gave, fen. All together they are zero.
    ///
    /// # Errors
    /// A database that refuses.
    pub async fn balances(&self) -> Result<BTreeMap<String, i64>, LedgerError> {
        let mut balances = BTreeMap::new();
        for (column, sign) in [("debit", 1), ("credit", -1)] {
            let sql =
                format!("SELECT {column}, CAST(SUM(fen) AS BIGINT) FROM entries GROUP BY {column}");
            for row in sqlx::query(&sql).fetch_all(&self.pool).await? {
                *balances.entry(row.try_get::<String, _>(0)?).or_insert(0) +=
                    sign * row.try_get::<i64, _>(1)?;
            }
        }
        Ok(balances)
    }
}

/// Whether a claim stands in the ledger as part of another settlement.
async fn granted_elsewhere(
    transaction: &mut Transaction<'_, Any>,
    batch: &Batch,
) -> Result<bool, LedgerError> {
    let sql = format!(
        "SELECT run, rules FROM batches WHERE id = $1 AND version = {}",
        statement::NEWEST
    );
    let newest = sqlx::query(&sql)
        .bind(&batch.id)
        .fetch_optional(&mut **transaction)
        .await?;
    let Some(row) = newest else { return Ok(false) };
    // One that was taken back stands there without rules.
    let (run, rules): (String, String) = (row.try_get(0)?, row.try_get(1)?);
    Ok(run != batch.run && !rules.is_empty())
}

async fn add(
    transaction: &mut Transaction<'_, Any>,
    batch: &Batch,
    now_ms: i64,
) -> Result<Posted, LedgerError> {
    let digest = batch.digest();
    let latest = sqlx::query(
        "SELECT version, digest FROM batches WHERE id = $1 ORDER BY version DESC LIMIT 1",
    )
    .bind(&batch.id)
    .fetch_optional(&mut **transaction)
    .await?;
    let (before, known) = match &latest {
        Some(row) => (row.try_get::<i64, _>(0)?, row.try_get::<String, _>(1)?),
        None => (0, String::new()),
    };
    if latest.is_some() && known == digest {
        return Ok(Posted::Unchanged(before));
    }
    let version = before + 1;
    // Two who post the same at once: the second one's key is taken, and nothing of it is posted.
    sqlx::query(
        "INSERT INTO batches (id, version, posted_ms, digest, rules, subject, aggregator, fen, run) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(&batch.id)
    .bind(version)
    .bind(now_ms)
    .bind(&digest)
    .bind(&batch.rules)
    .bind(&batch.subject)
    .bind(&batch.aggregator)
    .bind(batch.fen)
    .bind(&batch.run)
    .execute(&mut **transaction)
    .await?;
    let old = sqlx::query(
        "SELECT debit, credit, fen, memo FROM entries WHERE batch = $1 AND version = $2 AND substr(memo, 1, 6) <> 'back: ' \
         ORDER BY number",
    )
    .bind(&batch.id)
    .bind(before)
    .fetch_all(&mut **transaction)
    .await?;
    let mut entries = Vec::with_capacity(old.len() + batch.entries.len());
    for row in old {
        entries.push(Entry {
            debit: row.try_get(1)?,
            credit: row.try_get(0)?,
            fen: row.try_get(2)?,
            memo: format!("back: {}", row.try_get::<String, _>(3)?),
        });
    }
    entries.extend_from_slice(&batch.entries);
    for entry in &entries {
        sqlx::query(
            "INSERT INTO entries (batch, version, debit, credit, fen, memo) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(&batch.id)
        .bind(version)
        .bind(&entry.debit)
        .bind(&entry.credit)
        .bind(entry.fen)
        .bind(&entry.memo)
        .execute(&mut **transaction)
        .await?;
    }
    for line in &batch.lines {
        sqlx::query(
            "INSERT INTO lines (batch, version, station, item, wh, price, fen, rule, detail) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(&batch.id)
        .bind(version)
        .bind(&line.station)
        .bind(&line.item)
        .bind(line.wh)
        .bind(&line.price)
        .bind(line.fen)
        .bind(&line.rule)
        .bind(&line.detail)
        .execute(&mut **transaction)
        .await?;
    }
    Ok(Posted::Version(version))
}
