//! Brings what is open to rules that were corrected: what they no longer ask for is cancelled, and what has
//! not started goes by their limits. Must not know what a rules file is: it is told what is wanted.

use crate::journal::Connection;
use uuid::Uuid;

use crate::act::end::end;
use crate::act::enqueue::on_limit;
use crate::act::followers::cancel_followers;
use crate::act::told::Told;
use crate::act::{ActionState, NewChain, OnLimit, Queue, Standing};
use crate::journal::JournalError;

/// Actions withdrawn in one transaction.
const AT_ONCE: i64 = 500;

/// Signals of one portal that were decided by rules that changed.
#[derive(Debug, Clone, Copy)]
pub struct Redecided<'a> {
    /// The portal.
    pub portal_id: Uuid,
    /// Kind and key of each signal about which nothing was missing.
    pub signals: &'a [(String, String)],
    /// The rules that are live there: what others want is not touched.
    pub rules: &'a [String],
    /// What follows now.
    pub wanted: &'a [NewChain],
    /// What would follow by the rules of before from the same facts; none where they are not known.
    pub before: Option<&'a [NewChain]>,
}

/// What was withdrawn.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Withdrawn {
    /// Actions, without what followed them.
    pub count: usize,
    /// Whether a worker has some in hand: ask again in a moment.
    pub in_hand: bool,
}

/// The limit of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleLimit {
    /// Its name.
    pub rule: String,
    /// How many of its deeds may start in an hour; 0 means any number.
    pub limit_per_hour: u32,
    /// What becomes of the rest.
    pub on_limit: OnLimit,
}

impl Queue {
    /// Cancels what is open, was never written and is no longer wanted, with what follows it. What waits
    /// for a person because a rule parked it is left to them, and so is what a person let through.
    pub async fn withdraw(&self, asked: Redecided<'_>) -> Result<Withdrawn, JournalError> {
        let mut withdrawn = Withdrawn::default();
        loop {
            let found = self.unwanted(asked).await?;
            withdrawn.in_hand = found.iter().any(|one| one.in_hand);
            let free: Vec<&Unwanted> = found.iter().filter(|one| !one.in_hand).collect();
            if free.is_empty() {
                return Ok(withdrawn);
            }
            let now = self.clock.now();
            self.journal.ensure_partitions([now]).await?;
            let mut tx = self.pool().begin().await?;
            let mut told = cancel(&mut tx, &free).await?;
            let count = told.len();
            if count == 0 {
                // Whoever changed them meanwhile may do so again.
                withdrawn.in_hand = true;
                return Ok(withdrawn);
            }
            for index in 0..count {
                let followers = cancel_followers(&mut tx, &told[index]).await?;
                told.extend(followers);
            }
            self.tell(&mut tx, &told, now).await?;
            tx.commit().await?;
            self.told(&told);
            withdrawn.count += count;
        }
    }

    async fn unwanted(&self, asked: Redecided<'_>) -> Result<Vec<Unwanted>, JournalError> {
        let (kinds, keys): (Vec<String>, Vec<String>) = asked.signals.iter().cloned().unzip();
        let wanted = Columns::of(asked.wanted);
        let before = Columns::of(asked.before.unwrap_or_default());
        Ok(sqlx::query_file_as!(
            Unwanted,
            "src/act/withdraw.sql",
            asked.portal_id,
            &kinds,
            &keys,
            asked.rules,
            &wanted.rules,
            &wanted.deeds,
            &wanted.targets,
            &wanted.keys,
            asked.before.is_none(),
            &before.rules,
            &before.deeds,
            &before.targets,
            &before.keys,
            AT_ONCE,
        )
        .fetch_all(self.pool())
        .await?)
    }

    /// Has what did not start yet go by these limits, at once; says how many actions that changed. What is
    /// parked for the limit is decided by a higher one, or by none; a lower one leaves it there.
    pub async fn set_limits(&self, limits: &[RuleLimit]) -> Result<u64, JournalError> {
        let rules: Vec<String> = limits.iter().map(|limit| limit.rule.clone()).collect();
        let counts: Vec<i32> = limits
            .iter()
            .map(|limit| i32::try_from(limit.limit_per_hour).unwrap_or(i32::MAX))
            .collect();
        let words: Vec<String> = limits
            .iter()
            .map(|limit| on_limit(limit.on_limit).to_owned())
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
            &rules,
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
}

/// An action that is no longer wanted.
struct Unwanted {
    id: Uuid,
    state: String,
    in_hand: bool,
}

/// The live steps of chains, as arrays of equal length.
#[derive(Default)]
struct Columns {
    rules: Vec<String>,
    deeds: Vec<String>,
    targets: Vec<Uuid>,
    keys: Vec<String>,
}

impl Columns {
    fn of(chains: &[NewChain]) -> Self {
        let mut columns = Self::default();
        let live = chains
            .iter()
            .filter(|chain| chain.standing == Standing::Live);
        for (chain, step) in
            live.flat_map(|chain| chain.steps.iter().map(move |step| (chain, step)))
        {
            let owner = step.owned_by.as_ref().unwrap_or(&chain.rule);
            columns.rules.push(owner.clone());
            columns.deeds.push(step.deed.key());
            columns.targets.push(step.target.id());
            columns.keys.push(chain.signal_key.clone());
        }
        columns
    }
}

async fn cancel(tx: &mut Connection, found: &[&Unwanted]) -> Result<Vec<Told>, JournalError> {
    let ids: Vec<Uuid> = found.iter().map(|one| one.id).collect();
    let states: Vec<String> = found.iter().map(|one| one.state.clone()).collect();
    let dead = sqlx::query_scalar!(
        r"
        SELECT a.id
        FROM actions a
        JOIN UNNEST($1::uuid[], $2::text[]) AS found (id, state) ON found.id = a.id
        -- Whatever was done about it meanwhile was done by somebody who meant it.
        WHERE a.state = found.state AND a.write_sent_at IS NULL
            AND (a.state <> 'running' OR a.leased_until < now())
        ORDER BY a.id
        FOR UPDATE OF a
        ",
        &ids,
        &states,
    )
    .fetch_all(&mut *tx)
    .await?;
    let why = |id| (id, "the rules no longer ask for it".to_owned());
    let dead: Vec<_> = dead.into_iter().map(why).collect();
    end(tx, ActionState::Cancelled, &dead).await
}
