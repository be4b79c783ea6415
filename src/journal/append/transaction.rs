//! Appends a batch: one transaction of events, quarantine, the batch itself and the outbox rows of
//! every reader.

use std::collections::{BTreeMap, HashMap};
use std::time::Instant;

use chrono::{DateTime, Utc};
use metrics::{counter, histogram};
use sqlx::types::Json;
use tracing::{debug, warn};
use uuid::Uuid;

use crate::event::{EventId, Verdict};
use crate::journal::append::insert::{Written, insert, insert_by_halves, insert_new};
use crate::journal::append::row::{Row, Rows, rows};
use crate::journal::append::stored_copies::{Key, StoredCopies};
use crate::journal::append::{closed_months, copies};
use crate::journal::batch::{Appended, NewBatch, NewEvent, RequestCounts};
use crate::journal::{Connection, Journal, JournalError, RequestRecord, Source, recounts};
use crate::telemetry::metrics as names;

/// Tries of one batch before the caller gets an error that asks for a repetition.
const TRIES: u32 = 6;
/// Quarantined because the database does not take the row.
const REASON_REFUSED: &str = "refused_by_database";

/// How the events of a batch are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WriteStrategy {
    /// As if none of them were stored, which is true of most batches.
    New,
    /// In as few statements as there may be.
    Whole,
    /// Leaves out what the database refuses.
    Halves,
}

impl WriteStrategy {
    fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Whole => "whole",
            Self::Halves => "halves",
        }
    }

    /// The strategy after `error`; none when no strategy helps.
    fn after(self, error: &JournalError, partitions_made_anew: bool) -> Option<Self> {
        match (self, error) {
            (
                _,
                JournalError::Unavailable(_)
                | JournalError::Unfit { .. }
                | JournalError::Closed
                | JournalError::LeaseLost
                | JournalError::SchemaNewer { .. }
                | JournalError::NoSession
                | JournalError::Migrate(_)
                | JournalError::Inconsistent { .. }
                | JournalError::TooManyPeople { .. },
            )
            | (Self::Halves, JournalError::Refused { .. }) => None,
            // No partition for a row, or a row that a CHECK refuses: the code is the same. Once the
            // partitions were checked again, only the second remains.
            (Self::New | Self::Whole, JournalError::Repeat(_)) => {
                let refused = error.refused_rows().is_some() && partitions_made_anew;
                Some(if refused { Self::Halves } else { self })
            }
            (Self::New, _) if error.is_of_known_row() => Some(Self::Whole),
            (Self::New | Self::Whole, JournalError::Refused { .. })
            | (Self::Halves, JournalError::Repeat(_)) => Some(Self::Halves),
        }
    }
}

impl Journal {
    /// Appends `batch` in a transaction of its own.
    ///
    /// Appending the same batch id again changes nothing and returns the first outcome, so that a
    /// commit whose answer was lost can be repeated. An event that the database does not take is
    /// quarantined, and the others are stored. Dropping the future leaves either nothing or the
    /// whole batch behind.
    ///
    /// # Errors
    /// [`JournalError::is_transient`] says whether to try later. Nothing was stored then.
    pub async fn append(&self, batch: &NewBatch) -> Result<Appended, JournalError> {
        self.append_knowing(batch, &StoredCopies::default()).await
    }

    /// As [`append`](Self::append), where [`has_copies`](Self::has_copies) found the events in
    /// `stored_copies`: of these only the copies are counted.
    ///
    /// Where retention deleted one of them meanwhile, the copy is still answered as a duplicate: it
    /// was received while the event was there, and would have been deleted with it.
    #[tracing::instrument(skip_all, fields(batch.id = %batch.id, events = batch.events.len()))]
    pub async fn append_knowing(
        &self,
        batch: &NewBatch,
        stored_copies: &StoredCopies,
    ) -> Result<Appended, JournalError> {
        let started = Instant::now();
        let mut way = if self.replay_detector.are_expected() {
            WriteStrategy::Whole
        } else {
            WriteStrategy::New
        };
        let mut tries = 0;
        let mut partitions_made_anew = false;
        loop {
            tries += 1;
            let outcome = self.try_append(batch, stored_copies, way).await;
            self.write_health.note(&outcome, batch.received_at);
            match outcome {
                Ok(appended) => {
                    histogram!(names::COMMIT_SECONDS).record(started.elapsed().as_secs_f64());
                    counter!(names::BATCHES, "way" => way.as_str()).increment(1);
                    self.wake_readers();
                    return Ok(appended);
                }
                Err(error) => {
                    let next = way.after(&error, partitions_made_anew);
                    let Some(next) = next.filter(|_| tries < TRIES) else {
                        return Err(error);
                    };
                    if error.is_of_known_row() {
                        debug!("appending the batch again, for it has known events");
                    } else {
                        warn!(tries, error = error.chain(), "appending the batch again");
                        if error.refused_rows().is_some() {
                            self.partitions.forget();
                            partitions_made_anew = true;
                        }
                    }
                    way = next;
                }
            }
        }
    }

