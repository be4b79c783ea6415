//! The rows of a batch: one per event, sorted by key, with every column as it is stored. Writes
//! nothing itself, so that both ways of writing store the same.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::event::{AuditEvent, EventId};
use crate::journal::batch::{NewBatch, NewEvent};

/// What makes an event one: the key of the table.
pub(super) type Key = (DateTime<Utc>, EventId);

/// One event of a batch, with the copies of it that the batch holds.
#[derive(Debug)]
pub(super) struct Row<'a> {
    /// Its key.
    pub(super) key: Key,
    /// Index of the request that gets the credit: the one whose copy came first.
    pub(super) credited: Option<usize>,
    /// Its place in the batch.
    pub(super) position: i32,
    /// How many copies of it the batch holds.
    pub(super) copies: i32,
    /// The copy with the strongest verdict, which is kept.
    pub(super) kept: &'a NewEvent,
    /// When the request that is kept arrived.
    pub(super) received_at: DateTime<Utc>,
}

impl<'a> Row<'a> {
    /// The event.
    pub(super) fn event(&self) -> &'a AuditEvent {
        &self.kept.event
    }

    /// Its identity as stored.
    pub(super) fn id(&self) -> Uuid {
        self.key.1.as_uuid()
    }

    /// Index of the kept copy's request, as stored.
    pub(super) fn request(&self) -> Option<i16> {
        self.kept
            .request
            .and_then(|index| i16::try_from(index).ok())
    }

    /// A text column.
    pub(super) fn text(&self, member: &str) -> Option<Cow<'a, str>> {
        self.event().text(member)
    }
}

/// The rows of `batch`, sorted by key, so that two instances with the same entries cannot deadlock.
pub(super) fn rows(batch: &NewBatch) -> Vec<Row<'_>> {
    let mut rows: BTreeMap<Key, Row<'_>> = BTreeMap::new();
    for (position, new) in (0..).zip(&batch.events) {
        let key = (new.event.event_ts, new.event.id);
        rows.entry(key)
            .and_modify(|known| {
                known.copies += 1;
                if new.verdict.strength() > known.kept.verdict.strength() {
                    known.kept = new;
                    known.received_at = arrival(batch, new);
                }
            })
            .or_insert_with(|| Row {
                key,
                credited: new.request,
                position,
                copies: 1,
                kept: new,
                received_at: arrival(batch, new),
            });
    }
    rows.into_values().collect()
}

/// When the request of `new` arrived; the batch, for events of our own.
fn arrival(batch: &NewBatch, new: &NewEvent) -> DateTime<Utc> {
    new.request
        .map_or(batch.received_at, |index| batch.requests[index].received_at)
}
