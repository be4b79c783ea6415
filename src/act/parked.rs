//! What waits for a person, the longest first, and the actions that a person chose to do something
//! to.

use serde_json::Value;
use uuid::Uuid;

use crate::act::list::ActionRow;
use crate::act::{Action, ActionFilter, ActionPosition, ActionState, Queue};
use crate::journal::JournalError;

/// A parked action with what a person needs to decide about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Parked {
    /// The action.
    pub action: Action,
    /// The whole deed.
    pub spec: Value,
    /// The facts that the rule used.
    pub facts: Value,
}

impl Queue {
    /// Lists up to `limit` parked actions decided after `after`, oldest first. The state of the
    /// filter does not count.
    pub async fn parked(
        &self,
        filter: &ActionFilter,
        after: Option<ActionPosition>,
        limit: i64,
    ) -> Result<Vec<Parked>, JournalError> {
        let portals = self.portals().narrowed(filter.portal_id);
        let rows = sqlx::query!(
            r"
            SELECT
                id, rule, deed, target_kind, target_id, application_id, state, attempts, causes,
                reason, report, portal_id, created_at, updated_at, spec, facts
            FROM actions
            -- Not by a parameter: the index of what is parked is for this state alone.
            WHERE state = 'parked'
                AND ($1::text IS NULL OR rule = $1)
                AND ($2::text IS NULL OR deed = $2)
                AND ($3::uuid IS NULL OR portal_id = $3)
                AND ($4::uuid IS NULL OR target_id = $4)
                AND (
                    $5::timestamptz IS NULL
                    OR (created_at, id) > ($5::timestamptz, $6::uuid)
                )
                AND ($8::uuid[] IS NULL OR portal_id = ANY($8))
            ORDER BY created_at, id
            LIMIT $7
            ",
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
        let parked = rows.into_iter().map(|row| {
            let action = ActionRow {
                id: row.id,
                rule: row.rule,
                deed: row.deed,
                target_kind: row.target_kind,
                target_id: row.target_id,
                application_id: row.application_id,
                state: row.state,
                attempts: row.attempts,
                causes: row.causes,
                reason: row.reason,
                report: row.report,
                portal_id: row.portal_id,
                created_at: row.created_at,
                updated_at: row.updated_at,
            };
            Ok(Parked {
                action: action.try_into()?,
                spec: row.spec,
                facts: row.facts,
            })
        });
        parked.collect()
    }

    /// The oldest `limit` actions that match, oldest first.
    pub async fn oldest(
        &self,
        filter: &ActionFilter,
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
                AND ($7::uuid[] IS NULL OR portal_id = ANY($7))
            ORDER BY created_at, id
            LIMIT $6
            ",
            filter.state.map(ActionState::as_str),
            filter.rule,
            filter.deed,
            portals.one(),
            filter.target_id,
            limit,
            portals.others(),
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The actions with these ids, oldest first; those that are gone are left out.
    pub async fn by_ids(&self, ids: &[Uuid]) -> Result<Vec<Action>, JournalError> {
        let rows = sqlx::query_as!(
            ActionRow,
            r"
            SELECT
                id, rule, deed, target_kind, target_id, application_id, state, attempts, causes,
                reason, report, portal_id, created_at, updated_at
            FROM actions
            WHERE id = ANY($1) AND ($2::uuid[] IS NULL OR portal_id = ANY($2))
            ORDER BY created_at, id
            ",
            ids,
            self.portals().ids(),
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }
}
