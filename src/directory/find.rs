//! Queries for one object, which facts and deeds are made from. An object that is gone is found by
//! its id and flagged.

use konnect::{ApplicationId, DeveloperId, PortalId, RegistrationId, TeamId};

use crate::directory::Directory;
use crate::directory::objects::{
    Application, ApplicationRecord, Developer, DeveloperRecord, Membership, Owner, OwnerRecord,
    Portal, Registration, RegistrationRecord, Team,
};
use crate::directory::rows::{
    ApplicationRow, DeveloperRow, MembershipRow, PortalRow, RegistrationRow, TeamRow,
};
use crate::directory::subjects::Subject;
use crate::journal::JournalError;

impl Directory {
    /// Finds a portal.
    pub async fn portal(&self, id: PortalId) -> Result<Option<Portal>, JournalError> {
        if !self.sees(id) {
            return Ok(None);
        }
        let row = sqlx::query_as!(
            PortalRow,
            r"
            SELECT
                portal_id, name, auto_approve_developers, auto_approve_applications,
                api_created_at, api_updated_at,
                look, revision, first_seen_at, last_seen_at, gone_at
            FROM directory_portals
            WHERE portal_id = $1
            ",
            id.0,
        )
        .fetch_optional(self.journal.pool())
        .await?;
        Ok(row.map(Portal::from))
    }

    /// Finds a developer with e-mail and name, teams and applications.
    pub async fn developer(
        &self,
        portal: PortalId,
        id: DeveloperId,
    ) -> Result<Option<DeveloperRecord>, JournalError> {
        let Some(developer) = self.find_developer(portal, id).await? else {
            return Ok(None);
        };
        Ok(Some(DeveloperRecord {
            developer,
            subject: self.subject(portal, id).await?,
            teams: self.teams_of(portal, id).await?,
            applications: self.applications_of(portal, Owner::Developer(id)).await?,
        }))
    }

    /// Finds an application with its owner.
    pub async fn application(
        &self,
        portal: PortalId,
        id: ApplicationId,
    ) -> Result<Option<ApplicationRecord>, JournalError> {
        let Some(application) = self.find_application(portal, id).await? else {
            return Ok(None);
        };
        let owner = match application.owner {
            Some(Owner::Developer(owner)) => match self.find_developer(portal, owner).await? {
                Some(developer) => {
                    let subject = self.subject(portal, owner).await?;
                    Some(OwnerRecord::Developer(developer, subject))
                }
                None => None,
            },
            Some(Owner::Team(owner)) => self.team(portal, owner).await?.map(OwnerRecord::Team),
            None => None,
        };
        Ok(Some(ApplicationRecord { application, owner }))
    }

    /// Finds a registration with its application and the application's owner.
    pub async fn registration(
        &self,
        portal: PortalId,
        id: RegistrationId,
    ) -> Result<Option<RegistrationRecord>, JournalError> {
        let Some(registration) = self.find_registration(portal, id).await? else {
            return Ok(None);
        };
        let application = self
            .application(portal, registration.application_id)
            .await?;
        Ok(Some(RegistrationRecord {
            registration,
            application,
        }))
    }

    /// Finds a team.
    pub async fn team(&self, portal: PortalId, id: TeamId) -> Result<Option<Team>, JournalError> {
        if !self.sees(portal) {
            return Ok(None);
        }
        let row = sqlx::query_as!(
            TeamRow,
            r"
            SELECT
                portal_id, team_id, name, can_own_applications, api_created_at, api_updated_at,
                look, revision, first_seen_at, last_seen_at, gone_at
            FROM directory_teams
            WHERE portal_id = $1
                AND team_id = $2
            ",
            portal.0,
            id.0,
        )
        .fetch_optional(self.journal.pool())
        .await?;
        Ok(row.map(Team::from))
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
        let row = sqlx::query_as!(
            MembershipRow,
            r"
            SELECT
                portal_id, team_id, developer_id,
                look, revision, first_seen_at, last_seen_at, gone_at
            FROM directory_memberships
            WHERE portal_id = $1
                AND team_id = $2
                AND developer_id = $3
            ",
            portal.0,
            team.0,
            developer.0,
        )
        .fetch_optional(self.journal.pool())
        .await?;
        Ok(row.map(Membership::from))
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
        let row = sqlx::query_as!(
            DeveloperRow,
            r"
            SELECT
                portal_id, developer_id, status, api_created_at, api_updated_at,
                look, revision, first_seen_at, last_seen_at, gone_at
            FROM directory_developers
            WHERE portal_id = $1
                AND developer_id = $2
            ",
            portal.0,
            id.0,
        )
        .fetch_optional(self.journal.pool())
        .await?;
        Ok(row.map(Developer::from))
    }

    /// Finds an application without its owner.
    pub async fn find_application(
        &self,
        portal: PortalId,
        id: ApplicationId,
    ) -> Result<Option<Application>, JournalError> {
        if !self.sees(portal) {
            return Ok(None);
        }
        let row = sqlx::query_as!(
            ApplicationRow,
            r"
            SELECT
                portal_id, application_id, name, owner_type, owner_id,
                api_created_at, api_updated_at,
                look, revision, first_seen_at, last_seen_at, gone_at
            FROM directory_applications
            WHERE portal_id = $1
                AND application_id = $2
            ",
            portal.0,
            id.0,
        )
        .fetch_optional(self.journal.pool())
        .await?;
        Ok(row.map(Application::from))
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
        let row = sqlx::query_as!(
            RegistrationRow,
            r"
            SELECT
                portal_id, registration_id, application_id, status,
                api_id, api_name, api_version, api_entity_type, api_created_at, api_updated_at,
                look, revision, first_seen_at, last_seen_at, gone_at
            FROM directory_registrations
            WHERE portal_id = $1
                AND registration_id = $2
            ",
            portal.0,
            id.0,
        )
        .fetch_optional(self.journal.pool())
        .await?;
        Ok(row.map(Registration::from))
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
        let subject = sqlx::query_as!(
            Subject,
            r"
            SELECT email, full_name
            FROM subjects
            WHERE portal_id = $1 AND developer_id = $2
            ",
            portal.0,
            developer.0,
        )
        .fetch_optional(self.journal.pool())
        .await?;
        Ok(subject.unwrap_or_default())
    }
}