    async fn try_append(
        &self,
        batch: &NewBatch,
        stored_copies: &StoredCopies,
        way: WriteStrategy,
    ) -> Result<Appended, JournalError> {
        let closed = self
            .partitions
            .ensure(&self.pool, batch.events.iter().map(|e| e.event.event_ts))
            .await?;
        let batch = &*closed_months::set_aside(batch, &closed);
        let rows = rows(batch, stored_copies);
        let mut tx = self.pool.begin().await?;
        if let Some(appended) = write(&mut tx, batch, &rows, way).await? {
            tx.commit().await?;
            count(batch, &appended);
            let known = rows.stored_copies.len() + rows.fresh.len().saturating_sub(appended.stored);
            // Others say nothing about the next deliveries.
            if batch.source == Source::Webhook {
                self.replay_detector
                    .note_batch(rows.stored_copies.len() + rows.fresh.len(), known);
            }
            return Ok(appended);
        }
        tx.rollback().await?;
        self.outcome(batch.id).await
    }

    async fn outcome(&self, batch: Uuid) -> Result<Appended, JournalError> {
        let row = sqlx::query!(
            r"
            SELECT stored, duplicates, quarantined, requests
            FROM batches
            WHERE id = $1
            ",
            batch,
        )
        .fetch_one(&self.pool)
        .await?;
        let requests: Vec<RequestRecord> =
            serde_json::from_value(row.requests).map_err(|_| JournalError::Inconsistent {
                table: "batches",
                column: "requests",
            })?;
        let count = |value: i32| usize::try_from(value).unwrap_or(0);
        Ok(Appended {
            stored: count(row.stored),
            duplicates: count(row.duplicates),
            quarantined: count(row.quarantined),
            strengthened: 0,
            requests: requests.iter().map(RequestCounts::of).collect(),
        })
    }

    /// Makes the partitions that a later [`append_in`] of the caller's transaction needs.
    ///
    /// # Errors
    /// [`JournalError::Closed`] while one of them is being dropped.
    pub async fn ensure_partitions(
        &self,
        times: impl IntoIterator<Item = DateTime<Utc>>,
    ) -> Result<(), JournalError> {
        let closed = self.partitions.ensure(&self.pool, times).await?;
        if closed.is_empty() {
            Ok(())
        } else {
            Err(JournalError::Closed)
        }
    }
}

/// Appends `batch` inside the caller's transaction. `None` when its id is there already, and then
/// the transaction must be rolled back.
///
/// The partitions must exist ([`Journal::ensure_partitions`]). The caller wakes readers after the
/// commit ([`Journal::wake_readers`]).
pub async fn append_in(
    tx: &mut Connection,
    batch: &NewBatch,
) -> Result<Option<Appended>, JournalError> {
    write(
        tx,
        batch,
        &rows(batch, &StoredCopies::default()),
        WriteStrategy::Whole,
    )
    .await
}

