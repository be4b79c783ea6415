//! The producer: the only folder that knows rdkafka. Sends in the given order and reports the
//! outcome of each message. When to send, to give up or to try again is decided elsewhere.

mod admin;
mod in_process;
mod inspect;
mod listener;

pub use in_process::InProcessBroker;
pub use inspect::{KafkaInspectError, TopicFacts, inspect_topic};

use std::fmt;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::metadata::MetadataTopic;
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{BaseProducer, FutureProducer, FutureRecord, Producer as _, PurgeConfig};
use rdkafka::types::RDKafkaConfRes;
use tokio::task::spawn_blocking;
use tracing::debug;

use crate::config::KafkaConfig;
use crate::publish::PublishError;
use crate::publish::kafka::admin::Admin;
use crate::publish::kafka::listener::{Listener, Refusal};
use crate::publish::message::Message;

/// A message that is not confirmed by then fails. This is shorter than the lease, so that an
/// instance that lost it sends nothing any more.
pub(super) const MESSAGE_TIMEOUT: Duration = Duration::from_secs(8);
/// For one request to a broker.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// What librdkafka packs together at most unless configured otherwise.
pub(super) const BATCH_BYTES: usize = 1_000_000;
/// The least that is packed together, however little a topic takes.
pub(super) const LEAST_BATCH_BYTES: usize = 16 * 1024;
/// More than what frames a message that is alone in its batch.
const FRAME_BYTES: usize = 200;

/// What usher needs for its guarantees; with each setting librdkafka's other name for it.
const FIXED: [(&str, &str, &str); 5] = [
    ("enable.idempotence", "enable.idempotence", "true"),
    ("acks", "request.required.acks", "all"),
    ("message.timeout.ms", "delivery.timeout.ms", "8000"),
    ("bootstrap.servers", "metadata.broker.list", ""),
    ("transactional.id", "transactional.id", ""),
];

/// What usher prefers. `kafka.options` may override it, by either name.
const PREFERRED: [(&str, &str, &str); 6] = [
    ("client.id", "client.id", "usher"),
    ("compression.type", "compression.codec", "zstd"),
    // As Java producers do it, so that topics with the same keys are partitioned alike.
    ("partitioner", "partitioner", "murmur2_random"),
    ("linger.ms", "queue.buffering.max.ms", "5"),
    // librdkafka's own 10 s would be most of what a bounced broker costs.
    (
        "reconnect.backoff.max.ms",
        "reconnect.backoff.max.ms",
        "2000",
    ),
    ("log.connection.close", "log.connection.close", "false"),
];

/// Where and how to send. Its options were checked.
#[derive(Clone)]
pub(super) struct Settings {
    client: ClientConfig,
    topic: String,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The options may contain a password.
        f.debug_struct("Settings")
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// Takes `kafka` of the configuration.
    ///
    /// # Errors
    /// When a key is missing, fixed, unknown or has a value that is not valid, alone or beside the
    /// others. The value is never shown.
    pub(super) fn read(config: &KafkaConfig) -> Result<Self, PublishError> {
        let brokers = config.brokers.as_deref().ok_or(PublishError::NoBrokers)?;
        let mut client = ClientConfig::new();
        for (name, other_name, value) in PREFERRED {
            if !config.options.contains_key(name) && !config.options.contains_key(other_name) {
                client.set(name, value);
            }
        }
        for (name, value) in &config.options {
            if FIXED
                .iter()
                .any(|(fixed, other, _)| name == fixed || name == other)
            {
                return Err(PublishError::FixedOption { name: name.clone() });
            }
            client.set(name, value.expose());
        }
        for (name, _, value) in FIXED.iter().filter(|(_, _, value)| !value.is_empty()) {
            client.set(*name, *value);
        }
        check(&client)?;
        client.set("bootstrap.servers", brokers);
        Ok(Self {
            client,
            topic: config.topic.clone(),
        })
    }
}

/// Finds at start what would otherwise fail for ever: options that are wrong alone, or together.
/// Makes librdkafka create a client that knows no broker and ends within milliseconds.
fn check(client: &ClientConfig) -> Result<(), PublishError> {
    match client.create_with_context::<_, BaseProducer<Listener>>(Listener::default()) {
        Ok(_) => Ok(()),
        Err(KafkaError::ClientConfig(RDKafkaConfRes::RD_KAFKA_CONF_UNKNOWN, _, name, _)) => {
            Err(PublishError::UnknownOption { name })
        }
        Err(KafkaError::ClientConfig(_, _, name, _)) => Err(PublishError::BadOption { name }),
        Err(other) => Err(PublishError::Options(other.to_string())),
    }
}

