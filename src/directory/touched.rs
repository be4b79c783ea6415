//! People whom a deed changed, until a look has read them again. Ids alone: what they look like now
//! is for the API to say.

use konnect::{DeveloperId, PortalId};
use sqlx::PgConnection;

use crate::directory::{Directory, Look, Scope, Snapshot};
use crate::journal::JournalError;

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

    /// Up to `limit` people who were changed before `look` began, the first ones first.
    pub async fn touched(&self, look: Look, limit: i64) -> Result<Vec<DeveloperId>, JournalError> {
        let ids = sqlx::query_scalar!(
            r"
            SELECT developer_id
            FROM touched_developers
            WHERE portal_id = $1 AND after_look < $2
            ORDER BY created_at, developer_id
            LIMIT $3
            ",
            look.portal_id.0,
            look.number,
            limit,
        )
        .fetch_all(self.journal.pool())
        .await?;
        Ok(ids.into_iter().map(DeveloperId).collect())
    }
}

/// Strikes off whom `look` has read, or all where it read everything or the portal is gone.
pub(super) async fn settle(
    tx: &mut PgConnection,
    look: Look,
    snapshot: &Snapshot,
) -> Result<(), JournalError> {
    let read: Vec<_> = snapshot.touched.iter().map(|id| id.0).collect();
    sqlx::query!(
        r"
        DELETE FROM touched_developers
        WHERE portal_id = $1 AND after_look < $2 AND ($3 OR developer_id = ANY($4))
        ",
        look.portal_id.0,
        look.number,
        snapshot.scope == Scope::All || snapshot.absent.portal,
        &read,
    )
    .execute(tx)
    .await?;
    Ok(())
}
