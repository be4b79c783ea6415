//! Lists of actions for people: newest first, by keyset.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::act::{Action, ActionState, Queue, Target};
use crate::event::MembershipChange;
use crate::journal::JournalError;

/// Which actions to list.
#[derive(Debug, Clone, Default)]
pub struct ActionFilter {
    /// Only those in this state.
    pub state: Option<ActionState>,
    /// Only those of this rule.
    pub rule: Option<String>,
    /// Only those of this deed.
    pub deed: Option<String>,
    /// Only those of this portal.
    pub portal_id: Option<Uuid>,
    /// Only those done to this developer, application or registration.
    pub target_id: Option<Uuid>,
}

/// The position where a page ends: the next page has what was decided before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActionPosition {
    /// When the last action of the page was decided.
    pub created_at: DateTime<Utc>,
    /// Its id.
    pub id: Uuid,
}

impl From<&Action> for ActionPosition {
    fn from(action: &Action) -> Self {
        Self {
            created_at: action.created_at,
            id: action.id,
        }
    }
}

/// A row before its words are checked.
pub(super) struct ActionRow {
    pub(super) id: Uuid,
    pub(super) rule: String,
    pub(super) deed: String,
    pub(super) target_kind: String,
    pub(super) target_id: Uuid,
    pub(super) application_id: Option<Uuid>,
    pub(super) state: String,
    pub(super) attempts: i32,
    pub(super) causes: Vec<Uuid>,
    pub(super) reason: Option<String>,
    pub(super) report: Option<Value>,
    pub(super) portal_id: Uuid,
    pub(super) created_at: DateTime<Utc>,
    pub(super) updated_at: DateTime<Utc>,
}

impl TryFrom<ActionRow> for Action {
    type Error = JournalError;

