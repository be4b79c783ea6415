//! The limit of a rule, counted over the deeds of the last hour. Actions that wait for the limit
//! are not due and cost nothing; the oldest of them start as slots become free.

use uuid::Uuid;

use crate::act::action_event::ActionEvent;
use crate::act::call_off::columns;
use crate::act::decide::live;
use crate::act::end::{ActionEnd, end};
use crate::act::{ActionState, Kind, LiveRule, Queue};
use crate::journal::{Connection, JournalError};
use crate::rules::RuleSet;

/// The first key of the advisory locks under which a rule's deeds are counted one after the other.
const LIMIT_LOCK: i32 = 0x7573_6861;
/// Actions that in one transaction get the reason why they wait, or are left to a person.
const AT_ONCE: i64 = 1000;

/// Why an action waits, or is left to a person.
pub(super) fn over_the_limit(limit_per_hour: i32) -> String {
    format!("over the limit of {limit_per_hour} deeds per hour")
}

impl Queue {
    /// Lets actions start that wait for the limit, as far as the limits of `rules` have free slots;
    /// none means all rules. Deeds of the `held` kinds take no slot. Returns whether more actions
    /// lack their reason.
    pub(super) async fn let_start(
        &self,
        rules: Option<&[LiveRule]>,
        held: &[Kind],
    ) -> Result<bool, JournalError> {
        let names = rules.map(|rules| columns(rules).0);
        let mut is_left = false;
        for rule in self.limited(names.as_deref()).await? {
            is_left |= self.let_start_of(&rule, held).await?;
        }
        Ok(is_left)
    }

    /// The rules with actions that wait for the limit; none during a pause.
    async fn limited(&self, rules: Option<&[String]>) -> Result<Vec<String>, JournalError> {
        Ok(sqlx::query_scalar!(
            r#"
            WITH RECURSIVE waiting AS (
                (
                    SELECT rule
                    FROM actions
                    WHERE waits_on = 'limit' AND state = 'planned'
                    ORDER BY rule
                    LIMIT 1
                )
                UNION ALL
                SELECT (
                    SELECT a.rule
                    FROM actions a
                    WHERE a.waits_on = 'limit' AND a.state = 'planned' AND a.rule > waiting.rule
                    ORDER BY a.rule
                    LIMIT 1
                )
                FROM waiting
                WHERE waiting.rule IS NOT NULL
            )
            SELECT rule AS "rule!"
            FROM waiting
            WHERE rule IS NOT NULL AND ($1::text[] IS NULL OR rule = ANY($1))
                AND NOT EXISTS (SELECT FROM action_pauses WHERE resumed_at IS NULL)
            "#,
            rules,
        )
        .fetch_all(self.pool())
        .await?)
    }

    async fn let_start_of(&self, rule: &str, held: &[Kind]) -> Result<bool, JournalError> {
        if !self.has_news(rule).await? {
            return Ok(false);
        }
        let now = self.clock.now();
        self.journal.ensure_partitions([now]).await?;
        let mut tx = self.pool().begin().await?;
        // Two workers that count at once would both find one free slot.
        sqlx::query!(
            "SELECT pg_advisory_xact_lock($1, hashtext($2))",
            LIMIT_LOCK,
            rule
        )
        .execute(&mut *tx)
        .await?;
        let Some(places) = places(&mut tx, rule).await? else {
            return Ok(false);
        };
        let is_full = start(&mut tx, rule, places.free, held).await? == places.free;
        let reason = over_the_limit(places.limit_per_hour);
        let mut parked = Vec::new();
        let mut action_events = 0;
        if is_full && places.parks {
            parked = park(&mut tx, rule, &reason).await?;
            action_events = parked.len();
        } else if is_full {
            action_events = say_why(&mut tx, rule, &reason).await?;
        }
        if parked.is_empty() {
            tx.commit().await?;
        } else {
            self.commit_with_events(tx, &parked, now).await?;
        }
        Ok(i64::try_from(action_events) == Ok(AT_ONCE))
    }

    /// Applies the limits of the live rules at once to actions that did not start yet; returns how
    /// many actions that changed. What is parked for the limit is decided by a higher limit, or by
    /// none; a lower one leaves it parked.
    pub async fn set_limits(&self, rules: &RuleSet) -> Result<u64, JournalError> {
        let names: Vec<String> = live(rules).map(|rule| rule.name.clone()).collect();
        let counts: Vec<i32> = live(rules)
            .map(|rule| i32::try_from(rule.limit_per_hour).unwrap_or(i32::MAX))
            .collect();
        let words: Vec<String> = live(rules)
            .map(|rule| rule.on_limit.name().to_owned())
            .collect();
        let done = sqlx::query!(
            r"
            WITH changed AS (
                SELECT a.id, t.per_hour, t.on_limit
                FROM UNNEST($1::text[], $2::integer[], $3::text[]) AS t (rule, per_hour, on_limit)
                JOIN actions a ON a.rule = t.rule
                WHERE a.state IN ('planned', 'running', 'parked') AND a.started_at IS NULL
                    AND (a.limit_per_hour <> t.per_hour OR a.on_limit <> t.on_limit)
                    AND (
                        a.state <> 'parked' OR t.per_hour = 0 OR t.per_hour > a.limit_per_hour
                        OR t.on_limit = 'delay'
                    )
                ORDER BY a.id
                FOR UPDATE OF a
            )
            UPDATE actions
            SET
                limit_per_hour = changed.per_hour,
                on_limit = changed.on_limit,
                -- Whoever has it in hand counts once more.
                state = CASE WHEN state = 'running' THEN state ELSE 'planned' END,
                reason = CASE WHEN state = 'running' THEN reason END,
                waits_on = CASE
                    WHEN state = 'running' THEN NULL
                    WHEN waits_on = 'step' THEN 'step'
                    WHEN changed.per_hour > 0 AND deed <> 'park' THEN 'limit'
                END,
                next_attempt_at = CASE
                    WHEN state = 'running' THEN next_attempt_at
                    WHEN waits_on = 'step' OR (changed.per_hour > 0 AND deed <> 'park') THEN 'infinity'
                    ELSE now()
                END,
                updated_at = now()
            FROM changed
            WHERE actions.id = changed.id
            ",
            &names,
            &counts,
            &words,
        )
        .execute(self.pool())
        .await?;
        if done.rows_affected() > 0 {
            self.wake();
        }
        Ok(done.rows_affected())
    }

