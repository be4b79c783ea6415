//! The action queue and its worker against a real Postgres and the emulated Konnect.

mod limits;
mod queue;
mod teams;
mod trouble;

use konnect::DeveloperStatus;
use serde_json::{Value, json};
use sqlx::PgPool;
use usher::act::{ActionState, Target};
use usher::journal::{EventFilter, MIGRATOR};
use usher::rules::Deed;
use uuid::Uuid;

use crate::support::stage::{
    APP, APPROVED, KEVIN, PARTNERS, PORTAL, REGISTRATION, Stage, all_are, chain, join_partners,
    quick,
};

#[sqlx::test(migrator = "MIGRATOR")]
async fn approves_and_adds_to_the_team_in_order_and_tells_the_journal(pool: PgPool) {
    let stage = Stage::new(pool).await;
    stage
        .enqueue(&chain(vec![Deed::ApproveDeveloper, join_partners()]))
        .await;
    stage.work_until(quick(), all_are(ActionState::Done)).await;

    let team = format!("POST {PARTNERS}/developers 201");
    assert_eq!(stage.writes(), [APPROVED, &team]);
    assert!(stage.is_partner(KEVIN).await);
    let action = stage.action("approve_developer").await;
    assert_eq!((action.attempts, action.reason.as_deref()), (1, None));

    let filter = EventFilter {
        name: Some("action.done".to_owned()),
        ..EventFilter::default()
    };
    let events = stage.journal.search(&filter, None, 10).await.unwrap();
    assert_eq!(events.len(), 2);
    let told: Value = serde_json::from_slice(&events[0].raw).unwrap();
    assert_eq!(told["data"]["causes"][0], json!(Uuid::from_u128(1)));
    assert!(told["object"].as_str().unwrap().starts_with("action/"));
    // What the API answered is in the directory without another look.
    let state = stage.directory.sweep_state(PORTAL.into()).await.unwrap();
    assert!(!state.is_hinted(), "{state:?}");
    let (portal, person) = (PORTAL.into(), KEVIN.into());
    let known = stage.directory.developer(portal, person).await.unwrap();
    assert_eq!(known.unwrap().developer.status, DeveloperStatus::Approved);
    let teams = stage.directory.teams_of(portal, person).await.unwrap();
    assert_eq!(teams.len(), 1);
    assert_eq!(teams[0].name, "Partners");

    let record = sqlx::query_as::<_, (String, String)>(
        "SELECT request, outcome FROM attempts ORDER BY started_at LIMIT 1",
    )
    .fetch_one(stage.journal.pool())
    .await
    .unwrap();
    let route = "PATCH /v3/portals/{portalId}/developers/{developerId}";
    assert_eq!(record, (route.to_owned(), "ok".to_owned()));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn answers_a_registration(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let mut wanted = chain(vec![Deed::ApproveRegistration]);
    wanted.steps[0].target = Target::Registration {
        id: REGISTRATION,
        application_id: APP,
    };
    stage.enqueue(&wanted).await;
    stage.work_until(quick(), all_are(ActionState::Done)).await;
    assert_eq!(
        stage.writes(),
        [format!("PATCH registrations/{REGISTRATION} 200")]
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_holds_already_is_done_without_a_write(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let developers = stage.client.portal(PORTAL.into()).developers();
    developers
        .set_status(KEVIN.into(), &"approved".into())
        .await
        .unwrap();
    stage
        .client
        .portal(PORTAL.into())
        .teams()
        .add_member(PARTNERS.into(), KEVIN.into())
        .await
        .unwrap();
    stage.emulator.clear_requests();
    stage
        .enqueue(&chain(vec![Deed::ApproveDeveloper, join_partners()]))
        .await;
    stage.work_until(quick(), all_are(ActionState::Done)).await;
    assert!(stage.writes().is_empty());
    let reason = stage.action("approve_developer").await.reason;
    assert_eq!(reason.as_deref(), Some("approved already"));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_humans_decision_wins_and_what_follows_is_cancelled(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let developers = stage.client.portal(PORTAL.into()).developers();
    developers
        .set_status(KEVIN.into(), &"rejected".into())
        .await
        .unwrap();
    stage.emulator.clear_requests();
    stage
        .enqueue(&chain(vec![Deed::ApproveDeveloper, join_partners()]))
        .await;
    let states = stage
        .work_until(quick(), |states| {
            states["add_to_team"] == ActionState::Cancelled
        })
        .await;
    assert_eq!(states["approve_developer"], ActionState::Refused);
    assert!(stage.writes().is_empty());
    assert_eq!(stage.status().await, "rejected");
}
