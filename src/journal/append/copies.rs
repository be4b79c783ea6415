//! Copies of stored events: finds which entries the journal has byte for byte, and counts them
//! beside the event's row, which stays as it is.
//!
//! Must not judge a signature: intake decides what a stored verdict is worth.

use chrono::{DateTime, Utc};

use crate::event::Verdict;
use crate::journal::append::row::Row;
use crate::journal::append::stored_copies::Fingerprint;
use crate::journal::{Connection, Journal, JournalError, SLICE};

impl Journal {
    /// Whether the last batches had so many known events that [`has_copies`](Self::has_copies)
    /// should be asked before anything else is done with an entry.
    pub fn expects_known_events(&self) -> bool {
        self.replay_detector.are_expected()
    }

    /// Which of `entries` are stored, byte for byte, with a verdict as strong as `least` or
    /// stronger.
    pub async fn has_copies(
        &self,
        entries: &[Fingerprint],
        least: Verdict,
    ) -> Result<Vec<bool>, JournalError> {
        let mut holds = vec![false; entries.len()];
        let times = || entries.iter().map(|entry| entry.event_ts);
        let (Some(earliest), Some(latest)) = (times().min(), times().max()) else {
            return Ok(holds);
        };
        let found = sqlx::query_scalar!(
            r#"
            SELECT k.place AS "place!"
            FROM UNNEST($1::timestamptz[], $2::uuid[], $3::bytea[])
                WITH ORDINALITY AS k (event_ts, id, digest, place)
            CROSS JOIN LATERAL (
                SELECT
                FROM events e
                WHERE e.event_ts = k.event_ts AND e.id = k.id
                    -- Bounds let the planner read only the partitions that can hold them.
                    AND e.event_ts BETWEEN $4 AND $5
                    AND usher_strength(e.verdict) >= usher_strength($6)
                    AND sha256(e.raw) = k.digest
                -- Keeps this a look at the key for each entry: as a join it might read every event.
                LIMIT 1
            ) AS stored
            "#,
            &times().collect::<Vec<_>>(),
            &entries
                .iter()
                .map(|entry| entry.id.as_uuid())
                .collect::<Vec<_>>(),
            &entries
                .iter()
                .map(|entry| entry.digest.as_slice())
                .collect::<Vec<_>>() as &[&[u8]],
            earliest,
            latest,
            least.as_str(),
        )
        .fetch_all(&self.pool)
        .await?;
        for place in found {
            let index = usize::try_from(place - 1).ok();
            if let Some(held) = index.and_then(|index| holds.get_mut(index)) {
                *held = true;
            }
        }
        Ok(holds)
    }
}

/// Counts the copies of `rows`, whose events are stored. It comes after all events of a
/// transaction, so that no two transactions wait for each other.
pub(super) async fn count(tx: &mut Connection, rows: &[&Row<'_>]) -> Result<(), JournalError> {
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        r"
        INSERT INTO repeats (event_ts, id, copies)
        SELECT event_ts, id, copies
        FROM UNNEST($1::timestamptz[], $2::uuid[], $3::integer[]) AS t (event_ts, id, copies)
        -- The same order in every instance.
        ORDER BY event_ts, id
        ON CONFLICT (event_ts, id) DO UPDATE
        SET copies = repeats.copies + EXCLUDED.copies
        ",
        &rows.iter().map(|row| row.key.0).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.id()).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.copies).collect::<Vec<_>>(),
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Deletes a slice of the counts of copies whose events retention deleted; returns how many rows.
///
/// A detached month may be attached again: none may be on its way out.
pub(in crate::journal) async fn delete_orphaned_counts(
    connection: &mut Connection,
    before: DateTime<Utc>,
    after: DateTime<Utc>,
) -> Result<u64, JournalError> {
    let done = sqlx::query!(
        r"
        DELETE FROM repeats
        WHERE (event_ts, id) IN (
            SELECT r.event_ts, r.id
            FROM repeats r
            -- Only there does retention take events.
            WHERE (r.event_ts < $1 OR r.event_ts >= $2)
                AND NOT EXISTS (
                    SELECT
                    FROM events e
                    WHERE e.event_ts = r.event_ts AND e.id = r.id
                    OFFSET 0
                )
            LIMIT $3
            FOR UPDATE OF r SKIP LOCKED
        )
        ",
        before,
        after,
        SLICE,
    )
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}