    /// Whether a slot of a rule is free, or an action lacks the reason why it waits.
    async fn has_news(&self, rule: &str) -> Result<bool, JournalError> {
        Ok(sqlx::query_scalar!(
            r#"
            SELECT
                EXISTS (
                    SELECT
                    FROM actions
                    WHERE waits_on = 'limit' AND state = 'planned' AND reason IS NULL AND rule = $1
                )
                OR NOT EXISTS (
                    SELECT
                    FROM actions
                    WHERE rule = $1 AND deed <> 'park' AND started_at > now() - interval '1 hour'
                    ORDER BY started_at DESC
                    -- The deed that makes room when it is an hour old: the limit-th youngest.
                    OFFSET (
                        SELECT GREATEST(limit_per_hour - 1, 0)
                        FROM actions
                        WHERE waits_on = 'limit' AND state = 'planned' AND rule = $1
                        ORDER BY id
                        LIMIT 1
                    )
                    LIMIT 1
                ) AS "has_news!"
            "#,
            rule,
        )
        .fetch_one(self.pool())
        .await?)
    }
}

/// The free slots of a rule.
struct FreeSlots {
    free: i64,
    limit_per_hour: i32,
    /// Whether the rest is left to a person.
    parks: bool,
}

/// The free slots, by the limit of the action that waits longest; none where none waits.
async fn places(tx: &mut Connection, rule: &str) -> Result<Option<FreeSlots>, JournalError> {
    let row = sqlx::query!(
        r#"
        SELECT
            limit_per_hour,
            on_limit,
            limit_per_hour - (
                SELECT count(*)
                FROM actions
                WHERE rule = $1 AND deed <> 'park' AND started_at > now() - interval '1 hour'
            ) AS "free!"
        FROM actions
        WHERE waits_on = 'limit' AND state = 'planned' AND rule = $1
        ORDER BY id
        LIMIT 1
        "#,
        rule,
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| FreeSlots {
        free: row.free.max(0),
        limit_per_hour: row.limit_per_hour,
        parks: row.on_limit == "park",
    }))
}

/// Lets the oldest start that wait for the limit; returns how many.
async fn start(
    tx: &mut Connection,
    rule: &str,
    free: i64,
    held: &[Kind],
) -> Result<i64, JournalError> {
    let (deeds, portals): (Vec<String>, Vec<Uuid>) = held
        .iter()
        .map(|kind| (kind.deed.to_owned(), kind.portal_id))
        .unzip();
    let done = sqlx::query!(
        r"
        WITH next AS MATERIALIZED (
            SELECT a.id
            FROM actions a
            WHERE a.waits_on = 'limit' AND a.state = 'planned' AND a.rule = $1
                AND NOT EXISTS (
                    SELECT
                    FROM UNNEST($3::text[], $4::uuid[]) AS held (deed, portal_id)
                    WHERE held.deed = a.deed AND held.portal_id = a.portal_id
                )
            ORDER BY a.id
            LIMIT $2
            FOR UPDATE OF a SKIP LOCKED
        )
        UPDATE actions
        SET
            started_at = now(),
            waits_on = NULL,
            next_attempt_at = now(),
            -- It may have waited before.
            reason = NULL,
            updated_at = now()
        FROM next
        WHERE actions.id = next.id
        ",
        rule,
        free,
        &deeds,
        &portals,
    )
    .execute(tx)
    .await?;
    Ok(i64::try_from(done.rows_affected()).unwrap_or(i64::MAX))
}

/// Leaves to a person the actions that wait for the limit in vain.
async fn park(
    tx: &mut Connection,
    rule: &str,
    reason: &str,
) -> Result<Vec<ActionEvent>, JournalError> {
    let rest = sqlx::query_scalar!(
        r"
        SELECT id
        FROM actions
        WHERE waits_on = 'limit' AND state = 'planned' AND rule = $1
        ORDER BY id
        LIMIT $2
        FOR UPDATE SKIP LOCKED
        ",
        rule,
        AT_ONCE,
    )
    .fetch_all(&mut *tx)
    .await?;
    let rest = rest.into_iter();
    let rest: Vec<_> = rest
        .map(|id| (id, ActionEnd::new(ActionState::Parked, reason.to_owned())))
        .collect();
    end(tx, &rest).await
}

/// Stores why actions wait for the limit; returns how many changed.
async fn say_why(tx: &mut Connection, rule: &str, reason: &str) -> Result<usize, JournalError> {
    let done = sqlx::query!(
        r"
        WITH rest AS MATERIALIZED (
            SELECT id
            FROM actions
            WHERE waits_on = 'limit' AND state = 'planned' AND reason IS NULL AND rule = $1
            ORDER BY id
            LIMIT $3
            FOR UPDATE SKIP LOCKED
        )
        UPDATE actions
        SET reason = $2, updated_at = now()
        FROM rest
        WHERE actions.id = rest.id
        ",
        rule,
        reason,
        AT_ONCE,
    )
    .execute(tx)
    .await?;
    Ok(usize::try_from(done.rows_affected()).unwrap_or(usize::MAX))
}
