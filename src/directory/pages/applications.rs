//! Applications and registrations page by page.

use std::collections::BTreeMap;

use konnect::PortalId;
use uuid::Uuid;

use crate::directory::Directory;
use crate::directory::objects::{Application, Owner, Registration};
use crate::directory::pages::{ListPage, last_portal};
use crate::directory::rows::{ApplicationRow, RegistrationRow};
use crate::journal::JournalError;

/// Which applications to list.
#[derive(Debug, Clone, Default)]
pub struct ApplicationFilter {
    /// Only those that this developer or team owns.
    pub owner_id: Option<Uuid>,
    /// Only those whose name begins with this; the case of ASCII letters does not count.
    pub name: Option<String>,
}

/// How many registrations an application has, counted up to [`MOST_COUNTED`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RegistrationCount {
    /// All that are there.
    pub all: i64,
    /// Those that wait for an answer.
    pub pending: i64,
}

/// No more registrations of one application are counted.
pub const MOST_COUNTED: i64 = 100;

/// Which registrations to list.
#[derive(Debug, Clone, Default)]
pub struct RegistrationFilter {
    /// Only those of this status.
    pub status: Option<String>,
    /// Only those of this application.
    pub application_id: Option<Uuid>,
    /// Only those of applications that this developer owns.
    pub developer_id: Option<Uuid>,
}

impl Directory {
    /// Lists applications by portal and id.
    pub async fn list_applications(
        &self,
        filter: &ApplicationFilter,
        page: &ListPage<(Uuid, Uuid)>,
    ) -> Result<Vec<Application>, JournalError> {
        let portals = self.journal.portals().narrowed(page.portal_id);
        let (portal, application) = page.start(&portals, |portal| (portal, Uuid::nil()));
        let rows = sqlx::query_as!(
            ApplicationRow,
            r#"
            SELECT
                portal_id, application_id, name, owner_type, owner_id,
                api_created_at, api_updated_at,
                look, revision, first_seen_at, last_seen_at, gone_at
            FROM directory_applications
            WHERE (portal_id, application_id) > ($1, $2)
                AND portal_id <= $3
                AND ($4::uuid IS NULL OR owner_id = $4)
                AND ($5::boolean IS NULL OR (gone_at IS NOT NULL) = $5)
                AND (
                    $6::text IS NULL
                    OR starts_with(lower(name COLLATE "C"), lower($6::text COLLATE "C"))
                )
                AND ($8::uuid[] IS NULL OR portal_id = ANY($8))
            ORDER BY portal_id, application_id
            LIMIT $7
            "#,
            portal,
            application,
            last_portal(&portals),
            filter.owner_id,
            page.gone.wanted(),
            filter.name,
            page.limit,
            portals.others(),
        )
        .fetch_all(self.journal.pool())
        .await?;
        Ok(rows.into_iter().map(Application::from).collect())
    }

    /// Lists registrations by portal and id.
    pub async fn list_registrations(
        &self,
        filter: &RegistrationFilter,
        page: &ListPage<(Uuid, Uuid)>,
    ) -> Result<Vec<Registration>, JournalError> {
        let portals = self.journal.portals().narrowed(page.portal_id);
        let (portal, registration) = page.start(&portals, |portal| (portal, Uuid::nil()));
        let rows = sqlx::query_as!(
            RegistrationRow,
            r"
            SELECT
                portal_id, registration_id, application_id, status,
                api_id, api_name, api_version, api_entity_type, api_created_at, api_updated_at,
                look, revision, first_seen_at, last_seen_at, gone_at
            FROM directory_registrations
            WHERE (portal_id, registration_id) > ($1, $2)
                AND portal_id <= $3
                AND ($4::text IS NULL OR status = $4)
                AND ($5::uuid IS NULL OR application_id = $5)
                -- As an array: looked up once, not for every registration.
                AND (
                    $6::uuid IS NULL
                    OR application_id = ANY(ARRAY(
                        SELECT a.application_id
                        FROM directory_applications a
                        WHERE a.owner_type = 'developer' AND a.owner_id = $6
                    ))
                )
                AND ($7::boolean IS NULL OR (gone_at IS NOT NULL) = $7)
                AND ($9::uuid[] IS NULL OR portal_id = ANY($9))
            ORDER BY portal_id, registration_id
            LIMIT $8
            ",
            portal,
            registration,
            last_portal(&portals),
            filter.status,
            filter.application_id,
            filter.developer_id,
            page.gone.wanted(),
            page.limit,
            portals.others(),
        )
        .fetch_all(self.journal.pool())
        .await?;
        Ok(rows.into_iter().map(Registration::from).collect())
    }

