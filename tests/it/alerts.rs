//! What operators are told about usher itself: an event when it begins and one when it ends, a
//! notice for each to a real receiver, and what the console and the API show.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use konnect_emulator::Fault;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use usher::act::{ActionState, Worker};
use usher::app::{Alerts, Source};
use usher::clock::Ids;
use usher::config::Secret;
use usher::event::{Alert, Verdict};
use usher::journal::{EventFilter, FoundAlert, MIGRATOR, SignatureFailures};
use usher::rules::Deed;
use uuid::Uuid;

use crate::console::reader::Reader;
use crate::notify::allowing;
use crate::support::app::{CONSOLE_TOKEN, TestApp, config};
use crate::support::eventually;
use crate::support::konnect::TestKonnect;
use crate::support::receiver::Receiver;
use crate::support::scene::{Scene, login};
use crate::support::stage::{PORTAL, Stage, chain, quick};

const SOON: Duration = Duration::from_secs(30);

/// A rule that notifies of `signal`.
fn rules(signal: &str, receiver: &Receiver) -> String {
    let url = receiver.url();
    format!(
        "version: 1\nrules:\n  - name: tell-operators\n    on: {signal}\n    \
         then: [{{notify: {{url: \"{url}\"}}}}]\n"
    )
}

/// An instance that finds kafka behind while `is_old`.
fn instance(stage: &Stage, is_old: &Arc<AtomicBool>) -> Alerts {
    let is_old = Arc::clone(is_old);
    let source = Source::new(&[Alert::OutboxOld], move || {
        let is_old = is_old.load(Ordering::Relaxed);
        let found = is_old.then(|| FoundAlert::new(Alert::OutboxOld, "kafka", "14 min behind"));
        async move { Ok(found.into_iter().collect()) }
    });
    Alerts::new(stage.journal.clone(), Ids::new(stage.clock.clone()))
        .with(source)
        .ending_after(Duration::ZERO)
}

/// The events about usher itself, oldest first.
async fn told(stage: &Stage) -> Vec<Value> {
    let filter = EventFilter {
        kind: Some("operation".to_owned()),
        ..EventFilter::default()
    };
    let events = stage.journal.search(&filter, None, 100).await.unwrap();
    let events = events.iter();
    let mut told: Vec<Value> = events
        .map(|event| serde_json::from_slice(&event.raw).unwrap())
        .collect();
    // Within a second the journal has no order.
    told.sort_by_key(|event| event["revision"].as_i64());
    told
}

/// Type and state of what was heard, in the order in which it came.
fn heard(receiver: &Receiver) -> Vec<(String, Value)> {
    let bodies = receiver.requests().into_iter();
    let bodies = bodies.map(|request| serde_json::from_str::<Value>(&request.body).unwrap());
    bodies
        .map(|body| {
            let kind = body["type"].as_str().unwrap().to_owned();
            (kind, body["data"]["alert"]["state"].clone())
        })
        .collect()
}