async fn write(
    tx: &mut Connection,
    batch: &NewBatch,
    rows: &Rows<'_>,
    way: WriteStrategy,
) -> Result<Option<Appended>, JournalError> {
    let fresh = rows.fresh.as_slice();
    let written = match way {
        WriteStrategy::New => insert_new(tx, batch.id, fresh).await?,
        WriteStrategy::Whole => insert(tx, batch.id, fresh).await?,
        WriteStrategy::Halves => insert_by_halves(tx, batch.id, fresh).await?,
    };
    let known = fresh.iter().zip(&written);
    let known = known.filter_map(|(row, outcome)| (*outcome == Written::Known).then_some(row));
    let repeated: Vec<&Row<'_>> = known.chain(&rows.stored_copies).collect();
    copies::count(tx, &repeated).await?;
    let stronger = fresh.iter().zip(&written);
    let stronger = stronger.filter(|(_, outcome)| **outcome == Written::Strengthened);
    recounts::note(tx, stronger.map(|(row, _)| row.key.0)).await?;
    let refused = refused(fresh, &written);
    write_quarantine(tx, batch, &refused).await?;

    let requests = counted(batch, fresh, &written, &refused);
    let told = |outcome: &Written| written.iter().filter(|it| *it == outcome).count();
    let stored = told(&Written::Inserted);
    let refused_entries = batch
        .events
        .iter()
        .filter(|new| refused.contains_key(&key(new)));
    let refused_entries = refused_entries.count();
    let appended = Appended {
        stored,
        duplicates: batch.events.len() - stored - refused_entries,
        quarantined: batch.quarantined.len() + refused_entries,
        strengthened: told(&Written::Strengthened),
        requests: requests.iter().map(RequestCounts::of).collect(),
    };
    let is_new = write_batch(tx, batch, &appended, &requests, rows.span()).await?;
    Ok(is_new.then_some(appended))
}

fn key(new: &NewEvent) -> Key {
    (new.event.event_ts, new.event.id)
}

/// The events that the database does not take, each with the SQLSTATE.
fn refused<'a>(rows: &[Row<'_>], written: &'a [Written]) -> HashMap<Key, &'a str> {
    rows.iter()
        .zip(written)
        .filter_map(|(row, outcome)| match outcome {
            Written::Refused(code) => Some((row.key, code.as_str())),
            Written::Inserted | Written::Strengthened | Written::Known => None,
        })
        .collect()
}

/// The requests with their own counts. The first copy of a new event gets the credit.
fn counted(
    batch: &NewBatch,
    rows: &[Row<'_>],
    written: &[Written],
    refused: &HashMap<Key, &str>,
) -> Vec<RequestRecord> {
    let mut requests = batch.requests.clone();
    for new in &batch.events {
        let Some(index) = new.request else { continue };
        if refused.contains_key(&key(new)) {
            requests[index].quarantined += 1;
        } else {
            requests[index].duplicates += 1;
        }
    }
    for (row, outcome) in rows.iter().zip(written) {
        if let (Some(index), Written::Inserted) = (row.credited, outcome) {
            requests[index].stored += 1;
            requests[index].duplicates -= 1;
        }
    }
    for index in batch.quarantined.iter().filter_map(|kept| kept.request) {
        requests[index].quarantined += 1;
    }
    requests
}

/// One row of quarantine.
struct Aside<'a> {
    id: Uuid,
    received_at: DateTime<Utc>,
    request: Option<Uuid>,
    reason: &'a str,
    detail: String,
    raw: &'a [u8],
    raw_bytes: usize,
    event_id: Option<EventId>,
}

/// What a batch quarantines, with the entries that the database refused.
fn aside<'a>(batch: &'a NewBatch, refused: &HashMap<Key, &str>) -> Vec<Aside<'a>> {
    let known = batch.quarantined.iter().map(|kept| {
        let request = kept.request.map(|index| &batch.requests[index]);
        Aside {
            id: kept.id,
            received_at: request.map_or(batch.received_at, |request| request.received_at),
            request: request.map(|request| request.id),
            reason: kept.reason,
            detail: kept.detail.replace('\0', "\u{fffd}"),
            raw: &kept.raw,
            raw_bytes: kept.raw_bytes,
            event_id: kept.event_id,
        }
    });
    let found = (1_u128..).zip(&batch.events).filter_map(|(place, new)| {
        let code = refused.get(&key(new))?;
        let request = new.request.map(|index| &batch.requests[index]);
        Some(Aside {
            // Made from the batch's own, so that a repetition makes the same.
            id: Uuid::from_u128(batch.id.as_u128() ^ place),
            received_at: request.map_or(batch.received_at, |request| request.received_at),
            request: request.map(|request| request.id),
            reason: REASON_REFUSED,
            detail: format!("the database refused the row with code {code}"),
            raw: &new.raw,
            raw_bytes: new.raw.len(),
            event_id: Some(new.event.id),
        })
    });
    known.chain(found).collect()
}

