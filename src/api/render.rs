//! Rows of the journal as JSON, the same in the API and at the command line. Reads nothing itself.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::act::Paused;
use crate::journal::{COUNTED, Delivery, Quarantined, ReaderStatus, StoredEvent};

/// An event; always with its members, since only what parses is stored.
pub fn event(stored: &StoredEvent) -> Value {
    match stored.parse() {
        Ok(event) => Value::Object(stored.render(&event)),
        Err(_) => json!({ "id": stored.id }),
    }
}

/// An event as the text of its JSON.
#[expect(clippy::missing_panics_doc, reason = "a value is always JSON")]
pub fn event_text(stored: &StoredEvent) -> Box<RawValue> {
    to_raw_value(&event(stored)).expect("a value is always JSON")
}

/// A request that delivered entries.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub struct DeliveryBody {
    /// Its id, which the sender was answered with.
    delivery_id: Uuid,
    /// The batch that it was stored in.
    batch_id: Uuid,
    /// When its first byte arrived.
    #[schema(value_type = DateTime<Utc>)]
    received_at: String,
    /// Who sent it.
    peer: String,
    /// The content coding as declared; empty for none.
    encoding: String,
    /// Bytes as sent.
    body_bytes: usize,
    /// Bytes after inflating.
    inflated_bytes: usize,
    /// The status that it was answered with.
    status: u16,
    /// Entries found in it.
    received: usize,
    /// Events that were new.
    stored: usize,
    /// Entries whose event was stored already.
    duplicates: usize,
    /// Entries that were quarantined.
    quarantined: usize,
}

/// A request that delivered entries.
pub fn delivery(delivery: &Delivery) -> DeliveryBody {
    let request = &delivery.request;
    DeliveryBody {
        delivery_id: request.id,
        batch_id: delivery.batch,
        received_at: time(request.received_at),
        peer: request.peer.clone(),
        encoding: request.encoding.clone(),
        body_bytes: request.body_bytes,
        inflated_bytes: request.inflated_bytes,
        status: request.status,
        received: request.received,
        stored: request.stored,
        duplicates: request.duplicates,
        quarantined: request.quarantined,
    }
}

/// A reader of the outbox, with its backlog.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Reader)]
pub struct ReaderBody {
    /// Its name.
    reader: String,
    /// Batches received from then on are owed by it.
    #[schema(value_type = DateTime<Utc>)]
    since: String,
    /// When an instance last announced that it is configured with it.
    #[schema(value_type = DateTime<Utc>)]
    wanted_at: String,
    /// Batches in its backlog, as far as they are counted.
    batches: i64,
    /// Whether there are more than are counted.
    more: bool,
    /// When the oldest of them was received.
    #[schema(required = true, value_type = Option<DateTime<Utc>>)]
    oldest: Option<String>,
}

/// A reader of the outbox, with its backlog.
pub fn reader(reader: &ReaderStatus) -> ReaderBody {
    ReaderBody {
        reader: reader.reader.clone(),
        since: time(reader.since),
        wanted_at: time(reader.wanted_at),
        batches: reader.batches,
        more: reader.batches == COUNTED,
        oldest: reader.oldest.map(time),
    }
}

/// A quarantined entry or body.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quarantined)]
pub struct QuarantinedBody {
    /// The id of the row.
    id: Uuid,
    /// When it arrived.
    #[schema(value_type = DateTime<Utc>)]
    received_at: String,
    /// The request that it arrived in.
    #[schema(required = true)]
    delivery_id: Option<Uuid>,
    /// Its identity, where it could be parsed.
    #[schema(required = true)]
    event_id: Option<Uuid>,
    /// The reason, a stable code.
    reason: String,
    /// What was found.
    detail: String,
    /// How many bytes there were.
    raw_bytes: i64,
    /// The bytes, where they are text; in a list the first 2,048.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw: Option<String>,
    /// The bytes in base64, where they are no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    raw_base64: Option<String>,
}

/// A quarantined entry or body. The bytes are shown as text where they are text, else in base64.
pub fn quarantined(row: &Quarantined) -> QuarantinedBody {
    let text = str::from_utf8(&row.raw).ok().map(str::to_owned);
    QuarantinedBody {
        id: row.id,
        received_at: time(row.received_at),
        delivery_id: row.delivery_id,
        event_id: row.event_id,
        reason: row.reason.clone(),
        detail: row.detail.clone(),
        raw_bytes: row.raw_bytes,
        raw_base64: text.is_none().then(|| STANDARD.encode(&row.raw)),
        raw: text,
    }
}

/// Whether a person paused all actions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Pause)]
pub struct PauseBody {
    /// Whether they are paused.
    paused: bool,
    /// Who paused them.
    #[schema(required = true)]
    by: Option<String>,
    /// Since when.
    #[schema(required = true)]
    since: Option<DateTime<Utc>>,
    /// Why, in their words.
    #[schema(required = true)]
    reason: Option<String>,
}

/// Whether a person paused all actions.
pub fn pause(paused: Option<&Paused>) -> PauseBody {
    PauseBody {
        paused: paused.is_some(),
        by: paused.map(|paused| paused.by.clone()),
        since: paused.map(|paused| paused.since),
        reason: paused.and_then(|paused| paused.reason.clone()),
    }
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}
