//! Trusted senders: what they are answered, what is stored of it, and what follows from it.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use usher::clock::{Clock, Ids};
use usher::config::{Config, Secret};
use usher::directory::Directory;
use usher::event::{CustomEvent, Person};
use usher::journal::{Journal, NewCustom, NewTold, RequestRecord, Retention};
use uuid::Uuid;

use crate::support::app::{TestApp, config};
use crate::support::eventually;
use crate::support::hooks::{BATCH, ELSEWHERE, Sender, answer, event, joined, with_senders};
use crate::support::kafka::{Broker, TestKafka};
use crate::support::konnect::{PARTNERS, PORTAL, TestKonnect};
use crate::support::record::Record;
use crate::support::visitor::Visitor;

const SOON: Duration = Duration::from_secs(40);
const SINGLE: &str = "application/cloudevents+json";
/// Nobody listens on this port.
const NO_KONNECT: &str = "http://127.0.0.1:9";

/// Lets in whom the IAM system says that they joined.
const RULES: &str = r#"version: 1
rules:
  - name: joined
    on: custom.com.example.user.joined
    when: >-
      developer.status == "pending" && event.data.department == "Partners"
      && event.data.email == developer.email && event.sender == "iam"
    then: [approve_developer, {add_to_team: Partners}]
  - name: hired
    on: custom.com.example.user.hired
    when: domain(event.data.email) == "arsenal.com"
    then: [invite_developer]
  - name: team
    on: custom.com.example.user.placed
    when: developer.status == "approved"
    then: [{add_to_team: Partners}]
  - name: leveled
    on: custom.com.example.user.joined
    when: event.data.level > 3
    then: [{add_to_team: Partners}]
"#;

fn iam() -> Sender {
    Sender::new("iam", 1)
}

fn portal_app() -> Sender {
    Sender::new("portal-app", 2)
}

/// A door for two senders, one of whom may do little.
async fn door() -> TestApp {
    let mut config = config(NO_KONNECT);
    with_senders(
        &mut config,
        &[
            iam().entry(&json!({})),
            portal_app().entry(&json!({ "types": ["com.example.app.*"], "portals": [PORTAL] })),
        ],
    );
    TestApp::start(config).await
}

/// Usher with rules that answer what the IAM system tells.
async fn at_work(
    konnect: &TestKonnect,
    change: impl FnOnce(&mut Config),
) -> (TestApp, NamedTempFile) {
    let mut rules = NamedTempFile::new().expect("a file");
    rules
        .write_all(RULES.as_bytes())
        .expect("the rules are written");
    let mut config = config(&konnect.url);
    config.konnect.token = Some(Secret::new(konnect.emulator.token().to_owned()));
    config.rules.path = Some(rules.path().to_owned());
    with_senders(&mut config, &[iam().entry(&json!({}))]);
    change(&mut config);
    (TestApp::start(config).await, rules)
}

fn counts(answer: &Value) -> [u64; 4] {
    ["received", "stored", "duplicates", "differing"].map(|member| {
        answer[member]
            .as_u64()
            .unwrap_or_else(|| panic!("no {member} in {answer}"))
    })
}

async fn custom_events(app: &TestApp) -> Vec<Value> {
    app.rows("/api/v1/events?kind=custom").await
}

