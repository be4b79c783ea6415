//! What grows old: months that are dropped, rows that are deleted, and a schema that changes under
//! several instances. Real Postgres, real transactions in the way.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};
use sqlx::{Connection, PgConnection};
use tokio::process::Command;
use usher::act::Queue;
use usher::app::Upkeep;
use usher::clock::{Clock, Ids};
use usher::config::RetentionConfig;
use usher::directory::Directory;
use usher::event::{OwnEvent, Verdict};
use usher::journal::{
    Appended, EventFilter, Journal, Lane, Lease, NewBatch, NewEvent, ReaderName, RequestRecord,
    Retention, SLICE, Source,
};
use uuid::Uuid;

use crate::support::database::TestDatabase;
use crate::support::eventually;

const FAST: Duration = Duration::from_secs(20);
const DAY: Duration = Duration::from_hours(24);

fn at(time: &str) -> DateTime<Utc> {
    time.parse().unwrap()
}

/// 400 days before it lie in the middle of October 2025.
fn now() -> DateTime<Utc> {
    at("2026-11-15T12:00:00Z")
}

fn retention() -> Retention {
    Retention {
        events: 400 * DAY,
        quarantine: 90 * DAY,
        batches: 90 * DAY,
        told: 90 * DAY,
    }
}

/// A record with a database of its own.
struct Archive {
    database: TestDatabase,
    journal: Journal,
    ids: Ids,
}

impl Archive {
    async fn open() -> Self {
        let database = TestDatabase::create().await;
        let journal = Journal::open(&database.url()).unwrap();
        journal.migrate().await.unwrap();
        journal.make_partitions_ahead(now()).await.unwrap();
        let ids = Ids::new(Clock::system());
        Self {
            database,
            journal,
            ids,
        }
    }

    /// One delivery, received at `received_at`, with an event at each of `times`.
    async fn deliver(&self, received_at: DateTime<Utc>, times: &[&str]) -> (Uuid, Appended) {
        let events: Vec<NewEvent> = times.iter().map(|time| self.event(at(time))).collect();
        let batch = NewBatch {
            id: self.ids.next(),
            source: Source::Webhook,
            lane: Lane::Live,
            part_of: None,
            received_at,
            requests: vec![RequestRecord {
                id: self.ids.next(),
                received_at,
                peer: "192.0.2.7".to_owned(),
                encoding: String::new(),
                body_bytes: 1,
                inflated_bytes: 1,
                status: 200,
                received: events.len(),
                stored: 0,
                duplicates: 0,
                quarantined: 0,
            }],
            events,
            quarantined: Vec::new(),
        };
        let appended = self.journal.append(&batch).await.unwrap();
        (batch.id, appended)
    }

    fn event(&self, occurred_at: DateTime<Utc>) -> NewEvent {
        let (raw, event) = OwnEvent {
            name: "custom.match_played".to_owned(),
            portal_id: Uuid::nil().to_string(),
            principal_id: None,
            object: self.ids.next().to_string(),
            revision: 1,
            occurred_at,
            data: Map::new(),
        }
        .build();
        NewEvent {
            event,
            raw: raw.into(),
            verdict: Verdict::Unsigned,
            request: Some(0),
        }
    }

    async fn connect(&self) -> PgConnection {
        PgConnection::connect(&self.database.url()).await.unwrap()
    }

    async fn run(&self, statement: &'static str) {
        sqlx::raw_sql(statement)
            .execute(self.journal.pool())
            .await
            .unwrap();
    }

    async fn number(&self, question: &'static str) -> i64 {
        sqlx::query_scalar(question)
            .fetch_one(self.journal.pool())
            .await
            .unwrap()
    }

    /// Years and months of the stored events.
    async fn months(&self) -> Vec<String> {
        sqlx::query_scalar(
            "SELECT to_char(event_ts AT TIME ZONE 'UTC', 'YYYY-MM') FROM events ORDER BY event_ts",
        )
        .fetch_all(self.journal.pool())
        .await
        .unwrap()
    }

    /// Waits until a month is half detached.
    async fn is_detaching(&self) {
        eventually("a month is being detached", FAST, async || {
            self.number("SELECT count(*) FROM pg_inherits WHERE inhdetachpending")
                .await
                == 1
        })
        .await;
    }

