//! A quarantined entry becomes an event after all.

use std::collections::HashSet;

use chrono::{DateTime, SecondsFormat, Utc};
use uuid::Uuid;

use crate::journal::{
    Appended, Journal, JournalError, NewBatch, NewEvent, Quarantined, append_in, far_future,
};

/// Bytes of rows in one slice, whatever their number: a row may contain a body of megabytes.
const SLICE_BYTES: i64 = 8 * 1024 * 1024;

/// Ids that are told one by one; of more, their number.
const TOLD_IDS: usize = 100;

/// The result for a quarantined row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Released {
    /// Its event is stored.
    Stored,
    /// Its event was stored already, and has one copy more.
    Known,
    /// The database does not take the event. The row stays as it was.
    Refused,
    /// Another run released it.
    Gone,
}

/// Quarantined rows to be released.
#[derive(Debug, Clone)]
pub struct KeptFilter {
    /// Only these.
    pub ids: Option<Vec<Uuid>>,
    /// Only those with this reason.
    pub reason: Option<String>,
    /// Only those of this delivery.
    pub delivery_id: Option<Uuid>,
    /// None with one of these reasons.
    pub except: Vec<String>,
    /// Earliest receipt, inclusive.
    pub from: DateTime<Utc>,
    /// Latest receipt, exclusive.
    pub to: DateTime<Utc>,
}

impl KeptFilter {
    /// What it asks for, word by word, without what it leaves open.
    pub fn as_words(&self) -> Vec<(String, String)> {
        let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        let words = [
            ("ids", self.ids.as_deref().map(told_ids)),
            ("reason", self.reason.clone()),
            ("delivery_id", self.delivery_id.map(|id| id.to_string())),
            (
                "from",
                (self.from > DateTime::UNIX_EPOCH).then(|| time(self.from)),
            ),
            ("to", (self.to < far_future()).then(|| time(self.to))),
        ];
        words
            .into_iter()
            .filter_map(|(word, value)| Some((word.to_owned(), value?)))
            .collect()
    }
}

fn told_ids(ids: &[Uuid]) -> String {
    let told: Vec<String> = ids.iter().take(TOLD_IDS).map(Uuid::to_string).collect();
    let told = told.join(", ");
    match ids.len().saturating_sub(TOLD_IDS) {
        0 => told,
        more => format!("{told} and {more} more"),
    }
}

