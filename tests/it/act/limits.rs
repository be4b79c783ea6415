//! What waits for its turn within the limit of its rule: it costs nothing, and holds up nobody
//! else.

use std::time::Duration;

use sqlx::PgPool;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use usher::act::{ActionState, Intervened, NewChain, Person, Target, Verb};
use usher::journal::MIGRATOR;
use usher::rules::{Deed, OnLimit};
use uuid::Uuid;

use crate::support::konnect::RULES;
use crate::support::scene::{Scene, eventually};
use crate::support::stage::{Stage, after, chain, join_partners, partners, quick};

/// Many: `make bench ARGS=onboarding` has more.
const MANY: i64 = 20_000;

/// Has so many approvals of one rule wait, as they are written down when they are decided.
async fn many_wait(stage: &Stage, many: i64, per_hour: u32, on_limit: OnLimit) {
    let one = NewChain {
        rule: "flood".to_owned(),
        limit_per_hour: per_hour,
        on_limit,
        signal_key: "one".to_owned(),
        ..chain(vec![Deed::RejectDeveloper])
    };
    stage.enqueue(&one).await;
    let copied = sqlx::query(
        "INSERT INTO actions (
            id, rule, deed, deed_key, spec, target_kind, target_id, portal_id, signal, signal_key, state,
            causes, facts, chain_id, step, limit_per_hour, on_limit, next_attempt_at, waits_on
        )
        SELECT
            gen_random_uuid(), rule, deed, deed_key, spec, target_kind, gen_random_uuid(), portal_id, signal,
            number::text, state, causes, facts, gen_random_uuid(), step, limit_per_hour, on_limit,
            next_attempt_at, waits_on
        FROM actions, generate_series(2, $1) AS number",
    )
    .bind(many)
    .execute(stage.journal.pool())
    .await
    .unwrap();
    assert_eq!(copied.rows_affected(), many.unsigned_abs() - 1);
    sqlx::query("ANALYZE actions")
        .execute(stage.journal.pool())
        .await
        .unwrap();
}

async fn count(stage: &Stage, condition: &str) -> i64 {
    let sql = format!("SELECT count(*) FROM actions WHERE rule = 'flood' AND {condition}");
    let count = sqlx::query_scalar(&sql);
    count.fetch_one(stage.journal.pool()).await.unwrap()
}

