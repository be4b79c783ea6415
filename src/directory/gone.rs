//! Marks what is gone. Rows stay: their revision continues when an id comes back.

use uuid::Uuid;

use crate::directory::difference::{Gone, Write};
use crate::directory::write::RowWriter;
use crate::journal::{Connection, JournalError};

impl Gone {
    fn is_empty(&self) -> bool {
        self.portal.is_none()
            && self.developers.is_empty()
            && self.teams.is_empty()
            && self.memberships.is_empty()
            && self.applications.is_empty()
            && self.registrations.is_empty()
    }
}

impl RowWriter {
    /// Marks everything that `gone` names.
    pub(super) async fn mark_gone(
        self,
        tx: &mut Connection,
        gone: &Gone,
    ) -> Result<(), JournalError> {
        if gone.is_empty() {
            return Ok(());
        }
        let portal: Vec<i64> = gone.portal.iter().map(|write| write.revision).collect();
        let (developers, of_developers) = columns(&gone.developers, |id| id.0);
        let (teams, of_teams) = columns(&gone.teams, |id| id.0);
        let (in_teams, of_memberships) = columns(&gone.memberships, |id| id.0.0);
        let (members, _) = columns(&gone.memberships, |id| id.1.0);
        let (applications, of_applications) = columns(&gone.applications, |id| id.0);
        let (registrations, of_registrations) = columns(&gone.registrations, |id| id.0);
        sqlx::query!(
            r"
            WITH portals AS (
                UPDATE directory_portals
                SET gone_at = $2, look = $3, revision = t.revision
                FROM UNNEST($4::bigint[]) AS t (revision)
                WHERE portal_id = $1
            ), developers AS (
                UPDATE directory_developers
                SET gone_at = $2, look = $3, revision = t.revision
                FROM UNNEST($5::uuid[], $6::bigint[]) AS t (id, revision)
                WHERE portal_id = $1 AND developer_id = t.id
            ), teams AS (
                UPDATE directory_teams
                SET gone_at = $2, look = $3, revision = t.revision
                FROM UNNEST($7::uuid[], $8::bigint[]) AS t (id, revision)
                WHERE portal_id = $1 AND team_id = t.id
            ), memberships AS (
                UPDATE directory_memberships m
                SET gone_at = $2, look = $3, revision = t.revision
                FROM UNNEST($9::uuid[], $10::uuid[], $11::bigint[]) AS t (team_id, developer_id, revision)
                WHERE m.portal_id = $1 AND m.team_id = t.team_id AND m.developer_id = t.developer_id
            ), applications AS (
                UPDATE directory_applications
                SET gone_at = $2, look = $3, revision = t.revision
                FROM UNNEST($12::uuid[], $13::bigint[]) AS t (id, revision)
                WHERE portal_id = $1 AND application_id = t.id
            )
            UPDATE directory_registrations
            SET gone_at = $2, look = $3, revision = t.revision
            FROM UNNEST($14::uuid[], $15::bigint[]) AS t (id, revision)
            WHERE portal_id = $1 AND registration_id = t.id
            ",
            self.portal.0,
            self.now,
            self.sweep,
            &portal,
            &developers,
            &of_developers,
            &teams,
            &of_teams,
            &in_teams,
            &members,
            &of_memberships,
            &applications,
            &of_applications,
            &registrations,
            &of_registrations,
        )
        .execute(tx)
        .await?;
        Ok(())
    }
}

/// Ids and revisions, as two arrays of equal length.
fn columns<T>(gone: &[Write<T>], id: impl Fn(&T) -> Uuid) -> (Vec<Uuid>, Vec<i64>) {
    gone.iter()
        .map(|write| (id(&write.item), write.revision))
        .unzip()
}
