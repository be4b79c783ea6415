//! One publish cycle: claim batches, send their events in order, wait for every delivery report,
//! finish the batches.

use std::collections::VecDeque;
use std::error::Error;
use std::time::Duration;

use metrics::{counter, histogram};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::error;
use uuid::Uuid;

use crate::event::EventId;
use crate::journal::{JournalError, OutboxRow, ReaderName, Unsendable};
use crate::publish::Publisher;
use crate::publish::kafka::{Delivery, KafkaFailure, MESSAGE_TIMEOUT, Producer, Report, Submitted};
use crate::publish::leader::{LEASE_TTL, after};
use crate::publish::message::Message;
use crate::telemetry::metrics as names;

/// Batches of one cycle.
const BATCHES: i64 = 64;
/// Claims end before the lease that was renewed last, so that the next leader finds the oldest rows
/// free.
pub(super) const CLAIM: Duration = Duration::from_secs(8);
const _: () = assert!(CLAIM.as_millis() < LEASE_TTL.as_millis());
const _: () = assert!(MESSAGE_TIMEOUT.as_millis() < LEASE_TTL.as_millis());
/// Bytes under way at once.
const BYTES_IN_FLIGHT: usize = 8 * 1024 * 1024;
/// A cycle that lasts longer sends no further batch, so that the first ones leave the outbox.
const SENDING: Duration = Duration::from_secs(3);
/// Without any report for so long everything is purged. This is before the first message times out
/// by itself, since those behind it could then overtake it.
const STALLED: Duration = Duration::from_secs(6);
const _: () = assert!(STALLED.as_millis() < MESSAGE_TIMEOUT.as_millis());
/// How long to wait when the producer's queue is full.
const NO_ROOM: Duration = Duration::from_millis(50);
/// After a request to stop, messages under way may still be confirmed.
const LAST_REPORTS: Duration = Duration::from_secs(3);
/// A batch that cannot be read is deferred for this long, and does not block the others.
const UNREADABLE: Duration = Duration::from_mins(5);

/// Quarantined: Kafka does not take so large a message.
pub(super) const REASON_TOO_LARGE: &str = "message_too_large";

/// How messages are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SendMode {
    /// Many at once.
    Together,
    /// Each when the one before is confirmed, so that a refusal concerns one message alone.
    OneByOne,
}

/// Why a cycle ended early. Its unconfirmed batches are back in the outbox.
#[derive(Debug, thiserror::Error)]
pub(super) enum CycleError {
    /// The database failed.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Kafka refused or could not be reached.
    #[error(transparent)]
    Kafka(#[from] KafkaFailure),
    /// No report arrived.
    #[error("kafka confirms nothing")]
    Stalled,
    /// The messages packed together are too large; one of them alone may not be.
    #[error("the topic takes less at once than usher sent; now it sends one message at a time")]
    TooLargeTogether,
    /// The lease is lost, or the time to stop is over.
    #[error("publishing was abandoned")]
    Abandoned,
}

/// One message under way.
struct InFlight {
    event: EventId,
    batch: usize,
    bytes: usize,
    since: Instant,
    report: Report,
}

/// One claimed batch.
struct Claimed {
    row: OutboxRow,
    /// Messages without a report.
    open: usize,
    progress: Progress,
    /// Its events that Kafka does not take.
    unsendable: Vec<Unsendable>,
}

/// How far a claimed batch got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// Not all of its messages were sent.
    Claimed,
    /// All its messages were sent.
    Sent,
    /// It cannot be read now and was released already.
    SetAside,
}

/// The state of a cycle.
struct PublishCycle<'a> {
    publisher: &'a Publisher,
    producer: &'a Producer,
    way: SendMode,
    stopping: &'a CancellationToken,
    claimed: Vec<Claimed>,
    in_flight: VecDeque<InFlight>,
    bytes: usize,
}

impl Publisher {
    /// Publishes what is owed, up to a bound; returns the number of batches that left the outbox.
    pub(super) async fn run_cycle(
        &self,
        producer: &Producer,
        way: SendMode,
        stopping: &CancellationToken,
        lost: &CancellationToken,
    ) -> Result<usize, CycleError> {
        let rows = self
            .journal
            .claim(ReaderName::Kafka, BATCHES, CLAIM)
            .await?;
        let claimed = rows.into_iter().map(|row| Claimed {
            row,
            open: 0,
            progress: Progress::Claimed,
            unsendable: Vec::new(),
        });
        let mut round = PublishCycle {
            publisher: self,
            producer,
            way,
            stopping,
            claimed: claimed.collect(),
            in_flight: VecDeque::new(),
            bytes: 0,
        };
        let batches: Vec<Uuid> = round.claimed.iter().map(|it| it.row.batch).collect();
        self.claims.are(&batches).await;
        let outcome = tokio::select! {
            // Nothing is sent once it fires.
            biased;
            () = lost.cancelled() => Err(CycleError::Abandoned),
            outcome = round.send_all() => outcome,
        };
        self.claims.are(&[]).await;
        if outcome.is_err() {
            producer.purge();
            round.count_lost();
        }
        let finished = round.settle().await;
        outcome.and(finished)
    }
}

