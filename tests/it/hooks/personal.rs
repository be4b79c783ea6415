//! Where addresses and names stay that a trusted sender told, and for how long.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use usher::clock::{Clock, Ids};
use usher::directory::{Directory, Forgotten};
use usher::journal::{Journal, Retention};
use uuid::Uuid;

use crate::hooks::{SOON, at_work, custom_events, door, iam};
use crate::support::app::TestApp;
use crate::support::eventually;
use crate::support::hooks::{event, joined};
use crate::support::konnect::{PARTNERS, PORTAL, TestKonnect};
use crate::support::record::Record;
use crate::support::visitor::Visitor;

async fn forget(app: &TestApp, developer: Uuid) -> Forgotten {
    let journal = Journal::open(&app.database.url()).expect("a URL");
    let ids = Ids::new(Clock::system());
    let directory = Directory::new(journal.clone(), Clock::system(), ids);
    let forgotten = directory.forget(PORTAL.into(), developer.into()).await;
    journal.close().await;
    forgotten
        .expect("the record answers")
        .expect("they are known")
}

async fn told(app: &TestApp, kind: &str, id: &str, data: &Value) {
    let mut told = event(id, data);
    told["type"] = json!(kind);
    let (status, told) = iam().tell(app, &told).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{told}");
}

#[tokio::test]
async fn names_beside_an_id_are_kept_apart_and_rules_see_them() {
    let konnect = TestKonnect::start().await;
    let ada = Visitor::sign_up(&konnect, "ada@arsenal.com", "A. L.").await;
    let (app, _rules) = at_work(&konnect, |_| {}).await;
    let (ada, _) = konnect.developer(&ada.email).await;
    let names = json!({
        "full_name": "Ada Lovelace", "name": { "given": "Augusta" },
        "developer_email": "ada@home.example", "plan": { "name": "gold" },
    });
    let with = |member: &str, id: Uuid| {
        let mut data = names.clone();
        data[member] = json!(id);
        data
    };
    let kind = "com.example.user.named";
    told(&app, kind, "1", &with("developer_id", ada)).await;
    // Of a registration that nobody has seen.
    told(
        &app,
        kind,
        "2",
        &with("registration_id", Uuid::from_u128(7)),
    )
    .await;
    eventually(
        "the rule saw the names as they were sent",
        SOON,
        async || konnect.teams_of(ada).await == [PARTNERS],
    )
    .await;
    for stored in custom_events(&app).await {
        assert_eq!(stored["data"]["plan"]["name"], "gold");
        assert!(stored["data"].get("name").is_none(), "{stored}");
    }
    let mut record = Record::of(&app.database).await;
    let personal = ["Lovelace", "Augusta", "ada@home.example"];
    for text in personal {
        assert_eq!(record.tables_with(text).await, ["subjects"], "{text}");
    }

    // What was told of the registration is nobody's that is known; the rest is ada's.
    assert_eq!(forget(&app, ada).await.told, 1);
    record
        .run("DELETE FROM subjects WHERE told_of = '00000000-0000-0000-0000-000000000007'")
        .await;
    told(&app, kind, "3", &with("developer_id", ada)).await;
    for text in personal {
        assert!(record.tables_with(text).await.is_empty(), "{text}");
    }
    app.finish().await;
}

#[tokio::test]
async fn what_was_told_beside_an_address_is_seen_as_it_was_sent_until_it_is_forgotten() {
    let konnect = TestKonnect::start().await;
    let ada = Visitor::sign_up(&konnect, "ada@arsenal.com", "A. L.").await;
    let (app, _rules) = at_work(&konnect, |_| {}).await;
    let data = json!({
        "email": "ada@arsenal.com", "full_name": "Ada Lovelace", "link": "mailto:ada@arsenal.com",
    });
    told(&app, "com.example.user.written_to", "1", &data).await;
    let (id, _) = konnect.developer(&ada.email).await;
    eventually("the rule saw it as it was sent", SOON, async || {
        konnect.teams_of(id).await == [PARTNERS]
    })
    .await;
    let mut record = Record::of(&app.database).await;
    assert_eq!(record.tables_with("Lovelace").await, ["subjects"]);
    assert_eq!(forget(&app, id).await.told, 1);
    assert!(record.tables_with("Lovelace").await.is_empty());
    assert!(record.tables_with("ada@arsenal.com").await.is_empty());
    app.finish().await;
}