/// Waits until nothing about the flood changes any more.
async fn quiet(stage: &Stage) {
    let told = async || count(stage, "reason IS NOT NULL").await >= MANY - 2;
    eventually("everybody was told why they wait", told).await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_waits_for_its_turn_costs_nothing_and_holds_up_no_other_rule(pool: PgPool) {
    let stage = Stage::new(pool).await;
    many_wait(&stage, MANY, 2, OnLimit::Delay).await;
    let worker = stage.worker(quick());
    let stop = CancellationToken::new();
    let play = async {
        quiet(&stage).await;
        let before = Instant::now();
        let since: chrono::DateTime<chrono::Utc> = sqlx::query_scalar("SELECT now()")
            .fetch_one(stage.journal.pool())
            .await
            .unwrap();
        stage.enqueue(&chain(vec![Deed::ApproveDeveloper])).await;
        eventually("kevin is let in", async || {
            stage.status().await == "approved"
        })
        .await;
        let took = before.elapsed();
        assert!(took < Duration::from_secs(1), "{took:?}");
        // Several rounds of the worker later nobody has touched those who wait.
        tokio::time::sleep(10 * quick().poll).await;
        let sql = "SELECT count(*) FROM actions WHERE rule = 'flood' AND updated_at > $1";
        let touched: i64 = sqlx::query_scalar(sql)
            .bind(since)
            .fetch_one(stage.journal.pool())
            .await
            .unwrap();
        assert_eq!(touched, 0);
        stop.cancel();
    };
    tokio::join!(play, Box::pin(worker.run(stop.clone())));
    assert_eq!(count(&stage, "started_at IS NOT NULL").await, 2);
    assert_eq!(count(&stage, "state = 'planned'").await, MANY - 2);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn as_many_of_the_oldest_start_as_places_are_free(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let people: Vec<Uuid> = (0..4).map(|n| Uuid::from_u128(0x1000 + n)).collect();
    for id in &people {
        let mut wanted = NewChain {
            limit_per_hour: 2,
            signal_key: id.to_string(),
            ..chain(vec![Deed::ApproveDeveloper])
        };
        wanted.steps[0].target = Target::Developer { id: *id };
        stage.enqueue(&wanted).await;
    }
    let started = async |expected: &[Uuid]| {
        let sql = "SELECT target_id FROM actions WHERE started_at > now() - interval '1 hour' ORDER BY id";
        let started: Vec<Uuid> = sqlx::query_scalar(sql)
            .fetch_all(stage.journal.pool())
            .await
            .unwrap();
        started == expected
    };
    let worker = stage.worker(quick());
    let stop = CancellationToken::new();
    let play = async {
        eventually("the two oldest start", async || started(&people[..2]).await).await;
        // One of them is an hour old.
        sqlx::query(
            "UPDATE actions SET started_at = now() - interval '2 hours' WHERE target_id = $1",
        )
        .bind(people[0])
        .execute(stage.journal.pool())
        .await
        .unwrap();
        eventually("the third starts", async || started(&people[1..3]).await).await;
        let last = stage.actions().await;
        let last = last
            .iter()
            .find(|action| action.target.id() == people[3])
            .unwrap();
        assert_eq!(last.state, ActionState::Planned);
        assert_eq!(
            last.reason.as_deref(),
            Some("over the limit of 2 deeds per hour")
        );
        stop.cancel();
    };
    tokio::join!(play, Box::pin(worker.run(stop.clone())));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_is_over_a_limit_that_parks_is_left_to_a_person_at_once(pool: PgPool) {
    let stage = Stage::new(pool).await;
    many_wait(&stage, 2_000, 3, OnLimit::Park).await;
    let worker = stage.worker(quick());
    let stop = CancellationToken::new();
    let play = async {
        let parked = async || count(&stage, "state = 'parked'").await == 1_997;
        eventually("the rest is parked", parked).await;
        stop.cancel();
    };
    tokio::join!(play, Box::pin(worker.run(stop.clone())));
    let told: i64 = sqlx::query_scalar("SELECT count(*) FROM events WHERE name = 'action.parked'")
        .fetch_one(stage.journal.pool())
        .await
        .unwrap();
    assert_eq!(told, 1_997);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn whoever_was_written_to_over_and_over_is_left_to_a_person(pool: PgPool) {
    let scene = Scene::new(pool, RULES).await;
    let stage = &scene.stage;
    after(stage, join_partners(), "in").await;
    after(stage, Deed::RemoveFromTeam { team: partners() }, "out").await;
    scene.activate().await;
    scene.look().await;
    let worker = stage
        .worker(quick())
        .with_rules(scene.rules.subscribe())
        .with_subject_limit(2);
    let reactor = scene.reactor();
    let stop = CancellationToken::new();
    let play = async {
        let approval = async || {
            let actions = stage.actions().await.into_iter();
            actions
                .rev()
                .find(|action| action.deed == "approve_developer")
        };
        let is = async |state| approval().await.is_some_and(|action| action.state == state);
        eventually("it is parked", async || is(ActionState::Parked).await).await;
        let parked = approval().await.unwrap();
        let expected = "over the limit of 2 deeds per day for one developer";
        assert_eq!(parked.reason.as_deref(), Some(expected));
        let ada = Person::new("ada", None).unwrap();
        let approved = stage.queue.intervene(parked.id, Verb::Approve, &ada).await;
        assert_eq!(approved.unwrap(), Intervened::Done(parked.id));
        eventually("it is done", async || is(ActionState::Done).await).await;
        stop.cancel();
    };
    tokio::join!(
        play,
        Box::pin(worker.run(stop.clone())),
        Box::pin(reactor.run(stop.clone())),
    );
    assert_eq!(stage.status().await, "approved");
}
