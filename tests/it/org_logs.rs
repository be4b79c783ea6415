//! What admins do in Konnect by hand to people who wait for nothing, as the organisation's logs
//! tell it: a call names whom it changed, and a look reads them at once.

use std::io::Write;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use sqlx::PgPool;
use tempfile::NamedTempFile;
use usher::clock::Clock;
use usher::config::Secret;
use usher::directory::{RefreshRequests, Scope};
use usher::event::{Verdict, parse};
use usher::journal::{MIGRATOR, NewEvent, ReaderName};
use uuid::Uuid;

use crate::support::app::{AUTHORIZATION, TestApp, config};
use crate::support::konnect::{FIXTURES, TestKonnect};
use crate::support::record::Record;
use crate::support::scene::Scene;
use crate::support::stage::{APP, KEVIN, PARTNERS, PORTAL, REGISTRATION, developer};
use crate::support::{eventually, owed_batches};

/// Long before the hourly look at everything.
const SOON: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(20);

/// Somebody who is not usher.
const ADMIN: Uuid = Uuid::from_u128(0xad);

const EARS: &str = r"version: 1
rules:
  - name: developers
    on: developer.status_changed
    then: [{park: a developer}]
  - name: registrations
    on: registration.status_changed
    then: [{park: a registration}]
  - name: memberships
    on: membership.changed
    then: [{park: a membership}]
";

#[tokio::test]
async fn what_is_changed_by_hand_is_a_signal_within_seconds() {
    let konnect = TestKonnect::start().await;
    let seed = json!({
        "developers": [{
            "id": KEVIN, "portal_id": PORTAL, "email": "kevin@arsenal.com", "full_name": "Kevin",
            "status": "approved",
        }],
        "applications": [{
            "id": APP, "portal_id": PORTAL, "name": "scores",
            "owner": { "type": "developer", "id": KEVIN },
        }],
        "registrations": [{
            "id": REGISTRATION, "application_id": APP, "api_id": FIXTURES, "status": "approved",
        }],
    });
    konnect.emulator.seed(&seed).unwrap();
    let mut rules = NamedTempFile::new().unwrap();
    rules.write_all(EARS.as_bytes()).unwrap();
    let mut config = config(&konnect.url);
    config.konnect.token = Some(Secret::new(konnect.emulator.token().to_owned()));
    config.observe.pending_every = Duration::from_hours(1);
    config.observe.all_every = Duration::from_hours(1);
    config.rules.path = Some(rules.path().to_owned());
    let usher = TestApp::start(config).await;
    let mut record = Record::of(&usher.database).await;
    eventually("everything was seen once", PATIENCE, async || {
        let looks = "SELECT count(*) FROM observed_portals WHERE all_at IS NOT NULL";
        record.number(looks).await == 1
    })
    .await;
    konnect.deliver_org_logs_to(&usher.url);

    let admin = konnect::Client::builder(konnect.emulator.url().parse().unwrap())
        .token(konnect.emulator.token().to_owned().into())
        .build()
        .unwrap();
    let heard = async |what: &str, event: &str, rule: &str, times: usize| {
        eventually(what, SOON, async || {
            let events = format!("/api/v1/events?name={event}");
            let actions = format!("/api/v1/actions?rule={rule}&state=parked");
            usher.rows(&events).await.len() == times && usher.rows(&actions).await.len() == 1
        })
        .await;
    };
    let teams = admin.portal(PORTAL.into()).teams();
    teams
        .add_member(PARTNERS.into(), KEVIN.into())
        .await
        .unwrap();
    let event = "membership.changed";
    heard("somebody joined a team", event, "memberships", 1).await;
    let left = teams.remove_member(PARTNERS.into(), KEVIN.into());
    left.await.unwrap();
    eventually("the membership is missed", SOON, async || {
        record.number("SELECT count(*) FROM missed_objects").await == 1
    })
    .await;
    // As if a minute had passed, after which another read decides.
    record
        .run("UPDATE missed_objects SET missed_at = missed_at - interval '1 minute'")
        .await;
    heard("somebody left a team", event, "memberships", 2).await;
    let registrations = admin.portal(PORTAL.into()).registrations();
    registrations
        .set_status(APP.into(), REGISTRATION.into(), &"revoked".into())
        .await
        .unwrap();
    let event = "registration.status_changed";
    heard("a registration is revoked", event, "registrations", 1).await;
    let developers = admin.portal(PORTAL.into()).developers();
    developers
        .set_status(KEVIN.into(), &"revoked".into())
        .await
        .unwrap();
    let event = "developer.status_changed";
    heard("a developer is revoked", event, "developers", 1).await;

    eventually("nobody is left to be read", PATIENCE, async || {
        let left = "SELECT count(*) FROM touched_developers";
        record.number(left).await == 0
    })
    .await;
    usher.finish().await;
}

