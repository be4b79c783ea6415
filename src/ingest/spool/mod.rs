//! Requests are stored on disk while the database does not answer, and in the journal once it does.
//!
//! Stores bytes as they were received and never parses them. They later take the same way through
//! inflating and intake as a live delivery, under the same id.

mod drain;
mod file;
mod index;
mod inventory;

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use tokio::sync::Notify;
use tokio::task::{JoinError, spawn_blocking};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use crate::http::health::Health;
use crate::ingest::Request;
use crate::ingest::spool::file::{Name, ReadError};
use crate::ingest::spool::index::{SpoolIndex, Trouble};
use crate::lifecycle::pause;

pub use drain::{drain_until_stopped, probe_until_stopped};
pub use inventory::{SpoolInventory, spool_inventory};

/// Locked by the process that owns the folder.
const LOCK: &str = "lock";

/// What the disk must take at start: a small delivery.
const PROBE_BYTES: usize = 4096;

/// Why there is no spool.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The folder cannot be made or read.
    #[error("spool.dir: could not use {}", dir.display())]
    Folder {
        /// The folder.
        dir: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has it.
    #[error("spool.dir: {} is in use by another process", dir.display())]
    InUse {
        /// The folder.
        dir: PathBuf,
    },
}

/// Why the folder did not change. Nothing is left of the request.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeepError {
    /// It would exceed `spool.max_bytes`.
    #[error("the spool is full")]
    Full,
    /// The disk is full, or gone, or refuses.
    #[error("could not write to the spool")]
    Write(#[source] io::Error),
    /// The thread panicked.
    #[error("the thread at the spool ended early")]
    Thread(#[from] JoinError),
}

/// The folder and its state. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Spool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    /// Locked as long as it is open.
    lock: File,
    index: Mutex<SpoolIndex>,
    /// Set as soon as one delivery finds the database away, so that the next need not wait for it.
    record_away: AtomicBool,
    /// Wakes the task that empties the spool.
    work: Notify,
}

impl Spool {
    /// Opens the folder `dir`, makes it where it is missing, and counts what a former process left.
    ///
    /// Blocks. The database counts as away until [`drain_until_stopped`] has reached it.
    ///
    /// # Errors
    /// When the folder cannot be used or another process has it. A full disk is no error.
    pub fn open(dir: &Path, max_bytes: u64, health: Health) -> Result<Self, SpoolError> {
        let failed = |source| SpoolError::Folder {
            dir: dir.to_owned(),
            source,
        };
        make(dir).map_err(failed)?;
        let lock = File::create(dir.join(LOCK)).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(SpoolError::InUse {
                    dir: dir.to_owned(),
                });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let mut index = SpoolIndex::new(max_bytes, health);
        take_stock(dir, &mut index).map_err(failed)?;
        index.report();
        if index.files() > 0 {
            info!(
                requests = index.files(),
                "the spool contains requests of a former run"
            );
        }
        let spool = Self(Arc::new(Inner {
            folder: dir.to_owned(),
            lock,
            index: Mutex::new(index),
            record_away: AtomicBool::new(true),
            work: Notify::new(),
        }));
        spool.0.probe(PROBE_BYTES);
        Ok(spool)
    }

    /// When the oldest request that waits was received, by this machine's clock.
    pub fn oldest_received_at(&self) -> Option<DateTime<Utc>> {
        let oldest = self.0.index().next_after(None)?;
        let (seconds, nanos) = oldest.get_timestamp()?.to_unix();
        DateTime::from_timestamp(i64::try_from(seconds).ok()?, nanos)
    }

    /// Lets another process take the folder. Call it when nothing writes any more.
    pub fn release(&self) {
        if let Err(error) = self.0.lock.unlock() {
            warn!(
                error = &error as &dyn std::error::Error,
                "could not release the spool"
            );
        }
    }

    /// The bytes that it takes on disk, and those that it may take.
    pub fn usage(&self) -> (u64, u64) {
        self.0.index().usage()
    }

    /// Whether the database was away and has not answered since.
    pub(super) fn record_is_away(&self) -> bool {
        self.0.record_away.load(Ordering::Relaxed)
    }