impl Journal {
    /// Up to `limit` rows with all their bytes, oldest first, after the time and id of `after`, and
    /// no more than a bounded number of bytes.
    pub async fn kept(
        &self,
        filter: &KeptFilter,
        after: Option<(DateTime<Utc>, Uuid)>,
        limit: i64,
    ) -> Result<Vec<Quarantined>, JournalError> {
        let (time, id) = after.unzip();
        Ok(sqlx::query_as!(
            Quarantined,
            r#"
            SELECT id, received_at, delivery_id, reason, detail, raw, raw_bytes, event_id
            FROM (
                SELECT
                    *,
                    sum(octet_length(raw)) OVER (ORDER BY received_at, id) - octet_length(raw)
                        AS bytes_before
                FROM (
                    SELECT id, received_at, delivery_id, reason, detail, raw, raw_bytes, event_id
                    FROM quarantine
                    WHERE received_at >= $1 AND received_at < $2
                        AND ($3::uuid[] IS NULL OR id = ANY($3))
                        AND ($4::text IS NULL OR reason = $4)
                        AND ($10::uuid IS NULL OR delivery_id = $10)
                        AND reason <> ALL($5::text[])
                        AND (
                            $6::timestamptz IS NULL
                            OR (received_at, id) > ($6::timestamptz, $7::uuid)
                        )
                    ORDER BY received_at, id
                    LIMIT $8
                ) AS oldest
            ) AS sized
            WHERE bytes_before < $9
            ORDER BY received_at, id
            "#,
            filter.from,
            filter.to,
            filter.ids.as_deref(),
            filter.reason,
            &filter.except,
            time,
            id,
            limit,
            SLICE_BYTES,
            filter.delivery_id,
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// How many rows [`kept`](Self::kept) would return in all, counted no further than `most`.
    pub async fn count_kept(&self, filter: &KeptFilter, most: i64) -> Result<i64, JournalError> {
        Ok(sqlx::query_scalar!(
            r#"
            SELECT count(*) AS "count!"
            FROM (
                SELECT
                FROM quarantine
                WHERE received_at >= $1 AND received_at < $2
                    AND ($3::uuid[] IS NULL OR id = ANY($3))
                    AND ($4::text IS NULL OR reason = $4)
                    AND ($5::uuid IS NULL OR delivery_id = $5)
                    AND reason <> ALL($6::text[])
                LIMIT $7
            ) AS counted
            "#,
            filter.from,
            filter.to,
            filter.ids.as_deref(),
            filter.reason,
            filter.delivery_id,
            &filter.except,
            most,
        )
        .fetch_one(&self.pool)
        .await?)
    }

    /// Appends batches of quarantined entries, each event beside the id of its row, and deletes the
    /// rows, all in one transaction; returns how many it deleted. Rows that another run releases
    /// are left to it. None where the database does not take one of the events: then nothing was
    /// done.
    pub async fn release_all(
        &self,
        mut batches: Vec<(NewBatch, Vec<Uuid>)>,
    ) -> Result<Option<usize>, JournalError> {
        let events = batches.iter().flat_map(|(batch, _)| &batch.events);
        self.ensure_partitions(events.map(|new| new.event.event_ts))
            .await?;
        let ids: Vec<Uuid> = batches.iter().flat_map(|(_, ids)| ids).copied().collect();
        let mut tx = self.pool.begin().await?;
        let struck: HashSet<Uuid> = sqlx::query_scalar!(
            r"
            DELETE FROM quarantine
            WHERE id IN (
                SELECT id
                FROM quarantine
                WHERE id = ANY($1)
                ORDER BY id
                FOR UPDATE SKIP LOCKED
            )
            RETURNING id
            ",
            &ids,
        )
        .fetch_all(&mut *tx)
        .await?
        .into_iter()
        .collect();
        for (batch, ids) in &mut batches {
            let mut ids = ids.iter();
            let is_ours = |_: &NewEvent| ids.next().is_some_and(|id| struck.contains(id));
            batch.events.retain(is_ours);
            if batch.events.is_empty() {
                continue;
            }
            match append_in(&mut tx, batch).await {
                Ok(_) => {}
                Err(error) if error.refused_rows().is_some() => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        tx.commit().await?;
        self.wake_readers();
        Ok(Some(struck.len()))
    }

    /// Appends what was quarantined under `id` and deletes the row, in one transaction.
    pub async fn release_quarantined(
        &self,
        id: Uuid,
        batch: &NewBatch,
    ) -> Result<Released, JournalError> {
        self.ensure_partitions(batch.events.iter().map(|new| new.event.event_ts))
            .await?;
        let mut tx = self.pool.begin().await?;
        let struck = sqlx::query!("DELETE FROM quarantine WHERE id = $1", id)
            .execute(&mut *tx)
            .await?;
        if struck.rows_affected() == 0 {
            return Ok(Released::Gone);
        }
        let appended = match append_in(&mut tx, batch).await {
            Ok(appended) => appended,
            // The partitions are there: the code concerns the row.
            Err(error) if error.refused_rows().is_some() => return Ok(Released::Refused),
            Err(error) => return Err(error),
        };
        tx.commit().await?;
        self.wake_readers();
        let is_new = |it: &Appended| it.stored + it.strengthened > 0;
        Ok(if appended.as_ref().is_some_and(is_new) {
            Released::Stored
        } else {
            Released::Known
        })
    }
}