    fn upkeep(&self, journal: Journal) -> Upkeep {
        self.upkeep_by(Clock::system(), journal)
    }

    fn upkeep_by(&self, clock: Clock, journal: Journal) -> Upkeep {
        Upkeep {
            actions: Queue::new(journal.clone(), clock.clone(), self.ids.clone()),
            directory: Directory::new(journal.clone(), clock.clone(), self.ids.clone()),
            journal,
            retention: RetentionConfig::default(),
            clock,
            holder: self.ids.next(),
        }
    }

    async fn close(self) {
        self.journal.close().await;
        self.database.drop().await;
    }
}

#[tokio::test]
async fn a_month_is_dropped_once_all_of_it_is_too_old() {
    let archive = Archive::open().await;
    let times = [
        "2025-08-31T23:59:59Z",
        "2025-10-01T00:00:00Z",
        "2026-11-15T11:00:00Z",
    ];
    archive.deliver(now(), &times).await;
    let round = archive.journal.tidy_up(&retention(), now()).await.unwrap();
    assert_eq!(round.dropped, ["events_2025_08"]);
    assert!(
        round.owed.is_empty() && round.unfinished.is_empty(),
        "{round:?}"
    );
    assert_eq!(archive.months().await, ["2025-10", "2026-11"]);

    // This journal still believes in the month; a late entry makes it anew.
    let (_, appended) = archive.deliver(now(), &["2025-08-02T00:00:00Z"]).await;
    assert_eq!(appended.stored, 1);
    let later = now() + TimeDelta::days(25);
    let round = archive.journal.tidy_up(&retention(), later).await.unwrap();
    assert_eq!(round.dropped, ["events_2025_08", "events_2025_10"]);
    archive.close().await;
}

#[tokio::test]
async fn a_month_that_a_reader_is_owed_stays() {
    let archive = Archive::open().await;
    let kafka = ReaderName::Kafka;
    archive
        .journal
        .activate_reader(kafka, DateTime::UNIX_EPOCH)
        .await
        .unwrap();
    let old = ["2025-02-10T00:00:00Z", "2025-04-10T00:00:00Z"];
    archive.deliver(now(), &old).await;
    let round = archive.journal.tidy_up(&retention(), now()).await.unwrap();
    assert!(round.dropped.is_empty(), "{round:?}");
    assert_eq!(round.owed, ["events_2025_02", "events_2025_04"]);
    let claimed = archive.journal.claim(kafka, 1, DAY).await.unwrap();
    assert_eq!(
        archive.journal.events_of(&claimed[0]).await.unwrap().len(),
        2
    );

    archive
        .journal
        .finish(kafka, &[claimed[0].owed()])
        .await
        .unwrap();
    let round = archive.journal.tidy_up(&retention(), now()).await.unwrap();
    assert_eq!(round.dropped, round_of(&old), "{round:?}");
    archive.close().await;
}

#[tokio::test]
async fn a_month_that_a_reader_will_be_owed_once_its_past_is_complete_stays() {
    let archive = Archive::open().await;
    archive.deliver(now(), &["2025-02-10T00:00:00Z"]).await;
    archive
        .run(
            "INSERT INTO readers (name, since, filled_at, filled_id, fill_until)
             SELECT 'kafka', 'epoch', 'epoch', '00000000-0000-0000-0000-000000000000', received_at
             FROM batches",
        )
        .await;
    let round = archive.journal.tidy_up(&retention(), now()).await.unwrap();
    assert!(round.dropped.is_empty(), "{round:?}");
    assert!(archive.journal.fill_some().await.unwrap());
    assert!(!archive.journal.fill_some().await.unwrap());
    let owed = archive.journal.claim(ReaderName::Kafka, 10, DAY).await;
    assert_eq!(owed.unwrap().len(), 1);
    archive.close().await;
}

fn round_of(times: &[&str]) -> Vec<String> {
    let month = |time: &&str| format!("events_{}_{}", &time[..4], &time[5..7]);
    times.iter().map(month).collect()
}

