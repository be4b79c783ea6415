//! Who is invited, and who is not.

use konnect_emulator::Fault;
use serde_json::{Value, json};
use sqlx::PgPool;
use usher::act::{ActionState, NewChain, Target};
use usher::journal::MIGRATOR;
use usher::rules::Deed;
use uuid::Uuid;

use crate::support::stage::{KEVIN, PORTAL, Stage, all_are, chain, developer, fault, quick};

const NEWCOMER: &str = "new@arsenal.com";

async fn invitation(stage: &Stage, email: &str, key: &str) -> NewChain {
    let id = stage
        .directory
        .invitee(PORTAL.into(), email, Some("New Comer"));
    let id = id.await.unwrap();
    let mut wanted = chain(vec![Deed::InviteDeveloper { pending: false }]);
    key.clone_into(&mut wanted.signal_key);
    "custom.iam.joined".clone_into(&mut wanted.signal);
    wanted.steps[0].target = Target::Invitee { id: id.0 };
    wanted
}

async fn by_email(stage: &Stage, email: &str) -> Vec<konnect::Developer> {
    let all = stage.client.portal(PORTAL.into()).developers();
    let all = all.list(&konnect::ListDevelopers::default()).await.unwrap();
    let is_them = |one: &konnect::Developer| one.email.eq_ignore_ascii_case(email);
    all.into_iter().filter(is_them).collect()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn somebody_is_invited_once_and_named_nowhere_but_in_subjects(pool: PgPool) {
    let stage = Stage::new(pool).await;
    stage
        .enqueue(&invitation(&stage, NEWCOMER, "iam:1").await)
        .await;
    stage.work_until(quick(), all_are(ActionState::Done)).await;
    // Told again by another event, and in another spelling.
    let again = invitation(&stage, "NEW@Arsenal.com", "iam:2").await;
    stage.enqueue(&again).await;
    stage.work_until(quick(), all_are(ActionState::Done)).await;

    let made: Vec<String> = stage.writes();
    assert_eq!(made, [format!("POST {PORTAL}/developers 201")]);
    let [developer] = &by_email(&stage, NEWCOMER).await[..] else {
        panic!("made once")
    };
    assert_eq!(developer.status.as_str(), "approved");
    assert_eq!(developer.full_name, "New Comer");
    let reports: Vec<Value> =
        sqlx::query_scalar("SELECT report FROM actions WHERE report IS NOT NULL")
            .fetch_all(stage.journal.pool())
            .await
            .unwrap();
    assert_eq!(reports, [json!({ "developer_id": developer.id })]);
    let kept: Vec<String> = sqlx::query_scalar(
        "SELECT to_jsonb(a)::text FROM actions a UNION ALL SELECT to_jsonb(t)::text FROM attempts t
        UNION ALL SELECT convert_from(raw, 'UTF8') FROM events",
    )
    .fetch_all(stage.journal.pool())
    .await
    .unwrap();
    for text in kept {
        assert!(!text.to_lowercase().contains("new@"), "{text}");
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn whoever_was_shown_out_is_not_invited_back(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let gone = developer(Uuid::from_u128(0xb9), NEWCOMER, "revoked");
    stage
        .emulator
        .seed(&json!({ "developers": [gone] }))
        .unwrap();
    stage
        .enqueue(&invitation(&stage, NEWCOMER, "iam:1").await)
        .await;
    stage
        .work_until(quick(), all_are(ActionState::Refused))
        .await;
    assert!(stage.writes().is_empty());
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_conflict_means_that_they_are_there(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let there = developer(Uuid::from_u128(0xb9), NEWCOMER, "approved");
    stage
        .emulator
        .seed(&json!({ "developers": [there] }))
        .unwrap();
    let nothing =
        json!({ "data": [], "meta": { "page": { "number": 1, "size": 100, "total": 0 } } });
    stage.emulator.set_faults([Fault {
        status: Some(200),
        body: Some(nothing),
        times: Some(1),
        ..fault("GET", "/v3/portals/*/developers")
    }]);
    stage
        .enqueue(&invitation(&stage, NEWCOMER, "iam:1").await)
        .await;
    stage.work_until(quick(), all_are(ActionState::Done)).await;
    assert_eq!(stage.writes(), [format!("POST {PORTAL}/developers 409")]);
    assert_eq!(stage.action("invite_developer").await.attempts, 1);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn who_is_forgotten_is_invited_no_more(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let wanted = invitation(&stage, NEWCOMER, "iam:1").await;
    let id = wanted.steps[0].target.id();
    // Konnect may know them by an id of its own by now.
    sqlx::query("INSERT INTO subjects (portal_id, developer_id, email) VALUES ($1, $2, $3)")
        .bind(PORTAL)
        .bind(KEVIN)
        .bind("NEW@arsenal.com")
        .execute(stage.journal.pool())
        .await
        .unwrap();
    let forgotten = stage.directory.forget(PORTAL.into(), KEVIN.into()).await;
    assert!(forgotten.unwrap().is_some());
    let left = stage.directory.subject(PORTAL.into(), id.into()).await;
    assert!(left.unwrap().is_forgotten());
    stage.enqueue(&wanted).await;
    stage
        .work_until(quick(), all_are(ActionState::Refused))
        .await;
    assert!(stage.writes().is_empty());
}
