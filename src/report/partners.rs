//! `partners`: what the people of each domain have come to.

use chrono::{DateTime, Utc};

use crate::journal::{Connection, JournalError};
use crate::report::question::Asked;
use crate::report::row::columns;

columns! {
    /// The people whose addresses end alike.
    pub struct Row {
        /// What follows the `@` of their addresses, in lower case
        domain: String,
        /// People who are there
        people: i64,
        /// How many of them are approved
        approved: i64,
        /// How many of them are pending
        pending: i64,
        /// Applications that they own
        applications: i64,
        /// Registrations of these
        registrations: i64,
        /// How many of those are approved
        approved_registrations: i64,
        /// Their successful log-ins on the days that the window touches
        logins: i64,
        /// The last of these
        last_login_at: Option<DateTime<Utc>>,
    }
}

pub(super) async fn rows(tx: &mut Connection, asked: &Asked) -> Result<Vec<Row>, JournalError> {
    Ok(sqlx::query_as!(
        Row,
        r#"
        WITH people AS (
            SELECT
                d.portal_id, d.developer_id, d.status,
                lower(substring(s.email FROM '[^@]*$')) AS domain
            FROM directory_developers d
            JOIN directory_portals p USING (portal_id)
            JOIN subjects s USING (portal_id, developer_id)
            WHERE d.gone_at IS NULL
                AND p.gone_at IS NULL
                AND s.email LIKE '%@%'
                AND ($1::uuid IS NULL OR d.portal_id = $1)
                AND ($5::uuid[] IS NULL OR d.portal_id = ANY($5))
        ), owned AS (
            SELECT
                a.portal_id, a.owner_id AS developer_id,
                count(DISTINCT a.application_id) AS applications,
                count(r.registration_id) AS registrations,
                count(r.registration_id) FILTER (WHERE r.status = 'approved') AS approved
            FROM directory_applications a
            LEFT JOIN directory_registrations r
                ON r.portal_id = a.portal_id
                AND r.application_id = a.application_id
                AND r.gone_at IS NULL
            WHERE a.gone_at IS NULL
            GROUP BY a.portal_id, a.owner_id
        ), logins AS (
            SELECT portal_id, principal_id, sum(events) AS logins, max(last_at) AS last_at
            FROM report_principals
            WHERE kind = 'authentication'
                AND outcome = 'success'
                AND verdict <> 'failed'
                AND since >= date_bin('1 day', $2, 'epoch')
                AND since < $3
            GROUP BY portal_id, principal_id
        )
        SELECT
            domain AS "domain!",
            count(*) AS "people!",
            count(*) FILTER (WHERE status = 'approved') AS "approved!",
            count(*) FILTER (WHERE status = 'pending') AS "pending!",
            COALESCE(sum(owned.applications), 0)::bigint AS "applications!",
            COALESCE(sum(owned.registrations), 0)::bigint AS "registrations!",
            COALESCE(sum(owned.approved), 0)::bigint AS "approved_registrations!",
            COALESCE(sum(logins.logins), 0)::bigint AS "logins!",
            max(logins.last_at) AS last_login_at
        FROM people
        LEFT JOIN owned USING (portal_id, developer_id)
        LEFT JOIN logins
            ON logins.portal_id = people.portal_id::text
            AND logins.principal_id = people.developer_id::text
        GROUP BY domain
        ORDER BY count(*) DESC, domain
        LIMIT $4
        "#,
        asked.portals.one(),
        asked.from,
        asked.to,
        asked.one_more,
        asked.portals.others(),
    )
    .fetch_all(tx)
    .await?)
}
