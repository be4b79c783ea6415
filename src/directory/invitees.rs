//! People who are to be invited. `subjects` has their address under an id of usher's own, until
//! Konnect has given them one.

use konnect::{DeveloperId, PortalId};

use crate::directory::Directory;
use crate::journal::JournalError;

/// The first key of the advisory locks on addresses.
const ADDRESS_LOCK: i32 = 0x7573_6862;

impl Directory {
    /// The id under which the address of a person to be invited is stored. It is the developer of
    /// that address if there is one, else it is made once.
    pub async fn invitee(
        &self,
        portal: PortalId,
        email: &str,
        full_name: Option<&str>,
    ) -> Result<DeveloperId, JournalError> {
        let mut tx = self.journal.pool().begin().await?;
        // Two events about one address must get the same id.
        sqlx::query!(
            r#"SELECT pg_advisory_xact_lock($1, hashtext($2 || lower($3::text COLLATE "C")))"#,
            ADDRESS_LOCK,
            portal.0.to_string(),
            email,
        )
        .execute(&mut *tx)
        .await?;
        let known = sqlx::query_scalar!(
            r#"
            SELECT s.developer_id
            FROM subjects s
            LEFT JOIN directory_developers d USING (portal_id, developer_id)
            WHERE s.portal_id = $1
                AND lower(s.email COLLATE "C") = lower($2::text COLLATE "C")
            ORDER BY (d.developer_id IS NOT NULL AND d.gone_at IS NULL) DESC, s.created_at
            LIMIT 1
            "#,
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
            INSERT INTO subjects (portal_id, developer_id, email, full_name, told_at)
            VALUES ($1, $2, $3, $4, $5)
            ",
            portal.0,
            id,
            email,
            full_name,
            self.clock.now(),
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(DeveloperId(id))
    }
}