fn worker(scene: &Scene) -> Worker {
    let worker = scene.stage.worker(quick());
    let worker = worker.with_rules(scene.rules.subscribe());
    worker.with_notify(allowing("127.0.0.1"), None)
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_alert_is_told_once_when_it_begins_and_once_when_it_ends(pool: PgPool) {
    let receiver = Receiver::start().await;
    let scene = Scene::new(pool, &rules("usher.outbox_old", &receiver)).await;
    scene.activate().await;
    let is_old = Arc::new(AtomicBool::new(false));
    let (one, other) = (
        instance(&scene.stage, &is_old),
        instance(&scene.stage, &is_old),
    );
    // Both at once, as often as they like.
    let check = async || {
        for _ in 0..3 {
            let (first, second) = (Box::pin(one.check()), Box::pin(other.check()));
            let (first, second) = tokio::join!(first, second);
            first.unwrap();
            second.unwrap();
        }
    };
    let (worker, reactor, stop) = (worker(&scene), scene.reactor(), CancellationToken::new());
    let play = async {
        check().await;
        assert_eq!(told(&scene.stage).await, Vec::<Value>::new());
        let name = || "usher.outbox_old".to_owned();
        let mut expected = Vec::new();
        for (state, holds) in [("began", true), ("ended", false), ("began", true)] {
            is_old.store(holds, Ordering::Relaxed);
            check().await;
            expected.push((name(), json!(state)));
            eventually("it is told", SOON, async || heard(&receiver) == expected).await;
            let events = told(&scene.stage).await;
            assert_eq!(events.len(), expected.len(), "{events:#?}");
            let newest = &events[expected.len() - 1];
            assert_eq!(newest["name"], name());
            assert_eq!(newest["data"]["state"], state);
            assert_eq!(newest["data"]["subject"], "kafka");
            assert_eq!(newest["data"]["detail"], "14 min behind");
            let open = scene.stage.journal.open_alerts().await.unwrap();
            assert_eq!(open.len(), usize::from(holds));
        }
        scene.settled().await;
        stop.cancel();
    };
    tokio::join!(
        Box::pin(play),
        Box::pin(worker.run(stop.clone())),
        Box::pin(reactor.run(stop.clone()))
    );
    let body: Value = serde_json::from_str(&receiver.requests()[0].body).unwrap();
    assert_eq!(body["data"]["portal_id"], Value::Null);
    assert_eq!(body["data"]["target"], json!({ "kind": "usher" }));
    assert_eq!(
        body["data"]["alert"]["advice"],
        Alert::OutboxOld.advice(),
        "{body}"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn while_the_token_is_refused_the_notice_goes_out_and_nothing_else(pool: PgPool) {
    let receiver = Receiver::start().await;
    let scene = Scene::new(pool, &rules("usher.token_refused", &receiver)).await;
    scene.activate().await;
    let stage = &scene.stage;
    stage.emulator.set_faults([Fault {
        status: Some(401),
        ..Fault::default()
    }]);
    // The rule of this one is live here too; it would be done at once.
    let mut wanted = chain(vec![Deed::ApproveDeveloper]);
    "tell-operators".clone_into(&mut wanted.rule);
    stage.enqueue(&wanted).await;
    let (worker, reactor, stop) = (worker(&scene), scene.reactor(), CancellationToken::new());
    let mut paused = worker.paused();
    let refused = worker.paused();
    let alerts = Alerts::new(stage.journal.clone(), Ids::new(stage.clock.clone()))
        .ending_after(Duration::ZERO)
        .with_own(move || {
            let found = || FoundAlert::new(Alert::TokenRefused, "", "Konnect answers 401");
            refused.borrow().then(found).into_iter().collect()
        });
    let play = async {
        paused.wait_for(|paused| *paused).await.unwrap();
        Box::pin(alerts.check()).await.unwrap();
        let name = || "usher.token_refused".to_owned();
        let began = [(name(), json!("began"))];
        eventually("it is told", SOON, async || heard(&receiver) == began).await;
        assert!(*paused.borrow());
        let action = stage.action("approve_developer").await;
        assert_eq!(
            (action.state, action.attempts),
            (ActionState::Planned, 0),
            "{action:?}"
        );
        stage.emulator.set_faults([]);
        paused.wait_for(|paused| !*paused).await.unwrap();
        Box::pin(alerts.check()).await.unwrap();
        let both = [(name(), json!("began")), (name(), json!("ended"))];
        eventually("the end is told", SOON, async || heard(&receiver) == both).await;
        stop.cancel();
    };
    tokio::join!(
        Box::pin(play),
        Box::pin(worker.run(stop.clone())),
        Box::pin(reactor.run(stop.clone()))
    );
}

#[tokio::test]
async fn a_token_that_konnect_refuses_is_told_by_a_running_usher() {
    let (konnect, receiver) = (TestKonnect::start().await, Receiver::start().await);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules.yaml");
    fs::write(&path, rules("usher.token_refused", &receiver)).unwrap();
    let mut config = config(&konnect.url);
    config.konnect.token = Some(Secret::new("kpat_revoked".to_owned()));
    config.rules.path = Some(path);
    config.notify = allowing("127.0.0.1");
    let app = TestApp::start(config).await;

    let began = [("usher.token_refused".to_owned(), json!("began"))];
    eventually("it is told", SOON, async || heard(&receiver) == began).await;
    let rows = app.rows("/api/v1/events?kind=operation").await;
    assert_eq!(rows.len(), 1, "{rows:#?}");
    assert_eq!(rows[0]["name"], "usher.token_refused");
    let actions = app.rows("/api/v1/actions").await;
    assert_eq!(actions[0]["target"], json!({ "kind": "usher" }));
    let page = Reader::signed_in(&app.url, CONSOLE_TOKEN)
        .await
        .get("/")
        .await;
    for told in ["What is wrong now", Alert::TokenRefused.advice()] {
        assert!(page.body.contains(told), "{told}: {}", page.body);
    }
    app.finish().await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_record_shows_silence_and_signatures_that_fail(pool: PgPool) {
    let scene = Scene::new(pool, "version: 1\nrules: []\n").await;
    let journal = &scene.stage.journal;
    let counts = async || {
        let within = Duration::from_mins(10);
        journal.signature_failures(within).await.unwrap()
    };
    let none = SignatureFailures {
        failing: 0,
        entries: 0,
    };
    assert_eq!(counts().await, none);
    // Two hundred entries five minutes ago, of which three were refused and five fit no key; six
    // more of an hour ago and of this moment count for nothing.
    for statement in [
        "INSERT INTO batches (id, source, lane, received_at, stored, duplicates, quarantined,
            verdicts, requests)
        VALUES (gen_random_uuid(), 'webhook', 'live', now() - interval '5 min', 192, 3, 5,
            '{\"failed\": 3}', '[{}]')",
        "INSERT INTO quarantine (id, received_at, batch, reason, detail, raw, raw_bytes)
        SELECT gen_random_uuid(), now() - age, gen_random_uuid(), reason, '', '', 0
        FROM (VALUES ('signature_failed'), ('signature_key_unknown'), ('unparsable'))
            AS reasons (reason),
            UNNEST(ARRAY[interval '5 min', interval '1 hour', interval '0']) AS age",
    ] {
        sqlx::query(statement)
            .execute(journal.pool())
            .await
            .unwrap();
    }
    let found = SignatureFailures {
        failing: 5,
        entries: 200,
    };
    assert_eq!(counts().await, found);

    let silent = async |minutes| {
        let within = Duration::from_mins(minutes);
        journal.silent_portals(&[PORTAL], within).await.unwrap()
    };
    assert_eq!(silent(10).await, [PORTAL]);
    scene
        .append(vec![login(&scene, PORTAL, 2, Verdict::Unsigned)])
        .await;
    assert_eq!(silent(60).await, [PORTAL]);
    assert_eq!(silent(180).await, Vec::<Uuid>::new());
}

#[test]
fn rules_know_every_alert() {
    for alert in Alert::ALL {
        let text = format!(
            "version: 1\nrules:\n  - name: r\n    on: {alert}\n    \
             then: [{{notify: {{url: \"https://hooks.example/x\"}}}}]\n"
        );
        usher::rules::load(&text, "rules.yaml").unwrap();
    }
}
