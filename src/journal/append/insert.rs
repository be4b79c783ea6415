//! Writes events: in as few statements as possible, or, where the database refuses a row, by halves
//! until that row stands alone.

use std::borrow::Cow;
use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::event::AuditEvent;
use crate::journal::append::row::Row;
use crate::journal::outbox::READERS_LOCK;
use crate::journal::{Connection, JournalError};

/// The columns of a statement are encoded once more for the server, so a large body is split over
/// several statements.
const ROWS_A_STATEMENT: usize = 1_000;

/// What became of one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Written {
    /// It is new.
    Inserted,
    /// It was stored with a weaker verdict.
    Strengthened,
    /// It was stored, with a verdict no weaker.
    Known,
    /// The database does not take the row, in any statement; the SQLSTATE.
    Refused(String),
}

/// The query of `$file` with a parameter for every column of `$rows`.
macro_rules! with_columns {
    ($file:literal, $batch:expr, $rows:expr) => {{
        let rows: Vec<Row<'_>> = $rows.iter().map(Row::with_members).collect();
        let text = |member: &str| -> Vec<Option<Cow<'_, str>>> {
            rows.iter().map(|row| row.text(member)).collect()
        };
        let events = || rows.iter().map(Row::event);
        sqlx::query_file!(
            $file,
            $batch,
            &events().map(|e| e.event_ts).collect::<Vec<_>>(),
            &rows.iter().map(Row::id).collect::<Vec<_>>(),
            &events().map(|e| e.occurred_at).collect::<Vec<_>>(),
            &rows.iter().map(|row| row.received_at).collect::<Vec<_>>(),
            &rows.iter().map(Row::request).collect::<Vec<_>>() as &[Option<i16>],
            &rows.iter().map(|row| row.position).collect::<Vec<_>>(),
            &events().map(|e| e.kind.as_str()).collect::<Vec<_>>() as &[&str],
            &events().map(|e| e.format.as_str()).collect::<Vec<_>>() as &[&str],
            &rows
                .iter()
                .map(|row| row.kept.verdict.as_str())
                .collect::<Vec<_>>() as &[&str],
            &events().map(|e| e.ambiguous).collect::<Vec<_>>(),
            &events().map(|e| e.time_known).collect::<Vec<_>>(),
            &rows.iter().map(|row| row.copies).collect::<Vec<_>>(),
            &text("event_product") as &[Option<Cow<'_, str>>],
            &text("name") as &[Option<Cow<'_, str>>],
            &text("event_class_id") as &[Option<Cow<'_, str>>],
            &text("org_id") as &[Option<Cow<'_, str>>],
            &text("portal_id") as &[Option<Cow<'_, str>>],
            &text("principal_id") as &[Option<Cow<'_, str>>],
            &text("trace_id") as &[Option<Cow<'_, str>>],
            &text("src") as &[Option<Cow<'_, str>>],
            &text("request") as &[Option<Cow<'_, str>>],
            &text("act") as &[Option<Cow<'_, str>>],
            &events().map(AuditEvent::status).collect::<Vec<_>>() as &[Option<i32>],
            &text("action") as &[Option<Cow<'_, str>>],
            &events().map(AuditEvent::granted).collect::<Vec<_>>() as &[Option<bool>],
            &events().map(AuditEvent::success).collect::<Vec<_>>() as &[Option<bool>],
            &rows
                .iter()
                .map(|row| row.kept.raw.as_ref())
                .collect::<Vec<_>>() as &[&[u8]],
            READERS_LOCK,
        )
    }};
}

/// Writes `rows`, none of which may be stored: otherwise the database refuses them all. A third
/// cheaper than [`insert`].
pub(super) async fn insert_new(
    tx: &mut Connection,
    batch: Uuid,
    rows: &[Row<'_>],
) -> Result<Vec<Written>, JournalError> {
    for rows in rows.chunks(ROWS_A_STATEMENT) {
        with_columns!("src/journal/append/append.sql", batch, rows)
            .execute(&mut *tx)
            .await?;
    }
    Ok(vec![Written::Inserted; rows.len()])
}

/// Writes `rows`. A stronger verdict replaces a stored event, which otherwise stays as it is.
pub(super) async fn insert(
    tx: &mut Connection,
    batch: Uuid,
    rows: &[Row<'_>],
) -> Result<Vec<Written>, JournalError> {
    let mut written = Vec::with_capacity(rows.len());
    for rows in rows.chunks(ROWS_A_STATEMENT) {
        let returned = with_columns!("src/journal/append/append_known.sql", batch, rows)
            .fetch_all(&mut *tx)
            .await?;
        let found: HashMap<(DateTime<Utc>, Uuid), i32> = returned
            .into_iter()
            .map(|row| ((row.event_ts, row.id), row.copies))
            .collect();
        written.extend(
            rows.iter()
                .map(|row| match found.get(&(row.key.0, row.id())) {
                    // A row that was there has more copies now than were in this batch.
                    Some(copies) if *copies == row.copies => Written::Inserted,
                    Some(_) => Written::Strengthened,
                    None => Written::Known,
                }),
        );
    }
    Ok(written)
}

/// Writes `rows` as [`insert`] does, and halves what the database refuses, so that a row that it
/// does not take does not harm the others. The order stays, so that nothing deadlocks here either.
pub(super) async fn insert_by_halves(
    tx: &mut Connection,
    batch: Uuid,
    rows: &[Row<'_>],
) -> Result<Vec<Written>, JournalError> {
    let mut written = Vec::with_capacity(rows.len());
    let mut open = vec![rows];
    while let Some(part) = open.pop() {
        let mut savepoint = tx.begin().await?;
        match insert(&mut savepoint, batch, part).await {
            Ok(outcomes) => {
                savepoint.commit().await?;
                written.extend(outcomes);
            }
            Err(error) => {
                let Some(code) = error.refused_rows() else {
                    return Err(error);
                };
                savepoint.rollback().await?;
                if let [_] = part {
                    written.push(Written::Refused(code));
                } else {
                    let (first, second) = part.split_at(part.len() / 2);
                    open.extend([second, first]);
                }
            }
        }
    }
    Ok(written)
}
