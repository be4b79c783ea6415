//! Retention of actions: those that ended long ago are deleted, with their attempts.

use chrono::{DateTime, Utc};

use crate::act::Queue;
use crate::journal::{JournalError, SLICE};

impl Queue {
    /// Deletes up to [`SLICE`] actions that ended before `before`, oldest first, with their
    /// attempts; returns how many. An action that an open one waits for stays.
    pub async fn delete_ended(&self, before: DateTime<Utc>) -> Result<u64, JournalError> {
        let done = sqlx::query!(
            r"
            DELETE FROM actions
            WHERE id IN (
                SELECT a.id
                FROM actions a
                WHERE a.state IN ('done', 'refused', 'failed', 'cancelled', 'shadow')
                    AND a.updated_at < $1
                    AND NOT EXISTS (
                        SELECT
                        FROM actions waiting
                        WHERE waiting.waits_for = a.id
                            AND waiting.state IN ('planned', 'running', 'parked')
                    )
                ORDER BY a.updated_at
                LIMIT $2
                FOR UPDATE OF a SKIP LOCKED
            )
            ",
            before,
            SLICE,
        )
        .execute(self.pool())
        .await?;
        Ok(done.rows_affected())
    }
}
