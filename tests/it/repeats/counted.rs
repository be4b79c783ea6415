//! How copies are counted: by the journal, under retention, and in transactions beside each other.

use std::time::Duration;

use sha2::{Digest, Sha256};
use sqlx::Connection;
use tokio::task::JoinSet;
use usher::event::{Verdict, parse};
use usher::journal::{Fingerprint, ReaderName, Retention, StoredCopies};

use crate::repeats::{PATIENCE, Scene, connect, number};
use crate::support::signer::Entry;
use crate::support::{eventually, owed_batches};

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

    // Retention takes an event between the look and the append: the copy is a duplicate all the
    // same.
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
