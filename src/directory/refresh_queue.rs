//! The refresh requests of all portals: stored, read by the next refresh, and deleted with it.

use std::time::Duration;

use crate::journal::Connection;
use konnect::{ApplicationId, DeveloperId, PortalId, TeamId};
use uuid::Uuid;

use crate::directory::{Directory, RefreshRequests, Scope, Snapshot, Sweep};
use crate::journal::JournalError;

/// Per portal, at most so many people whom the directory does not have wait to be read by id. An
/// entry of a log may name anybody.
const MAX_STRANGERS: i64 = 100;
/// For how long it is stored that the API had nobody of an id.
const ABSENT_FOR: Duration = Duration::from_mins(10);
/// For how long what could not be read is deferred, unless it is changed again.
const PUT_OFF_FOR: Duration = Duration::from_mins(1);

impl Directory {
    /// Requests a refresh soon that reads `developer` by id: once they are not pending, no list of
    /// a pending sweep shows them.
    pub async fn request_refresh(
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
                RETURNING (SELECT last_value FROM directory_looks) AS looks
            )
            INSERT INTO touched_developers (portal_id, developer_id, after_look)
            SELECT $1, $2, looks
            FROM hinted
            ON CONFLICT (portal_id, developer_id) DO UPDATE
            SET after_look = EXCLUDED.after_look, absent_at = NULL, retry_at = NULL
            ",
            portal.0,
            developer.0,
        )
        .execute(self.journal.pool())
        .await?;
        self.wake_sweeps();
        Ok(())
    }

    /// Requests a refresh soon of what `touched` names, as far as it is stored: an entry of a log
    /// may name anything. What no sweep has found yet waits for one that does.
    pub async fn request_refresh_of_known(
        &self,
        portal: PortalId,
        touched: &RefreshRequests,
    ) -> Result<(), JournalError> {
        sqlx::query!(
            r"
            -- The portal's row first, as storing a look takes them.
            WITH hinted AS (
                INSERT INTO observed_portals (portal_id, hints)
                VALUES ($1, 1)
                ON CONFLICT (portal_id) DO UPDATE
                SET hints = observed_portals.hints + 1
                RETURNING (SELECT last_value FROM directory_looks) AS looks
            ), developers AS (
                INSERT INTO touched_developers (portal_id, developer_id, after_look)
                SELECT known.portal_id, known.developer_id, looks
                FROM directory_developers known, hinted
                WHERE known.portal_id = $1
                    AND known.developer_id = ANY($2)
                    AND known.gone_at IS NULL
                ON CONFLICT (portal_id, developer_id) DO UPDATE
                SET after_look = EXCLUDED.after_look, absent_at = NULL, retry_at = NULL
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
            SET after_look = EXCLUDED.after_look, retry_at = NULL
            ",
            portal.0,
            &uuids(&touched.developers, |id| id.0),
            &uuids(&touched.teams, |id| id.0),
            &uuids(&touched.applications, |id| id.0),
        )
        .execute(self.journal.pool())
        .await?;
        self.wake_sweeps();
        Ok(())
    }

    /// Requests a refresh soon that also reads `developer` by id, whom a log names and the
    /// directory does not have. No list of a pending sweep shows developers who are approved
    /// already. Where too many such requests wait, or the API had nobody of this id a while ago, it
    /// is a plain hint.
    pub async fn request_refresh_of_unknown(
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
                RETURNING (SELECT last_value FROM directory_looks) AS looks
            )
            INSERT INTO touched_developers AS touched (portal_id, developer_id, after_look)
            SELECT $1, $2, looks
            FROM hinted
            WHERE (
                SELECT count(*)
                FROM touched_developers waiting
                WHERE waiting.portal_id = $1
                    AND waiting.absent_at IS NULL
                    AND NOT EXISTS (
                        SELECT
                        FROM directory_developers known
                        WHERE known.portal_id = $1 AND known.developer_id = waiting.developer_id
                    )
            ) < $3
            ON CONFLICT (portal_id, developer_id) DO UPDATE
            SET after_look = EXCLUDED.after_look, absent_at = NULL, retry_at = NULL
            WHERE touched.absent_at IS NULL OR touched.absent_at < now() - make_interval(secs => $4)
            ",
            portal.0,
            developer.0,
            MAX_STRANGERS,
            ABSENT_FOR.as_secs_f64(),
        )
        .execute(self.journal.pool())
        .await?;
        self.wake_sweeps();
        Ok(())
    }

    /// Requests a refresh soon that also reads the developers and addresses of `named`, which a
    /// trusted sender reported; returns the hint's number for [`Directory::is_hint_answered`]. Of
    /// an address only the row of `subjects` is stored.
    pub async fn request_refresh_by_name(
        &self,
        portal: PortalId,
        named: &RefreshRequests,
    ) -> Result<i64, JournalError> {
        let hint = sqlx::query_scalar!(
            r#"
            -- The portal's row first, as storing a look takes them.
            WITH hinted AS (
                INSERT INTO observed_portals (portal_id, hints)
                VALUES ($1, 1)
                ON CONFLICT (portal_id) DO UPDATE
                SET hints = observed_portals.hints + 1
                RETURNING hints, (SELECT last_value FROM directory_looks) AS looks
            ), developers AS (
                INSERT INTO touched_developers (portal_id, developer_id, after_look)
                SELECT $1, id, looks
                FROM UNNEST($2::uuid[]) AS named (id), hinted
                ON CONFLICT (portal_id, developer_id) DO UPDATE
                SET after_look = EXCLUDED.after_look, absent_at = NULL, retry_at = NULL
            ), addresses AS (
                INSERT INTO touched_objects (portal_id, kind, object_id, after_look)
                SELECT $1, 'address', id, looks
                FROM UNNEST($3::uuid[]) AS named (id), hinted
                ON CONFLICT (portal_id, kind, object_id) DO UPDATE
                SET after_look = EXCLUDED.after_look, retry_at = NULL
            )
            SELECT hints AS "hints!"
            FROM hinted
            "#,
            portal.0,
            &sorted(uuids(&named.developers, |id| id.0)),
            &sorted(named.addresses.clone()),
        )
        .fetch_one(self.journal.pool())
        .await?;
        self.wake_sweeps();
        Ok(hint)
    }

    /// Whether a sweep that began after the `hint` of [`Directory::request_refresh_by_name`] is
    /// stored and nobody of `named` must still be read. One refresh reads only so many. Nobody
    /// waits for a person who could not be read.
    pub async fn was_read(
        &self,
        portal: PortalId,
        hint: i64,
        named: &RefreshRequests,
    ) -> Result<bool, JournalError> {
        if !self.is_hint_answered(portal, hint).await? {
            return Ok(false);
        }
        Ok(sqlx::query_scalar!(
            r#"
            SELECT NOT EXISTS (
                SELECT
                FROM touched_developers
                WHERE portal_id = $1
                    AND developer_id = ANY($2)
                    AND absent_at IS NULL
                    AND retry_at IS NULL
            ) AND NOT EXISTS (
                SELECT
                FROM touched_objects
                WHERE portal_id = $1
                    AND kind = 'address'
                    AND object_id = ANY($3)
                    AND retry_at IS NULL
            ) AS "read!"
            "#,
            portal.0,
            &uuids(&named.developers, |id| id.0),
            &named.addresses,
        )
        .fetch_one(self.journal.pool())
        .await?)
    }

    /// What was changed before `sweep` began, the earliest first. Up to `people` developers, stored
    /// ones before the others, and as many addresses; up to `objects` teams and applications
    /// together.
    pub async fn touched(
        &self,
        sweep: Sweep,
        people: i64,
        objects: i64,
    ) -> Result<RefreshRequests, JournalError> {
        let developers = sqlx::query_scalar!(
            r"
            SELECT touched.developer_id
            FROM touched_developers touched
            LEFT JOIN directory_developers known USING (portal_id, developer_id)
            WHERE touched.portal_id = $1
                AND touched.after_look < $2
                AND touched.absent_at IS NULL
                AND (touched.retry_at IS NULL OR touched.retry_at <= now())
            -- Whoever is made up waits longest.
            ORDER BY known.developer_id IS NULL, touched.created_at, touched.developer_id
            LIMIT $3
            ",
            sweep.portal_id.0,
            sweep.number,
            people,
        )
        .fetch_all(self.journal.pool())
        .await?;
        let rows = sqlx::query!(
            r"
            SELECT kind, object_id
            FROM touched_objects
            WHERE portal_id = $1
                AND after_look < $2
                AND kind <> 'address'
                AND (retry_at IS NULL OR retry_at <= now())
            ORDER BY created_at, object_id
            LIMIT $3
            ",
            sweep.portal_id.0,
            sweep.number,
            objects,
        )
        .fetch_all(self.journal.pool())
        .await?;
        let addresses = sqlx::query_scalar!(
            r"
            SELECT object_id
            FROM touched_objects
            WHERE portal_id = $1
                AND after_look < $2
                AND kind = 'address'
                AND (retry_at IS NULL OR retry_at <= now())
            ORDER BY created_at, object_id
            LIMIT $3
            ",
            sweep.portal_id.0,
            sweep.number,
            people,
        )
        .fetch_all(self.journal.pool())
        .await?;
        let mut touched = RefreshRequests {
            developers: developers.into_iter().map(DeveloperId).collect(),
            addresses,
            ..RefreshRequests::default()
        };
        for row in rows {
            match row.kind.as_str() {
                "team" => touched.teams.push(TeamId(row.object_id)),
                _ => touched.applications.push(ApplicationId(row.object_id)),
            }
        }
        Ok(touched)
    }

    /// The stored members of a team.
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

