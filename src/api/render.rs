//! What the record holds as JSON, the same in the API and at the command line. Reads nothing itself.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use crate::act::Paused;
use crate::journal::{COUNTED, Delivery, Quarantined, Standing, StoredEvent};

/// An event; never without its members, since only what parses is stored.
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

/// A request that brought entries in.
pub fn delivery(delivery: &Delivery) -> Value {
    let request = &delivery.request;
    json!({
        "delivery_id": request.id,
        "batch_id": delivery.batch,
        "received_at": request.received_at.to_rfc3339_opts(SecondsFormat::Millis, true),
        "peer": request.peer,
        "encoding": request.encoding,
        "body_bytes": request.body_bytes,
        "inflated_bytes": request.inflated_bytes,
        "status": request.status,
        "received": request.received,
        "stored": request.stored,
        "duplicates": request.duplicates,
        "quarantined": request.quarantined,
    })
}

/// A reader of the outbox, with what it is owed.
pub fn reader(reader: &Standing) -> Value {
    let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
    json!({
        "reader": reader.reader,
        "since": time(reader.since),
        "wanted_at": time(reader.wanted_at),
        "batches": reader.batches,
        "more": reader.batches == COUNTED,
        "oldest": reader.oldest.map(time),
    })
}

/// What was kept aside. The bytes are shown as text where they are text, else in base64.
pub fn quarantined(row: &Quarantined) -> Value {
    let mut shown = json!({
        "id": row.id,
        "received_at": row.received_at.to_rfc3339_opts(SecondsFormat::Millis, true),
        "delivery_id": row.delivery_id,
        "event_id": row.event_id,
        "reason": row.reason,
        "detail": row.detail,
        "raw_bytes": row.raw_bytes,
    });
    match str::from_utf8(&row.raw) {
        Ok(text) => shown["raw"] = json!(text),
        Err(_) => shown["raw_base64"] = json!(STANDARD.encode(&row.raw)),
    }
    shown
}

/// Whether a person paused all actions.
pub fn pause(paused: Option<&Paused>) -> Value {
    json!({
        "paused": paused.is_some(),
        "by": paused.map(|paused| &paused.by),
        "since": paused.map(|paused| paused.since),
        "reason": paused.and_then(|paused| paused.reason.as_ref()),
    })
}
