//! What is on record as the reason when everybody pending is decided about again.

use konnect::{ApplicationOwner, OwnerType};
use serde_json::{Value, json};
use sqlx::PgPool;
use usher::journal::{EventFilter, MIGRATOR, StoredEvent};
use uuid::Uuid;

use super::Play;
use crate::support::scene::load;
use crate::support::stage::{FIXTURES, KEVIN, PORTAL, developer};

const APPLICATION: Uuid = Uuid::from_u128(0xd1);
const REGISTRATION: Uuid = Uuid::from_u128(0xf1);
const TONY: Uuid = Uuid::from_u128(0xb9);
const TEAM: Uuid = Uuid::from_u128(0xc9);
const RULES: &str = r#"
version: 1
rules:
  - name: fixtures
    on: registration.requested
    when: application.name == "scores"
    then: [approve_registration]
    mode: shadow
"#;

/// A portal where an application of this owner has asked for an API, and no live rule answers.
async fn asked_for_by(pool: PgPool, owner: Value) -> Play {
    let play = Play::new(pool, RULES).await;
    let seed = json!({
        "developers": [developer(TONY, "tony@gmail.com", "approved")],
        "teams": [{
            "id": TEAM, "portal_id": PORTAL, "name": "Owners", "can_own_applications": true,
        }],
        "applications": [{
            "id": APPLICATION, "portal_id": PORTAL, "name": "scores", "owner": owner,
        }],
        "registrations": [{
            "id": REGISTRATION, "application_id": APPLICATION, "api_id": FIXTURES,
            "status": "pending",
        }],
    });
    play.stage().emulator.seed(&seed).unwrap();
    play.scene.look().await;
    play
}

/// What led to the approval once the rule is live.
async fn causes(play: &Play) -> Vec<Uuid> {
    let live = load(&RULES.replace("shadow", "live"));
    play.scene.rules.send_replace(live);
    play.decide().await;
    let mut actions = play.stage().actions().await.into_iter();
    let approval = actions.find(|action| action.target.id() == REGISTRATION);
    approval.unwrap().causes
}

/// The event that reported the registration.
async fn report(play: &Play) -> Uuid {
    let filter = EventFilter {
        name: Some("registration.requested".to_owned()),
        ..EventFilter::default()
    };
    let reported = play
        .stage()
        .journal
        .search(&filter, None, 10)
        .await
        .unwrap();
    let id = REGISTRATION.to_string();
    let mut reported = reported.into_iter();
    let of = |event: &StoredEvent| String::from_utf8_lossy(&event.raw).contains(&id);
    reported.find(of).unwrap().id.as_uuid()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_a_former_owner_asked_for_has_its_reason_on_record(pool: PgPool) {
    let play = asked_for_by(pool, json!({ "type": "developer", "id": TONY })).await;
    let kevin = ApplicationOwner {
        kind: OwnerType::Developer,
        id: KEVIN,
    };
    let applications = play.stage().client.portal(PORTAL.into()).applications();
    let handed_over = applications.set_owner(APPLICATION.into(), &kevin).await;
    handed_over.unwrap();
    play.scene.look().await;
    assert_eq!(causes(&play).await, [report(&play).await]);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_a_team_asked_for_has_its_reason_on_record(pool: PgPool) {
    let play = asked_for_by(pool, json!({ "type": "team", "id": TEAM })).await;
    assert_eq!(causes(&play).await, [report(&play).await]);
}
