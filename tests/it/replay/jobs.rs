//! Replay jobs with short waits: conflicts, retries, jobs that fail, and a wait that is stopped.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::StatusCode;
use konnect::ReplayStatus;
use konnect_emulator::Fault;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use usher::backfill::{Progress, ReplayError, ReplayTimings, Replays};
use usher::clock::Clock;
use usher::journal::LogSource;

use crate::replay::Konnect;

const JOB: &str = "/v3/portals/*/audit-log-replay-job";

fn fault(method: &str, status: u16, times: u64) -> Fault {
    Fault {
        method: Some(method.to_owned()),
        path: JOB.to_owned(),
        status: Some(status),
        times: Some(times),
        ..Fault::default()
    }
}

fn silent(_: &Progress) {}

#[tokio::test]
async fn a_running_job_of_another_is_waited_out() {
    let konnect = Konnect::with_missed(&[60]).await;
    let replays = konnect.replays();
    // A receiver that is busy keeps the first job running.
    konnect.receiver.answer(StatusCode::TOO_MANY_REQUESTS);
    let mut settings = konnect.emulator.delivery_settings();
    settings.retry_scale = 0.5;
    konnect.emulator.set_delivery_settings(&settings).unwrap();
    let first = replays.start(konnect.window(90, 30), &mut silent).await;
    assert_eq!(first.unwrap().status, ReplayStatus::Accepted);

    let mut told = Vec::new();
    let mut report = |progress: &Progress| {
        konnect.receiver.answer(StatusCode::OK);
        told.push(progress.clone());
    };
    let second = konnect.window(80, 10);
    let job = replays.start(second, &mut report).await.unwrap();
    assert_eq!(job.start_at, Some(second.start_at()));
    assert!(
        matches!(told.first(), Some(Progress::Busy(Some(_)))),
        "{told:?}"
    );
    assert_eq!(
        told.last(),
        Some(&Progress::Reached(ReplayStatus::Accepted))
    );
    assert_eq!(
        konnect.calls("PUT"),
        2,
        "a job in the way is not asked against"
    );
    let ended = replays.finish(job, &mut silent).await.unwrap();
    assert_eq!(ended.status, ReplayStatus::Completed);
    assert_eq!(
        konnect.receiver.lines().len(),
        2,
        "both jobs sent the entry"
    );
}

#[tokio::test]
async fn an_answer_without_a_time_is_an_answer() {
    let konnect = Konnect::with_missed(&[60]).await;
    let replays = konnect.replays();
    let job = replays.start(konnect.window(90, 30), &mut silent).await;
    let job = job.unwrap();
    assert!(job.updated_at.is_some());
    let body = json!({ "status": "completed", "start_at": job.start_at, "end_at": job.end_at });
    konnect.emulator.set_faults([Fault {
        body: Some(body),
        times: None,
        ..fault("GET", 200, 1)
    }]);
    let mut report = silent;
    let ended = replays.finish(job, &mut report);
    let ended = tokio::time::timeout(Duration::from_secs(20), ended).await;
    let ended = ended.unwrap().unwrap();
    assert_eq!(ended.status, ReplayStatus::Completed);
}

#[tokio::test]
async fn conflicts_and_trouble_are_tried_again() {
    let konnect = Konnect::with_missed(&[60]).await;
    let too_soon = Fault {
        headers: BTreeMap::from([("Retry-After".to_owned(), "1".to_owned())]),
        ..fault("PUT", 429, 1)
    };
    let faults = [fault("PUT", 409, 3), too_soon, fault("PUT", 500, 2)];
    konnect.emulator.set_faults(faults);
    let mut told = Vec::new();
    let mut report = |progress: &Progress| told.push(progress.clone());
    let window = konnect.window(90, 30);
    let job = konnect.replays().start(window, &mut report).await.unwrap();
    assert_eq!(job.status, ReplayStatus::Accepted);
    assert_eq!(konnect.calls("PUT"), 7);
    assert_eq!(
        told[0],
        Progress::Busy(None),
        "told once for three conflicts"
    );
    let waits: Vec<u128> = told
        .iter()
        .filter_map(|progress| match progress {
            Progress::Retrying { wait, .. } => Some(wait.as_millis()),
            _ => None,
        })
        .collect();
    assert_eq!(waits, [1_000, 10, 20], "{told:?}");
}

#[tokio::test]
async fn a_job_whose_acceptance_got_lost_is_not_asked_for_twice() {
    let konnect = Konnect::with_missed(&[60]).await;
    let lost = Fault {
        status: None,
        cut: true,
        after: true,
        ..fault("PUT", 0, 1)
    };
    konnect.emulator.set_faults([lost]);
    let replays = konnect.replays();
    let job = replays.start(konnect.window(90, 30), &mut silent).await;
    let ended = replays.finish(job.unwrap(), &mut silent).await.unwrap();
    assert_eq!(ended.status, ReplayStatus::Completed);
    assert_eq!(konnect.calls("PUT"), 1);
    assert_eq!(konnect.receiver.lines().len(), 1);
}

#[tokio::test]
async fn konnect_is_given_up_after_many_failures_or_one_clear_refusal() {
    let konnect = Konnect::with_missed(&[]).await;
    let window = konnect.window(90, 30);
    let cases = [
        (
            fault("PUT", 503, 99),
            4,
            "gave no useful answer in 4 attempts",
        ),
        (fault("PUT", 403, 99), 1, "may not start replay jobs"),
        (fault("PUT", 401, 99), 1, "does not accept the token"),
    ];
    for (fault, attempts, expected) in cases {
        konnect.emulator.clear_requests();
        konnect.emulator.set_faults([fault]);
        let ended = konnect.replays().start(window, &mut silent).await;
        let error = ended.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert_eq!(konnect.calls("PUT"), attempts, "{error}");
    }
}

#[tokio::test]
async fn a_job_that_fails_or_is_replaced_is_not_taken_for_done() {
    let konnect = Konnect::with_missed(&[60]).await;
    konnect.receiver.answer(StatusCode::BAD_REQUEST);
    let replays = konnect.replays();
    let job = replays
        .start(konnect.window(90, 30), &mut silent)
        .await
        .unwrap();
    let failed = replays.finish(job.clone(), &mut silent).await.unwrap_err();
    assert!(matches!(failed, ReplayError::Failed), "{failed}");

    konnect.receiver.answer(StatusCode::OK);
    let other = replays.start(konnect.window(20, 10), &mut silent).await;
    other.unwrap();
    let replaced = replays.finish(job, &mut silent).await;
    assert!(
        matches!(replaced, Err(ReplayError::Replaced)),
        "{replaced:?}"
    );
}

#[tokio::test]
async fn waiting_ends_when_asked_to() {
    let konnect = Konnect::with_missed(&[]).await;
    konnect.emulator.set_faults([fault("PUT", 409, 999)]);
    let stopping = CancellationToken::new();
    let replays = Replays::new(
        konnect.client(),
        LogSource::Portal(konnect.portal),
        Clock::system(),
        ReplayTimings::default(),
        stopping.clone(),
    );
    let mut report = |_: &Progress| stopping.cancel();
    let ended = replays.start(konnect.window(90, 30), &mut report).await;
    assert!(matches!(ended, Err(ReplayError::Stopped)), "{ended:?}");
}
