//! `idle-developers`: who was let in and made no application.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::journal::{Connection, JournalError};
use crate::report::question::Asked;
use crate::report::row::columns;

columns! {
    /// A developer who is approved and owns no application.
    pub struct Row {
        /// Their portal
        portal_id: Uuid,
        /// Their id in Konnect
        developer_id: Uuid,
        /// Their address; none once forgotten
        email: Option<String>,
        /// Their name; none once forgotten
        full_name: Option<String>,
        /// When they were approved, or came where that was not seen
        since: DateTime<Utc>,
        /// Whole days since then
        days: i64,
    }
}

pub(super) async fn rows(tx: &mut Connection, asked: &Asked) -> Result<Vec<Row>, JournalError> {
    Ok(sqlx::query_as!(
        Row,
        r#"
        SELECT
            d.portal_id, d.developer_id, s.email AS "email?", s.full_name AS "full_name?",
            t.since AS "since!",
            floor(extract(epoch FROM now() - t.since) / 86400)::bigint AS "days!"
        FROM directory_developers d
        JOIN directory_portals p USING (portal_id)
        LEFT JOIN subjects s USING (portal_id, developer_id)
        CROSS JOIN LATERAL (
            SELECT COALESCE(d.approved_at, d.api_created_at, d.first_seen_at) AS since
        ) AS t
        WHERE d.status = 'approved'
            AND d.gone_at IS NULL
            AND p.gone_at IS NULL
            AND ($1::uuid IS NULL OR d.portal_id = $1)
            AND ($4::uuid[] IS NULL OR d.portal_id = ANY($4))
            AND t.since <= now() - make_interval(days => $2)
            AND NOT EXISTS (
                SELECT
                FROM directory_applications a
                WHERE a.portal_id = d.portal_id
                    AND a.owner_id = d.developer_id
                    AND a.gone_at IS NULL
            )
        ORDER BY t.since, d.developer_id
        LIMIT $3
        "#,
        asked.portals.one(),
        asked.days,
        asked.one_more,
        asked.portals.others(),
    )
    .fetch_all(tx)
    .await?)
}
