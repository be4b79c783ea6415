//! Instances and endpoints that come and go: stops, kills, and another list of endpoints.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;
use usher::lifecycle::Lifecycle;

use super::{AUTHORIZATION, PATIENCE, Scene, login};
use crate::support::database::TestDatabase;
use crate::support::eventually;
use crate::support::process::{Installation, settings};
use crate::support::receiver::{Receiver, Reply};
use crate::support::signer::Signer;

#[tokio::test]
async fn two_instances_send_each_entry_once_and_hand_over_at_a_clean_stop() {
    let receiver = Receiver::start().await;
    let mut scene = Scene::new().await;
    let first = scene.start(&[&receiver]).await;
    let second = scene.start(&[&receiver]).await;
    for _ in 0..30 {
        scene.append(2).await;
    }
    scene.drained(&receiver).await;
    assert_eq!(receiver.entries(), scene.entries);

    first.stop().await;
    scene.append(2).await;
    scene.drained(&receiver).await;
    assert_eq!(receiver.entries(), scene.entries);
    second.stop().await;
    scene.end().await;
}

#[tokio::test]
async fn stops_in_time_while_an_endpoint_does_not_answer() {
    let receiver = Receiver::start().await;
    receiver.answers(|_| Reply::of(200).after(Duration::from_mins(5)));
    let mut scene = Scene::new().await;
    let running = scene.start(&[&receiver]).await;
    scene.append(1).await;
    eventually("somebody holds the lease", PATIENCE, async || {
        let held = sqlx::query("SELECT FROM leases").fetch_all(scene.journal.pool());
        held.await.expect("an answer").len() == 1
    })
    .await;
    let asked = tokio::time::Instant::now();
    running.stop().await;
    assert!(asked.elapsed() < usher::lifecycle::GRACE);
    assert_eq!(scene.owed(&receiver).await, 1);
    scene.end().await;
}

#[tokio::test]
async fn an_endpoint_begins_with_what_comes_and_ends_with_what_it_was_owed() {
    let (old, new, kept) = (
        Receiver::away().await,
        Receiver::start().await,
        Receiver::start().await,
    );
    let mut scene = Scene::new().await;
    let running = scene.start(&[&old, &kept]).await;
    scene.append(3).await;
    scene.drained(&kept).await;
    running.stop().await;

    // The list in another order, without the first, with another one.
    let running = scene.start(&[&new, &kept]).await;
    scene.append(2).await;
    for receiver in [&new, &kept] {
        scene.drained(receiver).await;
    }
    assert_eq!(kept.entries(), scene.entries, "nothing comes twice");
    assert_eq!(new.entries(), scene.entries[3..], "no history");
    assert_eq!(
        scene.owed(&old).await,
        2,
        "the list may be wrong for a moment"
    );
    running.stop().await;

    let longer = "UPDATE readers SET wanted_at = wanted_at - interval '1 hour'";
    let moved = sqlx::query(longer).execute(scene.journal.pool()).await;
    moved.expect("the database obeys");
    let running = scene.start(&[&kept, &new]).await;
    scene.drained(&old).await;
    let mut expected = vec![
        scene.reader(&kept).to_string(),
        scene.reader(&new).to_string(),
    ];
    expected.sort();
    eventually("the reader is retired", PATIENCE, async || {
        let names: Vec<String> = sqlx::query_scalar("SELECT name FROM readers ORDER BY name")
            .fetch_all(scene.journal.pool())
            .await
            .expect("readers");
        names == expected
    })
    .await;
    running.stop().await;
    scene.end().await;
}

#[tokio::test]
async fn a_kill_in_the_middle_loses_nothing_and_no_log_shows_the_secret() {
    let receiver = Receiver::start().await;
    receiver.answers(|_| Reply::of(200).after(Duration::from_millis(50)));
    let signer = Signer::new(7);
    let database = TestDatabase::create().await;
    let konnect = signer.serve(&Lifecycle::new()).await;
    let mut settings = settings(&database, &konnect);
    settings["forward"] = json!([{ "url": receiver.url(), "authorization": "file:authorization" }]);
    // Everything that anybody might say.
    settings["telemetry"]["log"] = json!("trace");
    let mut installation = Installation::new(&settings);
    installation.write("authorization", &format!("{AUTHORIZATION}\n"));
    let usher = installation.start().await;

    let entries: Vec<String> = (0..300).map(login).collect();
    for lines in entries.chunks(3) {
        assert_eq!(usher.deliver(lines).await, Some(StatusCode::OK));
    }
    eventually("some of it is sent", PATIENCE, async || {
        !receiver.entries().is_empty()
    })
    .await;
    usher.kill().await;
    let sent = receiver.entries().len();

    let usher = installation.start().await;
    eventually("all of it is sent", PATIENCE, async || {
        let sent = receiver.entries();
        entries.iter().all(|entry| sent.contains(entry))
    })
    .await;
    assert!(sent < receiver.entries().len(), "the kill came too late");
    let reader = reader_in(&installation.log());
    eventually("metrics tell of it", PATIENCE, async || {
        let metrics = reqwest::get(format!("{}/metrics", usher.url)).await;
        let metrics = metrics.expect("an answer").text().await.expect("a text");
        [
            format!("usher_outbox_batches{{reader=\"{reader}\"}} 0"),
            format!("usher_outbox_oldest_seconds{{reader=\"{reader}\"}} 0"),
            format!("usher_forward_entries_total{{reader=\"{reader}\"}} "),
            format!("usher_forward_request_duration_seconds_count{{reader=\"{reader}\"}} "),
        ]
        .iter()
        .all(|line| metrics.contains(line))
    })
    .await;
    usher.terminate().await;
    usher.exit(PATIENCE).await;
    let log = installation.log();
    assert!(log.contains("entries go on to this endpoint"));
    for secret in ["s3cret-of-the-siem", "in-the-query"] {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None);
    }
    database.drop().await;
}

/// The name that the log gives the endpoint.
fn reader_in(log: &str) -> String {
    let at = log.find("forward-").expect("the endpoint is told of");
    log[at..at + "forward-0123456789abcdef".len()].to_owned()
}
