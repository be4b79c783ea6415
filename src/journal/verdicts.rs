//! Verdicts that were open when an entry came and are settled later.

use uuid::Uuid;

use crate::event::Verdict;
use crate::journal::append::append_in;
use crate::journal::events::EventRow;
use crate::journal::{Journal, JournalError, NewBatch, Quarantined, StoredEvent};

impl Journal {
    /// Up to `limit` events that no key fitted yet, oldest first.
    pub async fn events_without_key(&self, limit: i64) -> Result<Vec<StoredEvent>, JournalError> {
        let rows = sqlx::query_as!(
            EventRow,
            r#"
            SELECT
                e.id, e.event_ts, e.received_at, e.batch, e.verdict, e.raw,
                e.copies + COALESCE((
                    SELECT r.copies
                    FROM repeats r
                    WHERE r.event_ts = e.event_ts AND r.id = e.id
                ), 0) AS "copies!",
                NULL::uuid AS delivery_id
            FROM events e
            WHERE e.verdict = 'key_unknown'
            ORDER BY e.received_at
            LIMIT $1
            "#,
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Writes the verdict of an event that had none; when it became stronger, the event's batch
    /// is owed again to every reader. `false` while a reader is at work on that batch: it may have
    /// read the old verdict, so the next look settles it.
    pub async fn settle(
        &self,
        event: &StoredEvent,
        verdict: Verdict,
    ) -> Result<bool, JournalError> {
        let mut tx = self.pool.begin().await?;
        // The rows are locked, so that none of them is claimed before the verdict is written.
        let claims = sqlx::query_scalar!(
            r#"
            SELECT COALESCE(claimed_until > now(), false) AS "claimed!"
            FROM outbox
            WHERE batch = $1
            FOR UPDATE
            "#,
            event.batch,
        )
        .fetch_all(&mut *tx)
        .await?;
        if claims.contains(&true) {
            return Ok(false);
        }
        sqlx::query!(
            r"
            UPDATE events
            SET verdict = $3
            WHERE event_ts = $1 AND id = $2 AND verdict = 'key_unknown'
            ",
            event.event_ts,
            event.id.as_uuid(),
            verdict.as_str(),
        )
        .execute(&mut *tx)
        .await?;
        if verdict.strength() > event.verdict.strength() {
            sqlx::query!(
                r"
                INSERT INTO outbox (reader, batch, lane, first_event_ts, last_event_ts, created_at)
                SELECT r.name, b.id, b.lane, b.first_event_ts, b.last_event_ts, b.received_at
                FROM batches b
                CROSS JOIN readers r
                WHERE b.id = $1 AND b.first_event_ts IS NOT NULL
                    -- Entries go on as received: a verdict changes nothing in them.
                    AND r.name NOT LIKE 'forward-%'
                ON CONFLICT (reader, batch) DO NOTHING
                ",
                event.batch,
            )
            .execute(&mut *tx)
            .await?;
        }
        tx.commit().await?;
        self.wake_readers();
        Ok(true)
    }

    /// Up to `limit` rows kept aside for `reason`, oldest first.
    pub async fn quarantined_for(
        &self,
        reason: &str,
        limit: i64,
    ) -> Result<Vec<Quarantined>, JournalError> {
        Ok(sqlx::query_as!(
            Quarantined,
            r"
            SELECT id, received_at, delivery_id, reason, detail, raw, raw_bytes, event_id
            FROM quarantine
            WHERE reason = $1
            ORDER BY received_at, id
            LIMIT $2
            ",
            reason,
            limit,
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// Gives a row another reason.
    pub async fn requarantine(
        &self,
        id: Uuid,
        reason: &str,
        detail: &str,
    ) -> Result<(), JournalError> {
        sqlx::query!(
            r"
            UPDATE quarantine
            SET reason = $2, detail = $3
            WHERE id = $1
            ",
            id,
            reason,
            detail,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Appends what was kept aside under `id` and strikes the row, in one transaction.
    pub async fn release_quarantined(
        &self,
        id: Uuid,
        batch: &NewBatch,
    ) -> Result<(), JournalError> {
        self.ensure_partitions(batch.events.iter().map(|new| new.event.event_ts))
            .await?;
        let mut tx = self.pool.begin().await?;
        let struck = sqlx::query!("DELETE FROM quarantine WHERE id = $1", id)
            .execute(&mut *tx)
            .await?;
        if struck.rows_affected() == 0 {
            // Another instance released it.
            return Ok(());
        }
        append_in(&mut tx, batch).await?;
        tx.commit().await?;
        self.wake_readers();
        Ok(())
    }
}
