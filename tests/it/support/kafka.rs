//! A broker for one test: the one in process, or the real one that `make test` starts. Either way with a topic of
//! the test's own, and a reader that sees the whole topic.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::message::{Headers, Message};
use rdkafka::metadata::MetadataPartition;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;
use tokio::time::timeout;
use usher::clock::{Clock, Ids};
use usher::config::KafkaConfig;
use usher::publish::InProcessBroker;

/// Enough for persons to meet and to part.
pub const PARTITIONS: u16 = 3;
const PATIENCE: Duration = Duration::from_secs(20);

/// Which broker a test runs against.
#[derive(Debug, Clone, Copy)]
pub enum Broker {
    /// librdkafka's mock cluster.
    InProcess,
    /// Apache Kafka.
    Real,
}

/// A broker with one topic of the test's own.
#[derive(Debug)]
pub struct TestKafka {
    pub config: KafkaConfig,
    pub in_process: Option<InProcessBroker>,
}

/// One message as a consumer sees it.
#[derive(Debug, Clone)]
pub struct Received {
    pub partition: i32,
    pub key: Option<String>,
    pub headers: BTreeMap<String, String>,
    pub body: Value,
}

impl Received {
    /// The header that names the event.
    pub fn id(&self) -> &str {
        &self.headers["ce_id"]
    }
}

/// The server that `make test` starts.
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where tests ask for the broker"
)]
fn real_brokers() -> String {
    std::env::var("USHER_TEST_KAFKA_BROKERS")
        .expect("USHER_TEST_KAFKA_BROKERS is not set: run the tests by `make test`")
}

impl TestKafka {
    /// A broker on which the test's topic exists.
    pub async fn start(broker: Broker) -> Self {
        let mut this = Self::without_topic(broker);
        match broker {
            Broker::InProcess => {
                let in_process = InProcessBroker::start(&this.config.topic, PARTITIONS)
                    .await
                    .expect("a broker starts");
                this.config.brokers = Some(in_process.brokers().to_owned());
                this.in_process = Some(in_process);
            }
            Broker::Real => this.create_topic().await,
        }
        this
    }

    /// The configuration of a real broker, or of none in process, whose topic nobody has made.
    pub fn without_topic(broker: Broker) -> Self {
        let topic = Ids::new(Clock::system()).next().simple();
        Self {
            config: KafkaConfig {
                brokers: match broker {
                    Broker::InProcess => None,
                    Broker::Real => Some(real_brokers()),
                },
                topic: format!("usher-it-{topic}"),
                options: BTreeMap::new(),
            },
            in_process: None,
        }
    }

    /// The broker in process, to be made unreachable.
    pub fn in_process(&self) -> &InProcessBroker {
        self.in_process.as_ref().expect("this broker is in process")
    }

    /// Everything in the topic, partition by partition, in the order of each.
    pub async fn messages(&self) -> Vec<Received> {
        let consumer: StreamConsumer = self
            .client()
            .set("group.id", "usher-it")
            .set("enable.auto.commit", "false")
            .create()
            .expect("a consumer");
        let partitions = self.partitions(&consumer);
        let mut messages = Vec::new();
        for partition in partitions {
            let (_, end) = consumer
                .fetch_watermarks(&self.config.topic, partition, PATIENCE)
                .expect("the broker tells how many messages there are");
            let mut from = TopicPartitionList::new();
            from.add_partition_offset(&self.config.topic, partition, Offset::Beginning)
                .expect("an offset");
            consumer.assign(&from).expect("the partition is there");
            let mut next = 0;
            while next < end {
                let message = timeout(PATIENCE, consumer.recv())
                    .await
                    .expect("the message arrives in time")
                    .expect("the message can be read");
                next = message.offset() + 1;
                messages.push(received(&message));
            }
        }
        messages
    }

    fn partitions(&self, consumer: &StreamConsumer) -> Vec<i32> {
        let metadata = consumer
            .fetch_metadata(Some(&self.config.topic), PATIENCE)
            .expect("the broker knows the topic");
        let partitions = metadata.topics()[0].partitions();
        partitions.iter().map(MetadataPartition::id).collect()
    }

    async fn create_topic(&self) {
        let admin: AdminClient<DefaultClientContext> =
            self.client().create().expect("an admin client");
        let topic = NewTopic::new(
            &self.config.topic,
            PARTITIONS.into(),
            TopicReplication::Fixed(1),
        );
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let made = admin
            .create_topics([&topic], &options)
            .await
            .expect("the broker answers");
        assert_eq!(made, [Ok(self.config.topic.clone())]);
    }

    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        let brokers = self.config.brokers.as_ref().expect("a broker");
        client.set("bootstrap.servers", brokers);
        client
    }
}

fn received(message: &impl Message) -> Received {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    let headers = message.headers().expect("headers");
    Received {
        partition: message.partition(),
        key: message.key().map(text),
        headers: headers
            .iter()
            .map(|header| (header.key.to_owned(), text(header.value.expect("a value"))))
            .collect(),
        body: serde_json::from_slice(message.payload().expect("a payload")).expect("JSON"),
    }
}
