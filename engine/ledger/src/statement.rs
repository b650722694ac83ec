//! What was settled, to be read: statements by aggregator, station and subject, their lines and their entries.

use sqlx::any::AnyRow;
use sqlx::{Any, Row as _, Transaction};

use crate::batch::SUBSIDY;
use crate::{Entry, Ledger, LedgerError, Line};

/// The newest version of a batch, as part of a query on batches.
pub(crate) const NEWEST: &str =
    "(SELECT MAX(later.version) FROM batches AS later WHERE later.id = batches.id)";
/// What a [`Statement`] is made of; the last is [`NEWEST`].
const COLUMNS: &str = "id, version, posted_ms, subject, aggregator, rules, fen, \
    (SELECT MAX(later.version) FROM batches AS later WHERE later.id = batches.id)";

/// A settled batch, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The batch.
    pub id: String,
    /// Its version, from 1.
    pub version: i64,
    /// Whether a later version took its place.
    pub superseded: bool,
    /// When it was posted: milliseconds of 1970.
    pub posted_ms: i64,
    /// The event or the month.
    pub subject: String,
    /// Whose stations.
    pub aggregator: String,
    /// The rules that it was settled by.
    pub rules: String,
    /// What comes from outside the plant, all in all, fen.
    pub fen: i64,
}

/// Which statements: all that fit what is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// The one of this name.
    pub id: Option<String>,
    /// Of an aggregator.
    pub aggregator: Option<String>,
    /// With a line of this station.
    pub station: Option<String>,
    /// Of an event or a month.
    pub subject: Option<String>,
    /// Those that a later version took the place of as well.
    pub superseded: bool,
    /// After this one, by id and version: the last one of the page before.
    pub after: Option<(String, i64)>,
}

impl Ledger {
    /// Statements in the order of their ids and versions, at most so many.
    ///
    /// # Errors
    /// A database that refuses.
    pub async fn statements(
        &self,
        filter: &Filter,
        limit: u32,
    ) -> Result<Vec<Statement>, LedgerError> {
        // Bound twice where it is used twice: the drivers number parameters differently.
        let sql = format!(
            "SELECT {COLUMNS} FROM batches \
             WHERE ($1 = '' OR aggregator = $2) AND ($3 = '' OR subject = $4) \
             AND ($5 = '' OR EXISTS (SELECT 1 FROM lines WHERE lines.batch = batches.id \
             AND lines.version = batches.version AND lines.station = $6)) \
             AND ($7 = '' OR id = $8) AND ($9 = 1 OR version = {NEWEST}) \
             AND (id > $10 OR (id = $11 AND version > $12)) ORDER BY id, version LIMIT $13"
        );
        let text = |given: &Option<String>| given.clone().unwrap_or_default();
        let (id, version) = filter.after.clone().unwrap_or_default();
        let mut query = sqlx::query(&sql);
        let given = [
            &filter.aggregator,
            &filter.subject,
            &filter.station,
            &filter.id,
        ];
        for given in given {
            query = query.bind(text(given)).bind(text(given));
        }
        let rows = query
            .bind(i64::from(filter.superseded))
            .bind(id.clone())
            .bind(id)
            .bind(version)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(statement).collect()
    }

    /// One statement; version 0 is the latest.
    ///
    /// # Errors
    /// A database that refuses.
    pub async fn statement(
        &self,
        id: &str,
        version: i64,
    ) -> Result<Option<Statement>, LedgerError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM batches WHERE id = $1 AND (version = $2 OR $3 = 0) ORDER BY version DESC LIMIT 1"
        );
        let row = sqlx::query(&sql)
            .bind(id)
            .bind(version)
            .bind(version)
            .fetch_optional(&self.pool)
            .await?;
        row.as_ref().map(statement).transpose()
    }

    /// Lines of a version of a batch after the one of that number, in the order in which they were posted, at most so many; of
    /// one station or of all. Each with its number.
    ///
    /// # Errors
    /// A database that refuses.
    pub async fn lines(
        &self,
        id: &str,
        version: i64,
        station: Option<&str>,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(i64, Line)>, LedgerError> {
        let station = station.unwrap_or_default();
        let rows = sqlx::query(
            "SELECT station, item, wh, price, fen, rule, detail, number FROM lines \
             WHERE batch = $1 AND version = $2 AND ($3 = '' OR station = $4) AND number > $5 ORDER BY number LIMIT $6",
        )
        .bind(id)
        .bind(version)
        .bind(station)
        .bind(station)
        .bind(after)
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        let line = |row: &AnyRow| {
            let line = Line {
                station: row.try_get(0)?,
                item: row.try_get(1)?,
                wh: row.try_get(2)?,
                price: row.try_get(3)?,
                fen: row.try_get(4)?,
                rule: row.try_get(5)?,
                detail: row.try_get(6)?,
            };
            Ok((row.try_get(7)?, line))
        };
        rows.iter().map(line).collect()
    }

    /// Subsidies granted by the settlements of a year's months as they stand, fen; without those of one settlement, if it is
    /// named.
    ///
    /// # Errors
    /// A database that refuses.
    pub async fn subsidies_of(&self, year: i32, except: Option<&str>) -> Result<i64, LedgerError> {
        let mut transaction = self.pool.begin().await?;
        subsidies(&mut transaction, year, except).await
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
        let entry = |row: &AnyRow| {
            let entry = Entry {
                debit: row.try_get(1)?,
                credit: row.try_get(2)?,
                fen: row.try_get(3)?,
                memo: row.try_get(4)?,
            };
            Ok((row.try_get(0)?, entry))
        };
        rows.iter().map(entry).collect()
    }
}

/// [`Ledger::subsidies_of`], as it is within a transaction.
pub(crate) async fn subsidies(
    transaction: &mut Transaction<'_, Any>,
    year: i32,
    except: Option<&str>,
) -> Result<i64, LedgerError> {
    let sql = format!(
        "SELECT CAST(COALESCE(SUM(CASE WHEN credit = $1 THEN entries.fen ELSE -entries.fen END), 0) AS BIGINT) \
         FROM batches JOIN entries ON entries.batch = batches.id AND entries.version = batches.version \
         WHERE batches.version = {NEWEST} AND substr(memo, 1, 6) <> 'back: ' AND (credit = $2 OR debit = $3) \
         AND run LIKE $4 AND run <> $5"
    );
    let row = sqlx::query(&sql)
        .bind(SUBSIDY)
        .bind(SUBSIDY)
        .bind(SUBSIDY)
        .bind(format!("month/{year}-%"))
        .bind(except.unwrap_or_default())
        .fetch_one(&mut **transaction)
        .await?;
    Ok(row.try_get(0)?)
}

fn statement(row: &AnyRow) -> Result<Statement, LedgerError> {
    let version: i64 = row.try_get(1)?;
    Ok(Statement {
        id: row.try_get(0)?,
        version,
        posted_ms: row.try_get(2)?,
        subject: row.try_get(3)?,
        aggregator: row.try_get(4)?,
        rules: row.try_get(5)?,
        fen: row.try_get(6)?,
        superseded: version < row.try_get::<i64, _>(7)?,
    })
}
