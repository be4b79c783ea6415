//! Events that come again: what is checked once more and what is not, how copies are counted, and that no forgery
//! gains by it. On real Postgres and HTTP.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use tokio::task::JoinSet;
use usher::app::build_client;
use usher::clock::{Clock, Ids};
use usher::config::VerifyPolicy;
use usher::event::{Verdict, parse};
use usher::intake::{Intake, KeyRing, Received, Taken};
use usher::journal::{
    Fingerprint, Journal, Lane, NewBatch, NewEvent, ReaderName, RequestRecord, Retention, Source,
    StoredCopies,
};
use usher::lifecycle::Lifecycle;

use crate::support::app::{AUTHORIZATION, config};
use crate::support::database::TestDatabase;
use crate::support::process::{Installation, Process, settings};
use crate::support::signer::{Entry, Signer};
use crate::support::{eventually, owed_batches};

const PATIENCE: Duration = Duration::from_secs(30);

/// As many entries as are worth asking for.
fn signed(signer: &Signer) -> Vec<String> {
    (0..50)
        .map(|number| signer.json(&Entry::numbered(number)))
        .collect()
}

/// Usher in a process of its own, so that its metrics are nobody else's.
async fn start(verify: &str) -> (Process, Signer, TestDatabase, Installation) {
    let signer = Signer::new(7);
    let database = TestDatabase::create().await;
    let mut settings = settings(&database, &signer.serve(&Lifecycle::new()).await);
    settings["ingest"]["verify"] = json!(verify);
    let mut usher = Installation::new(&settings);
    let process = usher.start().await;
    (process, signer, database, usher)
}

/// What a delivery is answered: received, stored, duplicates, quarantined.
async fn deliver(process: &Process, lines: &[String]) -> [u64; 4] {
    let http = Client::builder().timeout(PATIENCE).build().unwrap();
    let answer = http
        .post(format!("{}/audit-logs", process.url))
        .header("Authorization", AUTHORIZATION)
        .body(lines.join("\n"))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let answer: Value = answer.json().await.unwrap();
    ["received", "stored", "duplicates", "quarantined"]
        .map(|member| answer[member].as_u64().unwrap())
}

/// The value of a counter, its labels with its name; 0 where it never counted.
async fn counter(process: &Process, name: &str) -> u64 {
    let metrics = reqwest::get(format!("{}/metrics", process.url))
        .await
        .unwrap();
    let text = metrics.text().await.unwrap();
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0, |value| value.parse().unwrap())
}

/// Signatures that were checked, and entries that were recognised instead.
async fn checked(process: &Process) -> (u64, u64) {
    (
        counter(process, "usher_signatures_checked_total").await,
        counter(process, "usher_entries_recognised_total").await,
    )
}

/// Batches that were written as if none of their events were known, and those that were written again or not tried so.
async fn ways(process: &Process) -> (u64, u64) {
    (
        counter(process, "usher_batches_total{way=\"new\"}").await,
        counter(process, "usher_batches_total{way=\"whole\"}").await,
    )
}

async fn connect(database: &TestDatabase) -> PgConnection {
    let options: PgConnectOptions = database.url().parse().unwrap();
    options.connect().await.unwrap()
}

