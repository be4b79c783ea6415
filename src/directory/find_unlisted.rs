//! Objects that the directory has and a complete list lacks. They are read directly: a list that
//! changes while it is read, or an API that is briefly wrong, is no proof of absence.

use std::collections::BTreeSet;

use crate::journal::Connection;
use konnect::{ApplicationId, DeveloperId, PortalId, RegistrationId, TeamId};

use crate::directory::stored_state::pairs;
use crate::directory::{Directory, Scope, Snapshot, Sweep, Unlisted};
use crate::journal::JournalError;

impl Directory {
    /// What `snapshot` lacks though its lists are complete: of everything, or of what was pending,
    /// the newest first. Without what could not be read. Nothing for [`Scope::Direct`], and nothing
    /// that a later sweep has written.
    pub async fn missing(
        &self,
        sweep: Sweep,
        snapshot: &Snapshot,
    ) -> Result<Unlisted, JournalError> {
        let mut missing = Unlisted::default();
        if snapshot.scope == Scope::Direct || !snapshot.is_whole {
            return Ok(missing);
        }
        let mut connection = self.journal.pool().acquire().await?;
        let shown = snapshot.shown();
        let everything = snapshot.scope == Scope::All;
        missing.developers =
            missing_developers(&mut connection, sweep, snapshot.scope, &shown).await?;
        missing.registrations =
            missing_registrations(&mut connection, sweep, snapshot.scope, &shown).await?;
        if everything {
            missing.teams = missing_teams(&mut connection, sweep, &shown).await?;
            missing.memberships = missing_memberships(&mut connection, sweep, &shown).await?;
            missing.applications = missing_applications(&mut connection, sweep, &shown).await?;
        }
        missing.without(&snapshot.unread);
        Ok(missing)
    }

    /// Whether all of these are stored as pending.
    pub async fn know_pending(
        &self,
        portal: PortalId,
        developers: &[DeveloperId],
        registrations: &[RegistrationId],
    ) -> Result<bool, JournalError> {
        Ok(sqlx::query_scalar!(
            r#"
            SELECT NOT EXISTS (
                SELECT
                FROM UNNEST($2::uuid[]) AS t (id)
                WHERE NOT EXISTS (
                    SELECT
                    FROM directory_developers d
                    WHERE d.portal_id = $1 AND d.developer_id = t.id AND d.status = 'pending' AND d.gone_at IS NULL
                )
                UNION ALL
                SELECT
                FROM UNNEST($3::uuid[]) AS t (id)
                WHERE NOT EXISTS (
                    SELECT
                    FROM directory_registrations r
                    WHERE r.portal_id = $1 AND r.registration_id = t.id AND r.status = 'pending' AND r.gone_at IS NULL
                )
            ) AS "known!"
            "#,
            portal.0,
            &developers.iter().map(|id| id.0).collect::<Vec<_>>(),
            &registrations.iter().map(|id| id.0).collect::<Vec<_>>(),
        )
        .fetch_one(self.journal.pool())
        .await?)
    }

    /// The applications of those registrations of `snapshot` that no sweep has found before.
    pub async fn unseen_registrations(
        &self,
        snapshot: &Snapshot,
    ) -> Result<BTreeSet<ApplicationId>, JournalError> {
        let read = &snapshot.registrations;
        let ids = sqlx::query_scalar!(
            r#"
            SELECT t.application_id AS "application_id!"
            FROM UNNEST($2::uuid[], $3::uuid[]) AS t (id, application_id)
            WHERE NOT EXISTS (
                SELECT
                FROM directory_registrations r
                WHERE r.portal_id = $1 AND r.registration_id = t.id
            )
            "#,
            snapshot.portal_id.0,
            &read.iter().map(|r| r.id.0).collect::<Vec<_>>(),
            &read.iter().map(|r| r.application.id.0).collect::<Vec<_>>(),
        )
        .fetch_all(self.journal.pool())
        .await?;
        Ok(ids.into_iter().map(ApplicationId).collect())
    }
}

