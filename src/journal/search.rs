//! Searching events, newest first, a page at a time.
//!
//! One of the three homes of dynamic SQL: a static `$1 IS NULL OR …` plan is a thousand times
//! slower than one made for the filters that are there.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{Postgres, QueryBuilder, Row};
use uuid::Uuid;

use crate::event::{EventId, Verdict};
use crate::journal::events::EventRow;
use crate::journal::{Journal, JournalError, StoredEvent, begin};

/// Bytes of entries in one page, whatever their number: each may be as long as a line may be.
const PAGE_BYTES: i64 = 8 * 1024 * 1024;
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
    /// Only events of these batches.
    pub batches: Option<Vec<Uuid>>,
}

/// One page of a search.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its events, newest first.
    pub events: Vec<StoredEvent>,
    /// Whether more of them match.
    pub more: bool,
}

/// Where a page ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// `event_ts` of the last row.
    pub event_ts: DateTime<Utc>,
    /// Its id.
    pub id: EventId,
}

impl From<&StoredEvent> for Position {
    fn from(event: &StoredEvent) -> Self {
        Self {
            event_ts: event.event_ts,
            id: event.id,
        }
    }
}

impl Journal {
    /// The events of [`Journal::search_page`].
    pub async fn search(
        &self,
        filter: &EventFilter,
        after: Option<Position>,
        limit: i64,
    ) -> Result<Vec<StoredEvent>, JournalError> {
        let found = self.search_page(filter, after, limit).await?;
        Ok(found.events)
    }

    /// Up to `limit` events that match, newest first, after `after`. The page ends earlier where its
    /// entries are large, and never before the first.
    ///
    /// # Errors
    /// [`JournalError`] as everywhere; a search over its time is [`JournalError::Refused`].
    pub async fn search_page(
        &self,
        filter: &EventFilter,
        after: Option<Position>,
        limit: i64,
    ) -> Result<Found, JournalError> {
        let mut query = select(filter, after, limit.saturating_add(1));
        let mut tx = begin(&self.pool).await?;
        sqlx::query_scalar!(
            "SELECT set_config('statement_timeout', $1, true)",
            SEARCH_TIMEOUT.as_millis().to_string(),
        )
        .fetch_one(&mut *tx)
        .await?;
        let rows = query.build().fetch_all(&mut *tx).await?;
        let matching = rows
            .first()
            .map(|row| row.try_get("matching"))
            .transpose()?;
        let mut events = rows
            .into_iter()
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
            .collect::<Result<Vec<_>, JournalError>>()?;
        events.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let shown = i64::try_from(events.len()).unwrap_or(i64::MAX);
        Ok(Found {
            more: matching.unwrap_or(0_i64) > shown,
            events,
        })
    }
}

fn select(
    filter: &EventFilter,
    after: Option<Position>,
    limit: i64,
) -> QueryBuilder<'static, Postgres> {
    let mut query = QueryBuilder::new(
        r"
        SELECT *
        FROM (
        SELECT
            *,
            count(*) OVER () AS matching,
            sum(octet_length(raw)) OVER (ORDER BY event_ts DESC, id DESC) - octet_length(raw)
                AS bytes_before
        FROM (
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
    if let Some(batches) = &filter.batches {
        query
            .push(" AND e.batch = ANY(")
            .push_bind(batches.clone())
            .push(")");
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
        .push_bind(limit)
        .push(") AS newest) AS sized WHERE bytes_before < ")
        .push_bind(PAGE_BYTES)
        .push(" ORDER BY event_ts DESC, id DESC");
    query
}
