//! The guides that portal admins follow, command by command: what a page may hold says
//! `support/guide.rs`.

use serde_json::json;
use tokio::net::TcpListener;

use crate::least_privilege::assert_dry_run;
use crate::support::database::TestDatabase;
use crate::support::guide::Reader;
use crate::support::konnect::{PORTAL, TestKonnect};

const KONNECT: &str = "https://eu.api.konghq.com";
const TOKEN: &str = "kpat_YOUR_TOKEN";
const DATABASE: &str = "postgres://usher@localhost/usher";

/// A portal where James of a partner and Eve of nobody wait.
async fn konnect() -> TestKonnect {
    let konnect = TestKonnect::start().await;
    let person = |email: &str| {
        json!({
            "portal_id": PORTAL, "email": email, "full_name": "Somebody", "status": "pending",
        })
    };
    let seed = json!({ "developers": [
        person("james@manchestercity.com"),
        person("eve@manchestercity.com.evil.example"),
    ]});
    konnect.emulator.seed(&seed).unwrap();
    konnect
}

#[tokio::test]
async fn a_pipeline_checks_shows_and_does() {
    let (konnect, database) = (konnect().await, TestDatabase::create_empty().await);
    let own = [
        (KONNECT, konnect.url.as_str()),
        (TOKEN, konnect.emulator.token()),
        (DATABASE, &database.url()),
    ];
    Reader::new().follow("ci-cd.md", &own).await;
    let (_, status) = konnect.developer("james@manchestercity.com").await;
    assert_eq!(status, "approved");
    database.drop().await;
}

#[tokio::test]
async fn partners_are_let_in_by_their_domain() {
    let (konnect, database) = (konnect().await, TestDatabase::create_empty().await);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let own = [
        (KONNECT, konnect.url.as_str()),
        (TOKEN, konnect.emulator.token()),
        (DATABASE, &database.url()),
        ("127.0.0.1:8088", &address),
    ];
    let mut reader = Reader::new();
    reader.follow("partner-domains.md", &own).await;
    drop(reader);
    let (_, status) = konnect
        .developer("eve@manchestercity.com.evil.example")
        .await;
    assert_eq!(status, "pending");
    database.drop().await;
}

#[tokio::test]
async fn a_token_is_tried_before_it_is_trusted() {
    let konnect = konnect().await;
    let own = [
        (KONNECT, konnect.url.as_str()),
        ("spat_YOUR_TOKEN", konnect.emulator.token()),
    ];
    Reader::new().follow("least-privilege.md", &own).await;
    assert!(konnect.writes().is_empty());
    assert_dry_run(&konnect.emulator);
}