/// An entry of the organisation's log: what `principal` called.
fn entry(at: DateTime<Utc>, principal: Uuid, (method, path, status): (&str, &str, u16)) -> Value {
    json!({
        "event_class_id": "KongGateway",
        "event_product": "Konnect",
        "event_ts": at.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "event_vendor": "KongInc",
        "event_version": "1.0",
        "name": "Ingress",
        "act": method,
        "principal_id": principal,
        "request": path,
        "rt": at.timestamp_millis().to_string(),
        "severity": 1,
        "status": status,
    })
}

/// The same of an admin, as it is stored.
fn call(scene: &Scene, method: &str, path: &str, status: u16) -> NewEvent {
    let called = (method, path, status);
    let raw = entry(scene.stage.clock.now(), ADMIN, called)
        .to_string()
        .into_bytes();
    NewEvent {
        event: parse(&raw).unwrap(),
        raw: raw.into(),
        verdict: Verdict::Unsigned,
        request: None,
    }
}

async fn touched(scene: &Scene) -> RefreshRequests {
    let directory = &scene.stage.directory;
    let look = directory.begin(PORTAL.into()).await.unwrap();
    directory.touched(look, 100, 100).await.unwrap()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_log_that_names_anything_causes_a_bounded_number_of_reads(pool: PgPool) {
    let scene = Scene::new(pool, "version: 1\nrules: []\n").await;
    let many: Vec<Uuid> = (0..60).map(|n| Uuid::from_u128(0xb00 + n)).collect();
    let seed: Vec<Value> = many
        .iter()
        .map(|id| developer(*id, &format!("{id}@arsenal.com"), "approved"))
        .collect();
    let seed = json!({ "developers": seed });
    scene.stage.emulator.seed(&seed).unwrap();
    scene.look().await;
    let elsewhere = Uuid::from_u128(0xbad);
    let at = |path: String| format!("/konnect-api/api/v3/portals/{PORTAL}/{path}");
    let tell = async |events: Vec<NewEvent>| {
        scene
            .during(async {
                scene.append(events).await;
                eventually("it is read", PATIENCE, async || {
                    owed_batches(&scene.stage.journal, ReaderName::React).await == 0
                })
                .await;
            })
            .await;
    };
    tell(vec![
        call(&scene, "GET", &at(format!("developers/{KEVIN}")), 200),
        call(&scene, "PATCH", &at(format!("developers/{KEVIN}")), 403),
        call(&scene, "PATCH", &at(format!("developers/{elsewhere}")), 200),
        call(
            &scene,
            "POST",
            &at(format!("teams/{elsewhere}/developers")),
            201,
        ),
        call(
            &scene,
            "PATCH",
            &at(format!("applications/{elsewhere}")),
            200,
        ),
        call(
            &scene,
            "PATCH",
            &format!("/v3/portals/{elsewhere}/developers/{KEVIN}"),
            200,
        ),
    ])
    .await;
    assert_eq!(touched(&scene).await, RefreshRequests::default());
    let portals: i64 = sqlx::query_scalar("SELECT count(*) FROM observed_portals")
        .fetch_one(scene.stage.journal.pool())
        .await
        .unwrap();
    assert_eq!(
        portals, 1,
        "nothing is kept of a portal that nobody looks at"
    );

    let registration = format!("applications/{APP}/registrations/{REGISTRATION}");
    tell(vec![
        call(&scene, "patch", &at(format!("developers/{KEVIN}")), 200),
        call(&scene, "PUT", &at(format!("{registration}/consumer")), 204),
        call(
            &scene,
            "POST",
            &at(format!("teams/{PARTNERS}/developers")),
            201,
        ),
    ])
    .await;
    let expected = RefreshRequests {
        developers: vec![KEVIN.into()],
        teams: vec![PARTNERS.into()],
        applications: vec![APP.into()],
        ..RefreshRequests::default()
    };
    assert_eq!(touched(&scene).await, expected);

    // A storm: every look reads some, and none more than some.
    let storm = many.iter().map(|id| at(format!("developers/{id}")));
    tell(
        storm
            .map(|path| call(&scene, "PATCH", &path, 200))
            .collect(),
    )
    .await;
    assert_eq!(touched(&scene).await.developers.len(), 61);
    for left in [41, 21, 1, 0] {
        scene.stage.emulator.clear_requests();
        let look = scene.observer.sweep_once(PORTAL.into(), Scope::Pending);
        Box::pin(look).await.unwrap();
        let reads = scene.stage.emulator.requests().len();
        assert!(reads <= 50, "{reads} calls");
        assert_eq!(touched(&scene).await.developers.len(), left);
    }
    assert_eq!(touched(&scene).await, RefreshRequests::default());
    assert!(!scene.is_hinted().await);
}

#[tokio::test]
async fn what_ushers_own_account_changed_is_no_news() {
    let konnect = TestKonnect::start().await;
    let people = [KEVIN, Uuid::from_u128(0xb1)];
    let [by_usher, by_an_admin] = people;
    let seed = people.map(|id| developer(id, &format!("{}@arsenal.com", id.simple()), "approved"));
    konnect
        .emulator
        .seed(&json!({ "developers": seed }))
        .unwrap();
    let own = Uuid::from_u128(0x05e);
    let mut config = config(&konnect.url);
    config.konnect.token = Some(Secret::new(konnect.emulator.token().to_owned()));
    config.konnect.principal_id = Some(own);
    config.observe.pending_every = Duration::from_hours(1);
    config.observe.all_every = Duration::from_hours(1);
    let usher = TestApp::start(config).await;
    let mut record = Record::of(&usher.database).await;
    eventually("everything was seen once", PATIENCE, async || {
        let looks = "SELECT count(*) FROM observed_portals WHERE all_at IS NOT NULL";
        record.number(looks).await == 1
    })
    .await;
    konnect.emulator.clear_requests();
    let now = Clock::system().now();
    let changed = |principal, id| {
        let path = format!("/konnect-api/api/v3/portals/{PORTAL}/developers/{id}");
        entry(now, principal, ("PATCH", &path, 200)).to_string()
    };
    // In one delivery, so that whoever is named in it is read by one look.
    let lines = [changed(own, by_usher), changed(ADMIN, by_an_admin)].join("\n");
    let delivery = usher.http.post(format!("{}/audit-logs", usher.url));
    let delivery = delivery.header("Authorization", AUTHORIZATION).body(lines);
    assert_eq!(delivery.send().await.unwrap().status(), 200);
    let was_read = |id: Uuid| {
        let path = format!("/developers/{id}");
        let mut requests = konnect.emulator.requests().into_iter();
        requests.any(|request| request.path.ends_with(&path))
    };
    eventually("whom an admin changed is read", PATIENCE, async || {
        was_read(by_an_admin)
    })
    .await;
    eventually("nobody is left to be read", PATIENCE, async || {
        let left = "SELECT count(*) FROM touched_developers";
        record.number(left).await == 0
    })
    .await;
    assert!(!was_read(by_usher), "usher knows what it did itself");
    usher.finish().await;
}
