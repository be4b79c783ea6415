//! What waited is decided once more right before it is done: on the rules and the facts of that
//! moment, and not of the one in which it was decided. No look at the portal comes between, so that
//! only reads by id can tell.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::time::Duration;

use konnect_emulator::Fault;
use serde_json::json;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use usher::act::{Action, ActionState, Intervened, Person, Verb};
use usher::journal::MIGRATOR;
use uuid::Uuid;

use crate::support::eventually;
use crate::support::scene::{Scene, load, set_by_hand};
use crate::support::stage::{APP, KEVIN, PARTNERS, PORTAL, REGISTRATION, developer, fault, quick};

const SOON: Duration = Duration::from_secs(40);
const TONY: Uuid = Uuid::from_u128(0xb9);

const FIXTURES: &str = r#"
version: 1
rules:
  - name: fixtures-api
    on: registration.requested
    when: registration.api.name == "Fixtures" && developer.teams.exists(t, t.name == "Partners")
    then: [approve_registration]
    limit_per_hour: 10
"#;
const ANYBODY: &str = r#"
version: 1
rules:
  - name: fixtures-api
    on: registration.requested
    when: registration.api.name == "Fixtures"
    then: [approve_registration]
    limit_per_hour: 0
"#;
const CLUBS: &str = r#"
version: 1
lists:
  partners: [manchestercity.com, arsenal.com]
rules:
  - name: partner-clubs
    on: developer.signed_up
    when: developer.status == "pending" && domain(developer.email) in lists.partners
    then: [approve_developer, {add_to_team: Partners}]
    limit_per_hour: 0
"#;

fn ada() -> Person {
    Person::new("ada", None).unwrap()
}

/// Kevin as a partner who asked for an API.
async fn a_partner_asks(pool: PgPool, rules: &str) -> Scene {
    let scene = Scene::new(pool, rules).await;
    set_by_hand(&scene, KEVIN, "approved").await;
    let teams = scene.stage.client.portal(PORTAL.into()).teams();
    teams
        .add_member(PARTNERS.into(), KEVIN.into())
        .await
        .unwrap();
    scene.look().await;
    scene
}

async fn only(scene: &Scene, deed: &str) -> Option<Action> {
    let mut actions = scene.stage.actions().await.into_iter();
    actions.find(|action| action.deed == deed)
}

/// Waits until `deed` is in `state`.
async fn until(scene: &Scene, deed: &str, state: ActionState) -> Action {
    let mut found = None;
    let what = format!("{deed} is {state}");
    eventually(&what, SOON, async || {
        found = only(scene, deed).await;
        found.as_ref().is_some_and(|action| action.state == state)
    })
    .await;
    found.unwrap()
}

async fn registration_is(scene: &Scene) -> String {
    let registrations = scene.stage.client.portal(PORTAL.into()).registrations();
    let read = registrations.get(APP.into(), REGISTRATION.into()).await;
    read.unwrap().status.to_string()
}

