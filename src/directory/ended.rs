//! Memberships that ended, and by whom: what a human ended is not made again.

use chrono::{DateTime, Utc};
use konnect::{DeveloperId, PortalId, TeamId};

use crate::directory::Directory;
use crate::journal::JournalError;

/// The end of a membership, as looks saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MembershipEnd {
    /// When it was certain.
    pub at: DateTime<Utc>,
    /// Whether a deed of usher's is known to have ended it.
    pub by_deed: bool,
}

impl Directory {
    /// Remembers that a deed of usher's has just ended a membership. When it is gone is still for a
    /// look to say; once it is back, the next end is somebody else's again.
    pub async fn ended_by_deed(
        &self,
        portal: PortalId,
        team: TeamId,
        developer: DeveloperId,
    ) -> Result<(), JournalError> {
        sqlx::query!(
            r"
            UPDATE directory_memberships
            SET ended_by_deed_at = $4
            WHERE portal_id = $1 AND team_id = $2 AND developer_id = $3
            ",
            portal.0,
            team.0,
            developer.0,
            self.clock.now(),
        )
        .execute(self.journal.pool())
        .await?;
        Ok(())
    }

    /// How a membership that looks saw ended; none where it was never seen, or is there.
    pub async fn membership_end(
        &self,
        portal: PortalId,
        team: TeamId,
        developer: DeveloperId,
    ) -> Result<Option<MembershipEnd>, JournalError> {
        let row = sqlx::query!(
            r#"
            SELECT gone_at AS "gone_at!", ended_by_deed_at IS NOT NULL AS "by_deed!"
            FROM directory_memberships
            WHERE portal_id = $1
                AND team_id = $2
                AND developer_id = $3
                AND gone_at IS NOT NULL
            "#,
            portal.0,
            team.0,
            developer.0,
        )
        .fetch_optional(self.journal.pool())
        .await?;
        Ok(row.map(|row| MembershipEnd {
            at: row.gone_at,
            by_deed: row.by_deed,
        }))
    }
}
