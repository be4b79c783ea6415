//! The guides, each followed command by command against a real usher and the emulated Konnect. What
//! a page may hold says `support/guide.rs`.

use std::fs;
use std::path::Path;

use serde_json::json;
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::support::database::TestDatabase;
use crate::support::guide::Reader;
use crate::support::konnect::{PORTAL, TestKonnect};
use crate::support::visitor::Visitor;

/// An address where nobody listens.
async fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("an address").to_string()
}

/// Follows a page with what every guide asks for, and `last` in place of the last of its table.
async fn follow(page: &str, konnect: &TestKonnect, last: (&str, &str)) {
    let database = TestDatabase::create_empty().await;
    let own = [
        ("https://eu.api.konghq.com", konnect.url.as_str()),
        ("kpat_YOUR_TOKEN", konnect.emulator.token()),
        ("postgres://usher@localhost/usher", &database.url()),
        ("127.0.0.1:8088", &free_address().await),
        ("7d0f2f4e-1111-4222-8333-444455556666", &PORTAL.to_string()),
        last,
    ];
    let mut reader = Reader::new();
    reader.follow(page, &own).await;
    drop(reader);
    database.drop().await;
}

#[tokio::test]
async fn an_iam_system_lets_people_in() {
    let konnect = TestKonnect::start().await;
    let ada = Visitor::sign_up(&konnect, "somebody@arsenal.com", "Ada").await;
    follow("iam.md", &konnect, ("ada@arsenal.com", &ada.email)).await;
    let (_, status) = konnect.developer(&ada.email).await;
    assert_eq!(status, "approved");
}

#[tokio::test]
async fn a_custom_portal_answers_registrations() {
    let konnect = TestKonnect::start().await;
    let (owner, application, registration) = (
        Uuid::from_u128(0xb1),
        Uuid::from_u128(0xf1),
        Uuid::from_u128(0xd1),
    );
    let seed = json!({
        "developers": [{
            "id": owner, "portal_id": PORTAL, "email": "ada@arsenal.com", "full_name": "Ada",
            "status": "approved",
        }],
        "applications": [{
            "id": application, "portal_id": PORTAL, "name": "scores",
            "owner": { "id": owner, "type": "developer" },
        }],
        "registrations": [{
            "id": registration, "application_id": application, "api_id": Uuid::from_u128(0xe0),
        }],
    });
    konnect
        .emulator
        .seed(&seed)
        .expect("a seed that Konnect would accept");
    let own = (
        "c300cc33-2d33-4754-b086-a98e0fcd36fb",
        registration.to_string(),
    );
    follow("custom-portal.md", &konnect, (own.0, &own.1)).await;
    assert_eq!(konnect.registrations().await, ["approved"]);
}

/// A page that nobody follows may say anything.
#[test]
fn every_guide_is_followed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let tests = ["tests/it/guides.rs", "tests/it/onboarding_guides.rs"];
    let tests = tests.map(|file| fs::read_to_string(root.join(file)).expect("a file of tests"));
    let pages = fs::read_dir(root.join("docs/guides")).expect("the guides are there");
    let mut count = 0;
    for page in pages {
        let page = page.expect("a page").file_name();
        let followed = format!("follow({page:?}, ");
        assert!(
            tests.iter().any(|text| text.contains(&followed)),
            "nobody follows {page:?}"
        );
        count += 1;
    }
    assert!(count >= 5, "{count} guides");
}