    fn try_from(row: ActionRow) -> Result<Self, JournalError> {
        let inconsistent = |column| JournalError::Inconsistent {
            table: "actions",
            column,
        };
        Ok(Self {
            id: row.id,
            rule: row.rule,
            deed: row.deed,
            target: Target::from_columns(&row.target_kind, row.target_id, row.application_id)
                .ok_or_else(|| inconsistent("target_kind"))?,
            state: row.state.parse().map_err(|_| inconsistent("state"))?,
            attempts: row.attempts,
            causes: row.causes,
            reason: row.reason,
            report: row.report,
            portal_id: row.portal_id,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

impl Queue {
    /// Lists up to `limit` actions decided before `after`, newest first.
    pub async fn list(
        &self,
        filter: &ActionFilter,
        after: Option<ActionPosition>,
        limit: i64,
    ) -> Result<Vec<Action>, JournalError> {
        let portals = self.portals().narrowed(filter.portal_id);
        let rows = sqlx::query_as!(
            ActionRow,
            r"
            SELECT
                id, rule, deed, target_kind, target_id, application_id, state, attempts, causes,
                reason, report, portal_id, created_at, updated_at
            FROM actions
            WHERE ($1::text IS NULL OR state = $1)
                AND ($2::text IS NULL OR rule = $2)
                AND ($3::text IS NULL OR deed = $3)
                AND ($4::uuid IS NULL OR portal_id = $4)
                AND ($5::uuid IS NULL OR target_id = $5)
                AND (
                    $6::timestamptz IS NULL
                    OR (created_at, id) < ($6::timestamptz, $7::uuid)
                )
                AND ($9::uuid[] IS NULL OR portal_id = ANY($9))
            ORDER BY created_at DESC, id DESC
            LIMIT $8
            ",
            filter.state.map(ActionState::as_str),
            filter.rule,
            filter.deed,
            portals.one(),
            filter.target_id,
            after.map(|position| position.created_at),
            after.map(|position| position.id),
            limit,
            portals.others(),
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Lists up to `limit` actions about any of `targets`: those that are open first, each sort
    /// newest first. With a `cause`, only those that this event led to, the newest first.
    pub async fn about(
        &self,
        (portal_id, targets): (Uuid, &[Uuid]),
        cause: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<Action>, JournalError> {
        if targets.is_empty() || !self.portals().has(portal_id) {
            return Ok(Vec::new());
        }
        let rows = sqlx::query_as!(
            ActionRow,
            r"
            SELECT
                id, rule, deed, target_kind, target_id, application_id, state, attempts, causes,
                reason, report, portal_id, created_at, updated_at
            FROM actions
            WHERE portal_id = $1 AND target_id = ANY($2) AND ($3::uuid IS NULL OR $3 = ANY(causes))
            ORDER BY
                ($3::uuid IS NULL AND state IN ('planned', 'running', 'parked')) DESC,
                created_at DESC, id DESC
            LIMIT $4
            ",
            portal_id,
            targets,
            cause,
            limit,
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Whether usher sent a write for `deed` on `target` within `within` before `at`, one that cut
    /// off the registration `cut_off` where one is named: a change since then is usher's own. `at`
    /// is now, except for questions about the past.
    pub(super) async fn wrote_lately(
        &self,
        (portal_id, target): (Uuid, Uuid),
        deed: &str,
        cut_off: Option<Uuid>,
        (within, at): (Duration, Option<DateTime<Utc>>),
    ) -> Result<bool, JournalError> {
        Ok(sqlx::query_scalar!(
            r#"
            SELECT EXISTS (
                SELECT
                FROM actions
                WHERE portal_id = $1 AND target_id = $2 AND deed = $3
                    AND write_sent_at > COALESCE($5, now()) - make_interval(secs => $4)
                    AND ($5::timestamptz IS NULL OR write_sent_at <= $5)
                    AND ($6::text IS NULL OR report -> 'registrations' ? $6)
            ) AS "exists!"
            "#,
            portal_id,
            target,
            deed,
            within.as_secs_f64(),
            at,
            cut_off.map(|registration| registration.to_string()),
        )
        .fetch_one(self.pool())
        .await?)
    }

    /// Whether usher wrote this change of a membership of `developer`'s in `portal_id`, at a time
    /// as with [`Queue::wrote_lately`]. Another team, or the other direction, is not usher's
    /// change.
    pub(super) async fn changed_membership_lately(
        &self,
        (portal_id, developer): (Uuid, Uuid),
        change: MembershipChange,
        (within, at): (Duration, Option<DateTime<Utc>>),
    ) -> Result<bool, JournalError> {
        let (team, joined) = match change {
            MembershipChange::Joined(team) => (team, true),
            MembershipChange::Left(team) => (team, false),
        };
        Ok(sqlx::query_scalar!(
            r#"
            SELECT EXISTS (
                SELECT
                FROM actions
                WHERE portal_id = $1 AND target_id = $2
                    AND write_sent_at > COALESCE($5, now()) - make_interval(secs => $4)
                    AND ($5::timestamptz IS NULL OR write_sent_at <= $5)
                    -- Those of an older usher do not say which team they found.
                    AND CASE deed
                        WHEN 'add_to_team' THEN $6
                            AND COALESCE(report ->> 'team_id' = $3, state = 'done')
                        WHEN 'remove_from_team' THEN NOT $6
                            AND COALESCE(report ->> 'team_id' = $3, state = 'done')
                        WHEN 'revoke_developer' THEN NOT $6 AND report -> 'teams' ? $3
                        ELSE false
                    END
            ) AS "exists!"
            "#,
            portal_id,
            developer,
            team.to_string(),
            within.as_secs_f64(),
            at,
            joined,
        )
        .fetch_one(self.pool())
        .await?)
    }

    /// How long until the next action that waits for its time is due; none when none waits.
    pub(super) async fn next_due(&self) -> Result<Option<Duration>, JournalError> {
        let seconds = sqlx::query_scalar!(
            r"
            SELECT EXTRACT(EPOCH FROM min(next_attempt_at) - now())::float8
            FROM actions
            -- What is due already and was not claimed waits for another action.
            WHERE state IN ('planned', 'running') AND next_attempt_at > now()
                AND next_attempt_at < 'infinity'
            ",
        )
        .fetch_one(self.pool())
        .await?;
        Ok(seconds.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default()))
    }
}
