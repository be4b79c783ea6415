//! Kills at any moment, while deliveries are spooled and while they are stored.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard};

use reqwest::{Client, StatusCode};
use serde_json::json;
use tempfile::TempDir;
use usher::event::parse;
use usher::lifecycle::Lifecycle;
use uuid::Uuid;

use crate::spool::{PATIENCE, files};
use crate::support::database::TestDatabase;
use crate::support::eventually;
use crate::support::process::{Installation, deliver, settings};
use crate::support::record::Record;
use crate::support::signer::{Entry, Signer};

/// Sends entries of its own, each once, until nobody answers.
async fn send_until_it_dies(signer: &Signer, url: &str, first: u64, sent: &Mutex<Sent>) {
    let http = Client::builder().timeout(PATIENCE).build().unwrap();
    for number in first.. {
        let line = signer.json(&Entry::numbered(number));
        let id = parse(line.as_bytes()).unwrap().id.as_uuid();
        sent.lock().unwrap().begun.insert(id);
        match deliver(&http, url, &[line]).await {
            Some(StatusCode::ACCEPTED | StatusCode::OK) => {
                sent.lock().unwrap().acknowledged.insert(id);
            }
            Some(status) => panic!("answered {status}"),
            None => return,
        }
    }
}

#[derive(Default)]
struct Sent {
    begun: BTreeSet<Uuid>,
    acknowledged: BTreeSet<Uuid>,
}

#[tokio::test]
async fn kills_at_any_moment_lose_nothing_and_store_nothing_twice() {
    let signer = Signer::new(7);
    let konnect = signer.serve(&Lifecycle::new()).await;
    let database = TestDatabase::create().await;
    let mut settings = settings(&database, &konnect);
    let home = TempDir::new().unwrap();
    let dir = home.path().join("spool");
    settings["spool"] = json!({ "dir": dir });
    let mut usher = Installation::new(&settings);
    database.refuse().await;

    let sent = Mutex::default();
    let acknowledged = || {
        sent.lock()
            .map(|sent: MutexGuard<'_, Sent>| sent.acknowledged.len())
            .unwrap()
    };
    for round in 0..3 {
        let process = usher.start().await;
        let (url, before) = (process.url.clone(), acknowledged());
        let kill = async {
            eventually("deliveries are taken", PATIENCE, async || {
                acknowledged() > before + 20
            })
            .await;
            process.kill().await;
        };
        tokio::join!(
            kill,
            send_until_it_dies(&signer, &url, round * 100_000, &sent),
            send_until_it_dies(&signer, &url, round * 100_000 + 50_000, &sent),
        );
    }
    let process = usher.start().await;
    let metrics = reqwest::get(format!("{}/metrics", process.url))
        .await
        .unwrap();
    let metrics = metrics.text().await.unwrap();
    let waiting = files(&dir, "request").len();
    for line in [
        format!("usher_spool_files {waiting}"),
        format!("usher_spool_bytes {}", waiting * 4096),
        "usher_spool_files_aside 0".to_owned(),
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}: {metrics}"
        );
    }

    // And once more, somewhere on the way into the record.
    database.allow().await;
    eventually("the spool is being emptied", PATIENCE, async || {
        files(&dir, "request").len() < waiting
    })
    .await;
    process.kill().await;
    let process = usher.start().await;
    eventually("the spool is empty", PATIENCE, async || {
        files(&dir, "request").is_empty()
    })
    .await;
    assert_eq!(files(&dir, "tmp").len() + files(&dir, "bad").len(), 0);
    let stored = Record::of(&database).await.event_ids().await;
    let Sent {
        begun,
        acknowledged,
    } = sent.into_inner().unwrap();
    assert!(stored.is_superset(&acknowledged), "something is lost");
    assert!(stored.is_subset(&begun));
    for event in process.rows("/api/v1/events?limit=1000").await {
        assert_eq!(event["copies"], 1, "{event}");
    }
    process.kill().await;
    database.drop().await;
}
