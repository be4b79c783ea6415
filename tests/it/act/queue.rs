//! The queue: what is enqueued once, what waits for the limit of its rule, and what lists show.

use std::time::Duration;

use sqlx::PgPool;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use usher::act::{ActionFilter, ActionPosition, ActionState, Enqueued, NewChain, Target};
use usher::journal::MIGRATOR;
use usher::rules::{Deed, Mode, OnLimit};
use uuid::Uuid;

use crate::support::stage::{APPROVED, Stage, all_are, chain, join_partners, quick};

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_limit_of_a_rule_delays_or_parks(pool: PgPool) {
    for (on_limit, expected) in [
        (OnLimit::Delay, ActionState::Planned),
        (OnLimit::Park, ActionState::Parked),
    ] {
        let stage = Stage::new(pool.clone()).await;
        let limited = NewChain {
            rule: format!("{on_limit:?}"),
            signal_key: format!("{on_limit:?}"),
            limit_per_hour: 1,
            on_limit,
            ..chain(vec![Deed::ApproveDeveloper, join_partners()])
        };
        let ids: Vec<Uuid> = stage
            .enqueue(&limited)
            .await
            .into_iter()
            .map(Enqueued::id)
            .collect();
        let worker = stage.worker(quick());
        let stop = CancellationToken::new();
        let watch = async {
            let deadline = Instant::now() + Duration::from_secs(10);
            loop {
                let (due, state) = sqlx::query_as::<_, (bool, String)>(
                    "SELECT reason IS NULL, state FROM actions WHERE id = $1",
                )
                .bind(ids[1])
                .fetch_one(stage.journal.pool())
                .await
                .unwrap();
                let settled = match on_limit {
                    OnLimit::Delay => !due,
                    OnLimit::Park => state == "parked",
                };
                if settled && state == expected.as_str() {
                    break;
                }
                assert!(Instant::now() < deadline, "still {state}, due {due}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            stop.cancel();
        };
        tokio::join!(worker.run(stop.clone()), watch);
        let writes = stage.writes().len();
        assert!(writes <= 1, "the second deed must wait");
        // What waits must not stand in the way of the next round.
        sqlx::raw_sql(
            "UPDATE actions SET state = 'cancelled' WHERE state IN ('planned', 'parked')",
        )
        .execute(stage.journal.pool())
        .await
        .unwrap();
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_same_decision_is_enqueued_once(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let wanted = chain(vec![Deed::ApproveDeveloper]);
    let first = stage.enqueue(&wanted).await[0];
    let later = NewChain {
        causes: vec![Uuid::from_u128(2)],
        ..wanted.clone()
    };
    assert_eq!(stage.enqueue(&later).await, [Enqueued::Known(first.id())]);
    let other_rule = NewChain {
        rule: "another".to_owned(),
        ..wanted.clone()
    };
    assert_eq!(
        stage.enqueue(&other_rule).await,
        [Enqueued::Known(first.id())]
    );
    let causes = stage.action("approve_developer").await.causes;
    assert_eq!(causes, [Uuid::from_u128(1), Uuid::from_u128(2)]);

    stage.work_until(quick(), all_are(ActionState::Done)).await;
    assert_eq!(stage.enqueue(&wanted).await, [Enqueued::Known(first.id())]);
    assert_eq!(stage.writes(), [APPROVED]);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_deeds_of_one_rule_take_their_turn_run_by_run(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let runs: Vec<NewChain> = (0..50_u128)
        .map(|number| {
            let mut run = chain(vec![Deed::ApproveDeveloper, join_partners()]);
            run.signal_key = number.to_string();
            for step in &mut run.steps {
                step.target = Target::Developer {
                    id: Uuid::from_u128(0xb000 + number),
                };
            }
            run
        })
        .collect();
    let mut tx = stage.journal.pool().begin().await.unwrap();
    let enqueued = stage.queue.enqueue(&mut tx, &runs).await.unwrap();
    tx.commit().await.unwrap();
    // As they were decided, so that nobody's second deed waits for everybody's first.
    let ids: Vec<Uuid> = enqueued.into_iter().map(Enqueued::id).collect();
    assert_eq!(ids.len(), 100);
    assert!(ids.is_sorted());
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_came_to_nothing_does_not_block_a_new_decision(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let shadow = NewChain {
        mode: Mode::Shadow,
        ..chain(vec![Deed::ApproveDeveloper])
    };
    let seen = stage.enqueue(&shadow).await[0];
    assert_eq!(stage.enqueue(&shadow).await, [Enqueued::Known(seen.id())]);
    let live = chain(vec![Deed::ApproveDeveloper]);
    for state in ["failed", "cancelled"] {
        let [Enqueued::New(id)] = stage.enqueue(&live).await[..] else {
            panic!("it is blocked")
        };
        sqlx::query("UPDATE actions SET state = $1 WHERE id = $2")
            .bind(state)
            .bind(id)
            .execute(stage.journal.pool())
            .await
            .unwrap();
    }
    assert!(matches!(stage.enqueue(&live).await[..], [Enqueued::New(_)]));
    assert!(stage.writes().is_empty());
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn lists_page_by_page_newest_first(pool: PgPool) {
    let stage = Stage::new(pool).await;
    for number in 0..5_u128 {
        let mut wanted = chain(vec![Deed::ApproveDeveloper]);
        wanted.steps[0].target = Target::Developer {
            id: Uuid::from_u128(number),
        };
        stage.enqueue(&wanted).await;
    }
    let filter = ActionFilter {
        state: Some(ActionState::Planned),
        ..ActionFilter::default()
    };
    let mut seen = Vec::new();
    let mut after: Option<ActionPosition> = None;
    loop {
        let page = stage.queue.list(&filter, after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.into());
        seen.extend(page.iter().map(|action| action.target.id().as_u128()));
    }
    assert_eq!(seen, [4, 3, 2, 1, 0]);
    let none = ActionFilter {
        rule: Some("another".to_owned()),
        ..ActionFilter::default()
    };
    assert!(stage.queue.list(&none, None, 10).await.unwrap().is_empty());
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_parking_deed_parks_and_lets_the_next_run(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let park = Deed::Park {
        reason: "freemail".to_owned(),
    };
    stage.enqueue(&chain(vec![park, join_partners()])).await;
    let states = stage
        .work_until(quick(), |states| states["add_to_team"] == ActionState::Done)
        .await;
    assert_eq!(states["park"], ActionState::Parked);
    assert_eq!(
        stage.action("park").await.reason.as_deref(),
        Some("freemail")
    );
}
