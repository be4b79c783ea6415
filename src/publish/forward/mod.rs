//! `forward`: the new entries of each batch, as received, to other endpoints. Sends nothing that
//! usher wrote itself, and changes no byte of an entry.
//!
//! Each endpoint is a reader of its own, so that one that is away blocks no other. One instance at
//! a time sends to it, the oldest batch first. A batch leaves the outbox when all of it was taken:
//! at least once, in order.

mod chunk;
mod endpoint;
mod fault_attribution;

use std::time::Duration;

pub(super) use chunk::REASON_REFUSED;

use metrics::{counter, histogram};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::clock::{Clock, Ids};
use crate::config::ForwardConfig;
use crate::http::health::Health;
use crate::journal::{Journal, JournalError, OutboxRow, ReaderName, StoredEvent};
use crate::lifecycle::Lifecycle;
use crate::publish::PublishError;
use crate::publish::forward::chunk::{Chunk, FaultSearch, Step};
use crate::publish::forward::endpoint::{Answer, Endpoint, Failure, Refusal};
use crate::publish::forward::fault_attribution::EndpointHistory;
use crate::publish::leader::{LeaderTask, Leadership, after, idle, rest};
use crate::publish::trouble::{Recovery, Trouble};
use crate::telemetry::metrics as names;

/// Batches that are read at once.
const BATCHES: i64 = 64;
/// Below the 1 MiB that many receivers and proxies take at most.
const REQUEST_BYTES: usize = 512 * 1024;
/// The least for one request, however little an endpoint takes. Halving finds the rest.
const LEAST_REQUEST_BYTES: usize = 16 * 1024;
/// Between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// After a request to stop, the request under way may still be answered.
const LAST_ANSWER: Duration = Duration::from_secs(3);
/// A batch that cannot be read is deferred for this long, and does not block the others.
const UNREADABLE: Duration = Duration::from_mins(5);
/// How long an endpoint takes nothing until the entries themselves are suspected, whatever it
/// answers: most outages are over by then.
const PATIENCE: Duration = Duration::from_mins(10);

/// All endpoints.
#[derive(Debug)]
pub struct Forwards {
    forwarders: Vec<Forwarder>,
}

/// Sends to one endpoint.
#[derive(Debug)]
struct Forwarder {
    /// How long nothing is taken until entries are suspected, whatever the answers.
    patience: Duration,
    journal: Journal,
    clock: Clock,
    ids: Ids,
    health: Health,
    endpoint: Endpoint,
    leadership: Leadership,
}

/// What ends the work.
#[derive(Debug, Clone, Copy)]
struct StopTokens<'a> {
    stopping: &'a CancellationToken,
    lost: &'a CancellationToken,
}

/// Why a cycle ended early. What it did not finish is still owed.
#[derive(Debug, thiserror::Error)]
enum ForwardError {
    /// The database failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The endpoint did not take what was sent.
    #[error(transparent)]
    Endpoint(#[from] Failure),
    /// The lease is lost, or the time to stop is over.
    #[error("forwarding was abandoned")]
    Abandoned,
}

impl ForwardError {
    fn outlook(&self) -> Recovery {
        match self {
            Self::Endpoint(failure) if failure.is_lasting() => Recovery::Lasting,
            Self::Endpoint(_) | Self::Journal(_) | Self::Abandoned => Recovery::Passing,
        }
    }

    fn retry_after(&self) -> Duration {
        match self {
            Self::Endpoint(failure) => failure.retry_after(),
            Self::Journal(_) | Self::Abandoned => Duration::ZERO,
        }
    }
}

/// The reader that works for an endpoint.
pub fn forward_reader(config: &ForwardConfig) -> ReaderName {
    endpoint::reader_of(&config.url)
}

impl Forwards {
    /// Prepares one reader for each endpoint. Nothing is connected before [`Forwards::start`].
    ///
    /// # Errors
    /// When an endpoint cannot be sent to from this machine.
    pub fn new(
        journal: &Journal,
        config: &[ForwardConfig],
        clock: &Clock,
        ids: &Ids,
        health: &Health,
    ) -> Result<Self, PublishError> {
        let forwarder = |config| {
            let endpoint = Endpoint::new(config)?;
            Ok(Forwarder {
                patience: PATIENCE,
                leadership: Leadership::new(
                    journal.clone(),
                    endpoint.reader.to_string(),
                    ids.next(),
                ),
                journal: journal.clone(),
                clock: clock.clone(),
                ids: ids.clone(),
                health: health.clone(),
                endpoint,
            })
        };
        Ok(Self {
            forwarders: config.iter().map(forwarder).collect::<Result<_, _>>()?,
        })
    }

