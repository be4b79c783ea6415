//! What survives the end of the process: the real binary is killed at every moment that matters, asked to stop, and
//! started with settings that cannot be. On real Postgres, Apache Kafka and HTTP.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::RngExt;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use uuid::Uuid;

use crate::support::app::AUTHORIZATION;
use crate::support::database::TestDatabase;
use crate::support::environment;
use crate::support::eventually;
use crate::support::kafka::{Broker, Received, TestKafka};
use crate::support::konnect::{Hold, Moment, PARTNERS, RULES, TestKonnect};
use crate::support::luck::{Luck, tell};
use crate::support::process::{Installation, Process, settings};
use crate::support::record::Record;
use crate::support::sender::{Acknowledged, Sender, id_of};
use crate::support::signer::Entry;
use crate::support::visitor::Visitor;

use Moment::{BeforeItIsAnswered, BeforeItTakesEffect};

const SOON: Duration = Duration::from_mins(1);
/// What a stop may take: the grace period is 10 s, and nothing here needs it.
const STOP: Duration = Duration::from_secs(10);
/// Nobody listens on this port.
const NO_BROKER: &str = "127.0.0.1:1";
const KILLS: usize = 5;

fn ids(messages: &[Received]) -> BTreeSet<Uuid> {
    messages
        .iter()
        .map(|message| message.id().parse().expect("a UUID"))
        .collect()
}

fn publish_to(settings: &mut Value, brokers: &str, kafka: &TestKafka) {
    settings["kafka"] = json!({ "brokers": brokers, "topic": kafka.config.topic });
}

fn brokers(kafka: &TestKafka) -> &str {
    kafka.config.brokers.as_deref().expect("a broker")
}

#[tokio::test]
async fn what_was_acknowledged_is_published_after_a_kill() {
    let konnect = TestKonnect::start().await;
    let kafka = TestKafka::start(Broker::Real).await;
    let database = TestDatabase::create().await;
    let mut settings = settings(&database, &konnect.url);
    publish_to(&mut settings, NO_BROKER, &kafka);
    let mut usher = Installation::new(&settings);

    let process = usher.start().await;
    let lines: Vec<String> = (0..200)
        .map(|number| konnect.signer.json(&Entry::numbered(number)))
        .collect();
    assert_eq!(process.deliver(&lines).await.expect("an answer"), 200);
    process.kill().await;

    let mut record = Record::of(&database).await;
    let acknowledged: BTreeSet<Uuid> = lines.iter().map(|line| id_of(line)).collect();
    assert_eq!(record.event_ids().await, acknowledged);
    assert!(
        kafka.messages().await.is_empty(),
        "killed before anything was published"
    );

    publish_to(&mut settings, brokers(&kafka), &kafka);
    usher.configure(&settings);
    let process = usher.start().await;
    // The lease of the dead publisher is waited out: nobody has to help.
    let messages = record.published(&kafka).await;
    assert_eq!(ids(&messages), acknowledged);
    assert_eq!(record.event_ids().await, acknowledged);
    process.kill().await;
    database.drop().await;
}

/// What usher is at when it is killed.
#[derive(Debug, Clone, Copy)]
enum At {
    /// Whatever it is.
    Anything,
    /// Writing a transaction.
    Commit,
    /// Events are owed to Kafka.
    Publish,
    /// Requests of an outage go from the spool into the record.
    Drain,
}

impl At {
    const ALL: [Self; 4] = [Self::Anything, Self::Commit, Self::Publish, Self::Drain];

    /// Waits until usher is at it.
    async fn comes(self, database: &TestDatabase, spool: &Path) {
        match self {
            Self::Anything => {}
            Self::Commit => {
                let mut record = Record::of(database).await;
                eventually("a transaction writes", SOON, async || {
                    record.is_being_written().await
                })
                .await;
            }
            Self::Publish => {
                let mut record = Record::of(database).await;
                eventually("events are owed to Kafka", SOON, async || {
                    record.owed_to_kafka().await > 0
                })
                .await;
            }
            Self::Drain => {
                database.refuse().await;
                eventually("deliveries are spooled", SOON, async || {
                    requests_in(spool) > 20
                })
                .await;
                database.allow().await;
                let mut most = 0;
                eventually("the spool is being emptied", SOON, async || {
                    let now = requests_in(spool);
                    most = most.max(now);
                    now < most
                })
                .await;
            }
        }
    }
}

fn requests_in(spool: &Path) -> usize {
    let files = fs::read_dir(spool).expect("the spool's folder");
    files
        .filter_map(Result::ok)
        .filter(|file| file.path().extension().is_some_and(|end| end == "request"))
        .count()
}

