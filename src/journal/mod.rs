//! The append-only record in Postgres: batches, events, quarantine, readers, outbox, leases.
//!
//! Owns all SQL about what was recorded. Callers get domain types and [`JournalError`] only.
//!
//! Five wings stand on a ground floor. Each may use those on its right, and the ground floor:
//! `retention` → `append` → `outbox` → `read`. `coverage` stands alone. `tests/it/tidy/wings.rs`
//! permits no more.

// The ground floor: what several wings need. None of it knows a wing.
mod batch;
mod connection;
mod error;
mod imports;
mod inspect;
mod inventory;
mod keys;
mod leases;
mod partitions;
mod problem;
mod pull_checkpoints;
mod recounts;
mod schema;
mod sessions;

// The wings.
mod append;
mod coverage;
mod outbox;
mod read;
mod retention;

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::ConnectOptions;
use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use tokio::sync::Notify;
use tracing::warn;

use crate::http::PortalScope;

pub use append::{
    Access, AccessLog, AccessPath, AlertChanges, CheckFilter, CustomRequestCounts, Fingerprint,
    KeptFilter, NewCustomEvent, NewCustomRequest, NewVerdict, ReleaseByHand, Released, SetupStep,
    StoredCopies, Twin, append_in,
};
pub use batch::{
    Appended, Lane, NewBatch, NewEvent, NewQuarantine, RequestCounts, RequestRecord, Source,
};
pub use connection::{Connection, Pool, Transaction};
pub use coverage::{
    Acknowledgement, Gap, GapReason, JobFilter, JobOrigin, JobState, LogSource, NewGap,
    NewReplayJob, Readiness, Refusal, ReplayJobRow, SignOfLife, SourceState, SourceStatus,
    WindowCounts,
};
pub use error::JournalError;
pub use imports::{ImportCounts, ImportRun};
pub use inspect::{MissingRight, ReaderClaim, RowCounts, ServerFacts};
pub use inventory::{LeaseHolder, SchemaState, Server};
pub use keys::{KeyFetch, ServedKey, SigningKey};
pub use leases::Lease;
pub use outbox::{
    COUNTED, Claims, OutboxRow, Owed, Progress, ReaderBackfill, ReaderName, ReaderStatus, Retired,
    Unsendable, finish_in,
};
pub use partitions::{Kept, is_kept};
pub use problem::{AskElsewhere, journal_problem};
pub use pull_checkpoints::{PullCheckpoint, PullLoss};
pub use read::{
    Around, Delivery, DeliveryFilter, EventFilter, Export, FirstDelivery, Follow, Found,
    FoundAlert, Network, NoFilter, NoNetwork, NoWindow, OpenAlert, Order, Outcome, Position,
    QUARANTINE_COUNTED, QuarantineCount, QuarantineFilter, Quarantined, SignatureFailures,
    StoredEvent, far_future, read_time, shell_word,
};
pub use recounts::{count_alone, try_count_alone};
pub use retention::{Retention, UpkeepRun, before};
pub use schema::{MIGRATOR, PendingMigration};
pub use sessions::{SESSION_ABSOLUTE, SESSION_IDLE, TokenSessions};

/// Rows of one statement: some ten milliseconds of work.
pub const SLICE: i64 = 5_000;

/// A connection must be had within this time, so that a delivery is answered within 10 s.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
/// No statement of usher's takes longer. The server cuts one that does.
const STATEMENT_TIMEOUT: &str = "30s";
const CONNECTIONS: u32 = 16;
/// Connections for people who read, how long they wait for one, and how long a statement may take.
const READING: u32 = 4;
const READING_ACQUIRE: Duration = Duration::from_secs(2);
const READING_STATEMENT: &str = "10s";
/// A change of the schema on a connection apart, which may wait for all other statements.
const LONG_STATEMENT: Duration = Duration::from_mins(30);
/// The server ends a connection apart that is idle for this long, with its locks.
const IDLE_APART: &str = "60s";
/// A connection that was idle, or is returned, and does not answer within this time is dead.
const PING_WITHIN: Duration = Duration::from_secs(2);
/// One that was used this short a time ago is not tested first.
const FRESH: Duration = Duration::from_secs(1);
/// At the end, for connections that are still in use.
const CLOSE_WITHIN: Duration = Duration::from_secs(2);

/// The journal. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Journal {
    pool: Pool,
    partitions: partitions::Partitions,
    replay_detector: Arc<append::ReplayDetector>,
    appended: Arc<Notify>,
    write_health: Arc<append::WriteHealth>,
    recent: Arc<read::Recent>,
    portals: PortalScope,
}

impl Journal {
    /// Prepares connections to `url`. None is opened before it is needed.
    ///
    /// # Errors
    /// When `url` is not a URL of Postgres.
    pub fn open(url: &str) -> Result<Self, JournalError> {
        let pool = connections(url, CONNECTIONS, ACQUIRE_TIMEOUT, STATEMENT_TIMEOUT)?;
        Ok(Self::from_pool(pool))
    }

