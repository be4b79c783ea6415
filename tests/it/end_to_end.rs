//! The whole loop in one process, on real Postgres, Apache Kafka and HTTP: from a delivery to the
//! topic, and from a form at the portal to somebody who is let in.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;
use usher::config::{Config, Secret};
use uuid::Uuid;

use crate::support::app::{TestApp, config};
use crate::support::eventually;
use crate::support::kafka::{Broker, Received, TestKafka};
use crate::support::konnect::{PARTNERS, RULES, TestKonnect};
use crate::support::record::Record;
use crate::support::signer::{Entry, Signer};
use crate::support::visitor::Visitor;

const SOON: Duration = Duration::from_secs(20);
/// Nobody listens on this port.
const NO_BROKER: &str = "127.0.0.1:1";

fn rules_file() -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(RULES.as_bytes())
        .expect("the rules are written");
    file
}

/// Everything that usher can do, with looks every second.
fn whole_loop(konnect: &TestKonnect, kafka: &TestKafka, rules: &Path) -> Config {
    let mut config = config(&konnect.url);
    config.konnect.token = Some(Secret::new(konnect.emulator.token().to_owned()));
    config.konnect.principal_id = Some(konnect.emulator.principal_id());
    config.observe.pending_every = Duration::from_secs(1);
    config.rules.path = Some(rules.to_owned());
    config.kafka = kafka.config.clone();
    config
}

/// The ids of all but those that tell who looked, as [`Record::event_ids`] has them.
fn ids(messages: &[Received]) -> BTreeSet<Uuid> {
    messages
        .iter()
        .filter(|message| message.headers["ce_type"] != "usher.read")
        .map(|message| message.id().parse().expect("a UUID"))
        .collect()
}

/// Waits until the member of a team is let in by the rules.
async fn is_let_in(konnect: &TestKonnect, visitor: &Visitor) -> Uuid {
    eventually(
        "somebody of a partner is approved and in the team",
        SOON,
        async || {
            let (id, status) = konnect.developer(&visitor.email).await;
            status == "approved" && konnect.teams_of(id).await == [PARTNERS]
        },
    )
    .await;
    konnect.developer(&visitor.email).await.0
}

async fn is_done(app: &TestApp, deeds: &[&str]) -> Vec<Value> {
    eventually("the deeds are recorded as done", SOON, async || {
        let actions = app.rows("/api/v1/actions").await;
        let done = actions.iter().filter(|action| action["state"] == "done");
        done.filter_map(|action| action["deed"].as_str())
            .collect::<BTreeSet<_>>()
            == deeds.iter().copied().collect()
    })
    .await;
    app.rows("/api/v1/actions").await
}

/// Every cause is an event that can be read.
async fn have_causes(app: &TestApp, actions: &[Value]) {
    for action in actions {
        let causes = action["causes"].as_array().expect("a list");
        assert!(!causes.is_empty(), "{action}");
        for cause in causes {
            let path = format!("/api/v1/events/{}", cause.as_str().expect("an id"));
            assert_eq!(
                app.get(&path).await.0,
                StatusCode::OK,
                "a cause is an event: {action}"
            );
        }
    }
}

/// Decided about, and not overlooked.
async fn was_left_alone(app: &TestApp, konnect: &TestKonnect, visitor: &Visitor) {
    let (id, status) = konnect.developer(&visitor.email).await;
    let seen = format!("/api/v1/events?kind=observation&principal_id={id}");
    let seen = app.rows(&seen).await;
    assert!(
        seen.iter()
            .any(|event| event["name"] == "developer.signed_up"),
        "{seen:?}"
    );
    assert_eq!(status, "pending");
    assert!(konnect.teams_of(id).await.is_empty());
    let about = format!("/api/v1/actions?target_id={id}");
    assert!(app.rows(&about).await.is_empty());
}

#[tokio::test]
async fn a_delivery_in_three_formats_is_one_set_of_events_on_the_topic() {
    let konnect = TestKonnect::start().await;
    let kafka = TestKafka::start(Broker::Real).await;
    let mut config = config(&konnect.url);
    config.kafka = kafka.config.clone();
    let app = TestApp::start(config).await;

    let entries: Vec<Entry> = (0..20).map(Entry::numbered).collect();
    let signer = &konnect.signer;
    let formats: [fn(&Signer, &Entry) -> String; 3] = [Signer::cef, Signer::json, Signer::cps];
    let mut stored = Vec::new();
    for format in formats {
        let lines: Vec<String> = entries.iter().map(|entry| format(signer, entry)).collect();
        let (status, answer) = app.deliver(&lines).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        stored.push(answer["stored"].as_u64().expect("a count"));
    }
    assert_eq!(stored, [20, 0, 0]);

    let messages = Record::of(&app.database).await.published(&kafka).await;
    let events = app.rows("/api/v1/events").await;
    assert_eq!(messages.len(), 20, "each event once");
    let by_id: BTreeMap<&str, &Received> = messages
        .iter()
        .map(|message| (message.id(), message))
        .collect();
    for (event, entry) in events.iter().zip(entries.iter().rev()) {
        assert_eq!(event["verification"], "verified");
        assert_eq!(event["copies"], 3);
        let message = by_id[event["id"].as_str().expect("an id")];
        let principal = event["principal_id"].as_str().expect("a principal");
        assert_eq!(
            message.key,
            Some(format!("{}/{principal}", entry.portal_id))
        );
        assert_eq!(
            message.headers["ce_type"],
            "com.konghq.konnect.audit.authentication"
        );
        assert_eq!(message.body["event"]["verification"], "verified");
    }
    let raw: BTreeSet<&str> = messages
        .iter()
        .map(|message| message.body["raw"].as_str().expect("text"))
        .collect();
    let sent: Vec<String> = entries.iter().map(|entry| signer.cef(entry)).collect();
    assert_eq!(
        raw,
        sent.iter().map(String::as_str).collect(),
        "as the first delivery brought it"
    );
    app.finish().await;
}

