//! Readers of the outbox: with much to read, added late, and gone from the configuration.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta};
use konnect_emulator::{Emulator, EmulatorConfig};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use usher::app::Readers;
use usher::clock::{Clock, Ids};
use usher::event::{EventId, Verdict, parse};
use usher::http::health::Health;
use usher::journal::{
    Claims, Journal, Lane, NewBatch, NewEvent, NewVerdict, OutboxRow, ReaderName, Source,
};
use usher::lifecycle::Lifecycle;
use usher::telemetry;

use crate::support::database::TestDatabase;
use crate::support::process::{CONSOLE_TOKEN, Installation, settings};
use crate::support::readiness;
use crate::support::signer::Signer;
use crate::support::{eventually, owed_batches};

const KAFKA: ReaderName = ReaderName::Kafka;
const PATIENCE: Duration = Duration::from_mins(1);
/// Between looks at who is wanted.
const LOOKS: Duration = Duration::from_millis(20);
/// Longer than any test.
const HOLD: Duration = Duration::from_hours(1);
/// Which appends share and a change of readers has alone.
const READERS_LOCK: i64 = 0x7573_6865_7202;
/// Batches in one round of a reader.
const ROUND: i64 = 64;

/// A record of its own.
struct Record {
    database: TestDatabase,
    journal: Journal,
}

impl Record {
    async fn open() -> Self {
        let database = TestDatabase::create().await;
        let journal = Journal::open(&database.url()).unwrap();
        journal.migrate().await.unwrap();
        Self { database, journal }
    }

    async fn with_kafka() -> Self {
        let this = Self::open().await;
        this.journal
            .activate_reader(KAFKA, DateTime::UNIX_EPOCH)
            .await
            .unwrap();
        this
    }

    async fn run(&self, statement: &str) {
        let pool = self.journal.pool();
        sqlx::raw_sql(statement).execute(pool).await.unwrap();
    }

    async fn number(&self, query: &str) -> i64 {
        let pool = self.journal.pool();
        sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
    }

    /// Appends one login and says in which batch.
    async fn append(&self, number: u64) -> (NewBatch, EventId) {
        self.append_late(number, TimeDelta::zero()).await
    }

    /// Appends one login that was received so long ago.
    async fn append_late(&self, number: u64, ago: TimeDelta) -> (NewBatch, EventId) {
        let clock = Clock::system();
        let entry = json!({
            "event_product": "Dev-Portal",
            "event_ts": "2026-06-23T14:28:47Z",
            "name": "AUTHENTICATION_OUTCOME_SUCCESS",
            "portal_id": "7d0f2f4e-1111-4222-8333-444455556666",
            "trace_id": number,
        });
        let raw = entry.to_string().into_bytes();
        let event = parse(&raw).unwrap();
        let id = event.id;
        let batch = NewBatch {
            id: Ids::new(clock.clone()).next(),
            source: Source::Webhook,
            lane: Lane::Live,
            part_of: None,
            received_at: clock.now() - ago,
            requests: Vec::new(),
            events: vec![NewEvent {
                event,
                raw: raw.into(),
                verdict: Verdict::KeyUnknown,
                request: None,
            }],
            quarantined: Vec::new(),
        };
        self.journal.append(&batch).await.unwrap();
        (batch, id)
    }

