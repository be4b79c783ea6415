//! Which events of a batch the journal has already: the answer of `copies`, and a part of what is
//! appended. No SQL.

use std::collections::HashSet;

use chrono::{DateTime, Utc};

use crate::event::EventId;

/// The key of the table, which identifies an event.
pub(super) type Key = (DateTime<Utc>, EventId);

/// Identifies an entry: the id of its event, and a hash of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    /// Time of its event.
    pub event_ts: DateTime<Utc>,
    /// Identity of its event.
    pub id: EventId,
    /// SHA-256 of its bytes.
    pub digest: [u8; 32],
}

/// Events that the journal has with a verdict at least as strong as any copy to be appended. So a
/// copy adds nothing but itself.
#[derive(Debug, Clone, Default)]
pub struct StoredCopies(HashSet<Key>);

impl StoredCopies {
    /// Adds an event that [`Journal::has_copies`](crate::journal::Journal::has_copies) found.
    pub fn insert(&mut self, entry: &Fingerprint) {
        self.insert_key(entry.event_ts, entry.id);
    }

    /// Adds an event by its key.
    pub fn insert_key(&mut self, event_ts: DateTime<Utc>, id: EventId) {
        self.0.insert((event_ts, id));
    }

    /// Adds what `other` has.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// How many events.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn holds(&self, key: Key) -> bool {
        self.0.contains(&key)
    }
}
