//! Trusted senders name people whom no list of those who wait shows: they were let in since
//! everything was last looked at.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::hooks::{SOON, at_work, iam};
use crate::support::app::TestApp;
use crate::support::eventually;
use crate::support::hooks::event;
use crate::support::konnect::{PARTNERS, PORTAL, TestKonnect};
use crate::support::record::Record;

const ANN: Uuid = Uuid::from_u128(0xb1);
const BOB: Uuid = Uuid::from_u128(0xb2);

/// Nothing but what the events themselves ask for is read once everything was seen.
async fn all_seen(konnect: &TestKonnect) -> (TestApp, tempfile::NamedTempFile) {
    let (app, rules) = at_work(konnect, |config| {
        config.observe.pending_every = Duration::from_hours(1);
    })
    .await;
    let mut record = Record::of(&app.database).await;
    eventually("everything was seen once", SOON, async || {
        let looks = "SELECT count(*) FROM observed_portals WHERE all_at IS NOT NULL";
        record.number(looks).await == 1
    })
    .await;
    (app, rules)
}

fn approved(id: Uuid, email: &str) -> Value {
    json!({ "id": id, "portal_id": PORTAL, "email": email, "full_name": "Somebody", "status": "approved" })
}

async fn place(app: &TestApp, id: &str, whom: &Value) {
    let mut told = event(id, whom);
    told["type"] = json!("com.example.user.placed");
    let (status, _) = iam().tell(app, &told).await;
    assert_eq!(status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn who_was_approved_a_moment_ago_is_found_by_id_and_by_address() {
    let konnect = TestKonnect::start().await;
    let (app, _rules) = all_seen(&konnect).await;
    let seed = json!({ "developers": [
        approved(ANN, "ann@arsenal.com"),
        approved(BOB, "bob@arsenal.com"),
    ]});
    konnect.emulator.seed(&seed).expect("two developers");
    place(&app, "1", &json!({ "developer_id": ANN })).await;
    eventually("the one named by id is in the team", SOON, async || {
        konnect.teams_of(ANN).await == [PARTNERS]
    })
    .await;
    assert!(konnect.teams_of(BOB).await.is_empty());
    place(&app, "2", &json!({ "email": "bob@arsenal.com" })).await;
    eventually(
        "the one named by address is in the team",
        SOON,
        async || konnect.teams_of(BOB).await == [PARTNERS],
    )
    .await;
    let mut record = Record::of(&app.database).await;
    let left =
        "SELECT (SELECT count(*) FROM touched_developers) + (SELECT count(*) FROM touched_objects)";
    eventually("nobody is left to be read", SOON, async || {
        record.number(left).await == 0
    })
    .await;
    let tables = record.tables_with("bob@arsenal.com").await;
    assert_eq!(tables, ["subjects"]);
    app.finish().await;
}

#[tokio::test]
async fn whom_nobody_can_find_is_looked_for_once_and_decided_without() {
    let konnect = TestKonnect::start().await;
    let (app, _rules) = all_seen(&konnect).await;
    place(&app, "1", &json!({ "developer_id": ANN })).await;
    place(&app, "2", &json!({ "email": "nobody@arsenal.com" })).await;
    let mut record = Record::of(&app.database).await;
    eventually("it is decided", SOON, async || {
        record.owed_to("react").await == 0 && record.rows_of("custom_ids").await == 2
    })
    .await;
    assert!(app.rows("/api/v1/actions").await.is_empty());
    let asked = |end: &str| {
        let requests = konnect.emulator.requests();
        let found = requests
            .iter()
            .filter(|request| request.path.ends_with(end));
        found.count()
    };
    assert_eq!(asked(&format!("/developers/{ANN}")), 1);
    app.finish().await;
}
