//! Faults around usher which no stage has alone: a full disk wherever there is one, a database that
//! comes and goes under load, dates that somebody made up. `main.rs` says where the other faults
//! are.

use std::fs;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::sync::watch;
use usher::journal::{Journal, Retention};
use usher::lifecycle::Lifecycle;

use crate::support::app::{AUTHORIZATION, TestApp, config};
use crate::support::database::TestDatabase;
use crate::support::eventually;
use crate::support::process::{Installation, Process, settings};
use crate::support::record::Record;
use crate::support::sender::{Acknowledged, Sender};
use crate::support::signer::{Entry, Signer};

const PATIENCE: Duration = Duration::from_mins(1);
const NOBODY: &str = "http://127.0.0.1:9";

fn lines(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers
        .map(|number| Entry::numbered(number).json())
        .collect()
}

/// Delivers, and returns the status with `Retry-After`.
async fn deliver(usher: &Process, lines: &[String]) -> (StatusCode, Option<String>) {
    let http = Client::builder().timeout(PATIENCE).build().unwrap();
    let request = http
        .post(format!("{}/audit-logs", usher.url))
        .header("Authorization", AUTHORIZATION)
        .body(lines.join("\n"));
    let answer = request.send().await.unwrap();
    let after = answer.headers().get("retry-after");
    let after = after.map(|after| after.to_str().unwrap().to_owned());
    (answer.status(), after)
}

async fn is_not_ready(usher: &Process) {
    eventually("usher says that it takes nothing", PATIENCE, async || {
        usher.readiness().await == Some(503)
    })
    .await;
}

fn told_to_wait() -> (StatusCode, Option<String>) {
    (StatusCode::TOO_MANY_REQUESTS, Some("30".to_owned()))
}

#[tokio::test]
async fn a_full_disk_under_the_log_ends_nothing() {
    let database = TestDatabase::create().await;
    let mut settings = settings(&database, NOBODY);
    // Where it listens is only in the log.
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    settings["http"]["listen"] = json!(address);
    let mut usher = Installation::new(&settings);
    let mut process = usher.launch_without_log();
    process.url = format!("http://{address}");
    process.is_ready().await;
    assert_eq!(process.deliver(&lines(0..10)).await, Some(StatusCode::OK));
    process.terminate().await;
    assert_eq!(process.exit(PATIENCE).await.code(), Some(0));
    database.drop().await;
}

#[tokio::test]
async fn from_the_first_moment_it_is_not_ready_until_its_database_is() {
    let database = TestDatabase::create().await;
    database.refuse().await;
    let mut installation = Installation::new(&settings(&database, NOBODY));
    let mut usher = installation.launch();
    usher.listens().await;
    for _ in 0..100 {
        assert_eq!(usher.readiness().await, Some(503));
    }
    assert_eq!(deliver(&usher, &lines(0..1)).await, told_to_wait());
    database.allow().await;
    usher.is_ready().await;
    assert_eq!(deliver(&usher, &lines(0..1)).await.0, StatusCode::OK);
    usher.terminate().await;
    assert_eq!(usher.exit(PATIENCE).await.code(), Some(0));
    database.drop().await;
}

/// Lets usher's files grow to `most` and no further: every user may do that, and a write is cut in
/// the middle as on a full disk.
async fn limit_files(usher: &Process, most: &str) {
    let limited = Command::new("prlimit")
        .args(["--pid", &usher.id().to_string()])
        .arg(format!("--fsize={most}:unlimited"))
        .status();
    assert!(limited.await.unwrap().success());
}