#[tokio::test]
async fn ingest_goes_on_while_a_long_read_holds_an_old_month() {
    let archive = Archive::open().await;
    archive.deliver(now(), &["2025-02-10T00:00:00Z"]).await;
    let mut reader = archive.connect().await;
    let mut report = reader.begin().await.unwrap();
    sqlx::query("SELECT FROM events")
        .execute(&mut *report)
        .await
        .unwrap();

    let ingest = async {
        archive.is_detaching().await;
        let started = Instant::now();
        // One month is being dropped, one is there, one must be made.
        let times = [
            "2025-02-11T00:00:00Z",
            "2026-11-15T11:00:00Z",
            "2031-05-05T00:00:00Z",
        ];
        let (_, appended) = archive.deliver(now(), &times).await;
        assert_eq!((appended.stored, appended.quarantined), (2, 1));
        assert!(
            started.elapsed() < Duration::from_secs(5),
            "{:?}",
            started.elapsed()
        );
        let kept: (String, Vec<u8>) = sqlx::query_as("SELECT reason, raw FROM quarantine")
            .fetch_one(archive.journal.pool())
            .await
            .unwrap();
        assert_eq!(kept.0, "month_dropped");
        assert!(kept.1.starts_with(b"{"), "the entry's own bytes are kept");
        report.rollback().await.unwrap();
    };
    let retention = retention();
    let (round, ()) = tokio::join!(archive.journal.tidy_up(&retention, now()), ingest);
    assert_eq!(round.unwrap().dropped, ["events_2025_02"]);
    assert_eq!(archive.months().await, ["2026-11", "2031-05"]);
    reader.close().await.unwrap();
    archive.close().await;
}

#[tokio::test]
async fn a_detachment_that_was_cut_is_finished_by_a_later_round() {
    let archive = Archive::open().await;
    archive
        .deliver(now(), &["2025-02-10T00:00:00Z", "2025-03-10T00:00:00Z"])
        .await;
    let mut reader = archive.connect().await;
    let mut report = reader.begin().await.unwrap();
    sqlx::query("SELECT FROM events")
        .execute(&mut *report)
        .await
        .unwrap();

    let cut = async {
        archive.is_detaching().await;
        archive
            .run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND query LIKE '%DETACH PARTITION%'
                     AND pid <> pg_backend_pid()",
            )
            .await;
    };
    let retention = retention();
    let (round, ()) = tokio::join!(archive.journal.tidy_up(&retention, now()), cut);
    assert!(round.unwrap_err().is_transient());
    archive.is_detaching().await;

    // As long as the report runs, a round waits a moment, leaves it, and does the rest.
    let round = archive.journal.tidy_up(&retention, now()).await.unwrap();
    assert_eq!(round.unfinished, ["events_2025_02"]);
    assert!(round.dropped.is_empty(), "{round:?}");

    report.rollback().await.unwrap();
    let round = archive.journal.tidy_up(&retention, now()).await.unwrap();
    assert_eq!(round.dropped, ["events_2025_02", "events_2025_03"]);
    reader.close().await.unwrap();
    archive.close().await;
}

#[tokio::test]
async fn a_detached_month_comes_back_when_it_is_owed_and_others_tables_are_left_alone() {
    let archive = Archive::open().await;
    let kafka = ReaderName::Kafka;
    archive
        .journal
        .activate_reader(kafka, DateTime::UNIX_EPOCH)
        .await
        .unwrap();
    archive
        .deliver(now(), &["2025-02-10T00:00:00Z", "2025-03-10T00:00:00Z"])
        .await;
    // A process died between the detachment and the drop; an operator keeps another month.
    archive
        .run(
            "ALTER TABLE events DETACH PARTITION events_2025_02;
             COMMENT ON TABLE events_2025_02 IS 'usher drops this month';
             ALTER TABLE events DETACH PARTITION events_2025_03",
        )
        .await;
    let round = archive.journal.tidy_up(&retention(), now()).await.unwrap();
    assert_eq!(round.owed, ["events_2025_02"]);
    assert_eq!(archive.months().await, ["2025-02"]);

    let owed = archive.journal.claim(kafka, 10, DAY).await.unwrap();
    archive
        .journal
        .finish(kafka, &[owed[0].owed()])
        .await
        .unwrap();
    let round = archive.journal.tidy_up(&retention(), now()).await.unwrap();
    assert_eq!(round.dropped, ["events_2025_02"]);
    assert_eq!(
        archive.number("SELECT count(*) FROM events_2025_03").await,
        1
    );
    archive.close().await;
}

