//! Claims of actions under a lease, the order inside a chain, and write notes.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Deserialize as _;
use serde_json::Value;
use tokio::time::Instant;
use uuid::Uuid;

use crate::act::call_off::{ALIVE, columns};
use crate::act::{Kind, LiveRule, Queue, Target};
use crate::journal::{Connection, JournalError};
use crate::rules::Deed;

/// An action that a worker has claimed, or one that is only checked: its lease is nil then.
#[derive(Debug, Clone)]
pub(super) struct Claimed {
    /// The action as it is stored.
    pub(super) row: ClaimedRow,
    /// When it was claimed, or earlier: the lease counts from then.
    pub(super) since: Instant,
    pub(super) deed: Deed,
    pub(super) target: Target,
    /// How long it has waited for an API or a network in trouble.
    pub(super) trouble: Duration,
}

/// The write note: a write of an action is about to be sent.
#[derive(Debug, Clone)]
pub(super) struct Note {
    pub(super) id: Uuid,
    pub(super) lease: Uuid,
    /// What the deed has done so far and is about to do, where it keeps an account.
    pub(super) report: Option<Value>,
}

/// Which kinds of deeds are claimed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kinds<'a> {
    /// This one.
    Only(&'a Kind),
    /// All but these.
    AllBut(&'a [Kind]),
    /// Notices about usher itself alone: they need no token.
    OfOperation,
}

impl Claimed {
    /// The kind of its deed, which Konnect may forbid.
    pub(super) fn kind(&self) -> Kind {
        Kind {
            deed: self.deed.name(),
            portal_id: self.row.portal_id,
        }
    }
}

/// The columns of an action that is claimed.
#[derive(Debug, Clone)]
pub(super) struct ClaimedRow {
    pub(super) id: Uuid,
    /// Differs with every claim, so that a worker that was too slow cannot change the action any
    /// more.
    pub(super) lease: Uuid,
    pub(super) portal_id: Uuid,
    pub(super) rule: String,
    pub(super) spec: Value,
    pub(super) target_kind: String,
    pub(super) target_id: Uuid,
    pub(super) application_id: Option<Uuid>,
    pub(super) attempts: i32,
    /// Whether an earlier attempt may have written.
    pub(super) write_sent: bool,
    /// What earlier attempts have done, where the deed keeps an account.
    pub(super) report: Option<Value>,
    /// Whether it may start regardless of its rule's other deeds: it started before, or nothing
    /// limits it.
    pub(super) is_admitted: bool,
    /// The kind of the signal that is answered, and its key.
    pub(super) signal: String,
    pub(super) signal_key: String,
    /// The facts that the rule used for its decision.
    pub(super) facts: Value,
    pub(super) causes: Vec<Uuid>,
    pub(super) created_at: DateTime<Utc>,
    /// Seconds.
    pub(super) trouble: f64,
    /// Of its attempts, those that met trouble outside of the action.
    pub(super) outlasted: i32,
    /// How often it was requested while a worker had it.
    pub(super) wanted: i32,
    /// Whether a veto against it is in force.
    pub(super) is_vetoed: bool,
}

impl ClaimedRow {
    pub(super) fn claimed(self, since: Instant) -> Result<Claimed, JournalError> {
        let inconsistent = |column| JournalError::Inconsistent {
            table: "actions",
            column,
        };
        Ok(Claimed {
            deed: Deed::deserialize(&self.spec).map_err(|_| inconsistent("spec"))?,
            target: Target::from_columns(&self.target_kind, self.target_id, self.application_id)
                .ok_or_else(|| inconsistent("target_kind"))?,
            trouble: Duration::try_from_secs_f64(self.trouble).unwrap_or_default(),
            since,
            row: self,
        })
    }
}

impl Queue {
    /// Claims up to `at_most` actions for the time `hold`, those due longest first. Actions of a
    /// crashed worker are due again when their lease ends. An action without a limit starts with
    /// its claim. `kinds` says which kinds are claimed. Actions of rules other than `rules` are
    /// left to the instances that have these rules; none means all. Two are claimed all the same:
    /// one that a person approved, and one that may have been written and whose rule no instance
    /// has.
    pub(super) async fn claim(
        &self,
        hold: Duration,
        at_most: usize,
        kinds: Kinds<'_>,
        rules: Option<&[LiveRule]>,
    ) -> Result<Vec<Claimed>, JournalError> {
        let since = Instant::now();
        let (names, portals) = rules.map(columns).unzip();
        let of_operation = matches!(kinds, Kinds::OfOperation);
        let (kinds, is_among) = match kinds {
            Kinds::Only(kind) => (std::slice::from_ref(kind), true),
            Kinds::AllBut(kinds) => (kinds, false),
            Kinds::OfOperation => (&[][..], false),
        };
        let mut tx = self.pool().begin().await?;
        // The planner cannot know how many are due: it would sort all of them where the index has
        // them in order.
        sqlx::query!("SET LOCAL enable_bitmapscan = off")
            .execute(&mut *tx)
            .await?;
        let rows = sqlx::query_file_as!(
            ClaimedRow,
            "src/act/claim.sql",
            hold.as_secs_f64(),
            i64::try_from(at_most).unwrap_or(i64::MAX),
            &kinds
                .iter()
                .map(|kind| kind.deed.to_owned())
                .collect::<Vec<_>>(),
            &kinds.iter().map(|kind| kind.portal_id).collect::<Vec<_>>(),
            is_among,
            names.as_deref(),
            ALIVE.as_secs_f64(),
            portals.as_deref() as Option<&[Option<Uuid>]>,
            of_operation,
        )
        .fetch_all(&mut *tx)
        .await?;
        tx.commit().await?;
        rows.into_iter().map(|row| row.claimed(since)).collect()
    }

    /// Whether an action of a kind is open that waits for no person.
    pub(super) async fn is_waiting(&self, kind: Kind) -> Result<bool, JournalError> {
        Ok(sqlx::query_scalar!(
            r#"
            SELECT EXISTS (
                SELECT
                FROM actions
                WHERE state IN ('planned', 'running') AND deed = $1 AND portal_id = $2
            ) AS "exists!"
            "#,
            kind.deed,
            kind.portal_id,
        )
        .fetch_one(self.pool())
        .await?)
    }

    /// Notes that writes are about to be sent, and renews the leases. `false` for each action that
    /// another worker took over: nothing may be sent for it.
    pub(super) async fn about_to_write(
        &self,
        hold: Duration,
        notes: &[Note],
    ) -> Result<Vec<bool>, JournalError> {
        let ids: Vec<Uuid> = notes.iter().map(|note| note.id).collect();
        let leases: Vec<Uuid> = notes.iter().map(|note| note.lease).collect();
        let reports: Vec<Option<Value>> = notes.iter().map(|note| note.report.clone()).collect();
        let ours: HashSet<Uuid> = sqlx::query_scalar!(
            r"
            UPDATE actions
            SET
                write_sent_at = now(),
                leased_until = now() + make_interval(secs => $4),
                report = COALESCE(note.report, actions.report),
                updated_at = now()
            FROM UNNEST($1::uuid[], $2::uuid[], $3::jsonb[]) AS note (id, lease, report)
            WHERE actions.id = note.id AND actions.lease = note.lease AND state = 'running'
            RETURNING actions.id
            ",
            &ids,
            &leases,
            &reports as &[Option<Value>],
            hold.as_secs_f64(),
        )
        .fetch_all(self.pool())
        .await?
        .into_iter()
        .collect();
        Ok(ids.iter().map(|id| ours.contains(id)).collect())
    }

    /// Renews the claim of an action that takes its time, and stores its account if it is new;
    /// `false` when another worker took it over.
    pub(super) async fn renew(
        &self,
        claimed: &Claimed,
        hold: Duration,
        report: Option<&Value>,
    ) -> Result<bool, JournalError> {
        let done = sqlx::query!(
            r"
            UPDATE actions
            SET
                leased_until = now() + make_interval(secs => $3),
                report = COALESCE($4, report)
            WHERE id = $1 AND lease = $2 AND state = 'running'
            ",
            claimed.row.id,
            claimed.row.lease,
            hold.as_secs_f64(),
            report,
        )
        .execute(self.pool())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Gives back a claim that must wait within the limit of its rule: an older usher planned it.
    pub(super) async fn wait_for_turn(&self, claimed: &Claimed) -> Result<(), JournalError> {
        sqlx::query!(
            r"
            UPDATE actions
            SET
                state = 'planned',
                lease = NULL,
                leased_until = NULL,
                waits_on = 'limit',
                next_attempt_at = 'infinity',
                updated_at = now()
            WHERE id = $1 AND lease = $2
            ",
            claimed.row.id,
            claimed.row.lease,
        )
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Gives a claim back, to be claimed again after `wait`, without any other trace.
    pub(super) async fn put_back(
        &self,
        claimed: &Claimed,
        wait: Duration,
    ) -> Result<(), JournalError> {
        let mut connection = self.pool().acquire().await?;
        give_back(
            &mut connection,
            &[(claimed.row.id, claimed.row.lease)],
            wait,
        )
        .await
    }
}

/// Gives back claims by action and lease, each as long as the lease is the action's.
pub(super) async fn give_back(
    connection: &mut Connection,
    claims: &[(Uuid, Uuid)],
    wait: Duration,
) -> Result<(), JournalError> {
    let (ids, leases): (Vec<Uuid>, Vec<Uuid>) = claims.iter().copied().unzip();
    sqlx::query!(
        r"
        UPDATE actions
        SET
            state = 'planned',
            lease = NULL,
            leased_until = NULL,
            next_attempt_at = now() + make_interval(secs => $3),
            updated_at = now()
        FROM UNNEST($1::uuid[], $2::uuid[]) AS mine (id, lease)
        WHERE actions.id = mine.id AND actions.lease = mine.lease
        ",
        &ids,
        &leases,
        wait.as_secs_f64(),
    )
    .execute(connection)
    .await?;
    Ok(())
}