#[tokio::test]
async fn a_disk_that_fills_up_under_the_spool_is_told_and_mends() {
    let database = TestDatabase::create().await;
    let mut settings = settings(&database, NOBODY);
    let home = TempDir::new().unwrap();
    let spool = home.path().join("spool");
    settings["spool"] = json!({ "dir": spool });
    let mut installation = Installation::new(&settings);
    // Else the limit would end the process by a signal.
    let mut usher = installation.launch_by("/usr/bin/env", "--ignore-signal=XFSZ");
    usher.listens().await;
    usher.is_ready().await;
    let spooled = || fs::read_dir(&spool).unwrap().count() - 1;

    database.refuse().await;
    assert_eq!(deliver(&usher, &lines(0..1)).await.0, StatusCode::ACCEPTED);
    limit_files(&usher, "16384").await;
    assert_eq!(deliver(&usher, &lines(1..100)).await, told_to_wait());
    is_not_ready(&usher).await;
    assert_eq!(spooled(), 1, "nothing is left of what was cut");

    limit_files(&usher, "unlimited").await;
    usher.is_ready().await;
    assert_eq!(
        deliver(&usher, &lines(1..100)).await.0,
        StatusCode::ACCEPTED
    );
    database.allow().await;
    eventually("the spool is empty", PATIENCE, async || spooled() == 0).await;
    let mut record = Record::of(&database).await;
    assert_eq!(record.event_ids().await.len(), 100);
    usher.kill().await;
    assert!(!installation.log().contains("panicked"));
    database.drop().await;
}

/// Makes the server answer every delivery as it does when its disk is full.
const FILL: &str = "
    CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE disk_full USING MESSAGE = 'could not extend file: No space left on device'; END $$;
    CREATE TRIGGER fill BEFORE INSERT ON batches FOR EACH STATEMENT EXECUTE FUNCTION fill()";

#[tokio::test]
async fn a_full_disk_under_the_database_is_told_and_mends() {
    tokio::join!(full_database(false), full_database(true));
}

async fn full_database(with_spool: bool) {
    let database = TestDatabase::create().await;
    let mut settings = settings(&database, NOBODY);
    let home = TempDir::new().unwrap();
    if with_spool {
        settings["spool"] = json!({ "dir": home.path().join("spool") });
    }
    let mut installation = Installation::new(&settings);
    let usher = installation.start().await;
    let mut record = Record::of(&database).await;
    eventually("the record takes deliveries", PATIENCE, async || {
        deliver(&usher, &[]).await.0 == StatusCode::OK
    })
    .await;

    record.run(FILL).await;
    let answer = deliver(&usher, &lines(0..50)).await;
    if with_spool {
        assert_eq!(answer.0, StatusCode::ACCEPTED);
    } else {
        assert_eq!(answer, told_to_wait());
        is_not_ready(&usher).await;
        assert_eq!(deliver(&usher, &lines(0..50)).await, told_to_wait());
    }
    assert_eq!(record.event_ids().await.len(), 0);

    record.run("DROP TRIGGER fill ON batches").await;
    if !with_spool {
        usher.is_ready().await;
        assert_eq!(deliver(&usher, &lines(0..50)).await.0, StatusCode::OK);
    }
    eventually("all is stored", PATIENCE, async || {
        record.event_ids().await.len() == 50
    })
    .await;
    usher.kill().await;
    database.drop().await;
}

#[tokio::test]
async fn a_database_that_comes_and_goes_under_load_loses_nothing_that_was_acknowledged() {
    tokio::join!(comes_and_goes(false), comes_and_goes(true));
}

async fn comes_and_goes(with_spool: bool) {
    let signer = Signer::new(7);
    let database = TestDatabase::create().await;
    let mut settings = settings(&database, &signer.serve(&Lifecycle::new()).await);
    let home = TempDir::new().unwrap();
    let spool = home.path().join("spool");
    if with_spool {
        settings["spool"] = json!({ "dir": spool });
    }
    let mut installation = Installation::new(&settings);
    let usher = installation.start().await;
    let acknowledged = Acknowledged::default();
    let enough = AtomicBool::new(false);
    let url = watch::Sender::new(usher.url.clone());
    let senders = [(0, 1), (1_000_000, 30)]
        .map(|(first, size)| Sender::new(&signer, first, size, &acknowledged));
    let outages = async {
        for _ in 0..2 {
            acknowledged.go_on(100).await;
            database.refuse().await;
            if with_spool {
                acknowledged.go_on(200).await;
            } else {
                is_not_ready(&usher).await;
            }
            database.allow().await;
            usher.is_ready().await;
        }
        acknowledged.go_on(100).await;
        enough.store(true, Ordering::Relaxed);
    };
    let [one, two] = &senders;
    tokio::join!(
        outages,
        one.send_all(url.subscribe(), &enough),
        two.send_all(url.subscribe(), &enough),
    );
    eventually("nothing waits in the spool", PATIENCE, async || {
        !with_spool || fs::read_dir(&spool).unwrap().count() == 1
    })
    .await;
    let stored = Record::of(&database).await.event_ids().await;
    assert_eq!(stored, acknowledged.into_ids());
    usher.kill().await;
    assert!(!installation.log().contains("panicked"));
    database.drop().await;
}

