//! Calls off what rules wanted that are no longer live, before it is begun. Must not know what a
//! rules file is: it is told who is live.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::act::Queue;
use crate::act::told::{Told, ToldRow};
use crate::journal::JournalError;

/// Actions called off in one transaction.
const AT_ONCE: i64 = 500;

/// A rule that is live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveRule {
    /// Its name.
    pub name: String,
    /// Where it is; everywhere if none.
    pub portal_id: Option<Uuid>,
}

impl Queue {
    /// Cancels the planned actions of every rule but these; says how many. What was begun goes on, and
    /// so does what a person let through, which counts as begun; what is parked waits for a person
    /// anyway. What follows an action of another rule is cancelled with it soon after, as always.
    pub async fn call_off_rules_but(&self, live: &[LiveRule]) -> Result<usize, JournalError> {
        let mut count = 0;
        loop {
            let now = self.clock.now();
            self.journal.ensure_partitions([now]).await?;
            let mut tx = self.pool().begin().await?;
            let told = cancel(&mut tx, live).await?;
            if told.is_empty() {
                return Ok(count);
            }
            self.tell(&mut tx, &told, now).await?;
            tx.commit().await?;
            self.told(&told);
            count += told.len();
        }
    }
}

async fn cancel(tx: &mut PgConnection, live: &[LiveRule]) -> Result<Vec<Told>, JournalError> {
    let names: Vec<String> = live.iter().map(|rule| rule.name.clone()).collect();
    let portals: Vec<Option<Uuid>> = live.iter().map(|rule| rule.portal_id).collect();
    sqlx::query_as!(
        ToldRow,
        r#"
        WITH dead AS (
            SELECT a.id
            FROM actions a
            WHERE a.state = 'planned' AND a.started_at IS NULL
                AND NOT EXISTS (
                    SELECT
                    FROM UNNEST($1::text[], $2::uuid[]) AS live (rule, portal_id)
                    WHERE live.rule = a.rule
                        AND (live.portal_id IS NULL OR live.portal_id = a.portal_id)
                )
            ORDER BY a.id
            LIMIT $3
            -- Whoever has hold of one may only be adding a cause: it is waited for.
            FOR UPDATE OF a
        )
        UPDATE actions
        SET
            state = 'cancelled',
            reason = 'the rule is no longer live',
            revision = revision + 1,
            updated_at = now()
        FROM dead
        WHERE actions.id = dead.id
        RETURNING
            actions.id AS "id!", rule AS "rule!", deed AS "deed!", target_kind AS "target_kind!",
            target_id AS "target_id!", application_id, portal_id AS "portal_id!",
            signal AS "signal!", state AS "state!", reason, attempts AS "attempts!",
            causes AS "causes!", revision AS "revision!", report
        "#,
        &names,
        &portals as &[Option<Uuid>],
        AT_ONCE,
    )
    .fetch_all(tx)
    .await?
    .into_iter()
    .map(TryInto::try_into)
    .collect()
}
