//! Cancels actions of rules that are no longer live, before anything was written for them. Knows no
//! rules file: the caller says which rules are live.

use std::time::Duration;

use crate::journal::Connection;
use uuid::Uuid;

use crate::act::action_event::ActionEvent;
use crate::act::end::{ActionEnd, end};
use crate::act::{ActionState, Queue, SignalSubscriptions};
use crate::journal::JournalError;

/// Actions cancelled in one transaction.
const AT_ONCE: i64 = 500;
/// How long an instance counts as running after it last announced itself, which it does four times
/// as often.
pub(super) const ALIVE: Duration = Duration::from_secs(20);

/// A rule that is live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveRule {
    /// Its name.
    pub name: String,
    /// The portal where it is live; everywhere if none.
    pub portal_id: Option<Uuid>,
}

/// An instance with rules of its own.
#[derive(Debug)]
pub struct RuleHolder {
    queue: Queue,
    id: Uuid,
}

/// Which actions are to be cancelled, of rules that are not live with an instance.
#[derive(Debug, Clone, Copy)]
pub struct CallOff<'a> {
    /// The rules that are live with it.
    pub live: &'a [LiveRule],
    /// Rules that were live with it: their actions are cancelled, whatever rules other instances
    /// have.
    pub dropped: &'a [LiveRule],
    /// Whether it begins: the actions of every rule are cancelled that no other running instance
    /// has live.
    pub begins: bool,
    /// Whether the same is to be done for rules of instances that are gone.
    pub inherits: bool,
}

/// What was cancelled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CalledOff {
    /// Actions.
    pub count: usize,
    /// Whether a worker has some under way, which may come back to be tried again.
    pub in_hand: bool,
    /// Whether some belong to an instance that may have crashed: the caller asks again in a moment.
    pub unsure: bool,
}

impl Queue {
    /// An instance that has not announced its live rules yet.
    pub fn rule_holder(&self) -> RuleHolder {
        RuleHolder {
            queue: self.clone(),
            id: self.ids.next(),
        }
    }
}

impl RuleHolder {
    /// Announces which rules are live with this instance, so that no other cancels their actions.
    /// Also announces the subscriptions of its rule set, so that no other deletes work items for
    /// them.
    pub async fn hold(
        &self,
        live: &[LiveRule],
        rule_set: Option<(&str, &SignalSubscriptions)>,
    ) -> Result<(), JournalError> {
        let (rules, portals) = columns(live);
        let (signals, max_age) = rule_set
            .map(|(_, listened)| listened.columns())
            .unwrap_or_default();
        sqlx::query!(
            r"
            WITH known AS (
                INSERT INTO rule_sets (rule_set, signals, max_age)
                SELECT $4, $5, make_interval(secs => $6)
                WHERE $4::text IS NOT NULL
                ON CONFLICT (rule_set) DO UPDATE
                SET signals = EXCLUDED.signals, max_age = EXCLUDED.max_age, seen_at = now()
            )
            INSERT INTO rule_holders (holder, rules, portals, rule_set)
            VALUES ($1, $2, $3, $4)
            ON CONFLICT (holder) DO UPDATE
            SET
                rules = EXCLUDED.rules,
                portals = EXCLUDED.portals,
                rule_set = EXCLUDED.rule_set,
                renewed_at = now(),
                stopped_at = NULL
            ",
            self.id,
            &rules,
            &portals as &[Option<Uuid>],
            rule_set.map(|(rule_set, _)| rule_set),
            &signals,
            max_age,
        )
        .execute(self.queue.pool())
        .await?;
        Ok(())
    }

    /// Announces that this instance ends. The others wait for its successor before they cancel; an
    /// instance that begins with other rules does not.
    pub async fn stop(&self) -> Result<(), JournalError> {
        sqlx::query!(
            r"
            UPDATE rule_holders
            SET stopped_at = now()
            WHERE holder = $1
            ",
            self.id,
        )
        .execute(self.queue.pool())
        .await?;
        Ok(())
    }