async fn number(database: &TestDatabase, query: &str) -> i64 {
    let mut connection = connect(database).await;
    let number = sqlx::query_scalar(query)
        .fetch_one(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    number
}

#[tokio::test]
async fn a_replay_is_recognised_by_its_bytes_and_only_counted() {
    let (process, signer, database, _usher) = start("record").await;
    let lines = signed(&signer);
    assert_eq!(deliver(&process, &lines).await, [50, 50, 0, 0]);
    assert_eq!(ways(&process).await, (1, 0));
    // Nothing told yet that a replay is under way.
    assert_eq!(deliver(&process, &lines).await, [50, 0, 50, 0]);
    assert_eq!(ways(&process).await, (1, 1));
    // The first may have been checked twice, before the keys were there and after.
    let (signatures, recognised) = checked(&process).await;
    assert!(signatures >= 100 && recognised == 0, "{signatures}");
    for round in 1..=3 {
        assert_eq!(deliver(&process, &lines).await, [50, 0, 50, 0]);
        assert_eq!(checked(&process).await, (signatures, round * 50));
    }
    // No batch of a replay that goes on is tried as if it were new.
    assert_eq!(ways(&process).await, (1, 4));
    assert_eq!(counter(&process, "usher_events_duplicate_total").await, 200);
    let rows = process.rows("/api/v1/events").await;
    assert_eq!(rows.len(), 50);
    for row in &rows {
        assert_eq!(
            (&row["copies"], &row["verification"]),
            (&5.into(), &"verified".into())
        );
        let id = row["id"].as_str().unwrap();
        assert!(id.len() == 36, "{id}");
    }
    let found = "SELECT sum((verdicts ->> 'verified')::integer) FROM batches";
    assert_eq!(number(&database, found).await, 250);
    let rewritten =
        "SELECT count(*) FROM events e JOIN batches b ON b.id = e.batch WHERE b.stored = 0";
    assert_eq!(number(&database, rewritten).await, 0);

    // New events among them are checked, and stored.
    let mut mixed = lines[..40].to_vec();
    mixed.extend((900..910).map(|number| signer.json(&Entry::numbered(number))));
    assert_eq!(deliver(&process, &mixed).await, [50, 10, 40, 0]);
    assert_eq!(checked(&process).await, (signatures + 10, 190));
    process.kill().await;
    database.drop().await;
}

#[tokio::test]
async fn a_forged_copy_of_a_known_event_is_checked_on_its_own() {
    let (process, signer, database, _usher) = start("require").await;
    let mut lines = signed(&signer);
    for _ in 0..3 {
        deliver(&process, &lines).await;
    }
    let (before, recognised) = checked(&process).await;
    assert!(recognised > 0, "the replay goes on");
    // The same event, by its identity, with the signature of the true entry.
    lines[7] = lines[7].replace("Mozilla/5.0", "FORGED/5.0");
    lines[8] = lines[8].replace(",\"severity\":0", ",\"severity\":9");
    assert_eq!(deliver(&process, &lines).await, [50, 0, 48, 2]);
    assert!(checked(&process).await.0 >= before + 2);
    for row in process.rows("/api/v1/events").await {
        assert_eq!(row["verification"], "verified");
        assert_eq!(row["user_agent"], Entry::numbered(0).user_agent);
    }
    process.kill().await;
    database.drop().await;
}

#[tokio::test]
async fn a_verified_copy_replaces_what_was_stored_unsigned_also_in_a_replay() {
    let (process, signer, database, _usher) = start("record").await;
    let unsigned: Vec<String> = (0..50)
        .map(|number| Entry::numbered(number).json())
        .collect();
    for round in 0..3 {
        let stored = if round == 0 { 50 } else { 0 };
        assert_eq!(deliver(&process, &unsigned).await[1], stored);
    }
    let lines = signed(&signer);
    assert_eq!(deliver(&process, &lines).await, [50, 0, 50, 0]);
    assert_eq!(checked(&process).await, (50, 0));
    assert_eq!(deliver(&process, &lines).await, [50, 0, 50, 0]);
    assert_eq!(checked(&process).await, (50, 50));
    // And a weaker one does not take it back.
    assert_eq!(deliver(&process, &unsigned).await, [50, 0, 50, 0]);
    for row in process.rows("/api/v1/events").await {
        assert_eq!(
            (&row["copies"], &row["verification"]),
            (&6.into(), &"verified".into())
        );
    }
    process.kill().await;
    database.drop().await;
}

#[tokio::test]
async fn without_checks_a_replay_is_recognised_too_and_nobody_passes_for_usher() {
    let scene = Scene::create().await;
    let own = r#"{"event_product":"usher","object":"1","revision":1,"name":"action.done"}"#;
    let mut lines: Vec<String> = (0..49)
        .map(|number| Entry::numbered(number).json())
        .collect();
    lines.push(own.to_owned());
    let mut new = scene.batch(&[own.to_owned()]);
    new.requests.clear();
    new.events[0].request = None;
    scene.journal.append(&new).await.unwrap();
    for round in 0..3 {
        let taken = scene.take(&lines).await;
        let stored = if round == 0 { 49 } else { 0 };
        assert_eq!(
            (taken.stored, taken.duplicates, taken.quarantined),
            (stored, 49 - stored, 1)
        );
    }
    assert!(scene.journal.expects_known_events());
    let copies = "SELECT sum(copies)::bigint FROM repeats";
    assert_eq!(number(&scene.database, copies).await, 98);
    scene.finish().await;
}

/// The record and the way into it, without the door and without keys.
struct Scene {
    database: TestDatabase,
    journal: Journal,
    intake: Intake,
    lifecycle: Lifecycle,
    ids: Ids,
    clock: Clock,
}

impl Scene {
    async fn create() -> Self {
        let database = TestDatabase::create().await;
        let journal = Journal::open(&database.url()).unwrap();
        journal.migrate().await.unwrap();
        let clock = Clock::system();
        let ids = Ids::new(clock.clone());
        let lifecycle = Lifecycle::new();
        let client = build_client(&config("http://127.0.0.1:9").konnect).unwrap();
        let keys = KeyRing::new(client, journal.clone(), clock.clone());
        let intake = Intake::new(
            journal.clone(),
            Arc::new(keys),
            VerifyPolicy::Off,
            100_000,
            ids.clone(),
            &lifecycle,
        );
        Self {
            database,
            journal,
            intake,
            lifecycle,
            ids,
            clock,
        }
    }

    fn received(&self, lines: &[String]) -> Received {
        let body = lines.join("\n").into_bytes();
        Received {
            id: self.ids.next(),
            received_at: self.clock.now(),
            peer: "127.0.0.1".to_owned(),
            encoding: String::new(),
            body_bytes: body.len(),
            body: body.into(),
            complete: true,
        }
    }

    async fn take(&self, lines: &[String]) -> Taken {
        let received = self.received(lines);
        self.intake.take(received, None).await.unwrap()
    }

    /// A batch of one request, verified.
    fn batch(&self, lines: &[String]) -> NewBatch {
        let now = self.clock.now();
        let events = lines.iter().map(|line| NewEvent {
            event: parse(line.as_bytes()).unwrap(),
            raw: line.clone().into(),
            verdict: Verdict::Verified,
            request: Some(0),
        });
        NewBatch {
            id: self.ids.next(),
            source: Source::Webhook,
            lane: Lane::Live,
            part_of: None,
            received_at: now,
            requests: vec![RequestRecord {
                id: self.ids.next(),
                received_at: now,
                peer: "127.0.0.1".to_owned(),
                encoding: String::new(),
                body_bytes: 0,
                inflated_bytes: 0,
                status: 200,
                received: lines.len(),
                stored: 0,
                duplicates: 0,
                quarantined: 0,
            }],
            events: events.collect(),
            quarantined: Vec::new(),
        }
    }

    async fn finish(self) {
        let Self {
            database,
            journal,
            intake,
            lifecycle,
            ..
        } = self;
        drop(intake);
        lifecycle.shut_down().await;
        journal.close().await;
        database.drop().await;
    }
}

fn print(line: &str) -> Fingerprint {
    let event = parse(line.as_bytes()).unwrap();
    Fingerprint {
        event_ts: event.event_ts,
        id: event.id,
        digest: Sha256::digest(line).into(),
    }
}

#[tokio::test]
async fn the_record_knows_an_entry_by_bytes_and_verdict() {
    let scene = Scene::create().await;
    let lines: Vec<String> = (0..3)
        .map(|number| Entry::numbered(number).json())
        .collect();
    let mut new = scene.batch(&lines);
    new.events[1].verdict = Verdict::Unsigned;
    scene.journal.append(&new).await.unwrap();
    let other = lines[2].replace("Mozilla", "mozilla");
    let unknown = Entry::numbered(9).json();
    let ask = [&lines[0], &unknown, &lines[1], &other, &lines[2], &lines[0]];
    let ask: Vec<Fingerprint> = ask.into_iter().map(|line| print(line)).collect();
    assert_eq!(ask[3].id, ask[4].id, "one event");
    let holds = async |least| scene.journal.has_copies(&ask, least).await.unwrap();
    assert_eq!(
        holds(Verdict::Verified).await,
        [true, false, false, false, true, true]
    );
    assert_eq!(
        holds(Verdict::NotApplicable).await,
        [true, false, true, false, true, true]
    );
    assert!(
        scene
            .journal
            .has_copies(&[], Verdict::Verified)
            .await
            .unwrap()
            .is_empty()
    );
    scene.finish().await;
}

#[tokio::test]
async fn what_is_held_is_owed_to_nobody_anew_and_counted_even_if_retention_takes_it() {
    let scene = Scene::create().await;
    let kafka = ReaderName::Kafka;
    let (journal, database) = (&scene.journal, &scene.database);
    journal
        .activate_reader(kafka, chrono::DateTime::UNIX_EPOCH)
        .await
        .unwrap();
    let lines: Vec<String> = (0..20)
        .map(|number| Entry::numbered(number).json())
        .collect();
    journal.append(&scene.batch(&lines)).await.unwrap();
    assert_eq!(owed_batches(journal, kafka).await, 1);

    let mut held = StoredCopies::default();
    for line in &lines {
        held.insert(&print(line));
    }
    let mut twice = lines.clone();
    twice.extend(lines[..5].to_vec());
    let again = scene.batch(&twice);
    let appended = journal.append_knowing(&again, &held).await.unwrap();
    assert_eq!((appended.stored, appended.duplicates), (0, 25));
    // A repetition under the same id counts nothing.
    assert_eq!(
        journal.append_knowing(&again, &held).await.unwrap(),
        appended
    );
    assert_eq!(owed_batches(journal, kafka).await, 1);
    let owed = journal.claim(kafka, 1, PATIENCE).await.unwrap();
    let read: i64 = journal
        .events_of(&owed[0])
        .await
        .unwrap()
        .iter()
        .map(|event| event.copies)
        .sum();
    assert_eq!(read, 45);
    let first = journal.event(print(&lines[0]).id).await.unwrap().unwrap();
    assert_eq!(first.copies, 3);

    // Retention takes an event between the look and the append: the copy is a duplicate all the same.
    let mut connection = connect(database).await;
    sqlx::raw_sql("DELETE FROM events")
        .execute(&mut connection)
        .await
        .unwrap();
    let appended = journal
        .append_knowing(&scene.batch(&lines), &held)
        .await
        .unwrap();
    assert_eq!((appended.stored, appended.duplicates), (0, 20));
    connection.close().await.unwrap();
    assert_eq!(number(database, "SELECT count(*) FROM repeats").await, 20);
    scene.finish().await;
}

#[tokio::test]
async fn counts_go_when_retention_takes_their_events_and_not_before() {
    let scene = Scene::create().await;
    let (journal, database) = (&scene.journal, &scene.database);
    let lines: Vec<String> = (0..20)
        .map(|number| Entry::numbered(number).json())
        .collect();
    let without_time = vec![r#"{"name":"Ingress","trace_id":1}"#.to_owned()];
    for _ in 0..2 {
        journal.append(&scene.batch(&lines)).await.unwrap();
        journal.append(&scene.batch(&without_time)).await.unwrap();
    }
    let counted = "SELECT count(*) FROM repeats";
    let days = |days: u64| {
        let events = Duration::from_hours(24 * days);
        Retention {
            events,
            quarantine: events,
            batches: events,
            told: events,
        }
    };
    let now = scene.clock.now();
    let round = journal.tidy_up(&days(1_000), now).await.unwrap();
    assert!(round.dropped.is_empty(), "{round:?}");
    assert_eq!(number(database, counted).await, 21);
    let after_it = "2026-11-22T00:00:00Z".parse().unwrap();
    let round = journal.tidy_up(&days(8), after_it).await.unwrap();
    assert_eq!(round.dropped, ["events_2026_06"]);
    // An event whose time is unknown goes by the time of its receipt, and has just come.
    assert_eq!(number(database, counted).await, 1);
    scene.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_transactions_under_way_with_the_same_events_lose_and_double_nothing() {
    let scene = Scene::create().await;
    let mut obstacle = connect(&scene.database).await;
    sqlx::raw_sql("BEGIN; LOCK TABLE batches IN EXCLUSIVE MODE")
        .execute(&mut obstacle)
        .await
        .unwrap();
    let mut taking = JoinSet::new();
    let rounds = 40;
    for round in 0..rounds {
        // Each shares most of its events with its neighbours, in another order.
        let mut lines: Vec<String> = (round * 10..)
            .take(100)
            .map(|number| Entry::numbered(number).json())
            .collect();
        if round % 2 == 0 {
            lines.reverse();
        }
        let (intake, received) = (scene.intake.clone(), scene.received(&lines));
        taking.spawn(async move { intake.take(received, None).await });
    }
    eventually("transactions wait", PATIENCE, async || {
        let waiting = "SELECT count(DISTINCT pid) FROM pg_locks l JOIN pg_stat_activity USING (pid)
            WHERE NOT granted AND application_name = 'usher' AND datname = current_database()";
        number(&scene.database, waiting).await >= 2
    })
    .await;
    sqlx::raw_sql("COMMIT")
        .execute(&mut obstacle)
        .await
        .unwrap();
    let mut stored = 0;
    for taken in taking.join_all().await {
        let taken = taken.unwrap();
        assert_eq!(taken.stored + taken.duplicates, 100);
        stored += i64::try_from(taken.stored).unwrap();
    }
    let events = i64::try_from(rounds * 10 + 90).unwrap();
    assert_eq!(stored, events);
    let database = &scene.database;
    assert_eq!(
        number(database, "SELECT count(*) FROM events").await,
        events
    );
    let copies = "SELECT ((SELECT sum(copies) FROM events)
        + COALESCE((SELECT sum(copies) FROM repeats), 0))::bigint";
    assert_eq!(
        number(database, copies).await,
        i64::try_from(rounds * 100).unwrap()
    );
    let of_batches = "SELECT sum(stored) FROM batches";
    assert_eq!(number(database, of_batches).await, events);
    let deadlocks = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";
    assert_eq!(number(database, deadlocks).await, 0);
    scene.finish().await;
}