/// Why a request to Kafka failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum KafkaFailure {
    /// One step failed.
    #[error("could not {what}: {cause}")]
    Step {
        what: &'static str,
        cause: KafkaError,
    },
    /// No broker lets usher in, which is why the step failed.
    #[error("could not {what}: {refusal}")]
    Refused {
        what: &'static str,
        refusal: Refusal,
    },
}

impl KafkaFailure {
    fn because(what: &'static str) -> impl FnOnce(KafkaError) -> Self {
        move |cause| Self::Step { what, cause }
    }

    /// Names the refusal that `listener` received, where there was one: otherwise the failed step
    /// only says that no broker was there.
    fn after(self, listener: &Listener) -> Self {
        match (listener.refusal(), self) {
            (Some(refusal), Self::Step { what, .. }) => Self::Refused { what, refusal },
            (_, other) => other,
        }
    }
}

/// The outcome of sending a message to the queue.
pub(super) enum Submitted {
    /// It is queued. Later messages of the same key come after it.
    Queued(Report),
    /// The queue is full now.
    Full,
    /// Larger than `message.max.bytes`: it will never be taken.
    TooLarge,
}

/// The outcome of a queued message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// Every replica in sync has it.
    Confirmed,
    /// It, or the batch it was packed into, is more than the topic takes.
    TooLarge,
}

/// The pending delivery report of a message.
pub(super) struct Report(DeliveryFuture);

impl Report {
    /// Waits for the report. The message's timeout bounds the wait.
    pub(super) async fn outcome(&mut self) -> Result<Delivery, KafkaFailure> {
        let refused = match (&mut self.0).await {
            Ok(Ok(_)) => return Ok(Delivery::Confirmed),
            Ok(Err((error, _))) => error,
            Err(_) => KafkaError::Canceled,
        };
        if is_too_large(&refused) {
            return Ok(Delivery::TooLarge);
        }
        Err(KafkaFailure::because("deliver a message")(refused))
    }
}

/// A connected idempotent producer for one topic.
pub(super) struct Producer {
    inner: FutureProducer<Listener>,
    topic: String,
    /// What the topic takes at once, where the broker says so.
    bound: Option<usize>,
}

impl Producer {
    /// Connects, and creates the topic when it is missing. Packs up to `batch_bytes` together, or
    /// what the topic takes where that is less and the broker says so.
    ///
    /// # Errors
    /// When no broker answers or the topic neither is there nor can be created.
    pub(super) async fn connect(
        settings: &Settings,
        batch_bytes: usize,
    ) -> Result<Self, KafkaFailure> {
        let mut client = settings.client.clone();
        let packs_itself = client.get("batch.size").is_some();
        if !packs_itself {
            client.set("batch.size", batch_bytes.to_string());
        }
        let listener = Listener::default();
        let this = Self::create(&client, &listener, settings).await?;
        let bound = match this.prepare_topic(settings).await {
            Ok(bound) => bound,
            Err(failure) => {
                let failure = failure.after(&listener);
                this.close().await;
                return Err(failure);
            }
        };
        let at_once = bound.unwrap_or(batch_bytes);
        if packs_itself || at_once >= batch_bytes {
            return Ok(Self { bound, ..this });
        }
        // Kafka refuses a batch that is larger than the topic takes, with all its messages.
        this.close().await;
        client.set("batch.size", at_once.to_string());
        let this = Self::create(&client, &listener, settings).await?;
        Ok(Self { bound, ..this })
    }

    async fn create(
        client: &ClientConfig,
        listener: &Listener,
        settings: &Settings,
    ) -> Result<Self, KafkaFailure> {
        let (client, listener) = (client.clone(), listener.clone());
        let creating = spawn_blocking(move || client.create_with_context(listener));
        let inner = creating
            .await
            .unwrap_or(Err(KafkaError::Canceled))
            .map_err(KafkaFailure::because("create the producer"))?;
        Ok(Self {
            inner,
            topic: settings.topic.clone(),
            bound: None,
        })
    }

    /// Creates the topic when it is missing; returns what it takes at once, where the broker says
    /// so.
    async fn prepare_topic(&self, settings: &Settings) -> Result<Option<usize>, KafkaFailure> {
        let has_topic = self.has_topic().await?;
        let admin = Admin::open(settings).await?;
        let made = if has_topic {
            Ok(())
        } else {
            admin.create_topic().await
        };
        let bound = match made {
            Ok(()) => Ok(admin.bound().await),
            Err(failure) => Err(failure),
        };
        admin.close().await;
        bound
    }

