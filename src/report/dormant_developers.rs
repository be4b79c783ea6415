//! `dormant-developers`: who was let in and has not signed in for long.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::journal::{Connection, JournalError};
use crate::report::question::Asked;
use crate::report::row::columns;

columns! {
    /// A developer who is approved and has not signed in.
    pub struct Row {
        /// Their portal
        portal_id: Uuid,
        /// Their id in Konnect
        developer_id: Uuid,
        /// Their address; none once forgotten
        email: Option<String>,
        /// Their name; none once forgotten
        full_name: Option<String>,
        /// Their last successful log-in whose signature is not false; none where the journal has
        /// none
        last_login_at: Option<DateTime<Utc>>,
        /// When they came
        signed_up_at: DateTime<Utc>,
        /// Whole days since the later of the two
        days: i64,
    }
}

pub(super) async fn rows(tx: &mut Connection, asked: &Asked) -> Result<Vec<Row>, JournalError> {
    Ok(sqlx::query_as!(
        Row,
        r#"
        SELECT
            d.portal_id, d.developer_id, s.email AS "email?", s.full_name AS "full_name?",
            login.at AS "last_login_at?",
            t.signed_up_at AS "signed_up_at!",
            floor(extract(epoch FROM now() - t.seen_at) / 86400)::bigint AS "days!"
        FROM directory_developers d
        JOIN directory_portals p USING (portal_id)
        LEFT JOIN subjects s USING (portal_id, developer_id)
        LEFT JOIN LATERAL (
            SELECT r.last_at AS at
            FROM report_principals r
            WHERE r.principal_id = d.developer_id::text
                AND r.portal_id = d.portal_id::text
                AND r.kind = 'authentication'
                AND r.outcome = 'success'
                AND r.verdict <> 'failed'
            ORDER BY r.since DESC, r.last_at DESC
            LIMIT 1
        ) AS login ON true
        CROSS JOIN LATERAL (
            SELECT
                COALESCE(d.api_created_at, d.first_seen_at) AS signed_up_at,
                GREATEST(login.at, COALESCE(d.api_created_at, d.first_seen_at)) AS seen_at
        ) AS t
        WHERE d.status = 'approved'
            -- Nothing is counted by the name of who was forgotten.
            AND s.forgotten_at IS NULL
            AND d.gone_at IS NULL
            AND p.gone_at IS NULL
            AND ($1::uuid IS NULL OR d.portal_id = $1)
            AND ($4::uuid[] IS NULL OR d.portal_id = ANY($4))
            AND t.seen_at <= now() - make_interval(days => $2)
        ORDER BY t.seen_at, d.developer_id
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
