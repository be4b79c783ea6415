//! The deeds one by one, and what holds for many of them at once: real Postgres, the emulated
//! Konnect.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod invitations;
mod many;
mod revoking;

use std::time::Duration;

use konnect_emulator::Fault;
use serde_json::json;
use sqlx::PgPool;
use tokio::time::Instant;
use usher::act::ActionState;
use usher::journal::MIGRATOR;
use usher::rules::{Deed, TeamRef};
use uuid::Uuid;

use crate::support::stage::{KEVIN, PORTAL, Stage, all_are, chain, fault, join_partners, quick};

#[sqlx::test(migrator = "MIGRATOR")]
async fn who_made_the_team_meanwhile_made_what_was_wanted(pool: PgPool) {
    let stage = Stage::new(pool).await;
    // The first look comes before somebody made the team, the write after.
    let nothing =
        json!({ "data": [], "meta": { "page": { "number": 1, "size": 100, "total": 0 } } });
    for (status, name) in [(400, "Early"), (409, "Late")] {
        let team = Uuid::from_u128(u128::from(status));
        stage
            .emulator
            .seed(&json!({ "teams": [{ "id": team, "portal_id": PORTAL, "name": name }] }))
            .unwrap();
        stage.emulator.set_faults([
            Fault {
                status: Some(200),
                body: Some(nothing.clone()),
                times: Some(1),
                ..fault("GET", "/v3/portals/*/teams")
            },
            Fault {
                status: Some(status),
                times: Some(1),
                ..fault("POST", &format!("/v3/portals/{PORTAL}/teams"))
            },
        ]);
        let join = Deed::AddToTeam {
            team: TeamRef::Name(name.to_owned()),
            create: true,
        };
        stage.enqueue(&chain(vec![join])).await;
        stage.work_until(quick(), all_are(ActionState::Done)).await;
        let teams = stage.client.portal(PORTAL.into()).teams();
        let members = teams.members(team.into()).await.unwrap();
        assert_eq!(members.len(), 1, "{name}");
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_name_that_two_teams_bear_is_left_to_a_human(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let team = |id: u128| {
        json!({
            "id": Uuid::from_u128(id), "name": "Partners", "description": "",
            "can_own_applications": false,
            "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        })
    };
    let two = json!({
        "data": [team(1), team(2)],
        "meta": { "page": { "number": 1, "size": 100, "total": 2 } },
    });
    stage.emulator.set_faults([Fault {
        status: Some(200),
        body: Some(two),
        ..fault("GET", "/v3/portals/*/teams")
    }]);
    stage.enqueue(&chain(vec![join_partners()])).await;
    stage
        .work_until(quick(), all_are(ActionState::Parked))
        .await;
    let reason = stage.action("add_to_team").await.reason;
    assert_eq!(
        reason.as_deref(),
        Some("the portal has 2 teams of this name")
    );
    assert!(stage.writes().is_empty());
}

async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !condition().await {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn count(stage: &Stage, condition: &str) -> i64 {
    let query = format!("SELECT count(*) FROM actions WHERE {condition}");
    sqlx::query_scalar(&query)
        .fetch_one(stage.journal.pool())
        .await
        .unwrap()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn nothing_waits_for_what_a_human_refused(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let developers = stage.client.portal(PORTAL.into()).developers();
    developers
        .set_status(KEVIN.into(), &"rejected".into())
        .await
        .unwrap();
    stage.emulator.clear_requests();
    let wanted = chain(vec![Deed::ApproveDeveloper, join_partners()]);
    stage.enqueue(&wanted).await;
    stage
        .work_until(quick(), |states| {
            states["add_to_team"] == ActionState::Cancelled
        })
        .await;
    // The same decision again, as after a redelivery, finds it refused and goes no further.
    assert_eq!(stage.enqueue(&wanted).await.len(), 1);
    assert_eq!(count(&stage, "state = 'planned'").await, 0);
    assert!(stage.writes().is_empty());
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_waits_in_vain_is_cancelled(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let wanted = chain(vec![Deed::ApproveDeveloper, join_partners()]);
    stage.enqueue(&wanted).await;
    // As if the first had failed while the second was being written.
    sqlx::query("UPDATE actions SET state = 'failed' WHERE deed = 'approve_developer'")
        .execute(stage.journal.pool())
        .await
        .unwrap();
    stage
        .work_until(quick(), |states| {
            states["add_to_team"] == ActionState::Cancelled
        })
        .await;
    assert_eq!(
        stage.action("add_to_team").await.reason.as_deref(),
        Some("approve_developer before it was failed")
    );
}
