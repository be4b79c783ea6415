//! The append-only record in Postgres: batches, events, quarantine, readers, outbox, leases.
//!
//! Owns all SQL about what was recorded; callers see domain types and [`JournalError`] only.

mod append;
mod batch;
mod deliveries;
pub mod embedded;
mod error;
mod events;
mod keys;
mod leases;
mod outbox;
mod partitions;
mod quarantine;
mod search;
mod verdicts;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::migrate::Migrator;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::Notify;

pub use append::append_in;
pub use batch::{Appended, Lane, NewBatch, NewEvent, NewQuarantine, RequestRecord, Source};
pub use deliveries::{Delivery, DeliveryFilter};
pub use error::JournalError;
pub use events::StoredEvent;
pub use keys::SigningKey;
pub use leases::Lease;
pub use outbox::{Backlog, OutboxRow, ReaderName, finish_in};
pub use quarantine::{QuarantineFilter, Quarantined};
pub use search::{EventFilter, Position};

/// Every migration of usher, in order.
pub static MIGRATOR: Migrator = sqlx::migrate!();

/// A connection must be had within this time, so that a delivery is answered within 10 s.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// No statement of usher's takes longer; one that does is cut by the server.
const STATEMENT_TIMEOUT: &str = "30s";

/// The record. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal {
    pool: PgPool,
    partitions: partitions::Partitions,
    appended: Arc<Notify>,
}

impl Journal {
    /// Prepares connections to `url`; none is opened before it is needed.
    ///
    /// # Errors
    /// When `url` cannot be read as one of Postgres.
    pub fn open(url: &str) -> Result<Self, JournalError> {
        let options: PgConnectOptions = url.parse().map_err(JournalError::from)?;
        let options = options
            .application_name("usher")
            .options([("statement_timeout", STATEMENT_TIMEOUT)]);
        let pool = PgPoolOptions::new()
            .max_connections(16)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_lazy_with(options);
        Ok(Self::from_pool(pool))
    }

    /// The record behind an open pool.
    pub fn from_pool(pool: PgPool) -> Self {
        Self {
            pool,
            partitions: partitions::Partitions::default(),
            appended: Arc::new(Notify::new()),
        }
    }

    /// Brings the schema up to date; waits while another instance does.
    pub async fn migrate(&self) -> Result<(), JournalError> {
        MIGRATOR.run(&self.pool).await?;
        Ok(())
    }

    /// Makes the partitions that the coming months need, and the ranges on either side.
    pub async fn make_partitions_ahead(&self, now: DateTime<Utc>) -> Result<(), JournalError> {
        self.partitions.make_ahead(&self.pool, now).await
    }

    /// The connections, for the stores of other rooms.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Whether Postgres answers and takes writes: a standby does not.
    pub async fn ping(&self) -> Result<bool, JournalError> {
        Ok(sqlx::query_scalar!(
            r#"SELECT current_setting('transaction_read_only') = 'off' AS "writable!""#
        )
        .fetch_one(&self.pool)
        .await?)
    }

    /// Opens one connection and closes it: says why, where the pool would only say that it waited.
    pub async fn reach(&self) -> Result<(), JournalError> {
        let options = self.pool.connect_options();
        let connection = tokio::time::timeout(ACQUIRE_TIMEOUT, options.connect())
            .await
            .map_err(|_| JournalError::Unavailable(sqlx::Error::PoolTimedOut))??;
        connection.close().await?;
        Ok(())
    }

    /// Completes when this process appended something, or after `at_most`: other instances append
    /// too, so polling is the truth and this only shortens the wait.
    pub async fn appended(&self, at_most: Duration) {
        tokio::select! {
            () = self.appended.notified() => {}
            () = tokio::time::sleep(at_most) => {}
        }
    }

    /// Wakes the readers of this process after a transaction of the caller's own.
    pub fn wake_readers(&self) {
        self.appended.notify_waiters();
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}
