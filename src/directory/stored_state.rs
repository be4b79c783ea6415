//! What the database has about the objects of a snapshot, read under the portal's lock.

use std::collections::BTreeMap;

use crate::journal::Connection;
use konnect::{ApplicationId, DeveloperId, PortalId, RegistrationId, TeamId};
use uuid::Uuid;

use crate::directory::objects::{Application, Developer, Membership, Portal, Registration, Team};
use crate::directory::rows::{
    ApplicationRow, DeveloperRow, MembershipRow, PortalRow, RegistrationRow, TeamRow,
};
use crate::directory::snapshot::Snapshot;
use crate::directory::subjects::Subject;
use crate::journal::JournalError;

/// The stored state of the objects of a snapshot.
#[derive(Debug, Default)]
pub(super) struct StoredState {
    pub portal: Option<Portal>,
    pub developers: BTreeMap<DeveloperId, Developer>,
    /// Without those that were forgotten.
    pub subjects: BTreeMap<DeveloperId, Subject>,
    pub teams: BTreeMap<TeamId, Team>,
    pub memberships: BTreeMap<(TeamId, DeveloperId), Membership>,
    pub applications: BTreeMap<ApplicationId, Application>,
    pub registrations: BTreeMap<RegistrationId, Registration>,
}

/// Both sides of memberships, as two arrays of equal length.
pub(super) fn pairs(memberships: &[(TeamId, DeveloperId)]) -> (Vec<Uuid>, Vec<Uuid>) {
    memberships
        .iter()
        .map(|(team, developer)| (team.0, developer.0))
        .unzip()
}

impl StoredState {
    /// Reads the stored state of the objects that `snapshot` mentions.
    pub(super) async fn load(
        tx: &mut Connection,
        snapshot: &Snapshot,
    ) -> Result<Self, JournalError> {
        let portal = snapshot.portal_id;
        let developers = snapshot.developers.iter().map(|d| d.id);
        let developers = developers.chain(snapshot.absent.developers.iter().copied());
        let developers: Vec<Uuid> = developers.map(|id| id.0).collect();
        let mut memberships = snapshot.memberships.clone();
        memberships.extend(&snapshot.absent.memberships);
        let applications = snapshot.applications.iter().map(|a| a.id);
        let applications = applications.chain(snapshot.absent.applications.iter().copied());
        // A registration's developer is the owner of its application.
        let asking = snapshot.registrations.iter().map(|r| r.application.id);
        let applications: Vec<Uuid> = applications.chain(asking).map(|id| id.0).collect();
        let teams = snapshot.teams.iter().map(|t| t.id);
        let teams: Vec<Uuid> = teams
            .chain(snapshot.absent.teams.iter().copied())
            .map(|id| id.0)
            .collect();
        let registrations = snapshot.registrations.iter().map(|r| r.id);
        let registrations: Vec<Uuid> = registrations
            .chain(snapshot.absent.registrations.iter().map(|(_, id)| *id))
            .map(|id| id.0)
            .collect();
        Ok(Self {
            portal: stored_portal(tx, portal).await?,
            subjects: stored_subjects(tx, portal, &developers).await?,
            developers: stored_developers(tx, portal, &developers).await?,
            teams: stored_teams(tx, portal, &teams).await?,
            memberships: stored_memberships(tx, portal, &memberships).await?,
            applications: stored_applications(tx, portal, &applications).await?,
            registrations: stored_registrations(tx, portal, &registrations).await?,
        })
    }
}

pub(super) async fn stored_portal(
    tx: &mut Connection,
    portal: PortalId,
) -> Result<Option<Portal>, JournalError> {
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
        portal.0,
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(Portal::from))
}

