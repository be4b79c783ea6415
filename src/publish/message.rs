//! One event as a Kafka message: `CloudEvents` 1.0 in binary mode. Pure: knows nothing of a
//! producer.

use chrono::SecondsFormat;
use serde_json::json;
use url::form_urlencoded;

use crate::event::{AuditEvent, EventId, ParseError};
use crate::journal::StoredEvent;

/// What goes to Kafka for one event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    /// The event's identity, by which a second copy is recognised.
    pub(super) id: EventId,
    /// Portal and principal, as far as they are known: one person's events share a partition.
    pub(super) key: Option<String>,
    /// The attributes of the `CloudEvents` Kafka binding.
    pub(super) headers: Vec<(&'static str, String)>,
    /// JSON: `event` and the entry as received.
    pub(super) payload: Vec<u8>,
}

impl Message {
    /// Makes the message for a stored event.
    ///
    /// # Errors
    /// Never for what the journal stored itself: only parsed entries are stored.
    pub(super) fn of(stored: &StoredEvent) -> Result<Self, ParseError> {
        let event = stored.parse()?;
        Ok(Self {
            id: stored.id,
            key: key(&event),
            headers: headers(stored, &event),
            payload: payload(stored, &event),
        })
    }

    /// About the bytes of memory that it takes while it is under way.
    pub(super) fn size(&self) -> usize {
        let headers: usize = self.headers.iter().map(|(n, v)| n.len() + v.len()).sum();
        self.payload.len() + self.key.as_ref().map_or(0, String::len) + headers
    }
}

fn key(event: &AuditEvent) -> Option<String> {
    match (event.portal_id(), event.principal_id()) {
        (Some(portal), Some(principal)) => Some(format!("{portal}/{principal}")),
        (Some(only), None) | (None, Some(only)) => Some(only.into_owned()),
        (None, None) => None,
    }
}

fn headers(stored: &StoredEvent, event: &AuditEvent) -> Vec<(&'static str, String)> {
    let origin = if event.claims_own_product() {
        "usher"
    } else {
        "com.konghq.konnect.audit"
    };
    let mut headers = vec![
        ("ce_specversion", "1.0".to_owned()),
        ("ce_id", stored.id.to_string()),
        ("ce_type", format!("{origin}.{}", event.kind)),
        ("ce_source", source(event)),
        (
            "ce_time",
            event
                .occurred_at
                .to_rfc3339_opts(SecondsFormat::Millis, true),
        ),
        ("content-type", "application/json".to_owned()),
    ];
    if let Some(principal) = event.principal_id() {
        headers.push(("ce_subject", principal.into_owned()));
    }
    headers
}

/// A URI reference, which the binding demands. Ids are stored as sent, so what is not a plain id is
/// escaped.
fn source(event: &AuditEvent) -> String {
    let escaped = |id: &str| form_urlencoded::byte_serialize(id.as_bytes()).collect::<String>();
    if event.claims_own_product() {
        "/usher".to_owned()
    } else if let Some(portal) = event.portal_id() {
        format!("/portals/{}", escaped(&portal))
    } else if let Some(org) = event.org_id() {
        format!("/organizations/{}", escaped(&org))
    } else {
        "/konnect".to_owned()
    }
}