#[tokio::test]
async fn what_a_sender_tells_is_stored_once() {
    let app = door().await;
    let first = joined("1", "ada@arsenal.com");
    let (status, told) = iam().tell(&app, &first).await;
    assert_eq!(
        (status, counts(&told)),
        (StatusCode::ACCEPTED, [1, 1, 0, 0]),
        "{told}"
    );
    // Again, alone, in a batch that has it twice, and as plain JSON of either form.
    assert_eq!(counts(&iam().tell(&app, &first).await.1), [1, 0, 1, 0]);
    let batch = [
        first.clone(),
        joined("2", "bob@arsenal.com"),
        joined("2", "bob@arsenal.com"),
    ];
    assert_eq!(counts(&iam().tell_all(&app, &batch).await.1), [3, 1, 2, 0]);
    for body in [first.to_string(), Value::from(batch.to_vec()).to_string()] {
        let plain = iam().request(&app, "application/json; charset=utf-8", &body);
        let (status, told) = answer(plain).await;
        assert_eq!(
            (status, counts(&told)[1]),
            (StatusCode::ACCEPTED, 0),
            "{told}"
        );
    }
    assert_eq!(counts(&iam().tell_all(&app, &[]).await.1), [0, 0, 0, 0]);
    // The same source and id with other content is not stored, and said so.
    let changed = joined("1", "eve@arsenal.com");
    assert_eq!(counts(&iam().tell(&app, &changed).await.1), [1, 0, 1, 1]);
    // Another source has ids of its own, and so has another sender.
    let mut elsewhere = first.clone();
    elsewhere["source"] = json!("https://hr.example.com");
    assert_eq!(counts(&iam().tell(&app, &elsewhere).await.1), [1, 1, 0, 0]);
    let mut of_app = first.clone();
    of_app["type"] = json!("com.example.app.joined");
    // With a time of its own, which is in the event's identity as well.
    of_app["time"] = json!("2026-11-22T00:00:00Z");
    let mut taken = joined("1", "ada@arsenal.com");
    taken["source"] = json!("/of-both");
    taken["time"] = of_app["time"].clone();
    of_app["source"] = taken["source"].clone();
    assert_eq!(
        counts(&portal_app().tell(&app, &of_app).await.1),
        [1, 1, 0, 0]
    );
    assert_eq!(counts(&iam().tell(&app, &taken).await.1), [1, 1, 0, 0]);

    let events = custom_events(&app).await;
    assert_eq!(events.len(), 5);
    let one = events
        .iter()
        .find(|event| event["ce_id"] == "2")
        .expect("the second");
    assert_eq!(one["name"], "custom.com.example.user.joined");
    assert_eq!(one["portal_id"], json!(PORTAL));
    assert_eq!(
        (&one["kind"], &one["sender"]),
        (&json!("custom"), &json!("iam"))
    );
    assert_eq!(one["data"]["department"], "Partners");
    assert!(
        one["data"].get("email").is_none() && one["subject_id"].is_string(),
        "{one}"
    );
    assert!(one["delivery_id"].is_string());

    let mut record = Record::of(&app.database).await;
    for address in ["ada@arsenal.com", "bob@arsenal.com"] {
        assert_eq!(record.tables_with(address).await, ["subjects"]);
    }
    assert!(record.tables_with("eve@arsenal.com").await.is_empty());
    app.finish().await;
}

#[tokio::test]
async fn only_a_sender_with_a_key_is_heard() {
    let app = door().await;
    let body = joined("1", "ada@arsenal.com").to_string();
    let late = iam().ahead_by(-310);
    let early = iam().ahead_by(310);
    let stranger = Sender::new("stranger", 9);
    let url = format!("{}/v1/events", app.url);
    let other_body = joined("2", "ada@arsenal.com").to_string();
    let unsigned = || {
        app.http
            .post(&url)
            .header("content-type", SINGLE)
            .body(body.clone())
    };
    for (what, request) in [
        ("no headers", unsigned()),
        ("a bearer token", unsigned().bearer_auth("door")),
        ("a stale time", late.request(&app, SINGLE, &body)),
        ("a time to come", early.request(&app, SINGLE, &body)),
        ("an unknown key", stranger.request(&app, SINGLE, &body)),
        (
            "another body",
            iam().request(&app, SINGLE, &body).body(other_body),
        ),
        ("a broken one", iam().request(&app, SINGLE, &body).body("{")),
    ] {
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{what}");
        let content = response.headers()["content-type"]
            .to_str()
            .expect("text")
            .to_owned();
        assert_eq!(content, "application/problem+json", "{what}");
    }
    let (status, _) = answer(app.http.get(&url)).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(custom_events(&app).await.is_empty());

    // An entry of the webhook may say what it likes.
    let claims = json!({
        "event_product": "usher", "name": "custom.com.example.user.joined", "portal_id": PORTAL,
        "ce_source": "x", "ce_id": "1", "ce_type": "com.example.user.joined", "sender": "iam",
    });
    let (_, told) = app.deliver(&[claims.to_string()]).await;
    assert_eq!(told["quarantined"], 1, "{told}");
    assert!(custom_events(&app).await.is_empty());
    app.finish().await;

    let without = TestApp::start(config(NO_KONNECT)).await;
    let (status, _) = iam().tell(&without, &joined("1", "ada@arsenal.com")).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "nobody is trusted there");
    without.finish().await;
}