    /// The producer itself asks, since an admin client does not report why it is not let in.
    async fn has_topic(&self) -> Result<bool, KafkaFailure> {
        let because = || KafkaFailure::because("learn about the topic");
        let (inner, topic) = (self.inner.clone(), self.topic.clone());
        let asking = spawn_blocking(move || {
            let metadata = inner
                .client()
                .fetch_metadata(Some(&topic), ANSWER_TIMEOUT)?;
            let mut topics = metadata.topics().iter();
            let found = topics.find(|known| known.name() == topic);
            Ok(found
                .and_then(MetadataTopic::error)
                .map(RDKafkaErrorCode::from))
        });
        let error = asking.await.unwrap_or(Err(KafkaError::Canceled));
        match error.map_err(because())? {
            // While a topic is being created, messages wait for its leader.
            None | Some(RDKafkaErrorCode::LeaderNotAvailable) => Ok(true),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                Ok(false)
            }
            Some(code) => Err(because()(KafkaError::MetadataFetch(code))),
        }
    }

    /// Whether a message of so many bytes is certainly more than the topic takes, unless it shrinks
    /// when packed.
    pub(super) fn exceeds_topic(&self, bytes: usize) -> bool {
        self.bound.is_some_and(|bound| bytes + FRAME_BYTES > bound)
    }

    /// Queues one message behind those before it.
    pub(super) fn send(&self, message: &Message) -> Result<Submitted, KafkaFailure> {
        let headers = message.headers.iter().fold(
            OwnedHeaders::new_with_capacity(message.headers.len()),
            |headers, (key, value)| {
                headers.insert(Header {
                    key,
                    value: Some(value),
                })
            },
        );
        let mut record = FutureRecord::<str, [u8]>::to(&self.topic)
            .payload(&message.payload)
            .headers(headers);
        if let Some(key) = &message.key {
            record = record.key(key);
        }
        match self.inner.send_result(record) {
            Ok(report) => Ok(Submitted::Queued(Report(report))),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                Ok(Submitted::Full)
            }
            Err((error, _)) if is_too_large(&error) => Ok(Submitted::TooLarge),
            Err((error, _)) => Err(KafkaFailure::because("queue a message")(error)),
        }
    }

    /// Drops everything that is queued or under way, at once: what is behind a lost message must
    /// not overtake it. Nothing may be sent afterwards, since the sequence is broken.
    pub(super) fn purge(&self) {
        self.inner.purge(PurgeConfig::default().queue().inflight());
    }

    /// Ends the producer with its threads. Messages still under way are dropped.
    pub(super) async fn close(self) {
        // Dropping waits for the polling thread, which must not block the runtime.
        if spawn_blocking(move || drop(self)).await.is_err() {
            debug!("the producer did not end in order");
        }
    }
}

fn is_too_large(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::MessageSizeTooLarge)
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{FIXED, MESSAGE_TIMEOUT, Settings};
    use crate::config::{KafkaConfig, Secret};

    fn read(options: &[(&str, &str)]) -> Result<Settings, String> {
        let options: BTreeMap<_, _> = options
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned())))
            .collect();
        let config = KafkaConfig {
            brokers: Some("127.0.0.1:9092".to_owned()),
            options,
            ..KafkaConfig::default()
        };
        Settings::read(&config).map_err(|error| error.to_string())
    }

    #[test]
    fn refuses_options_that_would_break_the_promise() {
        for (name, other_name, _) in FIXED {
            for name in [name, other_name] {
                let error = read(&[(name, "0")]).unwrap_err();
                assert!(
                    error.starts_with(&format!("kafka.options.{name} ")),
                    "{error}"
                );
            }
        }
    }

    #[test]
    fn names_an_option_that_cannot_be_without_its_value() {
        let unknown = read(&[("lingr.ms", "s3cret")]).unwrap_err();
        assert_eq!(
            unknown,
            "kafka.options.lingr.ms is not a setting of librdkafka"
        );
        let bad = read(&[("linger.ms", "s3cret")]).unwrap_err();
        assert_eq!(bad, "kafka.options.linger.ms cannot have this value");
    }

    #[test]
    fn refuses_options_that_do_not_go_together() {
        let error = read(&[("max.in.flight", "10")]).unwrap_err();
        assert!(error.starts_with("kafka.options: "), "{error}");
        assert!(error.contains("enable.idempotence"), "{error}");
    }

    #[test]
    fn an_option_overrides_what_usher_prefers_under_either_name() {
        for name in ["compression.type", "compression.codec"] {
            let settings = read(&[(name, "lz4")]).unwrap();
            assert_eq!(settings.client.get(name), Some("lz4"));
            let set = ["compression.type", "compression.codec"]
                .iter()
                .filter(|name| settings.client.get(name).is_some());
            assert_eq!(set.count(), 1, "{name}");
        }
        let settings = read(&[]).unwrap();
        assert_eq!(settings.client.get("compression.type"), Some("zstd"));
        let timeout = settings.client.get("message.timeout.ms").unwrap();
        assert_eq!(timeout, MESSAGE_TIMEOUT.as_millis().to_string());
    }
}
