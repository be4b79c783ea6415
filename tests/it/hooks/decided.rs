//! What follows from what a trusted sender told.

use std::collections::BTreeSet;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use usher::act::Queue;
use usher::clock::{Clock, Ids};
use usher::directory::Directory;
use usher::event::{CustomEvent, Person};
use usher::journal::{Journal, NewCustomEvent, NewCustomRequest, RequestRecord};
use usher::react::{Backtest, BacktestOutcome, BacktestWindow, explain};
use usher::rules::{Decision, load};

use crate::hooks::{SOON, at_work, custom_events, iam};
use crate::support::eventually;
use crate::support::hooks::{event, joined};
use crate::support::kafka::{Broker, TestKafka};
use crate::support::konnect::{PARTNERS, PORTAL, TestKonnect};
use crate::support::record::Record;
use crate::support::visitor::Visitor;

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
            registration_id: None,
            person,
            occurred_at: now,
            data: data.as_object().expect("members").clone(),
            attributes: serde_json::Map::new(),
        };
        let told = NewCustomRequest {
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
            events: vec![NewCustomEvent {
                key: [id.as_bytes()[0]; 32],
                content: [0; 32],
                subject: ids.next(),
                told: ids.next(),
                event,
            }],
        };
        let journal = Journal::open(&app.database.url()).expect("a URL");
        journal.append_custom(&told).await.expect("it is taken");
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
async fn the_past_is_tried_with_the_status_of_its_time() {
    let konnect = TestKonnect::start().await;
    let ada = Visitor::sign_up(&konnect, "ada@arsenal.com", "Ada").await;
    let (app, rules) = at_work(&konnect, |_| {}).await;
    let begun = Clock::system().now();
    let mut told = [joined("1", &ada.email), joined("2", "nobody@arsenal.com")];
    // A member of the sender's own, and no status of the developer's.
    told[0]["data"]["to_status"] = json!("rejected");
    let (status, _) = iam().tell_all(&app, &told).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    eventually("ada was let in, and seen to be", SOON, async || {
        let (id, _) = konnect.developer(&ada.email).await;
        let mut record = Record::of(&app.database).await;
        konnect.teams_of(id).await == [PARTNERS]
            && record.events_named("developer.status_changed").await == 1
            && record.events_named("membership.changed").await == 1
    })
    .await;

    let (clock, journal) = (Clock::system(), Journal::open(&app.database.url()));
    let journal = journal.expect("a URL");
    let ids = Ids::new(clock.clone());
    let directory = Directory::new(journal.clone(), clock.clone(), ids.clone());
    let queue = Queue::new(journal.clone(), clock.clone(), ids);
    let now = clock.now();
    let window = BacktestWindow::new(begun - chrono::TimeDelta::seconds(2), now, now);
    let window = window.expect("a time of the past");
    let tried = Backtest::new(&journal, (&directory, &queue), None, window);
    let text = std::fs::read_to_string(rules.path()).expect("the rules");
    let rules = usher::rules::load(&text, "rules.yaml").expect("rules that check");
    let mut outlooks = Vec::new();
    let sets = [&rules];
    let run = Box::pin(tried.run(&sets, |tried| {
        let of_rule = tried
            .by
            .into_iter()
            .flatten()
            .filter(|rule| rule.rule == "joined");
        outlooks.extend(of_rule.map(|rule| rule.outcome));
    }));
    run.await.expect("the record answers");
    journal.close().await;
    let deeds = ["approve_developer", "add_to_team Partners"].map(str::to_owned);
    let unknown = "the condition cannot be decided: developer is null";
    assert_eq!(outlooks.len(), 2, "{outlooks:?}");
    assert!(
        outlooks.contains(&BacktestOutcome::Unchanged(deeds.to_vec())),
        "{outlooks:?}"
    );
    assert!(
        outlooks.contains(&BacktestOutcome::Skip(unknown.to_owned())),
        "{outlooks:?}"
    );
    app.finish().await;
}

