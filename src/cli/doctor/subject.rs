//! What is looked at: the configuration, and what is asked once for several checks.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;

use crate::cli::doctor::database_facts::DatabaseFacts;
use crate::cli::doctor::konnect_facts::KonnectFacts;
use crate::clock::Clock;
use crate::config::{Config, SecretPlaces};
use crate::publish::{KafkaInspectError, TopicFacts, inspect_topic};

/// For what several checks wait: sooner over than the time of each of them, so that it is known
/// which one hung.
pub(super) const FACTS_WITHIN: Duration = Duration::from_secs(4);

/// One usher, as far as it can be seen from here. Everything is asked when a check first wants it.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) config: Config,
    /// The configuration file, where there is one.
    pub(super) file: Option<PathBuf>,
    pub(super) secrets: SecretPlaces,
    pub(super) clock: Clock,
    pub(super) database: DatabaseFacts,
    pub(super) konnect: KonnectFacts,
    kafka: OnceCell<Result<TopicFacts, KafkaInspectError>>,
}

impl Subject {
    pub(super) fn new(
        config: Config,
        file: Option<PathBuf>,
        secrets: SecretPlaces,
        clock: Clock,
    ) -> Self {
        Self {
            database: DatabaseFacts::of(&config.database),
            konnect: KonnectFacts::of(&config, &clock),
            kafka: OnceCell::new(),
            config,
            file,
            secrets,
            clock,
        }
    }

    /// What the brokers say.
    pub(super) async fn kafka(&self) -> Result<&TopicFacts, &KafkaInspectError> {
        let facts = self.kafka.get_or_init(|| self.ask_kafka());
        facts.await.as_ref()
    }

    async fn ask_kafka(&self) -> Result<TopicFacts, KafkaInspectError> {
        let asked = inspect_topic(&self.config.kafka);
        let answer = tokio::time::timeout(FACTS_WITHIN, asked).await;
        answer.unwrap_or_else(|_| {
            let seconds = FACTS_WITHIN.as_secs();
            Err(KafkaInspectError::Away(format!(
                "no answer within {seconds} s"
            )))
        })
    }
}

/// Does what may block in a thread of its own; none where that thread failed.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    spawn_blocking(work).await.ok()
}
