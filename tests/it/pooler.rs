//! usher behind pgbouncer: session mode works, transaction mode is refused at the start.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::database::TestDatabase;
use crate::support::pgbouncer::Pgbouncer;
use crate::support::process::{Installation, settings};
use crate::support::record::Record;
use crate::support::signer::Entry;

const PATIENCE: Duration = Duration::from_secs(20);
const NOBODY: &str = "http://127.0.0.1:9";

fn behind(pooler: &Pgbouncer, database: &TestDatabase) -> Value {
    let mut settings = settings(database, NOBODY);
    settings["database"]["url"] = json!(pooler.url());
    settings
}

#[tokio::test]
async fn a_pooler_by_session_makes_no_difference() {
    let database = TestDatabase::create_empty().await;
    let pooler = Pgbouncer::before(&database, "session").await;
    let mut installation = Installation::new(&behind(&pooler, &database));
    let usher = installation.start().await;
    let lines: Vec<String> = (0..50).map(|it| Entry::numbered(it).json()).collect();
    assert_eq!(usher.deliver(&lines).await, Some(StatusCode::OK));
    assert_eq!(usher.deliver(&lines).await, Some(StatusCode::OK));
    assert_eq!(usher.rows("/api/v1/events?limit=1000").await.len(), 50);
    assert_eq!(Record::of(&database).await.event_ids().await.len(), 50);
    usher.terminate().await;
    assert_eq!(usher.exit(PATIENCE).await.code(), Some(0));
    database.drop().await;
}

#[tokio::test]
async fn a_pooler_by_transaction_is_refused_at_the_start() {
    let database = TestDatabase::create_empty().await;
    let pooler = Pgbouncer::before(&database, "transaction").await;
    let mut installation = Installation::new(&behind(&pooler, &database));
    // Also the second time, when statements of the first one lie about.
    for _ in 0..2 {
        let usher = installation.launch();
        assert_eq!(usher.exit(PATIENCE).await.code(), Some(2));
    }
    let log = installation.log();
    assert!(log.contains("set pool_mode = session"), "{log}");
    database.drop().await;
}
