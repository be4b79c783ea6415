//! What a broker asks for: a topic, messages of its size, TLS and SASL.

use std::collections::BTreeSet;

use serde_json::json;
use usher::clock::Ids;
use usher::config::Secret;

use super::{PATIENCE, Scene, ids, kafka_readiness, login};
use crate::support::eventually;
use crate::support::kafka::{Broker, PLAIN_PASSWORD, SCRAM_PASSWORD, TestKafka, USER};
use crate::support::process::{Installation, settings};

/// The topic takes less than what is packed together, and less than two of the events.
async fn keeps_aside_what_the_topic_does_not_take(options: &[(&str, &str)]) {
    let mut kafka = TestKafka::with_small_topic(20_000).await;
    kafka.config.options = options
        .iter()
        .map(|(name, value)| ((*name).to_owned(), Secret::new((*value).to_owned())))
        .collect();
    let mut scene = Scene::on(kafka).await;
    // Nothing that would shrink when it is packed.
    let huge: String = (0..2_000).map(|_| Ids::secret()).collect();
    let medium: String = (0..20).map(|_| Ids::secret()).collect();
    let lines = (0..300).map(|n| match n {
        0 | 150 => login("ada", n, &huge),
        _ => login(["ada", "bob"][n % 2], n, &medium),
    });
    scene.append_lines(lines.collect()).await;
    scene.append(&["eve"]).await;
    let running = scene.start();
    let messages = scene.drained().await;

    let kept = scene.kept_aside().await;
    let kept: BTreeSet<&str> = kept.iter().map(|(event, _)| event.as_str()).collect();
    assert_eq!(kept.len(), 2);
    for event in &kept {
        assert!(scene.entries[*event].contains(&huge));
    }
    let rest: BTreeSet<&str> = scene.ids().difference(&kept).copied().collect();
    assert_eq!(ids(&messages), rest);
    if options.is_empty() {
        assert_eq!(messages.len(), rest.len(), "nothing comes twice");
    }
    running.stop().await;
    scene.end().await;
}

#[tokio::test]
async fn keeps_aside_what_a_topic_does_not_take() {
    keeps_aside_what_the_topic_does_not_take(&[]).await;
}

#[tokio::test]
async fn finds_what_a_topic_does_not_take_among_what_is_packed_together() {
    keeps_aside_what_the_topic_does_not_take(&[("batch.size", "1000000")]).await;
}

#[tokio::test]
async fn creates_the_topic_when_it_is_missing() {
    let mut scene = Scene::on(TestKafka::without_topic(Broker::Real)).await;
    scene.append(&["ada"]).await;
    let running = scene.start();
    assert_eq!(scene.drained().await.len(), 1);
    running.stop().await;
    scene.end().await;
}

/// A broker with TLS and SASL: what `kafka.options` must name to get in, and what is told of one
/// who does not.
#[tokio::test]
async fn publishes_by_tls_and_sasl_and_says_what_does_not_fit() {
    let (kafka, certificate) = TestKafka::start_secured().await;
    let mut scene = Scene::on(kafka).await;
    let certificate = certificate.display().to_string();
    let options = |mechanism: &str, password: &str, certificate: &str| {
        [
            ("security.protocol", "SASL_SSL"),
            ("sasl.mechanism", mechanism),
            ("sasl.username", USER),
            ("sasl.password", password),
            ("ssl.ca.location", certificate),
        ]
        .map(|(name, value)| (name.to_owned(), Secret::new(value.to_owned())))
        .into()
    };
    for (sent, mechanism, password) in [
        (1, "PLAIN", PLAIN_PASSWORD),
        (2, "SCRAM-SHA-512", SCRAM_PASSWORD),
    ] {
        scene.kafka.config.options = options(mechanism, password, &certificate);
        scene.append(&["ada"]).await;
        let running = scene.start();
        assert_eq!(scene.drained().await.len(), sent, "{mechanism}");
        running.stop().await;
    }

    let stranger = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.pem");
    std::fs::write(&other, stranger.cert.pem()).unwrap();
    let other = other.display().to_string();
    scene.append(&["ada"]).await;
    for (mechanism, certificate, told) in [
        ("SCRAM-SHA-512", &certificate, "credentials"),
        ("PLAIN", &other, "TLS"),
    ] {
        scene.kafka.config.options = options(mechanism, "wr0ng", certificate);
        let running = scene.start();
        eventually("usher says so", PATIENCE, async || {
            let (_, kafka) = kafka_readiness(&running).await;
            let detail = kafka["detail"].as_str().unwrap_or_default().to_owned();
            kafka["status"] == "degraded" && detail.contains(told) && !detail.contains(USER)
        })
        .await;
        running.stop().await;
    }
    assert_eq!(scene.owed().await, 1);
    no_log_shows_the_password(&scene, &certificate).await;
    scene.end().await;
}

/// A real usher that logs everything, with a wrong password from a file and then the right one.
async fn no_log_shows_the_password(scene: &Scene, certificate: &str) {
    let mut settings = settings(&scene.database, "http://127.0.0.1:1");
    settings["telemetry"]["log"] = json!("trace");
    settings["kafka"] = json!({
        "brokers": scene.kafka.config.brokers,
        "topic": scene.kafka.config.topic,
        "options": {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "PLAIN",
            "sasl.username": USER,
            "sasl.password": "file:password",
            "ssl.ca.location": certificate,
        },
    });
    let mut installation = Installation::new(&settings);
    for password in ["s3cret-but-wrong", PLAIN_PASSWORD] {
        installation.write("password", &format!("{password}\n"));
        let usher = installation.start().await;
        eventually("it is refused, or publishes", PATIENCE, async || {
            let log = usher.log();
            log.contains("refuses the credentials") || scene.owed().await == 0
        })
        .await;
        usher.terminate().await;
        usher.exit(PATIENCE).await;
    }
    assert_eq!(scene.owed().await, 0);
    let log = installation.log();
    assert!(log.contains("refuses the credentials"));
    let line = log.lines().find(|line| line.contains("s3cret"));
    assert_eq!(line, None);
}
