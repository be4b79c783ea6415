//! Requests to the brokers beside sending: to create the topic, and to read how much it takes at
//! once.

use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{debug, info};

use crate::publish::kafka::listener::Listener;
use crate::publish::kafka::{ANSWER_TIMEOUT, KafkaFailure, Settings};

/// For the request that usher can do without.
const BOUND_TIMEOUT: Duration = Duration::from_secs(2);

/// What is requested before anything is sent.
pub(super) struct Admin<'a> {
    inner: AdminClient<Listener>,
    topic: &'a str,
}

impl<'a> Admin<'a> {
    pub(super) async fn open(settings: &'a Settings) -> Result<Self, KafkaFailure> {
        let client = settings.client.clone();
        let inner = spawn_blocking(move || client.create_with_context(Listener::default()))
            .await
            .unwrap_or(Err(KafkaError::Canceled))
            .map_err(KafkaFailure::because("create the client"))?;
        Ok(Self {
            inner,
            topic: &settings.topic,
        })
    }

    /// Creates the topic with the broker's own number of partitions and replicas.
    pub(super) async fn create_topic(&self) -> Result<(), KafkaFailure> {
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

    /// The topic's `max.message.bytes`; none where usher may not ask, or the broker does not know
    /// the request.
    pub(super) async fn bound(&self) -> Option<usize> {
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
        // Dropping waits for the polling thread, which must not block the runtime.
        if spawn_blocking(move || drop(inner)).await.is_err() {
            debug!("the client did not end in order");
        }
    }
}
