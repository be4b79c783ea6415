//! Connections to Postgres that die without FIN or RST, under traffic: every delivery is answered,
//! work goes on, and a stop ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use chrono::DateTime;
use reqwest::{Client, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::timeout;
use usher::clock::{Clock, Ids};
use usher::event::{Verdict, parse};
use usher::http::health::Health;
use usher::journal::{Journal, Lane, NewBatch, NewEvent, ReaderName, Source};
use usher::lifecycle::Lifecycle;
use usher::publish::Publisher;
use usher::report::rollup::Keeper;

use crate::support::database::TestDatabase;
use crate::support::environment::dead_for;
use crate::support::eventually;
use crate::support::kafka::{Broker, TestKafka};
use crate::support::network::Network;
use crate::support::process::{Installation, Process, deliver, settings};
use crate::support::record::Record;
use crate::support::signer::{Entry, Signer};

/// Twice as long as a statement may wait for its answer, and what a busy machine adds.
const GOES_ON: Duration = Duration::from_secs(100);
/// usher asks a sender to wait after eight seconds; the rest is for a busy machine.
const ANSWERED: Duration = Duration::from_secs(20);
const STOPS: Duration = Duration::from_secs(20);
/// A little longer than a statement may wait for its answer.
const GIVEN_UP: Duration = Duration::from_secs(45);
/// Longer than a lease, shorter than a statement may take; `USHER_TEST_DEAD_FOR` is for a longer
/// look.
const DEAD_FOR: Duration = Duration::from_secs(15);

/// Sends one entry after the other until `enough`; each is answered in time. The statuses.
async fn send(url: &str, first: u64, enough: &AtomicBool) -> Vec<StatusCode> {
    let http = Client::builder().timeout(ANSWERED).build().unwrap();
    let mut statuses = Vec::new();
    let mut number = first;
    while !enough.load(Ordering::Relaxed) {
        let line = Entry::numbered(number).json();
        let asked = Instant::now();
        let status = deliver(&http, url, &[line]).await;
        let status = status.unwrap_or_else(|| panic!("no answer in {:?}", asked.elapsed()));
        number += u64::from(status != StatusCode::TOO_MANY_REQUESTS);
        statuses.push(status);
    }
    statuses
}

/// Batches that no reader is owed any more.
const TAKEN: &str = "SELECT count(*) FROM batches b
    WHERE NOT EXISTS (SELECT FROM outbox o WHERE o.batch = b.id)";

async fn owes_nothing(record: &mut Record) {
    eventually("no reader is owed anything", GOES_ON, async || {
        record.number("SELECT count(*) FROM outbox").await == 0
    })
    .await;
}

/// One usher with everything that works behind the door, over a network of its own.
async fn start(
    network: &Network,
    database: &TestDatabase,
    konnect: &str,
    kafka: &TestKafka,
) -> (Installation, Process) {
    let mut settings = settings(database, konnect);
    settings["database"]["url"] = json!(network.url());
    settings["konnect"]["token"] = json!("token");
    let brokers = kafka.config.brokers.as_deref().unwrap();
    settings["kafka"] = json!({ "brokers": brokers, "topic": kafka.config.topic });
    let mut installation = Installation::new(&settings);
    let usher = installation.start().await;
    (installation, usher)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_die_without_a_word_hold_nobody_up() {
    let signer = Signer::new(7);
    let konnect = signer.serve(&Lifecycle::new()).await;
    let database = TestDatabase::create().await;
    let kafka = TestKafka::start(Broker::InProcess).await;
    let network = Network::to(&database).await;
    let (installation, usher) = start(&network, &database, &konnect, &kafka).await;
    let mut record = Record::of(&database).await;
    let enough = AtomicBool::new(false);
    let trouble = async {
        eventually("each reader took something", GOES_ON, async || {
            record.number(TAKEN).await > 0
        })
        .await;
        network.go_dead();
        tokio::time::sleep(dead_for(DEAD_FOR)).await;
        let stored = record.number("SELECT count(*) FROM events").await;
        network.mend();
        eventually("deliveries are stored again", GOES_ON, async || {
            record.number("SELECT count(*) FROM events").await > stored
        })
        .await;
        // Now those that are there die while new ones live, so that leases could be renewed over
        // them.
        for _ in 0..2 {
            network.go_dead();
            network.mend();
            let stored = record.number("SELECT count(*) FROM events").await;
            eventually("deliveries are stored again", GOES_ON, async || {
                record.number("SELECT count(*) FROM events").await > stored
            })
            .await;
        }
        enough.store(true, Ordering::Relaxed);
    };
    let senders = async {
        tokio::join!(
            send(&usher.url, 0, &enough),
            send(&usher.url, 1_000_000, &enough),
            send(&usher.url, 2_000_000, &enough),
        )
    };
    let (statuses, ()) = tokio::join!(senders, trouble);
    assert!(statuses.0.contains(&StatusCode::OK));
    owes_nothing(&mut record).await;
    usher.terminate().await;
    assert_eq!(usher.exit(STOPS).await.code(), Some(0));
    assert!(!installation.log().contains("panicked"));
    database.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_does_not_wait_for_dead_connections() {
    let signer = Signer::new(7);
    let konnect = signer.serve(&Lifecycle::new()).await;
    let database = TestDatabase::create().await;
    let kafka = TestKafka::start(Broker::InProcess).await;
    let network = Network::to(&database).await;
    let (installation, usher) = start(&network, &database, &konnect, &kafka).await;
    let enough = AtomicBool::new(false);
    let stop = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        network.go_dead();
        // Until nothing that is under way is answered any more.
        tokio::time::sleep(Duration::from_secs(3)).await;
        enough.store(true, Ordering::Relaxed);
    };
    tokio::join!(send(&usher.url, 0, &enough), stop);
    usher.terminate().await;
    assert_eq!(usher.exit(STOPS).await.code(), Some(0));
    assert!(!installation.log().contains("panicked"));
    database.drop().await;
}

/// Less than a statement may wait for its answer, and more than work may stand still.
const TAKEN_UP: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_that_waits_for_a_dead_connection_is_given_up_though_others_live() {
    let database = TestDatabase::create().await;
    let kafka = TestKafka::start(Broker::InProcess).await;
    let network = Network::to(&database).await;
    let journal = Journal::open(&database.url()).unwrap();
    journal.migrate().await.unwrap();
    let since = DateTime::UNIX_EPOCH;
    let activated = journal.activate_reader(ReaderName::Kafka, since).await;
    activated.unwrap();
    let (clock, health) = (Clock::system(), Health::default());
    let ids = Ids::new(clock.clone());
    let over_network = Journal::open(network.url()).unwrap();
    let publisher = Publisher::new(over_network, &kafka.config, ids.clone(), health).unwrap();
    let lifecycle = Lifecycle::new();
    lifecycle.spawn("publish", publisher.run(lifecycle.stopping()));
    let mut record = Record::of(&database).await;
    eventually("it is the publisher's turn", GOES_ON, async || {
        record.rows_of("leases").await == 1
    })
    .await;

    let mut holder = journal.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE repeats IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *holder)
        .await
        .unwrap();
    let raw = Entry::numbered(1).json();
    let batch = NewBatch {
        id: ids.next(),
        source: Source::Webhook,
        lane: Lane::Live,
        part_of: None,
        received_at: clock.now(),
        requests: Vec::new(),
        events: vec![NewEvent {
            event: parse(raw.as_bytes()).unwrap(),
            raw: raw.into(),
            verdict: Verdict::Unsigned,
            request: None,
        }],
        quarantined: Vec::new(),
    };
    journal.append(&batch).await.unwrap();
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("the batch is being read", GOES_ON, async || {
        record.number(waiting).await == 1
    })
    .await;
    network.go_dead();
    network.mend();
    holder.rollback().await.unwrap();
    eventually("kafka is owed nothing", TAKEN_UP, async || {
        record.owed_to_kafka().await == 0
    })
    .await;
    assert_eq!(kafka.messages().await.len(), 1);
    lifecycle.shut_down().await;
    journal.close().await;
    database.drop().await;
}

#[tokio::test]
async fn a_count_that_waits_for_a_dead_connection_is_given_up() {
    let database = TestDatabase::create().await;
    let network = Network::to(&database).await;
    let journal = Journal::open(&database.url()).unwrap();
    journal.migrate().await.unwrap();
    let mut record = Record::of(&database).await;
    record
        .run(
            "INSERT INTO recounts (hour, created_at)
            SELECT date_trunc('hour', now()), now() - interval '1 hour'",
        )
        .await;
    let mut holder = journal.pool().begin().await.unwrap();
    sqlx::query("SELECT FROM recounts FOR UPDATE")
        .execute(&mut *holder)
        .await
        .unwrap();
    let over_network = Journal::open(network.url()).unwrap();
    let lifecycle = Lifecycle::new();
    let keeper = Keeper::new(over_network, Health::default());
    lifecycle.spawn("report", keeper.run(lifecycle.stopping()));
    let waiting = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("the count waits", GOES_ON, async || {
        record.number(waiting).await == 1
    })
    .await;
    network.go_dead();
    network.mend();
    holder.rollback().await.unwrap();
    eventually("the day is counted", GIVEN_UP, async || {
        record.rows_of("recounts").await == 0
    })
    .await;
    lifecycle.shut_down().await;
    journal.close().await;
    database.drop().await;
}

/// Lets everybody in and answers nothing.
async fn silent_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    Lifecycle::new().spawn("silent server", async move {
        let mut sockets = Vec::new();
        while let Ok((mut socket, _)) = listener.accept().await {
            socket.read_buf(&mut Vec::new()).await.unwrap();
            // Authentication is over, and it is ready for a query.
            let welcome = b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I";
            socket.write_all(welcome).await.unwrap();
            sockets.push(socket);
        }
        drop(sockets);
    });
    format!("postgres://usher@{address}/usher?sslmode=disable")
}