    /// The database answers.
    fn note_record_back(&self) {
        self.0.record_away.store(false, Ordering::Relaxed);
    }

    /// A delivery found the database away.
    pub(super) fn note_record_away(&self) {
        self.0.record_away.store(true, Ordering::Relaxed);
        self.0.work.notify_one();
    }

    /// Returns once `body` is on disk under the request's id.
    ///
    /// It continues to its end even when the caller stops waiting.
    pub(super) async fn keep(&self, request: Request, body: Bytes) -> Result<(), KeepError> {
        let inner = Arc::clone(&self.0);
        spawn_blocking(move || inner.keep(&request, &body)).await??;
        self.0.work.notify_one();
        Ok(())
    }

    /// Returns when there may be something to store, at the latest after `at_most`.
    async fn wait_for_work(&self, at_most: Option<Duration>, cancel: &CancellationToken) {
        let at_most = at_most.unwrap_or(Duration::MAX);
        tokio::select! {
            () = self.0.work.notified() => {}
            _ = pause(at_most, cancel) => {}
        }
    }

    /// The oldest request that waits, of those younger than `after`.
    fn next_after(&self, after: Option<Uuid>) -> Option<Uuid> {
        self.0.index().next_after(after)
    }

    async fn read(&self, id: Uuid) -> Result<(Request, Bytes), ReadError> {
        let inner = Arc::clone(&self.0);
        spawn_blocking(move || file::read(&inner.folder, id)).await?
    }

    /// The request is stored: its file is removed.
    async fn remove(&self, id: Uuid) -> Result<(), KeepError> {
        let inner = Arc::clone(&self.0);
        let removed = spawn_blocking(move || inner.remove(id)).await?;
        removed.map_err(KeepError::Write)
    }

    /// The file is damaged. It stays, under a name that is not read again.
    async fn set_aside(&self, id: Uuid) -> Result<(), KeepError> {
        let inner = Arc::clone(&self.0);
        let moved = spawn_blocking(move || inner.set_aside(id)).await?;
        moved.map_err(KeepError::Write)
    }
}

impl Inner {
    fn index(&self) -> MutexGuard<'_, SpoolIndex> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, request: &Request, body: &[u8]) -> Result<(), KeepError> {
        let header = file::header(request, body.len());
        let bytes = (header.len() + body.len()) as u64;
        if !self.index().reserve(bytes) {
            return Err(KeepError::Full);
        }
        let written = file::write(&self.folder, request.id, &header, body);
        let mut index = self.index();
        index.unreserve(bytes);
        match &written {
            Ok(()) => index.add(request.id, bytes),
            Err(error) => {
                let bytes = header.len() + body.len();
                index.trouble(Trouble::Write(error.kind(), bytes));
            }
        }
        written.map_err(KeepError::Write)
    }

    fn remove(&self, id: Uuid) -> io::Result<()> {
        file::remove(&self.folder, id)?;
        self.index().remove(id);
        Ok(())
    }

    fn set_aside(&self, id: Uuid) -> io::Result<()> {
        match file::set_aside(&self.folder, id) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) => self.index().set_aside(id),
            // Somebody removed it, and there is nothing left to store.
            Err(_) => self.index().remove(id),
        }
        Ok(())
    }

    /// Tests whether the disk takes a file of so many bytes, and reports it.
    fn probe(&self, bytes: usize) {
        let probed = file::probe(&self.folder, bytes);
        let mut index = self.index();
        match probed {
            Ok(()) => index.writable(),
            Err(error) => index.trouble(Trouble::Write(error.kind(), bytes)),
        }
    }
}

/// Makes a missing folder, for this user only.
fn make(dir: &Path) -> io::Result<()> {
    if dir.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => file::sync(parent),
        _ => Ok(()),
    }
}

/// Counts the files and removes unfinished ones.
fn take_stock(dir: &Path, index: &mut SpoolIndex) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let bytes = entry.metadata()?.len();
        match Name::of(&entry.path()) {
            Name::Waiting(id) => index.add(id, bytes),
            Name::Unfinished => file::remove_if_there(&entry.path()),
            Name::Aside => index.add_aside(bytes),
            Name::Foreign => {}
        }
    }
    Ok(())
}
