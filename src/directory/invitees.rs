//! People who are to be invited: their address is kept in `subjects`, under an id of usher's own,
//! until Konnect knows them under one of its own.

use chrono::{DateTime, Utc};
use konnect::{DeveloperId, PortalId};
use sqlx::PgConnection;

use crate::directory::Directory;
use crate::journal::JournalError;

/// The first key of the advisory locks on addresses.
const ADDRESS_LOCK: i32 = 0x7573_6862;

impl Directory {
    /// The id under which somebody is kept who is to be invited: the developer of that address
    /// where one is known, else one made for them once.
    pub async fn invitee(
        &self,
        portal: PortalId,
        email: &str,
        full_name: Option<&str>,
    ) -> Result<DeveloperId, JournalError> {
        let mut tx = self.journal.pool().begin().await?;
        // Two events about one address must come to one id.
        sqlx::query!(
            "SELECT pg_advisory_xact_lock($1, hashtext($2 || lower($3)))",
            ADDRESS_LOCK,
            portal.0.to_string(),
            email,
        )
        .execute(&mut *tx)
        .await?;
        let known = sqlx::query_scalar!(
            r"
            SELECT s.developer_id
            FROM subjects s
            LEFT JOIN directory_developers d USING (portal_id, developer_id)
            WHERE s.portal_id = $1 AND lower(s.email) = lower($2)
            ORDER BY (d.developer_id IS NOT NULL AND d.gone_at IS NULL) DESC, s.created_at
            LIMIT 1
            ",
            portal.0,
            email,
        )
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(known) = known {
            return Ok(DeveloperId(known));
        }
        let id = self.ids.next();
        sqlx::query!(
            r"
            INSERT INTO subjects (portal_id, developer_id, email, full_name)
            VALUES ($1, $2, $3, $4)
            ",
            portal.0,
            id,
            email,
            full_name,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(DeveloperId(id))
    }
}

/// Empties the invitation of whoever has the address of `developer`.
pub(super) async fn forget_invitee(
    tx: &mut PgConnection,
    portal: PortalId,
    developer: DeveloperId,
    now: DateTime<Utc>,
) -> Result<(), JournalError> {
    sqlx::query!(
        r"
        UPDATE subjects s
        SET email = NULL, full_name = NULL, forgotten_at = COALESCE(s.forgotten_at, $3)
        FROM subjects known
        WHERE known.portal_id = $1 AND known.developer_id = $2
            AND s.portal_id = $1 AND s.developer_id <> $2
            AND lower(s.email) = lower(known.email)
            AND NOT EXISTS (
                SELECT
                FROM directory_developers d
                WHERE d.portal_id = s.portal_id AND d.developer_id = s.developer_id
            )
        ",
        portal.0,
        developer.0,
        now,
    )
    .execute(tx)
    .await?;
    Ok(())
}
