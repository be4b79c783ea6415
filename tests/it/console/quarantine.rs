//! The pages about quarantine, without a browser: what stays, what becomes an event, and who may
//! ask for it.

use reqwest::StatusCode;
use serde_json::{Value, json};
use usher::config::{Config, Role, Secret};
use uuid::Uuid;

use crate::console::reader::Reader;
use crate::support::app::{CONSOLE_TOKEN, TestApp, config};
use crate::support::sender::id_of;
use crate::support::signer::Entry;

const READER_TOKEN: &str = "reader-token";

fn with_reader() -> Config {
    let mut config = config("http://127.0.0.1:9");
    let mut reader = config.console.tokens[0].clone();
    "auditor".clone_into(&mut reader.name);
    reader.role = Role::Reader;
    reader.token = Secret::new(READER_TOKEN.to_owned());
    config.console.tokens.push(reader);
    config
}

/// Puts an entry aside as a database that was in trouble would have made it; returns its row's id.
async fn put_aside(app: &TestApp, number: u64) -> (Uuid, String) {
    let id = Uuid::from_u128(number.into());
    let line = Entry::numbered(number).json();
    let statement = format!(
        "INSERT INTO quarantine (id, received_at, batch, reason, detail, raw, raw_bytes, event_id)
        VALUES ('{id}', now() - interval '1 minute', '{id}', 'refused_by_database', '<b>trouble</b>',
            convert_to('{line}', 'UTF8'), {}, '{}')",
        line.len(),
        id_of(&line)
    );
    app.database.execute(&statement).await;
    (id, line)
}

/// The entries that say who released what.
async fn releases(app: &TestApp) -> Vec<Value> {
    let path = "/api/v1/events?kind=action&name=quarantine.released";
    app.rows(path).await
}

#[tokio::test]
async fn one_row_becomes_an_event_or_stays_with_its_reason() {
    let app = TestApp::start(with_reader()).await;
    let mut reader = Reader::signed_in(&app.url, CONSOLE_TOKEN).await;
    let (id, line) = put_aside(&app, 1).await;
    app.deliver(&["{".to_owned(), Entry::numbered(9).json()])
        .await;

    let list = reader.get("/quarantine").await;
    assert!(
        list.body.contains(&format!("/quarantine/{id}")),
        "{}",
        list.body
    );
    assert!(!list.body.contains("<b>trouble"), "{}", list.body);
    let bad = reader.get("/quarantine?reason=bad_json").await;
    assert!(!bad.body.contains(&id.to_string()), "{}", bad.body);
    let bad = bad.body.split("href=\"/quarantine/").nth(1).expect("a row");
    let bad = format!("/quarantine/{}", &bad[..36]);

    let page = reader.get(&format!("/quarantine/{id}")).await;
    assert!(page.body.contains("Release it"), "{}", page.body);
    let raw = reader.get(&format!("/quarantine/{id}/raw")).await;
    assert_eq!(raw.body, line);
    let done = reader.post(&format!("/quarantine/{id}/release"), &[]).await;
    let event = format!("/events/{}", id_of(&line));
    assert_eq!(done.location, Some(format!("{event}?done=released")));
    assert_eq!(reader.get(&event).await.status, StatusCode::OK);
    let again = reader.post(&format!("/quarantine/{id}/release"), &[]).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND);

    let stays = reader.post(&format!("{bad}/release"), &[]).await;
    assert_eq!(stays.location, Some(format!("{bad}?done=stays")));
    assert_eq!(reader.get(&bad).await.status, StatusCode::OK);
    // What did nothing is no release.
    let told = releases(&app).await;
    let [told] = &told[..] else {
        panic!("one release is in the record: {told:?}")
    };
    let expected = json!({
        "way": "console",
        "filter": { "ids": id, "reason": "refused_by_database" },
        "released": 1, "known": 0, "left": {}, "complete": true,
    });
    assert_eq!(told["principal_id"], "test");
    assert_eq!(told["data"], expected);
    app.finish().await;
}

#[tokio::test]
async fn many_are_released_as_they_were_shown_or_not_at_all() {
    let app = TestApp::start(with_reader()).await;
    let mut reader = Reader::signed_in(&app.url, CONSOLE_TOKEN).await;
    for number in 1..=3 {
        put_aside(&app, number).await;
    }
    app.deliver(&["{".to_owned(), Entry::numbered(3).json()])
        .await;
    let preview = reader.get("/quarantine/release").await;
    let shown = |name: &str| preview.field(name).expect("a field");
    let (to, count) = (shown("to"), shown("count"));
    assert_eq!(count, "4", "{}", preview.body);
    // Another row of that time came in meanwhile.
    put_aside(&app, 4).await;
    let fields = [("to", to.as_str()), ("count", count.as_str())];
    let changed = reader.post("/quarantine/release", &fields).await;
    assert_eq!(changed.status, StatusCode::CONFLICT, "{}", changed.body);
    assert!(changed.body.contains("has changed"), "{}", changed.body);
    let fields = [("to", to.as_str()), ("count", "5")];
    let done = reader.post("/quarantine/release", &fields).await;
    let told = "3 released, 1 known already, 1 left as they are";
    assert!(done.body.contains(told), "{}", done.body);
    assert!(done.body.contains("bad json"), "{}", done.body);
    let told = releases(&app).await;
    let [told] = &told[..] else {
        panic!("one release is in the record: {told:?}")
    };
    assert_eq!(told["principal_id"], "test");
    assert_eq!(told["data"]["released"], 3);
    assert_eq!(told["data"]["known"], 1);
    assert_eq!(told["data"]["left"], json!({ "bad_json": 1 }));
    assert_eq!(told["data"]["filter"], json!({ "to": to }));
    for field in ["x", ""] {
        let bad = reader.post("/quarantine/release", &[("to", field)]).await;
        assert_eq!(bad.status, StatusCode::BAD_REQUEST, "{field}");
    }
    app.finish().await;
}

#[tokio::test]
async fn who_may_only_read_releases_nothing() {
    let app = TestApp::start(with_reader()).await;
    let (id, _) = put_aside(&app, 1).await;
    let mut reader = Reader::signed_in(&app.url, READER_TOKEN).await;
    let page = reader.get(&format!("/quarantine/{id}")).await;
    assert!(!page.body.contains("Release it"), "{}", page.body);
    assert!(page.body.contains("role operator"), "{}", page.body);
    let one = reader.post(&format!("/quarantine/{id}/release"), &[]).await;
    assert_eq!(one.status, StatusCode::FORBIDDEN);
    let preview = reader.get("/quarantine/release").await;
    assert_eq!(preview.status, StatusCode::FORBIDDEN);
    let all = reader.post("/quarantine/release", &[("to", "x")]).await;
    assert_eq!(all.status, StatusCode::FORBIDDEN);
    assert_eq!(app.rows("/api/v1/quarantine").await.len(), 1);
    assert!(releases(&app).await.is_empty());
    app.finish().await;
}
