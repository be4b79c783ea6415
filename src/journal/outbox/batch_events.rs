//! The events of a batch that a reader owes.

use crate::journal::read::EventRow;
use crate::journal::{Journal, JournalError, OutboxRow, StoredEvent};

impl Journal {
    /// The events that `row` refers to, in the order they were received.
    pub async fn events_of(&self, row: &OutboxRow) -> Result<Vec<StoredEvent>, JournalError> {
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
                (b.requests -> e.request::integer ->> 'id')::uuid AS delivery_id
            FROM events e
            JOIN batches b ON b.id = e.batch
            WHERE e.batch = $1
                -- Bounds let the planner read only the partitions that hold the batch.
                AND e.event_ts BETWEEN $2 AND $3
            ORDER BY e.position
            "#,
            row.batch,
            row.first_event_ts,
            row.last_event_ts,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }
}