/// Deletes the requests that `sweep` has read, or all of them where it read everything or the
/// portal is gone. Ids that it did not find are stored for a while.
pub(super) async fn settle(
    tx: &mut Connection,
    sweep: Sweep,
    snapshot: &Snapshot,
) -> Result<(), JournalError> {
    let everything = snapshot.scope == Scope::All || snapshot.is_portal_gone;
    let mut objects = uuids(&snapshot.touched.teams, |id| id.0);
    objects.extend(uuids(&snapshot.touched.applications, |id| id.0));
    objects.extend(&snapshot.touched.addresses);
    let touched = snapshot.touched.developers.iter();
    let (found, absent): (Vec<DeveloperId>, Vec<DeveloperId>) =
        touched.partition(|id| snapshot.developers.iter().any(|read| read.id == **id));
    sqlx::query!(
        r"
        WITH absent AS (
            UPDATE touched_developers
            SET absent_at = now()
            WHERE portal_id = $1 AND after_look < $2 AND NOT $3 AND developer_id = ANY($6)
        ), developers_put_off AS (
            UPDATE touched_developers
            SET retry_at = now() + make_interval(secs => $9)
            WHERE portal_id = $1 AND after_look < $2 AND NOT $3 AND developer_id = ANY($8)
        ), objects_put_off AS (
            UPDATE touched_objects
            SET retry_at = now() + make_interval(secs => $9)
            WHERE portal_id = $1 AND after_look < $2 AND NOT $3 AND object_id = ANY($8)
        ), developers AS (
            DELETE FROM touched_developers
            WHERE portal_id = $1
                AND after_look < $2
                AND (
                    ($3 AND absent_at IS NULL)
                    OR developer_id = ANY($4)
                    OR absent_at < now() - make_interval(secs => $7)
                )
        )
        DELETE FROM touched_objects
        WHERE portal_id = $1 AND after_look < $2 AND ($3 OR object_id = ANY($5))
        ",
        sweep.portal_id.0,
        sweep.number,
        everything,
        &uuids(&found, |id| id.0),
        &objects,
        &uuids(&absent, |id| id.0),
        ABSENT_FOR.as_secs_f64(),
        &snapshot.touched.later,
        PUT_OFF_FOR.as_secs_f64(),
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// One order for all, so that two concurrent inserts do not wait for each other.
fn sorted(mut ids: Vec<Uuid>) -> Vec<Uuid> {
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn uuids<T>(ids: &[T], uuid: impl Fn(&T) -> Uuid) -> Vec<Uuid> {
    ids.iter().map(uuid).collect()
}