pub(super) async fn stored_developers(
    tx: &mut Connection,
    portal: PortalId,
    ids: &[Uuid],
) -> Result<BTreeMap<DeveloperId, Developer>, JournalError> {
    let rows = sqlx::query_as!(
        DeveloperRow,
        r"
        SELECT
            portal_id, developer_id, status, api_created_at, api_updated_at,
            look, revision, first_seen_at, last_seen_at, gone_at
        FROM directory_developers
        WHERE portal_id = $1 AND developer_id = ANY($2)
        ",
        portal.0,
        ids,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(Developer::from)
        .map(|known| (known.id, known))
        .collect())
}

pub(super) async fn stored_subjects(
    tx: &mut Connection,
    portal: PortalId,
    ids: &[Uuid],
) -> Result<BTreeMap<DeveloperId, Subject>, JournalError> {
    let rows = sqlx::query!(
        r"
        SELECT developer_id, email, full_name
        FROM subjects
        WHERE portal_id = $1
            AND developer_id = ANY($2)
            AND forgotten_at IS NULL
        ",
        portal.0,
        ids,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let subject = Subject {
                email: row.email,
                full_name: row.full_name,
            };
            (DeveloperId(row.developer_id), subject)
        })
        .collect())
}

pub(super) async fn stored_teams(
    tx: &mut Connection,
    portal: PortalId,
    ids: &[Uuid],
) -> Result<BTreeMap<TeamId, Team>, JournalError> {
    let rows = sqlx::query_as!(
        TeamRow,
        r"
        SELECT
            portal_id, team_id, name, can_own_applications, api_created_at, api_updated_at,
            look, revision, first_seen_at, last_seen_at, gone_at
        FROM directory_teams
        WHERE portal_id = $1 AND team_id = ANY($2)
        ",
        portal.0,
        ids,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(Team::from)
        .map(|known| (known.id, known))
        .collect())
}

pub(super) async fn stored_memberships(
    tx: &mut Connection,
    portal: PortalId,
    memberships: &[(TeamId, DeveloperId)],
) -> Result<BTreeMap<(TeamId, DeveloperId), Membership>, JournalError> {
    let (teams, developers) = pairs(memberships);
    let rows = sqlx::query_as!(
        MembershipRow,
        r"
        SELECT
            m.portal_id, m.team_id, m.developer_id,
            m.look, m.revision, m.first_seen_at, m.last_seen_at, m.gone_at
        FROM directory_memberships m
        JOIN UNNEST($2::uuid[], $3::uuid[]) AS t (team_id, developer_id)
            ON t.team_id = m.team_id AND t.developer_id = m.developer_id
        WHERE m.portal_id = $1
        ",
        portal.0,
        &teams,
        &developers,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(Membership::from)
        .map(|known| ((known.team_id, known.developer_id), known))
        .collect())
}

pub(super) async fn stored_applications(
    tx: &mut Connection,
    portal: PortalId,
    ids: &[Uuid],
) -> Result<BTreeMap<ApplicationId, Application>, JournalError> {
    let rows = sqlx::query_as!(
        ApplicationRow,
        r"
        SELECT
            portal_id, application_id, name, owner_type, owner_id,
            api_created_at, api_updated_at,
            look, revision, first_seen_at, last_seen_at, gone_at
        FROM directory_applications
        WHERE portal_id = $1 AND application_id = ANY($2)
        ",
        portal.0,
        ids,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(Application::from)
        .map(|known| (known.id, known))
        .collect())
}

pub(super) async fn stored_registrations(
    tx: &mut Connection,
    portal: PortalId,
    ids: &[Uuid],
) -> Result<BTreeMap<RegistrationId, Registration>, JournalError> {
    let rows = sqlx::query_as!(
        RegistrationRow,
        r"
        SELECT
            portal_id, registration_id, application_id, status,
            api_id, api_name, api_version, api_entity_type, api_created_at, api_updated_at,
            look, revision, first_seen_at, last_seen_at, gone_at
        FROM directory_registrations
        WHERE portal_id = $1 AND registration_id = ANY($2)
        ",
        portal.0,
        ids,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(Registration::from)
        .map(|known| (known.id, known))
        .collect())
}
