//! Teams and their members: which team a name stands for, and whose memberships are whose. One that
//! a human ended is not made again, however a rule names the team.

use konnect_emulator::Fault;
use serde_json::json;
use sqlx::PgPool;
use usher::act::{ActionState, Target};
use usher::journal::MIGRATOR;
use usher::rules::{Deed, TeamRef};
use uuid::Uuid;

use crate::support::stage::{
    KEVIN, PARTNERS, PORTAL, Stage, after, all_are, chain, developer, fault, join_partners, quick,
};

const GUESTS: Uuid = Uuid::from_u128(0xc1);

fn join_by_id() -> Deed {
    Deed::AddToTeam {
        team: TeamRef::Id(PARTNERS),
        create: false,
    }
}

async fn end_by_hand(stage: &Stage) {
    let teams = stage.client.portal(PORTAL.into()).teams();
    let ended = teams.remove_member(PARTNERS.into(), KEVIN.into());
    ended.await.unwrap();
}

async fn is_not_made_again(stage: &Stage, deed: Deed) {
    let action = after(stage, deed, "again").await;
    assert_eq!(
        (action.state, action.reason.as_deref()),
        (
            ActionState::Refused,
            Some("somebody else ended the membership")
        )
    );
    assert!(!stage.is_partner(KEVIN).await);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn being_a_member_already_is_done(pool: PgPool) {
    let stage = Stage::new(pool).await;
    stage
        .client
        .portal(PORTAL.into())
        .teams()
        .add_member(PARTNERS.into(), KEVIN.into())
        .await
        .unwrap();
    // The list does not show the membership yet.
    let nothing =
        json!({ "data": [], "meta": { "page": { "number": 1, "size": 100, "total": 0 } } });
    stage.emulator.set_faults([Fault {
        status: Some(200),
        body: Some(nothing),
        ..fault("GET", "/v3/portals/*/developers/*/teams")
    }]);
    stage.enqueue(&chain(vec![join_partners()])).await;
    stage.work_until(quick(), all_are(ActionState::Done)).await;
    assert_eq!(
        stage.writes().last().unwrap(),
        &format!("POST {PARTNERS}/developers 409")
    );
    assert_eq!(stage.action("add_to_team").await.attempts, 1);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_unknown_team_parks_and_holds_up_what_follows(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let team = || TeamRef::Name("Strangers".to_owned());
    let join = Deed::AddToTeam {
        team: team(),
        create: false,
    };
    stage
        .enqueue(&chain(vec![join, Deed::ApproveDeveloper]))
        .await;
    let states = stage
        .work_until(quick(), |states| {
            states["add_to_team"] == ActionState::Parked
        })
        .await;
    assert_eq!(states["approve_developer"], ActionState::Planned);
    assert!(stage.writes().is_empty());
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn makes_the_team_once_when_asked_to(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let other = Uuid::from_u128(0xb1);
    let guest = developer(other, "guest@example.com", "approved");
    stage
        .emulator
        .seed(&json!({ "developers": [guest] }))
        .unwrap();
    let join = || Deed::AddToTeam {
        team: TeamRef::Name("Guests".to_owned()),
        create: true,
    };
    stage.enqueue(&chain(vec![join()])).await;
    let mut second = chain(vec![join()]);
    second.signal_key = other.to_string();
    second.steps[0].target = Target::Developer { id: other };
    stage.enqueue(&second).await;
    stage.work_until(quick(), all_are(ActionState::Done)).await;
    assert_eq!(stage.actions().await.len(), 2);
    let made = stage
        .writes()
        .iter()
        .filter(|write| write.contains("/teams 201"))
        .count();
    assert_eq!(made, 1, "{:?}", stage.writes());
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_membership_that_a_human_ended_is_not_made_again(pool: PgPool) {
    let stage = Stage::new(pool).await;
    after(&stage, join_partners(), "first").await;
    end_by_hand(&stage).await;
    is_not_made_again(&stage, join_partners()).await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn by_name_and_then_by_id_is_the_same_team(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let made = after(&stage, join_partners(), "first").await;
    assert_eq!(made.state, ActionState::Done);
    assert_eq!(made.report, Some(json!({ "team_id": PARTNERS })));
    end_by_hand(&stage).await;
    is_not_made_again(&stage, join_by_id()).await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn by_id_and_then_by_name_is_the_same_team(pool: PgPool) {
    let stage = Stage::new(pool).await;
    after(&stage, join_by_id(), "first").await;
    end_by_hand(&stage).await;
    is_not_made_again(&stage, join_partners()).await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_membership_that_was_there_already_counts_by_either_name(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let teams = stage.client.portal(PORTAL.into()).teams();
    let joined = teams.add_member(PARTNERS.into(), KEVIN.into());
    joined.await.unwrap();
    let held = after(&stage, join_by_id(), "first").await;
    assert_eq!(held.reason.as_deref(), Some("member already"));
    end_by_hand(&stage).await;
    is_not_made_again(&stage, join_partners()).await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_an_older_usher_did_counts_by_the_name_it_used(pool: PgPool) {
    let stage = Stage::new(pool).await;
    after(&stage, join_by_id(), "first").await;
    sqlx::raw_sql("UPDATE actions SET report = NULL")
        .execute(stage.journal.pool())
        .await
        .unwrap();
    end_by_hand(&stage).await;
    is_not_made_again(&stage, join_by_id()).await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn leaving_another_team_by_a_rule_does_not_undo_it(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let guests = json!({ "teams": [{ "id": GUESTS, "portal_id": PORTAL, "name": "Guests" }] });
    stage.emulator.seed(&guests).unwrap();
    let leave = |team| Deed::RemoveFromTeam {
        team: TeamRef::Id(team),
    };
    after(&stage, join_partners(), "first").await;
    let teams = stage.client.portal(PORTAL.into()).teams();
    let joined = teams.add_member(GUESTS.into(), KEVIN.into());
    joined.await.unwrap();
    let left = after(&stage, leave(GUESTS), "out").await;
    assert_eq!(left.state, ActionState::Done);
    end_by_hand(&stage).await;
    is_not_made_again(&stage, join_by_id()).await;

    // What usher ended itself it may make again.
    let joined = teams.add_member(PARTNERS.into(), KEVIN.into());
    joined.await.unwrap();
    let left = after(&stage, leave(PARTNERS), "out again").await;
    assert_eq!(left.state, ActionState::Done);
    let joined = after(&stage, join_partners(), "in again").await;
    assert_eq!(joined.state, ActionState::Done);
    assert!(stage.is_partner(KEVIN).await);
}
