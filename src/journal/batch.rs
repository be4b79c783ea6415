//! What is appended in one transaction, and what became of it.

use std::fmt;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::{AuditEvent, EventId, Verdict};

/// Where a batch came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The ingest endpoint.
    Webhook,
    /// A trusted sender.
    Hook,
    /// Differences that a sweep or refresh found.
    Observe,
    /// Results of usher's own deeds.
    Act,
    /// The access log.
    Read,
    /// A file that was imported.
    Import,
    /// What began or ended about usher itself.
    Operation,
    /// The pull API.
    Pull,
}

impl Source {
    /// The word that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Hook => "hook",
            Self::Observe => "observe",
            Self::Act => "act",
            Self::Read => "read",
            Self::Import => "import",
            Self::Operation => "operation",
            Self::Pull => "pull",
        }
    }
}

/// Which batches a reader takes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// What just happened.
    Live,
    /// Slices of a file, a page or a sweep.
    Bulk,
}

impl Lane {
    /// The word that is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Bulk => "bulk",
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One entry that could be parsed, on its way into the journal.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// The parsed event. In a large body it has no members: they are read from `raw` again when the
    /// row is written.
    pub event: AuditEvent,
    /// Its own bytes, as received: a slice of the body.
    pub raw: Bytes,
    /// What its signature proves.
    pub verdict: Verdict,
    /// Index of its request in [`NewBatch::requests`]; none for own events and pulled ones.
    pub request: Option<usize>,
}

/// One quarantined entry or body.
#[derive(Debug, Clone)]
pub struct NewQuarantine {
    /// Identifier of the row.
    pub id: Uuid,
    /// Index of its request in [`NewBatch::requests`]; none for what no request brought.
    pub request: Option<usize>,
    /// Stable code.
    pub reason: &'static str,
    /// What was found, for a person.
    pub detail: String,
    /// Its bytes, up to the bound: a slice of the body.
    pub raw: Bytes,
    /// How many bytes there were.
    pub raw_bytes: usize,
    /// Identity, where the entry could be parsed.
    pub event_id: Option<EventId>,
}

/// One HTTP delivery, or one slice of a file, as the journal stores it in `batches.requests`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RequestRecord {
    /// The delivery id that the sender is answered with.
    pub id: Uuid,
    /// When its first byte arrived.
    pub received_at: DateTime<Utc>,
    /// Who sent it: an address, or the name of the file.
    pub peer: String,
    /// Content coding as declared; empty for none.
    pub encoding: String,
    /// Bytes as sent.
    pub body_bytes: usize,
    /// Bytes after inflating.
    pub inflated_bytes: usize,
    /// Status that it is answered with.
    pub status: u16,
    /// Entries found in it.
    pub received: usize,
    /// Events that were new.
    pub stored: usize,
    /// Entries whose event was stored already.
    pub duplicates: usize,
    /// Quarantined entries.
    pub quarantined: usize,
}

/// What one transaction appends.
#[derive(Debug, Clone)]
pub struct NewBatch {
    /// `UUIDv7`. Appending the same id twice returns the first outcome.
    pub id: Uuid,
    /// Where it came from.
    pub source: Source,
    /// Its lane.
    pub lane: Lane,
    /// The whole that a bulk slice belongs to.
    pub part_of: Option<Uuid>,
    /// When its first byte arrived.
    pub received_at: DateTime<Utc>,
    /// Its requests. The journal fills in their counts.
    pub requests: Vec<RequestRecord>,
    /// Its entries that could be parsed.
    pub events: Vec<NewEvent>,
    /// Its quarantined entries.
    pub quarantined: Vec<NewQuarantine>,
}

/// What became of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Appended {
    /// Events that were new.
    pub stored: usize,
    /// Entries whose event was stored already.
    pub duplicates: usize,
    /// Quarantined entries.
    pub quarantined: usize,
    /// Stored events whose verdict became stronger.
    pub strengthened: usize,
    /// The counts of each request of [`NewBatch::requests`].
    pub requests: Vec<RequestCounts>,
}

/// What became of one request of a batch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RequestCounts {
    /// Events that were new, and whose first copy was in this request.
    pub stored: usize,
    /// Entries whose event was stored already, or was in an earlier request of the same batch.
    pub duplicates: usize,
    /// Quarantined entries.
    pub quarantined: usize,
}

impl RequestCounts {
    /// The counts of a request that was recorded.
    pub(super) fn of(request: &RequestRecord) -> Self {
        Self {
            stored: request.stored,
            duplicates: request.duplicates,
            quarantined: request.quarantined,
        }
    }
}
