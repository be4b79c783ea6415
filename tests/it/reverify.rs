//! `usher events reverify`: stored entries are checked again, and nothing is made weaker in
//! silence.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, PgConnection};
use usher::lifecycle::Lifecycle;

use crate::support::database::TestDatabase;
use crate::support::process::{Installation, settings};
use crate::support::signer::{Entry, Signer};

const STOP: Duration = Duration::from_secs(30);
/// Nobody listens on this port.
const NO_KONNECT: &str = "http://127.0.0.1:9";

async fn connect(database: &TestDatabase) -> PgConnection {
    let options: PgConnectOptions = database.url().parse().unwrap();
    options.connect().await.unwrap()
}

/// Starts usher, delivers, and ends it.
async fn deliver(usher: &mut Installation, lines: &[String]) {
    let process = usher.start().await;
    for lines in lines.chunks(500) {
        assert_eq!(process.deliver(lines).await.unwrap(), 200);
    }
    process.terminate().await;
    assert!(process.exit(STOP).await.success());
}

/// The counts by what an entry was and what it is; the summary apart.
fn transitions(lines: &[Value]) -> (BTreeMap<String, u64>, &Value) {
    let (summary, changes) = lines.split_last().unwrap();
    let named = changes.iter().map(|change| {
        let [from, to] = ["from", "to"].map(|member| change[member].as_str().unwrap());
        (format!("{from} {to}"), change["events"].as_u64().unwrap())
    });
    (named.collect(), summary)
}

async fn verdicts(connection: &mut PgConnection) -> BTreeMap<String, i64> {
    let rows: Vec<(String, i64)> =
        sqlx::query_as("SELECT verdict, count(*) FROM events GROUP BY verdict")
            .fetch_all(connection)
            .await
            .unwrap();
    rows.into_iter().collect()
}

fn counted<T: Copy>(pairs: &[(&str, T)]) -> BTreeMap<String, T> {
    let own = |(name, count): &(&str, T)| ((*name).to_owned(), *count);
    pairs.iter().map(own).collect()
}

