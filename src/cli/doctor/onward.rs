//! Checks of where entries go on to: Kafka, and the endpoints of `forward`. Nothing is sent.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::lookup_host;
use tokio::time::timeout;
use url::Url;

use crate::cli::counted;
use crate::cli::doctor::finding::{Finding, Findings};
use crate::cli::doctor::subject::Subject;
use crate::publish::{KafkaInspectError, TopicFacts};

/// For the addresses of a name.
const RESOLVED_WITHIN: Duration = Duration::from_secs(4);
const NO_KAFKA: &str = "kafka.brokers is not set: nothing is published";
const AWAY: &str = "Kafka does not answer, see kafka";

/// Whether a broker answers and lets usher in.
pub(super) async fn kafka(subject: &Subject) -> Finding {
    if subject.config.kafka.brokers.is_none() {
        return Finding::skipped(NO_KAFKA);
    }
    judge_brokers(subject.kafka().await)
}

fn judge_brokers(answer: Result<&TopicFacts, &KafkaInspectError>) -> Finding {
    match answer {
        Ok(facts) => Finding::ok(format!(
            "{} in the cluster",
            counted(facts.brokers, "broker")
        )),
        Err(KafkaInspectError::Settings(why)) => {
            Finding::failed(why.clone(), "correct [kafka] in usher.toml")
        }
        Err(KafkaInspectError::Away(why)) => Finding::failed(
            why.clone(),
            "start Kafka, or correct kafka.brokers, and kafka.options for TLS and SASL",
        ),
    }
}

/// The topic, for a check of it; else why the check is left out.
async fn facts(subject: &Subject) -> Result<&TopicFacts, Finding> {
    if subject.config.kafka.brokers.is_none() {
        return Err(Finding::skipped(NO_KAFKA));
    }
    subject.kafka().await.map_err(|_| Finding::skipped(AWAY))
}

/// Whether the topic is there.
pub(super) async fn topic(subject: &Subject) -> Finding {
    match facts(subject).await {
        Ok(facts) => judge_topic(facts, &subject.config.kafka.topic),
        Err(left_out) => left_out,
    }
}

fn judge_topic(facts: &TopicFacts, topic: &str) -> Finding {
    let Some(partitions) = facts.partitions else {
        return Finding::warning(
            format!(
                "there is no topic {topic}, or usher may not see it; usher serve tries to make it"
            ),
            format!(
                "`kafka-topics.sh --create --topic {topic}`, or give usher DESCRIBE and WRITE on it"
            ),
        );
    };
    if let Some(error) = &facts.error {
        return Finding::failed(
            format!("{topic} cannot be used: {error}"),
            "see the brokers' log",
        );
    }
    let partitions = counted(partitions, "partition");
    Finding::ok(format!(
        "{topic} has {partitions}; whether usher may write to it is not tried"
    ))
}

/// Whether the topic takes the largest entry.
pub(super) async fn size(subject: &Subject) -> Finding {
    let (config, wanted) = (&subject.config.kafka, subject.config.ingest.max_line_bytes);
    match facts(subject).await {
        Ok(facts) => judge_size(facts, &config.topic, wanted),
        Err(left_out) => left_out,
    }
}

fn judge_size(facts: &TopicFacts, topic: &str, wanted: usize) -> Finding {
    if facts.partitions.is_none() {
        return Finding::skipped("there is no topic, see kafka-topic");
    }
    match facts.max_message_bytes {
        None => Finding::skipped("the brokers do not say what the topic takes at once"),
        Some(bytes) if bytes < wanted => Finding::warning(
            format!(
                "{topic} takes {bytes} bytes at once, an entry may have {wanted} (ingest.max_line_bytes): a larger one is quarantined"
            ),
            format!(
                "`kafka-configs.sh --alter --entity-type topics --entity-name {topic} --add-config max.message.bytes={}`",
                // What frames an entry in a message, and more than that.
                wanted + wanted / 4
            ),
        ),
        Some(bytes) => Finding::ok(format!("{topic} takes {bytes} bytes at once")),
    }
}