    /// Has Kafka owed so many batches more, without anybody telling the planner.
    async fn owe(&self, from: i64, to: i64) {
        self.run(&format!(
            "INSERT INTO outbox (reader, batch, lane, first_event_ts, last_event_ts, created_at)
             SELECT 'kafka', ('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid,
                 CASE WHEN n % 2 = 0 THEN 'live' ELSE 'bulk' END, now(), now(), now()
             FROM generate_series({from}::bigint, {to}::bigint) AS n"
        ))
        .await;
    }

    /// How long twenty rounds take.
    async fn rounds(&self) -> Duration {
        let began = Instant::now();
        for _ in 0..20 {
            let rows = self.journal.claim(KAFKA, ROUND, HOLD).await.unwrap();
            assert_eq!(rows.len(), 64);
            self.strike_off(&rows).await;
        }
        began.elapsed()
    }

    async fn strike_off(&self, rows: &[OutboxRow]) {
        let done: Vec<_> = rows.iter().map(OutboxRow::owed).collect();
        self.journal
            .finish_without(KAFKA, &done, &[])
            .await
            .unwrap();
    }

    async fn end(self) {
        self.journal.close().await;
        self.database.drop().await;
    }
}

#[tokio::test]
async fn a_long_backlog_is_drained_as_fast_as_a_short_one() {
    let record = Record::with_kafka().await;
    record.owe(1, 5_000).await;
    // Also what the server remembers of a short one.
    record.rounds().await;
    let short = record.rounds().await.min(record.rounds().await);
    record.owe(5_001, 300_000).await;
    let long = record.rounds().await.min(record.rounds().await);
    // A sort of all that is owed takes fifty times as long.
    assert!(
        short.as_secs_f64() / long.as_secs_f64() >= 0.5,
        "20 rounds took {short:?} of a short backlog and {long:?} of a long one"
    );
    // What is in others' hands is in the way of nobody.
    record
        .run("UPDATE outbox SET claimed_until = now() + interval '1 hour' WHERE lane = 'live' AND batch < '00000000-0000-7000-8000-000000003000'")
        .await;
    let began = Instant::now();
    let readers = record.journal.readers().await.unwrap();
    let took = began.elapsed();
    assert!(took < Duration::from_millis(50), "{took:?}");
    assert!(readers[0].batches >= 10_000, "{readers:?}");
    record.end().await;
}

#[tokio::test]
async fn a_verdict_that_comes_while_a_claim_has_run_out_is_owed_still() {
    let record = Record::with_kafka().await;
    let (batch, event) = record.append(1).await;
    let slow = record
        .journal
        .claim(KAFKA, ROUND, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(slow.len(), 1);
    let verdict = NewVerdict {
        event_ts: slow[0].first_event_ts,
        id: event,
        from: Verdict::KeyUnknown,
        to: Verdict::Verified,
    };
    let settled = record.journal.settle(batch.id, &[verdict]).await.unwrap();
    assert_eq!(settled, Some(1));
    // What the first sent is the old verdict.
    record.strike_off(&slow).await;
    let owed = record.journal.claim(KAFKA, ROUND, HOLD).await.unwrap();
    assert_eq!(owed.len(), 1, "the new verdict is owed to nobody");
    record.strike_off(&owed).await;
    assert_eq!(owed_batches(&record.journal, KAFKA).await, 0);
    record.end().await;
}

#[tokio::test]
async fn holding_on_to_claims_leaves_what_is_put_off_put_off() {
    let record = Record::with_kafka().await;
    record.owe(1, 2).await;
    let rows = record.journal.claim(KAFKA, ROUND, Duration::ZERO).await;
    let rows: Vec<_> = rows.unwrap().iter().map(|row| row.batch).collect();
    record
        .journal
        .release(KAFKA, &rows[..1], HOLD)
        .await
        .unwrap();
    record
        .journal
        .renew_claims(KAFKA, &rows, HOLD / 2)
        .await
        .unwrap();
    let later = "SELECT count(*) FROM outbox WHERE claimed_until > now() + interval '50 minutes'";
    assert_eq!(record.number(later).await, 1);
    let held = "SELECT count(*) FROM outbox WHERE claimed_until > now()";
    assert_eq!(record.number(held).await, 2);
    record.end().await;
}

#[tokio::test]
async fn claims_are_held_on_to_as_long_as_work_goes_on() {
    let record = Record::with_kafka().await;
    record.owe(1, 2).await;
    let hold = Duration::from_secs(2);
    let rows = record.journal.claim(KAFKA, ROUND, hold).await.unwrap();
    let rows: Vec<_> = rows.iter().map(|row| row.batch).collect();
    let claims = Claims::new(record.journal.clone(), KAFKA, hold);
    claims.are(&rows[1..]).await;
    let free = "SELECT count(*) FROM outbox WHERE claimed_until < now()";
    let began = Instant::now();
    // Each of its looks is something that came.
    let work = async {
        while began.elapsed() < hold * 2 {
            record.number(free).await;
        }
    };
    claims.during(hold, work).await;
    assert_eq!(record.number(free).await, 1);
    let let_go = eventually("all are let go", PATIENCE, async || {
        record.number(free).await == 2
    });
    tokio::select! {
        () = claims.during(hold, std::future::pending()) => {}
        () = let_go => {}
    }
    record.end().await;
}

#[tokio::test]
async fn a_reader_that_no_instance_is_configured_with_is_told_and_retired() {
    let record = Record::with_kafka().await;
    record.append(1).await;
    let konnect = Signer::new(7).serve(&Lifecycle::new()).await;
    let mut installation = Installation::new(&settings(&record.database, &konnect));
    let longer = "UPDATE readers SET wanted_at = wanted_at - interval '5 minutes'";
    record.run(longer).await;
    let usher = installation.start().await;
    eventually("it is told that nobody reads", PATIENCE, async || {
        let parts = usher.parts().await;
        let part = &parts["readers"];
        let detail = part["detail"].as_str().unwrap_or_default();
        part["status"] == "degraded" && detail.contains("kafka owes 1 batch and")
    })
    .await;
    usher.terminate().await;
    assert!(usher.exit(PATIENCE).await.success());

    let longer = "UPDATE readers SET wanted_at = wanted_at - interval '10 minutes'";
    record.run(longer).await;
    let recorder = telemetry::metrics::recorder().unwrap();
    let counted = metrics::set_default_local_recorder(&recorder);
    let (door, lifecycle) = look_after(&record, &Health::default(), &[], LOOKS);
    eventually("the reader is retired", PATIENCE, async || {
        record.number("SELECT count(*) FROM readers").await == 0
    })
    .await;
    assert_eq!(record.number("SELECT count(*) FROM outbox").await, 0);
    lifecycle.stop();
    door.await.unwrap();
    drop(counted);
    let metrics = recorder.handle().render();
    assert!(
        metrics.contains("usher_readers_retired_total{reader=\"kafka\"} 1"),
        "{metrics}"
    );
    record.end().await;
}

#[tokio::test]
async fn an_outage_of_the_database_retires_no_reader_in_use() {
    let record = Record::with_kafka().await;
    record.append(1).await;
    let away = "UPDATE readers SET wanted_at = wanted_at - interval '11 minutes'";
    record.run(away).await;
    record.database.refuse().await;
    let health = Health::default();
    // It is configured with no reader, and the first to look.
    let door = look_after(&record, &health, &[], 10 * LOOKS);
    record.database.allow().await;
    eventually("nobody said that they read", PATIENCE, async || {
        let (_, parts) = readiness(&health).await;
        let detail = parts["readers"]["detail"].as_str().unwrap_or_default();
        detail.contains("kafka owes 1 batch and")
    })
    .await;
    let other = look_after(&record, &Health::default(), &[KAFKA], LOOKS);
    eventually("the other one says so", PATIENCE, async || {
        readiness(&health).await.1["readers"]["status"] == "ok"
    })
    .await;
    assert_eq!(record.number("SELECT count(*) FROM outbox").await, 1);
    for (task, lifecycle) in [door, other] {
        lifecycle.stop();
        task.await.unwrap();
    }
    record.end().await;
}

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

/// What an instance that is configured with `wanted` does, running.
fn look_after(
    record: &Record,
    health: &Health,
    wanted: &[ReaderName],
    every: Duration,
) -> (JoinHandle<()>, Lifecycle) {
    let lifecycle = Lifecycle::new();
    let readers = Readers {
        journal: record.journal.clone(),
        wanted: wanted.to_vec(),
        health: health.clone(),
        every,
    };
    let task = lifecycle.spawn("readers", readers.run(lifecycle.stopping()));
    (task, lifecycle)
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
    // What was received in the past and is stored only now is owed as well, whether the fill has been there or not; and
    // what is received now.
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

/// Runs `change` while a transaction that appends stays open, and appends beside it, which must not wait for the two;
/// then ends the transaction.
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
async fn a_look_for_old_batches_locks_none_that_are_not() {
    let record = Record::with_kafka().await;
    for number in 0..3 {
        record.append(number).await;
    }
    let before = DateTime::UNIX_EPOCH;
    let skipped = record.journal.skip_older(KAFKA, before).await.unwrap();
    assert_eq!(skipped, 0);
    let locked = "SELECT count(*) FROM outbox WHERE xmax <> 0";
    assert_eq!(record.number(locked).await, 0);
    record.end().await;
}

#[tokio::test]
async fn readers_are_listed_and_retired_by_hand() {
    let record = Record::with_kafka().await;
    record.append(1).await;
    let installation = Installation::new(&settings(&record.database, "http://127.0.0.1:9"));
    let listed = installation.run(&["readers", "--json"]).await.lines(0);
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0]["reader"], "kafka");
    assert_eq!(listed[0]["batches"], 1);
    let ran = installation.run(&["readers", "retire", "kafca"]).await;
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.err.contains("there is no reader named \"kafca\""),
        "{ran:?}"
    );
    let ran = installation.run(&["readers", "retire", "kafka"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("kafka is retired"), "{ran:?}");
    assert_eq!(record.number("SELECT count(*) FROM outbox").await, 0);
    assert!(
        installation
            .run(&["readers", "--json"])
            .await
            .lines(0)
            .is_empty()
    );
    record.end().await;
}

#[tokio::test]
async fn readers_are_listed_by_the_api_as_by_the_command() {
    let record = Record::with_kafka().await;
    record.append(1).await;
    let now = Clock::system().now();
    let activated = record.journal.activate_reader(ReaderName::React, now).await;
    activated.unwrap();
    let mut settings = settings(&record.database, "http://127.0.0.1:9");
    settings["console"]["tokens"][0]["role"] = json!("reader");
    let mut installation = Installation::new(&settings);
    let usher = installation.start().await;
    let rows = usher.rows("/api/v1/readers").await;
    let names: Vec<&Value> = rows.iter().map(|row| &row["reader"]).collect();
    assert_eq!(names, ["kafka", "react", "report"]);
    assert_eq!(rows[0]["batches"], 1);
    let listed = installation.run(&["readers", "--json"]).await.lines(0);
    assert_eq!(rows, listed);
    // A page of one, and the one after it.
    let first = "/api/v1/readers?limit=1";
    assert_eq!(usher.rows(first).await, rows[..1]);
    let answer = usher.http.get(format!("{}{first}", usher.url));
    let answer = answer.bearer_auth(CONSOLE_TOKEN).send().await.unwrap();
    let page: Value = answer.json().await.unwrap();
    let next = page["meta"]["next"].as_str().unwrap();
    assert_eq!(usher.rows(next).await, rows[1..2]);
    usher.kill().await;
    record.end().await;
}

#[tokio::test]
async fn trouble_with_a_past_is_logged_once_until_it_is_another() {
    let database = TestDatabase::create().await;
    let emulator = Emulator::start(EmulatorConfig::default()).await.unwrap();
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
