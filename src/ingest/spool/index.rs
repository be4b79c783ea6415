//! Which files the spool has, how many bytes it may take, and how that is reported. Touches no
//! disk.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::ops::Bound;

use metrics::gauge;
use uuid::Uuid;

use crate::http::health::{Condition, Health};
use crate::telemetry::metrics as names;

/// The part of `/readyz`.
const PART: &str = "spool";
/// What a file takes at least on most file systems. It also bounds the number of files.
const BLOCK: u64 = 4096;

/// Why the last request could not be spooled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// It would have exceeded the bound.
    Full,
    /// The disk refused a file of so many bytes.
    Write(ErrorKind, usize),
}

/// Counts files and bytes. Bytes are those of whole blocks, as a disk counts them.
#[derive(Debug)]
pub(super) struct SpoolIndex {
    max_bytes: u64,
    /// Requests with their bytes; their ids sort by time.
    waiting: BTreeMap<Uuid, u64>,
    waiting_bytes: u64,
    /// Of requests that are being written.
    reserved_bytes: u64,
    aside_files: usize,
    aside_bytes: u64,
    trouble: Option<Trouble>,
    health: Health,
}

impl SpoolIndex {
    /// An empty index that reports to `health`.
    pub(super) fn new(max_bytes: u64, health: Health) -> Self {
        Self {
            max_bytes,
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            reserved_bytes: 0,
            aside_files: 0,
            aside_bytes: 0,
            trouble: None,
            health,
        }
    }

    /// Requests that wait.
    pub(super) fn files(&self) -> usize {
        self.waiting.len()
    }

    /// The bytes that it takes on disk, and those that it may take.
    pub(super) fn usage(&self) -> (u64, u64) {
        (self.bytes(), self.max_bytes)
    }

    /// Bytes of the last file, if the disk refused it.
    pub(super) fn refused_bytes(&self) -> Option<usize> {
        match self.trouble {
            Some(Trouble::Write(_, bytes)) => Some(bytes),
            Some(Trouble::Full) | None => None,
        }
    }

    /// The first id behind `after`.
    pub(super) fn next_after(&self, after: Option<Uuid>) -> Option<Uuid> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rest = self.waiting.range((start, Bound::Unbounded));
        rest.next().map(|(id, _)| *id)
    }

    /// Reserves bytes for a file; `false` when there are not enough.
    pub(super) fn reserve(&mut self, bytes: u64) -> bool {
        let bytes = on_disk(bytes);
        let held = self.bytes() + self.reserved_bytes;
        let fits = held
            .checked_add(bytes)
            .is_some_and(|sum| sum <= self.max_bytes);
        if fits {
            self.reserved_bytes += bytes;
        } else {
            self.trouble(Trouble::Full);
        }
        fits
    }

    /// Frees the bytes of a file that was written or failed.
    pub(super) fn unreserve(&mut self, bytes: u64) {
        self.reserved_bytes -= on_disk(bytes);
    }

    /// A request waits on disk.
    pub(super) fn add(&mut self, id: Uuid, bytes: u64) {
        let bytes = on_disk(bytes);
        if let Some(known) = self.waiting.insert(id, bytes) {
            self.waiting_bytes -= known;
        }
        self.waiting_bytes += bytes;
        self.writable();
    }

    /// A file that was moved aside is in the folder.
    pub(super) fn add_aside(&mut self, bytes: u64) {
        self.aside_files += 1;
        self.aside_bytes += on_disk(bytes);
    }

    /// A request is stored, and its file removed.
    pub(super) fn remove(&mut self, id: Uuid) {
        self.waiting_bytes -= self.waiting.remove(&id).unwrap_or(0);
        if self.trouble == Some(Trouble::Full) {
            self.trouble = None;
        }
        self.report();
    }

    /// A request is damaged and no longer read.
    pub(super) fn set_aside(&mut self, id: Uuid) {
        if let Some(bytes) = self.waiting.remove(&id) {
            self.waiting_bytes -= bytes;
            self.add_aside(bytes);
        }
        self.report();
    }

    /// A file could be written.
    pub(super) fn writable(&mut self) {
        self.trouble = None;
        self.report();
    }

    /// A request could not be spooled.
    pub(super) fn trouble(&mut self, trouble: Trouble) {
        self.trouble = Some(trouble);
        self.report();
    }

    /// Reports to `/readyz` and the metrics.
    pub(super) fn report(&self) {
        let (condition, detail) = self.condition();
        self.health.set(PART, condition, detail);
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
        let set = |name, value: u64| gauge!(name).set(value as f64);
        set(names::SPOOL_BYTES, self.bytes());
        set(names::SPOOL_MAX_BYTES, self.max_bytes);
        set(names::SPOOL_FILES, self.waiting.len() as u64);
        set(names::SPOOL_ASIDE, self.aside_files as u64);
    }

    fn bytes(&self) -> u64 {
        self.waiting_bytes + self.aside_bytes
    }

    fn condition(&self) -> (Condition, String) {
        let mut holding = format!("{} requests, {} bytes", self.waiting.len(), self.bytes());
        if self.aside_files > 0 {
            holding = format!("{holding}, {} damaged files", self.aside_files);
        }
        match self.trouble {
            Some(Trouble::Full) => (Condition::Down, format!("full, {holding}")),
            Some(Trouble::Write(kind, _)) => (
                Condition::Down,
                format!("cannot be written: {kind}, {holding}"),
            ),
            None if self.waiting.is_empty() && self.aside_files == 0 => {
                (Condition::Ok, String::new())
            }
            None => (Condition::Degraded, holding),
        }
    }
}

