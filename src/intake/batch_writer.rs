//! One transaction: the requests of a group become a batch, and each request gets its own answer.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};
use tracing::warn;

use crate::clock::Ids;
use crate::intake::queue_slot::QueueSlot;
use crate::journal::{
    Appended, Journal, JournalError, Lane, NewBatch, NewEvent, NewQuarantine, RequestCounts,
    RequestRecord, Source, StoredCopies,
};

/// Longer than the server lets a statement take: this only ends what does not answer at all.
const COMMIT_WITHIN: Duration = Duration::from_secs(40);

/// One request, ready to be stored.
#[derive(Debug)]
pub(super) struct Part {
    /// Its record in the journal.
    pub(super) request: RequestRecord,
    /// Its entries, their index of the request 0.
    pub(super) events: Vec<NewEvent>,
    /// Its quarantined entries, their index of the request 0.
    pub(super) quarantined: Vec<NewQuarantine>,
    /// Its events that are stored as they are.
    pub(super) stored_copies: StoredCopies,
}

/// The answer to one request. An error is one for all requests of a transaction.
pub(super) type Outcome = Result<RequestCounts, Arc<JournalError>>;

/// Where the answer goes, with the queue slot that is freed by it.
type Responder = (oneshot::Sender<Outcome>, QueueSlot);

/// A request on its way to a transaction.
#[derive(Debug)]
pub(super) struct PendingRequest {
    part: Part,
    responders: Responder,
    since: Instant,
}

impl PendingRequest {
    /// Waits from now on.
    pub(super) fn new(part: Part, slot: QueueSlot, answer: oneshot::Sender<Outcome>) -> Self {
        Self {
            part,
            responders: (answer, slot),
            since: Instant::now(),
        }
    }

    /// Rows that it costs. A request without an entry is a row as well.
    pub(super) fn rows(&self) -> usize {
        1.max(self.part.events.len() + self.part.quarantined.len())
    }

    /// Since when it waits.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// Answers that the sender must wait.
    pub(super) fn refuse(self) {
        respond(self.responders.0, Err(Arc::new(JournalError::busy())));
    }
}

/// Writes transactions. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct BatchWriter {
    journal: Journal,
    ids: Ids,
}

impl BatchWriter {
    pub(super) fn new(journal: Journal, ids: Ids) -> Self {
        Self { journal, ids }
    }

    /// Stores a group and answers its requests.
    pub(super) async fn write(&self, group: Vec<PendingRequest>) -> DatabaseState {
        let (mut parts, responders): (Vec<Part>, Vec<Responder>) = group
            .into_iter()
            .map(|pending| (pending.part, pending.responders))
            .unzip();
        let mut stored_copies = StoredCopies::default();
        for part in &mut parts {
            stored_copies.extend(mem::take(&mut part.stored_copies));
        }
        let batch = self.batch(parts);
        match self.append(&batch, &stored_copies).await {
            Ok(appended) => {
                answer_all(responders, &appended);
                DatabaseState::There
            }
            Err(error) if responders.len() == 1 || self.concerns_all(&error).await => {
                let database = DatabaseState::after(&error);
                let error = Arc::new(error);
                for (answer, _room) in responders {
                    respond(answer, Err(Arc::clone(&error)));
                }
                database
            }
            Err(error) => {
                warn!(
                    error = error.chain(),
                    requests = responders.len(),
                    "a group commit was refused, storing its requests one by one"
                );
                self.write_apart(batch, responders).await
            }
        }
    }

    /// One batch of all `parts`. The batch of one request has its id, so that a repetition under
    /// the same id is recognised. A batch of several requests has an id of its own.
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
            events: Vec::new(),
            quarantined: Vec::new(),
        };
        for (index, part) in parts.into_iter().enumerate() {
            batch.received_at = batch.received_at.min(part.request.received_at);
            batch.requests.push(part.request);
            let mut events = part.events;
            for new in &mut events {
                new.request = Some(index);
            }
            if index == 0 {
                // A large request is alone in its batch, and its entries are not moved.
                batch.events = events;
            } else {
                batch.events.append(&mut events);
            }
            let aside = part.quarantined.into_iter();
            batch.quarantined.extend(aside.map(|kept| NewQuarantine {
                request: Some(index),
                ..kept
            }));
        }
        batch
    }

    async fn append(
        &self,
        batch: &NewBatch,
        stored_copies: &StoredCopies,
    ) -> Result<Appended, JournalError> {
        timeout(
            COMMIT_WITHIN,
            self.journal.append_knowing(batch, stored_copies),
        )
        .await
        .unwrap_or_else(|_| Err(JournalError::busy()))
    }

    /// Whether each of the requests would fail as all of them did.
    async fn concerns_all(&self, error: &JournalError) -> bool {
        match error {
            JournalError::Unfit { .. } => !matches!(self.journal.ping().await, Ok(true)),
            error => error.is_outage(),
        }
    }

    /// Stores each request of `batch` in a transaction of its own, so that one cannot fail others.
    async fn write_apart(&self, batch: NewBatch, responders: Vec<Responder>) -> DatabaseState {
        let mut database = DatabaseState::There;
        for (part, asked) in apart(batch).into_iter().zip(responders) {
            let batch = self.batch(vec![part]);
            match self.append(&batch, &StoredCopies::default()).await {
                Ok(appended) => answer_all(vec![asked], &appended),
                Err(error) => {
                    if DatabaseState::after(&error) == DatabaseState::Away {
                        database = DatabaseState::Away;
                    }
                    respond(asked.0, Err(Arc::new(error)));
                }
            }
        }
        database
    }
}

/// Whether the next transaction should be tried at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DatabaseState {
    There,
    Away,
}

impl DatabaseState {
    fn after(error: &JournalError) -> Self {
        if matches!(error, JournalError::Unavailable(_)) {
            Self::Away
        } else {
            Self::There
        }
    }
}

fn answer_all(responders: Vec<Responder>, appended: &Appended) {
    for ((answer, _room), counts) in responders.into_iter().zip(&appended.requests) {
        respond(answer, Ok(*counts));
    }
}

/// Answers a request, unless its sender has gone. What was stored stays stored.
fn respond(answer: oneshot::Sender<Outcome>, outcome: Outcome) {
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
            stored_copies: StoredCopies::default(),
        })
        .collect();
    for new in batch.events {
        if let Some(index) = new.request {
            parts[index].events.push(new);
        }
    }
    for kept in batch.quarantined {
        if let Some(index) = kept.request {
            parts[index].quarantined.push(kept);
        }
    }
    parts
}
