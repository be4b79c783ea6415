//! Results in: the state of an action, the record of its attempt, what became of those that waited
//! for it, and the event that tells of it, all in one transaction.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::act::calls::Call;
use crate::act::claim::Claimed;
use crate::act::told::{Told, ToldRow};
use crate::act::{ActionState, Queue};
use crate::journal::{JournalError, Lane, NewBatch, Source, append_in};

/// Tries of a transaction that Postgres asks to repeat.
const TRIES: usize = 5;

/// One attempt, for the record.
#[derive(Debug, Clone)]
pub(super) struct AttemptRecord {
    pub(super) started_at: DateTime<Utc>,
    pub(super) call: Option<Call>,
    /// `ok` or the class of error.
    pub(super) outcome: &'static str,
    pub(super) detail: Option<String>,
}

/// How an action ended.
#[derive(Debug, Clone)]
pub(super) struct Ending {
    pub(super) state: ActionState,
    pub(super) reason: Option<String>,
    /// The account of a deed that keeps one.
    pub(super) report: Option<Value>,
}

impl Queue {
    /// Writes down how the claimed action ended; `false` when another worker has it by now.
    /// Whoever waited for one that ended badly is cancelled.
    pub(super) async fn settle(
        &self,
        claimed: &Claimed,
        ending: &Ending,
        attempt: Option<&AttemptRecord>,
    ) -> Result<bool, JournalError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_settle(claimed, ending, attempt).await {
                Err(JournalError::Repeat(_)) if tries < TRIES => {}
                outcome => return outcome,
            }
        }
    }

    async fn try_settle(
        &self,
        claimed: &Claimed,
        ending: &Ending,
        attempt: Option<&AttemptRecord>,
    ) -> Result<bool, JournalError> {
        let now = self.clock.now();
        self.journal.ensure_partitions([now]).await?;
        let mut tx = self.pool().begin().await?;
        let Some(ended) = end(&mut tx, claimed, ending, attempt.is_some()).await? else {
            tx.rollback().await?;
            return Ok(false);
        };
        if let Some(attempt) = attempt {
            record(&mut tx, (ended.id, ended.attempts), attempt, now).await?;
        }
        let mut told = vec![ended];
        if matches!(
            ending.state,
            ActionState::Refused | ActionState::Failed | ActionState::Cancelled
        ) {
            told.extend(cancel_followers(&mut tx, &told[0]).await?);
        }
        self.tell(&mut tx, &told, now).await?;
        tx.commit().await?;
        self.told(&told);
        Ok(true)
    }

    /// Appends the events to the journal in the same transaction as the change that they tell of.
    pub(super) async fn tell(
        &self,
        tx: &mut PgConnection,
        told: &[Told],
        now: DateTime<Utc>,
    ) -> Result<(), JournalError> {
        let batch = NewBatch {
            id: self.ids.next(),
            source: Source::Act,
            lane: Lane::Live,
            part_of: None,
            received_at: now,
            requests: Vec::new(),
            events: told.iter().map(|action| action.event(now)).collect(),
            quarantined: Vec::new(),
        };
        append_in(tx, &batch)
            .await?
            .map(drop)
            // A new id cannot be there already.
            .ok_or(JournalError::Inconsistent {
                table: "batches",
                column: "id",
            })
    }

    /// Lets everybody hear of what was committed.
    pub(super) fn told(&self, told: &[Told]) {
        for action in told {
            action.log();
        }
        self.journal.wake_readers();
        // The next of its chain may be due now.
        self.wake();
    }

    /// Cancels what waits for an action that ended badly while its follower was being written, and
    /// so was not seen; says how many.
    pub(super) async fn cancel_stranded(&self) -> Result<usize, JournalError> {
        let now = self.clock.now();
        self.journal.ensure_partitions([now]).await?;
        let mut tx = self.pool().begin().await?;
        let told = stranded(&mut tx).await?;
        if told.is_empty() {
            return Ok(0);
        }
        self.tell(&mut tx, &told, now).await?;
        tx.commit().await?;
        self.told(&told);
        Ok(told.len())
    }

    /// Plans another attempt after `wait`.
    pub(super) async fn postpone(
        &self,
        claimed: &Claimed,
        wait: Duration,
        attempt: &AttemptRecord,
    ) -> Result<(), JournalError> {
        let mut tx = self.pool().begin().await?;
        let attempts = sqlx::query_scalar!(
            r"
            UPDATE actions
            SET
                state = 'planned',
                reason = $3,
                attempts = attempts + 1,
                lease = NULL,
                leased_until = NULL,
                next_attempt_at = now() + make_interval(secs => $4),
                updated_at = now()
            WHERE id = $1 AND lease = $2
            RETURNING attempts
            ",
            claimed.id,
            claimed.lease,
            attempt.detail,
            wait.as_secs_f64(),
        )
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(number) = attempts {
            record(&mut tx, (claimed.id, number), attempt, self.clock.now()).await?;
        }
        tx.commit().await?;
        Ok(())
    }
}