/// Another event than that of the same batch, with one member of another value.
fn changed(place: &str, value: Value) -> Value {
    let mut event = joined("2", "bob@arsenal.com");
    match place.split_once('.') {
        Some((owner, member)) => event[owner][member] = value,
        None => event[place] = value,
    }
    event
}

#[tokio::test]
async fn a_batch_with_one_bad_event_is_refused_whole_and_says_which() {
    let app = door().await;
    let good = joined("1", "ada@arsenal.com");
    for (bad, expected) in [
        (
            changed("specversion", json!("0.3")),
            "[1].specversion: expected \"1.0\"",
        ),
        (changed("id", json!("")), "[1].id: expected 1 to 256 bytes"),
        (changed("source", Value::Null), "[1].source: expected text"),
        (
            changed("type", json!("a b")),
            "[1].type: expected 1 to 256 bytes",
        ),
        (
            changed("time", json!("2999-01-01T00:00:00Z")),
            "[1].time: expected a time that is not",
        ),
        (
            changed("data.portal_id", json!("main")),
            "[1].data.portal_id: expected a UUID",
        ),
        (
            changed("data.email", json!("bob")),
            "[1].data.email: expected one e-mail address",
        ),
        (
            changed("data.developer_id", json!(PORTAL)),
            "[1].data.email: expected no address beside an id",
        ),
        (
            changed("data.registration_id", json!(PORTAL)),
            "[1].data.email: expected no address beside an id",
        ),
        (
            changed("subject", json!("eve@arsenal.com")),
            "[1].subject: expected no e-mail address",
        ),
        (json!("text"), "event [1]: expected a JSON object"),
    ] {
        let (status, told) = iam().tell_all(&app, &[good.clone(), bad]).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{told}");
        let detail = told["detail"].as_str().expect("a detail");
        assert!(detail.starts_with(expected), "{detail}");
    }
    assert!(custom_events(&app).await.is_empty());
    let (_, told) = iam().tell_all(&app, &[good, joined("2", "b@c.d")]).await;
    assert_eq!(counts(&told), [2, 2, 0, 0], "mended, it is all new");
    app.finish().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_answered_as_http_means_it() {
    let app = door().await;
    let good = joined("1", "ada@arsenal.com");
    let events: Vec<Value> = (0..1_001)
        .map(|n| joined(&n.to_string(), "ada@arsenal.com"))
        .collect();
    let many = Value::from(events).to_string();
    let large = changed("data.text", json!("x".repeat(70_000))).to_string();
    let as_list = Value::from(vec![good.clone()]).to_string();
    let one = good.to_string();
    let ask = |content_type: &str, body: &str| iam().request(&app, content_type, body);
    let coded = ask(SINGLE, &one).header("content-encoding", "gzip");
    let binary = ask("application/json", &one).header("ce-specversion", "1.0");
    for (what, request, expected) in [
        ("too many", ask(BATCH, &many), 413),
        ("too large an event", ask(SINGLE, &large), 413),
        (
            "too large a body",
            ask(SINGLE, &" ".repeat(3 * 1024 * 1024)),
            413,
        ),
        ("a list as one", ask(SINGLE, &as_list), 400),
        ("one as a list", ask(BATCH, &one), 400),
        ("no JSON", ask(SINGLE, "{\"specversion\":"), 400),
        ("another type", ask("text/plain", &one), 415),
        ("gzip", coded, 415),
        ("binary mode", binary, 415),
    ] {
        let (status, told) = answer(request).await;
        assert_eq!(status.as_u16(), expected, "{what}: {told}");
        assert_eq!(told["status"], expected, "{what}: {told}");
    }
    assert!(custom_events(&app).await.is_empty());
    app.finish().await;
}

#[tokio::test]
async fn a_sender_tells_of_its_own_types_and_portals_alone() {
    let app = door().await;
    let foreign_type = joined("1", "ada@arsenal.com");
    let (status, told) = portal_app().tell(&app, &foreign_type).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(told["detail"], "type: not one of this sender's types");
    let own_type = changed("type", json!("com.example.app.created"));
    let mut elsewhere = own_type.clone();
    elsewhere["data"]["portal_id"] = json!(ELSEWHERE);
    let batch = [own_type.clone(), elsewhere];
    let (status, told) = portal_app().tell_all(&app, &batch).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(
        told["detail"],
        "[1].data.portal_id: not one of this sender's portals"
    );
    assert!(
        custom_events(&app).await.is_empty(),
        "the good ones of a batch neither"
    );
    let (status, _) = portal_app().tell(&app, &own_type).await;
    assert_eq!(
        status,
        StatusCode::ACCEPTED,
        "what was refused may come again"
    );
    app.finish().await;
}

#[tokio::test]
async fn a_sender_is_asked_to_wait_while_the_record_is_away() {
    let app = door().await;
    app.database.refuse().await;
    let request = iam().request(&app, SINGLE, &joined("1", "ada@arsenal.com").to_string());
    let response = request.send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "30");
    app.database.allow().await;
    eventually("the same is taken in later", SOON, async || {
        let (status, _) = iam().tell(&app, &joined("1", "ada@arsenal.com")).await;
        status == StatusCode::ACCEPTED
    })
    .await;
    assert_eq!(custom_events(&app).await.len(), 1);
    app.finish().await;
}

