//! The append-only record in Postgres: batches, events, quarantine, readers, outbox, leases.
//!
//! Owns all SQL about what was recorded; callers see domain types and [`JournalError`] only.

mod append;
mod back_fill;
mod batch;
mod closed_months;
mod custom;
mod deliveries;
pub mod embedded;
mod error;
mod events;
mod hindrance;
mod insert;
mod keys;
mod leases;
mod old_rows;
mod outbox;
mod partitions;
mod quarantine;
mod readers;
mod release;
mod repeats;
mod replays;
mod row;
mod schema;
mod search;
mod set_aside;
mod upkeep;
mod verdicts;
mod window;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use tokio::sync::Notify;

pub use append::append_in;
pub use back_fill::BackFill;
pub use batch::{
    Appended, Lane, NewBatch, NewEvent, NewQuarantine, RequestCounts, RequestRecord, Source,
};
pub use custom::{NewCustom, NewTold, Told};
pub use deliveries::{Delivery, DeliveryFilter};
pub use error::JournalError;
pub use events::StoredEvent;
pub use keys::SigningKey;
pub use leases::Lease;
pub use old_rows::SLICE;
pub use outbox::{Backlog, COUNTED, OutboxRow, Owed, ReaderName, finish_in};
pub use quarantine::{QuarantineFilter, Quarantined};
pub use readers::{Retired, Standing};
pub use release::{KeptFilter, Released};
pub use repeats::{Fingerprint, Held};
pub use schema::{MIGRATOR, PendingMigration};
pub use search::{EventFilter, Found, Position};
pub use set_aside::Unsendable;
pub use upkeep::{Retention, Round, before};
pub use verdicts::{CheckFilter, NewVerdict};
pub use window::{NoWindow, far_future};

/// A connection must be had within this time, so that a delivery is answered within 10 s.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// No statement of usher's takes longer; one that does is cut by the server.
const STATEMENT_TIMEOUT: &str = "30s";

/// The record. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal {
    pool: PgPool,
    partitions: partitions::Partitions,
    replays: Arc<replays::Replays>,
    appended: Arc<Notify>,
    hindrance: Arc<hindrance::Hindrance>,
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
            replays: Arc::default(),
            appended: Arc::new(Notify::new()),
            hindrance: Arc::default(),
        }
    }

    /// Makes the partitions that the coming months need, and the ranges on either side.
    pub async fn make_partitions_ahead(&self, now: DateTime<Utc>) -> Result<(), JournalError> {
        self.partitions.make_ahead(&self.pool, now).await
    }

    /// The connections, for the stores of other rooms.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// A connection beside the pool, without a limit on statements: for work that may wait long
    /// and whose settings and locks must end with it.
    async fn own_connection(&self) -> Result<PgConnection, JournalError> {
        let options = self.pool.connect_options();
        let mut connection = tokio::time::timeout(ACQUIRE_TIMEOUT, options.connect())
            .await
            .map_err(|_| JournalError::Unavailable(sqlx::Error::PoolTimedOut))??;
        sqlx::query_scalar!("SELECT set_config('statement_timeout', '0', false)")
            .fetch_one(&mut connection)
            .await?;
        Ok(connection)
    }

    /// Whether Postgres answers and takes writes: a standby does not, nor does a full disk, nor a server that is not as
    /// usher needs it ([`hindrance`](Self::hindrance) says what is wrong).
    pub async fn ping(&self) -> Result<bool, JournalError> {
        let writable = sqlx::query_scalar!(
            r#"SELECT current_setting('transaction_read_only') = 'off' AS "writable!""#
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(writable && self.takes_rows().await?)
    }

    /// What time it is by the database's clock: the one that all instances share.
    pub async fn now(&self) -> Result<DateTime<Utc>, JournalError> {
        Ok(sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#)
            .fetch_one(&self.pool)
            .await?)
    }

    /// Completes when this process appended something, or after `at_most`: other instances append
    /// too, so polling is the truth and this only shortens the wait. What is appended after the
    /// call counts, also before the first poll.
    pub fn appended(&self, at_most: Duration) -> impl Future<Output = ()> {
        let appended = self.appended.notified();
        async move {
            tokio::select! {
                () = appended => {}
                () = tokio::time::sleep(at_most) => {}
            }
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
