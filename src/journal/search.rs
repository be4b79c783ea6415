//! Searching events, newest first, a page at a time.
//!
//! One of the three homes of dynamic SQL: a static `$1 IS NULL OR …` plan is a thousand times
//! slower than one made for the filters that are there.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{Postgres, QueryBuilder, Row};

use crate::event::{EventId, Verdict};
use crate::journal::events::EventRow;
use crate::journal::{Journal, JournalError, StoredEvent};

/// A search that takes longer is cut off: the journal's first duty is to take events in.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(10);

/// What to look for; an absent member matches everything.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Member `portal_id`.
    pub portal_id: Option<String>,
    /// Member `principal_id`.
    pub principal_id: Option<String>,
    /// Member `name`.
    pub name: Option<String>,
    /// Kind, by its word.
    pub kind: Option<String>,
    /// Member `trace_id`.
    pub trace_id: Option<String>,
    /// What its signature proves.
    pub verification: Option<Verdict>,
    /// Earliest `event_ts`, inclusive.
    pub from: Option<DateTime<Utc>>,
    /// Latest `event_ts`, exclusive.
    pub to: Option<DateTime<Utc>>,
    /// Text that the entry's bytes contain.
    pub q: Option<String>,
}

/// Where a page ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// `event_ts` of the last row.
    pub event_ts: DateTime<Utc>,
    /// Its id.
    pub id: EventId,
}

impl Journal {
    /// Up to `limit` events that match, newest first, after `after`.
    ///
    /// # Errors
    /// [`JournalError`] as everywhere; a search over its time is [`JournalError::Refused`].
    pub async fn search(
        &self,
        filter: &EventFilter,
        after: Option<Position>,
        limit: i64,
    ) -> Result<Vec<StoredEvent>, JournalError> {
        let mut query = select(filter, after, limit);
        let mut tx = self.pool.begin().await?;
        sqlx::query_scalar!(
            "SELECT set_config('statement_timeout', $1, true)",
            SEARCH_TIMEOUT.as_millis().to_string(),
        )
        .fetch_one(&mut *tx)
        .await?;
        let rows = query.build().fetch_all(&mut *tx).await?;
        rows.into_iter()
            .map(|row| {
                StoredEvent::try_from(EventRow {
                    id: row.try_get("id")?,
                    event_ts: row.try_get("event_ts")?,
                    received_at: row.try_get("received_at")?,
                    batch: row.try_get("batch")?,
                    delivery_id: row.try_get("delivery_id")?,
                    verdict: row.try_get("verdict")?,
                    copies: row.try_get("copies")?,
                    raw: row.try_get("raw")?,
                })
            })
            .collect()
    }
}

fn select(filter: &EventFilter, after: Option<Position>, limit: i64) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(
        r"
        SELECT
            e.id, e.event_ts, e.received_at, e.batch, e.verdict, e.raw,
            e.copies + COALESCE((
                SELECT r.copies
                FROM repeats r
                WHERE r.event_ts = e.event_ts AND r.id = e.id
            ), 0) AS copies,
            (b.requests -> e.request::integer ->> 'id')::uuid AS delivery_id
        FROM events e
        LEFT JOIN batches b ON b.id = e.batch
        WHERE true",
    );
    // Column names are literals of this file; every value is bound.
    for (column, value) in [
        ("e.portal_id", &filter.portal_id),
        ("e.principal_id", &filter.principal_id),
        ("e.name", &filter.name),
        ("e.kind", &filter.kind),
        ("e.trace_id", &filter.trace_id),
    ] {
        if let Some(value) = value {
            query
                .push(" AND ")
                .push(column)
                .push(" = ")
                .push_bind(value.clone());
        }
    }
    if let Some(verdict) = filter.verification {
        query.push(" AND e.verdict = ").push_bind(verdict.as_str());
    }
    if let Some(from) = filter.from {
        query.push(" AND e.event_ts >= ").push_bind(from);
    }
    if let Some(to) = filter.to {
        query.push(" AND e.event_ts < ").push_bind(to);
    }
    if let Some(q) = &filter.q {
        query
            .push(" AND position(")
            .push_bind(q.clone().into_bytes())
            .push(" in e.raw) > 0");
    }
    if let Some(after) = after {
        query
            .push(" AND (e.event_ts, e.id) < (")
            .push_bind(after.event_ts);
        query.push(", ").push_bind(after.id.as_uuid()).push(")");
    }
    query
        .push(" ORDER BY e.event_ts DESC, e.id DESC LIMIT ")
        .push_bind(limit);
    query
}