impl PublishCycle<'_> {
    async fn send_all(&mut self) -> Result<(), CycleError> {
        let began = Instant::now();
        for batch in 0..self.claimed.len() {
            if self.stopping.is_cancelled() || began.elapsed() > SENDING {
                break;
            }
            self.send_batch(batch).await?;
        }
        while !self.in_flight.is_empty() {
            self.next_report().await?;
        }
        Ok(())
    }

    async fn send_batch(&mut self, batch: usize) -> Result<(), CycleError> {
        let journal = &self.publisher.journal;
        let row = &self.claimed[batch].row;
        let events = match journal.events_of(row).await {
            Ok(events) => events,
            Err(error) if !error.is_of_data() => return Err(error.into()),
            Err(error) => {
                error!(batch.id = %row.batch, error = error.chain(), "could not read a batch; it is deferred");
                journal
                    .release(ReaderName::Kafka, &[row.batch], UNREADABLE)
                    .await?;
                self.claimed[batch].progress = Progress::SetAside;
                return Ok(());
            }
        };
        for stored in events {
            match Message::of(&stored) {
                Ok(message) => self.send(batch, message).await?,
                Err(error) => give_up(stored.id, &error),
            }
        }
        self.claimed[batch].progress = Progress::Sent;
        Ok(())
    }

    async fn send(&mut self, batch: usize, message: Message) -> Result<(), CycleError> {
        let bytes = message.size();
        let at_once = match self.way {
            SendMode::Together => BYTES_IN_FLIGHT,
            SendMode::OneByOne => 0,
        };
        while self.bytes > 0 && self.bytes + bytes > at_once {
            self.next_report().await?;
        }
        loop {
            match self.producer.send(&message)? {
                Submitted::Queued(report) => {
                    self.claimed[batch].open += 1;
                    self.bytes += bytes;
                    self.in_flight.push_back(InFlight {
                        event: message.id,
                        batch,
                        bytes,
                        since: Instant::now(),
                        report,
                    });
                    return Ok(());
                }
                Submitted::TooLarge => return self.set_aside(batch, message.id, bytes).await,
                Submitted::Full if self.in_flight.is_empty() => {
                    sleep(NO_ROOM).await;
                }
                Submitted::Full => self.next_report().await?,
            }
        }
    }

    /// Waits for the report of the message that was sent first.
    async fn next_report(&mut self) -> Result<(), CycleError> {
        let Some(first) = self.in_flight.front_mut() else {
            return Ok(());
        };
        let outcome = tokio::select! {
            outcome = timeout(STALLED, first.report.outcome()) => outcome,
            () = after(LAST_REPORTS, self.stopping) => return Err(CycleError::Abandoned),
        };
        match outcome {
            Err(_) => return Err(CycleError::Stalled),
            Ok(Err(failure)) => return Err(failure.into()),
            Ok(Ok(Delivery::Confirmed)) => {
                histogram!(names::KAFKA_SECONDS).record(first.since.elapsed().as_secs_f64());
                self.publisher.published.add(1);
            }
            Ok(Ok(Delivery::TooLarge)) => {
                let alone =
                    self.way == SendMode::OneByOne || self.producer.exceeds_topic(first.bytes);
                if !alone {
                    return Err(CycleError::TooLargeTogether);
                }
                let (batch, event, bytes) = (first.batch, first.event, first.bytes);
                self.set_aside(batch, event, bytes).await?;
            }
        }
        if let Some(done) = self.in_flight.pop_front() {
            self.bytes -= done.bytes;
            self.claimed[done.batch].open -= 1;
        }
        Ok(())
    }

    /// Notes an event that Kafka will never take. It is quarantined when its batch leaves the
    /// outbox.
    async fn set_aside(
        &mut self,
        batch: usize,
        event: EventId,
        bytes: usize,
    ) -> Result<(), CycleError> {
        let why = TooLarge { bytes };
        give_up(event, &why);
        if let Some(stored) = self.publisher.journal.event(event).await? {
            self.claimed[batch].unsendable.push(Unsendable {
                event: stored,
                reason: REASON_TOO_LARGE,
                detail: format!("not on the topic: {why}"),
            });
        }
        Ok(())
    }

    fn count_lost(&mut self) {
        counter!(names::KAFKA_FAILED).increment(self.in_flight.len() as u64);
        self.in_flight.clear();
    }

    /// Finishes what is confirmed, quarantines what Kafka does not take, and releases the rest;
    /// returns the number of batches that left the outbox.
    async fn settle(self) -> Result<usize, CycleError> {
        let journal = &self.publisher.journal;
        let mut rest = Vec::new();
        let mut done = Vec::new();
        let mut unsendable = Vec::new();
        for claimed in self.claimed {
            match claimed.progress {
                Progress::Sent if claimed.open == 0 => {
                    done.push(claimed.row.owed());
                    unsendable.extend(claimed.unsendable);
                }
                Progress::Claimed | Progress::Sent => rest.push(claimed.row.batch),
                Progress::SetAside => {}
            }
        }
        if !done.is_empty() {
            journal
                .finish_without(ReaderName::Kafka, &done, &unsendable)
                .await?;
        }
        if !rest.is_empty() {
            journal
                .release(ReaderName::Kafka, &rest, Duration::ZERO)
                .await?;
        }
        Ok(done.len())
    }
}

/// Why a message can never be sent.
#[derive(Debug, thiserror::Error)]
#[error(
    "the message has {bytes} bytes, more than Kafka takes; raise message.max.bytes there and in kafka.options"
)]
struct TooLarge {
    bytes: usize,
}

/// An event that can never be sent must not block the others: it is counted and logged.
fn give_up(event: EventId, why: &(dyn Error + 'static)) {
    counter!(names::KAFKA_FAILED).increment(1);
    error!(event.id = %event, error = why, "an event is not published");
}
