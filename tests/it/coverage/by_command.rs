//! `usher replay` beside an usher that runs: its window is queued there, and no job takes the place
//! of another. Alone it asks Konnect itself.

use std::time::Duration;

use serde_json::{Value, json};
use usher::backfill::Coverage;
use usher::journal::{JobOrigin, JobState, Journal};

use crate::coverage::{PORTAL, Stage, jobs};
use crate::support::eventually;
use crate::support::process::{Installation, Ran};

fn shown(ran: &Ran, status: &str, said: &str) -> Value {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains(said), "{ran:?}");
    let shown: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(shown["portal_id"], json!(PORTAL), "{shown}");
    assert_eq!(shown["status"], json!(status), "{shown}");
    assert!(shown["start_at"].is_string() && shown["end_at"].is_string());
    shown["job_id"].clone()
}

#[tokio::test]
async fn two_replays_within_seconds_are_done_one_after_the_other() {
    let mut stage = Stage::new().await;
    stage.config.backfill.auto = false;
    let app = stage.start().await;
    stage.happens(5);
    let journal = Journal::open(&app.database.url()).unwrap();
    let coverage = Coverage::new(journal.clone(), &stage.config.backfill);
    eventually(
        "it keeps the account of the log",
        Duration::from_secs(20),
        async || {
            let is_known = crate::coverage::coverage(&app, &stage.config)
                .await
                .is_some();
            is_known && coverage.is_kept().await.unwrap()
        },
    )
    .await;
    journal.close().await;
    let settings = |token: &str| {
        json!({
            "database": { "url": app.database.url() },
            "konnect": {
                "base_url": stage.emulator.url(), "token": token, "portals": [PORTAL],
            },
        })
    };
    let right = settings(stage.emulator.token());
    let installation = Installation::new(&right);
    let first = ["replay", "--from", "2h", "--to", "1h", "--json"];
    let first = installation.run(&first).await;
    let second = ["replay", "--from", "1h", "--to", "0s", "--wait", "--json"];
    let second = installation.run(&second).await;
    let asked = "the usher that runs asks Konnect for it";
    let ids = [
        shown(&second, "completed", asked),
        shown(&first, "accepted", asked),
    ];
    eventually(
        "both close their time",
        Duration::from_secs(20),
        async || {
            let jobs = jobs(&app).await;
            jobs.iter().all(|job| job.state.is_over())
        },
    )
    .await;
    let done = jobs(&app).await;
    let is_well = |job: &_| {
        let job: &usher::journal::ReplayJobRow = job;
        job.state == JobState::Closed && job.origin == JobOrigin::Person && !job.who.is_empty()
    };
    assert!(done.iter().all(is_well), "{done:?}");
    let stored: Vec<Value> = done.iter().map(|job| json!(job.id)).collect();
    assert_eq!(stored, ids, "the latest first");

    installation.configure(&settings("kpat_wrong"));
    let third = ["replay", "--from", "1h", "--to", "0s"];
    let refused = installation.run(&third).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.err.contains("does not accept the token"),
        "{refused:?}"
    );
    assert_eq!(jobs(&app).await.len(), 2, "nothing waits for a token");

    stage.stop(app).await;
    installation.configure(&right);
    let alone = ["replay", "--from", "1h", "--to", "0s", "--json"];
    let alone = installation.run(&alone).await;
    let id = shown(&alone, "accepted", "no instance of usher runs");
    assert!(id.is_string() && !ids.contains(&id), "it is on record");
    stage.database.take().unwrap().drop().await;
}
