//! Stored events by identity, by kind and time, or by what they say about a person.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::event::{EventId, Kind};
use crate::journal::read::stored_event::{EventRow, StoredEvent};
use crate::journal::{Journal, JournalError, Position};

/// A question for an event about a person.
#[derive(Debug, Clone, Copy)]
pub struct About<'a> {
    /// The person, by member `principal_id`.
    pub principal: Uuid,
    /// Text that the entry contains.
    pub text: &'a str,
    /// Since when.
    pub since: DateTime<Utc>,
}

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

    /// The newest event of a name about each of several persons of one portal whose entry contains
    /// a text, by that text. Texts without such an event are absent.
    pub async fn custom_events_about(
        &self,
        (portal, name): (Uuid, &str),
        about: &[About<'_>],
    ) -> Result<HashMap<String, Uuid>, JournalError> {
        if about.is_empty() {
            return Ok(HashMap::new());
        }
        let principals = about.iter().map(|one| one.principal.to_string());
        let texts = about.iter().map(|one| one.text.to_owned());
        let rows = sqlx::query!(
            r#"
            SELECT asked.text AS "text!", told.id AS "id!"
            FROM UNNEST($3::text[], $4::text[], $5::timestamptz[]) AS asked (principal, text, since)
            CROSS JOIN LATERAL (
                SELECT e.id
                FROM events e
                WHERE e.principal_id = asked.principal AND e.event_ts >= asked.since AND e.event_ts >= $6
                    AND e.portal_id = $1 AND e.name = $2
                    AND position(convert_to(asked.text, 'UTF8') IN e.raw) > 0
                ORDER BY e.event_ts DESC, e.id DESC
                LIMIT 1
            ) AS told
            "#,
            portal.to_string(),
            name,
            &principals.collect::<Vec<_>>(),
            &texts.collect::<Vec<_>>(),
            &about.iter().map(|one| one.since).collect::<Vec<_>>(),
            // A bound lets the planner leave out older partitions.
            about.iter().map(|one| one.since).min(),
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| (row.text, row.id)).collect())
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
