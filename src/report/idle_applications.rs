//! `idle-applications`: applications that never asked for an API, or lost all that they had.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::journal::{Connection, JournalError};
use crate::report::question::Asked;
use crate::report::row::columns;

columns! {
    /// An application without a registration.
    pub struct Row {
        /// Its portal
        portal_id: Uuid,
        /// Its id in Konnect
        application_id: Uuid,
        /// Its name
        name: String,
        /// The developer who owns it; none where a team does
        developer_id: Option<Uuid>,
        /// Their address
        email: Option<String>,
        /// Their name
        full_name: Option<String>,
        /// The team that owns it; none where a developer does
        team_id: Option<Uuid>,
        /// When it was made
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
            a.portal_id, a.application_id, a.name,
            CASE WHEN a.owner_type = 'developer' THEN a.owner_id END AS developer_id,
            s.email AS "email?", s.full_name AS "full_name?",
            CASE WHEN a.owner_type = 'team' THEN a.owner_id END AS team_id,
            t.since AS "since!",
            floor(extract(epoch FROM now() - t.since) / 86400)::bigint AS "days!"
        FROM directory_applications a
        JOIN directory_portals p USING (portal_id)
        LEFT JOIN subjects s
            ON s.portal_id = a.portal_id AND s.developer_id = a.owner_id AND a.owner_type = 'developer'
        CROSS JOIN LATERAL (SELECT COALESCE(a.api_created_at, a.first_seen_at) AS since) AS t
        WHERE a.gone_at IS NULL
            AND p.gone_at IS NULL
            AND ($1::uuid IS NULL OR a.portal_id = $1)
            AND ($4::uuid[] IS NULL OR a.portal_id = ANY($4))
            AND t.since <= now() - make_interval(days => $2)
            AND NOT EXISTS (
                SELECT
                FROM directory_registrations r
                WHERE r.portal_id = a.portal_id
                    AND r.application_id = a.application_id
                    AND r.gone_at IS NULL
            )
        ORDER BY t.since, a.application_id
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
