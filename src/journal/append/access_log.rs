//! The access log: reading rows about people, or exporting events, makes an own event of kind
//! `read`. One a query, never one a row. Auditors ask for it (PCI DSS 4.0, 10.2.1.3; 10.2.3 of
//! 3.2.1). A release from quarantine by a person makes one of kind `action`, and so does each step
//! by which a person changes what Konnect sends to usher.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::clock::{Clock, Ids};
use crate::event::{OwnEvent, Verdict};
use crate::journal::{Journal, JournalError, Lane, NewBatch, NewEvent, Source};

/// Words of filters whose values are never stored: they name people, and a page's token may contain
/// such a value.
const UNKEPT: [&str; 4] = ["person", "email", "q", "cursor"];

/// One query of a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// What was read: `events` becomes the event's name `read.events`.
    pub what: String,
    /// Who read: the name of a console token, or the user of the system.
    pub who: String,
    /// The way of access.
    pub way: AccessPath,
    /// What was asked for, word by word.
    pub filter: Vec<(String, String)>,
    /// Rows that were returned; none where that is not known when it begins.
    pub rows: Option<u64>,
    /// Whether all that was asked for was returned.
    pub is_complete: bool,
}

/// One release from quarantine by a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseByHand {
    /// Who released: the name of a console token, or the user of the system.
    pub who: String,
    /// The way of access.
    pub way: AccessPath,
    /// What was asked for, word by word.
    pub filter: Vec<(String, String)>,
    /// Entries that became events.
    pub released: u64,
    /// Entries whose event was stored already.
    pub known: u64,
    /// Rows that stay, by the reason that applies now.
    pub left: BTreeMap<String, u64>,
    /// Whether it came to its end.
    pub is_complete: bool,
}

/// One step by which a person changes what Konnect sends to usher, or with which secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupStep {
    /// What was done: `secret_given` becomes the event's name `setup.secret_given`.
    pub what: &'static str,
    /// Who did it: the user of the system.
    pub who: String,
    /// The way of access.
    pub way: AccessPath,
    /// Whose log is set up; none for the organisation's.
    pub portal_id: Option<Uuid>,
    /// The destinations or webhooks that it was done to. Never a secret.
    pub names: Vec<String>,
}

/// How a person reads, releases or sets up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessPath {
    /// By the JSON API.
    Api,
    /// By a page of the console.
    Console,
    /// At the command line.
    CommandLine,
}

/// Stores what was read, released or set up by whom. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AccessLog {
    journal: Journal,
    clock: Clock,
    ids: Ids,
}

impl AccessPath {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Console => "console",
            Self::CommandLine => "command line",
        }
    }
}

impl AccessLog {
    /// Stores them in `journal`, which must be a writable one.
    pub fn new(journal: Journal, clock: Clock) -> Self {
        Self {
            journal,
            ids: Ids::new(clock.clone()),
            clock,
        }
    }

    /// Whether an event could be stored now.
    pub async fn check(&self) -> Result<(), JournalError> {
        let takes_writes = self.journal.ping().await?;
        takes_writes.then_some(()).ok_or_else(JournalError::busy)
    }

    /// Stores one. A caller waits for this before it returns rows: they must not be returned
    /// without it.
    pub async fn note(&self, read: &Access) -> Result<(), JournalError> {
        let now = self.clock.now();
        let id = self.ids.next();
        let own = OwnEvent {
            name: format!("read.{}", read.what),
            portal_id: String::new(),
            principal_id: Some(read.who.clone()),
            object: format!("read/{id}"),
            revision: 1,
            occurred_at: now,
            data: read.data(),
        };
        self.store(id, Source::Read, own).await
    }

    /// Stores who released what from quarantine. A caller waits for this before it answers.
    pub async fn note_release(&self, release: &ReleaseByHand) -> Result<(), JournalError> {
        let id = self.ids.next();
        let own = OwnEvent {
            name: "quarantine.released".to_owned(),
            portal_id: String::new(),
            principal_id: Some(release.who.clone()),
            object: format!("release/{id}"),
            revision: 1,
            occurred_at: self.clock.now(),
            data: release.data(),
        };
        self.store(id, Source::Act, own).await
    }

    /// Stores one step of a set-up.
    pub async fn note_setup(&self, step: &SetupStep) -> Result<(), JournalError> {
        let id = self.ids.next();
        let own = OwnEvent {
            name: format!("setup.{}", step.what),
            portal_id: step.portal_id.map(|id| id.to_string()).unwrap_or_default(),
            principal_id: Some(step.who.clone()),
            object: format!("setup/{id}"),
            revision: 1,
            occurred_at: self.clock.now(),
            data: Map::from_iter([
                ("way".to_owned(), json!(step.way.as_str())),
                ("names".to_owned(), json!(step.names)),
            ]),
        };
        self.store(id, Source::Act, own).await
    }

    async fn store(&self, id: Uuid, source: Source, own: OwnEvent) -> Result<(), JournalError> {
        let appended = self.journal.append(&batch(id, source, own)).await?;
        // One that the database refused was quarantined, and is not in the access log.
        let is_stored = appended.stored == 1;
        is_stored.then_some(()).ok_or(JournalError::Inconsistent {
            table: "events",
            column: "kind",
        })
    }
}

impl Access {
    fn data(&self) -> Map<String, Value> {
        Map::from_iter([
            ("way".to_owned(), json!(self.way.as_str())),
            ("filter".to_owned(), without_addresses(&self.filter)),
            ("rows".to_owned(), json!(self.rows)),
            ("complete".to_owned(), json!(self.is_complete)),
        ])
    }
}

impl ReleaseByHand {
    fn data(&self) -> Map<String, Value> {
        Map::from_iter([
            ("way".to_owned(), json!(self.way.as_str())),
            ("filter".to_owned(), without_addresses(&self.filter)),
            ("released".to_owned(), json!(self.released)),
            ("known".to_owned(), json!(self.known)),
            ("left".to_owned(), json!(self.left)),
            ("complete".to_owned(), json!(self.is_complete)),
        ])
    }
}

/// The words of a filter. An address may be part of any value.
fn without_addresses(filter: &[(String, String)]) -> Value {
    let filter = filter.iter().map(|(word, value)| {
        let is_kept = !UNKEPT.contains(&word.as_str()) && !value.contains('@');
        let value = if is_kept { value } else { "…" };
        (word.clone(), Value::from(value))
    });
    Value::Object(filter.collect())
}

fn batch(id: Uuid, source: Source, own: OwnEvent) -> NewBatch {
    let received_at = own.occurred_at;
    let (raw, event) = own.build();
    NewBatch {
        id,
        source,
        lane: Lane::Live,
        part_of: None,
        received_at,
        requests: Vec::new(),
        events: vec![NewEvent {
            event,
            raw: raw.into(),
            verdict: Verdict::NotApplicable,
            request: None,
        }],
        quarantined: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Access, AccessPath};

    #[test]
    fn no_address_is_kept() {
        let words = [
            ("person", "ada"),
            ("cursor", "abc"),
            ("name", "ada@arsenal.com"),
            ("portal_id", "x"),
        ];
        let read = Access {
            what: "events".to_owned(),
            who: "grace".to_owned(),
            way: AccessPath::Api,
            filter: words
                .map(|(word, value)| (word.to_owned(), value.to_owned()))
                .into(),
            rows: Some(3),
            is_complete: true,
        };
        let expected = json!({ "person": "…", "cursor": "…", "name": "…", "portal_id": "x" });
        assert_eq!(read.data()["filter"], expected);
    }
}
