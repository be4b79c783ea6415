//! What a spool's folder contains, for whoever looks without taking it. Changes nothing.

use std::fs;
use std::io;
use std::path::Path;

use crate::ingest::spool::file::Name;

/// Files of a folder and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpoolInventory {
    /// Requests that wait to be stored.
    pub waiting: u64,
    /// Files that were damaged and moved aside.
    pub aside: u64,
    /// Bytes of both, as the files have them.
    pub bytes: u64,
}

/// Counts the files in `dir`. Blocks.
///
/// # Errors
/// When the folder cannot be read.
pub fn spool_inventory(dir: &Path) -> io::Result<SpoolInventory> {
    let mut found = SpoolInventory::default();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        match Name::of(&entry.path()) {
            Name::Waiting(_) => found.waiting += 1,
            Name::Aside => found.aside += 1,
            Name::Unfinished | Name::Foreign => continue,
        }
        // A running usher may have stored and removed it by now.
        found.bytes += entry.metadata().map_or(0, |file| file.len());
    }
    Ok(found)
}
