//! A stop that finishes what was accepted, and starts that fail or wait.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::kill::SOON;
use crate::support::app::AUTHORIZATION;
use crate::support::database::TestDatabase;
use crate::support::eventually;
use crate::support::konnect::TestKonnect;
use crate::support::process::{Installation, Process, settings};
use crate::support::record::Record;
use crate::support::sender::{Acknowledged, Sender, id_of};
use crate::support::signer::Entry;

/// What a stop may take: the grace period is 10 s, and nothing here needs it.
const STOP: Duration = Duration::from_secs(10);

#[tokio::test]
async fn a_stop_finishes_what_was_accepted() {
    let konnect = TestKonnect::start().await;
    let database = TestDatabase::create().await;
    let mut usher = Installation::new(&settings(&database, &konnect.url));
    let process = usher.start().await;

    let acknowledged = Acknowledged::default();
    let senders =
        [1_000_000, 2_000_000].map(|first| Sender::new(&konnect.signer, first, 20, &acknowledged));
    let late = konnect.signer.json(&Entry::numbered(1));
    let url = process.url.clone();
    let stop = async {
        let mut upload = Upload::begin(&process, &late).await;
        acknowledged.go_on(100).await;
        process.terminate().await;
        eventually("usher stops", SOON, async || {
            process.log().contains("asked to stop")
        })
        .await;
        let answer = upload.finish(&late).await;
        assert!(
            answer.starts_with("HTTP/1.1 200 "),
            "its body was awaited already: {answer}"
        );
        process.exit(STOP).await
    };
    let [first, second] = &senders;
    let (status, ..) = tokio::join!(
        stop,
        first.send_while_answered(&url),
        second.send_while_answered(&url)
    );

    assert_eq!(status.code(), Some(0), "{}", usher.log());
    let mut acknowledged = acknowledged.into_ids();
    acknowledged.insert(id_of(&late));
    let stored = Record::of(&database).await.event_ids().await;
    assert!(
        stored.is_superset(&acknowledged),
        "an acknowledged delivery is lost"
    );
    assert!(!usher.log().contains("panicked"));
    database.drop().await;
}

/// A delivery of which usher has the head and awaits the body.
struct Upload(TcpStream);

impl Upload {
    async fn begin(process: &Process, body: &str) -> Self {
        let address = process.url.strip_prefix("http://").expect("plain HTTP");
        let mut stream = TcpStream::connect(address).await.expect("usher listens");
        let length = body.len();
        let head = format!(
            "POST /audit-logs HTTP/1.1\r\nHost: usher\r\nAuthorization: {AUTHORIZATION}\r\n\
             Content-Type: text/plain\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
        );
        stream
            .write_all(head.as_bytes())
            .await
            .expect("usher reads");
        let mut this = Self(stream);
        // Sent by the server when the handler asks for the body.
        let interim = this.read_until("\r\n\r\n").await;
        assert!(interim.starts_with("HTTP/1.1 100 "), "{interim}");
        this
    }

    async fn finish(&mut self, body: &str) -> String {
        self.0
            .write_all(body.as_bytes())
            .await
            .expect("usher reads");
        self.read_until("\r\n\r\n").await
    }

    async fn read_until(&mut self, end: &str) -> String {
        let mut text = String::new();
        while !text.contains(end) {
            let mut bytes = [0; 1024];
            let read = timeout(SOON, self.0.read(&mut bytes))
                .await
                .expect("an answer in time");
            let read = read.expect("the connection holds");
            assert!(read > 0, "the connection ended: {text}");
            text.push_str(&String::from_utf8_lossy(&bytes[..read]));
        }
        text
    }
}

/// Spoils settings that are good.
type Change = fn(&mut Value);

#[tokio::test]
async fn settings_that_cannot_be_end_the_start_and_are_named() {
    let database = TestDatabase::create().await;
    let good = settings(&database, "http://127.0.0.1:1");
    let table: [(&str, Change, &str); 7] = [
        (
            "no authorization",
            |all| all["ingest"] = json!({}),
            "ingest.authorization",
        ),
        (
            "no database",
            |all| all["database"] = json!({}),
            "database.url",
        ),
        (
            "a database of another kind",
            |all| all["database"]["url"] = json!("mysql://x"),
            "database.url",
        ),
        (
            "an unknown key",
            |all| all["ingest"]["colour"] = json!("red"),
            "colour",
        ),
        (
            "a wrong type",
            |all| all["ingest"]["max_line_bytes"] = json!("many"),
            "max_line_bytes",
        ),
        (
            "an option that would lose events",
            |all| all["kafka"] = json!({ "brokers": "127.0.0.1:1", "options": { "acks": "0" } }),
            "kafka.options.acks",
        ),
        (
            "rules with mistakes",
            |all| all["rules"] = json!({ "path": "rules.yaml" }),
            "rules.yaml:5:",
        ),
    ];
    for (what, change, named) in table {
        let mut bad = good.clone();
        change(&mut bad);
        let mut usher = Installation::new(&bad);
        usher.write("rules.yaml", "version: 1\nrules:\n  - name: partners\n    on: developer.signed_up\n    when: developer.stat == 1\n    then: [approve_developer]\n");
        let status = usher.launch().exit(SOON).await;
        let log = usher.log();
        assert_eq!(status.code(), Some(2), "{what}: {log}");
        assert!(log.contains(named), "{what}: {log}");
        assert!(!log.contains("panicked"), "{what}: {log}");
        assert!(!log.contains(&database.url()), "{what}: {log}");
    }
    database.drop().await;
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_waited_for() {
    let konnect = TestKonnect::start().await;
    let database = TestDatabase::create().await;
    database.refuse().await;
    let mut usher = Installation::new(&settings(&database, &konnect.url));
    let mut process = usher.launch();
    process.listens().await;

    let line = [konnect.signer.json(&Entry::numbered(1))];
    // Long enough for several tries to reach it.
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        assert_eq!(process.deliver(&line).await.expect("an answer"), 429);
        assert_eq!(process.readiness().await, Some(503));
    }
    let said = process.log().matches("the database is not ready").count();
    assert_eq!(said, 1, "the same reason is told once: {}", process.log());

    database.allow().await;
    eventually("the sender's next try is taken", SOON, async || {
        process.deliver(&line).await.expect("an answer") == 200
    })
    .await;
    eventually("usher is ready", SOON, async || {
        process.readiness().await == Some(200)
    })
    .await;
    assert_eq!(process.rows("/api/v1/events").await.len(), 1);
    process.terminate().await;
    assert_eq!(process.exit(STOP).await.code(), Some(0));
    assert!(!usher.log().contains("panicked"));
    database.drop().await;
}
