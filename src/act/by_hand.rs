//! What a human may do about an action: let a parked one go on, or call an open one off.

use uuid::Uuid;

use crate::act::Queue;
use crate::act::outcome::cancel_followers;
use crate::act::told::{Told, ToldRow};
use crate::journal::JournalError;

impl Queue {
    /// Lets a parked action be tried again, whatever the limit of its rule; `false` when it is not
    /// parked. What parked because a rule asked for it parks again.
    pub async fn resume(&self, id: Uuid) -> Result<bool, JournalError> {
        let done = sqlx::query!(
            r"
            UPDATE actions
            SET
                state = 'planned',
                reason = NULL,
                next_attempt_at = now(),
                -- A human let it through: the limit counts it, but does not hold it up.
                started_at = COALESCE(started_at, now()),
                updated_at = now()
            WHERE id = $1 AND state = 'parked'
            ",
            id,
        )
        .execute(self.pool())
        .await?;
        self.wake();
        Ok(done.rows_affected() == 1)
    }

    /// Calls off an action that no worker has in hand, with all that waits for it; `false` when
    /// it has ended or is running.
    pub async fn cancel(&self, id: Uuid, reason: &str) -> Result<bool, JournalError> {
        let now = self.clock.now();
        self.journal.ensure_partitions([now]).await?;
        let mut tx = self.pool().begin().await?;
        let row = sqlx::query_as!(
            ToldRow,
            r"
            UPDATE actions
            SET
                state = 'cancelled',
                reason = $2,
                revision = revision + 1,
                updated_at = now()
            WHERE id = $1 AND state IN ('planned', 'parked')
            RETURNING
                id, rule, deed, target_kind, target_id, application_id, portal_id, signal, state,
                reason, attempts, causes, revision, report
            ",
            id,
            reason,
        )
        .fetch_optional(&mut *tx)
        .await?;
        let Some(row) = row else {
            return Ok(false);
        };
        let mut told = vec![Told::try_from(row)?];
        told.extend(cancel_followers(&mut tx, &told[0]).await?);
        self.tell(&mut tx, &told, now).await?;
        tx.commit().await?;
        self.told(&told);
        Ok(true)
    }
}