async fn end(
    tx: &mut PgConnection,
    claimed: &Claimed,
    ending: &Ending,
    attempted: bool,
) -> Result<Option<Told>, JournalError> {
    sqlx::query_as!(
        ToldRow,
        r"
        UPDATE actions
        SET
            state = $3,
            reason = $4,
            attempts = attempts + $5,
            report = COALESCE($6, report),
            revision = revision + 1,
            lease = NULL,
            leased_until = NULL,
            updated_at = now()
        WHERE id = $1 AND lease = $2
        RETURNING
            id, rule, deed, target_kind, target_id, application_id, portal_id, signal, state,
            reason, attempts, causes, revision, report
        ",
        claimed.id,
        claimed.lease,
        ending.state.as_str(),
        ending.reason,
        i32::from(attempted),
        ending.report,
    )
    .fetch_optional(tx)
    .await?
    .map(TryInto::try_into)
    .transpose()
}

/// Cancels all that waited, directly or not, for the action that ended badly.
pub(super) async fn cancel_followers(
    tx: &mut PgConnection,
    ended: &Told,
) -> Result<Vec<Told>, JournalError> {
    sqlx::query_as!(
        ToldRow,
        r#"
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
        UPDATE actions
        SET
            state = 'cancelled',
            reason = $2,
            revision = revision + 1,
            updated_at = now()
        WHERE id IN (SELECT id FROM followers) AND state IN ('planned', 'parked')
        RETURNING
            id AS "id!", rule AS "rule!", deed AS "deed!", target_kind AS "target_kind!",
            target_id AS "target_id!", application_id, portal_id AS "portal_id!",
            signal AS "signal!", state AS "state!", reason, attempts AS "attempts!",
            causes AS "causes!", revision AS "revision!", report
        "#,
        ended.id,
        format!("{} before it was {}", ended.deed, ended.state),
    )
    .fetch_all(tx)
    .await?
    .into_iter()
    .map(TryInto::try_into)
    .collect()
}

async fn stranded(tx: &mut PgConnection) -> Result<Vec<Told>, JournalError> {
    sqlx::query_as!(
        ToldRow,
        r#"
        WITH stranded AS (
            SELECT a.id, format('%s before it was %s', before.deed, before.state) AS why
            FROM actions a
            JOIN actions before ON before.id = a.waits_for
            WHERE a.state IN ('planned', 'parked')
                AND before.state IN ('refused', 'failed', 'cancelled')
            FOR UPDATE OF a SKIP LOCKED
        )
        UPDATE actions
        SET
            state = 'cancelled',
            reason = s.why,
            revision = revision + 1,
            updated_at = now()
        FROM stranded s
        WHERE actions.id = s.id
        RETURNING
            actions.id AS "id!", rule AS "rule!", deed AS "deed!", target_kind AS "target_kind!",
            target_id AS "target_id!", application_id, portal_id AS "portal_id!",
            signal AS "signal!", state AS "state!", reason, attempts AS "attempts!",
            causes AS "causes!", revision AS "revision!", report
        "#,
    )
    .fetch_all(tx)
    .await?
    .into_iter()
    .map(TryInto::try_into)
    .collect()
}

async fn record(
    tx: &mut PgConnection,
    (action, number): (Uuid, i32),
    attempt: &AttemptRecord,
    now: DateTime<Utc>,
) -> Result<(), JournalError> {
    sqlx::query!(
        r"
        INSERT INTO attempts (
            action, number, started_at, ended_at, request, status, outcome, detail
        )
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ",
        action,
        number,
        attempt.started_at,
        now,
        attempt
            .call
            .map(|call| format!("{} {}", call.method, call.route)),
        attempt
            .call
            .and_then(|call| call.status)
            .and_then(|status| i16::try_from(status).ok()),
        attempt.outcome,
        attempt.detail,
    )
    .execute(tx)
    .await?;
    Ok(())
}
