//! `admin-changes`: what people changed in Konnect, from the organisation's log.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::journal::{Connection, JournalError};
use crate::report::question::Asked;
use crate::report::row::columns;

columns! {
    /// A call to the API that changes something.
    pub struct Row {
        /// When it was made
        at: DateTime<Utc>,
        /// Who made it, as sent
        principal_id: Option<String>,
        /// HTTP method
        act: String,
        /// The path that was called
        path: Option<String>,
        /// HTTP status of the answer
        status: Option<i64>,
        /// `success`, `failure` or `unknown`
        outcome: String,
        /// Address as sent
        src: Option<String>,
        /// Trace as sent
        trace_id: Option<String>,
        /// What its signature proves
        verification: String,
        /// The event
        event_id: Uuid,
    }
}

pub(super) async fn rows(tx: &mut Connection, asked: &Asked) -> Result<Vec<Row>, JournalError> {
    Ok(sqlx::query_as!(
        Row,
        r#"
        SELECT
            e.occurred_at AS "at!", e.principal_id, e.act AS "act!", e.path,
            e.status::bigint AS status,
            usher_outcome(e.success, e.granted, e.status) AS "outcome!",
            e.src, e.trace_id, e.verdict AS "verification!", e.id AS "event_id!"
        FROM (
            -- Only hours that hold calls at all, the newest first, as far as rows are wanted.
            SELECT DISTINCT hour
            FROM report_hours
            WHERE kind = 'access' AND hour >= date_bin('1 hour', $1, 'epoch') AND hour < $2
            ORDER BY hour DESC
        ) AS hours
        CROSS JOIN LATERAL (
            SELECT *
            FROM events
            WHERE event_ts >= hours.hour
                AND event_ts < hours.hour + interval '1 hour'
                AND event_ts >= $1
                AND event_ts < $2
                AND kind = 'access'
                AND act IN ('POST', 'PUT', 'PATCH', 'DELETE')
            ORDER BY event_ts DESC, id DESC
            LIMIT $3
        ) AS e
        ORDER BY hours.hour DESC, e.event_ts DESC, e.id DESC
        LIMIT $3
        "#,
        asked.from,
        asked.to,
        asked.one_more,
    )
    .fetch_all(tx)
    .await?)
}
