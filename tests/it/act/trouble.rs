//! What answers go wrong, and workers that crash or meet: nothing is written twice, and nothing is
//! burnt.

use std::collections::BTreeMap;
use std::time::Duration;

use konnect_emulator::Fault;
use serde_json::json;
use sqlx::PgPool;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use usher::act::{ActionState, Backoff, NewChain, Timings};
use usher::journal::MIGRATOR;
use usher::rules::Deed;

use crate::support::eventually;
use crate::support::stage::{
    APPROVED, KEVIN, PORTAL, Stage, all_are, chain, fault, join_partners, quick,
};

#[sqlx::test(migrator = "MIGRATOR")]
async fn honours_retry_after(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let headers = BTreeMap::from([("Retry-After".to_owned(), "2".to_owned())]);
    stage.emulator.set_faults([Fault {
        status: Some(429),
        headers,
        times: Some(1),
        ..fault("PATCH", "/v3/portals")
    }]);
    stage.enqueue(&chain(vec![Deed::ApproveDeveloper])).await;
    let begin = Instant::now();
    stage.work_until(quick(), all_are(ActionState::Done)).await;
    assert!(
        begin.elapsed() >= Duration::from_secs(2),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(stage.writes().len(), 2);
    assert_eq!(stage.action("approve_developer").await.attempts, 2);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn trouble_that_clears_costs_attempts_only(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let once = |fault: Fault| Fault {
        times: Some(1),
        ..fault
    };
    let page = json!("<html>sorry</html>");
    stage.emulator.set_faults([
        once(Fault {
            status: Some(404),
            ..fault("GET", "/v3/portals/*/developers/*")
        }),
        once(Fault {
            status: Some(500),
            ..fault("GET", "/v3/portals/*/developers/*")
        }),
        once(Fault {
            status: Some(404),
            ..fault("PATCH", "")
        }),
        once(Fault {
            status: Some(503),
            ..fault("PATCH", "")
        }),
        once(Fault {
            cut: true,
            ..fault("PATCH", "")
        }),
        once(Fault {
            status: Some(200),
            body: Some(page),
            after: true,
            ..fault("PATCH", "")
        }),
    ]);
    stage.enqueue(&chain(vec![Deed::ApproveDeveloper])).await;
    stage.work_until(quick(), all_are(ActionState::Done)).await;
    let action = stage.action("approve_developer").await;
    assert_eq!(action.attempts, 7);
    // The last write took effect although its answer could not be read.
    assert_eq!(
        action.reason.as_deref(),
        Some("approved already by an earlier attempt")
    );
    let outcomes: Vec<String> = sqlx::query_scalar("SELECT outcome FROM attempts ORDER BY number")
        .fetch_all(stage.journal.pool())
        .await
        .unwrap();
    let expected = [
        "gone",
        "server_error",
        "not_found_yet",
        "server_error",
        "connection",
        "unreadable_answer",
        "ok",
    ];
    assert_eq!(outcomes, expected);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn who_is_gone_fails_the_action_with_that_reason(pool: PgPool) {
    let stage = Stage::new(pool).await;
    stage
        .client
        .portal(PORTAL.into())
        .developers()
        .delete(KEVIN.into())
        .await
        .unwrap();
    stage.enqueue(&chain(vec![Deed::ApproveDeveloper])).await;
    stage
        .work_until(quick(), all_are(ActionState::Failed))
        .await;
    let action = stage.action("approve_developer").await;
    assert_eq!(
        (action.attempts, action.reason.as_deref()),
        (8, Some("the developer is gone"))
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_refused_request_fails_at_once_with_the_problems_reason(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let problem = json!({ "status": 400, "title": "Bad Request", "detail": "no such status" });
    stage.emulator.set_faults([Fault {
        status: Some(400),
        body: Some(problem),
        ..fault("PATCH", "")
    }]);
    stage
        .enqueue(&chain(vec![Deed::ApproveDeveloper, join_partners()]))
        .await;
    let states = stage
        .work_until(quick(), |states| {
            states["add_to_team"] == ActionState::Cancelled
        })
        .await;
    assert_eq!(states["approve_developer"], ActionState::Failed);
    let action = stage.action("approve_developer").await;
    assert_eq!(action.attempts, 1);
    assert!(action.reason.unwrap().contains("no such status"));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_refused_token_pauses_everything_and_burns_nothing(pool: PgPool) {
    let stage = Stage::new(pool).await;
    stage.emulator.set_faults([Fault {
        status: Some(401),
        ..Fault::default()
    }]);
    stage
        .enqueue(&chain(vec![Deed::ApproveDeveloper, join_partners()]))
        .await;
    let worker = stage.worker(quick());
    let mut paused = worker.paused();
    let stop = CancellationToken::new();
    let watch = async {
        paused.wait_for(|paused| *paused).await.unwrap();
        // The probes go on, and nothing else is asked.
        let deadline = Instant::now() + Duration::from_secs(10);
        let probes = || {
            let requests = stage.emulator.requests();
            requests
                .iter()
                .filter(|request| request.path == "/v3/portals")
                .count()
        };
        while probes() < 3 {
            assert!(Instant::now() < deadline, "no probe");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(*paused.borrow());
        for action in stage.actions().await {
            assert_eq!((action.state, action.attempts), (ActionState::Planned, 0));
        }
        stage.emulator.set_faults([]);
        stage.until(all_are(ActionState::Done)).await;
        assert!(!*paused.borrow());
        stop.cancel();
    };
    tokio::join!(worker.run(stop.clone()), watch);
    for action in stage.actions().await {
        assert_eq!(action.attempts, 1);
    }
    assert_eq!(stage.status().await, "approved");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_crash_between_write_and_record_repeats_no_write(pool: PgPool) {
    let stage = Stage::new(pool).await;
    stage.enqueue(&chain(vec![Deed::ApproveDeveloper])).await;
    let timings = Timings {
        lease: Duration::from_secs(1),
        ..quick()
    };

    // The record cannot be written while another transaction holds the table of attempts.
    let mut tx = stage.journal.pool().begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE attempts IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *tx)
        .await
        .unwrap();
    let worker = stage.worker(timings);
    let written = async {
        let deadline = Instant::now() + Duration::from_secs(10);
        while stage.writes().is_empty() {
            assert!(Instant::now() < deadline, "no write");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = worker.run(CancellationToken::new()) => panic!("the worker ended"),
        () = written => {}
    }
    // Both branches are dropped here: the worker died with the write sent and nothing on record.
    drop(worker);
    tx.rollback().await.unwrap();
    assert_eq!(stage.status().await, "approved");
    assert_eq!(
        stage.action("approve_developer").await.state,
        ActionState::Running
    );

    stage.work_until(timings, all_are(ActionState::Done)).await;
    assert_eq!(stage.writes(), [APPROVED]);
    let reason = stage.action("approve_developer").await.reason;
    assert_eq!(
        reason.as_deref(),
        Some("approved already by an earlier attempt")
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn two_workers_write_once(pool: PgPool) {
    let stage = Stage::new(pool).await;
    stage
        .enqueue(&chain(vec![Deed::ApproveDeveloper, join_partners()]))
        .await;
    let (one, two) = (stage.worker(quick()), stage.worker(quick()));
    let stop = CancellationToken::new();
    let watch = async {
        stage.until(all_are(ActionState::Done)).await;
        stop.cancel();
    };
    tokio::join!(one.run(stop.clone()), two.run(stop.clone()), watch);
    assert_eq!(stage.writes().len(), 2);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_long_outage_costs_no_deed_that_is_done_once(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let developers = stage.client.portal(PORTAL.into()).developers();
    let approved = "approved".into();
    let approving = developers.set_status(KEVIN.into(), &approved);
    approving.await.unwrap();
    let away = Fault {
        status: Some(503),
        ..Fault::default()
    };
    stage.emulator.set_faults([away]);
    let joining = NewChain {
        signal_key: "joining".to_owned(),
        ..chain(vec![join_partners()])
    };
    stage.enqueue(&joining).await;
    stage.enqueue(&chain(vec![Deed::RevokeDeveloper])).await;
    let worker = stage.worker(quick());
    let stop = CancellationToken::new();
    let watch = async {
        let tried = async || {
            let mut actions = stage.actions().await.into_iter();
            actions.all(|action| action.attempts > quick().backoff.attempts + 2)
        };
        eventually("all are tried for long", Duration::from_secs(40), tried).await;
        stage.emulator.set_faults([]);
        stage.until(all_are(ActionState::Done)).await;
        stop.cancel();
    };
    tokio::join!(worker.run(stop.clone()), watch);
    assert_eq!(stage.status().await, "revoked");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_gives_access_fails_in_the_end_and_what_takes_it_never_does(pool: PgPool) {
    let stage = Stage::new(pool).await;
    stage.emulator.set_faults([Fault {
        status: Some(503),
        ..Fault::default()
    }]);
    stage.enqueue(&chain(vec![Deed::ApproveDeveloper])).await;
    let leaving = NewChain {
        signal_key: "leaving".to_owned(),
        ..chain(vec![Deed::RevokeDeveloper])
    };
    stage.enqueue(&leaving).await;
    let timings = Timings {
        backoff: Backoff {
            patience: Duration::from_millis(300),
            ..quick().backoff
        },
        ..quick()
    };
    stage
        .work_until(timings, |states| {
            states["approve_developer"] == ActionState::Failed
        })
        .await;
    // What was in hand has been given back.
    assert_eq!(
        stage.states().await["revoke_developer"],
        ActionState::Planned
    );
    let waited: f64 = sqlx::query_scalar(
        "SELECT EXTRACT(EPOCH FROM trouble)::float8 FROM actions WHERE deed = 'approve_developer'",
    )
    .fetch_one(stage.journal.pool())
    .await
    .unwrap();
    assert!(waited > 0.0 && waited < 0.3, "{waited}");
}