#[tokio::test]
async fn ten_thousand_events_in_batches_that_overlap_are_stored_once_each() {
    let app = door().await;
    let events: Vec<Value> = (0..10_000)
        .map(|n| {
            joined(
                &n.to_string(),
                &format!("somebody{}@arsenal.com", n % 3_000),
            )
        })
        .collect();
    let twice: Vec<&[Value]> = events
        .chunks(1_000)
        .chain(events[500..].chunks(1_000))
        .collect();
    for pair in twice.chunks(4) {
        let sent: Vec<_> = pair.iter().map(|batch| (iam(), batch)).collect();
        let told = sent
            .iter()
            .map(|(sender, batch)| Box::pin(sender.tell_all(&app, batch)));
        let mut told: Vec<_> = told.collect();
        // Some of them at once, so that they meet.
        while !told.is_empty() {
            let (first, second) = (told.pop(), told.pop());
            let outcomes = match (first, second) {
                (Some(first), Some(second)) => {
                    let (first, second) = tokio::join!(first, second);
                    vec![first, second]
                }
                (Some(first), None) => vec![first.await],
                (None, _) => Vec::new(),
            };
            for (status, told) in outcomes {
                assert_eq!(status, StatusCode::ACCEPTED, "{told}");
            }
        }
    }
    let mut record = Record::of(&app.database).await;
    assert_eq!(record.event_ids().await.len(), 10_000);
    assert_eq!(
        record.events_named("custom.com.example.user.joined").await,
        10_000
    );
    app.finish().await;
}

