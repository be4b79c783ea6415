//! `activity`: how many events there were.

use chrono::{DateTime, TimeDelta, Utc};

use crate::journal::{Connection, JournalError};
use crate::report::question::{Asked, By};
use crate::report::row::columns;

columns! {
    /// Events that are alike in everything that is counted.
    pub struct Row {
        /// Beginning of the day or hour, in UTC
        from: DateTime<Utc>,
        /// Portal as sent; none for an organisation's log
        portal_id: Option<String>,
        /// Kind of the events
        kind: String,
        /// Name as sent, up to 200 letters
        name: Option<String>,
        /// `success`, `failure`, or `unknown` where an event has no outcome
        outcome: String,
        /// What their signatures prove
        verification: String,
        /// How many, each once however often it was received
        count: i64,
    }
}

/// The parts of a window: whole hours, which are counted, and the rest of it at either end.
struct Parts {
    whole: (DateTime<Utc>, DateTime<Utc>),
    before: (DateTime<Utc>, DateTime<Utc>),
    after: (DateTime<Utc>, DateTime<Utc>),
}

impl Parts {
    fn of(from: DateTime<Utc>, to: DateTime<Utc>) -> Self {
        let hour = TimeDelta::hours(1);
        let down = |time: DateTime<Utc>| {
            let hours = time.timestamp().div_euclid(3_600);
            DateTime::from_timestamp(hours * 3_600, 0).unwrap_or(time)
        };
        let first = down(from);
        let first = if first < from { first + hour } else { first };
        let last = down(to);
        if first >= last {
            return Self {
                whole: (from, from),
                before: (from, to),
                after: (to, to),
            };
        }
        Self {
            whole: (first, last),
            before: (from, first),
            after: (last, to),
        }
    }
}

pub(super) async fn rows(tx: &mut Connection, asked: &Asked) -> Result<Vec<Row>, JournalError> {
    let parts = Parts::of(asked.from, asked.to);
    let hours = if asked.by == Some(By::Hour) { 1 } else { 24 };
    let others = asked.others_as_text();
    Ok(sqlx::query_as!(
        Row,
        r#"
        WITH edges AS (
            SELECT event_ts, portal_id, kind, name, success, granted, status, verdict
            FROM events
            WHERE event_ts >= $4 AND event_ts < $5
                AND kind <> 'read'
            UNION ALL
            SELECT event_ts, portal_id, kind, name, success, granted, status, verdict
            FROM events
            WHERE event_ts >= $6 AND event_ts < $7
                AND kind <> 'read'
        ), counts AS (
            SELECT hour, portal_id, kind, name, outcome, verdict, events
            FROM report_hours
            WHERE hour >= $2 AND hour < $3
            UNION ALL
            SELECT
                event_ts, COALESCE(left(portal_id, 64), ''), kind, COALESCE(left(name, 200), ''),
                usher_outcome(success, granted, status), verdict, 1
            FROM edges
        )
        SELECT
            date_bin(make_interval(hours => $8), hour, 'epoch') AS "from!",
            NULLIF(portal_id, '') AS portal_id,
            kind AS "kind!",
            NULLIF(name, '') AS name,
            outcome AS "outcome!",
            verdict AS "verification!",
            sum(events)::bigint AS "count!"
        FROM counts
        WHERE ($1::text IS NULL OR portal_id = $1)
            AND ($10::text[] IS NULL OR portal_id = ANY($10))
        GROUP BY 1, counts.portal_id, kind, counts.name, outcome, verdict
        ORDER BY 1 DESC, counts.portal_id, kind, counts.name, outcome, verdict
        LIMIT $9
        "#,
        asked.one_as_text(),
        parts.whole.0,
        parts.whole.1,
        parts.before.0,
        parts.before.1,
        parts.after.0,
        parts.after.1,
        hours,
        asked.one_more,
        others.as_deref(),
    )
    .fetch_all(tx)
    .await?)
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::Parts;

    #[test]
    fn a_window_is_its_parts() {
        for (from, to, whole, before, after) in [
            (
                "10:00",
                "12:00",
                "10:00 12:00",
                "10:00 10:00",
                "12:00 12:00",
            ),
            (
                "09:30",
                "12:15",
                "10:00 12:00",
                "09:30 10:00",
                "12:00 12:15",
            ),
            (
                "09:10",
                "09:50",
                "09:10 09:10",
                "09:10 09:50",
                "09:50 09:50",
            ),
            (
                "09:30",
                "10:15",
                "09:30 09:30",
                "09:30 10:15",
                "10:15 10:15",
            ),
        ] {
            let time =
                |text: &str| -> DateTime<Utc> { format!("2026-06-23T{text}:00Z").parse().unwrap() };
            let window = |text: &str| {
                let (from, to) = text.split_once(' ').unwrap();
                (time(from), time(to))
            };
            let parts = Parts::of(time(from), time(to));
            assert_eq!(parts.whole, window(whole), "{from} {to}");
            assert_eq!(parts.before, window(before), "{from} {to}");
            assert_eq!(parts.after, window(after), "{from} {to}");
        }
    }
}
