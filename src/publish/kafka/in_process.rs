//! A Kafka broker inside this process, for `usher demo` and quick tests: librdkafka's mock cluster,
//! which keeps messages in memory and knows no admin calls. No substitute for Kafka.

use std::fmt;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use tokio::sync::oneshot;

use crate::publish::PublishError;

/// The only broker of the cluster.
const BROKER: i32 = 1;

/// One broker on a free port with one topic. Ends when dropped.
pub struct InProcessBroker {
    brokers: String,
    wishes: mpsc::SyncSender<BehaviourRequest>,
}

/// The wanted behaviour of the broker, and where to confirm it.
struct BehaviourRequest {
    behave: Behaviour,
    done: oneshot::Sender<Result<(), KafkaError>>,
}

enum Behaviour {
    Reachable(bool),
    AnswersAfter(Duration),
}

impl fmt::Debug for InProcessBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InProcessBroker({})", self.brokers)
    }
}

impl InProcessBroker {
    /// Starts a broker and creates `topic`.
    ///
    /// # Errors
    /// When no port is free or `topic` is not a valid name.
    pub async fn start(topic: &str, partitions: u16) -> Result<Self, PublishError> {
        let (started, starting) = oneshot::channel();
        let (wishes, to_do) = mpsc::sync_channel(1);
        let topic = topic.to_owned();
        // The cluster cannot change threads, so one of its own keeps it until no request can come
        // any more.
        thread::Builder::new()
            .name("kafka-in-process".to_owned())
            .spawn(move || match start(&topic, partitions) {
                Ok(cluster) => {
                    if started.send(Ok(cluster.bootstrap_servers())).is_ok() {
                        serve(&cluster, &to_do);
                    }
                }
                Err(error) => drop(started.send(Err(error))),
            })
            .map_err(PublishError::Thread)?;
        let brokers = answer(starting).await?;
        Ok(Self { brokers, wishes })
    }

    /// `host:port`, for `kafka.brokers`.
    pub fn brokers(&self) -> &str {
        &self.brokers
    }

    /// Cuts every connection and refuses new ones, or accepts them again. What was stored stays.
    pub async fn set_reachable(&self, reachable: bool) -> Result<(), PublishError> {
        self.request(Behaviour::Reachable(reachable)).await
    }

    /// Answers each request so much later.
    pub async fn answer_after(&self, delay: Duration) -> Result<(), PublishError> {
        self.request(Behaviour::AnswersAfter(delay)).await
    }

    async fn request(&self, behave: Behaviour) -> Result<(), PublishError> {
        let (done, doing) = oneshot::channel();
        // A thread that ended drops the other end, and the wait below then fails.
        drop(self.wishes.try_send(BehaviourRequest { behave, done }));
        answer(doing).await
    }
}

async fn answer<T>(from: oneshot::Receiver<Result<T, KafkaError>>) -> Result<T, PublishError> {
    from.await
        .unwrap_or(Err(KafkaError::Canceled))
        .map_err(|error| PublishError::InProcess(error.to_string()))
}

fn start(
    topic: &str,
    partitions: u16,
) -> Result<MockCluster<'static, impl rdkafka::ClientContext + use<>>, KafkaError> {
    let cluster = MockCluster::new(1)?;
    cluster.create_topic(topic, i32::from(partitions), 1)?;
    Ok(cluster)
}

fn serve(
    cluster: &MockCluster<'static, impl rdkafka::ClientContext>,
    to_do: &mpsc::Receiver<BehaviourRequest>,
) {
    for BehaviourRequest { behave, done } in to_do {
        let outcome = match behave {
            Behaviour::Reachable(true) => cluster.broker_up(BROKER),
            Behaviour::Reachable(false) => cluster.broker_down(BROKER),
            Behaviour::AnswersAfter(delay) => cluster.broker_round_trip_time(BROKER, delay),
        };
        drop(done.send(outcome));
    }
}
