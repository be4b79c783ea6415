//! The bench of onboarding in a short form: bounds that a debug build on a busy machine keeps, so
//! that what made it slow by a factor is noticed.

#[path = "../../benches/onboarding/scene.rs"]
mod scene;

use std::time::Duration;

use scene::{Scene, quantile};

use crate::support::database::TestDatabase;

#[tokio::test]
async fn a_thousand_who_wait_are_decided_about_in_seconds_and_a_hint_at_once() {
    let database = TestDatabase::create().await;
    let mut scene = Scene::set(&database.url(), 1_000).await.unwrap();
    let answered = scene.newcomers(1_000).await.unwrap();
    // A release build decides about ten thousand in that time.
    assert!(answered.decided < Duration::from_mins(1), "{answered:?}");
    assert!(answered.decided <= answered.done, "{answered:?}");
    let memory = scene.peak_memory().unwrap();
    assert!(memory < 150_000_000, "{memory} bytes");
    // Whoever waits for the limit of another rule holds up nobody.
    scene.crowd(5_000).await.unwrap();
    let hints = scene.hints(4).await.unwrap();
    assert!(quantile(&hints, 50) < Duration::from_secs(3), "{hints:?}");
    scene.strike().await.unwrap();
    database.drop().await;
}

#[tokio::test]
async fn people_are_let_in_while_old_entries_pour_in() {
    let database = TestDatabase::create().await;
    let mut scene = Scene::set(&database.url(), 0).await.unwrap();
    let flooded = scene.flood(100_000).await.unwrap();
    let slowest = flooded.waits.last().unwrap();
    assert!(*slowest < Duration::from_secs(15), "{flooded:?}");
    let (owed, rate) = (scene.owed().await.unwrap(), flooded.rate);
    assert!(
        owed < 50,
        "{owed} batches wait to be read, {rate} entries/s came"
    );
    scene.strike().await.unwrap();
    database.drop().await;
}
