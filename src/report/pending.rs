//! `pending`: who waits for an answer, the oldest first.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::journal::{Connection, JournalError};
use crate::report::question::Asked;
use crate::report::row::columns;

columns! {
    /// A developer or a registration that is pending.
    pub struct Row {
        /// `developer` or `registration`
        what: String,
        /// Its portal
        portal_id: Uuid,
        /// The developer, or the one who owns the application
        developer_id: Option<Uuid>,
        /// Their address
        email: Option<String>,
        /// Their name
        full_name: Option<String>,
        /// The application that asks, of a registration
        application_id: Option<Uuid>,
        /// The registration
        registration_id: Option<Uuid>,
        /// The API that it asks for
        api_name: Option<String>,
        /// When they came, or it was asked for
        since: DateTime<Utc>,
        /// Whole hours since then
        hours: i64,
        /// The rule whose deed is open, if one is
        rule: Option<String>,
        /// The state of that deed: `planned`, `running` or `parked`
        state: Option<String>,
        /// Why it is in that state
        reason: Option<String>,
    }
}

pub(super) async fn rows(tx: &mut Connection, asked: &Asked) -> Result<Vec<Row>, JournalError> {
    Ok(sqlx::query_as!(
        Row,
        r#"
        WITH waiting AS (
            SELECT
                'developer' AS what, d.portal_id, d.developer_id, NULL::uuid AS application_id,
                NULL::uuid AS registration_id, NULL::text AS api_name, d.developer_id AS target_id,
                COALESCE(d.api_created_at, d.first_seen_at) AS since
            FROM directory_developers d
            WHERE d.status = 'pending' AND d.gone_at IS NULL
            UNION ALL
            SELECT
                'registration', r.portal_id,
                CASE WHEN a.owner_type = 'developer' THEN a.owner_id END, r.application_id,
                r.registration_id, r.api_name, r.registration_id,
                COALESCE(r.api_created_at, r.first_seen_at)
            FROM directory_registrations r
            LEFT JOIN directory_applications a USING (portal_id, application_id)
            WHERE r.status = 'pending' AND r.gone_at IS NULL
        )
        SELECT
            w.what AS "what!", w.portal_id AS "portal_id!", w.developer_id,
            s.email AS "email?", s.full_name AS "full_name?",
            w.application_id, w.registration_id, w.api_name,
            w.since AS "since!",
            floor(extract(epoch FROM now() - w.since) / 3600)::bigint AS "hours!",
            open.rule AS "rule?", open.state AS "state?", open.reason AS "reason?"
        FROM waiting w
        JOIN directory_portals p USING (portal_id)
        LEFT JOIN subjects s
            ON s.portal_id = w.portal_id AND s.developer_id = w.developer_id
        LEFT JOIN LATERAL (
            SELECT a.rule, a.state, a.reason
            FROM actions a
            WHERE a.portal_id = w.portal_id
                AND a.target_id = w.target_id
                AND a.state IN ('planned', 'running', 'parked')
            ORDER BY a.step, a.id
            LIMIT 1
        ) AS open ON true
        WHERE p.gone_at IS NULL
            AND ($1::uuid IS NULL OR w.portal_id = $1)
            AND ($4::uuid[] IS NULL OR w.portal_id = ANY($4))
            AND w.since <= now() - make_interval(days => $2)
        ORDER BY w.since, w.target_id
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
