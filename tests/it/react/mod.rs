//! From what a look shows, and from what Konnect's logs say, to what is done: real Postgres, the
//! emulated Konnect, real rules.

mod heard;
mod own;
mod uneaten;

use serde_json::{Value, json};
use sqlx::PgPool;
use usher::act::ActionState;
use usher::journal::MIGRATOR;
use uuid::Uuid;

use crate::support::konnect::RULES;
use crate::support::scene::{Scene, eventually, load, newest};
use crate::support::stage::{KEVIN, PORTAL, REGISTRATION, developer};

#[sqlx::test(migrator = "MIGRATOR")]
async fn lets_partners_in_and_nobody_who_only_looks_like_one(pool: PgPool) {
    let scene = Scene::new(pool, RULES).await;
    let stranger = Uuid::from_u128(0xb1);
    let seed = json!({ "developers": [
        developer(stranger, "eve@arsenal.com.evil.com", "pending"),
    ]});
    scene.stage.emulator.seed(&seed).unwrap();
    scene
        .during(async {
            scene.look().await;
            eventually("kevin is a partner", async || {
                scene.stage.is_partner(KEVIN).await
            })
            .await;
            // The next look shows the membership, and by it the registration is granted.
            scene.look().await;
            eventually("the registration is answered", async || {
                let writes = scene.stage.writes();
                writes.contains(&format!("PATCH registrations/{REGISTRATION} 200"))
            })
            .await;
            scene.settled().await;
        })
        .await;
    assert_eq!(scene.stage.status().await, "approved");
    let developers = scene.stage.client.portal(PORTAL.into()).developers();
    let eve = developers.get(stranger.into()).await.unwrap();
    assert_eq!(eve.status.as_str(), "pending");
    assert!(!scene.stage.is_partner(stranger).await);

    let told = newest(&scene.stage.journal, "developer.signed_up").await;
    assert_eq!(told["data"]["to_status"], "pending");
    let action = scene.stage.action("approve_developer").await;
    assert_eq!(action.causes.len(), 1);
    let facts: Value =
        sqlx::query_scalar("SELECT facts FROM actions WHERE deed = 'approve_developer'")
            .fetch_one(scene.stage.journal.pool())
            .await
            .unwrap();
    assert_eq!(facts["developer"]["email_domain"], "manchestercity.com");
    assert!(!facts.to_string().contains("kevin"), "{facts}");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_shadow_rule_writes_nothing_until_it_is_live(pool: PgPool) {
    let shadow = RULES.replace("    on: developer", "    mode: shadow\n    on: developer");
    let scene = Scene::new(pool, &shadow).await;
    scene
        .during(async {
            scene.look().await;
            scene.settled().await;
            eventually("the decision is written down", async || {
                scene.stage.actions().await.len() == 2
            })
            .await;
            let actions = scene.stage.actions().await;
            assert!(
                actions
                    .iter()
                    .all(|action| action.state == ActionState::Shadow)
            );
            assert!(scene.stage.writes().is_empty());

            // Whoever is pending is decided again when rules change.
            scene.rules.send(load(RULES)).unwrap();
            eventually("kevin is a partner", async || {
                scene.stage.is_partner(KEVIN).await
            })
            .await;
        })
        .await;
    let actions = scene.stage.actions().await;
    let done = actions
        .iter()
        .find(|action| action.state == ActionState::Done)
        .unwrap();
    assert_eq!(done.causes.len(), 1, "the event that told of the newcomer");
}
