//! The quarantine.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::journal::{Journal, JournalError};

/// One quarantined entry or body.
#[derive(Debug, Clone)]
pub struct Quarantined {
    /// Identifier of the row.
    pub id: Uuid,
    /// When it arrived.
    pub received_at: DateTime<Utc>,
    /// Request it arrived in.
    pub delivery_id: Option<Uuid>,
    /// Stable code.
    pub reason: String,
    /// What was found, for a person.
    pub detail: String,
    /// Its bytes, up to the bound.
    pub raw: Vec<u8>,
    /// How many bytes there were.
    pub raw_bytes: i64,
    /// Identity, where the entry could be parsed.
    pub event_id: Option<Uuid>,
}

/// Bytes of a row that a list shows: a row may contain a body of megabytes, and a page has up to a
/// thousand rows.
const SHOWN_BYTES: i32 = 2_048;

/// Rows that are counted by their reason at most.
pub const QUARANTINE_COUNTED: i64 = 10_000;

/// How many rows of one reason there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineCount {
    /// Stable code.
    pub reason: String,
    /// How many, of the newest [`QUARANTINE_COUNTED`] of all reasons.
    pub count: i64,
}

/// What to list.
#[derive(Debug, Clone)]
pub struct QuarantineFilter {
    /// Earliest receipt, inclusive.
    pub from: DateTime<Utc>,
    /// Latest receipt, exclusive.
    pub to: DateTime<Utc>,
    /// Only those with this reason.
    pub reason: Option<String>,
    /// Only those of this delivery.
    pub delivery_id: Option<Uuid>,
    /// Time and id that the page before ended with.
    pub after: Option<(DateTime<Utc>, Uuid)>,
}

impl Journal {
    /// Up to `limit` rows, newest first, each with the first 2,048 of its bytes.
    pub async fn quarantined(
        &self,
        filter: &QuarantineFilter,
        limit: i64,
    ) -> Result<Vec<Quarantined>, JournalError> {
        let (time, id) = filter.after.unwrap_or((filter.to, Uuid::nil()));
        Ok(sqlx::query_as!(
            Quarantined,
            r#"
            SELECT
                id, received_at, delivery_id, reason, detail, raw_bytes, event_id,
                substring(raw FOR $5) AS "raw!"
            FROM quarantine
            WHERE received_at >= $1
                AND (received_at, id) < ($2, $3)
                AND ($6::text IS NULL OR reason = $6)
                AND ($7::uuid IS NULL OR delivery_id = $7)
            ORDER BY received_at DESC, id DESC
            LIMIT $4
            "#,
            filter.from,
            time,
            id,
            limit,
            SHOWN_BYTES,
            filter.reason,
            filter.delivery_id,
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// Rows that arrived since `from`, by reason, the most frequent first. The newest
    /// [`QUARANTINE_COUNTED`] are counted, and older ones left out.
    pub async fn quarantine_counts(
        &self,
        from: DateTime<Utc>,
    ) -> Result<Vec<QuarantineCount>, JournalError> {
        Ok(sqlx::query_as!(
            QuarantineCount,
            r#"
            SELECT reason AS "reason!", count(*) AS "count!"
            FROM (
                SELECT reason
                FROM quarantine
                WHERE received_at >= $1
                ORDER BY received_at DESC, id DESC
                LIMIT $2
            ) AS newest
            GROUP BY reason
            ORDER BY count(*) DESC, reason
            "#,
            from,
            QUARANTINE_COUNTED,
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// One row with all its bytes.
    pub async fn quarantined_row(&self, id: Uuid) -> Result<Option<Quarantined>, JournalError> {
        Ok(sqlx::query_as!(
            Quarantined,
            r"
            SELECT id, received_at, delivery_id, reason, detail, raw, raw_bytes, event_id
            FROM quarantine
            WHERE id = $1
            ",
            id,
        )
        .fetch_optional(&self.pool)
        .await?)
    }
}
