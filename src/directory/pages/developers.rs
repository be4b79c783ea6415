//! Developers page by page: all of them by id, those of an address by the address.

use uuid::Uuid;

use crate::directory::Directory;
use crate::directory::objects::Developer;
use crate::directory::pages::{ListPage, last_portal};
use crate::directory::rows::DeveloperRow;
use crate::journal::JournalError;

/// Which developers to list.
#[derive(Debug, Clone, Default)]
pub struct DeveloperFilter {
    /// Only those of this status.
    pub status: Option<String>,
}

impl Directory {
    /// Lists developers by portal and id.
    pub async fn list_developers(
        &self,
        filter: &DeveloperFilter,
        page: &ListPage<(Uuid, Uuid)>,
    ) -> Result<Vec<Developer>, JournalError> {
        let portals = self.journal.portals().narrowed(page.portal_id);
        let (portal, developer) = page.start(&portals, |portal| (portal, Uuid::nil()));
        let rows = sqlx::query_as!(
            DeveloperRow,
            r"
            SELECT
                portal_id, developer_id, status, api_created_at, api_updated_at,
                look, revision, first_seen_at, last_seen_at, gone_at
            FROM directory_developers
            WHERE (portal_id, developer_id) > ($1, $2)
                AND portal_id <= $3
                AND ($4::text IS NULL OR status = $4)
                AND ($5::boolean IS NULL OR (gone_at IS NOT NULL) = $5)
                AND ($7::uuid[] IS NULL OR portal_id = ANY($7))
            ORDER BY portal_id, developer_id
            LIMIT $6
            ",
            portal,
            developer,
            last_portal(&portals),
            filter.status,
            page.gone.wanted(),
            page.limit,
            portals.others(),
        )
        .fetch_all(self.journal.pool())
        .await?;
        Ok(rows.into_iter().map(Developer::from).collect())
    }

    /// Lists developers whose address begins with `prefix`, by portal, address and id. As
    /// everywhere, only the case of ASCII letters does not count.
    pub async fn list_developers_by_email(
        &self,
        prefix: &str,
        filter: &DeveloperFilter,
        page: &ListPage<(Uuid, String, Uuid)>,
    ) -> Result<Vec<Developer>, JournalError> {
        let before = |portal| (portal, String::new(), Uuid::nil());
        let portals = self.journal.portals().narrowed(page.portal_id);
        let (portal, address, developer) = page.start(&portals, before);
        let rows = sqlx::query_as!(
            DeveloperRow,
            r#"
            SELECT
                d.portal_id, d.developer_id, d.status, d.api_created_at, d.api_updated_at,
                d.look, d.revision, d.first_seen_at, d.last_seen_at, d.gone_at
            FROM subjects s
            JOIN directory_developers d USING (portal_id, developer_id)
            -- A range, and not LIKE: it is read along the index whatever stands in the prefix.
            WHERE lower(s.email COLLATE "C") >= lower($5::text COLLATE "C")
                AND lower(s.email COLLATE "C") < lower($5::text COLLATE "C") || chr(1114111)
                AND (s.portal_id, lower(s.email COLLATE "C"), s.developer_id) > ($1, $2::text, $3)
                AND s.portal_id <= $4
                AND ($6::text IS NULL OR d.status = $6)
                AND ($7::boolean IS NULL OR (d.gone_at IS NOT NULL) = $7)
                AND ($9::uuid[] IS NULL OR s.portal_id = ANY($9))
            ORDER BY s.portal_id, lower(s.email COLLATE "C"), s.developer_id
            LIMIT $8
            "#,
            portal,
            address,
            developer,
            last_portal(&portals),
            prefix,
            filter.status,
            page.gone.wanted(),
            page.limit,
            portals.others(),
        )
        .fetch_all(self.journal.pool())
        .await?;
        Ok(rows.into_iter().map(Developer::from).collect())
    }
}
