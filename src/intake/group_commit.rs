//! One queue for all requests: what arrives while a transaction commits goes into the next one.
//!
//! A request waits for its own commit and is answered with its own counts. Dropping that wait does
//! not cut the transaction. Parses nothing, judges nothing, and writes nothing itself.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use crate::clock::Ids;
use crate::intake::batch_writer::{BatchWriter, DatabaseState, Outcome, Part, PendingRequest};
use crate::intake::queue_slot::QueueSlot;
use crate::journal::{Journal, JournalError};
use crate::lifecycle::Lifecycle;

/// A transaction takes no further request once it has as many rows: larger ones gain nothing.
const ROWS: usize = 1_000;
/// Rows that make a transaction worth its commit beside none, one and two others, which may wait
/// for the disk. A smaller group waits until one of these ends.
const BESIDE: [usize; 3] = [0, 64, 500];
/// Requests that may wait for their transaction.
const QUEUE: usize = 1_024;
/// Bytes of entries that may be on their way at once. Parsed they take about three times as much,
/// which leaves usher below 150 MB.
const ROOM: usize = 24 * 1024 * 1024;
/// What a request, and each of its entries, costs besides its bytes.
const OVERHEAD_BYTES: usize = 256;
/// Bytes that one permit stands for.
const PERMIT_BYTES: usize = 1_024;
/// After this a sender is asked to wait, since usher answers within 10 s. The transaction goes on.
/// When the sender repeats the request, it learns what was stored.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);

/// Passes requests to the writer. Cheap to clone. The writer ends with the last clone.
#[derive(Clone, Debug)]
pub(super) struct GroupCommit {
    queue: mpsc::Sender<PendingRequest>,
    slot: Arc<Semaphore>,
}

impl GroupCommit {
    /// Starts the writer of this process as a task of `lifecycle`.
    pub(super) fn start(journal: Journal, ids: Ids, lifecycle: &Lifecycle) -> Self {
        let (sender, queue) = mpsc::channel(QUEUE);
        let writer = CommitLoop {
            batch_writer: BatchWriter::new(journal, ids),
            queue,
            permits: CommitPermits::default(),
            away: Arc::default(),
            lifecycle: lifecycle.clone(),
        };
        lifecycle.spawn("writer", writer.run());
        Self {
            queue: sender,
            slot: Arc::new(Semaphore::new(ROOM / PERMIT_BYTES)),
        }
    }

    /// Waits for capacity for a request of `bytes` in so many entries. A request larger than the
    /// whole capacity has it alone. The sender's waiting time begins here.
    pub(super) async fn slot(
        &self,
        bytes: usize,
        entries: usize,
    ) -> Result<QueueSlot, Arc<JournalError>> {
        let bytes = bytes + (1 + entries) * OVERHEAD_BYTES;
        let answer_by = Instant::now() + ANSWER_WITHIN;
        let permits = bytes.min(ROOM).div_ceil(PERMIT_BYTES);
        let permits = u32::try_from(permits).expect("ROOM has fewer permits");
        let slot = Arc::clone(&self.slot).acquire_many_owned(permits);
        match timeout_at(answer_by, slot).await {
            Ok(Ok(permit)) => Ok(QueueSlot::new(answer_by, permit)),
            Ok(Err(_)) | Err(_) => Err(Arc::new(JournalError::busy())),
        }
    }

    /// Stores `part` together with the other requests that wait; returns after the commit. Once it
    /// is in the queue, dropping the future changes nothing.
    pub(super) async fn store(&self, part: Part, slot: QueueSlot) -> Outcome {
        let (answer, outcome) = oneshot::channel();
        let answer_by = slot.answer_by();
        let pending = PendingRequest::new(part, slot, answer);
        let stored = async {
            self.queue.send(pending).await.ok()?;
            outcome.await.ok()
        };
        match timeout_at(answer_by, stored).await {
            Ok(Some(outcome)) => outcome,
            // Not in time, or the process is at its end.
            Ok(None) | Err(_) => Err(Arc::new(JournalError::busy())),
        }
    }
}

/// Makes groups of the requests that wait, and has them written.
struct CommitLoop {
    batch_writer: BatchWriter,
    queue: mpsc::Receiver<PendingRequest>,
    permits: CommitPermits,
    /// When a transaction last found no database.
    away: Arc<Mutex<Option<Instant>>>,
    lifecycle: Lifecycle,
}

