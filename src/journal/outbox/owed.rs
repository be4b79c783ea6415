//! Which batches each reader still owes. Rows are claimed by state, never by a cursor.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::journal::batch::Source;
use crate::journal::{Connection, Journal, JournalError};

/// Shared by every append, exclusive for a change of readers: no batch can commit unseen between
/// the back-fill of a new reader and its activation.
pub(in crate::journal) const READERS_LOCK: i64 = 0x7573_6865_7202;

/// So many batches of a backlog are counted. A larger backlog is reported as this number.
pub const COUNTED: i64 = 10_000;
/// Batches that are finished unread in one statement.
const SKIPPED_AT_ONCE: i64 = 1_000;

/// A part of usher that must see every batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReaderName {
    /// Sends events to Kafka.
    Kafka,
    /// Turns events into hints, signals and actions.
    React,
    /// Sends entries to one endpoint, which a hash of its address identifies.
    Forward(u64),
    /// Counts events for reports.
    Report,
}

impl ReaderName {
    /// From when on batches are owed to it where it begins at `now`. Kafka gets everything that is
    /// stored. Reactions and other endpoints are for what happens from now on, and the rollup
    /// reader reads the past by itself.
    pub fn since(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Kafka => DateTime::UNIX_EPOCH,
            Self::React | Self::Forward(_) | Self::Report => now,
        }
    }
}

/// The word that is stored and labels metrics. All of `forward` begin alike, and queries depend on
/// that.
impl fmt::Display for ReaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kafka => f.write_str("kafka"),
            Self::React => f.write_str("react"),
            Self::Forward(hash) => write!(f, "forward-{hash:016x}"),
            Self::Report => f.write_str("report"),
        }
    }
}

/// An outbox row as a reader read it, to be finished. A row that is owed again since then stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owed {
    /// The batch.
    pub batch: Uuid,
    /// When it began to be owed. A stronger verdict begins it again.
    pub owed_at: DateTime<Utc>,
}

/// One batch that a reader owes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// The batch.
    pub batch: Uuid,
    /// When it began to be owed, by the database's clock.
    pub owed_at: DateTime<Utc>,
    /// Earliest `event_ts` in it, so that only its partitions are read.
    pub first_event_ts: DateTime<Utc>,
    /// Latest `event_ts` in it.
    pub last_event_ts: DateTime<Utc>,
    /// When it was received.
    pub created_at: DateTime<Utc>,
    /// Where it came from, as it is stored; none where its row is gone.
    pub source: Option<String>,
}

impl OutboxRow {
    /// What is to be finished, if it is still as it was read here.
    pub fn owed(&self) -> Owed {
        Owed {
            batch: self.batch,
            owed_at: self.owed_at,
        }
    }

    /// Whether it contains only what usher did itself.
    pub fn is_of_deeds(&self) -> bool {
        self.is_of(Source::Act)
    }

    /// Whether it is of a file that was imported.
    pub fn is_imported(&self) -> bool {
        self.is_of(Source::Import)
    }

    fn is_of(&self, source: Source) -> bool {
        self.source.as_deref() == Some(source.as_str())
    }
}

