//! The fast way of writing events: COPY, which takes nothing that is known already.
//!
//! One of the three homes of dynamic SQL. A COPY that is cut short leaves its connection one answer
//! behind, and whoever gets it from the pool next reads somebody else's rows. So the connection is
//! closed unless the COPY ended.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::event::AuditEvent;
use crate::journal::row::Row;
use crate::journal::{Connection, JournalError};

/// The columns in the order of [`encode`].
const STATEMENT: &str = r"
    COPY events (
        event_ts, id, occurred_at, received_at, batch, request, position, kind, format, verdict,
        ambiguous, time_known, copies, product, name, event_class_id, org_id, portal_id,
        principal_id, trace_id, src, path, act, status, action, granted, success, raw
    )
    FROM STDIN
    WITH (FORMAT binary)
";
const COLUMNS: i16 = 28;

/// The signature, no flags, no extension: <https://www.postgresql.org/docs/15/sql-copy.html>,
/// "Binary Format".
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();
/// Rows are sent in pieces of about this size, so that a large body is not encoded whole.
const PIECE: usize = 256 * 1024;
/// Seconds from the Unix epoch to that of Postgres, 2000-01-01.
const POSTGRES_EPOCH: i64 = 946_684_800;

/// Writes `rows`, none of which may be known. On an error the connection must not be used again.
pub(super) async fn copy(
    connection: &mut Connection,
    batch: Uuid,
    rows: &[Row<'_>],
) -> Result<(), JournalError> {
    connection.distrust();
    let mut copy = connection.copy_in_raw(STATEMENT).await?;
    let mut buffer = Vec::with_capacity(PIECE + PIECE / 4);
    buffer.extend_from_slice(HEADER);
    for row in rows {
        encode(&mut buffer, batch, row);
        if buffer.len() >= PIECE {
            copy.send(buffer.as_slice()).await?;
            buffer.clear();
        }
    }
    buffer.extend_from_slice(&TRAILER);
    copy.send(buffer.as_slice()).await?;
    copy.finish().await?;
    connection.trust();
    Ok(())
}

fn encode(buffer: &mut Vec<u8>, batch: Uuid, row: &Row<'_>) {
    let event = row.event();
    buffer.extend_from_slice(&COLUMNS.to_be_bytes());
    field(buffer, &micros(event.event_ts).to_be_bytes());
    field(buffer, row.id().as_bytes());
    field(buffer, &micros(event.occurred_at).to_be_bytes());
    field(buffer, &micros(row.received_at).to_be_bytes());
    field(buffer, batch.as_bytes());
    optional(buffer, row.request().map(i16::to_be_bytes));
    field(buffer, &row.position.to_be_bytes());
    field(buffer, event.kind.as_str().as_bytes());
    field(buffer, event.format.as_str().as_bytes());
    field(buffer, row.kept.verdict.as_str().as_bytes());
    field(buffer, &[u8::from(event.ambiguous)]);
    field(buffer, &[u8::from(event.time_known)]);
    field(buffer, &row.copies.to_be_bytes());
    for member in [
        "event_product",
        "name",
        "event_class_id",
        "org_id",
        "portal_id",
        "principal_id",
        "trace_id",
        "src",
        "request",
        "act",
    ] {
        text(buffer, row, member);
    }
    optional(buffer, AuditEvent::status(event).map(i32::to_be_bytes));
    text(buffer, row, "action");
    optional(buffer, event.granted().map(|it| [u8::from(it)]));
    optional(buffer, event.success().map(|it| [u8::from(it)]));
    field(buffer, &row.kept.raw);
}

fn text(buffer: &mut Vec<u8>, row: &Row<'_>, member: &str) {
    match row.text(member) {
        Some(text) => field(buffer, text.as_bytes()),
        None => null(buffer),
    }
}

fn optional<const N: usize>(buffer: &mut Vec<u8>, bytes: Option<[u8; N]>) {
    match bytes {
        Some(bytes) => field(buffer, &bytes),
        None => null(buffer),
    }
}

fn field(buffer: &mut Vec<u8>, bytes: &[u8]) {
    let length = i32::try_from(bytes.len()).expect("an entry is bounded far below 2 GiB");
    buffer.extend_from_slice(&length.to_be_bytes());
    buffer.extend_from_slice(bytes);
}

fn null(buffer: &mut Vec<u8>) {
    buffer.extend_from_slice(&(-1_i32).to_be_bytes());
}

/// Microseconds since the epoch of Postgres, cut as the other way of writing cuts them: a time of
/// receipt has nanoseconds.
fn micros(time: DateTime<Utc>) -> i64 {
    let epoch = DateTime::from_timestamp(POSTGRES_EPOCH, 0).expect("a valid time");
    (time - epoch)
        .num_microseconds()
        .expect("every time of chrono's fits within 64 bits of microseconds")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_and_after_the_epoch_of_postgres_are_counted_from_it() {
        for (time, expected) in [
            ("2000-01-01T00:00:00Z", 0),
            ("2000-01-01T00:00:00.000001999Z", 1),
            ("1999-12-31T23:59:59.5Z", -500_000),
            ("1970-01-01T00:00:00Z", -POSTGRES_EPOCH * 1_000_000),
        ] {
            assert_eq!(micros(time.parse().expect("a time")), expected, "{time}");
        }
        micros(DateTime::<Utc>::MAX_UTC);
        micros(DateTime::<Utc>::MIN_UTC);
    }
}
