//! One event as a line of a list, and as a live tail sends it.

use std::borrow::Cow;

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::console::Console;
use crate::console::raw_view::visible;
use crate::console::show::cut;
use crate::event::{AuditEvent, Kind, render};
use crate::http::Problem;
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
    /// Their portal.
    pub(super) portal: Option<Uuid>,
    /// Their address, where the directory knows it and the list asks for it.
    pub(super) email: String,
    /// What was looked at, of an event that says so.
    pub(super) read: Option<ReadRow>,
    pub(super) src: String,
    pub(super) is_ambiguous: bool,
}

/// What somebody looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReadRow {
    /// What was asked for, word by word.
    pub(super) filter: String,
    /// How many rows there were; nothing where that was not known.
    pub(super) rows: String,
}

impl ReadRow {
    /// What a read event says of itself.
    fn new(data: &Value) -> Self {
        let words = data.get("filter").and_then(Value::as_object);
        let words = words.into_iter().flatten().map(|(word, value)| {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            format!("{word}={value}")
        });
        let filter = words.collect::<Vec<_>>().join(", ");
        let rows = data.get("rows").and_then(Value::as_u64);
        Self {
            filter: visible(&cut(&filter, LETTERS)),
            rows: rows.map(|rows| rows.to_string()).unwrap_or_default(),
        }
    }
}

impl EventRow {
    pub(super) fn new(stored: &StoredEvent) -> Self {
        let event = stored.parse().ok();
        let event = event.as_ref();
        let member = |name: &str| {
            let value = event?.text(name).map(Cow::into_owned)?;
            Some(visible(&cut(&value, LETTERS)))
        };
        let mut name = member("name");
        if let (Some(name), Some(event)) = (&mut name, event)
            && event.kind == Kind::Operation
        {
            name.push_str(&moment(event));
        }
        Self {
            id: stored.id.to_string(),
            occurred_at: event.map_or(stored.event_ts, |event| event.occurred_at),
            name: name.unwrap_or_else(|| "(no name)".to_owned()),
            kind: event.map_or("unknown", |event| event.kind.as_str()),
            outcome: event.map_or("unknown", |event| Outcome::of(event).as_str()),
            verdict: stored.verdict.as_str(),
            principal: member("principal_id").unwrap_or_default(),
            person: event
                .filter(|event| event.portal_uuid().is_some())
                .and_then(AuditEvent::principal_uuid),
            portal: event.and_then(AuditEvent::portal_uuid),
            email: String::new(),
            read: event
                .filter(|event| event.kind == Kind::Read)
                .and_then(|event| render(event).get("data").map(ReadRow::new)),
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

/// Whether something about usher itself began or ended, and what it is about.
fn moment(event: &AuditEvent) -> String {
    let event = render(event);
    let words = ["state", "subject"].into_iter().filter_map(|member| {
        let text = event.get("data")?.get(member)?.as_str()?;
        (!text.is_empty()).then(|| format!(" {}", visible(&cut(text, LETTERS))))
    });
    words.collect()
}

/// Adds the addresses that the directory knows.
pub(super) async fn add_emails(console: &Console, rows: &mut [EventRow]) -> Result<(), Problem> {
    let of = |row: &EventRow| row.portal.zip(row.person);
    let mut people: Vec<(Uuid, Uuid)> = rows.iter().filter_map(of).collect();
    people.sort_unstable();
    people.dedup();
    let subjects = console.directory.subjects_of(&people).await?;
    for row in rows {
        let subject = of(row).and_then(|person| subjects.get(&person));
        let email = subject.and_then(|subject| subject.email.as_deref());
        row.email = email.map_or_else(String::new, |email| visible(&cut(email, LETTERS)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::ReadRow;

    #[test]
    fn a_read_says_what_was_looked_at() {
        let read = ReadRow::new(&json!({"filter": {"q": "ada", "status": "x"}, "rows": 3}));
        assert_eq!(
            (read.filter.as_str(), read.rows.as_str()),
            ("q=ada, status=x", "3")
        );
        let read = ReadRow::new(&json!("a text"));
        assert_eq!((read.filter.as_str(), read.rows.as_str()), ("", ""));
    }
}