#[tokio::test]
async fn a_connection_that_dies_once_it_is_made_holds_no_start_up() {
    let journal = Journal::open(&silent_server().await).unwrap();
    let asked = timeout(ANSWERED, journal.pending_migrations()).await;
    let error = asked.expect("it ends").unwrap_err();
    assert!(error.is_outage(), "{error}");
    let migrated = timeout(ANSWERED, journal.migrate()).await;
    let error = migrated.expect("it ends").unwrap_err();
    assert!(error.is_outage(), "{error}");
}

#[tokio::test]
async fn an_instance_that_waits_to_migrate_gives_a_dead_connection_up() {
    let database = TestDatabase::create().await;
    let network = Network::to(&database).await;
    let mut record = Record::of(&database).await;
    // The lock of another instance that migrates.
    record.run("SELECT pg_advisory_lock(129138533167619)").await;
    let journal = Journal::open(network.url()).unwrap();
    let die = async {
        let asked = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND query LIKE '%pg_try_advisory_lock%'
                AND pid <> pg_backend_pid()";
        eventually("it waits for the lock", GOES_ON, async || {
            record.number(asked).await == 1
        })
        .await;
        network.go_dead();
        network.mend();
    };
    let migrate = async { timeout(GIVEN_UP, journal.migrate()).await };
    let (migrated, ()) = tokio::join!(migrate, die);
    let error = migrated.expect("it ends").unwrap_err();
    assert!(error.is_outage(), "{error}");
    journal.close().await;
    database.drop().await;
}
