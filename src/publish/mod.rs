//! Readers of the outbox that send events on: Kafka. Must not change what is recorded, nor steer anything: Kafka is
//! for others to read.
//!
//! One instance at a time publishes, by a lease. It sends the events of a batch in order, and the batch leaves the
//! outbox when all its reports are in. After any failure the producer is thrown away with everything in it and the
//! next one starts at the oldest row, so that nothing overtakes a lost message: at least once, with an id in each
//! message that makes twice harmless.

mod backoff;
mod kafka;
mod message;
mod round;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::DateTime;
use metrics::{counter, gauge};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use kafka::InProcessBroker;

use crate::clock::{Clock, Ids};
use crate::config::KafkaConfig;
use crate::http::health::{Condition, Health};
use crate::journal::{Journal, Lease, ReaderName};
use crate::lifecycle::pause;
use crate::publish::backoff::Backoff;
use crate::publish::kafka::{Producer, Settings};
use crate::publish::round::RoundError;
use crate::telemetry::metrics as names;

/// The part of `/readyz`.
const PART: &str = "kafka";
/// Who may publish.
const LEASE: &str = "publish";
/// Longer than a message may be under way (`kafka::MESSAGE_TIMEOUT`).
const LEASE_TTL: Duration = Duration::from_secs(15);
/// Four renewals may fail before the lease is lost.
const RENEW_EVERY: Duration = Duration::from_secs(3);
/// A holder that could not renew counts the lease as lost this long before others do.
const LEASE_MARGIN: Duration = Duration::from_secs(2);
/// Between looks of an instance that does not hold the lease.
const STANDBY: Duration = Duration::from_secs(1);
/// Between looks at an empty outbox; an append of this process cuts it short.
const IDLE: Duration = Duration::from_millis(500);
/// Between looks at how much is owed.
const BACKLOG_EVERY: Duration = Duration::from_secs(1);
/// For the last words to the database at the end.
const FAREWELL: Duration = Duration::from_secs(1);

/// Why nothing can be published with this configuration, or no broker be run in process.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// There is nowhere to publish to.
    #[error("kafka.brokers is not set")]
    NoBrokers,
    /// At least once and in order would no longer hold.
    #[error(
        "kafka.options.{name} cannot be set: usher sets it itself, so that no event is lost or overtaken"
    )]
    FixedOption {
        /// The option.
        name: String,
    },
    /// Misspelt, most likely.
    #[error("kafka.options.{name} is not a setting of librdkafka")]
    UnknownOption {
        /// The option.
        name: String,
    },
    /// The value is not shown: it may be a password.
    #[error("kafka.options.{name} cannot have this value")]
    BadOption {
        /// The option.
        name: String,
    },
    /// Options that do not go together, or name a file that cannot be read.
    #[error("kafka.options: {0}")]
    Options(String),
    /// The broker in process could not be started or told something.
    #[error("the broker in process failed: {0}")]
    InProcess(String),
    /// No thread for the broker in process.
    #[error("could not start a thread for the broker in process")]
    Thread(#[source] std::io::Error),
}

/// How many messages this process has sent. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Published(Arc<AtomicU64>);

impl Published {
    /// Messages that Kafka confirmed so far.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn add(&self, messages: u64) {
        self.0.fetch_add(messages, Ordering::Relaxed);
        counter!(names::KAFKA_PUBLISHED).increment(messages);
    }
}

/// Sends every stored event to Kafka while it holds the lease.
#[derive(Debug)]
pub struct Publisher {
    journal: Journal,
    settings: Settings,
    clock: Clock,
    ids: Ids,
    health: Health,
    lease: Lease,
    published: Published,
}

impl Publisher {
    /// Prepares a publisher; nothing is connected before [`Publisher::run`].
    ///
    /// # Errors
    /// When `config` names no broker or has an option that cannot be.
    pub fn new(
        journal: Journal,
        config: &KafkaConfig,
        clock: Clock,
        ids: Ids,
        health: Health,
    ) -> Result<Self, PublishError> {
        let lease = Lease {
            name: LEASE.to_owned(),
            holder: ids.next(),
            ttl: LEASE_TTL,
        };
        Ok(Self {
            journal,
            settings: Settings::read(config)?,
            clock,
            ids,
            health,
            lease,
            published: Published::default(),
        })
    }

    /// The count of what this publisher sends, to be read while it runs.
    pub fn published(&self) -> Published {
        self.published.clone()
    }

    /// Publishes until `stopping` fires; then takes nothing new, gives what is under way a moment to be confirmed,
    /// returns the rest to the outbox and gives the lease up.
    pub async fn run(self, stopping: CancellationToken) {
        let mut trouble = Trouble::new(&self.health, &self.ids);
        if self.activate(&mut trouble, &stopping).await {
            tokio::join!(
                self.take_turns(&mut trouble, &stopping),
                self.show_backlog(&stopping)
            );
        }
    }

    /// Everything stored before Kafka was configured is owed to it as well. `false` when asked to stop.
    async fn activate(&self, trouble: &mut Trouble<'_>, stopping: &CancellationToken) -> bool {
        loop {
            let activated = self
                .journal
                .activate_reader(ReaderName::Kafka, DateTime::UNIX_EPOCH);
            match activated.await {
                Ok(()) => return true,
                Err(error) => {
                    if pause(trouble.tell(&RoundError::Journal(error)), stopping).await {
                        return false;
                    }
                }
            }
        }
    }

    async fn take_turns(&self, trouble: &mut Trouble<'_>, stopping: &CancellationToken) {
        while !stopping.is_cancelled() {
            let asked = Instant::now();
            let wait = match self.journal.hold(&self.lease).await {
                Ok(true) => {
                    self.turn(asked, trouble, stopping).await;
                    Duration::ZERO
                }
                Ok(false) => {
                    trouble.over("another instance publishes");
                    STANDBY
                }
                Err(error) => trouble.tell(&RoundError::Journal(error)),
            };
            pause(wait, stopping).await;
        }
    }

