//! Every entry that was made: whole for seven days, as Konnect keeps it, and in short for good, so
//! that a test can compare what was made with what was stored.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use uuid::Uuid;

use crate::entry::Entry;

/// Konnect keeps entries for seven days.
pub(crate) const RETENTION: TimeDelta = TimeDelta::days(7);

/// Bounds of what is kept in memory, whatever its age.
const MAX_WHOLE: usize = 200_000;
const MAX_MADE: usize = 1_000_000;

/// Whose entries: a portal's, or the organisation's.
pub(crate) type Source = Option<Uuid>;

/// An entry that was made, in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MadeEntry {
    /// Its place among all entries of the emulator, from 1.
    pub number: u64,
    /// The portal whose entry it is; absent for the organisation's.
    pub portal_id: Option<Uuid>,
    /// `authentication`, `authorization` or `gateway_access`, as the pull API has it.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Its name, such as `AUTHENTICATION_OUTCOME_SUCCESS`.
    pub name: String,
    /// Its time as delivered: milliseconds since 1970 in UTC, as text.
    pub rt: String,
    /// Its trace id as text: it does not fit into a double.
    pub trace_id: String,
    /// Its principal; empty where nobody was found.
    pub principal_id: String,
    /// How many requests with it were sent, by its webhook and by replay jobs.
    pub attempts: u32,
    /// How many of them were answered with a 2xx.
    pub accepted: u32,
    /// How many times a fault of deliveries has lost it.
    pub lost: u32,
}

/// What is left of an entry when Konnect has forgotten it.
#[derive(Debug)]
struct Short {
    number: u64,
    source: Source,
    kind: &'static str,
    name: Box<str>,
    rt: Box<str>,
    trace_id: Box<str>,
    principal_id: Box<str>,
    attempts: AtomicU32,
    accepted: AtomicU32,
    lost: AtomicU32,
}

impl Short {
    /// Copies it with counts of its own.
    fn copy(&self) -> Self {
        let count = |of: &AtomicU32| AtomicU32::new(of.load(Ordering::Relaxed));
        Self {
            number: self.number,
            source: self.source,
            kind: self.kind,
            name: self.name.clone(),
            rt: self.rt.clone(),
            trace_id: self.trace_id.clone(),
            principal_id: self.principal_id.clone(),
            attempts: count(&self.attempts),
            accepted: count(&self.accepted),
            lost: count(&self.lost),
        }
    }

    fn show(&self) -> MadeEntry {
        MadeEntry {
            number: self.number,
            portal_id: self.source,
            kind: self.kind,
            name: self.name.to_string(),
            rt: self.rt.to_string(),
            trace_id: self.trace_id.to_string(),
            principal_id: self.principal_id.to_string(),
            attempts: self.attempts.load(Ordering::Relaxed),
            accepted: self.accepted.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
        }
    }
}

/// An entry with what became of it.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) entry: Arc<Entry>,
    short: Arc<Short>,
}

impl Kept {
    /// Returns the place among all entries.
    pub(crate) fn number(&self) -> u64 {
        self.short.number
    }

    /// Returns whether a request with it was ever sent.
    pub(crate) fn was_attempted(&self) -> bool {
        self.short.attempts.load(Ordering::Relaxed) > 0
    }

    /// Counts a request with it that is about to be sent.
    pub(crate) fn count_attempt(&self) {
        self.short.attempts.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request with it that was accepted.
    pub(crate) fn count_accepted(&self) {
        self.short.accepted.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts that a fault lost it.
    pub(crate) fn count_lost(&self) {
        self.short.lost.fetch_add(1, Ordering::Relaxed);
    }
}

/// All entries, in the order they were made.
#[derive(Debug, Default)]
pub(crate) struct History {
    whole: VecDeque<(Source, Arc<Kept>)>,
    short: VecDeque<Arc<Short>>,
    made: u64,
}

impl History {
    /// Copies all entries, with counts of their own. What waits in a queue is found in the copy
    /// again by its number; what is no longer kept whole is copied along.
    pub(crate) fn copy(&self, queued: &[Arc<Kept>]) -> (Self, HashMap<u64, Arc<Kept>>) {
        let short: VecDeque<Arc<Short>> = self.short.iter().map(|one| one.copy().into()).collect();
        let first = short.front().map_or(0, |short| short.number);
        let copy = |kept: &Kept| {
            let place = usize::try_from(kept.number().wrapping_sub(first)).ok();
            let listed = place.and_then(|place| short.get(place));
            Arc::new(Kept {
                entry: Arc::clone(&kept.entry),
                short: listed.map_or_else(|| kept.short.copy().into(), Arc::clone),
            })
        };
        let whole: VecDeque<(Source, Arc<Kept>)> = self
            .whole
            .iter()
            .map(|(source, kept)| (*source, copy(kept)))
            .collect();
        let mut waiting = HashMap::new();
        if !queued.is_empty() {
            waiting.extend(
                whole
                    .iter()
                    .map(|(_, kept)| (kept.number(), Arc::clone(kept))),
            );
            for kept in queued {
                waiting.entry(kept.number()).or_insert_with(|| copy(kept));
            }
        }
        let made = self.made;
        (Self { whole, short, made }, waiting)
    }

    /// Keeps an entry, and forgets what is older than seven days.
    pub(crate) fn keep(&mut self, source: Source, entry: Entry, now: DateTime<Utc>) -> Arc<Kept> {
        self.made += 1;
        let text = |name: &str| entry.text(name).into_boxed_str();
        let short = Arc::new(Short {
            number: self.made,
            source,
            kind: entry.kind(),
            name: text("name"),
            rt: text("rt"),
            trace_id: text("trace_id"),
            principal_id: text("principal_id"),
            attempts: AtomicU32::new(0),
            accepted: AtomicU32::new(0),
            lost: AtomicU32::new(0),
        });
        if self.short.len() == MAX_MADE {
            self.short.pop_front();
        }
        self.short.push_back(Arc::clone(&short));
        while self.whole.len() >= MAX_WHOLE
            || self
                .whole
                .front()
                .is_some_and(|(_, oldest)| oldest.entry.at < now - RETENTION)
        {
            self.whole.pop_front();
        }
        let entry = Arc::new(entry);
        let kept = Arc::new(Kept { entry, short });
        self.whole.push_back((source, Arc::clone(&kept)));
        kept
    }

    /// Forgets a portal's entries, but that they were made.
    pub(crate) fn forget(&mut self, portal: Uuid) {
        self.whole.retain(|(source, _)| *source != Some(portal));
    }

    /// Lists a source's kept entries of a window, both ends included.
    pub(crate) fn window(
        &self,
        source: Source,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
    ) -> Vec<Arc<Kept>> {
        self.whole
            .iter()
            .filter(|(of, kept)| *of == source && (from..=to).contains(&kept.entry.at))
            .map(|(_, kept)| Arc::clone(kept))
            .collect()
    }

    /// Lists every entry that was made after a number, of one source if there is one given.
    pub(crate) fn made(&self, source: Option<Source>, after: u64) -> Vec<MadeEntry> {
        let first = self.short.front().map_or(0, |short| short.number);
        let skip =
            usize::try_from(after.saturating_add(1).saturating_sub(first)).unwrap_or(usize::MAX);
        self.short
            .iter()
            .skip(skip)
            .filter(|short| source.is_none_or(|source| source == short.source))
            .map(|short| short.show())
            .collect()
    }

    /// Returns how many of the oldest entries are no longer listed.
    pub(crate) fn forgotten(&self) -> u64 {
        self.made - self.short.len() as u64
    }
}
