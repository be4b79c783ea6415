//! What the brokers say of themselves and of the topic, for whoever looks without sending. Creates
//! and changes nothing: all topics are listed, since asking for one may create it.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::{Metadata, MetadataTopic};
use rdkafka::producer::Producer as _;
use tokio::task::spawn_blocking;

use crate::config::KafkaConfig;
use crate::publish::PublishError;
use crate::publish::kafka::admin::Admin;
use crate::publish::kafka::listener::Listener;
use crate::publish::kafka::{KafkaFailure, Producer, Settings};

/// For the list of topics.
const LIST_TIMEOUT: Duration = Duration::from_millis(2_500);

/// The brokers and the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicFacts {
    /// Brokers of the cluster.
    pub brokers: usize,
    /// Partitions of the topic; none where there is no such topic, or usher may not see it.
    pub partitions: Option<usize>,
    /// Why the topic cannot be used now, in the words of librdkafka.
    pub error: Option<String>,
    /// The topic's `max.message.bytes`; none where the broker does not say.
    pub max_message_bytes: Option<usize>,
}

/// Why nothing is known of the topic.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KafkaInspectError {
    /// The configuration cannot be used.
    #[error("{0}")]
    Settings(String),
    /// No broker answers, or none lets usher in.
    #[error("{0}")]
    Away(String),
}

impl From<PublishError> for KafkaInspectError {
    fn from(error: PublishError) -> Self {
        Self::Settings(error.to_string())
    }
}

impl From<KafkaFailure> for KafkaInspectError {
    fn from(failure: KafkaFailure) -> Self {
        Self::Away(failure.to_string())
    }
}

/// Asks the brokers of `config`, for a few seconds at most.
///
/// # Errors
/// When the options cannot be used or no broker answers.
pub async fn inspect_topic(config: &KafkaConfig) -> Result<TopicFacts, KafkaInspectError> {
    let settings = Settings::read(config)?;
    let listener = Listener::default();
    let mut client = settings.client.clone();
    // Otherwise the brokers would count one more producer.
    client.set("enable.idempotence", "false");
    let producer = Producer::create(&client, &listener, &settings).await?;
    let listed = list(&producer).await;
    // Whoever asked does not wait for the end of its threads, which takes long with no broker.
    drop(spawn_blocking(move || drop(producer)));
    let mut facts = listed.map_err(|failure| failure.after(&listener))?;
    if facts.partitions.is_some() {
        let admin = Admin::open(&settings).await?;
        facts.max_message_bytes = admin.bound().await;
        admin.close().await;
    }
    Ok(facts)
}

async fn list(producer: &Producer) -> Result<TopicFacts, KafkaFailure> {
    let (inner, topic) = (producer.inner.clone(), producer.topic.clone());
    let asking = spawn_blocking(move || {
        let metadata = inner.client().fetch_metadata(None, LIST_TIMEOUT)?;
        Ok(read(&metadata, &topic))
    });
    let answer = asking.await.unwrap_or(Err(KafkaError::Canceled));
    answer.map_err(KafkaFailure::because("list the topics"))
}

fn read(metadata: &Metadata, topic: &str) -> TopicFacts {
    let found = metadata.topics().iter().find(|it| it.name() == topic);
    let code = found
        .and_then(MetadataTopic::error)
        .map(RDKafkaErrorCode::from);
    TopicFacts {
        brokers: metadata.brokers().len(),
        partitions: found.map(|topic| topic.partitions().len()),
        error: code.map(|code| code.to_string()),
        max_message_bytes: None,
    }
}
