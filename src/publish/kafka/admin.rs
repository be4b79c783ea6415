//! What is asked of the brokers before anything is sent: whether the topic is there, and what it takes at once. Makes
//! the topic where it is missing; changes nothing else.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::MetadataTopic;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{debug, info};

use crate::publish::kafka::listener::Listener;
use crate::publish::kafka::{KafkaFailure, Settings};

/// For one question to a broker.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// For the question that usher can do without.
const BOUND_TIMEOUT: Duration = Duration::from_secs(2);

/// What is asked before anything is sent.
pub(super) struct Admin<'a> {
    inner: Arc<AdminClient<Listener>>,
    topic: &'a str,
}

impl<'a> Admin<'a> {
    pub(super) async fn open(
        settings: &'a Settings,
        listener: &Listener,
    ) -> Result<Self, KafkaFailure> {
        let (client, listener) = (settings.client.clone(), listener.clone());
        let inner = spawn_blocking(move || client.create_with_context(listener))
            .await
            .unwrap_or(Err(KafkaError::Canceled))
            .map_err(KafkaFailure::because("create the client"))?;
        Ok(Self {
            inner: Arc::new(inner),
            topic: &settings.topic,
        })
    }

    /// Creates the topic when it is missing; answers with what it takes at once, where the broker tells.
    pub(super) async fn prepare_topic(&self) -> Result<Option<usize>, KafkaFailure> {
        if !self.has_topic().await? {
            self.create_topic().await?;
        }
        Ok(self.bound().await)
    }

    async fn has_topic(&self) -> Result<bool, KafkaFailure> {
        let because = || KafkaFailure::because("learn about the topic");
        let (inner, topic) = (Arc::clone(&self.inner), self.topic.to_owned());
        let asking = spawn_blocking(move || {
            let metadata = inner.inner().fetch_metadata(Some(&topic), ANSWER_TIMEOUT)?;
            let mut topics = metadata.topics().iter();
            let found = topics.find(|known| known.name() == topic);
            Ok(found
                .and_then(MetadataTopic::error)
                .map(RDKafkaErrorCode::from))
        });
        let error = asking.await.unwrap_or(Err(KafkaError::Canceled));
        match error.map_err(because())? {
            // While a topic is being made, messages wait for its leader.
            None | Some(RDKafkaErrorCode::LeaderNotAvailable) => Ok(true),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                Ok(false)
            }
            Some(code) => Err(because()(KafkaError::MetadataFetch(code))),
        }
    }

    /// Creates the topic with the broker's own number of partitions and replicas.
    async fn create_topic(&self) -> Result<(), KafkaFailure> {
        let because = || KafkaFailure::because("create the missing topic");
        let topic = NewTopic::new(self.topic, -1, TopicReplication::Fixed(-1));
        let options = AdminOptions::new().request_timeout(Some(ANSWER_TIMEOUT));
        // A broker that does not know the request may never answer it.
        let asked = self.inner.create_topics([&topic], &options);
        let code = match timeout(2 * ANSWER_TIMEOUT, asked).await {
            Err(_) => RDKafkaErrorCode::OperationTimedOut,
            Ok(Err(error)) => return Err(because()(error)),
            Ok(Ok(results)) => match results.into_iter().next() {
                Some(Err((_, code))) if code != RDKafkaErrorCode::TopicAlreadyExists => code,
                _ => {
                    info!(kafka.topic = self.topic, "created the topic");
                    return Ok(());
                }
            },
        };
        Err(because()(KafkaError::AdminOp(code)))
    }

    /// The topic's `max.message.bytes`; none where usher may not ask, or the broker does not know the question.
    async fn bound(&self) -> Option<usize> {
        let topic = [ResourceSpecifier::Topic(self.topic)];
        let options = AdminOptions::new().request_timeout(Some(BOUND_TIMEOUT));
        let asked = self.inner.describe_configs(&topic, &options);
        let answer = match timeout(BOUND_TIMEOUT, asked).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                debug!(error = %error, "could not ask what the topic takes at once");
                return None;
            }
            Err(_) => return None,
        };
        let config = answer.into_iter().next()?.ok()?;
        config
            .get("max.message.bytes")?
            .value
            .as_ref()?
            .parse()
            .ok()
    }

    pub(super) async fn close(self) {
        let inner = self.inner;
        // Dropping waits for the polling thread, which must not hold up the runtime.
        if spawn_blocking(move || drop(inner)).await.is_err() {
            debug!("the client did not end in order");
        }
    }
}
