//! Loads a portal view from the tables: many people with their related objects, in a constant
//! number of queries.

use std::collections::BTreeSet;

use crate::journal::Connection;
use konnect::{ApplicationId, DeveloperId, PortalId, RegistrationId, TeamId};
use uuid::Uuid;

use crate::directory::objects::{Application, Owner, Registration};
use crate::directory::rows::{ApplicationRow, RegistrationRow};
use crate::directory::stored_state::{
    stored_applications, stored_developers, stored_portal, stored_registrations, stored_subjects,
    stored_teams,
};
use crate::directory::{Directory, PortalView};
use crate::journal::JournalError;

/// The people of a portal view; related objects are loaded with them.
#[derive(Debug, Clone, Default)]
pub struct Subjects {
    /// Developers.
    pub developers: Vec<DeveloperId>,
    /// Applications.
    pub applications: Vec<ApplicationId>,
    /// Registrations.
    pub registrations: Vec<RegistrationId>,
}

impl Directory {
    /// Loads `subjects` with their applications, owners and teams. An object that is gone is
    /// included, and flagged, where it was asked for by id.
    pub async fn load_related(
        &self,
        portal: PortalId,
        subjects: &Subjects,
    ) -> Result<PortalView, JournalError> {
        let mut tx = self.journal.pool().acquire().await?;
        let mut view = PortalView::empty();
        view.portal = stored_portal(&mut tx, portal).await?;
        let mut applications: Vec<Uuid> = subjects.applications.iter().map(|id| id.0).collect();
        if !subjects.registrations.is_empty() {
            let ids: Vec<Uuid> = subjects.registrations.iter().map(|id| id.0).collect();
            let found = stored_registrations(&mut tx, portal, &ids).await?;
            applications.extend(found.values().map(|known| known.application_id.0));
            view.registrations.extend(found);
        }
        let mut developers: Vec<Uuid> = subjects.developers.iter().map(|id| id.0).collect();
        let mut teams: Vec<Uuid> = Vec::new();
        if !applications.is_empty() {
            let found = stored_applications(&mut tx, portal, &applications).await?;
            for known in found.values() {
                match known.owner {
                    Some(Owner::Developer(owner)) => developers.push(owner.0),
                    Some(Owner::Team(owner)) => teams.push(owner.0),
                    None => {}
                }
            }
            view.applications.extend(found);
        }
        if !developers.is_empty() {
            let found = stored_developers(&mut tx, portal, &developers).await?;
            view.developers.extend(found);
            let found = stored_subjects(&mut tx, portal, &developers).await?;
            view.subjects.extend(found);
            for owned in applications_of_all(&mut tx, portal, &developers).await? {
                view.applications.insert(owned.id, owned);
            }
            for (team, developer) in teams_of_all(&mut tx, portal, &developers).await? {
                teams.push(team.0);
                view.teams_of.entry(developer).or_default().push(team);
            }
        }
        if !teams.is_empty() {
            let found = stored_teams(&mut tx, portal, &teams).await?;
            view.teams.extend(found);
        }
        view.note_owners();
        Ok(view)
    }

    /// Lists the registrations that wait for an answer, of all applications that these developers
    /// own, oldest first.
    pub async fn pending_registrations_of(
        &self,
        portal: PortalId,
        developers: &[DeveloperId],
    ) -> Result<Vec<Registration>, JournalError> {
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
                AND r.status = 'pending'
                AND r.gone_at IS NULL
                AND a.owner_type = 'developer'
                AND a.owner_id = ANY($2)
            ORDER BY r.api_created_at, r.registration_id
            ",
            portal.0,
            &developers.iter().map(|id| id.0).collect::<Vec<_>>(),
        )
        .fetch_all(self.journal.pool())
        .await?;
        Ok(rows.into_iter().map(Registration::from).collect())
    }

    /// The developers of `developers` who wait for an answer, themselves or with an application.
    pub async fn who_waits(
        &self,
        portal: PortalId,
        developers: &[DeveloperId],
    ) -> Result<BTreeSet<DeveloperId>, JournalError> {
        let ids = sqlx::query_scalar!(
            r#"
            SELECT asked.id AS "id!"
            FROM UNNEST($2::uuid[]) AS asked (id)
            -- One by one: the index of those who wait may lead to thousands.
            CROSS JOIN LATERAL (
                SELECT status, gone_at
                FROM directory_developers d
                WHERE d.portal_id = $1 AND d.developer_id = asked.id
                LIMIT 1
            ) AS known
            WHERE known.status = 'pending' AND known.gone_at IS NULL
            UNION
            SELECT a.owner_id
            FROM directory_applications a
            JOIN directory_registrations r USING (portal_id, application_id)
            WHERE portal_id = $1 AND a.owner_type = 'developer' AND a.owner_id = ANY($2)
                AND r.status = 'pending' AND r.gone_at IS NULL
            "#,
            portal.0,
            &developers.iter().map(|id| id.0).collect::<Vec<_>>(),
        )
        .fetch_all(self.journal.pool())
        .await?;
        Ok(ids.into_iter().map(DeveloperId).collect())
    }
}

async fn applications_of_all(
    tx: &mut Connection,
    portal: PortalId,
    developers: &[Uuid],
) -> Result<Vec<Application>, JournalError> {
    let rows = sqlx::query_as!(
        ApplicationRow,
        r"
        SELECT
            portal_id, application_id, name, owner_type, owner_id,
            api_created_at, api_updated_at,
            look, revision, first_seen_at, last_seen_at, gone_at
        FROM directory_applications
        WHERE portal_id = $1
            AND owner_type = 'developer'
            AND owner_id = ANY($2)
            AND gone_at IS NULL
        ",
        portal.0,
        developers,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(Application::from).collect())
}

async fn teams_of_all(
    tx: &mut Connection,
    portal: PortalId,
    developers: &[Uuid],
) -> Result<Vec<(TeamId, DeveloperId)>, JournalError> {
    let rows = sqlx::query!(
        r"
        SELECT team_id, developer_id
        FROM directory_memberships
        WHERE portal_id = $1
            AND developer_id = ANY($2)
            AND gone_at IS NULL
        ",
        portal.0,
        developers,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (TeamId(row.team_id), DeveloperId(row.developer_id)))
        .collect())
}