    /// The owners of applications, asked for and returned by portal and id; applications without an
    /// owner are left out.
    pub async fn owners_of(
        &self,
        applications: &[(Uuid, Uuid)],
    ) -> Result<BTreeMap<(Uuid, Uuid), Owner>, JournalError> {
        if applications.is_empty() {
            return Ok(BTreeMap::new());
        }
        let (portals, ids) = self.seen_of(applications);
        let rows = sqlx::query!(
            r#"
            SELECT DISTINCT a.portal_id, a.application_id, a.owner_type, a.owner_id
            FROM UNNEST($1::uuid[], $2::uuid[]) AS asked (portal_id, application_id)
            JOIN directory_applications a USING (portal_id, application_id)
            "#,
            &portals,
            &ids,
        )
        .fetch_all(self.journal.pool())
        .await?;
        let owners = rows.into_iter().filter_map(|row| {
            let owner = Owner::from_stored(row.owner_type.as_deref(), row.owner_id)?;
            Some(((row.portal_id, row.application_id), owner))
        });
        Ok(owners.collect())
    }
    /// The portals that know an application, also one that is gone.
    pub async fn portals_of_application(&self, id: Uuid) -> Result<Vec<PortalId>, JournalError> {
        let ids = sqlx::query_scalar!(
            r"
            SELECT p.portal_id
            FROM directory_portals p
            JOIN directory_applications a ON a.portal_id = p.portal_id AND a.application_id = $1
            WHERE $2::uuid[] IS NULL OR p.portal_id = ANY($2)
            ORDER BY p.portal_id
            ",
            id,
            self.journal.portals().ids(),
        )
        .fetch_all(self.journal.pool())
        .await?;
        Ok(ids.into_iter().map(PortalId).collect())
    }

    /// How many registrations applications have, asked for and returned by portal and id;
    /// applications without one are left out.
    pub async fn count_registrations(
        &self,
        applications: &[(Uuid, Uuid)],
    ) -> Result<BTreeMap<(Uuid, Uuid), RegistrationCount>, JournalError> {
        if applications.is_empty() {
            return Ok(BTreeMap::new());
        }
        let (portals, ids) = self.seen_of(applications);
        let rows = sqlx::query!(
            r#"
            SELECT
                r.portal_id, r.application_id,
                count(*) AS "all!",
                count(*) FILTER (WHERE r.status = 'pending') AS "pending!"
            FROM UNNEST($1::uuid[], $2::uuid[]) AS asked (portal_id, application_id)
            CROSS JOIN LATERAL (
                SELECT portal_id, application_id, status
                FROM directory_registrations
                WHERE portal_id = asked.portal_id
                    AND application_id = asked.application_id
                    AND gone_at IS NULL
                LIMIT $3
            ) AS r
            GROUP BY r.portal_id, r.application_id
            "#,
            &portals,
            &ids,
            MOST_COUNTED,
        )
        .fetch_all(self.journal.pool())
        .await?;
        let counts = rows.into_iter().map(|row| {
            let (all, pending) = (row.all, row.pending);
            let count = RegistrationCount { all, pending };
            ((row.portal_id, row.application_id), count)
        });
        Ok(counts.collect())
    }
}