    /// Publishes for as long as the lease is held, and gives it up.
    async fn turn(
        &self,
        held_since: Instant,
        trouble: &mut Trouble<'_>,
        stopping: &CancellationToken,
    ) {
        info!("this instance publishes");
        let lost = CancellationToken::new();
        let done = CancellationToken::new();
        tokio::join!(self.keep_lease(held_since, &lost, &done), async {
            self.publish(trouble, stopping, &lost).await;
            done.cancel();
        });
        // Without an answer the lease ends by itself.
        if let Ok(Err(error)) = timeout(FAREWELL, self.journal.give_up(&self.lease)).await {
            warn!(error = error.chain(), "could not give the lease up");
        }
    }

    /// Renews the lease until `done`; cancels `lost` when somebody else has it, or may have it.
    async fn keep_lease(
        &self,
        held_since: Instant,
        lost: &CancellationToken,
        done: &CancellationToken,
    ) {
        let mut renewed = held_since;
        while !pause(RENEW_EVERY, done).await {
            let asked = Instant::now();
            let ends = renewed + LEASE_TTL - LEASE_MARGIN;
            match timeout_at(ends, self.journal.hold(&self.lease)).await {
                Ok(Ok(true)) => renewed = asked,
                Ok(Err(error)) if Instant::now() + RENEW_EVERY < ends => {
                    warn!(error = error.chain(), "could not renew the lease yet");
                }
                Ok(Ok(false) | Err(_)) | Err(_) => {
                    warn!("lost the lease; another instance may publish now");
                    lost.cancel();
                    return;
                }
            }
        }
    }

    /// Runs rounds, each failed one with a new producer after a wait.
    async fn publish(
        &self,
        trouble: &mut Trouble<'_>,
        stopping: &CancellationToken,
        lost: &CancellationToken,
    ) {
        let mut producer = None;
        while !stopping.is_cancelled() && !lost.is_cancelled() {
            let current = match producer.take() {
                Some(current) => current,
                None => match self.connect(stopping, lost).await {
                    Some(Ok(connected)) => connected,
                    Some(Err(error)) => {
                        self.rest(trouble.tell(&error), stopping, lost).await;
                        continue;
                    }
                    None => return,
                },
            };
            match self.round(&current, stopping, lost).await {
                Ok(batches) => {
                    trouble.over("publishing");
                    if batches == 0 {
                        tokio::select! {
                            () = self.journal.appended(IDLE) => {}
                            () = stopping.cancelled() => {}
                            () = lost.cancelled() => {}
                        }
                    }
                    producer = Some(current);
                }
                Err(error) => {
                    current.close().await;
                    if !matches!(error, RoundError::Abandoned) {
                        self.rest(trouble.tell(&error), stopping, lost).await;
                    }
                }
            }
        }
        if let Some(producer) = producer {
            producer.close().await;
        }
    }

    /// `None` when asked to stop or the lease is lost meanwhile: the attempt then ends by itself.
    async fn connect(
        &self,
        stopping: &CancellationToken,
        lost: &CancellationToken,
    ) -> Option<Result<Producer, RoundError>> {
        tokio::select! {
            connected = Producer::connect(&self.settings) => Some(connected.map_err(RoundError::Kafka)),
            () = stopping.cancelled() => None,
            () = lost.cancelled() => None,
        }
    }

    async fn rest(&self, wait: Duration, stopping: &CancellationToken, lost: &CancellationToken) {
        tokio::select! {
            _ = pause(wait, stopping) => {}
            () = lost.cancelled() => {}
        }
    }

    /// Shows what Kafka is owed; every instance does, whoever publishes.
    async fn show_backlog(&self, stopping: &CancellationToken) {
        while !pause(BACKLOG_EVERY, stopping).await {
            // A failing database is told by those who must reach it.
            let Ok(backlog) = self.journal.backlog(ReaderName::Kafka).await else {
                continue;
            };
            let age = backlog
                .oldest
                .map_or(0, |oldest| (self.clock.now() - oldest).num_seconds().max(0));
            let reader = ReaderName::Kafka.as_str();
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a double")]
            {
                gauge!(names::OUTBOX_DEPTH, "reader" => reader).set(backlog.batches as f64);
                gauge!(names::OUTBOX_AGE, "reader" => reader).set(age as f64);
            }
        }
    }
}

/// Says each trouble once, however often it returns, and how long to wait.
struct Trouble<'a> {
    health: &'a Health,
    backoff: Backoff,
    /// What was said last of a trouble that is not over.
    said: Option<String>,
    /// What `/readyz` shows while there is none.
    shown: Option<&'static str>,
}

impl<'a> Trouble<'a> {
    fn new(health: &'a Health, ids: &Ids) -> Self {
        Self {
            health,
            backoff: Backoff::new(ids.clone()),
            said: None,
            shown: None,
        }
    }

    fn tell(&mut self, error: &RoundError) -> Duration {
        let text = error.to_string();
        if self.said.as_ref() != Some(&text) {
            self.health.set(PART, Condition::Degraded, text.clone());
            warn!(
                error = error as &dyn Error,
                "events wait in the outbox for Kafka"
            );
            self.said = Some(text);
        }
        self.shown = None;
        self.backoff.wait()
    }

    fn over(&mut self, detail: &'static str) {
        if self.said.take().is_some() {
            info!("events flow to Kafka again");
        }
        if self.shown != Some(detail) {
            self.health.set(PART, Condition::Ok, detail);
            self.shown = Some(detail);
        }
        self.backoff.reset();
    }
}