#[tokio::test]
async fn forgetting_folds_no_letters_but_those_of_ascii() {
    let app = door().await;
    // The first letter is a Kelvin sign, which is `k` in lower case.
    for (id, email) in [("1", "KATE@arsenal.com"), ("2", "\u{212a}ate@arsenal.com")] {
        told(
            &app,
            "com.example.user.joined",
            id,
            &json!({ "email": email }),
        )
        .await;
    }
    let mut record = Record::of(&app.database).await;
    let kate = Uuid::from_u128(0xca);
    record
        .insert_subject(PORTAL, kate, "kate@arsenal.com")
        .await;
    assert!(forget(&app, kate).await.email);
    assert_eq!(
        record
            .number("SELECT count(*) FROM subjects WHERE email IS NOT NULL")
            .await,
        1
    );
    assert_eq!(
        record.tables_with("\u{212a}ate@arsenal.com").await,
        ["subjects"]
    );
    app.finish().await;
}

#[tokio::test]
async fn ids_and_told_addresses_grow_old_and_can_be_forgotten() {
    let app = door().await;
    iam().tell(&app, &joined("1", "ada@arsenal.com")).await;
    let journal = Journal::open(&app.database.url()).expect("a URL");
    let day = Duration::from_hours(24);
    let retention = Retention {
        events: 400 * day,
        quarantine: 90 * day,
        batches: 90 * day,
        told: 90 * day,
    };
    let now = Clock::system().now();
    journal.tidy_up(&retention, now).await.expect("a round");
    let mut record = Record::of(&app.database).await;
    assert_eq!(record.rows_of("custom_ids").await, 1);
    assert_eq!(record.tables_with("ada@arsenal.com").await, ["subjects"]);

    // Somebody signed up by that address: forgetting them empties what was told before as well.
    let developer = Uuid::from_u128(0xda);
    record
        .insert_subject(PORTAL, developer, "Ada@arsenal.com")
        .await;
    assert!(forget(&app, developer).await.email);
    assert!(record.tables_with("ada@arsenal.com").await.is_empty());

    iam().tell(&app, &joined("2", "bob@arsenal.com")).await;
    let later = now + chrono::TimeDelta::days(91);
    journal.tidy_up(&retention, later).await.expect("a round");
    assert_eq!(record.rows_of("custom_ids").await, 0);
    assert!(record.tables_with("bob@arsenal.com").await.is_empty());
    // The event is still known by its content where its time is its own.
    journal.close().await;
    app.finish().await;
}

#[tokio::test]
async fn a_leaver_who_was_forgotten_is_revoked_by_their_id_and_the_action_says_so() {
    let konnect = TestKonnect::start().await;
    let ada = Visitor::sign_up(&konnect, "ada@arsenal.com", "Ada").await;
    let (app, _rules) = at_work(&konnect, |_| {}).await;
    let (status, _) = iam().tell(&app, &joined("1", &ada.email)).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    eventually("ada is let in", SOON, async || {
        app.rows("/api/v1/actions?state=done").await.len() == 2
    })
    .await;
    let (id, _) = konnect.developer(&ada.email).await;
    forget(&app, id).await;
    let by_id = json!({ "developer_id": id });
    // What would give her something comes to nothing.
    told(&app, "com.example.user.placed", "2", &by_id).await;
    told(&app, "com.example.user.left", "3", &by_id).await;
    eventually("she is shown out", SOON, async || {
        konnect.developer(&ada.email).await.1 == "revoked"
    })
    .await;
    let revoked = "/api/v1/actions?deed=revoke_developer&state=done";
    eventually("that is on record", SOON, async || {
        app.rows(revoked).await.len() == 1
    })
    .await;
    let action = &app.rows(revoked).await[0];
    assert_eq!(action["reason"], "they were forgotten, teams left: 1");
    assert_eq!(action["report"]["was_forgotten"], true);
    assert!(konnect.teams_of(id).await.is_empty());
    let id = action["id"].as_str().expect("an id");
    let (_, action) = app.get(&format!("/api/v1/actions/{id}")).await;
    assert_eq!(
        action["data"]["facts"]["developer"]["forgotten"], true,
        "{action}"
    );
    assert_eq!(app.rows("/api/v1/actions?rule=team").await.len(), 0);
    app.finish().await;
}
