//! The past of a reader that was added late: what was received before it was active, in slices.
//!
//! A slice is a transaction of its own that blocks nothing. `readers` has the position it reached,
//! so that this process or another one continues there.

use chrono::{DateTime, Utc};

use crate::journal::{Connection, Journal, JournalError};

/// Batches of one slice.
const SLICE: i64 = 1_000;

/// How far the back-fill of a reader got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReaderBackfill {
    /// The reader.
    pub reader: String,
    /// When the first batch of it was received.
    pub from: DateTime<Utc>,
    /// It got to those received then.
    pub at: DateTime<Utc>,
    /// When the last one was received.
    pub until: DateTime<Utc>,
}

impl Journal {
    /// Makes one reader owe a slice of its past; `false` when there is none to fill that no other
    /// process works on.
    pub async fn fill_some(&self) -> Result<bool, JournalError> {
        let mut tx = self.pool.begin().await?;
        let filled = fill_in(&mut tx, None).await?;
        tx.commit().await?;
        if filled {
            self.wake_readers();
        }
        Ok(filled)
    }

    /// The readers whose past is not complete yet.
    pub async fn back_fills(&self) -> Result<Vec<ReaderBackfill>, JournalError> {
        Ok(sqlx::query_as!(
            ReaderBackfill,
            r#"
            SELECT
                name AS reader,
                GREATEST(filled_at, first.received_at) AS "at!",
                COALESCE(first.received_at, fill_until) AS "from!",
                fill_until AS "until!"
            FROM readers
            LEFT JOIN LATERAL (
                SELECT received_at
                FROM batches
                WHERE received_at >= since
                ORDER BY received_at
                LIMIT 1
            ) AS first ON true
            WHERE fill_until IS NOT NULL
            ORDER BY name
            "#,
        )
        .fetch_all(&self.pool)
        .await?)
    }
}

/// Makes `reader`, or any that lacks some of its past, owe the next slice of it; `false` where
/// there is nothing to do.
pub(super) async fn fill_in(
    tx: &mut Connection,
    reader: Option<&str>,
) -> Result<bool, JournalError> {
    // A weaker lock, so that appends, which refer to the row, do not wait for it.
    let next = sqlx::query!(
        r#"
        SELECT
            name, filled_at AS "at!", filled_id AS "id!", fill_until AS "until!"
        FROM readers
        WHERE fill_until IS NOT NULL AND ($1::text IS NULL OR name = $1)
        ORDER BY name
        LIMIT 1
        FOR NO KEY UPDATE SKIP LOCKED
        "#,
        reader,
    )
    .fetch_optional(&mut *tx)
    .await?;
    let Some(next) = next else {
        return Ok(false);
    };
    let last = sqlx::query!(
        r#"
        WITH slice AS (
            SELECT id, lane, first_event_ts, last_event_ts, received_at
            FROM batches
            WHERE (received_at, id) > ($2, $3) AND received_at <= $4
            ORDER BY received_at, id
            LIMIT $5
        ), owed AS (
            INSERT INTO outbox (reader, batch, lane, first_event_ts, last_event_ts, created_at)
            SELECT $1, id, lane, first_event_ts, last_event_ts, received_at
            FROM slice
            -- What was received before the reader was active and stored since, as after an outage, was owed to it at once.
            -- Where it is struck off by now it comes again: no clock tells it apart that never goes back.
            WHERE first_event_ts IS NOT NULL
            ON CONFLICT (reader, batch) DO NOTHING
        )
        SELECT received_at, id, count(*) OVER () AS "batches!"
        FROM slice
        ORDER BY received_at DESC, id DESC
        LIMIT 1
        "#,
        next.name,
        next.at,
        next.id,
        next.until,
        SLICE,
    )
    .fetch_optional(&mut *tx)
    .await?;
    let is_last = last.as_ref().is_none_or(|last| last.batches < SLICE);
    sqlx::query!(
        r"
        UPDATE readers
        SET filled_at = COALESCE($2, filled_at),
            filled_id = COALESCE($3, filled_id),
            fill_until = CASE WHEN $4 THEN NULL ELSE fill_until END
        WHERE name = $1
        ",
        next.name,
        last.as_ref().map(|last| last.received_at),
        last.as_ref().map(|last| last.id),
        is_last,
    )
    .execute(&mut *tx)
    .await?;
    Ok(true)
}
