//! Readers that are added and retired with the configuration. Knows nothing of what they do.

use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::journal::outbox::owed::{COUNTED, READERS_LOCK, read_in_order};
use crate::journal::outbox::reader_backfill::fill_in;
use crate::journal::{Connection, Journal, JournalError, ReaderName, SLICE};

/// How often usher tries to retire a reader between appends, and the time between tries.
const TRIES: u32 = 20;
const BETWEEN_TRIES: Duration = Duration::from_millis(500);

/// A reader that was retired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retired {
    /// Its name.
    pub reader: String,
    /// Batches that it still owed.
    pub dropped: u64,
}

/// An active reader.
#[derive(Debug, Clone, PartialEq)]
pub struct ReaderStatus {
    /// Its name.
    pub reader: String,
    /// Batches received from then on are owed to it.
    pub since: DateTime<Utc>,
    /// When an instance last reported that it has it configured.
    pub wanted_at: DateTime<Utc>,
    /// Seconds since then, by the database's clock.
    pub unwanted_seconds: f64,
    /// Batches that it owes; more than [`COUNTED`] are not counted.
    pub batches: i64,
    /// When the oldest of them was received.
    pub oldest: Option<DateTime<Utc>>,
    /// Seconds for which it has owed the first live one of them, by the database's clock; none
    /// where it owes no live one.
    pub live_seconds: Option<i64>,
}

impl Journal {
    /// Makes `readers` active, each from its own beginning at this moment, and wanted.
    pub async fn activate_readers(&self, readers: &[ReaderName]) -> Result<(), JournalError> {
        // Usually there is nothing to do, and then nothing is blocked.
        if self.keep_readers(readers).await? {
            return Ok(());
        }
        let now = self.now().await?;
        for &reader in readers {
            self.activate_reader(reader, reader.since(now)).await?;
        }
        Ok(())
    }