async fn write_quarantine(
    tx: &mut Connection,
    batch: &NewBatch,
    refused: &HashMap<Key, &str>,
) -> Result<(), JournalError> {
    let rows = aside(batch, refused);
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        r"
        INSERT INTO quarantine
            (id, received_at, batch, delivery_id, reason, detail, raw, raw_bytes, event_id)
        SELECT id, received_at, $1, delivery_id, reason, detail, raw, raw_bytes, event_id
        FROM UNNEST(
            $2::timestamptz[], $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::bytea[],
            $8::bigint[], $9::uuid[]
        ) AS t (received_at, id, delivery_id, reason, detail, raw, raw_bytes, event_id)
        ON CONFLICT (id) DO NOTHING
        ",
        batch.id,
        &rows.iter().map(|row| row.received_at).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.id).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.request).collect::<Vec<_>>() as &[Option<Uuid>],
        &rows.iter().map(|row| row.reason).collect::<Vec<_>>() as &[&str],
        &rows
            .iter()
            .map(|row| row.detail.as_str())
            .collect::<Vec<_>>() as &[&str],
        &rows.iter().map(|row| row.raw).collect::<Vec<_>>() as &[&[u8]],
        &rows
            .iter()
            .map(|row| i64::try_from(row.raw_bytes).unwrap_or(i64::MAX))
            .collect::<Vec<_>>(),
        &rows
            .iter()
            .map(|row| row.event_id.map(EventId::as_uuid))
            .collect::<Vec<_>>() as &[Option<Uuid>],
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Writes the batch's own row, and one to the outbox of each active reader where it has something
/// to read; `false` when its id is there already.
async fn write_batch(
    tx: &mut Connection,
    batch: &NewBatch,
    appended: &Appended,
    requests: &[RequestRecord],
    span: Option<(DateTime<Utc>, DateTime<Utc>)>,
) -> Result<bool, JournalError> {
    let count = |value: usize| i32::try_from(value).unwrap_or(i32::MAX);
    let is_owed = span.is_some() && appended.stored + appended.strengthened > 0;
    // The lock that keeps the set of readers unchanged was taken with the events, so this statement
    // finds every reader that was added before.
    Ok(sqlx::query_scalar!(
        r#"
        WITH batch AS (
            INSERT INTO batches
                (id, source, lane, part_of, received_at, first_event_ts, last_event_ts,
                 stored, duplicates, quarantined, verdicts, requests)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
            ON CONFLICT (id) DO NOTHING
            RETURNING id, lane, first_event_ts, last_event_ts, received_at
        ), owed AS (
            INSERT INTO outbox (reader, batch, lane, first_event_ts, last_event_ts, created_at)
            SELECT readers.name, id, lane, first_event_ts, last_event_ts, received_at
            FROM batch
            CROSS JOIN readers
            WHERE $13
        )
        SELECT EXISTS (SELECT FROM batch) AS "is_new!"
        "#,
        batch.id,
        batch.source.as_str(),
        batch.lane.as_str(),
        batch.part_of,
        batch.received_at,
        span.map(|(first, _)| first),
        span.map(|(_, last)| last),
        count(appended.stored),
        count(appended.duplicates),
        count(appended.quarantined),
        serde_json::json!(verdicts(&batch.events)),
        Json(requests) as _,
        is_owed,
    )
    .fetch_one(&mut *tx)
    .await?)
}

/// Counts what was committed.
pub(super) fn count(batch: &NewBatch, appended: &Appended) {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a batch is far below 2^52 entries"
    )]
    histogram!(names::BATCH_ENTRIES).record((batch.events.len() + batch.quarantined.len()) as f64);
    counter!(names::EVENTS_STORED).increment(appended.stored as u64);
    counter!(names::EVENTS_DUPLICATE).increment(appended.duplicates as u64);
    for quarantined in &batch.quarantined {
        counter!(names::ENTRIES_QUARANTINED, "reason" => quarantined.reason).increment(1);
    }
    let refused = appended.quarantined.saturating_sub(batch.quarantined.len());
    if refused > 0 {
        counter!(names::ENTRIES_QUARANTINED, "reason" => REASON_REFUSED).increment(refused as u64);
    }
    for (verdict, count) in verdicts(&batch.events) {
        counter!(names::VERDICTS, "verdict" => verdict).increment(count as u64);
    }
}

fn verdicts(events: &[NewEvent]) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for verdict in events.iter().map(|event| event.verdict) {
        *counts.entry(Verdict::as_str(verdict)).or_default() += 1;
    }
    counts
}
