//! E-mail and name of people: the only place where they are kept. Never shown by `Debug`, never
//! part of an event.

use std::fmt;

use konnect::{Developer, DeveloperId, PortalId};
use sqlx::PgConnection;

use crate::directory::Directory;
use crate::journal::JournalError;

/// The first key of the advisory locks on addresses.
const INVITEE_LOCK: i32 = 0x7573_6862;

/// E-mail and name of a developer; empty once forgotten.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// Address as the API has it.
    pub email: Option<String>,
    /// Name as the API has it.
    pub full_name: Option<String>,
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subject(***)")
    }
}

impl Directory {
    /// Empties what is known of a person, for good: later looks do not fill it again. `false`
    /// when nothing was known.
    ///
    /// Konnect keeps what it has: who is to be forgotten there as well must be deleted there.
    pub async fn forget(
        &self,
        portal: PortalId,
        developer: DeveloperId,
    ) -> Result<bool, JournalError> {
        let done = sqlx::query!(
            r"
            UPDATE subjects
            SET email = NULL, full_name = NULL, forgotten_at = COALESCE(forgotten_at, $3)
            WHERE portal_id = $1
                AND (
                    developer_id = $2
                    -- Who was invited is kept under an id of usher's own, too.
                    OR lower(email) = (
                        SELECT lower(email)
                        FROM subjects
                        WHERE portal_id = $1 AND developer_id = $2
                    )
                )
            ",
            portal.0,
            developer.0,
            self.clock.now(),
        )
        .execute(self.journal.pool())
        .await?;
        Ok(done.rows_affected() > 0)
    }

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
            INVITEE_LOCK,
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

    /// Finds the developer of an address, whatever its case; none once forgotten or gone.
    pub async fn find_developer_by_email(
        &self,
        portal: PortalId,
        email: &str,
    ) -> Result<Option<DeveloperId>, JournalError> {
        let id = sqlx::query_scalar!(
            r"
            SELECT s.developer_id
            FROM subjects s
            JOIN directory_developers d USING (portal_id, developer_id)
            WHERE s.portal_id = $1
                AND lower(s.email) = lower($2)
                AND d.gone_at IS NULL
            ORDER BY d.first_seen_at DESC
            LIMIT 1
            ",
            portal.0,
            email,
        )
        .fetch_optional(self.journal.pool())
        .await?;
        Ok(id.map(DeveloperId))
    }
}

/// Keeps e-mail and name of `developers`, except of those who were forgotten.
pub(super) async fn write(
    tx: &mut PgConnection,
    portal: PortalId,
    developers: &[&Developer],
) -> Result<(), JournalError> {
    // Postgres text refuses NUL, and one such name must not cost the whole look.
    let clean = |text: &str| text.replace('\0', "\u{fffd}");
    sqlx::query!(
        r"
        INSERT INTO subjects (portal_id, developer_id, email, full_name)
        SELECT $1, developer_id, email, full_name
        FROM UNNEST($2::uuid[], $3::text[], $4::text[]) AS t (developer_id, email, full_name)
        ON CONFLICT (portal_id, developer_id) DO UPDATE
        SET email = EXCLUDED.email, full_name = EXCLUDED.full_name
        WHERE subjects.forgotten_at IS NULL
            AND (subjects.email, subjects.full_name)
                IS DISTINCT FROM (EXCLUDED.email, EXCLUDED.full_name)
        ",
        portal.0,
        &developers.iter().map(|d| d.id.0).collect::<Vec<_>>(),
        &developers
            .iter()
            .map(|d| clean(&d.email))
            .collect::<Vec<_>>(),
        &developers
            .iter()
            .map(|d| clean(&d.full_name))
            .collect::<Vec<_>>(),
    )
    .execute(tx)
    .await?;
    Ok(())
}
