//! One page of pulled entries becomes one batch of the journal.

use std::collections::HashSet;
use std::mem;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use metrics::counter;
use serde::Serialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::backfill::pull::pairing::{EventKey, Stored, pair};
use crate::clock::{Clock, Ids};
use crate::event::{self, AuditEvent, Verdict};
use crate::journal::{
    Journal, JournalError, Lane, NewBatch, NewEvent, NewQuarantine, Source, StoredCopies,
};
use crate::telemetry::metrics as names;

/// What was pulled, and what became of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Pulled {
    /// Pages with entries.
    pub pages: u64,
    /// Entries on them.
    pub entries: u64,
    /// Events that were new.
    pub stored: u64,
    /// Entries whose event was stored already, under the same id.
    pub duplicates: u64,
    /// Entries whose event was stored already, as the webhook wrote it.
    pub matched: u64,
    /// Quarantined entries.
    pub quarantined: u64,
}

impl Pulled {
    /// Adds what `other` counts.
    pub(super) fn add(&mut self, other: Self) {
        self.pages += other.pages;
        self.entries += other.entries;
        self.stored += other.stored;
        self.duplicates += other.duplicates;
        self.matched += other.matched;
        self.quarantined += other.quarantined;
    }
}

/// Stores the pages of one window.
pub(super) struct PageStore<'a> {
    pub(super) journal: &'a Journal,
    pub(super) clock: &'a Clock,
    pub(super) ids: &'a Ids,
    pub(super) lane: Lane,
    /// The whole that the batches are slices of.
    pub(super) part_of: Uuid,
    /// The keys that stand for an entry of the page before: one request may lie on both.
    taken: HashSet<EventKey>,
}

impl<'a> PageStore<'a> {
    pub(super) fn new(
        journal: &'a Journal,
        (clock, ids): (&'a Clock, &'a Ids),
        lane: Lane,
    ) -> Self {
        Self {
            journal,
            clock,
            ids,
            lane,
            part_of: ids.next(),
            taken: HashSet::new(),
        }
    }

    /// Stores a page, and returns what became of it and the time of its oldest entry.
    pub(super) async fn store(
        &mut self,
        page: Vec<Box<RawValue>>,
    ) -> Result<(Pulled, Option<DateTime<Utc>>), JournalError> {
        let entries = page.len() as u64;
        let (mut events, quarantined) = self.read(page);
        let oldest = events.first().map(|new| new.event.occurred_at);
        let (stored_copies, matched) = self.find(&mut events).await?;
        let batch = NewBatch {
            id: self.ids.next(),
            source: Source::Pull,
            lane: self.lane,
            part_of: Some(self.part_of),
            received_at: self.clock.now(),
            requests: Vec::new(),
            events,
            quarantined,
        };
        let appended = self.journal.append_knowing(&batch, &stored_copies).await?;
        let pulled = Pulled {
            pages: 1,
            entries,
            stored: appended.stored as u64,
            duplicates: (appended.duplicates as u64).saturating_sub(matched),
            matched,
            quarantined: appended.quarantined as u64,
        };
        for (outcome, count) in [
            ("stored", pulled.stored),
            ("duplicate", pulled.duplicates),
            ("matched", pulled.matched),
            ("quarantined", pulled.quarantined),
        ] {
            counter!(names::PULL_ENTRIES, "outcome" => outcome).increment(count);
        }
        Ok((pulled, oldest))
    }

    /// The entries that can be read, the oldest first, and the others.
    fn read(&self, page: Vec<Box<RawValue>>) -> (Vec<NewEvent>, Vec<NewQuarantine>) {
        let mut events = Vec::with_capacity(page.len());
        let mut quarantined = Vec::new();
        // The newest is first, and those of one moment are the other way round as well.
        for entry in page.into_iter().rev() {
            let raw = on_one_line(&entry);
            match read(&raw) {
                Ok(event) => events.push(NewEvent {
                    event,
                    raw,
                    verdict: Verdict::NotApplicable,
                    request: None,
                }),
                Err((reason, detail)) => quarantined.push(NewQuarantine {
                    id: self.ids.next(),
                    request: None,
                    reason,
                    detail,
                    raw_bytes: raw.len(),
                    raw,
                    event_id: None,
                }),
            }
        }
        events.sort_by_key(|new| new.event.occurred_at);
        (events, quarantined)
    }

    /// Finds what is stored already. Such an event gets the key of the stored one, of which only
    /// the copies are counted. Also returns how many the webhook brought in other words.
    async fn find(&mut self, events: &mut [NewEvent]) -> Result<(StoredCopies, u64), JournalError> {
        let asked: Vec<&AuditEvent> = events.iter().map(|new| &new.event).collect();
        let twins = self.journal.twins(&asked).await?;
        let before = mem::take(&mut self.taken);
        let mut taken = before.clone();
        let stored = pair(&asked, &twins, &mut taken);
        self.taken = taken.difference(&before).copied().collect();
        let mut stored_copies = StoredCopies::default();
        let mut matched = 0;
        for (new, stored) in events.iter_mut().zip(stored) {
            match stored {
                Stored::No => continue,
                Stored::Same => {}
                Stored::OtherWords((event_ts, id)) => {
                    (new.event.event_ts, new.event.id) = (event_ts, id);
                    matched += 1;
                }
            }
            stored_copies.insert_key(new.event.event_ts, new.event.id);
        }
        Ok((stored_copies, matched))
    }
}

/// The entry's bytes. Where they are on several lines, the ends of lines, which are between tokens,
/// become spaces: an entry is one line everywhere.
fn on_one_line(entry: &RawValue) -> Bytes {
    let text = entry.get();
    if text.contains(['\n', '\r']) {
        Bytes::from(text.replace(['\n', '\r'], " "))
    } else {
        Bytes::copy_from_slice(text.as_bytes())
    }
}

/// The event of an entry, else reason and detail of its quarantine.
fn read(raw: &[u8]) -> Result<AuditEvent, (&'static str, String)> {
    let event = event::parse(raw).map_err(|error| (error.reason(), error.to_string()))?;
    if event.claims_own_product() {
        // No entry from outside may pass for an own event of usher.
        return Err(("claims_own_product", "event_product is usher".to_owned()));
    }
    Ok(event)
}
