//! Work items: signals, developers and portals to be judged. Each stays until every running rule
//! set has judged it, so that no instance deletes one that another instance, with other rules,
//! would answer.

use std::time::Duration;

use uuid::Uuid;

use crate::act::Queue;
use crate::act::call_off::ALIVE;
use crate::journal::{Connection, JournalError};

/// A work item that no rule set judged for so long is deleted: no rule uses it any more.
const KEPT: Duration = Duration::from_hours(7 * 24);

/// The subject of a work item.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum WorkSubject {
    /// A signal from an event: its kind and its key.
    Signal(String, String),
    /// A developer who waits: facts about them changed.
    Developer(Uuid),
    /// Everybody who waits in the portal.
    Portal,
}

/// A new work item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWork {
    /// Its portal.
    pub portal_id: Uuid,
    /// Its subject.
    pub subject: WorkSubject,
    /// The event that led here.
    pub cause: Uuid,
}

/// A work item that this instance is about to judge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// Its id: an earlier work item has a smaller one.
    pub id: Uuid,
    /// Its portal.
    pub portal_id: Uuid,
    /// Its subject.
    pub subject: WorkSubject,
    /// The event that led here last.
    pub cause: Uuid,
    /// How often it could not be judged.
    pub failures: i32,
    wanted: i64,
    lease: Uuid,
}

/// The rule set that judges.
#[derive(Debug, Clone, Copy)]
pub struct JudgingRuleSet<'a> {
    /// The fingerprint of its rules.
    pub rule_set: &'a str,
    /// The portals whose work it judges; none means all.
    pub portals: Option<&'a [Uuid]>,
}

/// Which work items are claimed at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkScope {
    /// Signals and developers: quickly judged.
    Single,
    /// Whole portals.
    Portals,
}

impl WorkSubject {
    fn columns(&self) -> (&'static str, String, String) {
        match self {
            Self::Signal(kind, key) => ("signal", kind.clone(), key.clone()),
            Self::Developer(id) => ("developer", String::new(), id.to_string()),
            Self::Portal => ("portal", String::new(), String::new()),
        }
    }

    fn of(matter: &str, signal: String, key: String) -> Option<Self> {
        match matter {
            "signal" => Some(Self::Signal(signal, key)),
            "developer" => key.parse().ok().map(Self::Developer),
            "portal" => Some(Self::Portal),
            _ => None,
        }
    }
}

struct WorkRow {
    id: Uuid,
    portal_id: Uuid,
    matter: String,
    signal: String,
    key: String,
    cause: Uuid,
    failures: i32,
    wanted: i64,
}

impl WorkRow {
    fn work(self, lease: Uuid) -> Result<Work, JournalError> {
        let matter = WorkSubject::of(&self.matter, self.signal, self.key);
        Ok(Work {
            id: self.id,
            portal_id: self.portal_id,
            subject: matter.ok_or(JournalError::Inconsistent {
                table: "work",
                column: "matter",
            })?,
            cause: self.cause,
            failures: self.failures,
            wanted: self.wanted,
            lease,
        })
    }
}

impl Queue {
    /// Adds work items in the caller's transaction. One that exists is wanted once more.
    pub async fn add_work(
        &self,
        tx: &mut Connection,
        work: &[NewWork],
    ) -> Result<(), JournalError> {
        let mut rows: Vec<_> = work
            .iter()
            .map(|work| {
                (
                    work.portal_id,
                    work.subject.columns(),
                    work.cause,
                    self.ids.next(),
                )
            })
            .collect();
        // In one order, so that two instances that add the same wait for each other without a
        // deadlock.
        rows.sort_unstable();
        rows.dedup_by(|next, kept| (next.0, &next.1) == (kept.0, &kept.1));
        sqlx::query!(
            r"
            INSERT INTO work (id, portal_id, matter, signal, key, cause)
            SELECT *
            FROM UNNEST($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::uuid[])
            ON CONFLICT (portal_id, matter, signal, key) DO UPDATE
            SET wanted = work.wanted + 1, judged = '{}', cause = EXCLUDED.cause, due_at = now()
            ",
            &rows.iter().map(|row| row.3).collect::<Vec<_>>(),
            &rows.iter().map(|row| row.0).collect::<Vec<_>>(),
            &rows
                .iter()
                .map(|row| row.1.0.to_owned())
                .collect::<Vec<_>>(),
            &rows.iter().map(|row| row.1.1.clone()).collect::<Vec<_>>(),
            &rows.iter().map(|row| row.1.2.clone()).collect::<Vec<_>>(),
            &rows.iter().map(|row| row.2).collect::<Vec<_>>(),
        )
        .execute(tx)
        .await?;
        Ok(())
    }

