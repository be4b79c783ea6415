//! A pause of all actions: who keeps it, where it is shown and how it ends.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use usher::act::{Person, Queue, Target, Worker};
use usher::clock::{Clock, Ids};
use usher::journal::{Journal, MIGRATOR};
use usher::rules::Deed;
use uuid::Uuid;

use super::{SOON, ada};
use crate::support::database::TestDatabase;
use crate::support::eventually;
use crate::support::konnect::{RULES, TestKonnect};
use crate::support::process::{Installation, settings};
use crate::support::stage::{Stage, chain, developer, quick};
use crate::support::visitor::Visitor;

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_pause_holds_every_instance_in_the_middle_of_a_burst(pool: PgPool) {
    const PEOPLE: u128 = 120;
    let stage = Stage::new(pool).await;
    let people: Vec<Uuid> = (0..PEOPLE).map(|n| Uuid::from_u128(0xb000 + n)).collect();
    let seeds = people
        .iter()
        .enumerate()
        .map(|(n, id)| developer(*id, &format!("p{n}@arsenal.com"), "pending"));
    let seed = json!({ "developers": seeds.collect::<Vec<Value>>() });
    stage.emulator.seed(&seed).unwrap();
    // Another instance shares nothing but the database.
    let other = Queue::new(
        Journal::from_pool(stage.journal.pool().clone()),
        Clock::system(),
        Ids::new(Clock::system()),
    );
    for id in &people {
        let mut one = chain(vec![Deed::ApproveDeveloper]);
        one.signal_key = id.to_string();
        one.steps[0].target = Target::Developer { id: *id };
        stage.enqueue(&one).await;
    }
    let in_state = async |state: &'static str| -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM actions WHERE state = $1")
            .bind(state)
            .fetch_one(stage.journal.pool())
            .await
            .unwrap()
    };
    let stop = CancellationToken::new();
    let workers = [
        stage.worker(quick()),
        Worker::new(
            other.clone(),
            stage.directory.clone(),
            stage.client.clone(),
            quick(),
        ),
    ];
    let watch = async {
        eventually("some are done", SOON, async || in_state("done").await >= 5).await;
        let (paused, is_new) = stage.queue.pause_all(&ada()).await.unwrap();
        assert!(is_new && paused.by == "ada", "{paused:?}");
        let (same, is_new) = other
            .pause_all(&Person::new("bob", None).unwrap())
            .await
            .unwrap();
        assert_eq!((same, is_new), (paused.clone(), false));
        eventually("what was in hand is finished", SOON, async || {
            in_state("running").await == 0
        })
        .await;
        let done = in_state("done").await;
        assert!(
            done < i64::try_from(PEOPLE).unwrap(),
            "paused too late to tell: {done}"
        );
        // Several polls of both instances.
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(in_state("done").await, done);
        assert_eq!(other.resume_all(&ada()).await.unwrap(), Some(paused));
        assert_eq!(other.paused().await.unwrap(), None);
        eventually("all are done", SOON, async || {
            in_state("done").await == i64::try_from(PEOPLE).unwrap()
        })
        .await;
        stop.cancel();
    };
    tokio::join!(
        workers[0].run(stop.clone()),
        workers[1].run(stop.clone()),
        watch
    );
    assert_eq!(stage.queue.resume_all(&ada()).await.unwrap(), None);
}

#[tokio::test]
async fn a_pause_is_shown_outlives_a_restart_and_ends() {
    let konnect = TestKonnect::start().await;
    let database = TestDatabase::create().await;
    let mut settings = settings(&database, &konnect.url);
    settings["konnect"]["token"] = json!(konnect.emulator.token());
    settings["observe"] = json!({ "pending_every": "1s" });
    settings["rules"] = json!({ "path": "rules.yaml" });
    let mut usher = Installation::new(&settings);
    usher.write("rules.yaml", RULES);
    let process = usher.start().await;
    let pause = [
        "actions", "pause", "--by", "ada", "--reason", "a storm", "--json",
    ];
    let paused = usher.run(&pause).await.lines(0);
    assert_eq!(
        (&paused[0]["paused"], &paused[0]["by"]),
        (&json!(true), &json!("ada"))
    );
    let person = Visitor::sign_up(&konnect, "saka@arsenal.com", "Bukayo").await;
    let planned = async || {
        let rows = usher
            .run(&["actions", "--state", "planned", "--json"])
            .await;
        rows.lines(0).len() == 2
    };
    eventually("what to do is decided", SOON, planned).await;
    process.kill().await;
    let process = usher.start().await;
    eventually("readiness tells of it", SOON, async || {
        let parts = process.readyz().await;
        let actions = &parts["parts"]["actions"];
        let detail = actions["detail"].as_str().unwrap_or_default();
        parts["status"] == "degraded"
            && actions["status"] == "degraded"
            && detail.starts_with("paused by ada since 20")
    })
    .await;
    assert!(
        process
            .metrics()
            .await
            .contains("usher_actions_paused_by_hand 1")
    );
    let listed = usher.run(&["actions"]).await;
    assert!(listed.err.contains("paused by ada since"), "{listed:?}");
    assert!(listed.err.contains(": a storm"), "{listed:?}");
    assert_eq!(konnect.developer(&person.email).await.1, "pending");
    assert!(konnect.writes().is_empty());

    assert_eq!(usher.run(&["actions", "resume"]).await.code, Some(0));
    eventually("they are let in", SOON, async || {
        konnect.developer(&person.email).await.1 == "approved"
    })
    .await;
    eventually("readiness is well again", SOON, async || {
        process.parts().await["actions"]["status"] == "ok"
    })
    .await;
    process.kill().await;
    database.drop().await;
}

#[tokio::test]
async fn a_pipeline_does_not_wait_for_a_pause_to_end() {
    let konnect = TestKonnect::start().await;
    let person = Visitor::sign_up(&konnect, "saka@arsenal.com", "Bukayo").await;
    let database = TestDatabase::create().await;
    let mut settings = settings(&database, &konnect.url);
    settings["konnect"]["token"] = json!(konnect.emulator.token());
    settings["rules"] = json!({ "path": "rules.yaml" });
    let usher = Installation::new(&settings);
    usher.write("rules.yaml", RULES);
    assert_eq!(usher.run(&["migrate"]).await.code, Some(0));
    let pause = ["actions", "pause", "--by", "ada"];
    assert_eq!(usher.run(&pause).await.code, Some(0));
    let ran = usher.run(&["reconcile"]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("ada paused all actions"), "{ran:?}");
    assert_eq!(konnect.developer(&person.email).await.1, "pending");
    assert_eq!(usher.run(&["actions", "resume"]).await.code, Some(0));
    let ran = usher.run(&["reconcile"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(konnect.developer(&person.email).await.1, "approved");
    database.drop().await;
}
