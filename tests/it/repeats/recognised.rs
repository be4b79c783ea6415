//! Which entries of a replay are recognised, and which are checked once more.

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use usher::lifecycle::Lifecycle;

use crate::repeats::{PATIENCE, Scene, number};
use crate::support::app::AUTHORIZATION;
use crate::support::database::TestDatabase;
use crate::support::process::{Installation, Process, settings};
use crate::support::signer::{Entry, Signer};

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

/// Batches that were written as if none of their events were known, and those that were written
/// again or not tried so.
async fn ways(process: &Process) -> (u64, u64) {
    (
        counter(process, "usher_batches_total{way=\"new\"}").await,
        counter(process, "usher_batches_total{way=\"whole\"}").await,
    )
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