#[tokio::test]
async fn partners_are_let_in_and_deceivers_are_not() {
    let konnect = TestKonnect::start().await;
    let kafka = TestKafka::start(Broker::Real).await;
    let rules = rules_file();
    let app = TestApp::start(whole_loop(&konnect, &kafka, rules.path())).await;
    konnect.deliver_to(&app.url);

    let deceiver =
        Visitor::sign_up(&konnect, "malvolio@arsenal.com.evil.com", "Malvolio Orsino").await;
    let mut partner =
        Visitor::sign_up(&konnect, "petronella@arsenal.com", "Petronella Quist").await;
    let partner_id = is_let_in(&konnect, &partner).await;
    partner.confirm_address().await;
    partner.log_in().await;
    partner.ask_for_api().await;
    eventually("the registration is approved", SOON, async || {
        konnect.registrations().await == ["approved"]
    })
    .await;

    let deeds = ["add_to_team", "approve_developer", "approve_registration"];
    let actions = is_done(&app, &deeds).await;
    assert_eq!(actions.len(), deeds.len(), "{actions:?}");
    have_causes(&app, &actions).await;
    was_left_alone(&app, &konnect, &deceiver).await;
    let login = format!("/api/v1/events?kind=authentication&principal_id={partner_id}");
    eventually("the login is stored, signed by Konnect", SOON, async || {
        let logins = app.rows(&login).await;
        logins
            .iter()
            .any(|event| event["verification"] == "verified")
    })
    .await;

    let mut record = Record::of(&app.database).await;
    let calls = record.calls().await;
    let written: Vec<_> = calls
        .iter()
        .map(|(call, status)| (&call[..5], *status))
        .collect();
    assert_eq!(
        written,
        [("PATCH", 200), ("POST ", 201), ("PATCH", 200)],
        "{calls:?}"
    );
    let messages = record.published(&kafka).await;
    let types: BTreeMap<&str, usize> =
        messages.iter().fold(BTreeMap::new(), |mut types, message| {
            *types
                .entry(message.headers["ce_type"].as_str())
                .or_default() += 1;
            types
        });
    assert_eq!(types["usher.action"], deeds.len(), "{types:?}");
    assert!(types["usher.observation"] >= 2, "{types:?}");
    assert!(
        types["com.konghq.konnect.audit.authentication"] >= 1,
        "{types:?}"
    );
    assert!(record.event_ids().await.is_superset(&ids(&messages)));

    let told: Vec<String> = messages
        .iter()
        .map(|message| &message.body)
        .chain(&actions)
        .map(Value::to_string)
        .collect();
    for personal in [
        "petronella",
        "Petronella Quist",
        "malvolio",
        "Malvolio Orsino",
    ] {
        assert_eq!(
            record.tables_with(personal).await,
            ["subjects"],
            "{personal}"
        );
        assert!(
            !told.iter().any(|text| text.contains(personal)),
            "{personal} is told"
        );
    }
    app.finish().await;
}

#[tokio::test]
async fn people_are_let_in_while_kafka_is_away_and_it_gets_everything_later() {
    let konnect = TestKonnect::start().await;
    let kafka = TestKafka::start(Broker::Real).await;
    let rules = rules_file();
    let with_kafka = whole_loop(&konnect, &kafka, rules.path());
    let mut without_kafka = with_kafka.clone();
    without_kafka.kafka.brokers = Some(NO_BROKER.to_owned());

    let app = TestApp::start(without_kafka).await;
    let lines: Vec<String> = (0..10)
        .map(|number| konnect.signer.json(&Entry::numbered(number)))
        .collect();
    assert_eq!(app.deliver(&lines).await.0, StatusCode::OK);
    let partner = Visitor::sign_up(&konnect, "petronella@arsenal.com", "Petronella Quist").await;
    is_let_in(&konnect, &partner).await;
    is_done(&app, &["add_to_team", "approve_developer"]).await;
    eventually("/readyz tells of Kafka", SOON, async || {
        let (status, health) = app.get("/readyz").await;
        assert_eq!(
            status,
            StatusCode::OK,
            "deliveries can be accepted: {health}"
        );
        health["parts"]["kafka"]["status"] == "degraded" && health["status"] == "degraded"
    })
    .await;
    assert_eq!(app.deliver(&lines).await.0, StatusCode::OK);

    let database = app.stop().await;
    let mut record = Record::of(&database).await;
    assert!(record.owed_to_kafka().await > 0);
    let app = TestApp::start_on(with_kafka, database).await;
    let messages = record.published(&kafka).await;
    assert_eq!(ids(&messages), record.event_ids().await);
    let told = |kind: &str| {
        messages
            .iter()
            .filter(|message| message.headers["ce_type"] == kind)
            .count()
    };
    assert_eq!(told("com.konghq.konnect.audit.authentication"), lines.len());
    assert_eq!(told("usher.action"), 2);
    app.finish().await;
}
