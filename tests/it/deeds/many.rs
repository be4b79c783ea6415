//! Five hundred deeds at once, several workers, and a deed that takes long.

use std::collections::BTreeMap;
use std::time::Duration;

use konnect_emulator::Fault;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use usher::act::{ActionState, Backoff, Target, Timings};
use usher::journal::MIGRATOR;
use usher::rules::Deed;
use uuid::Uuid;

use super::{count, eventually};
use crate::support::stage::{Stage, all_are, chain, developer, fault, quick};

const MANY: u128 = 500;

/// Five hundred people who wait, and a decision to let each of them in.
async fn many_wait(stage: &Stage) {
    let ids = (0..MANY).map(|n| Uuid::from_u128(0xb000 + n));
    let people: Vec<Value> = ids
        .clone()
        .map(|id| developer(id, &format!("{id}@arsenal.com"), "pending"))
        .collect();
    stage
        .emulator
        .seed(&json!({ "developers": people }))
        .unwrap();
    for id in ids {
        let mut wanted = chain(vec![Deed::ApproveDeveloper]);
        wanted.signal_key = id.to_string();
        wanted.steps[0].target = Target::Developer { id };
        stage.enqueue(&wanted).await;
    }
}

/// How often each developer was written with success.
fn approvals(stage: &Stage) -> BTreeMap<String, usize> {
    let mut approvals = BTreeMap::new();
    for request in stage.emulator.requests() {
        if request.method == "PATCH" && request.status == 200 {
            *approvals.entry(request.path).or_default() += 1;
        }
    }
    approvals
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_token_revoked_in_the_middle_of_five_hundred_deeds_burns_none(pool: PgPool) {
    let stage = Stage::new(pool).await;
    many_wait(&stage).await;
    // One failure would be the end of an action here.
    let strict = Timings {
        backoff: Backoff {
            attempts: 1,
            ..quick().backoff
        },
        ..quick()
    };
    let worker = stage.worker(strict);
    let mut paused = worker.paused();
    let stop = CancellationToken::new();
    let watch = async {
        eventually("some are let in", async || approvals(&stage).len() >= 50).await;
        stage.emulator.set_faults([Fault {
            status: Some(401),
            ..Fault::default()
        }]);
        paused.wait_for(|paused| *paused).await.unwrap();
        let probes = || {
            let requests = stage.emulator.requests();
            let probe = |path: &str| path == "/v3/portals";
            requests.iter().filter(|one| probe(&one.path)).count()
        };
        eventually("the token is tried again", async || probes() >= 3).await;
        let done = count(&stage, "state = 'done'").await;
        assert!((50..500).contains(&done), "{done}");
        assert_eq!(count(&stage, "state = 'failed'").await, 0);
        assert_eq!(count(&stage, "state <> 'done' AND attempts > 0").await, 0);
        stage.emulator.set_faults([]);
        eventually("all are let in", async || {
            count(&stage, "state = 'done'").await == 500
        })
        .await;
        stop.cancel();
    };
    tokio::join!(worker.run(stop.clone()), watch);
    assert_eq!(count(&stage, "attempts = 1").await, 500);
    let approvals = approvals(&stage);
    assert_eq!(approvals.len(), 500);
    assert!(approvals.values().all(|times| *times == 1));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn two_instances_share_five_hundred_deeds_and_do_each_once(pool: PgPool) {
    let stage = Stage::new(pool).await;
    many_wait(&stage).await;
    let (one, two) = (stage.worker(quick()), stage.worker(quick()));
    let stop = CancellationToken::new();
    let watch = async {
        eventually("all are let in", async || {
            count(&stage, "state = 'done'").await == 500
        })
        .await;
        stop.cancel();
    };
    tokio::join!(one.run(stop.clone()), two.run(stop.clone()), watch);
    let approvals = approvals(&stage);
    assert_eq!(approvals.len(), 500);
    assert!(approvals.values().all(|times| *times == 1));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_slow_deed_keeps_its_lease_and_is_done_by_one_worker(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let short = Timings {
        attempt: Duration::from_secs(30),
        lease: Duration::from_millis(1500),
        ..quick()
    };
    // Longer than the lease, and the effect comes late: a second worker would still see `pending`.
    stage.emulator.set_faults([Fault {
        latency_ms: 4_000,
        ..fault("PATCH", "")
    }]);
    stage.enqueue(&chain(vec![Deed::ApproveDeveloper])).await;
    let (one, two) = (stage.worker(short), stage.worker(short));
    let stop = CancellationToken::new();
    let watch = async {
        stage.until(all_are(ActionState::Done)).await;
        stop.cancel();
    };
    tokio::join!(one.run(stop.clone()), two.run(stop.clone()), watch);
    assert_eq!(stage.writes().len(), 1);
}