#[tokio::test]
async fn kills_under_load_lose_nothing_and_store_nothing_twice() {
    let mut luck = Luck::new();
    let kills = environment::rounds(KILLS);
    let konnect = TestKonnect::start().await;
    let kafka = TestKafka::start(Broker::Real).await;
    let database = TestDatabase::create().await;
    let mut settings = settings(&database, &konnect.url);
    publish_to(&mut settings, brokers(&kafka), &kafka);
    let home = TempDir::new().expect("a folder");
    let spool = home.path().join("spool");
    settings["spool"] = json!({ "dir": spool });
    settings["telemetry"]["log"] = json!("info");
    let mut usher = Installation::new(&settings);
    let mut process = usher.start().await;
    // With a spool it takes deliveries before there is a schema, and the test looks at tables.
    eventually("the record takes deliveries", SOON, async || {
        process.deliver(&[]).await == Some(StatusCode::OK)
    })
    .await;

    let acknowledged = Acknowledged::default();
    let enough = AtomicBool::new(false);
    let url = watch::Sender::new(process.url.clone());
    // Below and above the number of rows from which on the writer copies.
    let senders = [(0, 1), (1_000_000, 20), (2_000_000, 400)]
        .map(|(first, size)| Sender::new(&konnect.signer, first, size, &acknowledged));
    let first = luck.rng.random_range(0..At::ALL.len());
    let rng = &mut luck.rng;
    let all_kills = async {
        for round in 0..kills {
            acknowledged.go_on(20).await;
            let at = At::ALL[(first + round) % At::ALL.len()];
            at.comes(&database, &spool).await;
            // Any moment of it will do, so each run tries others.
            let moment = Duration::from_micros(rng.random_range(0..100_000));
            tokio::time::sleep(moment).await;
            process.kill().await;
            // Else nobody would publish until the first of the dead publishers lost its lease.
            Record::of(&database).await.let_leases_end().await;
            process = usher.start().await;
            url.send_replace(process.url.clone());
        }
        acknowledged.go_on(60).await;
        enough.store(true, Ordering::Relaxed);
        process
    };
    let [one, two, three] = &senders;
    let (process, ..) = tokio::join!(
        all_kills,
        one.send_all(url.subscribe(), &enough),
        two.send_all(url.subscribe(), &enough),
        three.send_all(url.subscribe(), &enough),
    );
    eventually("the spool is empty", SOON, async || {
        requests_in(&spool) == 0
    })
    .await;

    let acknowledged = acknowledged.into_ids();
    let mut record = Record::of(&database).await;
    let stored = record.event_ids().await;
    let messages = record.published(&kafka).await;
    tell(&format!(
        "{kills} kills (seed {}): {} entries acknowledged, {} stored, {} published in {} messages",
        luck.seed,
        acknowledged.len(),
        stored.len(),
        ids(&messages).len(),
        messages.len()
    ));
    assert_eq!(stored, acknowledged);
    assert_eq!(ids(&messages), acknowledged);
    process.kill().await;
    assert!(!usher.log().contains("panicked"));
    database.drop().await;
}

/// The writes that let somebody in.
const WRITES: [&str; 2] = ["PATCH developers/{id} 200", "POST {team}/developers 201"];

/// A deed, and the moment at which usher dies while Konnect has it.
struct Death {
    hold: Hold,
    /// How many of the writes Konnect has answered by then.
    written: usize,
}

#[tokio::test]
async fn a_deed_is_done_once_however_usher_dies_over_it() {
    let death = |method, path_end, moment, written| {
        survive(Death {
            hold: Hold {
                method,
                path_end,
                moment,
            },
            written,
        })
    };
    let approval = |path: &str| path.contains("/developers/");
    let membership = |path: &str| path.ends_with("/developers");
    tokio::join!(
        death("PATCH", approval, BeforeItTakesEffect, 0),
        death("PATCH", approval, BeforeItIsAnswered, 1),
        death("POST", membership, BeforeItTakesEffect, 1),
        death("POST", membership, BeforeItIsAnswered, 2),
    );
}

/// Kills usher in the middle of a deed and sees what the next one makes of it.
async fn survive(death: Death) {
    let konnect = TestKonnect::start().await;
    let database = TestDatabase::create().await;
    let mut settings = settings(&database, &konnect.url);
    settings["konnect"]["token"] = json!(konnect.emulator.token());
    settings["observe"] = json!({ "pending_every": "1s" });
    settings["rules"] = json!({ "path": "rules.yaml" });
    let mut usher = Installation::new(&settings);
    usher.write("rules.yaml", RULES);

    let process = usher.start().await;
    konnect.hold(death.hold);
    let visitor = Visitor::sign_up(&konnect, "petronella@arsenal.com", "Petronella Quist").await;
    let (id, _) = konnect.developer(&visitor.email).await;
    let named = |writes: &[&str]| -> Vec<String> {
        let name = |write: &&str| {
            write
                .replace("{id}", &id.to_string())
                .replace("{team}", &PARTNERS.to_string())
        };
        writes.iter().map(name).collect()
    };
    konnect.is_holding().await;
    assert_eq!(
        konnect.writes(),
        named(&WRITES[..death.written]),
        "it dies at the wrong moment"
    );
    process.kill().await;
    konnect.is_forsaken().await;
    konnect.let_pass();

    let mut record = Record::of(&database).await;
    record.let_leases_end().await;
    let process = usher.start().await;
    eventually("both deeds are recorded as done", SOON, async || {
        let actions = process.rows("/api/v1/actions").await;
        actions.len() == 2 && actions.iter().all(|action| action["state"] == "done")
    })
    .await;
    assert_eq!(
        konnect.writes(),
        named(&WRITES),
        "each deed is written once"
    );
    assert_eq!(konnect.developer(&visitor.email).await.1, "approved");
    assert_eq!(konnect.teams_of(id).await, [PARTNERS]);
    assert_eq!(
        record.events_named("action.done").await,
        2,
        "each deed is told once"
    );
    assert_eq!(record.events_named("developer.signed_up").await, 1);
    process.kill().await;
    let log = usher.log();
    for word in [
        "panicked",
        "petronella",
        "Petronella",
        konnect.emulator.token(),
    ] {
        assert!(!log.contains(word), "the log holds {word}");
    }
    database.drop().await;
}

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
