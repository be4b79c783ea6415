//! Writes what a sweep changed, a table at a time. Called only under the portal's lock, with
//! revisions already decided.

use crate::journal::Connection;
use chrono::{DateTime, Utc};
use konnect::PortalId;
use uuid::Uuid;

use crate::directory::compare::stored_text;
use crate::directory::difference::Changes;
use crate::directory::objects::Owner;
use crate::directory::subjects;
use crate::journal::JournalError;

/// Where and when rows are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowWriter {
    pub portal: PortalId,
    pub sweep: i64,
    pub now: DateTime<Utc>,
}

impl RowWriter {
    /// Writes everything in `changes` except the differences.
    pub(super) async fn write(
        self,
        tx: &mut Connection,
        changes: &Changes<'_>,
    ) -> Result<(), JournalError> {
        self.portal(tx, changes).await?;
        self.developers(tx, changes).await?;
        self.teams(tx, changes).await?;
        self.memberships(tx, changes).await?;
        self.applications(tx, changes).await?;
        self.registrations(tx, changes).await?;
        let people: Vec<_> = changes.developers.iter().map(|write| write.item).collect();
        subjects::write(tx, self.portal, &people).await
    }

    async fn portal(self, tx: &mut Connection, changes: &Changes<'_>) -> Result<(), JournalError> {
        let Some(write) = &changes.portal else {
            return Ok(());
        };
        sqlx::query!(
            r"
            INSERT INTO directory_portals (
                portal_id, name, auto_approve_developers, auto_approve_applications,
                api_created_at, api_updated_at, look, revision, first_seen_at, last_seen_at
            )
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
            ON CONFLICT (portal_id) DO UPDATE
            SET
                name = EXCLUDED.name,
                auto_approve_developers = EXCLUDED.auto_approve_developers,
                auto_approve_applications = EXCLUDED.auto_approve_applications,
                api_created_at = EXCLUDED.api_created_at,
                api_updated_at = EXCLUDED.api_updated_at,
                look = EXCLUDED.look,
                revision = EXCLUDED.revision,
                last_seen_at = EXCLUDED.last_seen_at,
                gone_at = NULL
            ",
            self.portal.0,
            stored_text(&write.item.name),
            write.item.auto_approve_developers.unwrap_or(false),
            write.item.auto_approve_applications.unwrap_or(false),
            write.item.created_at,
            write.item.updated_at,
            self.sweep,
            write.revision,
            self.now,
        )
        .execute(tx)
        .await?;
        Ok(())
    }

