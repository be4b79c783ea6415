//! Checks open actions that have not begun: those that the rules in force do not want, by the
//! directory, are cancelled before they are due. The worker that claims an action checks again.

use std::sync::Arc;

use tokio::time::Instant;
use uuid::Uuid;

use crate::act::call_off::columns;
use crate::act::claim::{Claimed, ClaimedRow};
use crate::act::decide::{self, Decider};
use crate::act::end::{ActionEnd, end};
use crate::act::followers::cancel_followers;
use crate::act::judge::cases;
use crate::act::{LiveRule, Queue};
use crate::directory::Directory;
use crate::journal::JournalError;
use crate::rules::RuleSet;

/// Actions checked together.
const AT_ONCE: i64 = 500;

impl Queue {
    /// Cancels open actions that were never written and that `rules` do not want, with their
    /// followers; returns how many. It changes no action of a rule that is not live in `rules`, and
    /// none for a signal that is answered once. What a person approved stays, and so does what a
    /// rule parked for a person.
    pub async fn sift(
        &self,
        directory: &Directory,
        rules: &Arc<RuleSet>,
    ) -> Result<usize, JournalError> {
        let live = decide::live_at(rules);
        let mut after = Uuid::nil();
        let mut count = 0;
        loop {
            let open = self.not_begun(&live, after).await?;
            let Some(last) = open.last() else {
                return Ok(count);
            };
            after = last.row.id;
            let cases = cases((self, directory), rules, &open).await?;
            let now = self.clock.now();
            let unwanted = open.iter().filter_map(|one| {
                let unwanted = || cases.get(&one.row.id)?.unwanted(one, Decider::ItsRule, now);
                Some((one, one.vetoed().or_else(unwanted)?))
            });
            count += self.take_back(unwanted.collect()).await?;
        }
    }

    /// Actions that wait for their first or next attempt, or were left to a person for the limit,
    /// ordered by id.
    async fn not_begun(
        &self,
        live: &[LiveRule],
        after: Uuid,
    ) -> Result<Vec<Claimed>, JournalError> {
        let since = Instant::now();
        let (rules, portals) = columns(live);
        let rows = sqlx::query_as!(
            ClaimedRow,
            r#"
            SELECT
                id, '00000000-0000-0000-0000-000000000000'::uuid AS "lease!", portal_id, rule, spec, target_kind,
                target_id, application_id, attempts, write_sent_at IS NOT NULL AS "write_sent!", report,
                started_at IS NOT NULL AS "is_admitted!", signal, signal_key, facts, causes, created_at, outlasted,
                wanted, EXTRACT(EPOCH FROM trouble)::float8 AS "trouble!", is_vetoed AS "is_vetoed!"
            FROM actions a
            CROSS JOIN LATERAL (
                SELECT EXISTS (
                    SELECT
                    FROM vetoes v
                    WHERE v.portal_id = a.portal_id AND v.target_id = a.target_id
                        AND v.deed_key = a.deed_key AND v.lifted_at IS NULL
                ) AS is_vetoed
            ) AS said
            WHERE (state = 'planned' OR (state = 'parked' AND started_at IS NULL))
                AND write_sent_at IS NULL AND id > $3
                AND EXISTS (
                    SELECT
                    FROM UNNEST($1::text[], $2::uuid[]) AS mine (rule, portal_id)
                    WHERE mine.rule = a.rule AND (mine.portal_id IS NULL OR mine.portal_id = a.portal_id)
                )
                AND (started_at IS NULL OR NOT usher_let_through(id, chain_id))
                -- Of the rest only a person's no is one: it is answered once.
                AND (is_vetoed OR signal IN ('developer.signed_up', 'registration.requested'))
            ORDER BY id
            LIMIT $4
            "#,
            &rules,
            &portals as &[Option<Uuid>],
            after,
            AT_ONCE,
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter().map(|row| row.claimed(since)).collect()
    }

    /// Ends the actions that are unchanged: a person, or the limit of the rule, may have let one
    /// start meanwhile.
    async fn take_back(&self, unwanted: Vec<(&Claimed, ActionEnd)>) -> Result<usize, JournalError> {
        if unwanted.is_empty() {
            return Ok(0);
        }
        let now = self.clock.now();
        self.journal.ensure_partitions([now]).await?;
        let mut tx = self.pool().begin().await?;
        let found = || unwanted.iter().map(|(one, _)| one);
        let left = sqlx::query_scalar!(
            r"
            SELECT a.id
            FROM actions a
            JOIN UNNEST($1::uuid[], $2::boolean[]) AS found (id, is_admitted) ON found.id = a.id
            WHERE a.write_sent_at IS NULL AND (a.started_at IS NOT NULL) = found.is_admitted
                AND (a.state = 'planned' OR (a.state = 'parked' AND a.started_at IS NULL))
            ORDER BY a.id
            FOR UPDATE OF a
            ",
            &found().map(|one| one.row.id).collect::<Vec<_>>(),
            &found().map(|one| one.row.is_admitted).collect::<Vec<_>>(),
        )
        .fetch_all(&mut *tx)
        .await?;
        let ended = unwanted
            .into_iter()
            .map(|(one, ending)| (one.row.id, ending));
        let ended: Vec<_> = ended.filter(|(id, _)| left.contains(id)).collect();
        let mut action_events = end(&mut tx, &ended).await?;
        let count = action_events.len();
        for index in 0..count {
            let followers = cancel_followers(&mut tx, &action_events[index]).await?;
            action_events.extend(followers);
        }
        self.commit_with_events(tx, &action_events, now).await?;
        Ok(count)
    }
}
