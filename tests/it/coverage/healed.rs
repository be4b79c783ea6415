//! Gaps that are found and closed, however it goes.

use std::time::Duration;

use chrono::TimeDelta;
use konnect::Client;
use konnect_emulator::{DeliveryFault, FailAt, ForeignJob, ReplayFault, Scope};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use url::Url;
use usher::backfill::{CoverageTimings, Keeper, KeeperParts, KonnectClock};
use usher::clock::{Clock, Ids};
use usher::http::health::Health;
use usher::journal::{GapReason, JobOrigin, JobState, Journal, ReplayJobRow};
use usher::lifecycle::Lifecycle;

use crate::coverage::{PORTAL, Stage, coverage, healed, jobs};
use crate::support::eventually;
use crate::support::process::Installation;

#[tokio::test]
async fn three_hours_down_are_found_replayed_and_closed() {
    let mut stage = Stage::new().await;
    stage.begin_account().await;
    let app = stage.start().await;
    stage.happens(30);
    healed(&app, &stage.config).await;
    stage.stop(app).await;
    for _ in 0..18 {
        stage.pass(600);
        stage.happens(5);
    }
    // Konnect gives deliveries up.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let app = stage.start().await;
    let url = app.database.url();
    assert!(!stage.not_stored_once(&url).await.is_empty());
    eventually("a gap is found", Duration::from_secs(20), async || {
        let known = coverage(&app, &stage.config).await;
        known.is_some_and(|known| {
            let mut reasons = known.stretches.iter().flat_map(|part| &part.reasons);
            reasons.any(|(reason, _)| *reason == GapReason::Down)
        })
    })
    .await;
    let known = healed(&app, &stage.config).await;
    assert!(known.now - known.status.since > TimeDelta::hours(3));
    let jobs = jobs(&app).await;
    let brought: i64 = jobs.iter().map(|job| job.new_entries).sum();
    assert!(brought >= 80, "{jobs:?}");
    assert_eq!(stage.not_stored_once(&url).await, Vec::<String>::new());
    app.finish().await;
}

/// What somebody reads in from a file meanwhile is no proof that Konnect sent it.
#[tokio::test]
async fn a_job_beside_an_import_closes_nothing() {
    let mut stage = Stage::new().await;
    stage.begin_account().await;
    let app = stage.start().await;
    stage.happens(5);
    healed(&app, &stage.config).await;
    stage.stop(app).await;
    stage.pass(600);
    stage.happens(5);
    tokio::time::sleep(Duration::from_secs(2)).await;
    stage
        .emulator
        .set_replay_faults([ReplayFault {
            times: Some(1),
            slow_ms: 4_000,
            ..ReplayFault::default()
        }])
        .unwrap();
    let app = stage.start().await;
    let is = async |state| jobs(&app).await.iter().any(|job| job.state == state);
    eventually("a job runs", Duration::from_secs(20), async || {
        is(JobState::Asked).await
    })
    .await;
    let installation = Installation::new(&json!({
        "database": { "url": app.database.url() },
        "konnect": { "base_url": stage.emulator.url() },
    }));
    let entry = json!({
        "name": "x", "portal_id": PORTAL, "event_ts": stage.emulator.now(), "trace_id": "imported",
    });
    let file = installation.write("events.jsonl", &entry.to_string());
    let imported = installation.run(&["import", file.to_str().unwrap()]).await;
    assert_eq!(imported.code, Some(0), "{imported:?}");
    eventually("it closes nothing", Duration::from_secs(30), async || {
        is(JobState::Incomplete).await
    })
    .await;
    let jobs = jobs(&app).await;
    let ended = jobs.iter().find(|job| job.state == JobState::Incomplete);
    assert!(
        ended.is_some_and(|job| job.detail.contains("imported")),
        "{jobs:?}"
    );
    app.finish().await;
}

