//! Which batches each reader still owes. Rows are claimed by state, never by a cursor.

use std::fmt;
use std::time::Duration;

use crate::journal::Connection;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::journal::batch::{NewBatch, Source};
use crate::journal::{Journal, JournalError};

/// Shared by every append, exclusive for a change of readers: no batch can commit unseen between
/// the back-fill of a new reader and the moment it is known.
pub(super) const READERS_LOCK: i64 = 0x7573_6865_7202;

/// A part of usher that must see every batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReaderName {
    /// Sends events to Kafka.
    Kafka,
    /// Turns events into hints, signals and actions.
    React,
    /// Sends entries on to one endpoint, told by a hash of where it is.
    Forward(u64),
}

/// The word that is stored and labels metrics. All of `forward` begin alike, which queries rely on.
impl fmt::Display for ReaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kafka => f.write_str("kafka"),
            Self::React => f.write_str("react"),
            Self::Forward(hash) => write!(f, "forward-{hash:016x}"),
        }
    }
}

/// One batch that a reader owes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// The batch.
    pub batch: Uuid,
    /// Earliest `event_ts` in it, so that only its partitions are read.
    pub first_event_ts: DateTime<Utc>,
    /// Latest `event_ts` in it.
    pub last_event_ts: DateTime<Utc>,
    /// When it was received.
    pub created_at: DateTime<Utc>,
}

/// How much a reader owes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// Who.
    pub reader: String,
    /// Batches.
    pub batches: i64,
    /// When the oldest of them was received.
    pub oldest: Option<DateTime<Utc>>,
}

