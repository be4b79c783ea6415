//! A person's lasting no to a deed that gives something. A person who rejects or cancels an
//! approval, an invitation or a membership means the deed, not the one action. It is in force until
//! it is lifted.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::act::chain::{NewChain, NewStep};
use crate::act::person::Person;
use crate::act::{Queue, Target};
use crate::journal::{Connection, JournalError};
use crate::rules::Deed;

/// A veto in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Veto {
    /// Its id.
    pub id: Uuid,
    /// The portal.
    pub portal_id: Uuid,
    /// The word for the deed.
    pub deed: String,
    /// To whom or what it is not to be done.
    pub target: Target,
    /// The team, by `name:` or `id:`, where the deed is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Who made it.
    pub by: String,
    /// Why, in their words.
    #[schema(required = true)]
    pub reason: Option<String>,
    /// The action that was rejected or cancelled, or that a person asked for instead.
    pub action: Uuid,
    /// When.
    pub at: DateTime<Utc>,
}

struct VetoRow {
    id: Uuid,
    portal_id: Uuid,
    target_kind: String,
    target_id: Uuid,
    application_id: Option<Uuid>,
    deed: String,
    deed_key: String,
    by_whom: String,
    reason: Option<String>,
    action: Uuid,
    created_at: DateTime<Utc>,
}

impl TryFrom<VetoRow> for Veto {
    type Error = JournalError;

    fn try_from(row: VetoRow) -> Result<Self, JournalError> {
        let target = Target::from_columns(&row.target_kind, row.target_id, row.application_id);
        let team = row.deed_key.strip_prefix(&row.deed);
        Ok(Self {
            id: row.id,
            portal_id: row.portal_id,
            team: team
                .and_then(|rest| rest.strip_prefix(':'))
                .map(str::to_owned),
            deed: row.deed,
            target: target.ok_or(JournalError::Inconsistent {
                table: "vetoes",
                column: "target_kind",
            })?,
            by: row.by_whom,
            reason: row.reason,
            action: row.action,
            at: row.created_at,
        })
    }
}

impl Queue {
    /// The vetoes in force, newest first, beginning after the one with the id `after`.
    pub async fn vetoes(&self, after: Option<Uuid>, limit: i64) -> Result<Vec<Veto>, JournalError> {
        let rows = sqlx::query_as!(
            VetoRow,
            r"
            SELECT
                id, portal_id, target_kind, target_id, application_id, deed, deed_key, by_whom,
                reason, action, created_at
            FROM vetoes
            WHERE lifted_at IS NULL AND ($1::uuid IS NULL OR id < $1)
                AND ($3::uuid[] IS NULL OR portal_id = ANY($3))
            ORDER BY id DESC
            LIMIT $2
            ",
            after,
            limit,
            self.portals().ids(),
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The vetoes in force about any of `targets`, newest first.
    pub async fn vetoes_about(
        &self,
        portal_id: Uuid,
        targets: &[Uuid],
        limit: i64,
    ) -> Result<Vec<Veto>, JournalError> {
        if !self.portals().has(portal_id) {
            return Ok(Vec::new());
        }
        let rows = sqlx::query_as!(
            VetoRow,
            r"
            SELECT
                id, portal_id, target_kind, target_id, application_id, deed, deed_key, by_whom,
                reason, action, created_at
            FROM vetoes
            WHERE portal_id = $1 AND target_id = ANY($2) AND lifted_at IS NULL
            ORDER BY id DESC
            LIMIT $3
            ",
            portal_id,
            targets,
            limit,
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// Lifts a veto in the name of `person`; none where no such veto is in force.
    pub async fn lift_veto(&self, id: Uuid, person: &Person) -> Result<Option<Veto>, JournalError> {
        let row = sqlx::query_as!(
            VetoRow,
            r"
            UPDATE vetoes
            SET lifted_at = now(), lifted_by = $2, lift_reason = $3
            WHERE id = $1 AND lifted_at IS NULL
                AND ($4::uuid[] IS NULL OR portal_id = ANY($4))
            RETURNING
                id, portal_id, target_kind, target_id, application_id, deed, deed_key, by_whom,
                reason, action, created_at
            ",
            id,
            person.name,
            person.reason,
            self.portals().ids(),
        )
        .fetch_optional(self.pool())
        .await?;
        row.map(TryInto::try_into).transpose()
    }

    /// When a veto was last lifted, if one ever was.
    pub async fn last_lift(&self) -> Result<Option<DateTime<Utc>>, JournalError> {
        Ok(sqlx::query_scalar!("SELECT max(lifted_at) FROM vetoes")
            .fetch_one(self.pool())
            .await?)
    }

    /// The veto that excludes a step of a chain.
    pub async fn veto_on(
        &self,
        chain: &NewChain,
        step: &NewStep,
    ) -> Result<Option<Veto>, JournalError> {
        let row = sqlx::query_as!(
            VetoRow,
            r"
            SELECT
                id, portal_id, target_kind, target_id, application_id, deed, deed_key, by_whom,
                reason, action, created_at
            FROM vetoes
            WHERE portal_id = $1 AND target_id = $2 AND deed_key = $3 AND lifted_at IS NULL
            ",
            chain.portal_id,
            step.target.id(),
            step.deed.key(),
        )
        .fetch_optional(self.pool())
        .await?;
        row.map(TryInto::try_into).transpose()
    }

    /// Stores a veto about the target of an action, if the deed gives something: against `deed`, or
    /// else against the action's own.
    pub(super) async fn veto(
        &self,
        tx: &mut Connection,
        action: Uuid,
        deed: Option<&Deed>,
        person: &Person,
    ) -> Result<(), JournalError> {
        sqlx::query!(
            r"
            INSERT INTO vetoes (
                id, portal_id, target_kind, target_id, application_id, deed, deed_key, by_whom,
                reason, action
            )
            SELECT
                $1, portal_id, target_kind, target_id, application_id, COALESCE($5, deed),
                COALESCE($6, deed_key), $3, $4, id
            FROM actions
            WHERE id = $2
                AND COALESCE($5, deed) IN (
                    'approve_developer', 'approve_registration', 'add_to_team', 'invite_developer'
                )
            ON CONFLICT DO NOTHING
            ",
            self.ids.next(),
            action,
            person.name,
            person.reason,
            deed.map(Deed::name),
            deed.map(Deed::key),
        )
        .execute(tx)
        .await?;
        Ok(())
    }
}

/// Lifts the vetoes that exclude the deed of an action that a person approves.
pub(super) async fn lift(
    tx: &mut Connection,
    action: Uuid,
    person: &Person,
) -> Result<(), JournalError> {
    sqlx::query!(
        r"
        UPDATE vetoes
        SET lifted_at = now(), lifted_by = $2, lift_reason = $3
        FROM actions a
        WHERE a.id = $1 AND vetoes.lifted_at IS NULL AND vetoes.portal_id = a.portal_id
            AND vetoes.target_id = a.target_id AND vetoes.deed_key = a.deed_key
        ",
        action,
        person.name,
        person.reason,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// The action of the veto that excludes a step.
pub(super) async fn stands_in_the_way(
    tx: &mut Connection,
    portal_id: Uuid,
    step: &NewStep,
) -> Result<Option<Uuid>, JournalError> {
    Ok(sqlx::query_scalar!(
        r"
        SELECT action
        FROM vetoes
        WHERE portal_id = $1 AND target_id = $2 AND deed_key = $3 AND lifted_at IS NULL
        ",
        portal_id,
        step.target.id(),
        step.deed.key(),
    )
    .fetch_optional(tx)
    .await?)
}