#[tokio::test]
async fn a_long_report_holds_nobody_up() {
    let app = TestApp::start(config(NOBODY)).await;
    let this_month = lines(0..100);
    assert_eq!(app.deliver(&this_month).await.0, StatusCode::OK);
    let mut report = Record::of(&app.database).await;
    // A month is not dropped before it is counted.
    eventually("it is counted", PATIENCE, async || {
        let counted = "SELECT count(*) FROM report_progress
            WHERE counted_to IS NULL AND NOT EXISTS (SELECT FROM outbox)";
        report.number(counted).await == 1
    })
    .await;
    // It has read every month there is, and is not done.
    report.run("BEGIN ISOLATION LEVEL REPEATABLE READ").await;
    assert_eq!(report.number("SELECT count(*) FROM events").await, 100);

    let upkeep = Journal::open(&app.database.url()).unwrap();
    let retention = Retention {
        events: Duration::from_hours(24),
        quarantine: Duration::from_hours(24),
        batches: Duration::from_hours(24),
        told: Duration::from_hours(24),
    };
    let long_ago = |date: &str| {
        let lines = lines(100..200);
        let moved = lines.iter().map(|line| line.replace("2026-06-23", date));
        moved.collect::<Vec<String>>()
    };
    let in_ten_years = "2036-01-01T00:00:00Z".parse().unwrap();
    let deliveries = async {
        let mut look = Record::of(&app.database).await;
        eventually("a month is to go", PATIENCE, async || {
            let pending = "SELECT count(*) FROM pg_inherits WHERE inhdetachpending";
            look.number(pending).await == 1
        })
        .await;
        // Known ones, new ones, and some for months that must be made while a month that is read is
        // to go.
        for lines in [
            &this_month,
            &lines(200..300),
            &long_ago("2021-03-01"),
            &long_ago("2022-03-01"),
        ] {
            let started = Instant::now();
            assert_eq!(app.deliver(lines).await.0, StatusCode::OK);
            let took = started.elapsed();
            assert!(took < Duration::from_secs(8), "{took:?}");
        }
        report.run("ROLLBACK").await;
    };
    let (round, ()) = tokio::join!(upkeep.tidy_up(&retention, in_ten_years), deliveries);
    let round = round.unwrap();
    assert!(
        round.dropped.contains(&"events_2026_06".to_owned()),
        "{round:?}"
    );
    upkeep.close().await;
    app.finish().await;
}

#[tokio::test]
async fn forged_dates_by_the_thousand_are_stored_in_a_bounded_number_of_partitions() {
    let app = TestApp::start(config(NOBODY)).await;
    let mut record = Record::of(&app.database).await;
    // Every month of four centuries.
    let forged: Vec<String> = (0..4_800)
        .map(|number| {
            let date = format!("{:04}-{:02}-11", 1800 + number / 12, 1 + number % 12);
            let entry = Entry::numbered(number).json();
            entry.replace("2026-06-23", &date)
        })
        .collect();
    let forge = async {
        for lines in forged.chunks(400) {
            eventually("it is taken", PATIENCE, async || {
                app.deliver(lines).await.0 == StatusCode::OK
            })
            .await;
        }
    };
    // Making so many months takes a slow machine long enough to ask a sender to come again.
    let others = async {
        for number in 10_000..10_020 {
            let lines = lines(number..number + 1);
            eventually("somebody else is heard", PATIENCE, async || {
                app.deliver(&lines).await.0 == StatusCode::OK
            })
            .await;
        }
    };
    tokio::join!(forge, others);
    let (events, aside) = (
        record.number("SELECT count(*) FROM events").await,
        record.number("SELECT count(*) FROM quarantine").await,
    );
    assert_eq!((events, aside), (4_820, 0));
    let partitions = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass";
    let partitions = record.number(partitions).await;
    assert!(partitions <= 20 * 12 + 2, "{partitions} partitions");
    app.finish().await;
}