#[tokio::test]
async fn whoever_the_iam_system_names_is_let_in_once() {
    let konnect = TestKonnect::start().await;
    let kafka = TestKafka::start(Broker::Real).await;
    let (app, _rules) = at_work(&konnect, |config| {
        config.kafka = kafka.config.clone();
        // Nobody is found but by a look that the event itself asks for.
        config.observe.pending_every = Duration::from_hours(1);
    })
    .await;
    eventually("the portal was looked at", SOON, async || {
        let portals = konnect.emulator.requests();
        portals
            .iter()
            .any(|call| call.path.ends_with("/application-registrations"))
    })
    .await;
    let ada = Visitor::sign_up(&konnect, "ada@arsenal.com", "Ada").await;
    let other = Visitor::sign_up(&konnect, "eve@arsenal.com", "Eve").await;
    let told = joined("1", &ada.email);
    for _ in 0..3 {
        let (status, _) = iam().tell(&app, &told).await;
        assert_eq!(status, StatusCode::ACCEPTED);
    }
    // Data of another type than the rule expects, and somebody whom nobody knows.
    let strange = [
        event(
            "2",
            &json!({ "email": other.email, "department": ["Partners"], "level": "high" }),
        ),
        joined("3", "nobody@arsenal.com"),
    ];
    iam().tell_all(&app, &strange).await;
    eventually("ada is approved and in the team", SOON, async || {
        let (id, status) = konnect.developer(&ada.email).await;
        status == "approved" && konnect.teams_of(id).await == [PARTNERS]
    })
    .await;
    let mut record = Record::of(&app.database).await;
    eventually("everything is decided", SOON, async || {
        Record::of(&app.database).await.owed_to("react").await == 0
    })
    .await;

    let actions = app.rows("/api/v1/actions").await;
    let deeds: BTreeSet<_> = actions
        .iter()
        .filter_map(|action| action["deed"].as_str())
        .collect();
    assert_eq!(deeds, BTreeSet::from(["add_to_team", "approve_developer"]));
    assert_eq!(actions.len(), 2, "{actions:?}");
    let events = custom_events(&app).await;
    let cause = events
        .iter()
        .find(|event| event["ce_id"] == "1")
        .expect("what was told");
    assert!(
        actions
            .iter()
            .all(|action| action["causes"] == json!([cause["id"]]))
    );
    assert_eq!(konnect.writes().len(), 2, "{:?}", konnect.writes());
    assert_eq!(konnect.developer(&other.email).await.1, "pending");

    let messages = record.published(&kafka).await;
    let id = cause["id"].as_str().expect("an id");
    let message = messages
        .iter()
        .find(|message| message.id() == id)
        .expect("it is on the topic");
    assert_eq!(message.headers["ce_type"], "usher.custom");
    assert!(
        messages
            .iter()
            .all(|message| !message.body.to_string().contains("ada@arsenal.com"))
    );
    assert_eq!(record.tables_with("ada@arsenal.com").await, ["subjects"]);
    app.finish().await;
}

#[tokio::test]
async fn whom_usher_invited_is_known_to_what_is_told_next() {
    let konnect = TestKonnect::start().await;
    let (app, _rules) = at_work(&konnect, |config| {
        config.observe.pending_every = Duration::from_hours(1);
    })
    .await;
    let tell = async |id: &str, kind: &str| {
        let mut told = event(id, &json!({ "email": "new@arsenal.com" }));
        told["type"] = json!(kind);
        let (status, _) = iam().tell(&app, &told).await;
        assert_eq!(status, StatusCode::ACCEPTED);
    };
    tell("1", "com.example.user.hired").await;
    eventually("the invitation is done", SOON, async || {
        let done = app.rows("/api/v1/actions?state=done").await;
        done.len() == 1
    })
    .await;
    tell("2", "com.example.user.placed").await;
    eventually("the invited one is in the team", SOON, async || {
        let (id, _) = konnect.developer("new@arsenal.com").await;
        konnect.teams_of(id).await == [PARTNERS]
    })
    .await;
    app.finish().await;
}

#[tokio::test]
async fn a_letter_that_is_another_in_lower_case_makes_nobody_somebody_else() {
    let konnect = TestKonnect::start().await;
    let stranger = Visitor::sign_up(&konnect, "john@L\u{130}verpoolfc.com", "Stranger").await;
    let (app, _rules) = at_work(&konnect, |_| {}).await;
    eventually("the stranger is known", SOON, async || {
        Record::of(&app.database).await.rows_of("subjects").await == 1
    })
    .await;
    let named = json!({ "email": "john@liverpoolfc.com", "level": 4 });
    let (status, _) = iam().tell(&app, &event("1", &named)).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    eventually("it is decided", SOON, async || {
        custom_events(&app).await.len() == 1
            && Record::of(&app.database).await.owed_to("react").await == 0
    })
    .await;
    assert!(app.rows("/api/v1/actions").await.is_empty());
    let (id, _) = konnect.developer(&stranger.email).await;
    assert!(konnect.teams_of(id).await.is_empty());
    let subject = &custom_events(&app).await[0]["subject_id"];
    assert_ne!(subject, &json!(id));
    app.finish().await;
}