#[tokio::test]
async fn rows_go_when_they_are_old_and_nobody_needs_them() {
    let archive = Archive::open().await;
    let kafka = ReaderName::Kafka;
    let long_ago = at("2025-03-01T00:00:00Z");
    let last_spring = at("2026-04-01T00:00:00Z");
    // Times that no month of the past holds: only their receipt tells their age.
    let odd = [
        "1970-01-01T00:00:00Z",
        "2038-02-02T00:00:00Z",
        "2044-01-01T00:00:00Z",
    ];
    let (gone, _) = archive.deliver(long_ago, &odd).await;
    let (emptied, _) = archive.deliver(last_spring, &odd).await;
    archive
        .journal
        .activate_reader(kafka, last_spring + TimeDelta::days(1))
        .await
        .unwrap();
    let (owed, _) = archive
        .deliver(last_spring, &["2026-04-01T00:00:00Z"])
        .await;
    let (fresh, _) = archive.deliver(now(), &odd).await;
    let claimed = archive
        .journal
        .claim(kafka, 10, Duration::ZERO)
        .await
        .unwrap();
    let done = claimed.iter().find(|row| row.batch == fresh).unwrap();
    archive.journal.finish(kafka, &[done.owed()]).await.unwrap();
    archive
        .run(
            "INSERT INTO quarantine (id, received_at, batch, reason, detail, raw, raw_bytes)
             SELECT gen_random_uuid(), at, gen_random_uuid(), 'empty', '', '', 0
             FROM (VALUES ('2026-08-01'::timestamptz, 12345), ('2026-11-01', 7)) AS t (at, rows),
                 generate_series(1, rows);
             INSERT INTO leases (name, holder, expires_at)
             VALUES ('old', gen_random_uuid(), now() - interval '3 days'),
                 ('held', gen_random_uuid(), now() + interval '1 min')",
        )
        .await;
    let round = archive.journal.tidy_up(&retention(), now()).await.unwrap();
    // 12,345 of quarantine, 3 events, their batch, the requests of two batches, a lease.
    assert_eq!(round.rows, 12_345 + 3 + 1 + 2 + 1, "{round:?}");
    assert!(
        round.rows > 2 * SLICE.unsigned_abs(),
        "it took several slices"
    );
    assert_eq!(archive.number("SELECT count(*) FROM quarantine").await, 7);
    assert_eq!(archive.number("SELECT count(*) FROM leases").await, 1);
    assert_eq!(archive.number("SELECT count(*) FROM events").await, 7);
    let rows: Vec<(Uuid, bool)> =
        sqlx::query_as("SELECT id, requests <> '[]' FROM batches ORDER BY id")
            .fetch_all(archive.journal.pool())
            .await
            .unwrap();
    assert!(rows.iter().all(|(id, _)| *id != gone));
    assert_eq!(rows, [(emptied, false), (owed, true), (fresh, true)]);
    // Their events can still be owed to a reader that comes later.
    archive.journal.retire_reader("kafka").await.unwrap();
    archive
        .journal
        .activate_reader(kafka, DateTime::UNIX_EPOCH)
        .await
        .unwrap();
    let claimed = archive.journal.claim(kafka, 10, DAY).await.unwrap();
    assert_eq!(claimed.len(), 3);
    let row = claimed.iter().find(|row| row.batch == emptied).unwrap();
    assert_eq!(archive.journal.events_of(row).await.unwrap().len(), 3);
    archive.close().await;
}

