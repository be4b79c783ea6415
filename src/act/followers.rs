//! The followers of an action in its chain: they go on when it is done, and are cancelled when it
//! ended badly.

use std::time::Duration;

use uuid::Uuid;

use crate::act::action_event::ActionEvent;
use crate::act::end::{ActionEnd, end};
use crate::act::{ActionState, Queue};
use crate::journal::{Connection, JournalError};

impl Queue {
    /// Cancels followers of an action that ended badly while they were being written, so that
    /// nobody saw them; returns how many. Lets followers go on whose action was done meanwhile.
    /// Actions that ended before `within` have no such followers left.
    pub(super) async fn cancel_stranded(&self, within: Duration) -> Result<usize, JournalError> {
        let now = self.clock.now();
        self.journal.ensure_partitions([now]).await?;
        let mut tx = self.pool().begin().await?;
        let action_events = stranded(&mut tx, within).await?;
        let left = sqlx::query_scalar!(
            r"
            SELECT before.id
            FROM actions before
            JOIN actions a ON a.waits_for = before.id
            WHERE before.state = 'done' AND before.updated_at > now() - make_interval(secs => $1)
                AND a.waits_on = 'step' AND a.state = 'planned'
            ",
            within.as_secs_f64(),
        )
        .fetch_all(&mut *tx)
        .await?;
        go_on(&mut tx, &left).await?;
        if action_events.is_empty() {
            tx.commit().await?;
            return Ok(0);
        }
        self.commit_with_events(tx, &action_events, now).await?;
        Ok(action_events.len())
    }
}

/// Lets the followers of a done step go on, or wait for the limit, where the rule has one.
pub(super) async fn go_on(tx: &mut Connection, done: &[Uuid]) -> Result<(), JournalError> {
    if done.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        r"
        UPDATE actions
        SET
            waits_on = CASE WHEN limit_per_hour > 0 AND started_at IS NULL AND deed <> 'park' THEN 'limit' END,
            next_attempt_at = CASE
                WHEN limit_per_hour > 0 AND started_at IS NULL AND deed <> 'park' THEN 'infinity'
                ELSE now()
            END
        WHERE waits_for = ANY($1) AND state = 'planned' AND waits_on = 'step'
        ",
        done,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Cancels all direct and indirect followers of an action that ended badly.
pub(super) async fn cancel_followers(
    tx: &mut Connection,
    ended: &ActionEvent,
) -> Result<Vec<ActionEvent>, JournalError> {
    let followers = sqlx::query_scalar!(
        r"
        WITH RECURSIVE followers AS (
            SELECT id
            FROM actions
            WHERE waits_for = $1 AND state IN ('planned', 'parked')
            UNION
            SELECT a.id
            FROM actions a
            JOIN followers f ON a.waits_for = f.id
            WHERE a.state IN ('planned', 'parked')
        )
        SELECT a.id
        FROM actions a
        JOIN followers ON followers.id = a.id
        WHERE a.state IN ('planned', 'parked')
        ORDER BY a.id
        FOR UPDATE OF a
        ",
        ended.id,
    )
    .fetch_all(&mut *tx)
    .await?;
    let why = format!("{} before it was {}", ended.deed, ended.state);
    let followers = followers.into_iter();
    let followers: Vec<_> = followers
        .map(|id| (id, ActionEnd::new(ActionState::Cancelled, why.clone())))
        .collect();
    end(tx, &followers).await
}

async fn stranded(tx: &mut Connection, within: Duration) -> Result<Vec<ActionEvent>, JournalError> {
    let stranded = sqlx::query!(
        r#"
        SELECT a.id, format('%s before it was %s', before.deed, before.state) AS "why!"
        FROM actions before
        JOIN actions a ON a.waits_for = before.id
        WHERE a.state IN ('planned', 'parked')
            AND before.state IN ('refused', 'failed', 'cancelled')
            AND before.updated_at > now() - make_interval(secs => $1)
        FOR UPDATE OF a SKIP LOCKED
        "#,
        within.as_secs_f64(),
    )
    .fetch_all(&mut *tx)
    .await?;
    let stranded = stranded.into_iter();
    let stranded: Vec<_> = stranded
        .map(|row| (row.id, ActionEnd::new(ActionState::Cancelled, row.why)))
        .collect();
    end(tx, &stranded).await
}