impl CommitLoop {
    /// Ends when no sender of the queue is left, after it has begun to write all requests. The
    /// process waits for the transactions, which are tasks of their own.
    async fn run(mut self) {
        let ended = self.lifecycle.ended();
        let cut = ended.run_until_cancelled(self.write_all()).await.is_none();
        if cut {
            warn!("requests were still waiting for their commit when the process ended");
        }
    }

    async fn write_all(&mut self) {
        while let Some(first) = self.queue.recv().await {
            let mut group = Group::of(first);
            let commit_permit = self.acquire_permit(&mut group).await;
            self.refuse_who_waited_in_vain(&mut group);
            if group.requests.is_empty() {
                continue;
            }
            let (batch_writer, away) = (self.batch_writer.clone(), Arc::clone(&self.away));
            let ended = self.lifecycle.ended();
            self.lifecycle.spawn("transaction", async move {
                let written = batch_writer.write(group.requests);
                match ended.run_until_cancelled(written).await {
                    Some(DatabaseState::There) => {}
                    Some(DatabaseState::Away) => *lock(&away) = Some(Instant::now()),
                    None => warn!("a transaction was under way when the process ended"),
                }
                drop(commit_permit);
            });
        }
    }

    /// Collects requests until the group may be written. That is at once where no transaction is
    /// under way, beside others where it has enough rows, and else when one has ended.
    async fn acquire_permit(&mut self, group: &mut Group) -> CommitPermit {
        loop {
            while group.rows < ROWS
                && let Ok(next) = self.queue.try_recv()
            {
                group.add(next);
            }
            if let Some(commit_permit) = self.permits.take(group.rows) {
                return commit_permit;
            }
            tokio::select! {
                () = self.permits.ended() => {}
                Some(next) = self.queue.recv(), if group.rows < ROWS => group.add(next),
            }
        }
    }

    /// Requests that waited for a transaction that found no database are refused, so that they do
    /// not wait for the next one as well.
    fn refuse_who_waited_in_vain(&self, group: &mut Group) {
        let Some(away) = *lock(&self.away) else {
            return;
        };
        let mut refused = 0;
        for pending in group.requests.extract_if(.., |it| it.since() < away) {
            pending.refuse();
            refused += 1;
        }
        if refused > 0 {
            info!(
                requests = refused,
                "the waiting requests are refused as well"
            );
        }
    }
}

fn lock(away: &Mutex<Option<Instant>>) -> MutexGuard<'_, Option<Instant>> {
    // The value is whole, even where a thread panicked with the lock.
    away.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Requests that share a transaction.
struct Group {
    requests: Vec<PendingRequest>,
    rows: usize,
}

impl Group {
    fn of(first: PendingRequest) -> Self {
        let mut group = Self {
            requests: Vec::new(),
            rows: 0,
        };
        group.add(first);
        group
    }

    fn add(&mut self, next: PendingRequest) {
        self.rows += next.rows();
        self.requests.push(next);
    }
}

/// The permits for transactions under way.
#[derive(Debug)]
struct CommitPermits {
    free: Arc<Semaphore>,
    ended: Arc<Notify>,
}

impl Default for CommitPermits {
    fn default() -> Self {
        Self {
            free: Arc::new(Semaphore::new(BESIDE.len())),
            ended: Arc::default(),
        }
    }
}

impl CommitPermits {
    /// A permit for a group of `rows`, if it may be written now.
    fn take(&self, rows: usize) -> Option<CommitPermit> {
        let under_way = BESIDE.len() - self.free.available_permits();
        if rows < *BESIDE.get(under_way)? {
            return None;
        }
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        Some(CommitPermit {
            permit: Some(permit),
            ended: Arc::clone(&self.ended),
        })
    }

    /// Completes when a permit was returned since the last call.
    async fn ended(&self) {
        self.ended.notified().await;
    }
}

/// The right to one transaction, until it is dropped.
struct CommitPermit {
    permit: Option<OwnedSemaphorePermit>,
    ended: Arc<Notify>,
}

impl Drop for CommitPermit {
    fn drop(&mut self) {
        // Returned before the waiting task is woken.
        drop(self.permit.take());
        self.ended.notify_one();
    }
}
