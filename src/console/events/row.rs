//! One event as a line of a list, and as a live tail sends it.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::console::raw_view::visible;
use crate::console::show::cut;
use crate::event::AuditEvent;
use crate::journal::{Outcome, StoredEvent};

/// Letters of a value that a line shows: a name may be as long as an entry.
const LETTERS: usize = 120;

/// One line of a list of events.
#[derive(Debug, Clone)]
pub(super) struct EventRow {
    pub(super) id: String,
    pub(super) occurred_at: DateTime<Utc>,
    pub(super) name: String,
    pub(super) kind: &'static str,
    pub(super) outcome: &'static str,
    pub(super) verdict: &'static str,
    pub(super) principal: String,
    /// The person of a portal that the principal is.
    pub(super) person: Option<Uuid>,
    pub(super) src: String,
    pub(super) is_ambiguous: bool,
}

impl EventRow {
    pub(super) fn new(stored: &StoredEvent) -> Self {
        let event = stored.parse().ok();
        let event = event.as_ref();
        let member = |name: &str| {
            let value = event?.text(name).map(Cow::into_owned)?;
            Some(visible(&cut(&value, LETTERS)))
        };
        Self {
            id: stored.id.to_string(),
            occurred_at: event.map_or(stored.event_ts, |event| event.occurred_at),
            name: member("name").unwrap_or_else(|| "(no name)".to_owned()),
            kind: event.map_or("unknown", |event| event.kind.as_str()),
            outcome: event.map_or("unknown", |event| Outcome::of(event).as_str()),
            verdict: stored.verdict.as_str(),
            principal: member("principal_id").unwrap_or_default(),
            person: event
                .filter(|event| event.portal_uuid().is_some())
                .and_then(AuditEvent::principal_uuid),
            src: member("src").unwrap_or_default(),
            is_ambiguous: event.is_some_and(|event| event.ambiguous),
        }
    }

    /// As the script of the live tail reads it.
    pub(super) fn for_tail(&self) -> Value {
        json!({
            "occurred_at": self.occurred_at.to_rfc3339_opts(SecondsFormat::Millis, true),
            "href": format!("/events/{}", self.id),
            "name": self.name,
            "outcome": self.outcome,
            "verification": self.verdict,
            "principal_id": self.principal,
            "src": self.src,
        })
    }
}
