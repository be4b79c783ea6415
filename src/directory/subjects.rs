//! E-mail and name of people: no other table has them. Never shown by `Debug`, never part of an
//! event.

use std::fmt;

use crate::journal::Connection;
use chrono::{DateTime, Utc};
use konnect::{Developer, DeveloperId, PortalId};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::directory::Directory;
use crate::journal::{JournalError, SLICE};

/// E-mail and name of a developer; empty once forgotten.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// Address as the API has it.
    pub email: Option<String>,
    /// Name as the API has it.
    pub full_name: Option<String>,
}

/// What was stored about somebody until they were forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Forgotten {
    /// Whether an address was stored.
    pub email: bool,
    /// Whether a name was stored.
    pub full_name: bool,
    /// Of how many custom events names or addresses were stored.
    pub told: i64,
    /// When they were forgotten before, if they were.
    pub before: Option<DateTime<Utc>>,
}

impl Subject {
    /// Whether there is nothing by which rules could identify the person.
    pub fn is_forgotten(&self) -> bool {
        self.email.is_none()
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subject(***)")
    }
}

impl Directory {
    /// Empties what is stored about a person, for good: later sweeps do not fill it again. None
    /// when nobody of this id was ever found in the portal.
    ///
    /// Konnect's own data stays: to be forgotten there as well, the person must be deleted there.
    pub async fn forget(
        &self,
        portal: PortalId,
        developer: DeveloperId,
    ) -> Result<Option<Forgotten>, JournalError> {
        Ok(sqlx::query_as!(
            Forgotten,
            r#"
            WITH known AS (
                SELECT portal_id, developer_id, email, full_name, forgotten_at
                FROM subjects
                WHERE portal_id = $1 AND developer_id = $2
                FOR UPDATE
            ),
            -- What trusted senders told of them before they signed up.
            addressed AS (
                UPDATE subjects
                SET email = NULL, full_name = NULL,
                    forgotten_at = COALESCE(subjects.forgotten_at, $3)
                FROM known
                WHERE subjects.portal_id = known.portal_id
                    AND subjects.developer_id <> known.developer_id
                    AND subjects.told_at IS NOT NULL
                    AND lower(subjects.email COLLATE "C") = lower(known.email COLLATE "C")
                RETURNING subjects.developer_id
            ),
            -- Whatever else they told of them: by id, by address, by a registration of theirs.
            named AS (
                SELECT $2 AS id
                UNION
                SELECT developer_id
                FROM addressed
                UNION
                SELECT r.registration_id
                FROM directory_registrations r
                JOIN directory_applications a USING (portal_id, application_id)
                WHERE r.portal_id = $1 AND a.owner_id = $2
            ),
            told AS (
                UPDATE subjects
                SET told = NULL, forgotten_at = COALESCE(subjects.forgotten_at, $3)
                FROM named
                WHERE subjects.portal_id = $1
                    AND subjects.told_of = named.id
                    AND subjects.told IS NOT NULL
                RETURNING 1
            )
            UPDATE subjects
            SET email = NULL, full_name = NULL, forgotten_at = COALESCE(known.forgotten_at, $3)
            FROM known
            WHERE subjects.portal_id = known.portal_id
                AND subjects.developer_id = known.developer_id
            RETURNING
                known.email IS NOT NULL AS "email!",
                known.full_name IS NOT NULL AS "full_name!",
                (SELECT count(*) FROM told) AS "told!",
                known.forgotten_at AS before
            "#,
            portal.0,
            developer.0,
            self.clock.now(),
        )
        .fetch_optional(self.journal.pool())
        .await?)
    }

    /// Empties what is stored about up to [`SLICE`] people who are gone from Konnect, or whose
    /// portal is, since before `before`. Also empties what senders reported about them until then.
    /// Returns how many people that were. A person who comes back under the same id is filled in
    /// again.
    pub async fn empty_gone(&self, before: DateTime<Utc>) -> Result<u64, JournalError> {
        let done = sqlx::query!(
            r#"
            WITH gone AS (
                SELECT s.portal_id, s.developer_id, s.email
                FROM directory_developers d
                JOIN directory_portals p USING (portal_id)
                JOIN subjects s USING (portal_id, developer_id)
                WHERE COALESCE(d.gone_at, p.gone_at) < $1
                    AND (s.email IS NOT NULL OR s.full_name IS NOT NULL)
                LIMIT $2
                FOR UPDATE OF s SKIP LOCKED
            ),
            addressed AS (
                DELETE FROM subjects
                USING gone
                WHERE subjects.portal_id = gone.portal_id
                    AND subjects.told_at < $1
                    AND lower(subjects.email COLLATE "C") = lower(gone.email COLLATE "C")
                RETURNING subjects.portal_id, subjects.developer_id
            ),
            named AS (
                SELECT portal_id, developer_id AS id
                FROM gone
                UNION
                SELECT portal_id, developer_id
                FROM addressed
                UNION
                SELECT r.portal_id, r.registration_id
                FROM gone
                JOIN directory_applications a
                    ON a.portal_id = gone.portal_id AND a.owner_id = gone.developer_id
                JOIN directory_registrations r
                    ON r.portal_id = a.portal_id AND r.application_id = a.application_id
            ),
            told AS (
                DELETE FROM subjects
                USING named
                WHERE subjects.portal_id = named.portal_id
                    AND subjects.told_of = named.id
                    AND subjects.told_at < $1
            )
            UPDATE subjects
            SET email = NULL, full_name = NULL
            FROM gone
            WHERE subjects.portal_id = gone.portal_id
                AND subjects.developer_id = gone.developer_id
            "#,
            before,
            SLICE,
        )
        .execute(self.journal.pool())
        .await?;
        Ok(done.rows_affected())
    }

