//! Memberships that ended, and by whom: a membership that a person ended is not made again.

use chrono::{DateTime, Utc};
use konnect::{DeveloperId, PortalId, TeamId};

use crate::directory::Directory;
use crate::journal::JournalError;

/// The end of a membership, as sweeps found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MembershipEnd {
    /// When it was certain.
    pub at: DateTime<Utc>,
    /// Whether a deed of usher is known to have ended it.
    pub by_deed: bool,
}

impl Directory {
    /// Stores that a deed of usher has just ended a membership. A sweep still has to find that it
    /// is gone; once it is back, its next end is not by this deed.
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

    /// How a membership ended, as sweeps found it; none where it was never found, or is there.
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