    /// The journal for people who read it: few connections of their own and less time, so that no
    /// writer ever waits for them. When none of them is free, the answer is that it is busy.
    ///
    /// # Errors
    /// When `url` is not a URL of Postgres.
    pub fn open_reading(url: &str) -> Result<Self, JournalError> {
        let pool = connections(url, READING, READING_ACQUIRE, READING_STATEMENT)?;
        Ok(Self::from_pool(pool))
    }

    /// The journal behind an open pool.
    pub fn from_pool(pool: impl Into<Pool>) -> Self {
        Self {
            pool: pool.into(),
            partitions: partitions::Partitions::default(),
            replay_detector: Arc::default(),
            appended: Arc::new(Notify::new()),
            write_health: Arc::default(),
            recent: Arc::default(),
            portals: PortalScope::All,
        }
    }

    /// The same, for somebody who may see these portals only. What bounds a query is the handle: a
    /// caller cannot leave it out.
    #[must_use]
    pub fn seen_by(&self, portals: &PortalScope) -> Self {
        Self {
            portals: portals.clone(),
            ..self.clone()
        }
    }

    /// The portals that may be seen by this handle.
    pub fn portals(&self) -> &PortalScope {
        &self.portals
    }

    /// Up to when everything that was committed is here, as far as a replica can say: none where it
    /// has replayed nothing since it started.
    pub async fn replayed_to(&self) -> Result<Option<DateTime<Utc>>, JournalError> {
        Ok(sqlx::query_scalar!(
            "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_xact_replay_timestamp() ELSE now() END"
        )
        .fetch_one(&self.pool)
        .await?)
    }

    /// Makes the partitions that the coming months need, and the ranges on either side.
    pub async fn make_partitions_ahead(&self, now: DateTime<Utc>) -> Result<(), JournalError> {
        self.partitions.make_ahead(&self.pool, now).await
    }

    /// The connections, for the stores of other modules.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// A connection beside the pool, on which the server does not limit statements. It is for work
    /// that may wait long and whose settings and locks must end with it. What takes longer than
    /// `patience` fails.
    async fn own_connection(&self, patience: Duration) -> Result<Connection, JournalError> {
        let options = self.pool.shared().connect_options();
        let connecting = async {
            let mut connection = options.connect().await?;
            limit(&mut connection, "0", IDLE_APART).await?;
            Ok(Connection::apart(connection, patience))
        };
        tokio::time::timeout(ACQUIRE_TIMEOUT, connecting)
            .await
            .unwrap_or_else(|_| Err(JournalError::busy()))
    }

    /// Whether Postgres answers and takes writes. A standby does not, nor does a full disk, nor a
    /// server that is not as usher needs it ([`hindrance`](Self::hindrance) says what is wrong).
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

    /// Completes when this process appended something, or after `at_most`. Other instances append
    /// too, so callers must poll, and this only shortens the wait. What is appended after the call
    /// counts, also before the first poll.
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

    /// Closes every connection, without waiting for those that do not answer.
    pub async fn close(&self) {
        let closed = tokio::time::timeout(CLOSE_WITHIN, self.pool.shared().close());
        if closed.await.is_err() {
            warn!("a connection to the database was still in use and is dropped");
        }
    }
}

/// So many connections to `url`, none of them open yet.
fn connections(
    url: &str,
    number: u32,
    within: Duration,
    statement_timeout: &'static str,
) -> Result<PgPool, JournalError> {
    let options: PgConnectOptions = url.parse().map_err(JournalError::from)?;
    // A pooler refuses settings at the start that it does not know.
    let options = options.application_name("usher").extra_float_digits(None);
    Ok(PgPoolOptions::new()
        .max_connections(number)
        .acquire_timeout(within)
        .test_before_acquire(false)
        .before_acquire(|connection, metadata| {
            Box::pin(async move {
                if metadata.idle_for >= FRESH {
                    ping(connection).await?;
                }
                Ok(true)
            })
        })
        .after_release(|connection, _| {
            Box::pin(async move { ping(connection).await.map(|()| true) })
        })
        .after_connect(move |connection, _| Box::pin(limit(connection, statement_timeout, "0")))
        .connect_lazy_with(options))
}

/// Whether the connection is alive.
async fn ping(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    tokio::time::timeout(PING_WITHIN, connection.ping())
        .await
        .unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

/// Bounds every statement. Ends one whose connection is gone, with the locks of its abandoned
/// transaction. It is set in the session and not at its start, where a pooler would refuse it.
async fn limit(
    connection: &mut PgConnection,
    statement_timeout: &str,
    idle_timeout: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "
        SELECT
            set_config('statement_timeout', $1, false) AS statements,
            set_config('client_connection_check_interval', '1s', false) AS connections,
            set_config('idle_in_transaction_session_timeout', '20s', false) AS locks,
            set_config('idle_session_timeout', $2, false) AS sessions
        ",
        statement_timeout,
        idle_timeout,
    )
    .fetch_one(connection)
    .await?;
    Ok(())
}