#[tokio::test]
async fn actions_go_with_their_attempts_once_they_ended_long_ago() {
    let archive = Archive::open().await;
    archive
        .run(
            "INSERT INTO actions
                 (id, rule, deed, deed_key, spec, target_kind, target_id, portal_id, signal,
                  signal_key, state, causes, facts, chain_id, step, limit_per_hour, on_limit,
                  next_attempt_at, updated_at, lease, leased_until)
             SELECT gen_random_uuid(), 'r', 'park', 'park', '{}', 'developer', gen_random_uuid(),
                 gen_random_uuid(), 'developer.signed_up', 'k', state, '{}', '{}',
                 gen_random_uuid(), 0, 0, 'park', at, at,
                 CASE WHEN state = 'running' THEN gen_random_uuid() END,
                 CASE WHEN state = 'running' THEN at END
             FROM UNNEST(ARRAY['planned', 'running', 'done', 'refused', 'parked', 'failed',
                     'cancelled', 'shadow']) AS state,
                 (VALUES (now() - interval '120 days'), (now() - interval '14 days')) AS t (at);
             INSERT INTO attempts (action, number, started_at, ended_at, outcome)
             SELECT id, 1, updated_at, updated_at, 'ok' FROM actions;
             -- A follower that is still open needs to know how this one ended.
             UPDATE actions SET waits_for = (
                 SELECT id FROM actions WHERE state = 'done' ORDER BY updated_at LIMIT 1
             )
             WHERE state = 'planned'",
        )
        .await;
    archive
        .upkeep(archive.journal.clone())
        .round()
        .await
        .unwrap();
    let left: Vec<(String, i64)> = sqlx::query_as(
        "SELECT a.state, count(t.number) FROM actions a LEFT JOIN attempts t ON t.action = a.id
         WHERE a.updated_at < now() - interval '60 days' GROUP BY a.state ORDER BY a.state",
    )
    .fetch_all(archive.journal.pool())
    .await
    .unwrap();
    let expected = ["done", "parked", "planned", "running"].map(|state| (state.to_owned(), 1));
    assert_eq!(left, expected);
    assert_eq!(archive.number("SELECT count(*) FROM actions").await, 12);
    assert_eq!(archive.number("SELECT count(*) FROM attempts").await, 12);
    archive.close().await;
}

#[tokio::test]
async fn an_instance_whose_clock_is_wrong_drops_no_month() {
    let archive = Archive::open().await;
    let today = Clock::system().now();
    let recently = (today - TimeDelta::days(70)).to_rfc3339();
    archive
        .deliver(today, &[&recently, "2024-03-10T00:00:00Z"])
        .await;
    let by = |off: TimeDelta| {
        let clock = Clock::from_fn(move || Clock::system().now() + off);
        archive.upkeep_by(clock, archive.journal.clone())
    };
    for off in [
        TimeDelta::days(400),
        TimeDelta::days(-400),
        TimeDelta::hours(2),
    ] {
        assert_eq!(by(off).round().await.unwrap(), None, "off by {off}");
    }
    assert_eq!(archive.number("SELECT count(*) FROM events").await, 2);
    // Those that agree go by the database's.
    let round = by(TimeDelta::minutes(50)).round().await.unwrap().unwrap();
    assert_eq!(round.dropped, ["events_2024_03"]);
    assert_eq!(archive.number("SELECT count(*) FROM events").await, 1);
    archive.close().await;
}

#[tokio::test]
async fn one_instance_at_a_time_keeps_house() {
    let archive = Archive::open().await;
    archive
        .deliver(now(), &["2025-02-10T00:00:00Z", "2025-03-10T00:00:00Z"])
        .await;
    let mut reader = archive.connect().await;
    let mut report = reader.begin().await.unwrap();
    sqlx::query("SELECT FROM events")
        .execute(&mut *report)
        .await
        .unwrap();

    let first = archive.upkeep(archive.journal.clone());
    let journal = Journal::open(&archive.database.url()).unwrap();
    let second = archive.upkeep(journal.clone());
    let meanwhile = async {
        archive.is_detaching().await;
        let round = second.round().await.unwrap();
        report.rollback().await.unwrap();
        round
    };
    let (first_round, second_round) = tokio::join!(first.round(), meanwhile);
    assert_eq!(
        first_round.unwrap().unwrap().dropped,
        ["events_2025_02", "events_2025_03"]
    );
    assert_eq!(second_round, None);
    // The first gave the lease up.
    assert_eq!(second.round().await.unwrap().unwrap().dropped, [""; 0]);
    let lease = Lease {
        name: "upkeep".to_owned(),
        holder: archive.ids.next(),
        ttl: DAY,
    };
    assert!(archive.journal.hold(&lease).await.unwrap());
    reader.close().await.unwrap();
    journal.close().await;
    archive.close().await;
}

#[tokio::test]
async fn the_months_that_are_ready_are_counted() {
    let archive = Archive::open().await;
    for (time, ahead) in [
        ("2026-11-15T12:00:00Z", 3),
        ("2027-01-31T23:59:59Z", 1),
        ("2027-02-01T00:00:00Z", 0),
        ("2030-01-01T00:00:00Z", 0),
    ] {
        let counted = archive.journal.months_ahead(at(time)).await.unwrap();
        assert_eq!(counted, ahead, "{time}");
    }
    archive.close().await;
}