fn payload(stored: &StoredEvent, event: &AuditEvent) -> Vec<u8> {
    // Only UTF-8 parses, so nothing of a stored entry is replaced here.
    let raw = String::from_utf8_lossy(&stored.raw);
    json!({ "event": stored.render(event), "raw": raw })
        .to_string()
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::{Map, Value};
    use uuid::Uuid;

    use super::Message;
    use crate::event::{OwnEvent, Verdict, parse};
    use crate::journal::StoredEvent;

    fn stored(raw: &[u8]) -> StoredEvent {
        let event = parse(raw).unwrap();
        StoredEvent {
            id: event.id,
            event_ts: event.event_ts,
            received_at: DateTime::from_timestamp_millis(1_750_688_930_250).unwrap(),
            batch: Uuid::nil(),
            delivery_id: None,
            verdict: Verdict::Unsigned,
            copies: 1,
            raw: raw.to_vec(),
        }
    }

    fn message(raw: &[u8]) -> Message {
        Message::of(&stored(raw)).unwrap()
    }

    fn header<'m>(message: &'m Message, name: &str) -> Option<&'m str> {
        let found = message.headers.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_str())
    }

    fn body(message: &Message) -> Value {
        serde_json::from_slice(&message.payload).unwrap()
    }

    const LOGIN: &str = r#"{"event_product":"Dev-Portal","event_ts":"2025-06-23T14:28:47Z","rt":"1750688927123","name":"AUTHENTICATION_OUTCOME_SUCCESS","portal_id":"7d0f2f4e-1111-4222-8333-444455556666","principal_id":"dev-1","trace_id":3360194145499877252,"success":"true","sig":"x"}"#;

    #[test]
    fn carries_an_event_of_konnects_in_binary_mode() {
        let message = message(LOGIN.as_bytes());
        let expected = [
            ("ce_specversion", "1.0"),
            ("ce_id", &message.id.to_string()),
            ("ce_type", "com.konghq.konnect.audit.authentication"),
            ("ce_source", "/portals/7d0f2f4e-1111-4222-8333-444455556666"),
            ("ce_time", "2025-06-23T14:28:47.123Z"),
            ("ce_subject", "dev-1"),
            ("content-type", "application/json"),
        ];
        for (name, value) in expected {
            assert_eq!(header(&message, name), Some(value), "{name}");
        }
        assert_eq!(message.headers.len(), expected.len());
        assert_eq!(
            message.key.as_deref(),
            Some("7d0f2f4e-1111-4222-8333-444455556666/dev-1")
        );
    }

    #[test]
    fn holds_the_event_and_the_entry_as_received() {
        let message = message(LOGIN.as_bytes());
        let body = body(&message);
        assert_eq!(body["raw"], LOGIN);
        let event = &body["event"];
        assert_eq!(event["trace_id"], "3360194145499877252");
        assert_eq!(event["success"], "true");
        assert_eq!(event["id"], message.id.to_string());
        assert_eq!(event["kind"], "authentication");
        assert_eq!(event["occurred_at"], "2025-06-23T14:28:47.123Z");
        assert_eq!(event["received_at"], "2025-06-23T14:28:50.250Z");
        assert_eq!(event["verification"], "unsigned");
    }

    #[test]
    fn names_whatever_is_there() {
        let table = [
            (
                r#"{"name":"Ingress","org_id":"o 1","principal_id":"p"}"#,
                Some("p"),
                "/organizations/o+1",
            ),
            (
                r#"{"name":"Ingress","portal_id":"a/b"}"#,
                Some("a/b"),
                "/portals/a%2Fb",
            ),
            (r#"{"name":"Ingress"}"#, None, "/konnect"),
        ];
        for (raw, key, source) in table {
            let message = message(raw.as_bytes());
            assert_eq!(message.key.as_deref(), key, "{raw}");
            assert_eq!(header(&message, "ce_source"), Some(source), "{raw}");
        }
    }

    #[test]
    fn our_own_events_have_types_and_a_source_of_their_own() {
        let (raw, _) = OwnEvent {
            name: "action.done".to_owned(),
            portal_id: "portal".to_owned(),
            principal_id: None,
            object: "action/1".to_owned(),
            revision: 1,
            occurred_at: DateTime::from_timestamp(1_750_688_927, 0).unwrap(),
            data: Map::new(),
        }
        .build();
        let message = message(&raw);
        assert_eq!(header(&message, "ce_type"), Some("usher.action"));
        assert_eq!(header(&message, "ce_source"), Some("/usher"));
        assert_eq!(header(&message, "ce_subject"), None);
        assert_eq!(message.key.as_deref(), Some("portal"));
    }
}
