//! Applications and registrations page by page.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::directory::Directory;
use crate::directory::objects::{Application, Owner, Registration};
use crate::directory::pages::ListPage;
use crate::directory::rows::{ApplicationRow, RegistrationRow};
use crate::journal::JournalError;

/// Which applications to list.
#[derive(Debug, Clone, Default)]
pub struct ApplicationFilter {
    /// Only those that this developer or team owns.
    pub owner_id: Option<Uuid>,
}

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
        let (portal, application) = page.start(|portal| (portal, Uuid::nil()));
        let rows = sqlx::query_as!(
            ApplicationRow,
            r"
            SELECT
                portal_id, application_id, name, owner_type, owner_id,
                api_created_at, api_updated_at,
                look, revision, first_seen_at, last_seen_at, gone_at
            FROM directory_applications
            WHERE (portal_id, application_id) > ($1, $2)
                AND portal_id <= $3
                AND ($4::uuid IS NULL OR owner_id = $4)
                AND ($5::boolean IS NULL OR (gone_at IS NOT NULL) = $5)
            ORDER BY portal_id, application_id
            LIMIT $6
            ",
            portal,
            application,
            page.last_portal(),
            filter.owner_id,
            page.gone.wanted(),
            page.limit,
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
        let (portal, registration) = page.start(|portal| (portal, Uuid::nil()));
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
            ORDER BY portal_id, registration_id
            LIMIT $8
            ",
            portal,
            registration,
            page.last_portal(),
            filter.status,
            filter.application_id,
            filter.developer_id,
            page.gone.wanted(),
            page.limit,
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
        let (portals, ids): (Vec<Uuid>, Vec<Uuid>) = applications.iter().copied().unzip();
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
}