impl Journal {
    /// Makes `reader` active: from now on every batch is owed to it. With `since`, those received
    /// from then on are owed as well, written in the same transaction. Does nothing when it is
    /// active already.
    pub async fn activate_reader(
        &self,
        reader: ReaderName,
        since: DateTime<Utc>,
    ) -> Result<(), JournalError> {
        let mut tx = self.pool.begin().await?;
        sqlx::query!("SELECT pg_advisory_xact_lock($1)", READERS_LOCK)
            .execute(&mut *tx)
            .await?;
        let added = sqlx::query!(
            r"
            INSERT INTO readers (name, since)
            VALUES ($1, $2)
            ON CONFLICT (name) DO NOTHING
            ",
            reader.to_string(),
            since,
        )
        .execute(&mut *tx)
        .await?;
        if added.rows_affected() == 1 {
            sqlx::query!(
                r"
                INSERT INTO outbox (reader, batch, lane, first_event_ts, last_event_ts, created_at)
                SELECT $1, id, lane, first_event_ts, last_event_ts, received_at
                FROM batches
                WHERE received_at >= $2 AND first_event_ts IS NOT NULL
                ",
                reader.to_string(),
                since,
            )
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Ends `reader`: nothing is owed to it any more.
    pub async fn retire_reader(&self, reader: ReaderName) -> Result<(), JournalError> {
        let mut tx = self.pool.begin().await?;
        sqlx::query!("SELECT pg_advisory_xact_lock($1)", READERS_LOCK)
            .execute(&mut *tx)
            .await?;
        sqlx::query!("DELETE FROM readers WHERE name = $1", reader.to_string())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Holds on to claimed batches that take their time.
    pub async fn hold_claims(
        &self,
        reader: ReaderName,
        batches: &[Uuid],
        hold: Duration,
    ) -> Result<(), JournalError> {
        sqlx::query!(
            r"
            UPDATE outbox
            SET claimed_until = now() + make_interval(secs => $3)
            WHERE reader = $1 AND batch = ANY($2)
            ",
            reader.to_string(),
            batches,
            hold.as_secs_f64(),
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Claims up to `limit` batches for `hold`: live before bulk, oldest first. What is neither
    /// finished nor released by then can be claimed again.
    pub async fn claim(
        &self,
        reader: ReaderName,
        limit: i64,
        hold: Duration,
    ) -> Result<Vec<OutboxRow>, JournalError> {
        let mut rows = sqlx::query_as!(
            OutboxRow,
            r"
            UPDATE outbox
            SET claimed_until = now() + make_interval(secs => $3)
            WHERE reader = $1
                AND batch IN (
                    SELECT batch
                    FROM outbox
                    WHERE reader = $1
                        AND (claimed_until IS NULL OR claimed_until < now())
                    -- 'live' sorts after 'bulk'.
                    ORDER BY lane DESC, batch
                    LIMIT $2
                    FOR UPDATE SKIP LOCKED
                )
            RETURNING batch, first_event_ts, last_event_ts, created_at
            ",
            reader.to_string(),
            limit,
            hold.as_secs_f64(),
        )
        .fetch_all(&self.pool)
        .await?;
        rows.sort_by_key(|row| row.batch);
        Ok(rows)
    }

    /// Strikes off what came from outside and is older than `before` as a whole, unread; answers
    /// how many batches. What usher itself appended stays, however old.
    pub async fn skip_older(
        &self,
        reader: ReaderName,
        before: DateTime<Utc>,
    ) -> Result<u64, JournalError> {
        let done = sqlx::query!(
            r"
            DELETE FROM outbox
            USING batches
            WHERE batches.id = outbox.batch
                AND outbox.reader = $1
                AND outbox.last_event_ts < $2
                AND (outbox.claimed_until IS NULL OR outbox.claimed_until < now())
                AND batches.source NOT IN ('observe', 'act')
            ",
            reader.to_string(),
            before,
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }

    /// Up to `limit` batches that `reader` owes, in the order in which [`Journal::claim`] takes them, for a
    /// reader of whom a lease says that there is one. Claims nothing; what was released for later is left out.
    pub async fn owed(
        &self,
        reader: ReaderName,
        limit: i64,
    ) -> Result<Vec<OutboxRow>, JournalError> {
        Ok(sqlx::query_as!(
            OutboxRow,
            r"
            SELECT batch, first_event_ts, last_event_ts, created_at
            FROM outbox
            WHERE reader = $1
                AND (claimed_until IS NULL OR claimed_until < now())
            ORDER BY lane DESC, batch
            LIMIT $2
            ",
            reader.to_string(),
            limit,
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// Strikes finished batches off.
    pub async fn finish(&self, reader: ReaderName, batches: &[Uuid]) -> Result<(), JournalError> {
        let mut connection = self.pool.acquire().await?;
        finish_in(&mut connection, reader, batches).await
    }

    /// Gives claimed batches back, to be claimed again after `wait`.
    pub async fn release(
        &self,
        reader: ReaderName,
        batches: &[Uuid],
        wait: Duration,
    ) -> Result<(), JournalError> {
        sqlx::query!(
            r"
            UPDATE outbox
            SET claimed_until = now() + make_interval(secs => $3)
            WHERE reader = $1 AND batch = ANY($2)
            ",
            reader.to_string(),
            batches,
            wait.as_secs_f64(),
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Batches of `source` that `reader` owes, in whosever hands they are.
    pub async fn owed_of(&self, reader: ReaderName, source: Source) -> Result<i64, JournalError> {
        Ok(sqlx::query_scalar!(
            r#"
            SELECT count(*) AS "batches!"
            FROM outbox
            JOIN batches ON batches.id = outbox.batch
            WHERE outbox.reader = $1 AND batches.source = $2
            "#,
            reader.to_string(),
            source.as_str(),
        )
        .fetch_one(&self.pool)
        .await?)
    }

    /// How much `reader` owes.
    pub async fn backlog(&self, reader: ReaderName) -> Result<Backlog, JournalError> {
        Ok(sqlx::query_as!(
            Backlog,
            r#"
            SELECT $1 AS "reader!", count(*) AS "batches!", min(created_at) AS oldest
            FROM outbox
            WHERE reader = $1
            "#,
            reader.to_string(),
        )
        .fetch_one(&self.pool)
        .await?)
    }

    /// How much each active reader owes.
    pub async fn backlogs(&self) -> Result<Vec<Backlog>, JournalError> {
        Ok(sqlx::query_as!(
            Backlog,
            r#"
            SELECT r.name AS reader, count(o.batch) AS "batches!", min(o.created_at) AS oldest
            FROM readers r
            LEFT JOIN outbox o ON o.reader = r.name
            GROUP BY r.name
            "#,
        )
        .fetch_all(&self.pool)
        .await?)
    }
}

/// Strikes finished batches off inside the caller's transaction, together with what was made of
/// them.
pub async fn finish_in(
    connection: &mut Connection,
    reader: ReaderName,
    batches: &[Uuid],
) -> Result<(), JournalError> {
    sqlx::query!(
        r"
        DELETE FROM outbox
        WHERE reader = $1 AND batch = ANY($2)
        ",
        reader.to_string(),
        batches,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Keeps the set of readers as it is until the transaction ends.
pub(super) async fn hold_readers(tx: &mut Connection) -> Result<(), JournalError> {
    sqlx::query!("SELECT pg_advisory_xact_lock_shared($1)", READERS_LOCK)
        .execute(tx)
        .await?;
    Ok(())
}

/// Writes one row per active reader. A batch repeated under the same id is owed once.
pub(super) async fn owe(
    tx: &mut Connection,
    batch: &NewBatch,
    (first, last): (DateTime<Utc>, DateTime<Utc>),
) -> Result<(), JournalError> {
    sqlx::query!(
        r"
        INSERT INTO outbox (reader, batch, lane, first_event_ts, last_event_ts, created_at)
        SELECT name, $1, $2, $3, $4, $5
        FROM readers
        ",
        batch.id,
        batch.lane.as_str(),
        first,
        last,
        batch.received_at,
    )
    .execute(tx)
    .await?;
    Ok(())
}
