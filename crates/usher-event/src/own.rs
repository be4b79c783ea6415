//! Own events: what usher observed, did or was sent, as entries of the same flat shape as
//! Konnect's, so that they are in the same journal. Must contain no e-mail and no name of a person:
//! those belong to `subjects`.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};

use crate::AuditEvent;
use crate::kind::OWN_PRODUCT;
use crate::parse::parse;

/// An own event, to be built.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnEvent {
    /// What happened. `action.`, `quarantine.`, `setup.`, `custom.`, `read.` and `usher.` at its
    /// start decide the kind; anything else is an observation.
    pub name: String,
    /// The portal in which it happened; empty where there is none, and then left out.
    pub portal_id: String,
    /// Who did it or whom it is about, if anybody.
    pub principal_id: Option<String>,
    /// The object that changed, unique in the directory.
    pub object: String,
    /// The object's revision: with `object` it is the identity of the event, so one revision is one
    /// event.
    pub revision: i64,
    /// When it happened, or was observed.
    pub occurred_at: DateTime<Utc>,
    /// All other content.
    pub data: Map<String, Value>,
}

impl OwnEvent {
    /// Builds the entry (one line of compact JSON without a line end) and the event that parses
    /// from it.
    ///
    /// Never fails. The time is cut to milliseconds. Data nested deeper than an entry may be
    /// becomes JSON text in a string.
    pub fn build(self) -> (Vec<u8>, AuditEvent) {
        self.build_with(&Map::new())
    }

    /// Builds it with further members beside those of every own event.
    pub(super) fn build_with(mut self, further: &Map<String, Value>) -> (Vec<u8>, AuditEvent) {
        let data = Value::Object(std::mem::take(&mut self.data));
        let line = self.line(&data, further);
        let own = parse(&line).map(|event| (line, event));
        own.unwrap_or_else(|_| {
            let line = self.line(&Value::from(data.to_string()), further);
            let event = parse(&line).expect("a flat object with a name is an entry");
            (line, event)
        })
    }

    fn line(&self, data: &Value, further: &Map<String, Value>) -> Vec<u8> {
        let mut entry = json!({
            "cef_version": 0,
            "data": data,
            "event_class_id": OWN_PRODUCT,
            "event_product": OWN_PRODUCT,
            "event_ts": self.occurred_at.to_rfc3339_opts(SecondsFormat::Secs, true),
            "event_vendor": OWN_PRODUCT,
            "event_version": "1.0",
            "name": self.name,
            "object": self.object,
            "revision": self.revision,
            "rt": self.occurred_at.timestamp_millis().to_string(),
            "severity": 0,
        });
        if !self.portal_id.is_empty() {
            entry["portal_id"] = json!(self.portal_id);
        }
        if let Some(principal_id) = &self.principal_id {
            entry["principal_id"] = json!(principal_id);
        }
        for (name, value) in further {
            entry[name] = value.clone();
        }
        entry.to_string().into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use serde_json::{Map, Value, json};

    use super::OwnEvent;
    use crate::{Kind, own_event_id, parse, render};

    fn own(name: &str) -> OwnEvent {
        OwnEvent {
            name: name.into(),
            portal_id: "3e551b39-227d-4297-b911-e68fd5d77c17".into(),
            principal_id: Some("a3d2699a-0ed3-4417-bb10-d8e74a1513a4".into()),
            object: "developer:a3d2699a-0ed3-4417-bb10-d8e74a1513a4".into(),
            revision: 7,
            occurred_at: DateTime::from_timestamp_millis(1_750_688_927_556).unwrap(),
            data: Map::from_iter([("fields".into(), json!(["status"]))]),
        }
    }

    #[test]
    fn the_line_parses_back_to_the_same_event() {
        let table = [
            ("developer.signed_up", Kind::Observation),
            ("developer.status_changed", Kind::Observation),
            ("action.done", Kind::Action),
            ("custom.hr.joined", Kind::Custom),
            ("usher.outbox_old", Kind::Operation),
        ];
        for (name, kind) in table {
            let (line, event) = own(name).build();
            assert_eq!(event.kind, kind, "{name}");
            assert!(!line.contains(&b'\n'));
            assert_eq!(parse(&line).unwrap(), event);
            assert_eq!(event.occurred_at.timestamp_millis(), 1_750_688_927_556);
            assert_eq!(event.event_ts.timestamp(), 1_750_688_927);
        }
    }

    #[test]
    fn object_and_revision_are_the_identity() {
        let (_, first) = own("developer.status_changed").build();
        let reported_at = own("").occurred_at;
        assert_eq!(first.id, own_event_id(reported_at, &own("").object, 7));
        let (_, other_words) = OwnEvent {
            data: Map::new(),
            ..own("developer.changed")
        }
        .build();
        assert_eq!(first.id, other_words.id);
        let (_, next) = OwnEvent {
            revision: 8,
            ..own("developer.status_changed")
        }
        .build();
        assert_ne!(first.id, next.id);
        let (_, other) = OwnEvent {
            object: "team:1".into(),
            ..own("developer.status_changed")
        }
        .build();
        assert_ne!(first.id, other.id);
    }

    #[test]
    fn data_too_deep_for_an_entry_is_kept_as_text() {
        let deep = (0..200).fold(json!(1), |inner, _| json!([inner]));
        let data = Map::from_iter([("deep".into(), deep)]);
        let text = Value::Object(data.clone()).to_string();
        let (line, event) = OwnEvent {
            data,
            ..own("custom.deep")
        }
        .build();
        assert_eq!(parse(&line).unwrap(), event);
        assert_eq!(render(&event)["data"], text);
    }

    #[test]
    fn a_time_beyond_all_years_is_flagged() {
        let (_, event) = OwnEvent {
            occurred_at: chrono::DateTime::<chrono::Utc>::MAX_UTC,
            ..own("a.b")
        }
        .build();
        assert!(!event.time_known);
    }
}
