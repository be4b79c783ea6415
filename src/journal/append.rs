//! Appending a batch: one transaction of events, quarantine, the batch itself and the outbox rows
//! of every reader.

use std::collections::BTreeMap;
use std::time::Instant;

use chrono::{DateTime, Utc};
use metrics::{counter, histogram};
use sqlx::PgConnection;
use tracing::warn;
use uuid::Uuid;

use crate::event::{AuditEvent, EventId, Verdict};
use crate::journal::batch::{Appended, NewBatch, NewEvent};
use crate::journal::{Journal, JournalError, closed_months, outbox};
use crate::telemetry::metrics as names;

/// Tries of one batch before the caller hears of trouble that asks for a repetition.
const TRIES: u32 = 5;

impl Journal {
    /// Appends `batch` in a transaction of its own.
    ///
    /// Appending the same batch id again changes nothing and is answered with the first outcome,
    /// so a commit whose answer was lost can be repeated.
    ///
    /// # Errors
    /// [`JournalError::is_transient`] tells whether to try later; nothing was stored then.
    #[tracing::instrument(skip_all, fields(batch.id = %batch.id, events = batch.events.len()))]
    pub async fn append(&self, batch: &NewBatch) -> Result<Appended, JournalError> {
        let started = Instant::now();
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_append(batch).await {
                Ok(appended) => {
                    histogram!(names::COMMIT_SECONDS).record(started.elapsed().as_secs_f64());
                    count(&appended);
                    self.wake_readers();
                    return Ok(appended);
                }
                Err(error @ JournalError::Repeat(_)) if tries < TRIES => {
                    warn!(tries, error = error.chain(), "appending the batch again");
                    self.partitions.forget();
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn try_append(&self, batch: &NewBatch) -> Result<Appended, JournalError> {
        let closed = self
            .partitions
            .ensure(&self.pool, batch.events.iter().map(|e| e.event.event_ts))
            .await?;
        let batch = &*closed_months::set_aside(batch, &closed);
        let mut tx = self.pool.begin().await?;
        let Some(appended) = append_in(&mut tx, batch).await? else {
            tx.rollback().await?;
            return self.outcome(batch.id).await;
        };
        tx.commit().await?;
        Ok(appended)
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

    async fn outcome(&self, batch: Uuid) -> Result<Appended, JournalError> {
        let row = sqlx::query!(
            r"
            SELECT stored, duplicates, quarantined
            FROM batches
            WHERE id = $1
            ",
            batch,
        )
        .fetch_one(&self.pool)
        .await?;
        let count = |value: i32| usize::try_from(value).unwrap_or(0);
        Ok(Appended {
            stored: count(row.stored),
            duplicates: count(row.duplicates),
            quarantined: count(row.quarantined),
            strengthened: 0,
        })
    }
}

fn count(appended: &Appended) {
    counter!(names::EVENTS_STORED).increment(appended.stored as u64);
    counter!(names::EVENTS_DUPLICATE).increment(appended.duplicates as u64);
}

/// Appends `batch` inside the caller's transaction; `None` when its id is there already, and the
/// transaction must then be rolled back.
///
/// The partitions must exist ([`Journal::ensure_partitions`]); readers are woken by the caller
/// after the commit ([`Journal::wake_readers`]).
pub async fn append_in(
    tx: &mut PgConnection,
    batch: &NewBatch,
) -> Result<Option<Appended>, JournalError> {
    outbox::hold_readers(tx).await?;
    let unique = without_copies(&batch.events);
    let written = write_events(tx, batch, &unique).await?;
    write_quarantine(tx, batch).await?;

    let mut requests = batch.requests.clone();
    let mut appended = Appended {
        quarantined: batch.quarantined.len(),
        ..Appended::default()
    };
    for (entry, outcome) in unique.values().zip(&written) {
        match outcome {
            Written::Inserted => {
                appended.stored += 1;
                if let Some(request) = entry.first.request {
                    requests[request].stored += 1;
                }
            }
            Written::Strengthened => appended.strengthened += 1,
            Written::Known => {}
        }
    }
    appended.duplicates = batch.events.len() - appended.stored;
    for quarantined in &batch.quarantined {
        requests[quarantined.request].quarantined += 1;
    }
    for (index, request) in requests.iter_mut().enumerate() {
        let entries = batch
            .events
            .iter()
            .filter(|e| e.request == Some(index))
            .count();
        request.duplicates = entries - request.stored;
    }

    let times = || unique.keys().map(|(event_ts, _)| *event_ts);
    let span = times().min().zip(times().max());
    if !write_batch(tx, batch, &appended, &requests, span).await? {
        return Ok(None);
    }
    if let Some(span) = span.filter(|_| appended.stored + appended.strengthened > 0) {
        outbox::owe(tx, batch, span).await?;
    }
    Ok(Some(appended))
}

/// One event of a batch with the copies of it that the batch holds.
struct Unique<'a> {
    /// The copy that came first, whose request gets the credit.
    first: &'a NewEvent,
    /// The copy with the strongest verdict, which is kept.
    strongest: &'a NewEvent,
    position: i32,
    copies: i32,
}

/// What the database did with one event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Inserted,
    Strengthened,
    Known,
}

type Key = (DateTime<Utc>, EventId);

/// Sorted by key, so that two instances with the same entries cannot deadlock.
fn without_copies(events: &[NewEvent]) -> BTreeMap<Key, Unique<'_>> {
    let mut unique: BTreeMap<Key, Unique<'_>> = BTreeMap::new();
    for (position, new) in (0..).zip(events) {
        unique
            .entry((new.event.event_ts, new.event.id))
            .and_modify(|known| {
                known.copies += 1;
                if new.verdict.strength() > known.strongest.verdict.strength() {
                    known.strongest = new;
                }
            })
            .or_insert(Unique {
                first: new,
                strongest: new,
                position,
                copies: 1,
            });
    }
    unique
}

async fn write_events(
    tx: &mut PgConnection,
    batch: &NewBatch,
    unique: &BTreeMap<Key, Unique<'_>>,
) -> Result<Vec<Written>, JournalError> {
    if unique.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<&Unique<'_>> = unique.values().collect();
    let text = |pick: fn(&AuditEvent) -> Option<String>| -> Vec<Option<String>> {
        rows.iter().map(|row| pick(&row.strongest.event)).collect()
    };
    let events = || rows.iter().map(|row| &row.strongest.event);
    let returned = sqlx::query_file!(
        "src/journal/append.sql",
        batch.id,
        batch.received_at,
        &events().map(|e| e.event_ts).collect::<Vec<_>>(),
        &events().map(|e| e.id.as_uuid()).collect::<Vec<_>>(),
        &events().map(|e| e.occurred_at).collect::<Vec<_>>(),
        &rows
            .iter()
            .map(|row| request_index(row.strongest))
            .collect::<Vec<_>>() as &[Option<i16>],
        &rows.iter().map(|row| row.position).collect::<Vec<_>>(),
        &events()
            .map(|e| e.kind.as_str().to_owned())
            .collect::<Vec<_>>(),
        &events()
            .map(|e| e.format.as_str().to_owned())
            .collect::<Vec<_>>(),
        &rows
            .iter()
            .map(|row| row.strongest.verdict.as_str().to_owned())
            .collect::<Vec<_>>(),
        &events().map(|e| e.ambiguous).collect::<Vec<_>>(),
        &events().map(|e| e.time_known).collect::<Vec<_>>(),
        &rows.iter().map(|row| row.copies).collect::<Vec<_>>(),
        &text(|e| e.column("event_product")) as &[Option<String>],
        &text(|e| e.column("name")) as &[Option<String>],
        &text(|e| e.column("event_class_id")) as &[Option<String>],
        &text(|e| e.column("org_id")) as &[Option<String>],
        &text(|e| e.column("portal_id")) as &[Option<String>],
        &text(|e| e.column("principal_id")) as &[Option<String>],
        &text(|e| e.column("trace_id")) as &[Option<String>],
        &text(|e| e.column("src")) as &[Option<String>],
        &text(|e| e.column("request")) as &[Option<String>],
        &text(|e| e.column("act")) as &[Option<String>],
        &events().map(AuditEvent::status).collect::<Vec<_>>() as &[Option<i32>],
        &text(|e| e.column("action")) as &[Option<String>],
        &events().map(AuditEvent::granted).collect::<Vec<_>>() as &[Option<bool>],
        &events().map(AuditEvent::success).collect::<Vec<_>>() as &[Option<bool>],
        &rows
            .iter()
            .map(|row| row.strongest.raw.clone())
            .collect::<Vec<_>>(),
    )
    .fetch_all(&mut *tx)
    .await?;

    let mut written = BTreeMap::new();
    for row in returned {
        written.insert(
            (row.event_ts, EventId::from_uuid(row.id)),
            (row.copies, row.ours),
        );
    }
    Ok(unique
        .iter()
        .map(|(key, own)| match written.get(key) {
            // A row that was there has more copies now than this batch brought.
            Some((copies, true)) if *copies == own.copies => Written::Inserted,
            Some((_, true)) => Written::Strengthened,
            _ => Written::Known,
        })
        .collect())
}

fn request_index(event: &NewEvent) -> Option<i16> {
    event.request.and_then(|index| i16::try_from(index).ok())
}

async fn write_quarantine(tx: &mut PgConnection, batch: &NewBatch) -> Result<(), JournalError> {
    for quarantined in &batch.quarantined {
        counter!(names::ENTRIES_QUARANTINED, "reason" => quarantined.reason).increment(1);
    }
    if batch.quarantined.is_empty() {
        return Ok(());
    }
    let rows = &batch.quarantined;
    sqlx::query!(
        r"
        INSERT INTO quarantine
            (id, received_at, batch, delivery_id, reason, detail, raw, raw_bytes, event_id)
        SELECT id, $1, $2, delivery_id, reason, detail, raw, raw_bytes, event_id
        FROM UNNEST(
            $3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::bytea[], $8::bigint[], $9::uuid[]
        ) AS t (id, delivery_id, reason, detail, raw, raw_bytes, event_id)
        ON CONFLICT (id) DO NOTHING
        ",
        batch.received_at,
        batch.id,
        &rows.iter().map(|q| q.id).collect::<Vec<_>>(),
        &rows
            .iter()
            .map(|q| batch.requests[q.request].id)
            .collect::<Vec<_>>(),
        &rows.iter().map(|q| q.reason.to_owned()).collect::<Vec<_>>(),
        &rows
            .iter()
            .map(|q| q.detail.replace('\0', "\u{fffd}"))
            .collect::<Vec<_>>(),
        &rows.iter().map(|q| q.raw.clone()).collect::<Vec<_>>(),
        &rows
            .iter()
            .map(|q| i64::try_from(q.raw_bytes).unwrap_or(i64::MAX))
            .collect::<Vec<_>>(),
        &rows
            .iter()
            .map(|q| q.event_id.map(EventId::as_uuid))
            .collect::<Vec<_>>() as &[Option<Uuid>],
    )
    .execute(&mut *tx)
    .await?;
    Ok(())
}

/// Writes the batch's own row; `false` when its id is there already.
async fn write_batch(
    tx: &mut PgConnection,
    batch: &NewBatch,
    appended: &Appended,
    requests: &[crate::journal::RequestRecord],
    span: Option<(DateTime<Utc>, DateTime<Utc>)>,
) -> Result<bool, JournalError> {
    let count = |value: usize| i32::try_from(value).unwrap_or(i32::MAX);
    let done = sqlx::query!(
        r"
        INSERT INTO batches
            (id, source, lane, part_of, received_at, first_event_ts, last_event_ts,
             stored, duplicates, quarantined, verdicts, requests)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        ON CONFLICT (id) DO NOTHING
        ",
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
        verdicts(&batch.events),
        serde_json::to_value(requests).expect("a request record has string keys only"),
    )
    .execute(&mut *tx)
    .await?;
    Ok(done.rows_affected() == 1)
}

fn verdicts(events: &[NewEvent]) -> serde_json::Value {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for verdict in events.iter().map(|event| event.verdict) {
        *counts.entry(Verdict::as_str(verdict)).or_default() += 1;
    }
    for (verdict, count) in &counts {
        counter!(names::VERDICTS, "verdict" => (*verdict).to_owned()).increment(*count as u64);
    }
    serde_json::json!(counts)
}
