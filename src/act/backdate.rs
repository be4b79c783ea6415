//! Deeds of a time before this record began: stored as done, each with its event, and never carried
//! out. The demo's history of three weeks consists of them.

use std::slice;

use uuid::Uuid;

use crate::act::action_event::{ActionEvent, ActionEventRow};
use crate::act::{Enqueued, NewChain, Queue};
use crate::journal::JournalError;

impl Queue {
    /// Stores the deeds of `chain` as done at the time of the queue's clock.
    pub async fn remember(&self, chain: &NewChain) -> Result<(), JournalError> {
        let now = self.clock.now();
        self.journal.ensure_partitions([now]).await?;
        let mut tx = self.pool().begin().await?;
        let enqueued = self.enqueue(&mut tx, slice::from_ref(chain)).await?;
        let ids: Vec<Uuid> = enqueued.into_iter().map(Enqueued::id).collect();
        let rows = sqlx::query_as!(
            ActionEventRow,
            r"
            UPDATE actions
            SET
                state = 'done',
                attempts = 1,
                revision = revision + 1,
                waits_on = NULL,
                next_attempt_at = $2,
                started_at = $2,
                created_at = $2,
                updated_at = $2
            WHERE id = ANY($1)
            RETURNING
                id, rule, deed, target_kind, target_id, application_id, portal_id, signal,
                state, reason, attempts, causes, revision, report
            ",
            &ids,
            now,
        )
        .fetch_all(&mut *tx)
        .await?;
        let action_events: Vec<ActionEvent> = rows
            .into_iter()
            .map(TryInto::try_into)
            .collect::<Result<_, _>>()?;
        self.append_action_events(&mut tx, &action_events, now)
            .await?;
        tx.commit().await?;
        Ok(())
    }
}
