//! How long each sort of row stays, and what is old by that. Deletes nothing.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::journal::partitions::Range;

/// How long each sort of row stays.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Events: whole months once the last of their time is older.
    pub events: Duration,
    /// The quarantine.
    pub quarantine: Duration,
    /// The requests of batches, and batches without events.
    pub batches: Duration,
    /// Ids of custom events, and addresses that only a sender reported.
    pub told: Duration,
}

/// The times before which things are old.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cutoffs {
    pub(super) now: DateTime<Utc>,
    pub(super) events: DateTime<Utc>,
    pub(super) quarantine: DateTime<Utc>,
    pub(super) batches: DateTime<Utc>,
    pub(super) told: DateTime<Utc>,
}

impl Cutoffs {
    /// What is old at `now`.
    pub(super) fn of(retention: &Retention, now: DateTime<Utc>) -> Self {
        Self {
            now,
            events: before(now, retention.events),
            quarantine: before(now, retention.quarantine),
            batches: before(now, retention.batches),
            told: before(now, retention.told),
        }
    }

    /// Whether the whole month is too old; the ranges on either side never are.
    pub(super) fn is_old(&self, range: Range) -> bool {
        range.month().is_some_and(|(_, end)| end <= self.events)
    }
}

/// `now` less `age`; the epoch where that is too long ago for a time.
pub fn before(now: DateTime<Utc>, age: Duration) -> DateTime<Utc> {
    TimeDelta::from_std(age)
        .ok()
        .and_then(|age| now.checked_sub_signed(age))
        .unwrap_or(DateTime::UNIX_EPOCH)
}
