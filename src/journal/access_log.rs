//! Who looked: reading rows about people, or exporting the record, is an event of usher's own of kind `read`. One a
//! query, never one a row. Auditors ask for it (PCI DSS 4.0, 10.2.1.3; 10.2.3 of 3.2.1).

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::clock::{Clock, Ids};
use crate::event::{OwnEvent, Verdict};
use crate::journal::{Journal, JournalError, Lane, NewBatch, NewEvent, Source};

/// Words of filters whose values are never kept: they name people, and a page's token may hold such a value.
const UNKEPT: [&str; 4] = ["person", "email", "q", "cursor"];

/// One query of somebody's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// What was read: `events` becomes the event's name `read.events`.
    pub what: String,
    /// Who read: the name of a console token, or the user of the system.
    pub who: String,
    /// By which way.
    pub way: AccessPath,
    /// What was asked for, word by word.
    pub filter: Vec<(String, String)>,
    /// Rows that were given; none where that is not known when it begins.
    pub rows: Option<u64>,
    /// Whether all was given that was asked for.
    pub is_complete: bool,
}

/// How somebody reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessPath {
    /// By the JSON API.
    Api,
    /// At the command line.
    CommandLine,
}

/// Keeps what was read by whom. Cheap to clone.
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
            Self::CommandLine => "command line",
        }
    }
}

impl AccessLog {
    /// Keeps them in `journal`, which must be one that is written to.
    pub fn new(journal: Journal, clock: Clock) -> Self {
        Self {
            journal,
            ids: Ids::new(clock.clone()),
            clock,
        }
    }

    /// Whether one could be kept now.
    pub async fn check(&self) -> Result<(), JournalError> {
        let takes_writes = self.journal.ping().await?;
        takes_writes.then_some(()).ok_or_else(JournalError::busy)
    }

    /// Keeps one. Whoever gives rows waits for this first: what cannot be kept must not be given.
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
        let appended = self.journal.append(&batch(id, own)).await?;
        // One that the database refused was put aside, where nobody looks for it.
        let is_stored = appended.stored == 1;
        is_stored.then_some(()).ok_or(JournalError::Inconsistent {
            table: "events",
            column: "kind",
        })
    }
}

impl Access {
    fn data(&self) -> Map<String, Value> {
        let filter = self.filter.iter().map(|(word, value)| {
            // An address may be written into any of them.
            let is_kept = !UNKEPT.contains(&word.as_str()) && !value.contains('@');
            let value = if is_kept { value } else { "…" };
            (word.clone(), Value::from(value))
        });
        let filter: Map<String, Value> = filter.collect();
        Map::from_iter([
            ("way".to_owned(), json!(self.way.as_str())),
            ("filter".to_owned(), filter.into()),
            ("rows".to_owned(), json!(self.rows)),
            ("complete".to_owned(), json!(self.is_complete)),
        ])
    }
}

fn batch(id: Uuid, own: OwnEvent) -> NewBatch {
    let received_at = own.occurred_at;
    let (raw, event) = own.build();
    NewBatch {
        id,
        source: Source::Read,
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