fn on_disk(bytes: u64) -> u64 {
    bytes.checked_next_multiple_of(BLOCK).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(max_bytes: u64) -> SpoolIndex {
        SpoolIndex::new(max_bytes, Health::default())
    }

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    #[test]
    fn takes_blocks_up_to_the_bound_and_gives_them_back() {
        let mut index = index(3 * BLOCK);
        assert!(!index.reserve(3 * BLOCK + 1));
        assert!(!index.reserve(u64::MAX));
        assert!(index.reserve(1) && index.reserve(BLOCK + 1));
        assert!(!index.reserve(1), "what is being written counts");
        index.unreserve(BLOCK + 1);
        index.unreserve(1);
        index.add(id(1), 1);
        index.add_aside(BLOCK);
        assert!(index.reserve(BLOCK) && !index.reserve(1));
        assert_eq!(
            index.condition(),
            (
                Condition::Down,
                "full, 1 requests, 8192 bytes, 1 damaged files".to_owned()
            )
        );
        index.remove(id(1));
        assert_eq!(index.condition().0, Condition::Degraded);
        assert!(index.reserve(1));
    }

    #[test]
    fn goes_from_the_oldest_to_the_youngest() {
        let mut index = index(u64::MAX);
        for number in [3, 1, 2] {
            index.add(id(number), 10);
        }
        let mut found = Vec::new();
        let mut at = None;
        while let Some(next) = index.next_after(at) {
            found.push(next);
            at = Some(next);
        }
        assert_eq!(found, [id(1), id(2), id(3)]);
        index.set_aside(id(1));
        assert_eq!(index.next_after(None), Some(id(2)));
        assert_eq!((index.files(), index.bytes()), (2, 3 * BLOCK));
    }

    #[test]
    fn is_well_only_when_empty_and_writable() {
        let mut index = index(BLOCK);
        assert_eq!(index.condition().0, Condition::Ok);
        index.trouble(Trouble::Write(ErrorKind::StorageFull, 9));
        assert_eq!(index.refused_bytes(), Some(9));
        assert_eq!(index.condition().0, Condition::Down);
        index.writable();
        assert_eq!(index.condition().0, Condition::Ok);
        index.add(id(1), 1);
        assert_eq!(
            index.condition(),
            (Condition::Degraded, "1 requests, 4096 bytes".to_owned())
        );
    }
}