    /// Suspects entries after another time than ten minutes.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        for forwarder in &mut self.forwarders {
            forwarder.patience = patience;
        }
        self
    }

    /// The readers, in the order of the configuration.
    pub fn readers(&self) -> Vec<ReaderName> {
        let readers = self.forwarders.iter();
        readers.map(|forwarder| forwarder.endpoint.reader).collect()
    }

    /// Starts a task for each endpoint.
    pub fn start(self, lifecycle: &Lifecycle) {
        let stopping = lifecycle.stopping();
        for forwarder in self.forwarders {
            let Endpoint { reader, host, .. } = &forwarder.endpoint;
            info!(%reader, endpoint = host, "entries go on to this endpoint");
            let stopping = stopping.clone();
            lifecycle.spawn("forward", forwarder.run(stopping));
        }
    }
}

impl Forwarder {
    /// Sends until `stopping` fires; then waits a moment for the request under way, and releases
    /// the lease.
    async fn run(self, stopping: CancellationToken) {
        let part = self.endpoint.reader.to_string();
        let mut trouble = Trouble::new(part, &self.health, &self.ids, LONGEST_WAIT);
        self.leadership.run(&self, &mut trouble, &stopping).await;
    }

    /// Sends what is owed, up to a bound; `false` when nothing was.
    async fn run_cycle(
        &self,
        history: &mut EndpointHistory,
        ends: StopTokens<'_>,
    ) -> Result<bool, ForwardError> {
        let rows = self.journal.owed(self.endpoint.reader, BATCHES).await?;
        let any = !rows.is_empty();
        let mut chunk = Chunk::default();
        for row in rows {
            if ends.stopping.is_cancelled() {
                break;
            }
            let Some(entries) = self.entries_of(&row).await? else {
                continue;
            };
            for event in entries {
                if !chunk.has_room(&event, history.at_most) {
                    self.deliver(&mut chunk, history, ends).await?;
                }
                chunk.add(event);
            }
            chunk.end_batch(row.owed());
        }
        self.deliver(&mut chunk, history, ends).await?;
        Ok(any)
    }

    /// What is sent of a batch: all but what usher wrote itself; none when it cannot be read now.
    async fn entries_of(&self, row: &OutboxRow) -> Result<Option<Vec<StoredEvent>>, ForwardError> {
        let mut events = match self.journal.events_of(row).await {
            Ok(events) => events,
            Err(error) if !error.is_of_data() => return Err(error.into()),
            Err(error) => {
                error!(batch.id = %row.batch, error = error.chain(), "could not read a batch; it is deferred");
                let reader = self.endpoint.reader;
                self.journal
                    .release(reader, &[row.batch], UNREADABLE)
                    .await?;
                return Ok(None);
            }
        };
        events.retain(|stored| {
            let parsed = stored.parse();
            !parsed.is_ok_and(|event| event.claims_own_product())
        });
        Ok(Some(events))
    }

