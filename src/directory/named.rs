//! What people recognise an object by, for many objects of any kind at once: whoever reads a list
//! of actions knows names, not ids.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::directory::Directory;
use crate::directory::subjects::Subject;
use crate::journal::JournalError;

/// What people recognise a developer, an application, a registration or an invited address by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// E-mail and name of the developer, or of the one who owns the application.
    pub subject: Subject,
    /// That developer.
    pub developer_id: Option<Uuid>,
    /// The application, or that of the registration.
    pub application_id: Option<Uuid>,
    /// Its name.
    pub application: Option<String>,
    /// The name of the API that a registration is for.
    pub api: Option<String>,
    /// The status of the developer or the registration.
    pub status: Option<String>,
    /// Whether it is no longer there.
    pub is_gone: bool,
}

impl Directory {
    /// What people recognise objects by, asked for and returned by portal and id, whatever kind
    /// each is of; what was never found has nothing.
    pub async fn named(
        &self,
        objects: &[(Uuid, Uuid)],
    ) -> Result<BTreeMap<(Uuid, Uuid), Named>, JournalError> {
        if objects.is_empty() {
            return Ok(BTreeMap::new());
        }
        let (portals, ids) = self.seen_of(objects);
        let rows = sqlx::query!(
            r#"
            SELECT
                asked.portal_id AS "portal_id!",
                asked.id AS "id!",
                COALESCE(s.email, owner.email) AS email,
                COALESCE(s.full_name, owner.full_name) AS full_name,
                COALESCE(
                    d.developer_id,
                    CASE WHEN a.owner_type = 'developer' THEN a.owner_id END
                ) AS developer_id,
                a.application_id AS "application_id?",
                a.name AS "application?",
                r.api_name AS "api?",
                COALESCE(d.status, r.status) AS status,
                CASE
                    WHEN d.developer_id IS NOT NULL THEN d.gone_at
                    WHEN r.registration_id IS NOT NULL THEN r.gone_at
                    ELSE a.gone_at
                END IS NOT NULL AS "is_gone!"
            FROM UNNEST($1::uuid[], $2::uuid[]) AS asked (portal_id, id)
            LEFT JOIN directory_developers d
                ON d.portal_id = asked.portal_id AND d.developer_id = asked.id
            -- An invited address is no developer yet.
            LEFT JOIN subjects s
                ON s.portal_id = asked.portal_id AND s.developer_id = asked.id
            LEFT JOIN directory_registrations r
                ON r.portal_id = asked.portal_id AND r.registration_id = asked.id
            LEFT JOIN directory_applications a
                ON a.portal_id = asked.portal_id
                AND a.application_id = COALESCE(r.application_id, asked.id)
            LEFT JOIN subjects owner
                ON owner.portal_id = asked.portal_id
                AND a.owner_type = 'developer'
                AND owner.developer_id = a.owner_id
            "#,
            &portals,
            &ids,
        )
        .fetch_all(self.journal.pool())
        .await?;
        let named = rows.into_iter().map(|row| {
            let named = Named {
                subject: Subject {
                    email: row.email,
                    full_name: row.full_name,
                },
                developer_id: row.developer_id,
                application_id: row.application_id,
                application: row.application,
                api: row.api,
                status: row.status,
                is_gone: row.is_gone,
            };
            ((row.portal_id, row.id), named)
        });
        Ok(named.collect())
    }
}
