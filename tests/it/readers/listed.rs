//! Readers are listed by the command and by the API, and retired by a person.

use serde_json::{Value, json};
use usher::clock::Clock;
use usher::journal::ReaderName;

use crate::readers::Record;
use crate::support::process::{CONSOLE_TOKEN, Installation, settings};

#[tokio::test]
async fn readers_are_listed_and_retired_by_hand() {
    let record = Record::with_kafka().await;
    record.append(1).await;
    let installation = Installation::new(&settings(&record.database, "http://127.0.0.1:9"));
    let listed = installation.run(&["readers", "--json"]).await.lines(0);
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0]["reader"], "kafka");
    assert_eq!(listed[0]["batches"], 1);
    let ran = installation.run(&["readers", "retire", "kafca"]).await;
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.err.contains("there is no reader named \"kafca\""),
        "{ran:?}"
    );
    let ran = installation.run(&["readers", "retire", "kafka"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("kafka is retired"), "{ran:?}");
    assert_eq!(record.number("SELECT count(*) FROM outbox").await, 0);
    assert!(
        installation
            .run(&["readers", "--json"])
            .await
            .lines(0)
            .is_empty()
    );
    record.end().await;
}

#[tokio::test]
async fn readers_are_listed_by_the_api_as_by_the_command() {
    let record = Record::with_kafka().await;
    record.append(1).await;
    let now = Clock::system().now();
    let activated = record.journal.activate_reader(ReaderName::React, now).await;
    activated.unwrap();
    let mut settings = settings(&record.database, "http://127.0.0.1:9");
    settings["console"]["tokens"][0]["role"] = json!("reader");
    let mut installation = Installation::new(&settings);
    let usher = installation.start().await;
    let rows = usher.rows("/api/v1/readers").await;
    let names: Vec<&Value> = rows.iter().map(|row| &row["reader"]).collect();
    assert_eq!(names, ["kafka", "react", "report"]);
    assert_eq!(rows[0]["batches"], 1);
    let listed = installation.run(&["readers", "--json"]).await.lines(0);
    assert_eq!(rows, listed);
    // A page of one, and the one after it.
    let first = "/api/v1/readers?limit=1";
    assert_eq!(usher.rows(first).await, rows[..1]);
    let answer = usher.http.get(format!("{}{first}", usher.url));
    let answer = answer.bearer_auth(CONSOLE_TOKEN).send().await.unwrap();
    let page: Value = answer.json().await.unwrap();
    let next = page["meta"]["next"].as_str().unwrap();
    assert_eq!(usher.rows(next).await, rows[1..2]);
    usher.kill().await;
    record.end().await;
}