    /// Whether a developer was forgotten, which is for good.
    pub async fn is_forgotten(
        &self,
        portal: PortalId,
        developer: DeveloperId,
    ) -> Result<bool, JournalError> {
        Ok(sqlx::query_scalar!(
            r#"
            SELECT EXISTS (
                SELECT
                FROM subjects
                WHERE portal_id = $1 AND developer_id = $2 AND forgotten_at IS NOT NULL
            ) AS "exists!"
            "#,
            portal.0,
            developer.0,
        )
        .fetch_one(self.journal.pool())
        .await?)
    }

    /// The members that a trusted sender reported and that are not in its event; none once
    /// forgotten.
    pub async fn custom_subject(
        &self,
        portal: PortalId,
        id: Uuid,
    ) -> Result<Map<String, Value>, JournalError> {
        let told = sqlx::query_scalar!(
            r"
            SELECT told
            FROM subjects
            WHERE portal_id = $1 AND developer_id = $2
            ",
            portal.0,
            id,
        )
        .fetch_optional(self.journal.pool())
        .await?;
        let told = told.flatten();
        Ok(told
            .and_then(|told| serde_json::from_str(&told).ok())
            .unwrap_or_default())
    }

    /// The ids under which senders reported something about a developer by their address, before
    /// anybody had it.
    pub async fn custom_subjects_of(
        &self,
        portal: PortalId,
        developer: DeveloperId,
    ) -> Result<Vec<Uuid>, JournalError> {
        Ok(sqlx::query_scalar!(
            r#"
            SELECT told.developer_id
            FROM subjects s
            JOIN subjects told
                ON told.portal_id = s.portal_id
                AND lower(told.email COLLATE "C") = lower(s.email COLLATE "C")
            WHERE s.portal_id = $1 AND s.developer_id = $2 AND told.told_at IS NOT NULL
            "#,
            portal.0,
            developer.0,
        )
        .fetch_all(self.journal.pool())
        .await?)
    }

    /// Whether an id belongs to what a sender reported, and not to a developer.
    pub async fn is_custom_subject(&self, id: Uuid) -> Result<bool, JournalError> {
        let is_told = sqlx::query_scalar!(
            r#"
            SELECT EXISTS (
                SELECT FROM subjects
                WHERE developer_id = $1 AND told_at IS NOT NULL
                    AND ($2::uuid[] IS NULL OR portal_id = ANY($2))
            ) AS "is_told!"
            "#,
            id,
            self.journal.portals().ids(),
        )
        .fetch_one(self.journal.pool())
        .await?;
        Ok(is_told)
    }

    /// The portals in which a person of this id was ever found.
    pub async fn portals_of(&self, developer: DeveloperId) -> Result<Vec<PortalId>, JournalError> {
        let ids = sqlx::query_scalar!(
            r"
            SELECT portal_id
            FROM subjects
            WHERE developer_id = $1 AND ($2::uuid[] IS NULL OR portal_id = ANY($2))
            ORDER BY portal_id
            ",
            developer.0,
            self.journal.portals().ids(),
        )
        .fetch_all(self.journal.pool())
        .await?;
        Ok(ids.into_iter().map(PortalId).collect())
    }

    /// Finds the developers of an address: none once forgotten or gone, of several two.
    ///
    /// Only the case of ASCII letters does not count. Case in Unicode turns some letters into
    /// others (`İ` into `i`), and a stranger who has such a letter would pass for the person named.
    pub async fn find_developers_by_email(
        &self,
        portal: PortalId,
        email: &str,
    ) -> Result<Vec<DeveloperId>, JournalError> {
        if !self.sees(portal) {
            return Ok(Vec::new());
        }
        let ids = sqlx::query_scalar!(
            r#"
            SELECT s.developer_id
            FROM subjects s
            JOIN directory_developers d USING (portal_id, developer_id)
            WHERE s.portal_id = $1
                AND lower(s.email COLLATE "C") = lower($2::text COLLATE "C")
                AND d.gone_at IS NULL
            ORDER BY s.developer_id
            LIMIT 2
            "#,
            portal.0,
            email,
        )
        .fetch_all(self.journal.pool())
        .await?;
        Ok(ids.into_iter().map(DeveloperId).collect())
    }
}

/// Stores e-mail and name of `developers`, except of those who were forgotten.
pub(super) async fn write(
    tx: &mut Connection,
    portal: PortalId,
    developers: &[&Developer],
) -> Result<(), JournalError> {
    // Postgres text refuses NUL, and one such name must not fail the whole sweep.
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
