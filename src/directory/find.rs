//! Queries for one object, which facts and deeds are made from. An object that is gone is found by
//! its id and flagged.

use konnect::{ApplicationId, DeveloperId, PortalId, RegistrationId, TeamId};

use crate::directory::objects::{
    ApplicationRecord, Developer, DeveloperRecord, Membership, Portal, Registration,
    RegistrationRecord, Team,
};
use crate::directory::rows::TeamRow;
use crate::directory::stored_state::{
    stored_developers, stored_memberships, stored_portal, stored_registrations, stored_subjects,
    stored_teams,
};
use crate::directory::subjects::Subject;
use crate::directory::{Directory, PortalView, Subjects};
use crate::journal::JournalError;

impl Directory {
    /// Finds a portal.
    pub async fn portal(&self, id: PortalId) -> Result<Option<Portal>, JournalError> {
        if !self.sees(id) {
            return Ok(None);
        }
        let mut connection = self.journal.pool().acquire().await?;
        stored_portal(&mut connection, id).await
    }

    /// Finds a developer with e-mail and name, teams and applications.
    pub async fn developer(
        &self,
        portal: PortalId,
        id: DeveloperId,
    ) -> Result<Option<DeveloperRecord>, JournalError> {
        let subjects = Subjects {
            developers: vec![id],
            ..Subjects::default()
        };
        Ok(self.view_of(portal, &subjects).await?.developer(id))
    }

    /// Finds an application with its owner.
    pub async fn application(
        &self,
        portal: PortalId,
        id: ApplicationId,
    ) -> Result<Option<ApplicationRecord>, JournalError> {
        let subjects = Subjects {
            applications: vec![id],
            ..Subjects::default()
        };
        Ok(self.view_of(portal, &subjects).await?.application(id))
    }

    /// Finds a registration with its application and the application's owner.
    pub async fn registration(
        &self,
        portal: PortalId,
        id: RegistrationId,
    ) -> Result<Option<RegistrationRecord>, JournalError> {
        let subjects = Subjects {
            registrations: vec![id],
            ..Subjects::default()
        };
        Ok(self.view_of(portal, &subjects).await?.registration(id))
    }

    async fn view_of(
        &self,
        portal: PortalId,
        subjects: &Subjects,
    ) -> Result<PortalView, JournalError> {
        if !self.sees(portal) {
            return Ok(PortalView::empty());
        }
        self.load_related(portal, subjects).await
    }

    /// Finds a team.
    pub async fn team(&self, portal: PortalId, id: TeamId) -> Result<Option<Team>, JournalError> {
        if !self.sees(portal) {
            return Ok(None);
        }
        let mut connection = self.journal.pool().acquire().await?;
        let mut found = stored_teams(&mut connection, portal, &[id.0]).await?;
        Ok(found.remove(&id))
    }

    /// Finds the team of a name; the oldest of several.
    pub async fn team_by_name(
        &self,
        portal: PortalId,
        name: &str,
    ) -> Result<Option<Team>, JournalError> {
        let row = sqlx::query_as!(
            TeamRow,
            r"
            SELECT
                portal_id, team_id, name, can_own_applications, api_created_at, api_updated_at,
                look, revision, first_seen_at, last_seen_at, gone_at
            FROM directory_teams
            WHERE portal_id = $1
                AND name = $2
                AND gone_at IS NULL
            ORDER BY api_created_at, team_id
            LIMIT 1
            ",
            portal.0,
            name,
        )
        .fetch_optional(self.journal.pool())
        .await?;
        Ok(row.map(Team::from))
    }

    /// Finds the membership of a developer in a team, also one that ended.
    pub async fn membership(
        &self,
        portal: PortalId,
        team: TeamId,
        developer: DeveloperId,
    ) -> Result<Option<Membership>, JournalError> {
        let key = (team, developer);
        let mut connection = self.journal.pool().acquire().await?;
        let mut found = stored_memberships(&mut connection, portal, &[key]).await?;
        Ok(found.remove(&key))
    }

    /// Finds a developer without related objects.
    pub async fn find_developer(
        &self,
        portal: PortalId,
        id: DeveloperId,
    ) -> Result<Option<Developer>, JournalError> {
        if !self.sees(portal) {
            return Ok(None);
        }
        let mut connection = self.journal.pool().acquire().await?;
        let mut found = stored_developers(&mut connection, portal, &[id.0]).await?;
        Ok(found.remove(&id))
    }

    /// Finds a registration without its application.
    pub async fn find_registration(
        &self,
        portal: PortalId,
        id: RegistrationId,
    ) -> Result<Option<Registration>, JournalError> {
        if !self.sees(portal) {
            return Ok(None);
        }
        let mut connection = self.journal.pool().acquire().await?;
        let mut found = stored_registrations(&mut connection, portal, &[id.0]).await?;
        Ok(found.remove(&id))
    }

    /// E-mail and name of a developer; empty when forgotten or never stored.
    pub async fn subject(
        &self,
        portal: PortalId,
        developer: DeveloperId,
    ) -> Result<Subject, JournalError> {
        if !self.sees(portal) {
            return Ok(Subject::default());
        }
        let mut connection = self.journal.pool().acquire().await?;
        let mut found = stored_subjects(&mut connection, portal, &[developer.0]).await?;
        Ok(found.remove(&developer).unwrap_or_default())
    }
}
