//! The actions that one event led to.

use uuid::Uuid;

use crate::act::list::ActionRow;
use crate::act::{Action, Queue};
use crate::journal::JournalError;

impl Queue {
    /// Up to `limit` actions of which the event is a cause, the newest first, among those done to
    /// `targets` of the portal: by these they are found through an index.
    pub async fn caused_by(
        &self,
        event: Uuid,
        (portal_id, targets): (Uuid, &[Uuid]),
        limit: i64,
    ) -> Result<Vec<Action>, JournalError> {
        if targets.is_empty() || !self.portals().has(portal_id) {
            return Ok(Vec::new());
        }
        let rows = sqlx::query_as!(
            ActionRow,
            r"
            SELECT
                id, rule, deed, target_kind, target_id, application_id, state, attempts, causes,
                reason, report, portal_id, created_at, updated_at
            FROM actions
            WHERE portal_id = $1 AND target_id = ANY($2) AND $3 = ANY(causes)
            ORDER BY created_at DESC, id DESC
            LIMIT $4
            ",
            portal_id,
            targets,
            event,
            limit,
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }
}