    /// Cancels planned actions for which nothing was written yet. An action that may have been
    /// written goes on, so that its result becomes known; so does one that a person approved. One
    /// that a rule parked waits for a person anyway. Followers of a cancelled action are cancelled
    /// soon after, as always.
    pub async fn call_off(&self, asked: CallOff<'_>) -> Result<CalledOff, JournalError> {
        let queue = &self.queue;
        let mut called_off = CalledOff::default();
        let is_asked = asked.begins || !asked.dropped.is_empty();
        // All planned actions would be read, however many.
        let inherits = asked.inherits && !is_asked && self.is_somebody_gone().await?;
        if !is_asked && !inherits {
            return Ok(called_off);
        }
        loop {
            let found = self.find(asked).await?;
            called_off.in_hand = found.iter().any(|one| one.in_hand);
            called_off.unsure = found.iter().any(|one| one.unsure);
            let sure = found.iter().filter(|one| !one.in_hand && !one.unsure);
            let ids: Vec<Uuid> = sure.map(|one| one.id).collect();
            if ids.is_empty() {
                break;
            }
            let now = queue.clock.now();
            queue.journal.ensure_partitions([now]).await?;
            let mut tx = queue.pool().begin().await?;
            let action_events = cancel(&mut tx, &ids).await?;
            queue
                .append_action_events(&mut tx, &action_events, now)
                .await?;
            tx.commit().await?;
            queue.announce(&action_events);
            called_off.count += action_events.len();
        }
        if asked.inherits && !called_off.in_hand {
            self.forget_the_gone().await?;
        }
        Ok(called_off)
    }

    async fn find(&self, asked: CallOff<'_>) -> Result<Vec<Found>, JournalError> {
        let (rules, portals) = columns(asked.live);
        let (dropped, dropped_at) = columns(asked.dropped);
        let found = sqlx::query_file_as!(
            Found,
            "src/act/call_off.sql",
            self.id,
            &rules,
            &portals as &[Option<Uuid>],
            &dropped,
            &dropped_at as &[Option<Uuid>],
            asked.begins,
            asked.inherits,
            ALIVE.as_secs_f64(),
            AT_ONCE,
        );
        Ok(found.fetch_all(self.queue.pool()).await?)
    }

    /// Whether an instance is gone whose rules nobody has checked since.
    async fn is_somebody_gone(&self) -> Result<bool, JournalError> {
        Ok(sqlx::query_scalar!(
            r#"
            SELECT EXISTS (
                SELECT
                FROM rule_holders
                WHERE holder <> $1 AND renewed_at < now() - make_interval(secs => $2)
            ) AS "gone!"
            "#,
            self.id,
            ALIVE.as_secs_f64(),
        )
        .fetch_one(self.queue.pool())
        .await?)
    }

    async fn forget_the_gone(&self) -> Result<(), JournalError> {
        sqlx::query!(
            r"
            DELETE FROM rule_holders
            WHERE holder <> $1 AND renewed_at < now() - make_interval(secs => $2)
            ",
            self.id,
            ALIVE.as_secs_f64(),
        )
        .execute(self.queue.pool())
        .await?;
        Ok(())
    }
}

/// An action of a rule that is not live.
struct Found {
    id: Uuid,
    in_hand: bool,
    unsure: bool,
}

/// Names and portals of rules, as two arrays of equal length.
pub(super) fn columns(rules: &[LiveRule]) -> (Vec<String>, Vec<Option<Uuid>>) {
    let rules = rules.iter();
    rules
        .map(|rule| (rule.name.clone(), rule.portal_id))
        .unzip()
}

async fn cancel(tx: &mut Connection, ids: &[Uuid]) -> Result<Vec<ActionEvent>, JournalError> {
    let dead = sqlx::query_scalar!(
        r"
        SELECT id
        FROM actions
        WHERE id = ANY($1) AND write_sent_at IS NULL
            -- A worker that crashed holds nothing any more.
            AND (
                state = 'planned' OR (state = 'running' AND leased_until < now())
                OR (state = 'parked' AND started_at IS NULL)
            )
        ORDER BY id
        -- Whoever has hold of one may only be adding a cause: it is waited for.
        FOR UPDATE
        ",
        ids,
    )
    .fetch_all(&mut *tx)
    .await?;
    let why = || "the rule is no longer live".to_owned();
    let dead = dead.into_iter();
    let dead: Vec<_> = dead
        .map(|id| (id, ActionEnd::new(ActionState::Cancelled, why())))
        .collect();
    end(tx, &dead).await
}
