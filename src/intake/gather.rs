//! One writer for all requests: what arrives while a transaction commits goes into the next one.
//!
//! A request waits for its own commit and is answered with its own counts; leaving off waiting does
//! not cut the transaction. Parses and judges nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::clock::Ids;
use crate::journal::{
    Appended, Journal, JournalError, Lane, NewBatch, NewEvent, NewQuarantine, RequestCounts,
    RequestRecord, Source,
};
use crate::lifecycle::Lifecycle;

/// A transaction takes no further request once it has as many rows: larger ones gain nothing.
const ROWS: usize = 1_000;
/// Requests that may wait for their transaction.
const QUEUE: usize = 1_024;
/// Bytes of entries that may be on their way at once. Parsed they take about three times as much.
const ROOM: usize = 24 * 1024 * 1024;
/// What a request costs besides its entries.
const REQUEST_BYTES: usize = 1_024;
/// Bytes that one permit stands for.
const PERMIT_BYTES: usize = 1_024;
/// A sender is told to wait rather than kept waiting longer, since usher answers within 10 s. The
/// transaction goes on; what it stores is known when the sender repeats it.
const ANSWER_WITHIN: Duration = Duration::from_secs(8);
/// Longer than the server lets a statement take: this ends only what does not answer at all.
const COMMIT_WITHIN: Duration = Duration::from_secs(40);

/// One request, ready to be stored.
#[derive(Debug)]
pub(super) struct Part {
    /// What is remembered of it.
    pub(super) request: RequestRecord,
    /// Its entries, their index of the request 0.
    pub(super) events: Vec<NewEvent>,
    /// What is kept aside of it, the index of the request 0.
    pub(super) quarantined: Vec<NewQuarantine>,
}

/// Room for the entries of one request, until it is given up.
#[derive(Debug)]
pub(super) struct Room {
    /// When the sender is told to wait instead of being kept waiting.
    answer_by: Instant,
    _permit: OwnedSemaphorePermit,
}

/// What the writer says of one request. The error is one for all requests of a transaction.
type Outcome = Result<RequestCounts, Arc<JournalError>>;

#[derive(Debug)]
struct Waiting {
    part: Part,
    room: Room,
    answer: oneshot::Sender<Outcome>,
}

/// Hands requests to the writer. Cheap to clone; the writer ends with the last of them.
#[derive(Clone, Debug)]
pub(super) struct Gather {
    queue: mpsc::Sender<Waiting>,
    room: Arc<Semaphore>,
}

impl Gather {
    /// Starts the writer of this process as a task of `lifecycle`.
    pub(super) fn start(journal: Journal, ids: Ids, lifecycle: &Lifecycle) -> Self {
        let (sender, queue) = mpsc::channel(QUEUE);
        let writer = Writer {
            journal,
            ids,
            queue,
            ended: lifecycle.ended(),
        };
        lifecycle.spawn("writer", writer.run());
        Self {
            queue: sender,
            room: Arc::new(Semaphore::new(ROOM / PERMIT_BYTES)),
        }
    }

    /// Waits until there is room for a request of `bytes`; one larger than all the room has it
    /// alone. The sender's patience begins here.
    pub(super) async fn room(&self, bytes: usize) -> Result<Room, Arc<JournalError>> {
        let answer_by = Instant::now() + ANSWER_WITHIN;
        let permits = (bytes + REQUEST_BYTES).min(ROOM).div_ceil(PERMIT_BYTES);
        let permits = u32::try_from(permits).expect("ROOM has fewer permits");
        let room = Arc::clone(&self.room).acquire_many_owned(permits);
        match timeout_at(answer_by, room).await {
            Ok(Ok(permit)) => Ok(Room {
                answer_by,
                _permit: permit,
            }),
            Ok(Err(_)) | Err(_) => Err(Arc::new(JournalError::busy())),
        }
    }

    /// Stores `part` together with what else is waiting; returns after the commit. From the moment
    /// it is handed over, dropping the future changes nothing.
    pub(super) async fn store(&self, part: Part, room: Room) -> Outcome {
        let (answer, outcome) = oneshot::channel();
        let answer_by = room.answer_by;
        let waiting = Waiting { part, room, answer };
        let stored = async {
            self.queue.send(waiting).await.ok()?;
            outcome.await.ok()
        };
        match timeout_at(answer_by, stored).await {
            Ok(Some(outcome)) => outcome,
            // Not in time, or the process is at its end.
            Ok(None) | Err(_) => Err(Arc::new(JournalError::busy())),
        }
    }
}

/// Writes one transaction after the other.
struct Writer {
    journal: Journal,
    ids: Ids,
    queue: mpsc::Receiver<Waiting>,
    ended: CancellationToken,
}

impl Writer {
    /// Ends when nobody is left who could hand over a request, having written all of them.
    async fn run(mut self) {
        let ended = self.ended.clone();
        let cut = ended.run_until_cancelled(self.write_all()).await.is_none();
        if cut {
            warn!("requests were still waiting for their commit when the process ended");
        }
    }

    async fn write_all(&mut self) {
        while let Some(first) = self.queue.recv().await {
            let group = self.group(first);
            if self.write(group).await == Database::Away {
                self.refuse_the_waiting();
            }
        }
    }