    /// Claims up to `at_most` work items for the time `hold` that `judge` has not judged yet, in
    /// the order in which they were added.
    pub async fn claim_work(
        &self,
        judge: JudgingRuleSet<'_>,
        share: WorkScope,
        (hold, at_most): (Duration, i64),
    ) -> Result<Vec<Work>, JournalError> {
        let lease = self.ids.next();
        let mut rows = sqlx::query_as!(
            WorkRow,
            r#"
            WITH due AS MATERIALIZED (
                SELECT id
                FROM work
                WHERE due_at <= now()
                    AND (leased_until IS NULL OR leased_until < now())
                    AND NOT $1 = ANY(judged)
                    AND ($2::uuid[] IS NULL OR portal_id = ANY($2))
                    AND (matter = 'portal') = $3
                ORDER BY due_at, id
                LIMIT $4
                FOR UPDATE SKIP LOCKED
            )
            UPDATE work
            SET lease = $5, leased_until = now() + make_interval(secs => $6)
            FROM due
            WHERE work.id = due.id
            RETURNING work.id, portal_id, matter, signal, key, cause, failures, wanted
            "#,
            judge.rule_set,
            judge.portals,
            share == WorkScope::Portals,
            at_most,
            lease,
            hold.as_secs_f64(),
        )
        .fetch_all(self.pool())
        .await?;
        rows.sort_unstable_by_key(|row| row.id);
        rows.into_iter().map(|row| row.work(lease)).collect()
    }

    /// Whether work items wait for `judge`, claimed or not.
    pub async fn owes_work(&self, judge: JudgingRuleSet<'_>) -> Result<bool, JournalError> {
        Ok(sqlx::query_scalar!(
            r#"
            SELECT EXISTS (
                SELECT
                FROM work
                WHERE due_at <= now() AND NOT $1 = ANY(judged)
                    AND ($2::uuid[] IS NULL OR portal_id = ANY($2))
            ) AS "owes!"
            "#,
            judge.rule_set,
            judge.portals,
        )
        .fetch_one(self.pool())
        .await?)
    }

    /// How many work items could not be judged at the last try.
    pub async fn failing_work(&self) -> Result<i64, JournalError> {
        Ok(
            sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM work WHERE failures > 0"#)
                .fetch_one(self.pool())
                .await?,
        )
    }

    /// Notes in the caller's transaction that a rule set has judged these. A work item is deleted
    /// once all running rule sets have judged it; one that was added again meanwhile stays, to be
    /// judged again.
    pub async fn judged(
        &self,
        tx: &mut Connection,
        rule_set: &str,
        work: &[Work],
    ) -> Result<(), JournalError> {
        sqlx::query_file!(
            "src/act/judged.sql",
            rule_set,
            &work.iter().map(|one| one.id).collect::<Vec<_>>(),
            &work.iter().map(|one| one.lease).collect::<Vec<_>>(),
            &work.iter().map(|one| one.wanted).collect::<Vec<_>>(),
            ALIVE.as_secs_f64(),
            KEPT.as_secs_f64(),
        )
        .execute(tx)
        .await?;
        Ok(())
    }

    /// Gives claims back, to be judged again after `wait`; `failed` where they could not be judged.
    pub async fn put_off(
        &self,
        work: &[Work],
        wait: Duration,
        failed: bool,
    ) -> Result<(), JournalError> {
        sqlx::query!(
            r"
            UPDATE work
            SET
                lease = NULL,
                leased_until = NULL,
                failures = failures + $4::integer,
                -- Whoever promised it again since wants it now.
                due_at = CASE WHEN work.wanted = mine.wanted
                    THEN now() + make_interval(secs => $5)
                    ELSE due_at END
            FROM UNNEST($1::uuid[], $2::uuid[], $3::bigint[]) AS mine (id, lease, wanted)
            WHERE work.id = mine.id AND work.lease = mine.lease
            ",
            &work.iter().map(|one| one.id).collect::<Vec<_>>(),
            &work.iter().map(|one| one.lease).collect::<Vec<_>>(),
            &work.iter().map(|one| one.wanted).collect::<Vec<_>>(),
            i32::from(failed),
            wait.as_secs_f64(),
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Deletes work items that every rule set has judged that still runs, and those that no rule
    /// set has used for a week.
    pub async fn clear_work(&self) -> Result<(), JournalError> {
        sqlx::query!(
            r"
            WITH running AS (
                SELECT COALESCE(array_agg(DISTINCT rule_set), '{}') AS sets
                FROM rule_holders
                WHERE rule_set IS NOT NULL AND stopped_at IS NULL
                    AND renewed_at > now() - make_interval(secs => $1)
            ), forgotten AS (
                DELETE FROM rule_sets
                WHERE seen_at < now() - make_interval(secs => $2)
            )
            DELETE FROM work
            USING running
            WHERE (leased_until IS NULL OR leased_until < now())
                AND (
                    created_at < now() - make_interval(secs => $2)
                    OR (running.sets <> '{}' AND judged @> running.sets)
                )
            ",
            ALIVE.as_secs_f64(),
            KEPT.as_secs_f64(),
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }
}
