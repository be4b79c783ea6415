//! `usher replay`: windows, wrong usage, what it prints and its exit codes.

use axum::http::StatusCode;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::replay::{Konnect, usher};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn missed_entries_come_in_again() {
    let konnect = Konnect::with_missed(&[400, 120, 60]).await;
    let portal = konnect.portal.to_string();
    let arguments = [
        "--portal", &portal, "--from", "3h", "--to", "0s", "--wait", "--json",
    ];
    let ended = konnect.usher(&arguments).await;
    assert!(ended.status.success(), "{}", text(&ended.stderr));

    let shown: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(shown["portal_id"], json!(portal));
    assert_eq!(shown["status"], json!("completed"));
    let time = |name: &str| {
        shown[name]
            .as_str()
            .unwrap()
            .parse::<DateTime<Utc>>()
            .unwrap()
    };
    assert_eq!(time("end_at") - time("start_at"), TimeDelta::hours(3));

    let lines = konnect.receiver.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].contains("missed-120") && lines[1].contains("missed-60"));
    let progress = text(&ended.stderr);
    assert!(
        progress.ends_with("the replay job is completed\n"),
        "{progress}"
    );
}

#[tokio::test]
async fn the_log_of_the_organisation_comes_in_again() {
    let konnect = Konnect::with_missed(&[60]).await;
    konnect.bind_organisation();
    let arguments = ["--org", "--from", "3h", "--to", "0s", "--wait"];
    let ended = konnect.usher(&[&arguments[..], &["--json"]].concat()).await;
    assert!(ended.status.success(), "{}", text(&ended.stderr));
    let shown: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(shown["portal_id"], Value::Null);
    assert_eq!(shown["job_id"], Value::Null, "there is no database");
    assert_eq!(shown["status"], json!("completed"));
    // What usher itself asked of Konnect is in the organisation's log, too.
    let mut lines = konnect.receiver.lines();
    lines.retain(|line| line.contains("missed-"));
    assert!(
        lines.len() == 1 && lines[0].contains("missed-org"),
        "{lines:?}"
    );

    let portal = konnect.portal.to_string();
    let both = [&arguments[..], &["--portal", &portal]].concat();
    assert_eq!(konnect.usher(&both).await.status.code(), Some(2));
}

#[tokio::test]
async fn without_wait_it_ends_when_konnect_has_accepted() {
    let konnect = Konnect::with_missed(&[]).await;
    let portal = konnect.portal.to_string();
    let from = (konnect.now - TimeDelta::hours(2)).to_rfc3339_opts(SecondsFormat::Millis, true);
    let ended = konnect
        .usher(&["--portal", &portal, "--from", &from, "--to", "1h"])
        .await;
    assert!(ended.status.success(), "{}", text(&ended.stderr));
    let shown = text(&ended.stdout);
    assert!(
        shown.starts_with(&format!("replay of portal {portal} from {from} to ")),
        "{shown}"
    );
    assert!(shown.ends_with(": accepted\n"), "{shown}");
    assert_eq!((konnect.calls("PUT"), konnect.calls("GET")), (1, 1));
}

#[tokio::test]
async fn windows_that_konnect_cannot_serve_end_before_any_call() {
    const DAY: i64 = 24 * 60;
    let konnect = Konnect::with_missed(&[]).await;
    let portal = konnect.portal.to_string();
    let minutes = |minutes: i64| format!("{minutes}m");
    let cases = [
        (7 * DAY + 1, 60, "over 7 days ago"),
        (60, 120, "before it starts"),
        (0, 0, "the window is empty"),
    ];
    for (from, to, reason) in cases {
        let (from, to) = (minutes(from), minutes(to));
        let ended = konnect
            .usher(&["--portal", &portal, "--from", &from, "--to", &to])
            .await;
        let complaint = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{complaint}");
        assert!(complaint.contains(reason), "{complaint}");
        assert_eq!(text(&ended.stdout), "");
    }
    assert_eq!(konnect.emulator.requests().len(), 0);

    for from in [minutes(7 * DAY - 1), "7d".to_owned()] {
        let arguments = [
            "--portal", &portal, "--from", &from, "--to", "60m", "--wait",
        ];
        let ended = konnect.usher(&arguments).await;
        assert!(ended.status.success(), "{from}: {}", text(&ended.stderr));
    }
}

#[tokio::test]
async fn wrong_usage_and_refusals_say_what_is_wrong() {
    let konnect = Konnect::with_missed(&[]).await;
    let portal = konnect.portal.to_string();
    let unknown = Uuid::from_u128(7).to_string();
    let url = konnect.emulator.url();
    let token = konnect.emulator.token();
    let cases: [(&str, &[&str], i32, &str); 6] = [
        (token, &["--from", "2h", "--to", "1h"], 2, "--portal"),
        (token, &["--portal", &portal, "--from", "2h"], 2, "--to"),
        (
            token,
            &["--portal", &portal, "--from", "yesterday", "--to", "1h"],
            2,
            "expected a time such as",
        ),
        (
            "kpat_wrong",
            &["--portal", &portal, "--from", "2h", "--to", "1h"],
            1,
            "does not accept the token",
        ),
        (
            token,
            &["--portal", &unknown, "--from", "2h", "--to", "1h"],
            1,
            "knows no portal",
        ),
        (
            token,
            &[
                "--portal",
                &portal,
                "--from",
                "2h",
                "--to",
                "2099-01-01T00:00:00Z",
            ],
            2,
            "in the future",
        ),
    ];
    for (token, arguments, code, expected) in cases {
        let ended = usher(&url, token, arguments).await;
        let complaint = text(&ended.stderr);
        assert_eq!(
            ended.status.code(),
            Some(code),
            "{arguments:?}: {complaint}"
        );
        assert!(complaint.contains(expected), "{arguments:?}: {complaint}");
        assert!(!complaint.contains("kpat"), "{complaint}");
    }
}

#[tokio::test]
async fn a_failed_job_is_exit_code_1() {
    let konnect = Konnect::with_missed(&[60]).await;
    konnect.receiver.answer(StatusCode::BAD_REQUEST);
    let portal = konnect.portal.to_string();
    let arguments = [
        "--portal", &portal, "--from", "3h", "--to", "0s", "--wait", "--json",
    ];
    let ended = konnect.usher(&arguments).await;
    assert_eq!(ended.status.code(), Some(1));
    let shown: Value = serde_json::from_slice(&ended.stdout).unwrap();
    assert_eq!(shown["status"], json!("failed"));
    assert!(text(&ended.stderr).contains("gave the replay job up"));
}
