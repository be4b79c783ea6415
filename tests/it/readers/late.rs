//! Readers that are added late: they are owed each batch of the past once, and no append waits for
//! it.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta};
use konnect_emulator::Emulator;
use serde_json::json;
use usher::app::Readers;
use usher::http::health::Health;

use crate::readers::{HOLD, KAFKA, PATIENCE, ROUND, Record, look_after};
use crate::support::database::TestDatabase;
use crate::support::process::{Installation, settings};
use crate::support::{eventually, owed_batches, readiness};

/// Which appends share and a change of readers has alone.
const READERS_LOCK: i64 = 0x7573_6865_7202;

/// A record of 300,000 batches, a second apart.
async fn fill(record: &Record) {
    record
        .run(
            "INSERT INTO batches (id, source, lane, received_at, first_event_ts, last_event_ts,
                 stored, duplicates, quarantined, verdicts, requests, created_at)
             SELECT ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'webhook', 'live',
                 now() - make_interval(secs => 300001 - n), now(), now(), 1, 0, 0, '{}', '[]',
                 now() - make_interval(secs => 300001 - n)
             FROM generate_series(1, 300000) AS n",
        )
        .await;
}

#[tokio::test]
async fn a_reader_added_late_holds_no_append_up_and_is_owed_each_batch_once() {
    let record = Record::open().await;
    fill(&record).await;
    let appends = async {
        let mut longest = Duration::ZERO;
        for number in 0..100 {
            let began = Instant::now();
            record.append(number).await;
            longest = longest.max(began.elapsed());
        }
        longest
    };
    let activated = record.journal.activate_reader(KAFKA, DateTime::UNIX_EPOCH);
    let (longest, activated) = tokio::join!(appends, activated);
    activated.unwrap();
    assert!(longest < Duration::from_secs(1), "{longest:?}");

    // One instance is killed in the middle, and two others go on beside each other.
    let health = Health::default();
    let owed = "SELECT count(*) FROM outbox";
    let kafka = || look_after(&record, &health, &[KAFKA], Readers::CHECK_EVERY);
    let (killed, _) = kafka();
    eventually("some of the past is owed", PATIENCE, async || {
        record.number(owed).await > 10_000
    })
    .await;
    let (_, parts) = readiness(&health).await;
    let told = parts["kafka/back-fill"]["detail"].as_str().unwrap();
    assert!(
        told.starts_with("back-filling: ") && told.ends_with(" of 4 days"),
        "{told}"
    );
    killed.abort();
    assert!(killed.await.unwrap_err().is_cancelled());
    assert!(
        record.number(owed).await < 300_000,
        "the kill came too late"
    );
    // What is done meanwhile does not come again.
    let done = record.journal.claim(KAFKA, ROUND, HOLD).await.unwrap();
    record.strike_off(&done).await;
    // Whoever comes while another one fills leaves it to that.
    let mut other = record.journal.pool().begin().await.unwrap();
    let hold = sqlx::query("SELECT FROM readers FOR NO KEY UPDATE");
    hold.execute(&mut *other).await.unwrap();
    assert!(!record.journal.fill_some().await.unwrap());
    other.rollback().await.unwrap();
    // No slice waits for an append that takes long.
    let mut long = record.journal.pool().begin().await.unwrap();
    let append = sqlx::query("SELECT pg_advisory_xact_lock_shared($1)").bind(READERS_LOCK);
    append.execute(&mut *long).await.unwrap();
    assert!(record.journal.fill_some().await.unwrap());
    long.rollback().await.unwrap();
    let running = [kafka(), kafka()];
    // What was received in the past and is stored only now is owed as well, whether the fill has
    // been there or not; and what is received now.
    for (number, hours) in [(100, 82), (101, 1), (102, 0)] {
        record.append_late(number, TimeDelta::hours(hours)).await;
    }
    let lacking = "SELECT count(*) FROM readers WHERE fill_until IS NOT NULL";
    eventually("all of the past is owed", PATIENCE, async || {
        record.number(lacking).await == 0
    })
    .await;
    assert_eq!(record.number(owed).await, 300_103 - ROUND);
    eventually("it is over for whoever asks", PATIENCE, async || {
        readiness(&health).await.1["kafka/back-fill"]["detail"] == ""
    })
    .await;
    for (task, lifecycle) in running {
        lifecycle.stop();
        task.await.unwrap();
    }
    record.end().await;
}

#[tokio::test]
async fn a_database_whose_clock_went_back_leaves_out_nothing_of_a_past() {
    let record = Record::open().await;
    for number in 0..3 {
        record.append(number).await;
    }
    record
        .run("UPDATE batches SET created_at = now() + interval '1 hour'")
        .await;
    let activated = record.journal.activate_reader(KAFKA, DateTime::UNIX_EPOCH);
    activated.await.unwrap();
    assert_eq!(owed_batches(&record.journal, KAFKA).await, 3);
    record.end().await;
}

/// Runs `change` while a transaction that appends stays open, and appends beside it, which must not
/// wait for the two; then ends the transaction.
async fn beside_a_long_append<T>(record: &Record, change: impl Future<Output = T>) -> T {
    let mut long = record.journal.pool().begin().await.unwrap();
    sqlx::query("SELECT pg_advisory_xact_lock_shared($1)")
        .bind(READERS_LOCK)
        .execute(&mut *long)
        .await
        .unwrap();
    let append = async {
        eventually("the change waits for its lock", PATIENCE, async || {
            let waiting =
                "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database
                WHERE datname = current_database() AND locktype = 'advisory' AND NOT granted";
            record.number(waiting).await == 1
        })
        .await;
        let began = Instant::now();
        record.append(100).await;
        let took = began.elapsed();
        long.rollback().await.unwrap();
        took
    };
    let (took, changed) = tokio::join!(append, change);
    assert!(took < Duration::from_secs(5), "an append took {took:?}");
    changed
}

#[tokio::test]
async fn a_change_of_readers_that_waits_for_a_long_append_holds_up_no_other() {
    let record = Record::with_kafka().await;
    record.append(1).await;
    let retired = beside_a_long_append(&record, record.journal.retire_reader("kafka")).await;
    assert!(retired.unwrap().is_some());
    let activate = async || {
        let since = DateTime::UNIX_EPOCH;
        while let Err(error) = record.journal.activate_reader(KAFKA, since).await {
            assert!(error.is_transient(), "{error:?}");
        }
    };
    beside_a_long_append(&record, activate()).await;
    assert_eq!(record.number("SELECT count(*) FROM readers").await, 1);
    record.end().await;
}

#[tokio::test]
async fn trouble_with_a_past_is_logged_once_until_it_is_another() {
    let database = TestDatabase::create().await;
    let emulator = Emulator::start().await.unwrap();
    let mut settings = settings(&database, &emulator.url());
    settings["konnect"]["token"] = json!(emulator.token());
    let mut installation = Installation::new(&settings);
    let usher = installation.start().await;
    database.refuse().await;
    // The outbox is tried every second, a past every two.
    eventually("the database is away for long", PATIENCE, async || {
        usher.log().matches("could not read the outbox").count() > 8
    })
    .await;
    let log = usher.log();
    let said = log
        .lines()
        .filter_map(|line| line.split_once("could not go on with the back-fill of a reader"));
    let troubles: Vec<&str> = said.map(|(_, trouble)| trouble).collect();
    let mut once = troubles.clone();
    once.dedup();
    assert!(!troubles.is_empty());
    assert_eq!(troubles, once);
    usher.kill().await;
    database.allow().await;
    database.drop().await;
}
