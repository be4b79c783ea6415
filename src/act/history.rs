//! How an action came about, for the receivers of notices.

use uuid::Uuid;

use crate::act::Queue;
use crate::act::notify::Before;
use crate::event::{AuditEvent, EventId};
use crate::journal::JournalError;

impl Queue {
    /// The event that led to an action; none where it is gone.
    pub(super) async fn event(&self, cause: Uuid) -> Result<Option<AuditEvent>, JournalError> {
        let stored = self.journal.event(EventId::from_uuid(cause)).await?;
        Ok(stored.and_then(|stored| stored.parse().ok()))
    }

    /// The deeds that this one waited for, in their order.
    pub(super) async fn before(&self, id: Uuid) -> Result<Vec<Before>, JournalError> {
        Ok(sqlx::query_as!(
            Before,
            r"
            WITH RECURSIVE earlier AS (
                SELECT waits_for, 0 AS back
                FROM actions
                WHERE id = $1
                UNION ALL
                SELECT a.waits_for, e.back + 1
                FROM actions a
                JOIN earlier e ON a.id = e.waits_for
            )
            SELECT a.id AS action_id, a.deed, a.state, a.reason
            FROM earlier e
            JOIN actions a ON a.id = e.waits_for
            ORDER BY e.back DESC
            ",
            id,
        )
        .fetch_all(self.pool())
        .await?)
    }
}
