//! The HTTP requests that delivered entries.

use chrono::{DateTime, Utc};
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

/// What to list.
#[derive(Debug, Clone, Copy)]
pub struct DeliveryFilter {
    /// Earliest receipt, inclusive.
    pub from: DateTime<Utc>,
    /// Latest receipt, exclusive.
    pub to: DateTime<Utc>,
    /// Batch time, batch and place that the page before ended with.
    pub after: Option<(DateTime<Utc>, Uuid, i64)>,
}

impl Journal {
    /// Up to `limit` deliveries, newest first.
    pub async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        limit: i64,
    ) -> Result<Vec<Delivery>, JournalError> {
        let (time, batch, place) = filter.after.unwrap_or((filter.to, Uuid::nil(), 0));
        let rows = sqlx::query!(
            r#"
            SELECT
                b.id,
                b.received_at,
                request.place AS "place!",
                request.record AS "record!"
            FROM batches b
            CROSS JOIN LATERAL jsonb_array_elements(b.requests)
                WITH ORDINALITY AS request (record, place)
            WHERE b.received_at >= $1
                AND b.received_at <= $2
                AND (b.received_at, b.id, request.place) < ($2, $3, $4)
            ORDER BY b.received_at DESC, b.id DESC, request.place DESC
            LIMIT $5
            "#,
            filter.from,
            time,
            batch,
            place,
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                let request =
                    serde_json::from_value(row.record).map_err(|_| JournalError::Inconsistent {
                        table: "batches",
                        column: "requests",
                    })?;
                Ok(Delivery {
                    batch: row.id,
                    batch_received_at: row.received_at,
                    place: row.place,
                    request,
                })
            })
            .collect()
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
