//! Objects that somebody changed, by a deed or by hand, until a look has read them again. Ids alone:
//! what they look like now is for the API to say.

use konnect::{ApplicationId, DeveloperId, PortalId, TeamId};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::directory::{Directory, Look, Scope, Snapshot};
use crate::journal::JournalError;

/// What is to be read again by its id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Touched {
    /// Developers, with their teams.
    pub developers: Vec<DeveloperId>,
    /// Teams whose members may be others now.
    pub teams: Vec<TeamId>,
    /// Applications, with their registrations.
    pub applications: Vec<ApplicationId>,
}

impl Directory {
    /// Asks for a look soon that reads `developer` by their id: once they are not pending, no list
    /// of a short look shows what became of them.
    pub async fn touch(
        &self,
        portal: PortalId,
        developer: DeveloperId,
    ) -> Result<(), JournalError> {
        sqlx::query!(
            r"
            -- The portal's row first, as storing a look takes them.
            WITH hinted AS (
                INSERT INTO observed_portals (portal_id, hints)
                VALUES ($1, 1)
                ON CONFLICT (portal_id) DO UPDATE
                SET hints = observed_portals.hints + 1
                RETURNING looks
            )
            INSERT INTO touched_developers (portal_id, developer_id, after_look)
            SELECT $1, $2, looks
            FROM hinted
            ON CONFLICT (portal_id, developer_id) DO UPDATE
            SET after_look = EXCLUDED.after_look
            ",
            portal.0,
            developer.0,
        )
        .execute(self.journal.pool())
        .await?;
        self.wake_looks();
        Ok(())
    }

    /// Asks for a look soon that reads what `touched` names, as far as it is known: an entry of a log
    /// may name anything, and what no look has shown waits for one that does.
    pub async fn touch_known(
        &self,
        portal: PortalId,
        touched: &Touched,
    ) -> Result<(), JournalError> {
        sqlx::query!(
            r"
            -- The portal's row first, as storing a look takes them.
            WITH hinted AS (
                INSERT INTO observed_portals (portal_id, hints)
                VALUES ($1, 1)
                ON CONFLICT (portal_id) DO UPDATE
                SET hints = observed_portals.hints + 1
                RETURNING looks
            ), developers AS (
                INSERT INTO touched_developers (portal_id, developer_id, after_look)
                SELECT known.portal_id, known.developer_id, looks
                FROM directory_developers known, hinted
                WHERE known.portal_id = $1
                    AND known.developer_id = ANY($2)
                    AND known.gone_at IS NULL
                ON CONFLICT (portal_id, developer_id) DO UPDATE
                SET after_look = EXCLUDED.after_look
            ), known AS (
                SELECT 'team' AS kind, team_id AS id
                FROM directory_teams
                WHERE portal_id = $1 AND team_id = ANY($3) AND gone_at IS NULL
                UNION ALL
                SELECT 'application', application_id
                FROM directory_applications
                WHERE portal_id = $1 AND application_id = ANY($4) AND gone_at IS NULL
            )
            INSERT INTO touched_objects (portal_id, kind, object_id, after_look)
            SELECT $1, known.kind, known.id, looks
            FROM known, hinted
            ON CONFLICT (portal_id, kind, object_id) DO UPDATE
            SET after_look = EXCLUDED.after_look
            ",
            portal.0,
            &uuids(&touched.developers, |id| id.0),
            &uuids(&touched.teams, |id| id.0),
            &uuids(&touched.applications, |id| id.0),
        )
        .execute(self.journal.pool())
        .await?;
        self.wake_looks();
        Ok(())
    }

    /// What was changed before `look` began, the first ones first: up to `people` developers and up
    /// to `objects` teams and applications together.
    pub async fn touched(
        &self,
        look: Look,
        people: i64,
        objects: i64,
    ) -> Result<Touched, JournalError> {
        let developers = sqlx::query_scalar!(
            r"
            SELECT developer_id
            FROM touched_developers
            WHERE portal_id = $1 AND after_look < $2
            ORDER BY created_at, developer_id
            LIMIT $3
            ",
            look.portal_id.0,
            look.number,
            people,
        )
        .fetch_all(self.journal.pool())
        .await?;
        let rows = sqlx::query!(
            r"
            SELECT kind, object_id
            FROM touched_objects
            WHERE portal_id = $1 AND after_look < $2
            ORDER BY created_at, object_id
            LIMIT $3
            ",
            look.portal_id.0,
            look.number,
            objects,
        )
        .fetch_all(self.journal.pool())
        .await?;
        let mut touched = Touched {
            developers: developers.into_iter().map(DeveloperId).collect(),
            ..Touched::default()
        };
        for row in rows {
            match row.kind.as_str() {
                "team" => touched.teams.push(TeamId(row.object_id)),
                _ => touched.applications.push(ApplicationId(row.object_id)),
            }
        }
        Ok(touched)
    }

    /// The members of a team, as far as they are known.
    pub async fn members_of(
        &self,
        portal: PortalId,
        team: TeamId,
    ) -> Result<Vec<DeveloperId>, JournalError> {
        let ids = sqlx::query_scalar!(
            r"
            SELECT developer_id
            FROM directory_memberships
            WHERE portal_id = $1 AND team_id = $2 AND gone_at IS NULL
            ",
            portal.0,
            team.0,
        )
        .fetch_all(self.journal.pool())
        .await?;
        Ok(ids.into_iter().map(DeveloperId).collect())
    }
}

/// Strikes off what `look` has read, or all where it read everything or the portal is gone.
pub(super) async fn settle(
    tx: &mut PgConnection,
    look: Look,
    snapshot: &Snapshot,
) -> Result<(), JournalError> {
    let everything = snapshot.scope == Scope::All || snapshot.absent.portal;
    let mut objects = uuids(&snapshot.touched.teams, |id| id.0);
    objects.extend(uuids(&snapshot.touched.applications, |id| id.0));
    sqlx::query!(
        r"
        WITH developers AS (
            DELETE FROM touched_developers
            WHERE portal_id = $1 AND after_look < $2 AND ($3 OR developer_id = ANY($4))
        )
        DELETE FROM touched_objects
        WHERE portal_id = $1 AND after_look < $2 AND ($3 OR object_id = ANY($5))
        ",
        look.portal_id.0,
        look.number,
        everything,
        &uuids(&snapshot.touched.developers, |id| id.0),
        &objects,
    )
    .execute(tx)
    .await?;
    Ok(())
}

fn uuids<T>(ids: &[T], uuid: impl Fn(&T) -> Uuid) -> Vec<Uuid> {
    ids.iter().map(uuid).collect()
}
