//! Snapshots: everything that the emulator knows at one moment, under a name, to come back to as
//! often as wanted. They are copies in memory, and end with the emulator.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::{
    clock::{Clock, Hands, timestamp},
    faults::Faults,
    state::World,
};

/// How many snapshots are kept at most: each may hold as much as the emulator itself.
const MAX_SNAPSHOTS: usize = 32;

/// The longest name.
const MAX_NAME: usize = 64;

/// One snapshot, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SnapshotInfo {
    /// Its name.
    pub name: String,
    /// When it was taken (RFC 3339, the emulator's clock).
    pub taken_at: String,
    /// How many objects it holds, of all kinds.
    pub objects: usize,
}

/// What a snapshot holds: objects with all that belongs to the organisation, faults, the clock. The
/// journal of requests is no part of it.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) world: World,
    pub(crate) faults: Faults,
    pub(crate) hands: Hands,
    taken_at: DateTime<Utc>,
}

impl Snapshot {
    /// Copies what there is now.
    pub(crate) fn take(world: &World, faults: &Faults, clock: &Clock) -> Self {
        Self {
            world: world.clone(),
            faults: faults.clone(),
            hands: clock.hands(),
            taken_at: clock.now(),
        }
    }

    fn info(&self, name: &str) -> SnapshotInfo {
        SnapshotInfo {
            name: name.to_owned(),
            taken_at: timestamp(self.taken_at),
            objects: self.world.len(),
        }
    }
}

/// All snapshots by name.
#[derive(Debug, Default)]
pub(crate) struct Snapshots(BTreeMap<String, Snapshot>);

impl Snapshots {
    /// Keeps a snapshot; one of the same name is replaced.
    pub(crate) fn keep(&mut self, name: &str, snapshot: Snapshot) -> SnapshotInfo {
        let info = snapshot.info(name);
        self.0.insert(name.to_owned(), snapshot);
        info
    }

    /// Refuses a name that no path can hold, and one more than are kept.
    pub(crate) fn check(&self, name: &str) -> Result<(), String> {
        let is_plain = |letter: u8| letter.is_ascii_alphanumeric() || b"-_.".contains(&letter);
        if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(is_plain) {
            return Err(format!(
                "name is of 1 to {MAX_NAME} letters, digits, `-`, `_` and `.`"
            ));
        }
        if self.0.len() >= MAX_SNAPSHOTS && !self.0.contains_key(name) {
            return Err(format!(
                "there are {MAX_SNAPSHOTS} snapshots: drop one first"
            ));
        }
        Ok(())
    }

    /// Copies a snapshot, for it stays.
    pub(crate) fn get(&self, name: &str) -> Result<Snapshot, String> {
        let found = self.0.get(name).cloned();
        found.ok_or_else(|| format!("there is no snapshot {name}"))
    }

    /// Lists the snapshots by name.
    pub(crate) fn list(&self) -> Vec<SnapshotInfo> {
        let all = self.0.iter();
        all.map(|(name, snapshot)| snapshot.info(name)).collect()
    }

    /// Drops a snapshot; `false` if there is none of the name.
    pub(crate) fn drop_one(&mut self, name: &str) -> bool {
        self.0.remove(name).is_some()
    }

    /// Drops all snapshots.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}