const EXPLAINED: &str = "version: 1
rules:
  - {name: joined, on: custom.com.example.user.joined, when: event.data.level > 2, then: [approve_developer]}
  - {name: left, on: custom.com.example.user.left, then: [revoke_developer]}
  - {name: hired, on: custom.com.example.user.welcomed, then: [invite_developer]}
";

/// Why a rule wants nothing.
fn no(told: Option<(Option<Decision>, Vec<String>)>) -> String {
    match told {
        Some((Some(Decision::NotMatched { reason }), _)) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_last_that_was_told_of_somebody_explains_the_rules_that_listen_to_it() {
    let konnect = TestKonnect::start().await;
    let (app, _rules) = at_work(&konnect, |_| {}).await;
    let tell = async |id: &str, kind: &str, data: serde_json::Value| {
        let mut told = event(id, &data);
        told["type"] = json!(format!("com.example.user.{kind}"));
        let (status, answer) = iam().tell(&app, &told).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    };
    // By an address that nobody has yet; then by it once somebody has.
    tell(
        "1",
        "joined",
        json!({ "email": "ADA@arsenal.com", "level": 1 }),
    )
    .await;
    let ada = Visitor::sign_up(&konnect, "ada@arsenal.com", "Ada").await;
    let eve = Visitor::sign_up(&konnect, "eve@arsenal.com", "Eve").await;
    let (id, _) = konnect.developer(&ada.email).await;
    eventually("both are known", SOON, async || {
        let seen = app.rows("/api/v1/events?name=developer.signed_up");
        seen.await.len() == 2
    })
    .await;
    let journal = Journal::open(&app.database.url()).expect("a URL");
    let clock = Clock::system();
    let ids = Ids::new(clock.clone());
    let directory = Directory::new(journal.clone(), clock.clone(), ids.clone());
    let queue = Queue::new(journal.clone(), clock.clone(), ids);
    let rules = load(EXPLAINED, "rules.yaml").expect("rules");
    let explained = async || {
        let rooms = (&journal, &directory, &queue);
        let asked = explain(rooms, &rules, (PORTAL.into(), id.into()), clock.now());
        let explained = Box::pin(asked).await.expect("the record answers");
        explained.expect("they are known")
    };
    let told = async |rule: &str| {
        let explained = explained().await;
        let signals = explained.signals.into_iter();
        let mut rules = signals.flat_map(|heard| heard.rules);
        let found = rules.find(|found| found.explanation.rule == rule)?;
        let deeds = found.deeds.iter();
        let deeds: Vec<_> = deeds
            .map(|deed| format!("{}: {}", deed.deed, deed.but.join(", ")))
            .collect();
        Some((found.explanation.decision, deeds))
    };
    assert_eq!(no(told("joined").await), "the condition is false");
    let elsewhere = explained().await.elsewhere;
    let left = ("left".to_owned(), "custom.com.example.user.left".to_owned());
    assert!(elsewhere.contains(&left), "{elsewhere:?}");

    tell(
        "2",
        "joined",
        json!({ "email": "ada@arsenal.com", "level": 3 }),
    )
    .await;
    tell("3", "joined", json!({ "email": eve.email, "level": 0 })).await;
    tell("4", "left", json!({ "developer_id": id })).await;
    tell("5", "welcomed", json!({ "email": "ada@arsenal.com" })).await;
    let (decision, deeds) = told("joined").await.expect("it is heard");
    assert!(
        matches!(decision, Some(Decision::Matched { .. })),
        "{decision:?}"
    );
    assert_eq!(deeds, ["approve_developer: "]);
    let (_, deeds) = told("left").await.expect("it is heard");
    let but = "it acts only on what is approved, and the developer is pending";
    assert_eq!(deeds, [format!("revoke_developer: {but}")]);
    let (_, deeds) = told("hired").await.expect("it is heard");
    assert_eq!(deeds, ["invite_developer: is there already"]);
    let written = Record::of(&app.database).await.rows_of("subjects").await;
    explained().await;
    assert_eq!(
        Record::of(&app.database).await.rows_of("subjects").await,
        written
    );
    journal.close().await;
    app.finish().await;
}
