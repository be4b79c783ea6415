//! The follower: over a restart, beside another instance, after a week, and beside a webhook.

use std::time::Duration;

use konnect::Client;
use serde_json::Value;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use usher::backfill::{FollowTimings, Follower, PullTimings, Puller};
use usher::clock::{Clock, Ids};
use usher::config::OrgLogs;
use usher::http::health::Health;
use usher::journal::MIGRATOR;

use crate::pull::{QUICK, Scene, access, authentication, client};
use crate::support::readiness;

/// An instance that pulls, or looks a second time.
fn instance(scene: &Scene, source: OrgLogs, client: Client) -> (Follower, Health) {
    let health = Health::default();
    let clock = Clock::system();
    let pace = PullTimings {
        page_size: 1_000,
        ..QUICK
    };
    let never = CancellationToken::new();
    let puller = Puller::new(client, scene.journal.clone(), clock.clone(), pace, never);
    // What happened a second ago is there.
    let timings = FollowTimings::new(Duration::from_secs(1));
    let holder = Ids::new(clock.clone()).next();
    let follower = Follower::new(
        puller,
        (scene.journal.clone(), clock),
        health.clone(),
        (source, timings),
        holder,
    );
    (follower, health)
}

async fn part(health: &Health) -> (String, String) {
    let (_, parts) = readiness(health).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (
        text(&parts["pull"]["status"]),
        text(&parts["pull"]["detail"]),
    )
}

/// What the admin did. The calls of the follower are in the log as well.
const EVENTS: &str =
    "SELECT count(*) FROM events WHERE principal_id = '00000000-0000-4000-8000-0000000000ad'";

#[sqlx::test(migrator = "MIGRATOR")]
async fn goes_on_after_a_restart_where_it_was(pool: PgPool) {
    let scene = Scene::new(pool).await;
    for (trace, seconds) in [(1, 6 * 24 * 3_600), (2, 3 * 3_600), (3, 5)] {
        scene.happen([access(scene.ago(seconds), trace)]);
    }
    let (first, health) = instance(&scene, OrgLogs::Pull, scene.client());
    first.cycle().await.unwrap();
    assert_eq!(scene.number(EVENTS).await, 3, "all that can be had");
    let (status, detail) = part(&health).await;
    assert_eq!(status, "ok");
    assert!(detail.starts_with("pulled up to 20"), "{detail}");
    let lanes = "SELECT count(*) FROM batches WHERE (lane = 'live') = (last_event_ts > now() - interval '1 h')";
    assert_eq!(
        scene.number(lanes).await,
        3,
        "what is over comes after what happens now"
    );

    // Beside it another instance waits.
    let (second, health) = instance(&scene, OrgLogs::Pull, scene.client());
    scene.emulator.clear_requests();
    second.cycle().await.unwrap();
    assert_eq!(part(&health).await.1, "another instance pulls");
    assert_eq!(scene.emulator.requests().len(), 0);

    // The first one dies, and the second goes on from where that was.
    scene
        .run("UPDATE leases SET expires_at = now() - interval '1 s'")
        .await;
    scene.happen([authentication(Clock::system().now(), 4)]);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    second.cycle().await.unwrap();
    assert_eq!(scene.number(EVENTS).await, 4);
    let requests = scene.emulator.requests();
    assert_eq!(requests.len(), 1, "one short window: {requests:?}");

    // Konnect refuses: nothing moves, and it is said.
    let (third, health) = instance(&scene, OrgLogs::Pull, client(&scene.emulator.url(), "no"));
    scene
        .run("UPDATE leases SET expires_at = now() - interval '1 s'")
        .await;
    let to = "SELECT (extract(epoch FROM max(pulled_to)) * 1000)::bigint FROM pull_checkpoints";
    let before = scene.number(to).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(third.cycle().await.is_err());
    let (status, detail) = part(&health).await;
    assert_eq!(status, "degraded");
    assert!(
        detail.contains("does not accept the token (401)"),
        "{detail}"
    );
    assert_eq!(scene.number(to).await, before);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_checkpoint_that_is_too_old_is_said_and_it_goes_on(pool: PgPool) {
    let scene = Scene::new(pool).await;
    scene.happen([access(scene.ago(6 * 24 * 3_600), 1)]);
    let old = "INSERT INTO pull_checkpoints (course, pulled_to)
        VALUES ('follow', now() - interval '9 days')";
    scene.run(old).await;
    let (follower, health) = instance(&scene, OrgLogs::Pull, scene.client());
    follower.cycle().await.unwrap();
    assert_eq!(scene.number(EVENTS).await, 1);
    let (status, detail) = part(&health).await;
    assert_eq!(status, "degraded");
    assert!(
        detail.contains("was over 7 days ago and could not be pulled any more"),
        "{detail}"
    );
    let lost = "SELECT count(*) FROM pull_checkpoints
        WHERE course = 'follow' AND pulled_to > now() - interval '10 s'
            AND lost_to - lost_from BETWEEN interval '47 h' AND interval '49 h'";
    assert_eq!(scene.number(lost).await, 1);
    // A day later it is in the log only.
    scene
        .run("UPDATE pull_checkpoints SET lost_at = now() - interval '25 h' WHERE lost_at IS NOT NULL")
        .await;
    follower.cycle().await.unwrap();
    assert_eq!(part(&health).await.0, "ok");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn beside_a_webhook_it_finds_what_did_not_come(pool: PgPool) {
    let scene = Scene::new(pool).await;
    let (known, missed, fresh) = (scene.ago(14 * 60), scene.ago(15 * 60), scene.ago(5 * 60));
    scene.happen([access(known, 1)]);
    let (follower, health) = instance(&scene, OrgLogs::Webhook, scene.client());
    // As if the webhook had brought it.
    let mut quiet = |_: &usher::backfill::PullProgress| {};
    let window = scene.window(60);
    let lane = usher::journal::Lane::Live;
    let brought = scene.puller().pull(window, None, lane, &mut quiet).await;
    assert_eq!(brought.unwrap().stored, 1);
    scene.happen([access(missed, 2), access(fresh, 3)]);
    follower.cycle().await.unwrap();
    assert_eq!(
        scene.number(EVENTS).await,
        2,
        "the fresh one may still come"
    );
    let courses = "SELECT count(*) FROM pull_checkpoints WHERE course = 'check'
        AND pulled_to BETWEEN now() - interval '11 min' AND now() - interval '9 min'";
    assert_eq!(scene.number(courses).await, 1);
    assert_eq!(
        scene.number("SELECT count(*) FROM pull_checkpoints").await,
        1
    );
    assert_eq!(part(&health).await.0, "ok");

    // The next look is due in ten minutes, and begins where this one ended.
    scene.emulator.clear_requests();
    follower.cycle().await.unwrap();
    assert_eq!(scene.emulator.requests().len(), 0);
    scene
        .run("UPDATE pull_checkpoints SET pulled_to = now() - interval '21 min'")
        .await;
    follower.cycle().await.unwrap();
    assert_eq!(scene.emulator.requests().len(), 1);
}
