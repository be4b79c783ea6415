//! Signing keys while the clock of this instance is wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use usher::app::build_client;
use usher::clock::Clock;
use usher::event::Verdict;
use usher::intake::KeyRing;
use usher::journal::Journal;
use usher::lifecycle::Lifecycle;

use crate::support::app::config;
use crate::support::database::TestDatabase;
use crate::support::eventually;
use crate::support::signer::{Entry, Signer};

const SOON: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_clock_that_jumps_neither_stops_key_fetches_nor_keeps_a_key_good() {
    let database = TestDatabase::create().await;
    let journal = Journal::open(&database.url()).unwrap();
    journal.migrate().await.unwrap();
    let lifecycle = Lifecycle::new();
    let signer = Signer::new(7);
    let url = signer.serve(&lifecycle).await;
    let days = Arc::new(AtomicI64::new(30));
    let offset = Arc::clone(&days);
    let clock = Clock::from_fn(move || {
        Clock::system().now() + TimeDelta::days(offset.load(Ordering::Relaxed))
    });
    let client = build_client(&config(&url).konnect).unwrap();
    let ring = KeyRing::new(client.clone(), journal.clone(), clock.clone());
    let verdict = async |ring: &KeyRing, signer: &Signer| {
        let line = signer.json(&Entry::numbered(1)).into();
        ring.verdicts(vec![line], clock.now()).await.unwrap()[0]
    };
    assert_eq!(verdict(&ring, &signer).await, Verdict::Verified);

    days.store(0, Ordering::Relaxed);
    let rotated = signer.stranger(8);
    rotated.serve_key();
    eventually("the set is fetched again", SOON, async || {
        let verdict = verdict(&ring, &rotated).await;
        assert_ne!(verdict, Verdict::Failed, "no set was asked for since");
        verdict == Verdict::Verified
    })
    .await;

    // Gone from the set for nine days by the database, whatever this instance thinks.
    let statement = "UPDATE signing_keys SET last_seen = now() - interval '9 days'";
    sqlx::query(statement)
        .execute(journal.pool())
        .await
        .unwrap();
    days.store(-9, Ordering::Relaxed);
    lifecycle.shut_down().await;
    let later = KeyRing::new(client, journal.clone(), clock.clone());
    later.load().await.unwrap();
    assert_eq!(verdict(&later, &signer).await, Verdict::KeyUnknown);
    journal.close().await;
    database.drop().await;
}
