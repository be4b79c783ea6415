//! Keys that are served later than their first signature: an entry waits for its key, and what no
//! key fitted is judged again.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::{Connection, Executor, PgConnection};
use usher::app::build_client;
use usher::clock::{Clock, Ids};
use usher::config::VerifyPolicy;
use usher::intake::{Intake, KeyRing, Received, Recheck, Reverify};
use usher::journal::{CheckFilter, Journal};
use usher::lifecycle::Lifecycle;

use crate::support::app::config;
use crate::support::database::TestDatabase;
use crate::support::signer::{Entry, Signer};

/// The database's clock goes with the one in the test's hand.
const CLOCKS_AGREE: &str = "
    CREATE FUNCTION as_asked() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN NEW.created_at := NEW.asked_at; RETURN NEW; END $$;
    CREATE TRIGGER as_asked BEFORE INSERT ON signing_key_fetches
        FOR EACH ROW EXECUTE FUNCTION as_asked()";

/// The way in, with the time and the served keys in the test's hand.
struct Scene {
    database: TestDatabase,
    journal: Journal,
    intake: Intake,
    recheck: Recheck,
    connection: PgConnection,
    signer: Signer,
    ids: Ids,
    now: Arc<Mutex<DateTime<Utc>>>,
    clock: Clock,
    lifecycle: Lifecycle,
}

impl Scene {
    async fn create(policy: VerifyPolicy) -> Self {
        let database = TestDatabase::create().await;
        let journal = Journal::open(&database.url()).unwrap();
        journal.migrate().await.unwrap();
        let now = Arc::new(Mutex::new(Clock::system().now()));
        let clock = Clock::from_fn({
            let now = Arc::clone(&now);
            move || *now.lock().unwrap()
        });
        let ids = Ids::new(clock.clone());
        let lifecycle = Lifecycle::new();
        let signer = Signer::new(7);
        let client = build_client(&config(&signer.serve(&lifecycle).await).konnect).unwrap();
        let keys = Arc::new(KeyRing::new(client, journal.clone(), clock.clone()));
        let intake = Intake::new(
            journal.clone(),
            keys,
            policy,
            100_000,
            ids.clone(),
            &lifecycle,
        );
        let mut connection = PgConnection::connect(&database.url()).await.unwrap();
        connection.execute(CLOCKS_AGREE).await.unwrap();
        Self {
            connection,
            database,
            journal,
            recheck: Recheck::new(intake.clone()),
            intake,
            signer,
            ids,
            now,
            clock,
            lifecycle,
        }
    }

    async fn take(&self, lines: &[String]) {
        let body = lines.join("\n").into_bytes();
        let received = Received {
            id: self.ids.next(),
            received_at: self.clock.now(),
            peer: "127.0.0.1".to_owned(),
            encoding: String::new(),
            body_bytes: body.len(),
            body: body.into(),
            complete: true,
        };
        self.intake.take(received, None).await.unwrap();
    }

    /// Lets so many seconds pass, and looks again.
    async fn after(&mut self, seconds: i64) {
        *self.now.lock().unwrap() += TimeDelta::seconds(seconds);
        self.recheck.check_again().await.unwrap();
    }

    /// Gives a stored entry the signature of the served key, behind usher's back.
    async fn sign(&mut self, entry: &Entry) {
        let raw = self.signer.json(entry).into_bytes();
        sqlx::query("UPDATE events SET raw = $1 WHERE principal_id = $2")
            .bind(raw)
            .bind(&entry.principal_id)
            .execute(&mut self.connection)
            .await
            .unwrap();
    }

    async fn events(&mut self, verdict: &str) -> i64 {
        let count = "SELECT count(*) FROM events WHERE verdict = $1";
        self.number(count, verdict).await
    }

    async fn kept(&mut self, reason: &str) -> i64 {
        let count = "SELECT count(*) FROM quarantine WHERE reason = $1";
        self.number(count, reason).await
    }

    async fn number(&mut self, query: &'static str, word: &str) -> i64 {
        let number = sqlx::query_scalar(query).bind(word);
        number.fetch_one(&mut self.connection).await.unwrap()
    }

    async fn reverify(&self) -> u64 {
        let filter = CheckFilter {
            from: DateTime::UNIX_EPOCH,
            to: self.clock.now() + TimeDelta::days(365),
            portal_id: None,
            verdict: None,
        };
        let (journal, ids) = (self.journal.clone(), self.ids.clone());
        let mut reverify = Reverify::new(journal, ids, filter, true).await.unwrap();
        while reverify.next().await.unwrap() {}
        reverify.so_far().changes.values().sum()
    }

    async fn finish(self) {
        let Self {
            database,
            journal,
            intake,
            recheck,
            connection,
            lifecycle,
            ..
        } = self;
        drop((intake, recheck, connection));
        lifecycle.shut_down().await;
        journal.close().await;
        database.drop().await;
    }
}

