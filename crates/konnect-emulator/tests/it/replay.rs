//! Replay jobs: what may be asked for, how they go, and that what they send is what was sent
//! before.

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::support::{Konnect, Receiver, wait_until};

/// The emulator's present, so that no test reads a clock of its own.
async fn now(konnect: &Konnect) -> DateTime<Utc> {
    let clock = konnect
        .expect(200, "POST", "/emulator/clock", json!({"offset_seconds": 0}))
        .await;
    DateTime::parse_from_rfc3339(clock["now"].as_str().unwrap())
        .unwrap()
        .to_utc()
}

fn window(from: DateTime<Utc>, to: DateTime<Utc>) -> Value {
    let print = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
    json!({"start_at": print(from), "end_at": print(to)})
}

async fn inject(konnect: &Konnect, portal: &str, at: DateTime<Utc>, principal: &str) {
    let entry = json!({"rt": at.timestamp_millis().to_string(), "principal_id": principal});
    let body = json!({"portal_id": portal, "entries": [entry]});
    konnect.expect(200, "POST", "/emulator/entries", body).await;
}

#[tokio::test]
async fn sends_the_windows_entries_again_as_they_were() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let receiver = Receiver::start().await;
    let job = format!("/v3/portals/{portal}/audit-log-replay-job");
    assert_eq!(
        konnect.expect(200, "GET", &job, Value::Null).await["status"],
        "unconfigured"
    );
    let now = now(&konnect).await;
    inject(&konnect, &portal, now - TimeDelta::hours(3), "before").await;
    inject(&konnect, &portal, now - TimeDelta::hours(2), "missed").await;
    konnect
        .subscribe(
            &format!("/v3/portals/{portal}/audit-log-webhook"),
            &receiver,
            "json",
        )
        .await;
    inject(&konnect, &portal, now - TimeDelta::hours(1), "live").await;
    let first = receiver.wait_for_lines(1).await;
    assert!(first[0].contains("\"live\""));

    let asked = window(now - TimeDelta::minutes(150), now);
    let accepted = konnect.expect(202, "PUT", &job, asked.clone()).await;
    assert_eq!(
        (&accepted["status"], &accepted["start_at"]),
        (&json!("accepted"), &asked["start_at"])
    );
    wait_until("the job is done", async || {
        konnect.expect(200, "GET", &job, Value::Null).await["status"] == "completed"
    })
    .await;
    let lines = receiver.lines();
    assert_eq!(lines.len(), 3);
    assert!(lines[1].contains("\"missed\""));
    assert_eq!(
        lines[2], first[0],
        "a replayed entry is the same, byte for byte"
    );
    assert!(konnect.emulator.deliveries().last().unwrap().replay);
}

#[tokio::test]
async fn one_job_runs_at_a_time_and_a_failing_receiver_fails_it() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let receiver = Receiver::start().await;
    let now = now(&konnect).await;
    inject(&konnect, &portal, now - TimeDelta::hours(1), "x").await;
    konnect
        .subscribe(
            &format!("/v3/portals/{portal}/audit-log-webhook"),
            &receiver,
            "json",
        )
        .await;
    // Retries at Konnect's own pace keep the job running while it is asked again.
    konnect
        .expect(
            200,
            "PUT",
            "/emulator/delivery",
            json!({"retry_scale": 1.0}),
        )
        .await;
    receiver.answer_next([(429, "1"), (400, "")]);
    let job = format!("/v3/portals/{portal}/audit-log-replay-job");
    let asked = window(now - TimeDelta::hours(2), now);
    konnect.expect(202, "PUT", &job, asked.clone()).await;
    let status = async || konnect.expect(200, "GET", &job, Value::Null).await["status"].clone();
    wait_until("the job runs", async || status().await == "running").await;
    let conflict = konnect.expect(409, "PUT", &job, asked).await;
    assert_eq!(
        (&conflict["title"], &conflict["detail"]),
        (
            &json!("Resource Conflict"),
            &json!("A replay job is currently running")
        )
    );
    wait_until("the job has failed", async || status().await == "failed").await;
}

#[tokio::test]
async fn refuses_windows_that_konnect_cannot_serve() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let job = format!("/v3/portals/{portal}/audit-log-replay-job");
    let now = now(&konnect).await;
    let cases = [
        (window(now - TimeDelta::days(8), now), "start_at"),
        (
            window(now - TimeDelta::hours(1), now - TimeDelta::hours(2)),
            "end_at",
        ),
        (window(now, now + TimeDelta::hours(1)), "end_at"),
        (
            json!({"start_at": "yesterday", "end_at": "today"}),
            "start_at",
        ),
        (json!({}), "start_at"),
        (
            window(now - TimeDelta::hours(1), now),
            "audit_log_destination_id",
        ),
    ];
    for (body, field) in cases {
        let problem = konnect.expect(400, "PUT", &job, body).await;
        assert_eq!(problem["invalid_parameters"][0]["field"], field);
    }
}

#[tokio::test]
async fn what_is_older_than_seven_days_is_gone() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let receiver = Receiver::start().await;
    let start = now(&konnect).await;
    inject(&konnect, &portal, start, "old").await;
    konnect
        .subscribe(
            &format!("/v3/portals/{portal}/audit-log-webhook"),
            &receiver,
            "json",
        )
        .await;
    let eight_days = 8 * 24 * 3600;
    konnect
        .expect(
            200,
            "POST",
            "/emulator/clock",
            json!({"offset_seconds": eight_days}),
        )
        .await;
    let later = start + TimeDelta::seconds(eight_days);
    let job = format!("/v3/portals/{portal}/audit-log-replay-job");
    konnect
        .expect(202, "PUT", &job, window(later - TimeDelta::days(6), later))
        .await;
    wait_until("the job is done", async || {
        konnect.expect(200, "GET", &job, Value::Null).await["status"] == "completed"
    })
    .await;
    assert_eq!(receiver.lines(), Vec::<String>::new());
}