async fn missing_developers(
    connection: &mut Connection,
    sweep: Sweep,
    scope: Scope,
    shown: &Unlisted,
) -> Result<Vec<DeveloperId>, JournalError> {
    let ids = sqlx::query_scalar!(
        r"
        SELECT developer_id
        FROM directory_developers
        WHERE portal_id = $1
            AND look < $2
            AND gone_at IS NULL
            AND ($3 OR status = 'pending')
            AND NOT EXISTS (
                SELECT
                FROM UNNEST($4::uuid[]) AS t (id)
                WHERE t.id = developer_id
            )
        ORDER BY first_seen_at DESC, developer_id
        ",
        sweep.portal_id.0,
        sweep.number,
        scope == Scope::All,
        &shown.developers.iter().map(|id| id.0).collect::<Vec<_>>(),
    )
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(DeveloperId).collect())
}

async fn missing_registrations(
    connection: &mut Connection,
    sweep: Sweep,
    scope: Scope,
    shown: &Unlisted,
) -> Result<Vec<(ApplicationId, RegistrationId)>, JournalError> {
    let rows = sqlx::query!(
        r"
        SELECT application_id, registration_id
        FROM directory_registrations
        WHERE portal_id = $1
            AND look < $2
            AND gone_at IS NULL
            AND ($3 OR status = 'pending')
            AND NOT EXISTS (
                SELECT
                FROM UNNEST($4::uuid[]) AS t (id)
                WHERE t.id = registration_id
            )
        ORDER BY first_seen_at DESC, registration_id
        ",
        sweep.portal_id.0,
        sweep.number,
        scope == Scope::All,
        &shown
            .registrations
            .iter()
            .map(|(_, id)| id.0)
            .collect::<Vec<_>>(),
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            (
                ApplicationId(row.application_id),
                RegistrationId(row.registration_id),
            )
        })
        .collect())
}

async fn missing_teams(
    connection: &mut Connection,
    sweep: Sweep,
    shown: &Unlisted,
) -> Result<Vec<TeamId>, JournalError> {
    let ids = sqlx::query_scalar!(
        r"
        SELECT team_id
        FROM directory_teams
        WHERE portal_id = $1
            AND look < $2
            AND gone_at IS NULL
            AND NOT EXISTS (
                SELECT
                FROM UNNEST($3::uuid[]) AS t (id)
                WHERE t.id = team_id
            )
        ORDER BY team_id
        ",
        sweep.portal_id.0,
        sweep.number,
        &shown.teams.iter().map(|id| id.0).collect::<Vec<_>>(),
    )
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(TeamId).collect())
}

async fn missing_memberships(
    connection: &mut Connection,
    sweep: Sweep,
    shown: &Unlisted,
) -> Result<Vec<(TeamId, DeveloperId)>, JournalError> {
    let (teams, developers) = pairs(&shown.memberships);
    let rows = sqlx::query!(
        r"
        SELECT m.team_id, m.developer_id
        FROM directory_memberships m
        WHERE m.portal_id = $1
            AND m.look < $2
            AND m.gone_at IS NULL
            AND NOT EXISTS (
                SELECT
                FROM UNNEST($3::uuid[], $4::uuid[]) AS t (team_id, developer_id)
                WHERE t.team_id = m.team_id AND t.developer_id = m.developer_id
            )
        ORDER BY m.developer_id, m.team_id
        ",
        sweep.portal_id.0,
        sweep.number,
        &teams,
        &developers,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (TeamId(row.team_id), DeveloperId(row.developer_id)))
        .collect())
}

async fn missing_applications(
    connection: &mut Connection,
    sweep: Sweep,
    shown: &Unlisted,
) -> Result<Vec<ApplicationId>, JournalError> {
    let ids = sqlx::query_scalar!(
        r"
        SELECT application_id
        FROM directory_applications
        WHERE portal_id = $1
            AND look < $2
            AND gone_at IS NULL
            AND NOT EXISTS (
                SELECT
                FROM UNNEST($3::uuid[]) AS t (id)
                WHERE t.id = application_id
            )
        ORDER BY application_id
        ",
        sweep.portal_id.0,
        sweep.number,
        &shown.applications.iter().map(|id| id.0).collect::<Vec<_>>(),
    )
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(ApplicationId).collect())
}