    /// Makes `reader` active: from now on every batch is owed to it, and it is wanted. With
    /// `since`, those received from then on are owed as well: the first of them at once, the rest
    /// by [`Journal::fill_some`]. Changes nothing else when it is active already.
    pub async fn activate_reader(
        &self,
        reader: ReaderName,
        since: DateTime<Utc>,
    ) -> Result<(), JournalError> {
        // Usually there is nothing to do, and then nothing is blocked.
        if self.keep_readers(&[reader]).await? {
            return Ok(());
        }
        let reader = reader.to_string();
        let mut tx = self.pool.begin().await?;
        lock(&mut tx).await?;
        // All that is there before this moment is the past, and nothing is added to it later.
        let added = sqlx::query!(
            r"
            INSERT INTO readers (name, since, filled_at, filled_id, fill_until)
            SELECT $1, $2, $2, '00000000-0000-0000-0000-000000000000', (
                SELECT received_at
                FROM batches
                WHERE received_at >= $2
                ORDER BY received_at DESC
                LIMIT 1
            )
            ON CONFLICT (name) DO NOTHING
            ",
            reader,
            since,
        )
        .execute(&mut *tx)
        .await?;
        if added.rows_affected() == 1 {
            fill_in(&mut tx, Some(&reader)).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Notes that these readers are wanted; `false` when one of them is not active.
    async fn keep_readers(&self, readers: &[ReaderName]) -> Result<bool, JournalError> {
        let done = sqlx::query!(
            r"
            UPDATE readers
            SET wanted_at = now()
            WHERE name = ANY($1)
            ",
            &names(readers),
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == readers.len() as u64)
    }

    /// The active readers.
    pub async fn readers(&self) -> Result<Vec<ReaderStatus>, JournalError> {
        let mut tx = self.pool.begin().await?;
        read_in_order(&mut tx).await?;
        let standings = sqlx::query_as!(
            ReaderStatus,
            r#"
            SELECT
                r.name AS reader,
                r.since,
                r.wanted_at,
                extract(epoch FROM now() - r.wanted_at)::float8 AS "unwanted_seconds!",
                (
                    SELECT count(*)
                    FROM (SELECT FROM outbox o WHERE o.reader = r.name LIMIT $1) AS first
                ) AS "batches!",
                (
                    SELECT o.created_at
                    FROM outbox o
                    WHERE o.reader = r.name
                    ORDER BY o.batch
                    LIMIT 1
                ) AS oldest,
                (
                    SELECT extract(epoch FROM now() - o.owed_at)::bigint
                    FROM outbox o
                    WHERE o.reader = r.name AND o.lane = 'live'
                    ORDER BY o.batch
                    LIMIT 1
                ) AS live_seconds
            FROM readers r
            ORDER BY r.name
            "#,
            COUNTED,
        )
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(standings)
    }

    /// Retires those of `seen` that no instance reported as wanted since `seen` was read, nor for
    /// `unwanted_for` before now, with everything that they owe.
    pub async fn retire_readers(
        &self,
        seen: &[&ReaderStatus],
        unwanted_for: Duration,
    ) -> Result<Vec<Retired>, JournalError> {
        if seen.is_empty() {
            return Ok(Vec::new());
        }
        let unwanted = sqlx::query_scalar!(
            r"
            SELECT name
            FROM readers
            JOIN UNNEST($1::text[], $2::timestamptz[]) AS seen (name, wanted_at) USING (name, wanted_at)
            WHERE wanted_at < now() - make_interval(secs => $3)
            ",
            &seen.iter().map(|it| it.reader.clone()).collect::<Vec<_>>(),
            &seen.iter().map(|it| it.wanted_at).collect::<Vec<_>>(),
            unwanted_for.as_secs_f64(),
        )
        .fetch_all(&self.pool)
        .await?;
        let mut retired = Vec::with_capacity(unwanted.len());
        for reader in unwanted {
            retired.extend(self.retire_reader(&reader).await?);
        }
        Ok(retired)
    }

    /// Retires a reader, with everything that it owes; none where there is no such reader. Tries
    /// for half a minute to get between appends.
    pub async fn retire_reader(&self, reader: &str) -> Result<Option<Retired>, JournalError> {
        let mut dropped = 0;
        let mut tries = 1..TRIES;
        let was_there = loop {
            dropped += self.drop_owed(reader).await?;
            match self.end_reader(reader).await {
                Ok((was_there, rest)) => {
                    dropped += rest;
                    break was_there;
                }
                Err(JournalError::Repeat(_)) if tries.next().is_some() => {
                    tokio::time::sleep(BETWEEN_TRIES).await;
                }
                Err(error) => return Err(error),
            }
        };
        Ok(was_there.then(|| Retired {
            reader: reader.to_owned(),
            dropped,
        }))
    }

    /// Whether there was such a reader, and how many batches it owed.
    async fn end_reader(&self, reader: &str) -> Result<(bool, u64), JournalError> {
        let mut tx = self.pool.begin().await?;
        lock(&mut tx).await?;
        let dropped = sqlx::query!("DELETE FROM outbox WHERE reader = $1", reader)
            .execute(&mut *tx)
            .await?;
        let gone = sqlx::query!("DELETE FROM readers WHERE name = $1", reader)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok((gone.rows_affected() == 1, dropped.rows_affected()))
    }

    /// Most of the rows are deleted in slices beforehand, since what follows blocks every append.
    async fn drop_owed(&self, reader: &str) -> Result<u64, JournalError> {
        let mut dropped = 0;
        loop {
            let done = sqlx::query!(
                r"
                WITH another AS (
                    -- Whoever takes it up where this is cut must not take it for the one that it was.
                    UPDATE readers
                    SET created_at = clock_timestamp()
                    WHERE name = $1
                )
                DELETE FROM outbox
                WHERE reader = $1
                    AND batch IN (SELECT batch FROM outbox WHERE reader = $1 LIMIT $2)
                ",
                reader,
                SLICE,
            )
            .execute(&self.pool)
            .await?;
            dropped += done.rows_affected();
            if done.rows_affected() < SLICE.unsigned_abs() {
                return Ok(dropped);
            }
        }
    }
}

/// Makes this transaction the only one that changes readers. Every append waits behind a
/// transaction that waits for this, so it must be short.
async fn lock(tx: &mut Connection) -> Result<(), JournalError> {
    sqlx::query_scalar!("SELECT set_config('lock_timeout', '1s', true)")
        .fetch_one(&mut *tx)
        .await?;
    sqlx::query!("SELECT pg_advisory_xact_lock($1)", READERS_LOCK)
        .execute(tx)
        .await?;
    Ok(())
}

fn names(readers: &[ReaderName]) -> Vec<String> {
    readers.iter().map(ToString::to_string).collect()
}