/// Has the request decided about while everything is paused, lets `meanwhile` happen, and goes on;
/// says why it was not approved.
async fn while_it_waits(scene: &Scene, meanwhile: impl AsyncFnOnce()) -> String {
    scene.stage.queue.pause_all(&ada()).await.unwrap();
    let ended = scene.during(async {
        until(scene, "approve_registration", ActionState::Planned).await;
        meanwhile().await;
        scene.stage.queue.resume_all(&ada()).await.unwrap();
        until(scene, "approve_registration", ActionState::Cancelled).await
    });
    let reason = ended.await.reason.unwrap();
    assert_eq!(registration_is(scene).await, "pending");
    reason
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn whoever_left_the_team_meanwhile_is_not_given_what_its_members_get(pool: PgPool) {
    let scene = a_partner_asks(pool, FIXTURES).await;
    let reason = while_it_waits(&scene, async || {
        let teams = scene.stage.client.portal(PORTAL.into()).teams();
        let left = teams.remove_member(PARTNERS.into(), KEVIN.into());
        left.await.unwrap();
    });
    assert_eq!(
        reason.await,
        "no longer wanted: developer.teams.exists(t, t.name == \"Partners\") is false"
    );
    // What was read is on record, and asked for by a look.
    let cancelled = only(&scene, "approve_registration").await.unwrap();
    let facts = &cancelled.report.unwrap()["facts"];
    assert_eq!(facts["developer"]["teams"], json!([]));
    assert!(scene.is_hinted().await);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn whoever_was_revoked_meanwhile_is_given_nothing_whatever_the_rule_asks(pool: PgPool) {
    let scene = a_partner_asks(pool, ANYBODY).await;
    let reason = while_it_waits(&scene, async || set_by_hand(&scene, KEVIN, "revoked").await);
    assert_eq!(reason.await, "the developer is revoked");
    // Nor when the directory knows, and it is decided about anew.
    scene.look().await;
    scene
        .during(async {
            let decided_anew = async || scene.stage.actions().await.len() >= 2;
            eventually("it is decided about anew", SOON, decided_anew).await;
            scene.settled().await;
        })
        .await;
    assert_eq!(registration_is(&scene).await, "pending");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_application_that_changed_hands_meanwhile_is_given_nothing(pool: PgPool) {
    let scene = a_partner_asks(pool, FIXTURES).await;
    let seed = json!({ "developers": [developer(TONY, "tony@gmail.com", "approved")] });
    scene.stage.emulator.seed(&seed).unwrap();
    let reason = while_it_waits(&scene, async || {
        let body = json!({
            "id": APP, "name": "scores", "owner": { "type": "developer", "id": TONY },
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-02T00:00:00Z",
        });
        scene.stage.emulator.set_faults([Fault {
            status: Some(200),
            body: Some(body),
            ..fault("GET", &format!("*/applications/{APP}"))
        }]);
    });
    assert_eq!(
        reason.await,
        "the application changed hands since it was decided"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_further_deed_is_decided_by_the_rules_of_its_moment(pool: PgPool) {
    let scene = Scene::new(pool, CLUBS).await;
    let members = format!("/v3/portals/{PORTAL}/teams/{PARTNERS}/developers");
    scene.stage.emulator.set_faults([Fault {
        status: Some(503),
        ..fault("POST", &members)
    }]);
    scene.look().await;
    let left_out = scene.during(async {
        until(&scene, "approve_developer", ActionState::Done).await;
        let is_tried = async || {
            let joining = only(&scene, "add_to_team").await;
            joining.is_some_and(|action| action.attempts > 0)
        };
        eventually("the team is tried", SOON, is_tried).await;
        scene
            .rules
            .send_replace(load(&CLUBS.replace("manchestercity.com, ", "")));
        scene.stage.emulator.set_faults([]);
        until(&scene, "add_to_team", ActionState::Cancelled).await
    });
    assert_eq!(
        left_out.await.reason.as_deref(),
        Some("no longer wanted: domain(developer.email) in lists.partners is false")
    );
    assert!(!scene.stage.is_partner(KEVIN).await);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_rule_does_not_falsify_its_own_condition(pool: PgPool) {
    let scene = Scene::new(pool, CLUBS).await;
    scene.look().await;
    scene
        .during(until(&scene, "add_to_team", ActionState::Done))
        .await;
    // Beyond the list of pending ones and that of teams a newcomer costs four calls.
    let calls = scene.stage.emulator.requests().into_iter();
    let calls: Vec<String> = calls
        .filter(|call| call.path.contains(&KEVIN.to_string()) || call.method == "POST")
        .map(|call| format!("{} {}", call.method, call.path))
        .collect();
    assert_eq!(calls.len(), 4, "{calls:#?}");
    assert!(scene.stage.is_partner(KEVIN).await);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_a_person_rejects_is_rejected_though_the_rule_only_parked_it(pool: PgPool) {
    let rules = "version: 1\nrules:\n  - name: look\n    on: developer.signed_up\n    \
                 when: developer.status == \"pending\"\n    then: [{park: who is this}]\n";
    let scene = Scene::new(pool, rules).await;
    scene.look().await;
    scene
        .during(async {
            let parked = until(&scene, "park", ActionState::Parked).await.id;
            let person = ada();
            let rejected = scene.stage.queue.intervene(parked, Verb::Reject, &person);
            assert!(matches!(rejected.await.unwrap(), Intervened::Done(_)));
            until(&scene, "reject_developer", ActionState::Done).await;
        })
        .await;
    assert_eq!(scene.stage.status().await, "rejected");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn two_rules_that_answer_one_signal_do_not_falsify_each_other(pool: PgPool) {
    let rules = r#"
version: 1
rules:
  - name: let-in
    on: developer.signed_up
    when: developer.status == "pending"
    then: [approve_developer]
  - name: to-team
    on: developer.signed_up
    when: developer.status == "pending"
    then: [{add_to_team: Partners}]
"#;
    let scene = Scene::new(pool, rules).await;
    let members = format!("/v3/portals/{PORTAL}/teams/{PARTNERS}/developers");
    scene.stage.emulator.set_faults([Fault {
        status: Some(503),
        times: Some(2),
        ..fault("POST", &members)
    }]);
    scene.look().await;
    scene
        .during(async {
            until(&scene, "approve_developer", ActionState::Done).await;
            until(&scene, "add_to_team", ActionState::Done).await;
        })
        .await;
}

const LEAVERS: &str = r#"
version: 1
rules:
  - name: leavers
    on: membership.changed
    when: developer.teams.exists(t, t.name == "Partners")
    then: [revoke_developer]
"#;

/// Has a member decided about as a leaver while everything is paused, lets `meanwhile` happen, and
/// goes on.
async fn a_leaver_waits(pool: PgPool, meanwhile: impl AsyncFnOnce(&Scene)) -> Scene {
    let scene = Scene::new(pool, LEAVERS).await;
    set_by_hand(&scene, KEVIN, "approved").await;
    scene.look().await;
    scene.activate().await;
    let teams = scene.stage.client.portal(PORTAL.into()).teams();
    teams
        .add_member(PARTNERS.into(), KEVIN.into())
        .await
        .unwrap();
    scene.look().await;
    scene.stage.queue.pause_all(&ada()).await.unwrap();
    scene
        .during(async {
            until(&scene, "revoke_developer", ActionState::Planned).await;
            meanwhile(&scene).await;
            scene.stage.queue.resume_all(&ada()).await.unwrap();
            until(&scene, "revoke_developer", ActionState::Done).await;
        })
        .await;
    assert_eq!(scene.stage.status().await, "revoked");
    scene
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_leaver_who_was_forgotten_meanwhile_is_shown_out_all_the_same(pool: PgPool) {
    a_leaver_waits(pool, async |scene| {
        let forgotten = scene.stage.directory.forget(PORTAL.into(), KEVIN.into());
        forgotten.await.unwrap();
    })
    .await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_breaks_off_is_not_cancelled_by_what_it_has_done(pool: PgPool) {
    // The memberships are gone before the end: the deed has falsified its own condition.
    a_leaver_waits(pool, async |scene| {
        scene.stage.emulator.set_faults([Fault {
            status: Some(503),
            times: Some(2),
            after: true,
            ..fault("DELETE", "")
        }]);
    })
    .await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn one_answer_of_not_found_after_an_outage_ends_no_deed(pool: PgPool) {
    let scene = Scene::new(pool, CLUBS).await;
    let of_kevin = format!("*/developers/{KEVIN}");
    let away = |status, times| Fault {
        status: Some(status),
        times: Some(times),
        ..fault("GET", &of_kevin)
    };
    scene
        .stage
        .emulator
        .set_faults([away(503, 12), away(404, 2)]);
    scene.look().await;
    scene
        .during(until(&scene, "approve_developer", ActionState::Done))
        .await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_is_not_wanted_in_the_end_uses_up_no_place_of_its_rule(pool: PgPool) {
    let scene = a_partner_asks(pool, FIXTURES).await;
    while_it_waits(&scene, async || {
        let teams = scene.stage.client.portal(PORTAL.into()).teams();
        let left = teams.remove_member(PARTNERS.into(), KEVIN.into());
        left.await.unwrap();
    })
    .await;
    let started = scene.stage.queue.started_within_the_hour("fixtures-api");
    assert_eq!(started.await.unwrap(), 0);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn while_nobody_can_say_whether_deeds_are_still_wanted_they_wait_and_none_is_lost(
    pool: PgPool,
) {
    let scene = Scene::new(pool, CLUBS).await;
    scene.look().await;
    let decided = scene.reactor();
    let decided = decided.decide_pending_in(PORTAL.into());
    Box::pin(decided).await.unwrap();
    scene.stage.emulator.clear_requests();
    let run = async |statement: &'static str| {
        let done = sqlx::raw_sql(statement).execute(scene.stage.journal.pool());
        done.await.unwrap();
    };
    let count = async |question: &'static str| {
        let count = sqlx::query_scalar::<_, i64>(question);
        count.fetch_one(scene.stage.journal.pool()).await.unwrap()
    };
    let actions = count("SELECT count(*) FROM actions").await;
    let events = count("SELECT count(*) FROM events").await;
    // A claim does not read it, and what is asked about the claimed does.
    run("ALTER TABLE directory_developers RENAME TO hidden").await;
    let worker = scene
        .stage
        .worker(quick())
        .with_rules(scene.rules.subscribe());
    let stop = CancellationToken::new();
    let watch = async {
        let given_back = "SELECT count(*) FROM actions
            WHERE state = 'planned' AND lease IS NULL AND next_attempt_at > now() + interval '1 second'
                AND waits_on IS NULL";
        eventually("the claim comes back", SOON, async || {
            count(given_back).await > 0
        })
        .await;
        assert_eq!(scene.stage.emulator.requests().len(), 0);
        assert_eq!(count("SELECT count(*) FROM attempts").await, 0);
        assert_eq!(count("SELECT count(*) FROM events").await, events);
        assert_eq!(
            count("SELECT count(*) FROM actions WHERE state = 'planned'").await,
            actions
        );
        run("ALTER TABLE hidden RENAME TO directory_developers").await;
        eventually("all is done", SOON, async || {
            count("SELECT count(*) FROM actions WHERE state = 'done'").await == actions
        })
        .await;
        stop.cancel();
    };
    tokio::join!(watch, Box::pin(worker.run(stop.clone())));
    assert_eq!(
        scene.stage.writes().len(),
        usize::try_from(actions).unwrap()
    );
}