    /// Sends what is in `chunk`, in smaller parts where it is refused as a whole, and finishes its
    /// batches.
    async fn deliver(
        &self,
        chunk: &mut Chunk,
        history: &mut EndpointHistory,
        ends: StopTokens<'_>,
    ) -> Result<(), ForwardError> {
        history.begin(self.patience);
        let mut search = FaultSearch::over(chunk.len(), history.is_doubted());
        while let Some(part) = search.next() {
            let body = chunk.body(part.clone());
            match self.offer(body, part.len(), history, ends).await? {
                Answer::Taken => {
                    search.taken();
                    history.took(chunk.entry(part.end - 1));
                }
                // A search may take many requests, and begins again after the start.
                Answer::Refused(_) if ends.stopping.is_cancelled() => {
                    return Err(ForwardError::Abandoned);
                }
                Answer::Refused(refusal) => {
                    if search.refused(part, refusal) == Step::Next {
                        continue;
                    }
                    if !self.takes_another(chunk, &search, history, ends).await? {
                        return Err(self.takes_nothing(history, refusal).into());
                    }
                    search.vouched_for();
                }
            }
        }
        self.be_sure(chunk, &search, history, ends).await?;
        if let Some(least) = search.too_large().map(|part| chunk.bytes_of(part)).min() {
            history.at_most = history.at_most.min(least / 2).max(LEAST_REQUEST_BYTES);
        }
        let unsendable = chunk.set_aside(search.at_fault(), &self.endpoint.host);
        for kept in &unsendable {
            warn!(event.id = %kept.event.id, reader = %self.endpoint.reader, "an entry is quarantined: {}", kept.detail);
        }
        let (batches, unsendable) = chunk.sent(unsendable);
        if !batches.is_empty() {
            let reader = self.endpoint.reader;
            self.journal
                .finish_without(reader, &batches, &unsendable)
                .await?;
        }
        Ok(())
    }

    /// Sends `body` to the endpoint, unless it is time to end.
    async fn send(
        &self,
        body: Vec<u8>,
        entries: usize,
        ends: StopTokens<'_>,
    ) -> Result<Answer, ForwardError> {
        let answer = tokio::select! {
            answer = self.post(body) => answer?,
            () = ends.lost.cancelled() => return Err(ForwardError::Abandoned),
            () = after(LAST_ANSWER, ends.stopping) => return Err(ForwardError::Abandoned),
        };
        if answer == Answer::Taken {
            let reader = self.endpoint.reader.to_string();
            counter!(names::FORWARDED, "reader" => reader).increment(entries as u64);
        }
        Ok(answer)
    }

    async fn post(&self, body: Vec<u8>) -> Result<Answer, Failure> {
        let asked = Instant::now();
        let answer = self.endpoint.post(body, self.clock.now()).await;
        let reader = self.endpoint.reader.to_string();
        histogram!(names::FORWARD_SECONDS, "reader" => reader)
            .record(asked.elapsed().as_secs_f64());
        answer.map_err(|failure| self.failed(failure))
    }

    /// Why everything waits: the last answer, or that no entry is taken.
    fn takes_nothing(&self, history: &mut EndpointHistory, refusal: Refusal) -> Failure {
        let host = self.endpoint.host.clone();
        let answered = history.answered.take();
        answered.unwrap_or_else(|| self.failed(Failure::TakesNothing { host, refusal }))
    }

    /// Counts a failure and returns it.
    fn failed(&self, failure: Failure) -> Failure {
        let reader = self.endpoint.reader.to_string();
        counter!(names::FORWARD_FAILED, "reader" => reader, "cause" => failure.cause())
            .increment(1);
        failure
    }
}

impl LeaderTask for Forwarder {
    /// An endpoint may take its time.
    const STALLED_AFTER: Duration = Duration::from_secs(40);

    async fn run_as_leader(
        &self,
        trouble: &mut Trouble,
        stopping: &CancellationToken,
        lost: &CancellationToken,
    ) {
        let mut history = EndpointHistory::new(REQUEST_BYTES);
        let ends = StopTokens { stopping, lost };
        while !stopping.is_cancelled() && !lost.is_cancelled() {
            match self.run_cycle(&mut history, ends).await {
                Ok(any) => {
                    trouble.over(format!("forwarding to {}", self.endpoint.host));
                    if !any {
                        history.forget_entry();
                        idle(&self.journal, stopping, lost).await;
                    }
                }
                Err(ForwardError::Abandoned) => {}
                Err(error) => {
                    if matches!(error, ForwardError::Endpoint(_)) {
                        history.failed();
                    }
                    let wait = trouble.report(&error, error.outlook());
                    rest(wait.max(error.retry_after()), stopping, lost).await;
                }
            }
        }
    }
}
