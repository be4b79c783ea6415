//! Stored events by identity, or by kind and time.

use std::collections::{HashMap, HashSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::event::{EventId, Kind};
use crate::journal::read::stored_event::{EventRow, StoredEvent};
use crate::journal::{Journal, JournalError, Position};

impl Journal {
    /// The stored events of these ids, by id.
    pub async fn events_by_id(
        &self,
        ids: &[Uuid],
    ) -> Result<HashMap<Uuid, StoredEvent>, JournalError> {
        if ids.is_empty() {
            return Ok(HashMap::new());
        }
        let times = ids.iter().map(|id| EventId::from_uuid(*id).event_ts());
        let times: Vec<DateTime<Utc>> = times.collect();
        let rows = sqlx::query_as!(
            EventRow,
            r#"
            SELECT
                e.id, e.event_ts, e.received_at, e.batch, e.verdict, e.raw, e.copies AS "copies!",
                NULL::uuid AS delivery_id
            FROM UNNEST($1::timestamptz[], $2::uuid[]) AS asked (event_ts, id)
            JOIN events e ON e.event_ts = asked.event_ts AND e.id = asked.id
            -- Bounds let the planner leave out other partitions.
            WHERE e.event_ts BETWEEN $3 AND $4
            "#,
            &times,
            ids,
            times.iter().min(),
            times.iter().max(),
        )
        .fetch_all(&self.pool)
        .await?;
        let events = rows.into_iter().map(StoredEvent::try_from);
        events
            .map(|event| event.map(|event| (event.id.as_uuid(), event)))
            .collect()
    }

    /// Which of these events are stored.
    pub async fn stored_of(&self, ids: &[Uuid]) -> Result<HashSet<Uuid>, JournalError> {
        if ids.is_empty() {
            return Ok(HashSet::new());
        }
        let times = ids.iter().map(|id| EventId::from_uuid(*id).event_ts());
        let times: Vec<DateTime<Utc>> = times.collect();
        let stored = sqlx::query_scalar!(
            r#"
            SELECT e.id
            FROM UNNEST($1::timestamptz[], $2::uuid[]) AS asked (event_ts, id)
            JOIN events e ON e.event_ts = asked.event_ts AND e.id = asked.id
            -- Bounds let the planner leave out other partitions.
            WHERE e.event_ts BETWEEN $3 AND $4
            "#,
            &times,
            ids,
            times.iter().min(),
            times.iter().max(),
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(stored.into_iter().collect())
    }

    /// Up to `limit` events of these kinds after `after` and before `to`, oldest first.
    pub async fn events_after(
        &self,
        kinds: &[Kind],
        after: Position,
        to: DateTime<Utc>,
        limit: i64,
    ) -> Result<Vec<StoredEvent>, JournalError> {
        let kinds: Vec<String> = kinds.iter().map(|kind| kind.as_str().to_owned()).collect();
        let portals = self.portals.texts();
        let rows = sqlx::query_as!(
            EventRow,
            r#"
            SELECT
                id, event_ts, received_at, batch, verdict, copies, raw,
                NULL::uuid AS delivery_id
            FROM events
            WHERE kind = ANY($1)
                AND (event_ts, id) > ($2, $3)
                -- Bounds of the key's first column let the planner leave partitions out.
                AND event_ts >= $2
                AND event_ts < $4
                AND ($6::text[] IS NULL OR portal_id = ANY($6))
            ORDER BY event_ts, id
            LIMIT $5
            "#,
            &kinds,
            after.event_ts,
            after.id.as_uuid(),
            to,
            limit,
            portals.as_deref(),
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The event with this identity, if it is stored.
    pub async fn event(&self, id: EventId) -> Result<Option<StoredEvent>, JournalError> {
        let portals = self.portals.texts();
        let row = sqlx::query_as!(
            EventRow,
            r#"
            SELECT
                e.id, e.event_ts, e.received_at, e.batch, e.verdict, e.raw,
                e.copies + COALESCE((
                    SELECT r.copies
                    FROM repeats r
                    WHERE r.event_ts = e.event_ts AND r.id = e.id
                ), 0) AS "copies!",
                (b.requests -> e.request::integer ->> 'id')::uuid AS delivery_id
            FROM events e
            LEFT JOIN batches b ON b.id = e.batch
            -- The id starts with its event_ts, so only one partition is read.
            WHERE e.event_ts = $1 AND e.id = $2
                AND ($3::text[] IS NULL OR e.portal_id = ANY($3))
            "#,
            id.event_ts(),
            id.as_uuid(),
            portals.as_deref(),
        )
        .fetch_optional(&self.pool)
        .await?;
        row.map(TryInto::try_into).transpose()
    }
}
