//! Money that must not be lost: a double-entry ledger in a database. Every entry moves fen from one account to another, so
//! that all accounts together are always zero. Nothing is changed or deleted: what is settled anew posts a new version,
//! which first takes the entries of the one before back.
//!
//! The database is embedded (`SQLite`, one file) unless a URL of `PostgreSQL` is given; the same code and the same tests for
//! both.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyPool, Row as _};
use vpp_settlement::event::Settlement;

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
    /// A batch with an entry of nothing, from an account to itself, or without a name.
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

/// Entries that belong together: all are posted or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// What is settled, `dr-1/agg-a`. The same name again is a new version.
    pub id: String,
    /// The rules that it was settled by.
    pub rules: String,
    /// The entries.
    pub entries: Vec<Entry>,
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
        Ok(Ledger { pool })
    }

    /// Posts a batch at an instant (milliseconds of 1970): all of it or nothing. Posted again as it is, nothing happens.
    ///
    /// # Errors
    /// A batch that cannot be, a database that refuses.
    pub async fn post(&self, batch: &Batch, now_ms: i64) -> Result<Posted, LedgerError> {
        batch.check()?;
        let digest = batch.digest();
        let mut transaction = self.pool.begin().await?;
        let latest = sqlx::query(
            "SELECT version, digest FROM batches WHERE id = $1 ORDER BY version DESC LIMIT 1",
        )
        .bind(&batch.id)
        .fetch_optional(&mut *transaction)
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
            "INSERT INTO batches (id, version, posted_ms, digest, rules) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(&batch.id)
        .bind(version)
        .bind(now_ms)
        .bind(&digest)
        .bind(&batch.rules)
        .execute(&mut *transaction)
        .await?;
        let old = sqlx::query(
            "SELECT debit, credit, fen, memo FROM entries WHERE batch = $1 AND version = $2 AND memo NOT LIKE 'back: %' \
             ORDER BY number",
        )
        .bind(&batch.id)
        .bind(before)
        .fetch_all(&mut *transaction)
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
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await?;
        Ok(Posted::Version(version))
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

    /// All entries of a batch, of all of its versions, in the order in which they were posted.
    ///
    /// # Errors
    /// A database that refuses.
    pub async fn history(&self, id: &str) -> Result<Vec<(i64, Entry)>, LedgerError> {
        let rows = sqlx::query(
            "SELECT version, debit, credit, fen, memo FROM entries WHERE batch = $1 ORDER BY number",
        )
        .bind(id)
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                let entry = Entry {
                    debit: row.try_get(1)?,
                    credit: row.try_get(2)?,
                    fen: row.try_get(3)?,
                    memo: row.try_get(4)?,
                };
                Ok((row.try_get(0)?, entry))
            })
            .collect()
    }
}

impl Batch {
    /// A settled event: what the grid pays the aggregator, what it takes as penalty, and each station's part.
    #[must_use]
    pub fn of_settlement(settled: &Settlement) -> Batch {
        let aggregator = format!("aggregator:{}", settled.aggregator);
        let (grid, event) = ("grid".to_owned(), &settled.event);
        let mut entries = Vec::new();
        let mut add = |debit: &str, credit: &str, fen: i64, memo: String| {
            if fen > 0 {
                entries.push(Entry {
                    debit: debit.to_owned(),
                    credit: credit.to_owned(),
                    fen,
                    memo,
                });
            }
        };
        let payment = &settled.payment;
        add(
            &aggregator,
            &grid,
            payment.gross_fen,
            format!("{event} delivered"),
        );
        add(
            &grid,
            &aggregator,
            payment.penalty_fen,
            format!("{event} not delivered"),
        );
        for line in &settled.stations {
            let station = format!("station:{}", line.station);
            add(
                &station,
                &aggregator,
                line.share_fen,
                format!("{event} share"),
            );
        }
        Batch {
            id: format!("{event}/{}", settled.aggregator),
            rules: settled.rules.join(" "),
            entries,
        }
    }

    fn check(&self) -> Result<(), LedgerError> {
        let problem = |problem| {
            let batch = self.id.clone();
            Err(LedgerError::Batch { batch, problem })
        };
        if self.id.is_empty() {
            return problem("it has no name");
        }
        for entry in &self.entries {
            if entry.fen <= 0 {
                return problem("an entry moves nothing or less");
            }
            if entry.debit == entry.credit || entry.debit.is_empty() || entry.credit.is_empty() {
                return problem("an entry needs two accounts");
            }
            if entry.memo.starts_with("back: ") {
                return problem("a memo begins as those that take entries back");
            }
        }
        Ok(())
    }

    /// What tells this version from another: all of it, as text.
    fn digest(&self) -> String {
        use std::fmt::Write as _;
        let mut text = self.rules.clone();
        for entry in &self.entries {
            let _ = write!(
                text,
                "\n{:?} {:?} {} {:?}",
                entry.debit, entry.credit, entry.fen, entry.memo
            );
        }
        text
    }
}