/// The door refuses such an event; one may be in the record from before it did.
#[tokio::test]
async fn an_id_beside_an_address_names_nobody() {
    let konnect = TestKonnect::start().await;
    let ada = Visitor::sign_up(&konnect, "ada@arsenal.com", "Ada").await;
    let (app, _rules) = at_work(&konnect, |_| {}).await;
    eventually("ada is known", SOON, async || {
        Record::of(&app.database).await.rows_of("subjects").await == 1
    })
    .await;
    let (ada, _) = konnect.developer(&ada.email).await;
    let now = Clock::system().now();
    let ids = Ids::new(Clock::system());
    let data = json!({ "portal_id": PORTAL, "developer_id": ada, "level": 4 });
    let tell = async |id: &str, person: Option<Person>| {
        let event = CustomEvent {
            sender: "iam".to_owned(),
            source: "/iam".to_owned(),
            id: id.to_owned(),
            event_type: "com.example.user.joined".to_owned(),
            portal_id: PORTAL,
            developer_id: Some(ada),
            person,
            occurred_at: now,
            data: data.as_object().expect("members").clone(),
            attributes: serde_json::Map::new(),
        };
        let told = NewTold {
            request: RequestRecord {
                id: ids.next(),
                received_at: now,
                peer: "127.0.0.1".to_owned(),
                encoding: String::new(),
                body_bytes: 1,
                inflated_bytes: 1,
                status: 202,
                received: 0,
                stored: 0,
                duplicates: 0,
                quarantined: 0,
            },
            sender: event.sender.clone(),
            events: vec![NewCustom {
                key: [id.as_bytes()[0]; 32],
                content: [0; 32],
                subject: ids.next(),
                event,
            }],
        };
        let journal = Journal::open(&app.database.url()).expect("a URL");
        journal.take_told(&told).await.expect("it is taken");
        journal.close().await;
        eventually("it is decided", SOON, async || {
            Record::of(&app.database).await.owed_to("react").await == 0
        })
        .await;
    };
    let eve = Person {
        email: "eve@arsenal.com".to_owned(),
        full_name: None,
    };
    tell("1", Some(eve)).await;
    assert!(app.rows("/api/v1/actions").await.is_empty());
    tell("2", None).await;
    let actions = app.rows("/api/v1/actions").await;
    assert_eq!(actions.len(), 1, "by the id alone it is about ada");
    app.finish().await;
}

#[tokio::test]
async fn what_is_older_than_the_rule_allows_leads_to_nothing() {
    let konnect = TestKonnect::start().await;
    let ada = Visitor::sign_up(&konnect, "ada@arsenal.com", "Ada").await;
    let (app, _rules) = at_work(&konnect, |_| {}).await;
    let mut old = joined("1", &ada.email);
    let before = Clock::system().now() - chrono::TimeDelta::hours(2);
    old["time"] = json!(before.to_rfc3339());
    assert_eq!(iam().tell(&app, &old).await.0, StatusCode::ACCEPTED);
    eventually("it is decided", SOON, async || {
        custom_events(&app).await.len() == 1
            && Record::of(&app.database).await.owed_to("react").await == 0
    })
    .await;
    assert!(app.rows("/api/v1/actions").await.is_empty());
    assert_eq!(konnect.developer(&ada.email).await.1, "pending");
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
    let (developer, ids) = (Uuid::from_u128(0xda), Ids::new(Clock::system()));
    record
        .insert_subject(PORTAL, developer, "Ada@arsenal.com")
        .await;
    let directory = Directory::new(journal.clone(), Clock::system(), ids);
    let forgotten = directory.forget(PORTAL.into(), developer.into()).await;
    let forgotten = forgotten.expect("the record answers");
    assert!(forgotten.is_some_and(|forgotten| forgotten.email));
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