    /// `first` and what waits behind it, up to a transaction's rows.
    fn group(&mut self, first: Waiting) -> Vec<Waiting> {
        let mut rows = first.part.rows();
        let mut group = vec![first];
        while rows < ROWS
            && let Ok(next) = self.queue.try_recv()
        {
            rows += next.part.rows();
            group.push(next);
        }
        group
    }

    /// Stores a group and answers its requests.
    async fn write(&self, group: Vec<Waiting>) -> Database {
        let (parts, asking): (Vec<Part>, Vec<Asking>) =
            group.into_iter().map(Waiting::apart).unzip();
        let batch = self.batch(parts);
        match self.append(&batch).await {
            Ok(appended) => {
                answer_all(asking, &appended);
                Database::There
            }
            Err(error) if error.is_transient() || asking.len() == 1 => {
                let database = Database::after(&error);
                let error = Arc::new(error);
                for (answer, _room) in asking {
                    tell(answer, Err(Arc::clone(&error)));
                }
                database
            }
            Err(error) => {
                warn!(
                    error = error.chain(),
                    requests = asking.len(),
                    "a gathered transaction was refused, storing its requests one by one"
                );
                self.write_apart(batch, asking).await
            }
        }
    }

    /// Stores each request of `batch` in a transaction of its own, so that one cannot fail others.
    async fn write_apart(&self, batch: NewBatch, asking: Vec<Asking>) -> Database {
        let mut database = Database::There;
        for (part, asked) in apart(batch).into_iter().zip(asking) {
            let batch = self.batch(vec![part]);
            match self.append(&batch).await {
                Ok(appended) => answer_all(vec![asked], &appended),
                Err(error) => {
                    if Database::after(&error) == Database::Away {
                        database = Database::Away;
                    }
                    tell(asked.0, Err(Arc::new(error)));
                }
            }
        }
        database
    }

    async fn append(&self, batch: &NewBatch) -> Result<Appended, JournalError> {
        timeout(COMMIT_WITHIN, self.journal.append(batch))
            .await
            .unwrap_or_else(|_| Err(JournalError::busy()))
    }

    /// What waited behind a transaction that found no database is not made to wait for the same.
    fn refuse_the_waiting(&mut self) {
        let mut refused = 0;
        while let Ok(waiting) = self.queue.try_recv() {
            tell(waiting.answer, Err(Arc::new(JournalError::busy())));
            refused += 1;
        }
        if refused > 0 {
            info!(
                requests = refused,
                "the waiting requests are refused as well"
            );
        }
    }

    /// One batch of all `parts`. That of one request carries its id, so that repeating the request
    /// under the same id is known; that of several has an id of its own.
    fn batch(&self, parts: Vec<Part>) -> NewBatch {
        let first = &parts[0].request;
        let id = if parts.len() == 1 {
            first.id
        } else {
            self.ids.next()
        };
        let mut batch = NewBatch {
            id,
            source: Source::Webhook,
            lane: Lane::Live,
            part_of: None,
            received_at: first.received_at,
            requests: Vec::with_capacity(parts.len()),
            events: Vec::with_capacity(parts.iter().map(|part| part.events.len()).sum()),
            quarantined: Vec::new(),
        };
        for (index, part) in parts.into_iter().enumerate() {
            batch.received_at = batch.received_at.min(part.request.received_at);
            batch.requests.push(part.request);
            batch
                .events
                .extend(part.events.into_iter().map(|new| NewEvent {
                    request: Some(index),
                    ..new
                }));
            let aside = part.quarantined.into_iter();
            batch.quarantined.extend(aside.map(|kept| NewQuarantine {
                request: index,
                ..kept
            }));
        }
        batch
    }
}

impl Part {
    /// Rows that it costs; one without an entry is a row as well.
    fn rows(&self) -> usize {
        1.max(self.events.len() + self.quarantined.len())
    }
}

/// Who waits for an answer, and the room that is given up with it.
type Asking = (oneshot::Sender<Outcome>, Room);

impl Waiting {
    fn apart(self) -> (Part, Asking) {
        (self.part, (self.answer, self.room))
    }
}

/// Whether it is worth trying the next transaction at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Database {
    There,
    Away,
}

impl Database {
    fn after(error: &JournalError) -> Self {
        match error {
            JournalError::Unavailable(_) => Self::Away,
            JournalError::Repeat(_)
            | JournalError::Refused { .. }
            | JournalError::Inconsistent { .. }
            | JournalError::Closed
            | JournalError::LeaseLost
            | JournalError::SchemaNewer { .. }
            | JournalError::Migrate(_) => Self::There,
        }
    }
}

fn answer_all(asking: Vec<Asking>, appended: &Appended) {
    for ((answer, _room), counts) in asking.into_iter().zip(&appended.requests) {
        tell(answer, Ok(*counts));
    }
}

/// Answers a request, unless its sender has gone: what was stored stays stored.
fn tell(answer: oneshot::Sender<Outcome>, outcome: Outcome) {
    drop(answer.send(outcome));
}

/// The parts that a batch was made of.
fn apart(batch: NewBatch) -> Vec<Part> {
    let mut parts: Vec<Part> = batch
        .requests
        .into_iter()
        .map(|request| Part {
            request,
            events: Vec::new(),
            quarantined: Vec::new(),
        })
        .collect();
    for new in batch.events {
        if let Some(index) = new.request {
            parts[index].events.push(new);
        }
    }
    for kept in batch.quarantined {
        parts[kept.request].quarantined.push(kept);
    }
    parts
}
