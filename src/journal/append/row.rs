//! The rows of a batch: one per event, sorted by key, with every column as it is stored. Writes
//! nothing itself, so that all write strategies store the same.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::event::{self, AuditEvent, COLUMN_CHARS};
use crate::journal::append::stored_copies::{Key, StoredCopies};
use crate::journal::batch::{NewBatch, NewEvent};

/// One event of a batch, with its copies in the batch.
#[derive(Debug, Clone)]
pub(super) struct Row<'a> {
    /// Its key.
    pub(super) key: Key,
    /// Index of the request that gets the credit: the one with the first copy.
    pub(super) credited: Option<usize>,
    /// Its place in the batch.
    pub(super) position: i32,
    /// How many copies of it the batch has.
    pub(super) copies: i32,
    /// The copy with the strongest verdict, which is stored.
    pub(super) kept: &'a NewEvent,
    /// When the request of the stored copy arrived.
    pub(super) received_at: DateTime<Utc>,
    /// The event with its members, where the batch has it without.
    read: Option<Box<AuditEvent>>,
}

impl Row<'_> {
    /// The row with the members of its event, for as long as it is being written.
    pub(super) fn with_members(&self) -> Self {
        let mut row = self.clone();
        if self.kept.event.members.is_empty() {
            // It was read from the same bytes before.
            row.read = event::parse(&self.kept.raw).ok().map(Box::new);
        }
        row
    }

    /// The event.
    pub(super) fn event(&self) -> &AuditEvent {
        self.read.as_deref().unwrap_or(&self.kept.event)
    }

    /// Its identity as stored.
    pub(super) fn id(&self) -> Uuid {
        self.key.1.as_uuid()
    }

    /// Index of the stored copy's request, as stored.
    pub(super) fn request(&self) -> Option<i16> {
        self.kept
            .request
            .and_then(|index| i16::try_from(index).ok())
    }

    /// A text column, no longer than an index can take. The entry's own bytes keep the rest.
    pub(super) fn text(&self, member: &str) -> Option<Cow<'_, str>> {
        let text = self.event().text(member)?;
        if text.len() <= COLUMN_CHARS {
            return Some(text);
        }
        Some(match text.char_indices().nth(COLUMN_CHARS) {
            Some((end, _)) => Cow::Owned(text[..end].to_owned()),
            None => text,
        })
    }
}

/// The rows of a batch, sorted by key, so that two instances with the same entries cannot deadlock.
#[derive(Debug, Clone)]
pub(super) struct Rows<'a> {
    /// Those to be written.
    pub(super) fresh: Vec<Row<'a>>,
    /// Those that the journal has as they are, and only counts.
    pub(super) stored_copies: Vec<Row<'a>>,
}

impl Rows<'_> {
    /// Earliest and latest time; none without a row.
    pub(super) fn span(&self) -> Option<(DateTime<Utc>, DateTime<Utc>)> {
        let ends = [&self.fresh, &self.stored_copies]
            .into_iter()
            .filter_map(|rows| {
                let (first, last) = (rows.first()?, rows.last()?);
                Some((first.key.0, last.key.0))
            });
        ends.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
    }
}

/// The rows of `batch`, of which `stored_copies` are stored already.
pub(super) fn rows<'a>(batch: &'a NewBatch, stored_copies: &StoredCopies) -> Rows<'a> {
    let copies = (0..).zip(&batch.events).map(|(position, new)| Row {
        key: (new.event.event_ts, new.event.id),
        credited: new.request,
        position,
        copies: 1,
        kept: new,
        received_at: arrival(batch, new),
        read: None,
    });
    // Sorted in place: a large body has some hundred thousand of them.
    let mut fresh: Vec<Row<'_>> = copies.collect();
    fresh.sort_unstable_by_key(|row| (row.key, row.position));
    fresh.dedup_by(|copy, row| {
        let same = copy.key == row.key;
        if same {
            row.copies += 1;
            if copy.kept.verdict.strength() > row.kept.verdict.strength() {
                row.kept = copy.kept;
                row.received_at = copy.received_at;
            }
        }
        same
    });
    let stored_copies = fresh
        .extract_if(.., |row| stored_copies.holds(row.key))
        .collect();
    Rows {
        fresh,
        stored_copies,
    }
}

/// When the request of `new` arrived. Of an own event it is the batch's time.
fn arrival(batch: &NewBatch, new: &NewEvent) -> DateTime<Utc> {
    new.request
        .map_or(batch.received_at, |index| batch.requests[index].received_at)
}
