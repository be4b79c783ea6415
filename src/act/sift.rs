//! Goes through what is open and has not begun: what the rules in force do not want, by what the directory says, is
//! called off before its turn comes. Whoever claims an action asks once more.

use std::sync::Arc;

use tokio::time::Instant;
use uuid::Uuid;

use crate::act::Queue;
use crate::act::claim::{Claimed, ClaimedRow};
use crate::act::decide;
use crate::act::end::{Ending, end};
use crate::act::followers::cancel_followers;
use crate::act::judge::cases;
use crate::directory::Directory;
use crate::journal::JournalError;
use crate::rules::RuleSet;

/// Actions looked at together.
const AT_ONCE: i64 = 500;

impl Queue {
    /// Calls off what is open, was never written and is not wanted by `rules`, with what follows it; says how many.
    /// It touches nothing of rules that are not live among them. What a person let through is left alone, and so is what
    /// a rule parked for a person.
    pub async fn sift(
        &self,
        directory: &Directory,
        rules: &Arc<RuleSet>,
    ) -> Result<usize, JournalError> {
        let live: Vec<String> = decide::live(rules).map(|rule| rule.name.clone()).collect();
        let mut after = Uuid::nil();
        let mut count = 0;
        loop {
            let open = self.not_begun(&live, after).await?;
            let Some(last) = open.last() else {
                return Ok(count);
            };
            after = last.id;
            let cases = cases((self, directory), rules, &open).await?;
            let now = self.clock.now();
            let unwanted = open.iter().filter_map(|one| {
                let ending = cases.get(&one.id)?.unwanted(one, now)?;
                Some((one.id, ending))
            });
            count += self.take_back(unwanted.collect()).await?;
        }
    }

    /// What waits for its first attempt or for the next one, or was left to a person for the limit, by ids.
    async fn not_begun(&self, live: &[String], after: Uuid) -> Result<Vec<Claimed>, JournalError> {
        let since = Instant::now();
        let rows = sqlx::query_as!(
            ClaimedRow,
            r#"
            SELECT
                id, '00000000-0000-0000-0000-000000000000'::uuid AS "lease!", portal_id, rule, spec, target_kind,
                target_id, application_id, attempts, write_sent_at IS NOT NULL AS "write_sent!", report,
                started_at IS NOT NULL AS "is_admitted!", signal, signal_key, facts, causes, outlasted, wanted,
                EXTRACT(EPOCH FROM trouble)::float8 AS "trouble!"
            FROM actions
            WHERE (state = 'planned' OR (state = 'parked' AND started_at IS NULL))
                AND write_sent_at IS NULL AND rule = ANY($1) AND id > $2
                AND (started_at IS NULL OR NOT usher_let_through(id, chain_id))
            ORDER BY id
            LIMIT $3
            "#,
            live,
            after,
            AT_ONCE,
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter().map(|row| row.claimed(since)).collect()
    }

    /// Ends what is still as it was.
    async fn take_back(&self, unwanted: Vec<(Uuid, Ending)>) -> Result<usize, JournalError> {
        if unwanted.is_empty() {
            return Ok(0);
        }
        let now = self.clock.now();
        self.journal.ensure_partitions([now]).await?;
        let mut tx = self.pool().begin().await?;
        let left = sqlx::query_scalar!(
            r"
            SELECT id
            FROM actions
            WHERE id = ANY($1) AND write_sent_at IS NULL
                AND (state = 'planned' OR (state = 'parked' AND started_at IS NULL))
            ORDER BY id
            FOR UPDATE
            ",
            &unwanted.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
        )
        .fetch_all(&mut *tx)
        .await?;
        let mut ended = unwanted;
        ended.retain(|(id, _)| left.contains(id));
        let mut told = end(&mut tx, &ended).await?;
        let count = told.len();
        for index in 0..count {
            let followers = cancel_followers(&mut tx, &told[index]).await?;
            told.extend(followers);
        }
        if !told.is_empty() {
            self.tell(&mut tx, &told, now).await?;
        }
        tx.commit().await?;
        self.told(&told);
        Ok(count)
    }
}