/// The job fails twice, another's is in the way, usher starts again in the middle, on a machine
/// whose clock is ten minutes off, and the gap is nearly a week old. Before it, entries came a
/// minute late and in another order.
#[tokio::test]
async fn a_gap_of_six_days_is_closed_whatever_goes_wrong() {
    let mut stage = Stage::new().await;
    stage.begin_account().await;
    let slow = Clock::from_fn(|| Clock::system().now() - TimeDelta::minutes(10));
    let app = stage.start().await;
    let late = DeliveryFault {
        times: Some(1),
        delay_ms: 60_000,
        shuffle: true,
        ..DeliveryFault::default()
    };
    stage.emulator.set_delivery_faults([late]).unwrap();
    stage.happens(5);
    eventually("its delay has begun", Duration::from_secs(5), async || {
        let faults = stage.emulator.delivery_faults();
        faults.iter().all(|fault| fault.times == Some(0))
    })
    .await;
    stage.pass(61);
    stage.happens(10);
    let url = app.database.url();
    eventually(
        "what is late is stored",
        Duration::from_secs(20),
        async || stage.not_stored_once(&url).await.is_empty(),
    )
    .await;
    healed(&app, &stage.config).await;
    stage.stop(app).await;
    stage.pass(600);
    stage.happens(40);
    stage.pass(6 * 24 * 3_600 + 23 * 3_600 - 600);
    tokio::time::sleep(Duration::from_secs(2)).await;
    stage
        .emulator
        .set_replay_faults([ReplayFault {
            times: Some(2),
            fail: Some(FailAt::Half),
            ..ReplayFault::default()
        }])
        .unwrap();
    stage
        .emulator
        .start_foreign_job(&ForeignJob::new(Scope::Portal(PORTAL), 3_000))
        .unwrap();
    let app = stage.start_by(slow.clone()).await;
    eventually("a job has failed", Duration::from_mins(1), async || {
        jobs(&app)
            .await
            .iter()
            .any(|job| job.state == JobState::Failed)
    })
    .await;
    stage.stop(app).await;
    let app = stage.start_by(slow).await;
    healed(&app, &stage.config).await;
    assert_eq!(
        stage.not_stored_once(&app.database.url()).await,
        Vec::<String>::new()
    );
    let jobs = jobs(&app).await;
    let failed = jobs
        .iter()
        .filter(|job| job.state == JobState::Failed)
        .count();
    assert!(failed >= 2, "{jobs:?}");
    app.finish().await;
}

/// One portal was deleted while its job was under way, and an instance that lost the lease left a
/// job whose answer never came.
#[tokio::test]
async fn a_portal_that_is_gone_holds_no_other_up() {
    const GONE: &str = "00000000-0000-0000-0000-0000000000b0";
    let mut stage = Stage::new().await;
    stage.config.konnect.portals.push(GONE.parse().unwrap());
    stage.begin_account().await;
    let app = stage.start().await;
    stage.happens(10);
    healed(&app, &stage.config).await;
    stage.stop(app).await;
    for state in ["asked", "settling"] {
        stage
            .sql(&format!(
                "WITH konnect AS (SELECT clock_timestamp() + ($1 || ' seconds')::interval AS now)
                INSERT INTO replay_jobs
                    (id, source, starts_at, ends_at, origin, who, state, created_at, asked_at,
                     completed_at)
                SELECT gen_random_uuid(), '{GONE}', now - interval '2 hours', now - interval '1 hour',
                    'gap', '', '{state}', now, now, now
                FROM konnect"
            ))
            .await;
    }
    stage
        .sql(&format!(
            "INSERT INTO coverage_sources (source, since, state, detail, good_to, polled_at)
            SELECT '{GONE}', now - interval '3 hours', 'active', '', now, now
            FROM (SELECT clock_timestamp() + ($1 || ' seconds')::interval AS now) AS konnect"
        ))
        .await;
    stage.pass(600);
    stage.happens(20);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let app = stage.start().await;
    eventually(
        "the other log is whole",
        Duration::from_secs(40),
        async || stage.not_stored_once(&app.database.url()).await.is_empty(),
    )
    .await;
    eventually("its jobs are over", Duration::from_secs(20), async || {
        let mut jobs = jobs(&app).await;
        jobs.retain(|job| job.source.to_string() == GONE);
        jobs.len() == 2 && jobs.iter().all(|job| job.state.is_over())
    })
    .await;
    app.finish().await;
}

