//! Limits of rules: another one reaches what waits, and those who count together do not count too
//! few.

use std::collections::BTreeSet;

use serde_json::json;
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use usher::act::{ActionState, NewChain, NewStep, Target};
use usher::journal::MIGRATOR;
use usher::rules::Deed;
use uuid::Uuid;

use super::{PARTNERS, Play, SOON, reasons};
use crate::support::eventually;
use crate::support::scene::load;
use crate::support::stage::{KEVIN, Stage, chain, developer, quick};

#[sqlx::test(migrator = "MIGRATOR")]
async fn another_limit_reaches_what_waits(pool: PgPool) {
    let play = Play::new(pool, PARTNERS).await;
    play.during(play.at_work(async {
        let full = [(ActionState::Done, 2), (ActionState::Planned, 3)];
        play.until("the hour is full", &full).await;
        play.change("limit_per_hour: 2", "limit_per_hour: 3\n    on_limit: park");
        let parked = [(ActionState::Done, 3), (ActionState::Parked, 2)];
        play.until("one more is done, the rest is parked", &parked)
            .await;
        let parked = play.in_state(ActionState::Parked).await;
        assert_eq!(reasons(&parked), ["over the limit of 3 deeds per hour"]);
        play.change("limit_per_hour: 2", "limit_per_hour: 1\n    on_limit: park");
        play.change("limit_per_hour: 2", "limit_per_hour: 4");
        let delayed = [(ActionState::Done, 4), (ActionState::Planned, 1)];
        play.until("one more is done, the last waits", &delayed)
            .await;
        play.change("limit_per_hour: 2", "limit_per_hour: 0");
        play.until("all are done", &[(ActionState::Done, 5)]).await;
    }))
    .await;
    let done = play.in_state(ActionState::Done).await;
    assert_eq!(reasons(&done), ["none"]);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn two_workers_count_the_deeds_of_an_hour_together(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let people: Vec<Uuid> = (0..20).map(|n| Uuid::from_u128(0x1000 + n)).collect();
    let seed: Vec<_> = people
        .iter()
        .map(|id| developer(*id, &format!("n{}@arsenal.com", id.simple()), "pending"))
        .collect();
    stage.emulator.seed(&json!({ "developers": seed })).unwrap();
    for id in &people {
        let wanted = NewChain {
            limit_per_hour: 5,
            signal_key: id.to_string(),
            steps: vec![NewStep {
                deed: Deed::ApproveDeveloper,
                target: Target::Developer { id: *id },
                owned_by: None,
            }],
            ..chain(vec![])
        };
        stage.enqueue(&wanted).await;
    }
    let workers = [stage.worker(quick()), stage.worker(quick())];
    let stop = CancellationToken::new();
    let watch = async {
        let all_answered = async || {
            let actions = stage.actions().await;
            let delayed = actions.iter().filter(|action| action.reason.is_some());
            let done = actions
                .iter()
                .filter(|action| action.state == ActionState::Done);
            delayed.count() + done.count() == people.len()
        };
        eventually("everybody was counted", SOON, all_answered).await;
        stop.cancel();
    };
    tokio::join!(
        watch,
        Box::pin(workers[0].run(stop.clone())),
        Box::pin(workers[1].run(stop.clone())),
    );
    let started: i64 = sqlx::query_scalar("SELECT count(started_at) FROM actions")
        .fetch_one(stage.journal.pool())
        .await
        .unwrap();
    assert_eq!((started, stage.writes().len()), (5, 5));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn two_deeds_that_are_counted_in_one_moment_do_not_both_take_the_last_place(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let tony = Uuid::from_u128(0xb9);
    let seed = json!({ "developers": [developer(tony, "tony@arsenal.com", "pending")] });
    stage.emulator.seed(&seed).unwrap();
    for id in [KEVIN, tony] {
        let wanted = NewChain {
            limit_per_hour: 1,
            signal_key: id.to_string(),
            steps: vec![NewStep {
                deed: Deed::ApproveDeveloper,
                target: Target::Developer { id },
                owned_by: None,
            }],
            ..chain(vec![])
        };
        stage.enqueue(&wanted).await;
    }
    let count = async |question: &'static str| {
        let count = sqlx::query_scalar::<_, i64>(question);
        count.fetch_one(stage.journal.pool()).await.unwrap()
    };
    // Whoever lets one start takes their time, while the other one counts.
    sqlx::raw_sql(
        "CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_sleep(1); RETURN NEW; END $$;
        CREATE TRIGGER linger BEFORE UPDATE ON actions FOR EACH ROW
            WHEN (OLD.started_at IS NULL AND NEW.started_at IS NOT NULL) EXECUTE FUNCTION linger()",
    )
    .execute(stage.journal.pool())
    .await
    .unwrap();
    let workers = [stage.worker(quick()), stage.worker(quick())];
    let stop = CancellationToken::new();
    let watch = async {
        let answered = "SELECT count(*) FROM actions WHERE state = 'done' OR reason IS NOT NULL";
        eventually("both are answered", SOON, async || {
            count(answered).await == 2
        })
        .await;
        stop.cancel();
    };
    tokio::join!(
        watch,
        Box::pin(workers[0].run(stop.clone())),
        Box::pin(workers[1].run(stop.clone())),
    );
    assert_eq!(stage.writes().len(), 1);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_is_parked_for_the_limit_of_a_rule_that_is_gone_keeps_no_other_from_the_same(
    pool: PgPool,
) {
    let parks = PARTNERS.replace("limit_per_hour: 2", "limit_per_hour: 2\n    on_limit: park");
    let play = Play::new(pool, &parks).await;
    play.during(play.at_work(async {
        let parked = [(ActionState::Done, 2), (ActionState::Parked, 3)];
        play.until("three are left to a person", &parked).await;
        let others = PARTNERS.replace("name: partners", "name: others");
        let others = others.replace("limit_per_hour: 2", "limit_per_hour: 0");
        play.scene.rules.send_replace(load(&others));
        let everybody = async || {
            let done = play.in_state(ActionState::Done).await;
            let people: BTreeSet<Uuid> = done.iter().map(|action| action.target.id()).collect();
            people.len() == 5
        };
        eventually("the other rule lets them in", SOON, everybody).await;
        assert!(play.in_state(ActionState::Parked).await.is_empty());
    }))
    .await;
}
