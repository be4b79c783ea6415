//! Readers of the outbox that send events: Kafka here, and `forward` to other endpoints. Must not
//! change what is recorded, nor control anything: both belong to other modules.
//!
//! One instance at a time is the leader of each reader, by a lease. The publisher sends the events
//! of a batch in order, and the batch leaves the outbox when all its reports are in. After any
//! failure the producer is dropped with everything in it, and the next one starts at the oldest
//! row, so that nothing overtakes a lost message. Delivery is at least once, and the id in each
//! message lets consumers recognise a second copy.

mod backoff;
mod cycle;
mod forward;
mod kafka;
mod leader;
mod message;
mod trouble;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::counter;
use tokio_util::sync::CancellationToken;

pub use forward::{Forwards, forward_reader};
pub use kafka::{InProcessBroker, KafkaInspectError, TopicFacts, inspect_topic};

use crate::clock::Ids;
use crate::config::KafkaConfig;
use crate::http::health::Health;
use crate::journal::{Claims, Journal, ReaderName};
use crate::publish::cycle::{CycleError, SendMode};
use crate::publish::kafka::{Producer, Settings};
use crate::publish::leader::{LeaderTask, Leadership, idle, rest};
use crate::publish::trouble::{Recovery, Trouble};
use crate::telemetry::metrics as names;

/// The part of `/readyz`.
const PART: &str = "kafka";
/// Why readers quarantine events. These are stored, and cannot be sent.
pub const KEPT_REASONS: [&str; 2] = [cycle::REASON_TOO_LARGE, forward::REASON_REFUSED];
/// The lease of the publisher.
const LEASE: &str = "publish";
/// Between two tries to publish.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// Why nothing can be published with this configuration, or no broker can run in process.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// There is no broker to publish to.
    #[error("kafka.brokers is not set")]
    NoBrokers,
    /// Delivery would no longer be at least once and in order.
    #[error(
        "kafka.options.{name} cannot be set: usher sets it itself, so that no event is lost or overtaken"
    )]
    FixedOption {
        /// The option.
        name: String,
    },
    /// A misspelt name, most likely.
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
    /// Options that cannot be combined, or name a file that cannot be read.
    #[error("kafka.options: {0}")]
    Options(String),
    /// No request can be made from this machine.
    #[error("forward: could not prepare requests to an endpoint")]
    Forward,
    /// The broker in process could not be started or changed.
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

/// Sends every stored event to Kafka while it has the lease.
#[derive(Debug)]
pub struct Publisher {
    journal: Journal,
    settings: Settings,
    ids: Ids,
    health: Health,
    leadership: Leadership,
    claims: Claims,
    published: Published,
}

impl Publisher {
    /// Prepares a publisher. Nothing is connected before [`Publisher::run`].
    ///
    /// # Errors
    /// When `config` names no broker or has an option that is not valid.
    pub fn new(
        journal: Journal,
        config: &KafkaConfig,
        ids: Ids,
        health: Health,
    ) -> Result<Self, PublishError> {
        Ok(Self {
            leadership: Leadership::new(journal.clone(), LEASE.to_owned(), ids.next()),
            claims: Claims::new(journal.clone(), ReaderName::Kafka, cycle::CLAIM),
            journal,
            settings: Settings::read(config)?,
            ids,
            health,
            published: Published::default(),
        })
    }

    /// The count of what this publisher sends, to be read while it runs.
    pub fn published(&self) -> Published {
        self.published.clone()
    }

    /// Publishes until `stopping` fires. Then it takes nothing new, waits a moment for
    /// confirmations, returns the rest to the outbox and releases the lease.
    pub async fn run(self, stopping: CancellationToken) {
        let mut trouble = Trouble::new(PART, &self.health, &self.ids, LONGEST_WAIT);
        self.leadership.run(&self, &mut trouble, &stopping).await;
    }

    /// `None` when a stop is requested or the lease is lost meanwhile: the attempt then ends by
    /// itself.
    async fn connect(
        &self,
        batch_bytes: usize,
        stopping: &CancellationToken,
        lost: &CancellationToken,
    ) -> Option<Result<Producer, CycleError>> {
        tokio::select! {
            connected = Producer::connect(&self.settings, batch_bytes) => Some(connected.map_err(CycleError::Kafka)),
            () = stopping.cancelled() => None,
            () = lost.cancelled() => None,
        }
    }
}

impl LeaderTask for Publisher {
    fn claims(&self) -> Option<&Claims> {
        Some(&self.claims)
    }

    /// Runs publish cycles, each after a failure with a new producer after a wait.
    async fn run_as_leader(
        &self,
        trouble: &mut Trouble,
        stopping: &CancellationToken,
        lost: &CancellationToken,
    ) {
        let mut producer = None;
        let mut way = SendMode::Together;
        let mut batch_bytes = kafka::BATCH_BYTES;
        while !stopping.is_cancelled() && !lost.is_cancelled() {
            let current = match producer.take() {
                Some(current) => current,
                None => match self.connect(batch_bytes, stopping, lost).await {
                    Some(Ok(connected)) => connected,
                    Some(Err(error)) => {
                        rest(trouble.report(&error, Recovery::Passing), stopping, lost).await;
                        continue;
                    }
                    None => return,
                },
            };
            match self.run_cycle(&current, way, stopping, lost).await {
                Ok(batches) => {
                    trouble.over("publishing");
                    if batches == 0 {
                        idle(&self.journal, stopping, lost).await;
                    }
                    way = SendMode::Together;
                    producer = Some(current);
                }
                Err(error) => {
                    current.close().await;
                    if matches!(error, CycleError::TooLargeTogether) {
                        // A cycle of one by one makes progress, and then smaller batches are used.
                        way = SendMode::OneByOne;
                        batch_bytes = (batch_bytes / 2).max(kafka::LEAST_BATCH_BYTES);
                    }
                    if !matches!(error, CycleError::Abandoned) {
                        rest(trouble.report(&error, Recovery::Passing), stopping, lost).await;
                    }
                }
            }
        }
        if let Some(producer) = producer {
            producer.close().await;
        }
    }
}
