//! An event as it is stored and as others read it. No SQL.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::event::{AuditEvent, EventId, ParseError, Verdict, parse, render};
use crate::journal::JournalError;

/// One stored event. Its content is read from its own bytes.
#[derive(Debug, Clone)]
pub struct StoredEvent {
    /// Identity by content.
    pub id: EventId,
    /// Header time in whole seconds.
    pub event_ts: DateTime<Utc>,
    /// When usher first received it.
    pub received_at: DateTime<Utc>,
    /// The batch that last stored it.
    pub batch: Uuid,
    /// The request that last stored it; none for own events.
    pub delivery_id: Option<Uuid>,
    /// What its signature proves.
    pub verdict: Verdict,
    /// How often its entry was received.
    pub copies: i64,
    /// The entry's own bytes.
    pub raw: Vec<u8>,
}

impl StoredEvent {
    /// The event that the stored bytes contain.
    ///
    /// # Errors
    /// Never for what the journal stored itself: only parsed entries are stored.
    pub fn parse(&self) -> Result<AuditEvent, ParseError> {
        parse(&self.raw)
    }
}

impl StoredEvent {
    /// The event as others read it: Konnect's own member names with the values as sent, and what
    /// usher knows beside them. Where a name is the same, usher's member wins.
    pub fn render(&self, event: &AuditEvent) -> Map<String, Value> {
        let time = |at: DateTime<Utc>| Value::from(at.to_rfc3339_opts(SecondsFormat::Millis, true));
        let mut members = render(event);
        members.extend([
            ("id".to_owned(), json!(self.id)),
            ("kind".to_owned(), json!(event.kind.as_str())),
            ("occurred_at".to_owned(), time(event.occurred_at)),
            ("received_at".to_owned(), time(self.received_at)),
            ("delivery_id".to_owned(), json!(self.delivery_id)),
            ("verification".to_owned(), json!(self.verdict.as_str())),
            ("copies".to_owned(), json!(self.copies)),
            ("ambiguous".to_owned(), json!(event.ambiguous)),
            ("time_known".to_owned(), json!(event.time_known)),
        ]);
        members
    }
}

/// A row before its words are checked.
pub(in crate::journal) struct EventRow {
    pub(in crate::journal) id: Uuid,
    pub(in crate::journal) event_ts: DateTime<Utc>,
    pub(in crate::journal) received_at: DateTime<Utc>,
    pub(in crate::journal) batch: Uuid,
    pub(in crate::journal) delivery_id: Option<Uuid>,
    pub(in crate::journal) verdict: String,
    pub(in crate::journal) copies: i64,
    pub(in crate::journal) raw: Vec<u8>,
}

impl TryFrom<EventRow> for StoredEvent {
    type Error = JournalError;

    fn try_from(row: EventRow) -> Result<Self, JournalError> {
        let verdict = row
            .verdict
            .parse()
            .map_err(|_| JournalError::Inconsistent {
                table: "events",
                column: "verdict",
            })?;
        Ok(Self {
            id: EventId::from_uuid(row.id),
            event_ts: row.event_ts,
            received_at: row.received_at,
            batch: row.batch,
            delivery_id: row.delivery_id,
            verdict,
            copies: row.copies,
            raw: row.raw,
        })
    }
}