    async fn developers(
        self,
        tx: &mut Connection,
        changes: &Changes<'_>,
    ) -> Result<(), JournalError> {
        let writes = &changes.developers;
        if writes.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            r"
            INSERT INTO directory_developers (
                portal_id, developer_id, status, api_created_at, api_updated_at,
                look, revision, first_seen_at, last_seen_at
            )
            SELECT $1, id, status, api_created_at, api_updated_at, $2, revision, $3, $3
            FROM UNNEST($4::uuid[], $5::text[], $6::timestamptz[], $7::timestamptz[], $8::bigint[])
                AS t (id, status, api_created_at, api_updated_at, revision)
            ON CONFLICT (portal_id, developer_id) DO UPDATE
            SET
                status = EXCLUDED.status,
                api_created_at = EXCLUDED.api_created_at,
                api_updated_at = EXCLUDED.api_updated_at,
                look = EXCLUDED.look,
                revision = EXCLUDED.revision,
                last_seen_at = EXCLUDED.last_seen_at,
                gone_at = NULL,
                approved_at = COALESCE(
                    directory_developers.approved_at,
                    CASE WHEN EXCLUDED.status = 'approved'
                        AND directory_developers.status = 'pending'
                    THEN EXCLUDED.last_seen_at END
                )
            ",
            self.portal.0,
            self.sweep,
            self.now,
            &writes.iter().map(|w| w.item.id.0).collect::<Vec<_>>(),
            &writes
                .iter()
                .map(|w| stored_text(w.item.status.as_str()))
                .collect::<Vec<_>>(),
            &writes.iter().map(|w| w.item.created_at).collect::<Vec<_>>()
                as &[Option<DateTime<Utc>>],
            &writes.iter().map(|w| w.item.updated_at).collect::<Vec<_>>()
                as &[Option<DateTime<Utc>>],
            &writes.iter().map(|w| w.revision).collect::<Vec<_>>(),
        )
        .execute(tx)
        .await?;
        Ok(())
    }

    async fn teams(self, tx: &mut Connection, changes: &Changes<'_>) -> Result<(), JournalError> {
        let writes = &changes.teams;
        if writes.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            r"
            INSERT INTO directory_teams (
                portal_id, team_id, name, can_own_applications, api_created_at, api_updated_at,
                look, revision, first_seen_at, last_seen_at
            )
            SELECT
                $1, id, name, can_own_applications, api_created_at, api_updated_at,
                $2, revision, $3, $3
            FROM UNNEST(
                $4::uuid[], $5::text[], $6::boolean[], $7::timestamptz[], $8::timestamptz[],
                $9::bigint[]
            ) AS t (id, name, can_own_applications, api_created_at, api_updated_at, revision)
            ON CONFLICT (portal_id, team_id) DO UPDATE
            SET
                name = EXCLUDED.name,
                can_own_applications = EXCLUDED.can_own_applications,
                api_created_at = EXCLUDED.api_created_at,
                api_updated_at = EXCLUDED.api_updated_at,
                look = EXCLUDED.look,
                revision = EXCLUDED.revision,
                last_seen_at = EXCLUDED.last_seen_at,
                gone_at = NULL
            ",
            self.portal.0,
            self.sweep,
            self.now,
            &writes.iter().map(|w| w.item.id.0).collect::<Vec<_>>(),
            &writes
                .iter()
                .map(|w| stored_text(&w.item.name))
                .collect::<Vec<_>>(),
            &writes
                .iter()
                .map(|w| w.item.can_own_applications.unwrap_or(false))
                .collect::<Vec<_>>(),
            &writes.iter().map(|w| w.item.created_at).collect::<Vec<_>>()
                as &[Option<DateTime<Utc>>],
            &writes.iter().map(|w| w.item.updated_at).collect::<Vec<_>>()
                as &[Option<DateTime<Utc>>],
            &writes.iter().map(|w| w.revision).collect::<Vec<_>>(),
        )
        .execute(tx)
        .await?;
        Ok(())
    }

    async fn memberships(
        self,
        tx: &mut Connection,
        changes: &Changes<'_>,
    ) -> Result<(), JournalError> {
        let writes = &changes.memberships;
        if writes.is_empty() {
            return Ok(());
        }
        sqlx::query!(
            r"
            INSERT INTO directory_memberships (
                portal_id, team_id, developer_id, look, revision, first_seen_at, last_seen_at
            )
            SELECT $1, team_id, developer_id, $2, revision, $3, $3
            FROM UNNEST($4::uuid[], $5::uuid[], $6::bigint[])
                AS t (team_id, developer_id, revision)
            ON CONFLICT (portal_id, team_id, developer_id) DO UPDATE
            SET
                look = EXCLUDED.look,
                revision = EXCLUDED.revision,
                last_seen_at = EXCLUDED.last_seen_at,
                gone_at = NULL,
                -- A look that began before the deed may still show it: only once it was gone and is
                -- back is its next end somebody else's.
                ended_by_deed_at = CASE WHEN directory_memberships.gone_at IS NULL
                    THEN directory_memberships.ended_by_deed_at END
            ",
            self.portal.0,
            self.sweep,
            self.now,
            &writes.iter().map(|w| w.item.0.0).collect::<Vec<_>>(),
            &writes.iter().map(|w| w.item.1.0).collect::<Vec<_>>(),
            &writes.iter().map(|w| w.revision).collect::<Vec<_>>(),
        )
        .execute(tx)
        .await?;
        Ok(())
    }

    async fn applications(
        self,
        tx: &mut Connection,
        changes: &Changes<'_>,
    ) -> Result<(), JournalError> {
        let writes = &changes.applications;
        if writes.is_empty() {
            return Ok(());
        }
        let owners: Vec<Option<Owner>> = writes
            .iter()
            .map(|w| w.item.owner.as_ref().and_then(Owner::from_api))
            .collect();
        sqlx::query!(
            r"
            INSERT INTO directory_applications (
                portal_id, application_id, name, owner_type, owner_id,
                api_created_at, api_updated_at, look, revision, first_seen_at, last_seen_at
            )
            SELECT
                $1, id, name, owner_type, owner_id,
                api_created_at, api_updated_at, $2, revision, $3, $3
            FROM UNNEST(
                $4::uuid[], $5::text[], $6::text[], $7::uuid[], $8::timestamptz[],
                $9::timestamptz[], $10::bigint[]
            ) AS t (id, name, owner_type, owner_id, api_created_at, api_updated_at, revision)
            ON CONFLICT (portal_id, application_id) DO UPDATE
            SET
                name = EXCLUDED.name,
                owner_type = EXCLUDED.owner_type,
                owner_id = EXCLUDED.owner_id,
                api_created_at = EXCLUDED.api_created_at,
                api_updated_at = EXCLUDED.api_updated_at,
                look = EXCLUDED.look,
                revision = EXCLUDED.revision,
                last_seen_at = EXCLUDED.last_seen_at,
                gone_at = NULL
            ",
            self.portal.0,
            self.sweep,
            self.now,
            &writes.iter().map(|w| w.item.id.0).collect::<Vec<_>>(),
            &writes
                .iter()
                .map(|w| stored_text(&w.item.name))
                .collect::<Vec<_>>(),
            &owners
                .iter()
                .map(|o| o.map(|o| o.kind().to_owned()))
                .collect::<Vec<_>>() as &[Option<String>],
            &owners.iter().map(|o| o.map(Owner::id)).collect::<Vec<_>>() as &[Option<Uuid>],
            &writes.iter().map(|w| w.item.created_at).collect::<Vec<_>>()
                as &[Option<DateTime<Utc>>],
            &writes.iter().map(|w| w.item.updated_at).collect::<Vec<_>>()
                as &[Option<DateTime<Utc>>],
            &writes.iter().map(|w| w.revision).collect::<Vec<_>>(),
        )
        .execute(tx)
        .await?;
        Ok(())
    }

    async fn registrations(
        self,
        tx: &mut Connection,
        changes: &Changes<'_>,
    ) -> Result<(), JournalError> {
        let writes = &changes.registrations;
        if writes.is_empty() {
            return Ok(());
        }
        let text = |pick: fn(&konnect::RegisteredApi) -> Option<&String>| -> Vec<Option<String>> {
            writes
                .iter()
                .map(|w| pick(&w.item.api).map(|text| stored_text(text)))
                .collect()
        };
        sqlx::query!(
            r"
            INSERT INTO directory_registrations (
                portal_id, registration_id, application_id, status,
                api_id, api_name, api_version, api_entity_type, api_created_at, api_updated_at,
                look, revision, first_seen_at, last_seen_at
            )
            SELECT
                $1, id, application_id, status,
                api_id, api_name, api_version, api_entity_type, api_created_at, api_updated_at,
                $2, revision, $3, $3
            FROM UNNEST(
                $4::uuid[], $5::uuid[], $6::text[], $7::uuid[], $8::text[], $9::text[],
                $10::text[], $11::timestamptz[], $12::timestamptz[], $13::bigint[]
            ) AS t (
                id, application_id, status, api_id, api_name, api_version,
                api_entity_type, api_created_at, api_updated_at, revision
            )
            ON CONFLICT (portal_id, registration_id) DO UPDATE
            SET
                application_id = EXCLUDED.application_id,
                status = EXCLUDED.status,
                api_id = EXCLUDED.api_id,
                api_name = EXCLUDED.api_name,
                api_version = EXCLUDED.api_version,
                api_entity_type = EXCLUDED.api_entity_type,
                api_created_at = EXCLUDED.api_created_at,
                api_updated_at = EXCLUDED.api_updated_at,
                look = EXCLUDED.look,
                revision = EXCLUDED.revision,
                last_seen_at = EXCLUDED.last_seen_at,
                gone_at = NULL,
                approved_at = COALESCE(
                    directory_registrations.approved_at,
                    CASE WHEN EXCLUDED.status = 'approved'
                        AND directory_registrations.status = 'pending'
                    THEN EXCLUDED.last_seen_at END
                )
            ",
            self.portal.0,
            self.sweep,
            self.now,
            &writes.iter().map(|w| w.item.id.0).collect::<Vec<_>>(),
            &writes
                .iter()
                .map(|w| w.item.application.id.0)
                .collect::<Vec<_>>(),
            &writes
                .iter()
                .map(|w| stored_text(w.item.status.as_str()))
                .collect::<Vec<_>>(),
            &writes.iter().map(|w| w.item.api.id.0).collect::<Vec<_>>(),
            &writes
                .iter()
                .map(|w| stored_text(&w.item.api.name))
                .collect::<Vec<_>>(),
            &text(|api| api.version.as_ref()) as &[Option<String>],
            &text(|api| api.entity_type.as_ref()) as &[Option<String>],
            &writes.iter().map(|w| w.item.created_at).collect::<Vec<_>>()
                as &[Option<DateTime<Utc>>],
            &writes.iter().map(|w| w.item.updated_at).collect::<Vec<_>>()
                as &[Option<DateTime<Utc>>],
            &writes.iter().map(|w| w.revision).collect::<Vec<_>>(),
        )
        .execute(tx)
        .await?;
        Ok(())
    }
}