impl Journal {
    /// Renews claims of batches that take their time.
    pub async fn renew_claims(
        &self,
        reader: ReaderName,
        batches: &[Uuid],
        hold: Duration,
    ) -> Result<(), JournalError> {
        let mut tx = self.pool.begin().await?;
        plan_anew(&mut tx).await?;
        sqlx::query!(
            r"
            UPDATE outbox
            -- What was released for later waits for that.
            SET claimed_until = GREATEST(claimed_until, now() + make_interval(secs => $3))
            WHERE reader = $1 AND batch = ANY($2)
            ",
            reader.to_string(),
            batches,
            hold.as_secs_f64(),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
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
        let mut tx = self.pool.begin().await?;
        read_in_order(&mut tx).await?;
        let mut rows = sqlx::query_as!(
            OutboxRow,
            r#"
            UPDATE outbox
            SET claimed_until = now() + make_interval(secs => $3)
            -- By where the rows are, so that nothing is looked up twice.
            WHERE ctid = ANY(ARRAY(
                SELECT ctid
                FROM outbox
                WHERE reader = $1
                    AND (claimed_until IS NULL OR claimed_until < now())
                -- 'live' sorts after 'bulk'.
                ORDER BY lane DESC, batch
                LIMIT $2
                FOR UPDATE SKIP LOCKED
            ))
            RETURNING
                batch, owed_at, first_event_ts, last_event_ts, created_at,
                (
                    SELECT b.source
                    FROM batches b
                    WHERE b.id = outbox.batch
                ) AS source
            "#,
            reader.to_string(),
            limit,
            hold.as_secs_f64(),
        )
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        rows.sort_by_key(|row| row.batch);
        Ok(rows)
    }

    /// Finishes, unread, the next batches that came from outside and are older than `before` as a
    /// whole; returns how many. What usher itself appended stays, however old.
    pub async fn skip_older(
        &self,
        reader: ReaderName,
        before: DateTime<Utc>,
    ) -> Result<u64, JournalError> {
        let mut skipped = 0;
        loop {
            let mut tx = self.pool.begin().await?;
            read_in_order(&mut tx).await?;
            let done = sqlx::query!(
                r"
                DELETE FROM outbox
                USING batches
                WHERE batches.id = outbox.batch
                    AND outbox.ctid = ANY(ARRAY(
                        SELECT ctid
                        FROM (
                            SELECT ctid, last_event_ts
                            FROM outbox
                            WHERE reader = $1
                                AND (claimed_until IS NULL OR claimed_until < now())
                            ORDER BY lane DESC, batch
                            LIMIT $3
                        ) AS next
                        WHERE last_event_ts < $2
                    ))
                    -- Nothing was locked so far: what another instance claims meanwhile is its own.
                    AND (outbox.claimed_until IS NULL OR outbox.claimed_until < now())
                    AND batches.source NOT IN ('observe', 'act')
                ",
                reader.to_string(),
                before,
                SKIPPED_AT_ONCE,
            )
            .execute(&mut *tx)
            .await?
            .rows_affected();
            tx.commit().await?;
            skipped += done;
            if done < SKIPPED_AT_ONCE.unsigned_abs() {
                return Ok(skipped);
            }
        }
    }

    /// Up to `limit` batches that `reader` owes, in the order in which [`Journal::claim`] takes
    /// them, for a reader whose lease ensures that there is only one. Claims nothing. What was
    /// released for later is left out.
    pub async fn owed(
        &self,
        reader: ReaderName,
        limit: i64,
    ) -> Result<Vec<OutboxRow>, JournalError> {
        let mut tx = self.pool.begin().await?;
        read_in_order(&mut tx).await?;
        let rows = sqlx::query_as!(
            OutboxRow,
            r#"
            SELECT
                batch, owed_at, first_event_ts, last_event_ts, created_at,
                (
                    SELECT b.source
                    FROM batches b
                    WHERE b.id = outbox.batch
                ) AS source
            FROM outbox
            WHERE reader = $1
                AND (claimed_until IS NULL OR claimed_until < now())
            ORDER BY lane DESC, batch
            LIMIT $2
            "#,
            reader.to_string(),
            limit,
        )
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(rows)
    }

    /// Finishes batches.
    pub async fn finish(&self, reader: ReaderName, done: &[Owed]) -> Result<(), JournalError> {
        let mut tx = self.pool.begin().await?;
        finish_in(&mut tx, reader, done).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Releases claimed batches, to be claimed again after `wait`.
    pub async fn release(
        &self,
        reader: ReaderName,
        batches: &[Uuid],
        wait: Duration,
    ) -> Result<(), JournalError> {
        let mut tx = self.pool.begin().await?;
        plan_anew(&mut tx).await?;
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
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Whether `reader` owes a batch of `source`, claimed or not.
    pub async fn owes_any_of(
        &self,
        reader: ReaderName,
        source: Source,
    ) -> Result<bool, JournalError> {
        Ok(sqlx::query_scalar!(
            r#"
            SELECT EXISTS (
                SELECT
                FROM outbox
                JOIN batches ON batches.id = outbox.batch
                WHERE outbox.reader = $1 AND batches.source = $2
            ) AS "owes!"
            "#,
            reader.to_string(),
            source.as_str(),
        )
        .fetch_one(&self.pool)
        .await?)
    }
}

/// Finishes batches inside the caller's transaction, together with their results; returns those
/// that were still owed as they were read.
pub async fn finish_in(
    connection: &mut Connection,
    reader: ReaderName,
    done: &[Owed],
) -> Result<Vec<Uuid>, JournalError> {
    plan_anew(&mut *connection).await?;
    Ok(sqlx::query_scalar!(
        r"
        DELETE FROM outbox
        USING UNNEST($2::uuid[], $3::timestamptz[]) AS done (batch, owed_at)
        WHERE outbox.reader = $1
            AND outbox.batch = done.batch
            AND outbox.owed_at = done.owed_at
        RETURNING outbox.batch
        ",
        reader.to_string(),
        &done.iter().map(|done| done.batch).collect::<Vec<_>>(),
        &done.iter().map(|done| done.owed_at).collect::<Vec<_>>(),
    )
    .fetch_all(connection)
    .await?)
}

/// Makes the rest of the transaction plan its statements for the outbox as it is. Otherwise the
/// server keeps a plan that suited a short one.
async fn plan_anew(tx: &mut Connection) -> Result<(), JournalError> {
    sqlx::query_scalar!("SELECT set_config('plan_cache_mode', 'force_custom_plan', true)")
        .fetch_one(tx)
        .await?;
    Ok(())
}

/// Makes the rest of the transaction read the index in its order, as far as it is needed. Otherwise
/// the server keeps the plan that suited a short outbox, and sorts a long one as a whole.
pub(super) async fn read_in_order(tx: &mut Connection) -> Result<(), JournalError> {
    sqlx::query!(
        r"
        SELECT
            set_config('plan_cache_mode', 'force_custom_plan', true) AS plans,
            set_config('enable_sort', 'off', true) AS sorts,
            set_config('enable_seqscan', 'off', true) AS scans,
            set_config('enable_bitmapscan', 'off', true) AS bitmaps,
            -- What is off counts as dear, and what is dear is compiled first.
            set_config('jit', 'off', true) AS compiles
        ",
    )
    .fetch_one(tx)
    .await?;
    Ok(())
}
