//! From the spool into the journal: the oldest first, beside live deliveries.
//!
//! A file is removed only after its commit. A request that was interrupted is repeated under the
//! same id, and is stored once.

use std::collections::BTreeSet;
use std::error::Error;
use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};
use uuid::Uuid;

use crate::ingest::IngestState;
use crate::ingest::answer::Answer;
use crate::ingest::spool::file::ReadError;
use crate::ingest::spool::{KeepError, Spool};
use crate::intake::IntakeError;
use crate::journal::Journal;
use crate::lifecycle::pause;

/// A request from the spool may take longer, since no sender waits for it.
const DRAIN_WITHIN: Duration = Duration::from_mins(1);
/// Between probes of a database that is away, and of a disk that refuses.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// A database that needs longer to answer counts as away.
const PING_TIMEOUT: Duration = Duration::from_secs(3);
/// Before requests that stayed are tried again.
const STAYING_AGAIN: Duration = Duration::from_secs(10);
/// After so many requests in a row that stay, the pass becomes slow: they are hardly the cause.
const UNHURRIED_AFTER: u32 = 8;

/// Whether a file may be removed. A new kind of answer must decide here.
fn is_committed(answer: &Answer) -> bool {
    match answer {
        Answer::Stored { .. }
        | Answer::NothingParsed { .. }
        | Answer::BrokenOff { .. }
        | Answer::TooLarge { .. } => true,
        Answer::Spooled { .. }
        | Answer::Unauthorized
        | Answer::NotStored(_)
        | Answer::SpoolRefused(_)
        | Answer::NoRoom
        | Answer::TooSlow { .. }
        | Answer::Trouble => false,
    }
}

/// Probes a disk that refused, until it takes files again.
pub async fn probe_until_stopped(spool: Spool, cancel: CancellationToken) {
    while !pause(CHECK_EVERY, &cancel).await {
        let Some(bytes) = spool.0.index().refused_bytes() else {
            continue;
        };
        let inner = Arc::clone(&spool.0);
        if let Err(failure) = spawn_blocking(move || inner.probe(bytes)).await {
            error!(
                error = &failure as &dyn Error,
                "the probe of the spool panicked"
            );
        }
    }
}

/// Stores the spooled deliveries of `state` whenever there are some. Start it once the schema is up
/// to date. Ends at once where there is no spool.
pub async fn drain_until_stopped(state: IngestState, journal: Journal, cancel: CancellationToken) {
    let Some(spool) = state.spool.clone() else {
        return;
    };
    let mut drain = Drain {
        state,
        spool,
        journal,
        said: BTreeSet::new(),
    };
    while !cancel.is_cancelled() {
        let round = if drain.record_answers().await {
            drain.spool.note_record_back();
            drain.run_pass(&cancel).await
        } else {
            DrainPass::Away
        };
        let again_after = match round {
            DrainPass::Empty => None,
            DrainPass::Away => {
                pause(CHECK_EVERY, &cancel).await;
                continue;
            }
            DrainPass::SomeStay => {
                pause(CHECK_EVERY, &cancel).await;
                Some(STAYING_AGAIN)
            }
        };
        drain.spool.wait_for_work(again_after, &cancel).await;
    }
}

/// How one pass through the spool ended.
enum DrainPass {
    /// Nothing waits any more.
    Empty,
    /// The database is away again, or usher stops.
    Away,
    /// Some requests stay for now.
    SomeStay,
}

/// What became of one file.
enum FileOutcome {
    /// It is stored and removed, or moved aside.
    Settled,
    /// The database does not answer.
    Away,
    /// It stays, and the others go on.
    Stays(String),
}

struct Drain {
    state: IngestState,
    spool: Spool,
    journal: Journal,
    /// Requests that were logged as staying.
    said: BTreeSet<Uuid>,
}

impl Drain {
    async fn record_answers(&self) -> bool {
        matches!(
            timeout(PING_TIMEOUT, self.journal.ping()).await,
            Ok(Ok(true))
        )
    }

    /// Walks once from the oldest request to the youngest.
    async fn run_pass(&mut self, cancel: &CancellationToken) -> DrainPass {
        let (mut at, mut settled) = (None, 0_u64);
        let (mut staying, mut in_a_row) = (0_u64, 0);
        let ended = loop {
            let Some(id) = self.spool.next_after(at) else {
                break DrainPass::Empty;
            };
            at = Some(id);
            let file_outcome = tokio::select! {
                () = cancel.cancelled() => break DrainPass::Away,
                file_outcome = self.settle(id) => file_outcome,
            };
            match file_outcome {
                FileOutcome::Settled => {
                    self.said.remove(&id);
                    settled += 1;
                    in_a_row = 0;
                }
                FileOutcome::Away => {
                    self.spool.note_record_away();
                    break DrainPass::Away;
                }
                FileOutcome::Stays(reason) => {
                    staying += 1;
                    in_a_row += 1;
                    if self.said.insert(id) {
                        error!(delivery.id = %id, error = reason, "a spooled delivery stays in the spool");
                    }
                    if in_a_row >= UNHURRIED_AFTER {
                        pause(CHECK_EVERY, cancel).await;
                    }
                }
            }
        };
        if settled > 0 {
            info!(deliveries = settled, "settled deliveries from the spool");
        }
        match ended {
            DrainPass::Empty if staying > 0 => DrainPass::SomeStay,
            ended => ended,
        }
    }

    async fn settle(&self, id: Uuid) -> FileOutcome {
        let (request, body) = match self.spool.read(id).await {
            Ok(read) => read,
            Err(ReadError::Thread(died)) => return FileOutcome::Stays(died.to_string()),
            // An error of the disk or the process says nothing about the file.
            Err(ReadError::Io(failure)) if failure.kind() != ErrorKind::NotFound => {
                return FileOutcome::Stays(format!("could not read the file: {failure}"));
            }
            Err(damage) => {
                error!(
                    delivery.id = %id,
                    error = &damage as &dyn Error,
                    "a spooled delivery is damaged and is moved aside"
                );
                return file_outcome(self.spool.set_aside(id).await);
            }
        };
        let reason = match timeout(DRAIN_WITHIN, self.state.store(request, body)).await {
            Ok(Ok(answer)) if is_committed(&answer) => {
                return file_outcome(self.spool.remove(id).await);
            }
            Ok(Ok(_)) => return FileOutcome::Stays("it was not taken".to_owned()),
            Ok(Err(IntakeError::Check(died))) => return FileOutcome::Stays(died.to_string()),
            Ok(Err(IntakeError::Journal(cause))) if !cause.is_transient() => {
                return FileOutcome::Stays(cause.chain());
            }
            Ok(Err(IntakeError::Journal(cause))) => cause.chain(),
            Err(_) => "the record did not take it in time".to_owned(),
        };
        // Where the database answers others, this request must not block them.
        if self.record_answers().await {
            FileOutcome::Stays(reason)
        } else {
            FileOutcome::Away
        }
    }
}

fn file_outcome(changed: Result<(), KeepError>) -> FileOutcome {
    match changed {
        Ok(()) => FileOutcome::Settled,
        Err(failure) => FileOutcome::Stays(match failure.source() {
            Some(source) => format!("{failure}: {source}"),
            None => failure.to_string(),
        }),
    }
}
