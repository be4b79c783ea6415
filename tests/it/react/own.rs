//! Whose doing a change is, and about whom nothing is decided.

use serde_json::json;
use sqlx::PgPool;
use usher::act::decide::gather_facts;
use usher::act::{Action, ActionState};
use usher::event::{EventId, Signal, SignalKind, Verdict};
use usher::journal::MIGRATOR;
use uuid::Uuid;

use crate::support::konnect::RULES;
use crate::support::scene::{Scene, effects, eventually, load, login, set_by_hand};
use crate::support::stage::{APP, FIXTURES, KEVIN, PARTNERS, PORTAL, REGISTRATION, developer};

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_usher_did_is_no_news_unless_a_rule_asks_for_it(pool: PgPool) {
    let more = r"
  - name: deaf
    on: developer.status_changed
    then: [{park: changed}]
  - name: all-ears
    on: developer.status_changed
    include_own: true
    then: [{park: changed by usher}]
";
    let scene = Scene::new(pool, &format!("{RULES}{more}")).await;
    scene
        .during(async {
            scene.look().await;
            eventually("kevin is a partner", async || {
                scene.stage.is_partner(KEVIN).await
            })
            .await;
            scene.look().await;
            eventually("the change was seen", async || {
                scene
                    .stage
                    .actions()
                    .await
                    .iter()
                    .any(|action| action.rule == "all-ears")
            })
            .await;
            scene.settled().await;
        })
        .await;
    assert!(
        !scene
            .stage
            .actions()
            .await
            .iter()
            .any(|action| action.rule == "deaf")
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_a_revocation_took_along_is_ushers_own_and_what_people_do_is_not(pool: PgPool) {
    let rules = r"
version: 1
rules:
  - name: show-out
    on: developer.authenticated
    then: [revoke_developer]
  - name: let-in
    on: developer.signed_up
    when: domain(developer.email) == 'arsenal.com'
    then: [approve_developer]
  - name: deaf-developer
    on: developer.status_changed
    then: [{park: deaf}]
  - name: deaf-registration
    on: registration.status_changed
    then: [{park: deaf}]
  - name: deaf-membership
    on: membership.changed
    then: [{park: deaf}]
  - name: ears-developer
    on: developer.status_changed
    include_own: true
    then: [{park: all ears}]
  - name: ears-registration
    on: registration.status_changed
    include_own: true
    then: [{park: all ears}]
  - name: ears-membership
    on: membership.changed
    include_own: true
    then: [{park: also ears}]
";
    let scene = Scene::new(pool, rules).await;
    let ann = Uuid::from_u128(0xb1);
    let seed = json!({ "developers": [developer(ann, "ann@arsenal.com", "pending")] });
    scene.stage.emulator.seed(&seed).unwrap();
    set_by_hand(&scene, KEVIN, "approved").await;
    let registrations = scene.stage.client.portal(PORTAL.into()).registrations();
    registrations
        .set_status(APP.into(), REGISTRATION.into(), &"approved".into())
        .await
        .unwrap();
    let teams = scene.stage.client.portal(PORTAL.into()).teams();
    teams
        .add_member(PARTNERS.into(), KEVIN.into())
        .await
        .unwrap();
    scene
        .during(async {
            scene.look().await;
            scene.settled().await;
            // Ann was let in by usher and is shown out by hand before anybody looks.
            set_by_hand(&scene, ann, "revoked").await;
            let login = login(&scene, KEVIN, 0, Verdict::Verified);
            scene.append(vec![login]).await;
            eventually("kevin is shown out", async || {
                let actions = scene.stage.actions().await;
                let is_done = |action: &Action| {
                    action.deed == "revoke_developer" && action.state == ActionState::Done
                };
                actions.iter().any(is_done)
            })
            .await;
            scene.look().await;
            scene.settled().await;
            eventually("all of it was heard", async || {
                let actions = scene.stage.actions().await;
                let heard = |rule: &str| actions.iter().any(|action| action.rule == rule);
                [
                    "ears-developer",
                    "ears-registration",
                    "ears-membership",
                    "deaf-developer",
                ]
                .into_iter()
                .all(heard)
            })
            .await;
        })
        .await;
    let deaf: Vec<(String, Uuid)> = scene
        .stage
        .actions()
        .await
        .into_iter()
        .filter(|action| action.rule.starts_with("deaf"))
        .map(|action| (action.rule, action.target.id()))
        .collect();
    assert_eq!(deaf, [("deaf-developer".to_owned(), ann)]);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_revoked_partner_is_not_let_in_again_by_an_empty_database(pool: PgPool) {
    // Rules that forget to ask for the status.
    let careless = r"
version: 1
lists: {partners: [manchestercity.com, arsenal.com]}
rules:
  - name: partners
    on: developer.signed_up
    when: domain(developer.email) in lists.partners
    then: [approve_developer, {add_to_team: Partners}]
  - name: greet
    on: developer.authenticated
    when: domain(developer.email) in lists.partners
    then: [approve_developer, {add_to_team: Partners}]
";
    let scene = Scene::new(pool, careless).await;
    let neighbour = Uuid::from_u128(0xb1);
    let seed = json!({ "developers": [developer(neighbour, "ann@arsenal.com", "pending")] });
    scene.stage.emulator.seed(&seed).unwrap();
    for status in ["approved", "revoked"] {
        set_by_hand(&scene, KEVIN, status).await;
    }
    scene.stage.emulator.clear_requests();
    scene
        .during(async {
            scene.look().await;
            let logins = [KEVIN, neighbour].map(|id| login(&scene, id, 0, Verdict::Verified));
            scene.append(logins.to_vec()).await;
            eventually("the neighbour is a partner", async || {
                scene.stage.is_partner(neighbour).await
            })
            .await;
            scene.look().await;
            scene.settled().await;
        })
        .await;
    assert_eq!(scene.stage.status().await, "revoked");
    assert!(!scene.stage.is_partner(KEVIN).await);
    assert_eq!(effects(&scene).len(), 2, "{:?}", effects(&scene));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn nothing_is_decided_about_somebody_who_was_forgotten(pool: PgPool) {
    // To a condition an address that is not there looks like a stranger's.
    let rules = r"
version: 1
rules:
  - name: strangers
    on: developer.signed_up
    when: domain(developer.email) != 'manchestercity.com'
    then: [reject_developer]
  - name: everybody
    on: registration.requested
    then: [approve_registration]
";
    let scene = Scene::new(pool, rules).await;
    scene.look().await;
    let forgotten = scene.stage.directory.forget(PORTAL.into(), KEVIN.into());
    assert!(forgotten.await.unwrap().is_some());
    let eve = Uuid::from_u128(0xb1);
    let seed = json!({ "developers": [developer(eve, "eve@evil.example", "pending")] });
    scene.stage.emulator.seed(&seed).unwrap();
    scene
        .during(async {
            scene.look().await;
            eventually("eve is answered", async || !scene.stage.writes().is_empty()).await;
            scene.settled().await;
        })
        .await;
    assert_eq!(
        scene.stage.status().await,
        "pending",
        "kevin is left to a human"
    );
    assert_eq!(scene.stage.actions().await.len(), 1);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_address_is_kept_only_for_a_rule_that_invites(pool: PgPool) {
    let scene = Scene::new(pool, "version: 1\nrules: []\n").await;
    let (directory, queue) = (&scene.stage.directory, &scene.stage.queue);
    let signal = Signal {
        kind: SignalKind::Custom("iam.joined".to_owned()),
        portal_id: PORTAL,
        developer_id: None,
        application_id: None,
        registration_id: None,
        key: Signal::key_of_custom("iam", "/iam", "1"),
        cause: EventId::from_uuid(FIXTURES),
        occurred_at: scene.stage.clock.now(),
        from_status: None,
        membership: None,
    };
    let inviting = load(
        "version: 1\nrules:\n  - name: invite\n    on: custom.iam.joined\n    then: [invite_developer]\n",
    );
    let nobody = load("version: 1\nrules: []\n");
    let kept = async || {
        sqlx::query_scalar::<_, i64>("SELECT count(*) FROM subjects")
            .fetch_one(scene.stage.journal.pool())
            .await
            .unwrap()
    };
    for (rules, email, expected) in [
        (&nobody, "new@arsenal.com", 0),
        (&inviting, "new@arsenal.com@evil.example", 0),
        (&inviting, "new@arsenal.com", 1),
        (&inviting, "new@arsenal.com", 1),
    ] {
        let event = json!({ "data": { "email": email, "name": "New" } });
        let event = event.as_object().cloned();
        let now = scene.stage.clock.now();
        let gathered = gather_facts((directory, queue), &signal, event, false, (now, None)).await;
        let mut gathered = gathered.unwrap();
        gathered.keep_invitee(directory, rules).await.unwrap();
        assert_eq!(kept().await, expected, "{email}");
    }
}