/// Whether the names of the endpoints lead anywhere.
pub(super) async fn forward(subject: &Subject) -> Finding {
    let endpoints = &subject.config.forward;
    if endpoints.is_empty() {
        return Finding::skipped("forward is not set");
    }
    let resolved = join_all(endpoints.iter().map(|endpoint| resolve(&endpoint.url))).await;
    let mut found = Findings::default();
    let mut hosts = Vec::new();
    for (endpoint, resolved) in endpoints.iter().zip(resolved) {
        let host = endpoint.url.host_str().unwrap_or_default();
        found.push(judge_name(host, &resolved));
        hosts.push(host);
    }
    let hosts = hosts.join(", ");
    found.or_ok(format!(
        "{hosts}: has an address; nothing was sent to try it"
    ))
}

async fn resolve(url: &Url) -> Result<usize, String> {
    let host = url.host_str().unwrap_or_default();
    // An address of IPv6 stands in brackets.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = url.port_or_known_default().unwrap_or(443);
    match timeout(RESOLVED_WITHIN, lookup_host((host, port))).await {
        Ok(found) => found
            .map(Iterator::count)
            .map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", RESOLVED_WITHIN.as_secs())),
    }
}

fn judge_name(host: &str, resolved: &Result<usize, String>) -> Finding {
    let mend = "correct the URL in forward, or this machine's DNS";
    match resolved {
        Ok(0) => Finding::failed(format!("{host} has no address"), mend),
        Ok(_) => Finding::ok(host),
        Err(why) => Finding::failed(format!("{host} has no address: {why}"), mend),
    }
}

#[cfg(test)]
mod tests {
    use super::{judge_brokers, judge_name, judge_size, judge_topic};
    use crate::cli::doctor::finding::Status;
    use crate::publish::{KafkaInspectError, TopicFacts};

    #[test]
    fn brokers_topic_and_size_are_judged() {
        let facts = TopicFacts {
            brokers: 3,
            partitions: Some(6),
            error: None,
            max_message_bytes: Some(1_048_588),
        };
        assert_eq!(judge_brokers(Ok(&facts)).detail, "3 brokers in the cluster");
        for trouble in [
            KafkaInspectError::Settings("kafka.options.x cannot be".to_owned()),
            KafkaInspectError::Away("no answer".to_owned()),
        ] {
            assert_eq!(judge_brokers(Err(&trouble)).status, Status::Failed);
        }
        assert_eq!(judge_topic(&facts, "t").status, Status::Ok);
        assert_eq!(judge_size(&facts, "t", 1_048_576).status, Status::Ok);
        let told = judge_size(&facts, "t", 2_097_152);
        assert_eq!(told.status, Status::Warning);
        assert!(
            told.mend
                .is_some_and(|mend| mend.contains("max.message.bytes=2621440"))
        );
        let missing = TopicFacts {
            partitions: None,
            ..facts.clone()
        };
        assert_eq!(judge_topic(&missing, "t").status, Status::Warning);
        assert_eq!(judge_size(&missing, "t", 1).status, Status::Skipped);
        let broken = TopicFacts {
            error: Some("no leader".to_owned()),
            max_message_bytes: None,
            ..facts
        };
        assert_eq!(judge_topic(&broken, "t").status, Status::Failed);
        assert_eq!(judge_size(&broken, "t", 1).status, Status::Skipped);
    }

    #[test]
    fn a_name_without_an_address_fails() {
        for (resolved, status) in [
            (Ok(2), Status::Ok),
            (Ok(0), Status::Failed),
            (Err("unknown".to_owned()), Status::Failed),
        ] {
            assert_eq!(judge_name("siem.example", &resolved).status, status);
        }
    }
}
