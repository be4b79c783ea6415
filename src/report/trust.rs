//! `trust`: how much of what came in is proven, by day.

use chrono::{DateTime, Utc};

use crate::journal::{Connection, JournalError};
use crate::report::question::Asked;
use crate::report::row::columns;

columns! {
    /// One day: events by their own time, quarantined entries by their receipt.
    pub struct Row {
        /// Beginning of the day, in UTC
        day: DateTime<Utc>,
        /// Events whose signature a key of Konnect's proves
        verified: i64,
        /// Events whose signature is false
        failed: i64,
        /// Events that no known key fits yet
        key_unknown: i64,
        /// Events without a signature
        unsigned: i64,
        /// Own events, and those of trusted senders
        not_applicable: i64,
        /// Events with a value that reads as another member
        ambiguous: i64,
        /// Entries and bodies that were quarantined; of all portals, and 0 for a token of some
        quarantined: i64,
    }
}

pub(super) async fn rows(tx: &mut Connection, asked: &Asked) -> Result<Vec<Row>, JournalError> {
    let others = asked.others_as_text();
    Ok(sqlx::query_as!(
        Row,
        r#"
        WITH days AS (
            SELECT
                date_bin('1 day', hour, 'epoch') AS day, verdict, events, ambiguous, 0 AS aside
            FROM report_hours
            WHERE hour >= date_bin('1 hour', $2, 'epoch')
                AND hour < $3
                AND ($1::text IS NULL OR portal_id = $1)
                AND ($5::text[] IS NULL OR portal_id = ANY($5))
            UNION ALL
            SELECT date_bin('1 day', received_at, 'epoch'), NULL, 0, 0, 1
            FROM quarantine
            WHERE received_at >= $2 AND received_at < $3 AND $6
        )
        SELECT
            day AS "day!",
            COALESCE(sum(events) FILTER (WHERE verdict = 'verified'), 0)::bigint AS "verified!",
            COALESCE(sum(events) FILTER (WHERE verdict = 'failed'), 0)::bigint AS "failed!",
            COALESCE(sum(events) FILTER (WHERE verdict = 'key_unknown'), 0)::bigint
                AS "key_unknown!",
            COALESCE(sum(events) FILTER (WHERE verdict = 'unsigned'), 0)::bigint AS "unsigned!",
            COALESCE(sum(events) FILTER (WHERE verdict = 'not_applicable'), 0)::bigint
                AS "not_applicable!",
            sum(ambiguous)::bigint AS "ambiguous!",
            sum(aside)::bigint AS "quarantined!"
        FROM days
        GROUP BY day
        ORDER BY day DESC
        LIMIT $4
        "#,
        asked.one_as_text(),
        asked.from,
        asked.to,
        asked.one_more,
        others.as_deref(),
        asked.sees_all,
    )
    .fetch_all(tx)
    .await?)
}
