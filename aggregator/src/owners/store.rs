//! What owners were answered and what vehicles gave, in an embedded database.

use std::collections::BTreeMap;
use std::path::Path;

use chrono::{NaiveDate, TimeDelta};
use prost::Message as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Row as _, SqlitePool};
use vpp_core::{Booking, Timestamp, VehicleId};
use vpp_proto::v1;

use crate::stay::Used;

/// The file in the data folder.
const FILE: &str = "owners.db";
/// A request is remembered for so long.
const REMEMBERED: TimeDelta = TimeDelta::days(30);

/// Why it cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused.
    #[error("the database of reservations: {0}")]
    Database(#[from] sqlx::Error),
    /// The tables could not be made or are of another version.
    #[error("the tables of reservations: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// Something in it that was never written.
    #[error("the database of reservations: {0}")]
    Content(String),
}

#[derive(Clone, Debug)]
pub(super) struct Store {
    pool: SqlitePool,
}

/// A request that was done.
pub(super) struct Done {
    pub(super) asked: Vec<u8>,
    pub(super) answer: v1::Reservation,
}

impl Store {
    /// Opens the database in a folder, made where it is not there; without a folder in memory.
    pub(super) async fn open(folder: Option<&Path>) -> Result<Store, StoreError> {
        let options = match folder {
            Some(folder) => SqliteConnectOptions::new().filename(folder.join(FILE)),
            None => SqliteConnectOptions::new().in_memory(true),
        };
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        // One connection: in memory each would have a database of its own, and there is one writer anyway.
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await?;
        sqlx::migrate!("./migrations").run(&pool).await?;
        Ok(Store { pool })
    }

    /// All reservations on record.
    pub(super) async fn bookings(&self) -> Result<Vec<Booking>, StoreError> {
        let rows = sqlx::query("SELECT record FROM reservations ORDER BY ends_ms, id")
            .fetch_all(&self.pool)
            .await?;
        let mut bookings = Vec::with_capacity(rows.len());
        for row in rows {
            match booking(row.try_get("record")?) {
                Ok(booking) => bookings.push(booking),
                // The others are kept all the same.
                Err(error) => tracing::error!(%error, "a reservation on record cannot be read"),
            }
        }
        Ok(bookings)
    }

    /// What was discharged out of each vehicle.
    pub(super) async fn discharges(&self) -> Result<BTreeMap<VehicleId, Used>, StoreError> {
        let rows = sqlx::query("SELECT vehicle, total_kwh, day, day_kwh FROM discharges")
            .fetch_all(&self.pool)
            .await?;
        let mut all = BTreeMap::new();
        for row in rows {
            let vehicle = VehicleId::new(row.try_get::<String, _>("vehicle")?).map_err(content)?;
            let day: Option<String> = row.try_get("day")?;
            let used = Used {
                total_kwh: row.try_get("total_kwh")?,
                day_kwh: row.try_get("day_kwh")?,
                day: day
                    .map(|day| day.parse::<NaiveDate>())
                    .transpose()
                    .map_err(content)?,
            };
            all.insert(vehicle, used);
        }
        Ok(all)
    }

    /// A request of this name that was done.
    pub(super) async fn done(&self, id: &str) -> Result<Option<Done>, StoreError> {
        let row = sqlx::query("SELECT asked, answer FROM requests WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.pool)
            .await?;
        let done = |row: sqlx::sqlite::SqliteRow| {
            Ok(Done {
                asked: row.try_get("asked")?,
                answer: v1::Reservation::decode(row.try_get::<&[u8], _>("answer")?)
                    .map_err(content)?,
            })
        };
        row.map(done).transpose()
    }

    /// Records what a request made of a reservation, and the request.
    pub(super) async fn record(
        &self,
        id: &str,
        asked: &[u8],
        booking: &Booking,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let wire = v1::Reservation::from(booking).encode_to_vec();
        let mut transaction = self.pool.begin().await?;
        put(&mut transaction, booking, &wire).await?;
        sqlx::query("INSERT INTO requests (id, asked, answer, asked_ms) VALUES ($1, $2, $3, $4)")
            .bind(id)
            .bind(asked)
            .bind(&wire)
            .bind(now.timestamp_millis())
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Records what happened at the piles.
    pub(super) async fn happened(
        &self,
        bookings: &[Booking],
        used: &[(VehicleId, Used)],
    ) -> Result<(), StoreError> {
        if bookings.is_empty() && used.is_empty() {
            return Ok(());
        }
        let mut transaction = self.pool.begin().await?;
        for booking in bookings {
            let wire = v1::Reservation::from(booking).encode_to_vec();
            put(&mut transaction, booking, &wire).await?;
        }
        for (vehicle, used) in used {
            sqlx::query("INSERT OR REPLACE INTO discharges (vehicle, total_kwh, day, day_kwh) VALUES ($1, $2, $3, $4)")
                .bind(vehicle.as_str())
                .bind(used.total_kwh)
                .bind(used.day.map(|day| day.to_string()))
                .bind(used.day_kwh)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        Ok(())
    }

    /// Forgets what is too old to be asked for: reservations that ended before an instant, requests, and, where nothing counts
    /// beyond a day, what was discharged before yesterday.
    pub(super) async fn forget(
        &self,
        ended_before: Timestamp,
        now: Timestamp,
        days_only: bool,
    ) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM reservations WHERE ends_ms < $1")
            .bind(ended_before.timestamp_millis())
            .execute(&self.pool)
            .await?;
        sqlx::query("DELETE FROM requests WHERE asked_ms < $1")
            .bind((now - REMEMBERED).timestamp_millis())
            .execute(&self.pool)
            .await?;
        if days_only {
            let day = (now - TimeDelta::days(2)).date_naive().to_string();
            sqlx::query("DELETE FROM discharges WHERE day IS NULL OR day < $1")
                .bind(day)
                .execute(&self.pool)
                .await?;
        }
        Ok(())
    }
}

async fn put(
    transaction: &mut sqlx::SqliteConnection,
    booking: &Booking,
    wire: &[u8],
) -> Result<(), StoreError> {
    sqlx::query("INSERT OR REPLACE INTO reservations (id, ends_ms, record) VALUES ($1, $2, $3)")
        .bind(booking.reservation.id.as_str())
        .bind(booking.agreed_departure.timestamp_millis())
        .bind(wire)
        .execute(transaction)
        .await?;
    Ok(())
}

fn booking(record: &[u8]) -> Result<Booking, StoreError> {
    let wire = v1::Reservation::decode(record).map_err(content)?;
    Booking::try_from(wire).map_err(content)
}

fn content(problem: impl std::fmt::Display) -> StoreError {
    StoreError::Content(problem.to_string())
}
