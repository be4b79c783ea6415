//! A broker for one test: the one in process, or the real one that `make test` starts. Either way
//! with a topic of the test's own, and a reader that sees the whole topic.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{Consumer, StreamConsumer};
use rdkafka::message::{Headers, Message};
use rdkafka::metadata::MetadataPartition;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use tokio::time::timeout;
use usher::clock::{Clock, Ids};
use usher::config::KafkaConfig;
use usher::publish::InProcessBroker;

use crate::support::{environment, eventually};

/// Enough for persons to meet and to part.
const PARTITIONS: u16 = 3;
const PATIENCE: Duration = Duration::from_secs(20);
/// Java on a busy machine.
const START: Duration = Duration::from_mins(2);

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
    in_process: Option<InProcessBroker>,
    own: Option<Mutex<OwnKafka>>,
    /// Where the test itself asks, if not where usher is to publish.
    plain: Option<String>,
}

/// A process of Apache Kafka with a folder and a port of its own; killed when dropped.
#[derive(Debug)]
struct OwnKafka {
    folder: TempDir,
    port: u16,
    /// Of a listener for TLS with SASL.
    secure_port: Option<u16>,
    process: Option<Child>,
}

/// The user that a secured broker knows, with a password for each mechanism.
pub const USER: &str = "usher";
pub const PLAIN_PASSWORD: &str = "s3cret-of-plain";
pub const SCRAM_PASSWORD: &str = "s3cret-of-scram";

fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    free.local_addr().expect("bound").port()
}

impl OwnKafka {
    fn start() -> Self {
        let mut this = Self {
            folder: tempfile::tempdir().expect("a folder"),
            port: free_port(),
            secure_port: None,
            process: None,
        };
        this.run();
        this
    }

    /// One with a second listener; its certificate is in `cert.pem`.
    fn start_secured() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a pair");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("the file is written");
            path
        };
        write("cert.pem", &made.cert.pem());
        let both = format!("{}{}", made.signing_key.serialize_pem(), made.cert.pem());
        let keystore = write("keystore.pem", &both);
        let login = "org.apache.kafka.common.security";
        let properties = [
            ("ssl.keystore.type", "PEM".to_owned()),
            ("ssl.keystore.location", keystore.display().to_string()),
            ("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-512".to_owned()),
            (
                "plain.sasl.jaas.config",
                format!(
                    "{login}.plain.PlainLoginModule required user_{USER}=\"{PLAIN_PASSWORD}\";"
                ),
            ),
            (
                "scram-sha-512.sasl.jaas.config",
                format!("{login}.scram.ScramLoginModule required;"),
            ),
        ];
        let properties = properties
            .iter()
            .map(|(name, value)| format!("listener.name.secure.{name}={value}"));
        let properties: Vec<String> = properties.collect();
        write("secure.properties", &properties.join("\n"));
        let user = format!("SCRAM-SHA-512=[name={USER},password={SCRAM_PASSWORD}]\n");
        write("scram-users", &user);
        let mut this = Self {
            folder,
            port: free_port(),
            secure_port: Some(free_port()),
            process: None,
        };
        this.run();
        this
    }

    /// Starts it, again on the same data.
    fn run(&mut self) {
        let process = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/kafka"))
            .arg("run")
            .arg(self.folder.path())
            .arg(self.port.to_string())
            .args(self.secure_port.map(|port| port.to_string()))
            .kill_on_drop(true)
            .spawn();
        self.process = Some(process.expect("scripts/kafka starts"));
    }

    async fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().await.expect("the broker ends");
        }
    }

    fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
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

    /// The real broker, with a topic that takes at most so many bytes at once.
    pub async fn with_small_topic(max_message_bytes: usize) -> Self {
        let this = Self::without_topic(Broker::Real);
        let bound = max_message_bytes.to_string();
        this.create_topic_with(&[("max.message.bytes", &bound)])
            .await;
        this
    }

    /// The configuration of a real broker, or of none in process, whose topic nobody has made.
    pub fn without_topic(broker: Broker) -> Self {
        let topic = Ids::new(Clock::system()).next().simple();
        Self {
            config: KafkaConfig {
                brokers: match broker {
                    Broker::InProcess => None,
                    Broker::Real => Some(environment::kafka_brokers()),
                },
                topic: format!("usher-it-{topic}"),
                options: BTreeMap::new(),
            },
            in_process: None,
            own: None,
            plain: None,
        }
    }

    /// An Apache Kafka of the test's own, which may be bounced.
    pub async fn start_own() -> Self {
        let own = OwnKafka::start();
        let this = Self {
            config: KafkaConfig {
                brokers: Some(own.address()),
                topic: "usher-it".to_owned(),
                options: BTreeMap::new(),
            },
            in_process: None,
            own: Some(Mutex::new(own)),
            plain: None,
        };
        this.answers().await;
        this.create_topic().await;
        this
    }

    /// An Apache Kafka of the test's own that asks usher for TLS and SASL; with the file of its
    /// certificate.
    pub async fn start_secured() -> (Self, PathBuf) {
        let own = OwnKafka::start_secured();
        let certificate = own.folder.path().join("cert.pem");
        let secure_port = own.secure_port.expect("a second listener");
        let this = Self {
            config: KafkaConfig {
                brokers: Some(format!("localhost:{secure_port}")),
                topic: "usher-it".to_owned(),
                options: BTreeMap::new(),
            },
            in_process: None,
            plain: Some(own.address()),
            own: Some(Mutex::new(own)),
        };
        this.answers().await;
        this.create_topic().await;
        (this, certificate)
    }

    /// Takes the broker away or brings it back; not for the one that tests share.
    pub async fn set_reachable(&self, reachable: bool) {
        if let Some(in_process) = &self.in_process {
            let done = in_process.set_reachable(reachable).await;
            return done.expect("the broker obeys");
        }
        let mut own = self.own.as_ref().expect("a broker of its own").lock().await;
        if reachable {
            own.run();
        } else {
            own.kill().await;
        }
    }

    /// Has the broker in process answer each request so much later.
    pub async fn answer_after(&self, delay: Duration) {
        let in_process = self.in_process.as_ref().expect("a broker in process");
        in_process
            .answer_after(delay)
            .await
            .expect("the broker obeys");
    }

    async fn answers(&self) {
        let consumer: StreamConsumer = self.client().create().expect("a client");
        eventually("Kafka answers", START, async || {
            consumer
                .fetch_metadata(None, Duration::from_secs(1))
                .is_ok()
        })
        .await;
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
        self.create_topic_with(&[]).await;
    }

    async fn create_topic_with(&self, settings: &[(&str, &str)]) {
        let admin: AdminClient<DefaultClientContext> =
            self.client().create().expect("an admin client");
        let topic = NewTopic::new(
            &self.config.topic,
            PARTITIONS.into(),
            TopicReplication::Fixed(1),
        );
        let topic = settings
            .iter()
            .fold(topic, |topic, (name, value)| topic.set(name, value));
        let options = AdminOptions::new().operation_timeout(Some(PATIENCE));
        let made = admin
            .create_topics([&topic], &options)
            .await
            .expect("the broker answers");
        assert_eq!(made, [Ok(self.config.topic.clone())]);
    }

    fn client(&self) -> ClientConfig {
        let mut client = ClientConfig::new();
        let brokers = self.plain.as_ref().or(self.config.brokers.as_ref());
        let brokers = brokers.expect("a broker");
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