/// It ends before it may give a sign of life: another one could have.
#[tokio::test]
async fn what_an_instance_refused_in_its_first_seconds_is_written_down() {
    let mut stage = Stage::new().await;
    stage.config.backfill.heartbeat_every = Duration::from_mins(1);
    let app = stage.start().await;
    eventually(
        "it knows Konnect's clock",
        Duration::from_secs(10),
        async || coverage(&app, &stage.config).await.is_some(),
    )
    .await;
    let garbled = DeliveryFault {
        times: Some(1),
        garble: true,
        ..DeliveryFault::default()
    };
    stage.emulator.set_delivery_faults([garbled]).unwrap();
    stage.happens(3);
    eventually("Konnect gives up", Duration::from_secs(10), async || {
        let made = stage.emulator.entries(Some(Scope::Portal(PORTAL)));
        made.iter().any(|entry| entry.attempts == 5)
    })
    .await;
    stage.stop(app).await;
    let pool = stage.pool().await;
    let refused = "SELECT times, detail FROM coverage_gaps WHERE reason = 'refused'";
    let refused: Vec<(i32, String)> = sqlx::query_as(refused).fetch_all(&pool).await.unwrap();
    pool.close().await;
    let expected = (5, "deliveries were answered 500".to_owned());
    assert_eq!(refused, [expected]);
    stage.database.take().unwrap().drop().await;
}

/// A batch that Konnect lost before it tried to deliver leaves no trace in any status. With the
/// audit, it is had all the same.
#[tokio::test]
async fn a_batch_lost_between_two_polls_is_found_by_the_audit() {
    let mut stage = Stage::new().await;
    // This one has no token, so that the keeper below is the only one.
    let token = stage.config.konnect.token.take();
    let app = stage.start().await;
    let journal = Journal::open(&app.database.url()).unwrap();
    eventually(
        "it gives a sign of life",
        Duration::from_secs(10),
        async || journal.readiness().await.unwrap().ready_to.is_some(),
    )
    .await;
    stage.begin_account().await;
    let client = Client::builder(Url::parse(&stage.emulator.url()).unwrap())
        .token(token.unwrap().expose().to_owned().into())
        .build()
        .unwrap();
    let clock = Clock::system();
    let parts = KeeperParts {
        journal: journal.clone(),
        client: client.clone(),
        konnect: KonnectClock::new(Some(client), clock.clone()),
        config: stage.config.konnect.clone(),
        ingest_path: stage.config.ingest.path.clone(),
        health: Health::default(),
        ids: Ids::new(clock),
    };
    let timings = CoverageTimings {
        audit_after: Some(Duration::from_secs(6)),
        ..CoverageTimings::of(&stage.config.backfill)
    };
    let end = CancellationToken::new();
    let keeper = Keeper::new(parts, &stage.config.backfill).with_timings(timings);
    let keeping = Lifecycle::new().spawn("keeper", keeper.run(end.clone()));
    stage.happens(5);
    let url = app.database.url();
    eventually("the first come", Duration::from_secs(5), async || {
        stage.not_stored_once(&url).await.is_empty()
    })
    .await;
    let lost = DeliveryFault {
        times: Some(1),
        lose: true,
        ..DeliveryFault::default()
    };
    stage.emulator.set_delivery_faults([lost]).unwrap();
    stage.happens(3);
    eventually("a batch is lost", Duration::from_secs(5), async || {
        let made = stage.emulator.entries(Some(Scope::Portal(PORTAL)));
        made.iter().any(|entry| entry.lost > 0)
    })
    .await;
    stage.happens(5);
    assert!(!stage.not_stored_once(&url).await.is_empty());
    eventually("the audit brings it", Duration::from_mins(1), async || {
        stage.not_stored_once(&url).await.is_empty()
    })
    .await;
    eventually("it is told", Duration::from_mins(1), async || {
        let proofs = jobs(&app).await;
        proofs.iter().any(|job| job.new_entries > 0)
    })
    .await;
    assert_eq!(stage.not_stored_once(&url).await, Vec::<String>::new());
    let proofs: Vec<ReplayJobRow> = jobs(&app).await;
    assert!(
        proofs.iter().all(|job| job.origin == JobOrigin::Audit),
        "{proofs:?}"
    );
    end.cancel();
    keeping.await.unwrap();
    journal.close().await;
    app.finish().await;
}
