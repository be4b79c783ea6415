//! Forged copies by the thousand: whatever comes first, last or at the same time, what Konnect
//! signed is what is read.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reqwest::StatusCode;
use usher::lifecycle::Lifecycle;

use crate::support::app::{TestApp, config};
use crate::support::eventually;
use crate::support::record::Record;
use crate::support::signer::{Entry, Signer};

const PATIENCE: Duration = Duration::from_mins(1);
const ENTRIES: usize = 3_000;
const LINES: usize = 250;

/// The entry as Konnect sends it, each in another format than the one before.
fn true_line(signer: &Signer, number: u64) -> String {
    let entry = Entry::numbered(number);
    match number % 3 {
        0 => signer.json(&entry),
        1 => signer.cef(&entry),
        _ => signer.cps(&entry),
    }
}

/// What somebody makes of it who knows all that identity is made of, but not the key.
fn forged_line(stranger: &Signer, number: u64) -> String {
    let entry = Entry {
        user_agent: "FORGED".to_owned(),
        ..Entry::numbered(number)
    };
    match number % 5 {
        0 => entry.json(),
        1 => entry.cef(),
        2 => format!("{{\"event\":{}}}", entry.json()),
        3 => stranger.json(&entry),
        _ => stranger.cef(&entry),
    }
}

async fn deliver_all(app: &TestApp, lines: &[String]) {
    for lines in lines.chunks(LINES) {
        let (status, answer) = app.deliver(lines).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        assert_eq!(answer["quarantined"], 0, "{answer}");
    }
}

#[tokio::test]
async fn what_konnect_signed_is_read_whatever_forgeries_come_before_after_and_with_it() {
    let signer = Signer::new(7);
    let stranger = signer.stranger(9);
    let app = TestApp::start(config(&signer.serve(&Lifecycle::new()).await)).await;
    let mut record = Record::of(&app.database).await;
    let numbers = (0..).take(ENTRIES);
    let truth: Vec<String> = numbers.clone().map(|n| true_line(&signer, n)).collect();
    let forged: Vec<String> = numbers.map(|n| forged_line(&stranger, n)).collect();
    let (early, late) = (ENTRIES / 3, ENTRIES * 2 / 3);

    // A third is forged first, a third comes at the same time, a third is forged last.
    deliver_all(&app, &forged[..early]).await;
    assert_eq!(record.verdicts().await.get("verified"), None);
    deliver_all(&app, &truth[late..]).await;
    tokio::join!(
        deliver_all(&app, &truth[..late]),
        deliver_all(&app, &forged[early..]),
        deliver_all(&app, &forged[early..late]),
    );

    let total = i64::try_from(ENTRIES).unwrap();
    let expected = BTreeMap::from([("verified".to_owned(), total)]);
    assert_eq!(record.verdicts().await, expected);
    let entries = record.entries().await;
    assert_eq!(entries, truth.into_iter().collect::<BTreeSet<String>>());
    app.finish().await;
}

#[tokio::test]
async fn forgeries_alone_are_never_read_as_verified_and_give_way_in_the_end() {
    let signer = Signer::new(7);
    let stranger = signer.stranger(9);
    let app = TestApp::start(config(&signer.serve(&Lifecycle::new()).await)).await;
    let mut record = Record::of(&app.database).await;
    let forged: Vec<String> = (0..900).map(|n| forged_line(&stranger, n)).collect();
    deliver_all(&app, &forged).await;
    // No key fits two of five; whether none ever will is known in five minutes.
    eventually("what no key fits waits for one", PATIENCE, async || {
        let verdicts = record.verdicts().await;
        assert_eq!(verdicts.get("verified"), None);
        verdicts.get("key_unknown") == Some(&360) && verdicts.get("unsigned") == Some(&540)
    })
    .await;
    let truth: Vec<String> = (0..900).map(|n| true_line(&signer, n)).collect();
    deliver_all(&app, &truth).await;
    assert_eq!(record.verdicts().await["verified"], 900);
    assert_eq!(record.entries().await, truth.into_iter().collect());
    app.finish().await;
}