async fn owed(connection: &mut PgConnection) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM outbox WHERE reader = 'kafka'")
        .fetch_one(connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn what_was_taken_in_unchecked_is_checked_later_and_owed_again() {
    let signer = Signer::new(7);
    let lifecycle = Lifecycle::new();
    let database = TestDatabase::create().await;
    let mut settings = settings(&database, &signer.serve(&lifecycle).await);
    settings["ingest"]["verify"] = json!("off");
    let mut usher = Installation::new(&settings);
    // More than one slice.
    let mut lines: Vec<String> = (0..1_200)
        .map(|number| signer.json(&Entry::numbered(number)))
        .collect();
    let stranger = signer.stranger(9);
    lines.extend((2_000..2_003).map(|number| stranger.json(&Entry::numbered(number))));
    lines.push(Entry::numbered(3_000).json());
    deliver(&mut usher, &lines).await;
    let mut connection = connect(&database).await;
    let unchecked = counted(&[("not_applicable", 1_204)]);
    assert_eq!(verdicts(&mut connection).await, unchecked);
    sqlx::query("INSERT INTO readers (name, since) VALUES ('kafka', now())")
        .execute(&mut connection)
        .await
        .unwrap();

    let found = counted(&[
        ("not_applicable key_unknown", 3),
        ("not_applicable unsigned", 1),
        ("not_applicable verified", 1_200),
    ]);
    let dry = usher
        .run(&["events", "reverify", "--dry-run", "--json"])
        .await;
    let lines = dry.lines(3);
    assert_eq!(transitions(&lines).0, found);
    assert_eq!(verdicts(&mut connection).await, unchecked);
    assert_eq!(owed(&mut connection).await, 0);

    let elsewhere = "00000000-0000-0000-0000-000000000001";
    let other = ["events", "reverify", "--json", "--portal", elsewhere];
    let lines = usher.run(&other).await.lines(0);
    assert_eq!(transitions(&lines).1["checked"], 0);

    let ran = usher.run(&["events", "reverify", "--json"]).await;
    let lines = ran.lines(0);
    let (changes, summary) = transitions(&lines);
    assert_eq!(changes, found);
    assert_eq!(
        (&summary["checked"], &summary["changed"]),
        (&json!(1_204), &json!(1_204))
    );
    assert_eq!(ran.err, "");
    let checked = counted(&[("key_unknown", 3), ("unsigned", 1), ("verified", 1_200)]);
    assert_eq!(verdicts(&mut connection).await, checked);
    assert!(owed(&mut connection).await > 0, "readers hear of it again");

    let lines = usher.run(&["events", "reverify", "--json"]).await.lines(0);
    let (changes, summary) = transitions(&lines);
    assert_eq!((changes.len(), &summary["checked"]), (0, &json!(1_204)));
    let text = usher
        .run(&["events", "reverify", "--verification", "key_unknown"])
        .await;
    assert_eq!(text.out, "3 entries checked against 1 key\n");
    drop(connection);
    database.drop().await;
}

#[tokio::test]
async fn what_verifies_no_longer_is_told_and_left_as_it_is() {
    let signer = Signer::new(7);
    let lifecycle = Lifecycle::new();
    let database = TestDatabase::create().await;
    let mut settings = settings(&database, &signer.serve(&lifecycle).await);
    let mut usher = Installation::new(&settings);
    let lines = [1, 2, 3].map(|number| signer.json(&Entry::numbered(number)));
    deliver(&mut usher, &lines).await;
    let mut connection = connect(&database).await;
    assert_eq!(verdicts(&mut connection).await, counted(&[("verified", 3)]));

    // As if the key had left the set long before they came.
    sqlx::query("UPDATE signing_keys SET last_seen = now() - interval '30 days'")
        .execute(&mut connection)
        .await
        .unwrap();
    settings["konnect"]["base_url"] = json!(NO_KONNECT);
    usher.configure(&settings);
    let ran = usher.run(&["events", "reverify", "--json"]).await;
    let lines = ran.lines(3);
    let (changes, summary) = transitions(&lines);
    assert_eq!(changes, counted(&[("verified key_unknown", 3)]));
    assert_eq!(
        (&summary["changed"], &summary["no_longer_verified"]),
        (&json!(0), &json!(3))
    );
    assert!(
        ran.err.contains("could not fetch the signing keys"),
        "{ran:?}"
    );
    assert_eq!(
        ran.err.matches("no key fits any more").count(),
        3,
        "{ran:?}"
    );
    assert_eq!(verdicts(&mut connection).await, counted(&[("verified", 3)]));
    drop(connection);
    database.drop().await;
}

#[tokio::test]
async fn what_was_kept_aside_for_want_of_a_key_is_released() {
    let signer = Signer::new(7);
    let lifecycle = Lifecycle::new();
    let database = TestDatabase::create().await;
    let mut settings = settings(&database, NO_KONNECT);
    settings["ingest"]["verify"] = json!("require");
    let mut usher = Installation::new(&settings);
    let stranger = signer.stranger(9);
    let mut lines = [1, 2]
        .map(|number| signer.json(&Entry::numbered(number)))
        .to_vec();
    lines.extend([
        stranger.json(&Entry::numbered(3)),
        Entry::numbered(4).json(),
    ]);
    deliver(&mut usher, &lines).await;
    let reasons = async || {
        let rows = usher.run(&["quarantine", "--json"]).await.lines(0);
        let reasons = rows
            .iter()
            .map(|row| row["reason"].as_str().unwrap().to_owned());
        let mut reasons: Vec<String> = reasons.collect();
        reasons.sort();
        reasons
    };
    let unknown = "signature_key_unknown";
    assert_eq!(
        reasons().await,
        [unknown, unknown, unknown, "signature_missing"]
    );

    settings["konnect"]["base_url"] = json!(signer.serve(&lifecycle).await);
    usher.configure(&settings);
    let found = counted(&[("quarantined verified", 2)]);
    let lines = usher
        .run(&["events", "reverify", "--json", "--dry-run"])
        .await
        .lines(3);
    assert_eq!(transitions(&lines).0, found);
    assert_eq!(
        reasons().await,
        [unknown, unknown, unknown, "signature_missing"]
    );
    let lines = usher.run(&["events", "reverify", "--json"]).await.lines(0);
    assert_eq!(transitions(&lines).0, found);
    assert_eq!(reasons().await, [unknown, "signature_missing"]);
    let events = usher
        .run(&["events", "--json", "--verification", "verified"])
        .await;
    assert_eq!(events.lines(0).len(), 2);
    database.drop().await;
}