#[tokio::test]
async fn an_entry_waits_five_minutes_for_its_key() {
    let mut scene = Scene::create(VerifyPolicy::Record).await;
    let (late, forger) = (scene.signer.stranger(8), scene.signer.stranger(9));
    // More than one look takes in one go, all of them before the entry whose key is late.
    let lines: Vec<String> = (0..1_100)
        .map(|number| forger.json(&Entry::numbered(number)))
        .collect();
    scene.take(&lines).await;
    scene.after(4).await;
    scene.take(&[late.json(&Entry::numbered(2_000))]).await;
    for _ in 0..4 {
        scene.after(60).await;
        assert_eq!(scene.events("key_unknown").await, 1_101);
    }
    late.serve_key();
    scene.after(4).await;
    assert_eq!(scene.events("verified").await, 1);
    assert_eq!(scene.events("key_unknown").await, 1_100);
    scene.after(60).await;
    assert_eq!(scene.events("failed").await, 1_100);
    assert_eq!(scene.events("verified").await, 1);
    scene.finish().await;
}

#[tokio::test]
async fn what_was_set_aside_as_forged_is_released_where_a_later_key_fits() {
    let mut scene = Scene::create(VerifyPolicy::Require).await;
    let (late, forger) = (scene.signer.stranger(8), scene.signer.stranger(9));
    let lines = [
        late.json(&Entry::numbered(1)),
        forger.json(&Entry::numbered(2)),
    ];
    scene.take(&lines).await;
    for _ in 0..2 {
        scene.after(200).await;
        assert_eq!(scene.kept("signature_key_unknown").await, 2);
    }
    scene.after(200).await;
    assert_eq!(scene.kept("signature_failed").await, 2);
    assert_eq!(scene.reverify().await, 0);

    late.serve_key();
    scene.after(4).await;
    // An entry of somebody else lets the set be fetched again.
    scene.take(&[forger.json(&Entry::numbered(3))]).await;
    assert_eq!(scene.reverify().await, 1);
    assert_eq!(scene.events("verified").await, 1);
    assert_eq!(scene.kept("signature_failed").await, 1);
    assert_eq!(scene.kept("signature_key_unknown").await, 1);
    scene.finish().await;
}

#[tokio::test]
async fn a_clock_that_jumps_makes_no_entry_forged() {
    let mut scene = Scene::create(VerifyPolicy::Record).await;
    let apart = "DROP TRIGGER as_asked ON signing_key_fetches";
    scene.connection.execute(apart).await.unwrap();
    let late = scene.signer.stranger(8);
    scene.take(&[late.json(&Entry::numbered(1))]).await;
    for seconds in [4, 600, 4, 4] {
        scene.after(seconds).await;
        assert_eq!(scene.events("key_unknown").await, 1, "after {seconds} s");
    }
    assert_eq!(scene.reverify().await, 0);
    late.serve_key();
    scene.after(4).await;
    assert_eq!(scene.events("verified").await, 1);
    scene.finish().await;
}

#[tokio::test]
async fn what_no_key_fits_is_checked_again_when_there_is_another_key() {
    let mut scene = Scene::create(VerifyPolicy::Record).await;
    let elsewhere = Signer::new(8);
    let entries = [1, 2].map(Entry::numbered);
    scene
        .take(&entries.each_ref().map(|entry| elsewhere.json(entry)))
        .await;
    scene.after(4).await;
    // As if it had been checked by the keys before, and committed only now.
    scene.sign(&entries[0]).await;
    scene.after(4).await;
    assert_eq!(scene.events("verified").await, 1);
    for _ in 0..10 {
        scene.after(4).await;
    }
    // Whoever checks this one again finds that it fits.
    scene.sign(&entries[1]).await;
    scene.after(4).await;
    assert_eq!(scene.events("key_unknown").await, 1);

    // Another instance gets another key.
    let url = elsewhere.serve(&scene.lifecycle).await;
    let client = build_client(&config(&url).konnect).unwrap();
    let other = KeyRing::new(client, scene.journal.clone(), scene.clock.clone());
    other.refresh(scene.clock.now()).await.unwrap();
    scene.after(4).await;
    assert_eq!(scene.events("verified").await, 2);
    scene.finish().await;
}

#[tokio::test]
async fn what_was_set_aside_until_its_key_came_is_stored_together() {
    const ENTRIES: u64 = 1_500;
    let mut scene = Scene::create(VerifyPolicy::Require).await;
    let (late, forger) = (scene.signer.stranger(8), scene.signer.stranger(9));
    let entries: Vec<String> = (0..ENTRIES)
        .map(|number| late.json(&Entry::numbered(number)))
        .collect();
    scene.take(&entries).await;
    assert_eq!(scene.kept("signature_key_unknown").await, 1_500);

    late.serve_key();
    scene.after(4).await;
    // An entry of somebody else lets the set be fetched again.
    scene.take(&[forger.json(&Entry::numbered(ENTRIES))]).await;
    scene.after(4).await;
    assert_eq!(scene.events("verified").await, 1_500);
    assert_eq!(scene.kept("signature_key_unknown").await, 1);
    let batches = "SELECT count(DISTINCT batch) FROM events WHERE verdict = $1";
    let batches = scene.number(batches, "verified").await;
    assert!(batches <= 4, "{batches} batches of one request");
    scene.finish().await;
}
