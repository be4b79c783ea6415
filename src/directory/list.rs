//! Queries for many objects; objects that are gone are left out.

use konnect::{DeveloperId, PortalId};

use crate::directory::Directory;
use crate::directory::objects::{Developer, Portal, Registration, Team};
use crate::directory::rows::{DeveloperRow, PortalRow, RegistrationRow, TeamRow};
use crate::journal::JournalError;

impl Directory {
    /// Lists the portals that are there, by name.
    pub async fn portals(&self) -> Result<Vec<Portal>, JournalError> {
        let rows = sqlx::query_as!(
            PortalRow,
            r"
            SELECT
                portal_id, name, auto_approve_developers, auto_approve_applications,
                api_created_at, api_updated_at,
                look, revision, first_seen_at, last_seen_at, gone_at
            FROM directory_portals
            WHERE gone_at IS NULL AND ($1::uuid[] IS NULL OR portal_id = ANY($1))
            ORDER BY name, portal_id
            ",
            self.journal.portals().ids(),
        )
        .fetch_all(self.journal.pool())
        .await?;
        Ok(rows.into_iter().map(Portal::from).collect())
    }

    /// Lists the developers who wait for an answer, oldest first.
    pub async fn pending_developers(
        &self,
        portal: PortalId,
    ) -> Result<Vec<Developer>, JournalError> {
        if !self.sees(portal) {
            return Ok(Vec::new());
        }
        let rows = sqlx::query_as!(
            DeveloperRow,
            r"
            SELECT
                portal_id, developer_id, status, api_created_at, api_updated_at,
                look, revision, first_seen_at, last_seen_at, gone_at
            FROM directory_developers
            WHERE portal_id = $1
                AND status = 'pending'
                AND gone_at IS NULL
            ORDER BY api_created_at, developer_id
            ",
            portal.0,
        )
        .fetch_all(self.journal.pool())
        .await?;
        Ok(rows.into_iter().map(Developer::from).collect())
    }

    /// Lists the registrations that wait for an answer, oldest first.
    pub async fn pending_registrations(
        &self,
        portal: PortalId,
    ) -> Result<Vec<Registration>, JournalError> {
        if !self.sees(portal) {
            return Ok(Vec::new());
        }
        let rows = sqlx::query_as!(
            RegistrationRow,
            r"
            SELECT
                portal_id, registration_id, application_id, status,
                api_id, api_name, api_version, api_entity_type, api_created_at, api_updated_at,
                look, revision, first_seen_at, last_seen_at, gone_at
            FROM directory_registrations
            WHERE portal_id = $1
                AND status = 'pending'
                AND gone_at IS NULL
            ORDER BY api_created_at, registration_id
            ",
            portal.0,
        )
        .fetch_all(self.journal.pool())
        .await?;
        Ok(rows.into_iter().map(Registration::from).collect())
    }

    /// Lists the teams that are there, by name.
    pub async fn teams(&self, portal: PortalId) -> Result<Vec<Team>, JournalError> {
        if !self.sees(portal) {
            return Ok(Vec::new());
        }
        let rows = sqlx::query_as!(
            TeamRow,
            r"
            SELECT
                portal_id, team_id, name, can_own_applications, api_created_at, api_updated_at,
                look, revision, first_seen_at, last_seen_at, gone_at
            FROM directory_teams
            WHERE portal_id = $1
                AND gone_at IS NULL
            ORDER BY name, team_id
            ",
            portal.0,
        )
        .fetch_all(self.journal.pool())
        .await?;
        Ok(rows.into_iter().map(Team::from).collect())
    }

    /// Lists the teams that a developer is in, by name.
    pub async fn teams_of(
        &self,
        portal: PortalId,
        developer: DeveloperId,
    ) -> Result<Vec<Team>, JournalError> {
        let rows = sqlx::query_as!(
            TeamRow,
            r"
            SELECT
                t.portal_id, t.team_id, t.name, t.can_own_applications,
                t.api_created_at, t.api_updated_at,
                t.look, t.revision, t.first_seen_at, t.last_seen_at, t.gone_at
            FROM directory_teams t
            JOIN directory_memberships m USING (portal_id, team_id)
            WHERE t.portal_id = $1
                AND m.developer_id = $2
                AND m.gone_at IS NULL
                AND t.gone_at IS NULL
            ORDER BY t.name, t.team_id
            ",
            portal.0,
            developer.0,
        )
        .fetch_all(self.journal.pool())
        .await?;
        Ok(rows.into_iter().map(Team::from).collect())
    }

    /// Lists the registrations of all applications that a developer owns, oldest first.
    pub async fn registrations_of(
        &self,
        portal: PortalId,
        developer: DeveloperId,
    ) -> Result<Vec<Registration>, JournalError> {
        if !self.sees(portal) {
            return Ok(Vec::new());
        }
        let rows = sqlx::query_as!(
            RegistrationRow,
            r"
            SELECT
                r.portal_id, r.registration_id, r.application_id, r.status,
                r.api_id, r.api_name, r.api_version, r.api_entity_type,
                r.api_created_at, r.api_updated_at,
                r.look, r.revision, r.first_seen_at, r.last_seen_at, r.gone_at
            FROM directory_registrations r
            JOIN directory_applications a USING (portal_id, application_id)
            WHERE r.portal_id = $1
                AND a.owner_type = 'developer'
                AND a.owner_id = $2
                AND r.gone_at IS NULL
            ORDER BY r.api_created_at, r.registration_id
            ",
            portal.0,
            developer.0,
        )
        .fetch_all(self.journal.pool())
        .await?;
        Ok(rows.into_iter().map(Registration::from).collect())
    }
}
