//! The HTTP requests that delivered entries.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use uuid::Uuid;

use crate::journal::{Journal, JournalError, RequestRecord};

/// One delivery and its batch.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The batch.
    pub batch: Uuid,
    /// When the batch was received; pages are sorted by it.
    pub batch_received_at: DateTime<Utc>,
    /// Its place in the batch.
    pub place: i64,
    /// The request itself.
    pub request: RequestRecord,
}

/// One delivery, with how many of the events that it brought have which verdict.
#[derive(Debug, Clone)]
pub struct FirstDelivery {
    /// The request itself.
    pub request: RequestRecord,
    /// Events by verdict.
    pub verdicts: BTreeMap<String, i64>,
}

/// What to list.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryFilter {
    /// Earliest receipt, inclusive.
    pub from: DateTime<Utc>,
    /// Latest receipt, exclusive.
    pub to: DateTime<Utc>,
    /// The first digit of the status that they were answered with.
    pub status_class: Option<i32>,
    /// Batch time, batch and place that the page before ended with.
    pub after: Option<(DateTime<Utc>, Uuid, i64)>,
}

/// A row before its record is read.
struct DeliveryRow {
    batch: Uuid,
    received_at: DateTime<Utc>,
    place: i64,
    record: Value,
}

impl TryFrom<DeliveryRow> for Delivery {
    type Error = JournalError;

    fn try_from(row: DeliveryRow) -> Result<Self, JournalError> {
        let request =
            serde_json::from_value(row.record).map_err(|_| JournalError::Inconsistent {
                table: "batches",
                column: "requests",
            })?;
        Ok(Self {
            batch: row.batch,
            batch_received_at: row.received_at,
            place: row.place,
            request,
        })
    }
}

impl Journal {
    /// Up to `limit` deliveries, newest first.
    pub async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        limit: i64,
    ) -> Result<Vec<Delivery>, JournalError> {
        let (time, batch, place) = filter.after.unwrap_or((filter.to, Uuid::nil(), 0));
        let rows = sqlx::query_as!(
            DeliveryRow,
            r#"
            SELECT
                b.id AS batch,
                b.received_at,
                request.place AS "place!",
                request.record AS "record!"
            FROM batches b
            CROSS JOIN LATERAL jsonb_array_elements(b.requests)
                WITH ORDINALITY AS request (record, place)
            WHERE b.received_at >= $1
                AND b.received_at <= $2
                AND (b.received_at, b.id, request.place) < ($2, $3, $4)
                AND ($6::integer IS NULL OR (request.record ->> 'status')::integer / 100 = $6)
            ORDER BY b.received_at DESC, b.id DESC, request.place DESC
            LIMIT $5
            "#,
            filter.from,
            time,
            batch,
            place,
            limit,
            filter.status_class,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The deliveries whose entries were stored together in one batch, up to `limit`, the last
    /// first.
    pub async fn deliveries_of(
        &self,
        batch: Uuid,
        limit: i64,
    ) -> Result<Vec<Delivery>, JournalError> {
        let rows = sqlx::query_as!(
            DeliveryRow,
            r#"
            SELECT
                b.id AS batch,
                b.received_at,
                request.place AS "place!",
                request.record AS "record!"
            FROM batches b
            CROSS JOIN LATERAL jsonb_array_elements(b.requests)
                WITH ORDINALITY AS request (record, place)
            WHERE b.id = $1
            ORDER BY request.place DESC
            LIMIT $2
            "#,
            batch,
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(TryInto::try_into).collect()
    }

    /// The first delivery since a time that brought a new event of the portal, or of no portal.
    pub async fn first_delivery(
        &self,
        portal: Option<Uuid>,
        since: DateTime<Utc>,
    ) -> Result<Option<FirstDelivery>, JournalError> {
        let rows = sqlx::query!(
            r#"
            WITH delivered AS (
                SELECT b.received_at, b.id AS batch, e.request,
                    b.requests -> e.request::integer AS record, e.verdict
                FROM batches b
                -- Bounds let the planner read only the partitions that hold the batch.
                JOIN events e ON e.batch = b.id
                    AND e.event_ts BETWEEN b.first_event_ts AND b.last_event_ts
                WHERE b.received_at >= $1
                    AND b.source = 'webhook'
                    AND e.request IS NOT NULL
                    AND e.portal_id IS NOT DISTINCT FROM $2
            ),
            first AS (
                SELECT batch, request FROM delivered ORDER BY received_at, batch, request LIMIT 1
            )
            SELECT d.record AS "record!", d.verdict AS "verdict!", count(*) AS "count!"
            FROM delivered d
            JOIN first f ON f.batch = d.batch AND f.request = d.request
            GROUP BY d.record, d.verdict
            "#,
            since,
            portal.map(|portal| portal.to_string()),
        )
        .fetch_all(&self.pool)
        .await?;
        let Some(record) = rows.first().map(|row| row.record.clone()) else {
            return Ok(None);
        };
        let request = serde_json::from_value(record).map_err(|_| JournalError::Inconsistent {
            table: "batches",
            column: "requests",
        })?;
        let verdicts = rows.into_iter().map(|row| (row.verdict, row.count));
        Ok(Some(FirstDelivery {
            request,
            verdicts: verdicts.collect(),
        }))
    }

    /// How many events were stored, over all batches.
    pub async fn stored_events(&self) -> Result<i64, JournalError> {
        Ok(
            sqlx::query_scalar!(r#"SELECT COALESCE(sum(stored), 0) AS "stored!" FROM batches"#)
                .fetch_one(&self.pool)
                .await?,
        )
    }
}