/// Runs the binary against `database` and waits for its end.
async fn usher(arguments: &[&str], database: &TestDatabase) -> Output {
    let run = Command::new(env!("CARGO_BIN_EXE_usher"))
        .args(arguments)
        .env_clear()
        .env("USHER_DATABASE__URL", database.url())
        .env("USHER_HTTP__LISTEN", "127.0.0.1:0")
        .env("USHER_INGEST__AUTHORIZATION", r#"["Bearer x"]"#)
        .env("USHER_KONNECT__BASE_URL", "http://127.0.0.1:9")
        .env("USHER_TELEMETRY__LOG", "error")
        .current_dir("/")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(FAST, run).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_its_tables_are_made_the_record_is_away_and_refuses_nothing() {
    let database = TestDatabase::create().await;
    let journal = Journal::open(&database.url()).unwrap();
    let searched = journal.search(&EventFilter::default(), None, 1).await;
    let error = searched.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    journal.migrate().await.unwrap();
    let searched = journal.search(&EventFilter::default(), None, 1).await;
    assert!(searched.unwrap().is_empty());
    journal.close().await;
    database.drop().await;
}

#[tokio::test]
async fn instances_that_start_at_once_migrate_once() {
    let database = TestDatabase::create().await;
    let plan = usher(&["migrate", "--plan", "--json"], &database).await;
    assert_eq!(plan.status.code(), Some(3));
    let lines: Vec<Value> = String::from_utf8(plan.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["version"], 20_261_121_000_001_i64);
    assert_eq!(lines[0]["description"], "create batches");

    let journals = [0; 3].map(|_| Journal::open(&database.url()).unwrap());
    let (first, second, third, fourth, fifth) = tokio::join!(
        usher(&["migrate"], &database),
        usher(&["migrate"], &database),
        journals[0].migrate(),
        journals[1].migrate(),
        journals[2].migrate(),
    );
    for run in [first, second] {
        assert_eq!(run.status.code(), Some(0), "{run:?}");
        assert_eq!(run.stdout, b"the schema is up to date\n");
    }
    for migrated in [third, fourth, fifth] {
        migrated.unwrap();
    }
    let applied: i64 = sqlx::query_scalar("SELECT count(*) FROM _sqlx_migrations WHERE success")
        .fetch_one(journals[0].pool())
        .await
        .unwrap();
    assert_eq!(usize::try_from(applied).unwrap(), lines.len());
    let plan = usher(&["migrate", "--plan"], &database).await;
    assert_eq!(plan.status.code(), Some(0));
    assert_eq!(plan.stdout, b"the schema is up to date\n");
    for journal in &journals {
        journal.close().await;
    }
    database.drop().await;
}

#[tokio::test]
async fn a_schema_of_a_newer_usher_is_refused() {
    let archive = Archive::open().await;
    archive
        .run(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             VALUES (29990101000000, 'of the future', true, '', 0)",
        )
        .await;
    for arguments in [&["serve"][..], &["migrate"], &["migrate", "--plan"]] {
        let run = usher(arguments, &archive.database).await;
        assert_eq!(run.status.code(), Some(1), "{arguments:?}: {run:?}");
        let said = String::from_utf8(run.stderr).unwrap();
        let last = said.lines().last().unwrap();
        assert!(
            last.contains("the schema is newer than this usher: it is at 29990101000000"),
            "{arguments:?}: {said}"
        );
    }
    // Nobody was left waiting for a lock that a refused usher took.
    archive
        .run("DELETE FROM _sqlx_migrations WHERE version = 29990101000000")
        .await;
    archive.journal.migrate().await.unwrap();
    archive.close().await;
}

#[tokio::test]
async fn an_index_whose_making_was_cut_is_made_anew() {
    let archive = Archive::open().await;
    // Both a statement that is cut and a killed server leave it so, before the migration counts as done.
    archive
        .run(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'outbox_order'::regclass;
             DELETE FROM _sqlx_migrations WHERE version = 20261129000032",
        )
        .await;
    archive.journal.migrate().await.unwrap();
    let valid = "SELECT count(*) FROM pg_index
        WHERE indexrelid = 'outbox_order'::regclass AND indisvalid";
    assert_eq!(archive.number(valid).await, 1);
    archive.close().await;
}
