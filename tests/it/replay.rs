//! Replay jobs against a local Konnect: through the room with short waits, and through the binary.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::BTreeMap;
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use konnect::{Client, PortalId, ReplayStatus};
use konnect_emulator::{DeliverySettings, Emulator, EmulatorConfig, Fault};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::Url;
use usher::backfill::{Progress, ReplayError, ReplayTimings, Replays, Window};
use usher::clock::Clock;
use uuid::Uuid;

const JOB: &str = "/v3/portals/*/audit-log-replay-job";
const DEADLINE: Duration = Duration::from_secs(30);

/// Takes deliveries and keeps their lines; answers as it is told to.
#[derive(Clone)]
struct Receiver {
    lines: Arc<Mutex<Vec<String>>>,
    answer: Arc<Mutex<StatusCode>>,
    url: String,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            lines: Arc::default(),
            answer: Arc::new(Mutex::new(StatusCode::OK)),
            url: format!("http://{}", listener.local_addr().unwrap()),
        };
        let own = receiver.clone();
        let router = Router::new().fallback(move |body: Bytes| {
            let receiver = own.clone();
            async move { receiver.take(&body) }
        });
        TaskTracker::new().spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    fn take(&self, body: &[u8]) -> StatusCode {
        let answer = *self.answer.lock().unwrap();
        if answer.is_success() {
            let text = String::from_utf8(body.to_vec()).unwrap();
            let lines = text.lines().map(str::to_owned);
            self.lines.lock().unwrap().extend(lines);
        }
        answer
    }

    fn answer(&self, status: StatusCode) {
        *self.answer.lock().unwrap() = status;
    }

    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

/// A local Konnect with one portal whose entries go to a receiver.
struct Konnect {
    emulator: Emulator,
    portal: Uuid,
    receiver: Receiver,
    now: DateTime<Utc>,
}

impl Konnect {
    /// The webhook is bound after `entries` (minutes ago) have happened, so that they were missed.
    async fn with_missed(entries: &[i64]) -> Self {
        let receiver = Receiver::start().await;
        let emulator = Emulator::start(EmulatorConfig::default()).await.unwrap();
        emulator
            .set_delivery_settings(&DeliverySettings {
                content_encoding: "none".to_owned(),
                flush_every_ms: 5,
                retry_scale: 0.01,
                ..DeliverySettings::default()
            })
            .unwrap();
        let made = emulator
            .seed(&json!({
                "portals": [{"name": "Main"}],
                "destinations": [{
                    "name": "usher",
                    "endpoint": receiver.url,
                    "authorization": "Bearer x",
                    "log_format": "json",
                }],
            }))
            .unwrap();
        let portal: Uuid = made["portals"][0]["id"].as_str().unwrap().parse().unwrap();
        let now = Clock::system().now();
        for minutes in entries {
            let rt = (now - TimeDelta::minutes(*minutes)).timestamp_millis();
            let entry = json!({"rt": rt.to_string(), "principal_id": format!("missed-{minutes}")});
            let entry = entry.as_object().unwrap().clone();
            emulator.inject(Some(portal), &[entry]).unwrap();
        }
        let webhook = json!({
            "portal_id": portal,
            "audit_log_destination_id": made["destinations"][0]["id"],
            "enabled": true,
        });
        emulator.seed(&json!({"webhooks": [webhook]})).unwrap();
        Self {
            emulator,
            portal,
            receiver,
            now,
        }
    }

    fn client(&self) -> Client {
        Client::builder(Url::parse(&self.emulator.url()).unwrap())
            .token(self.emulator.token().to_owned().into())
            .build()
            .unwrap()
    }

    /// Replays with waits of milliseconds.
    fn replays(&self) -> Replays {
        let pace = ReplayTimings {
            busy: Duration::from_millis(20),
            first_look: Duration::from_millis(5),
            look_at_most: Duration::from_millis(20),
            first_retry: Duration::from_millis(5),
            retry_at_most: Duration::from_millis(20),
            attempts: 4,
        };
        let portal = PortalId(self.portal);
        let never = CancellationToken::new();
        Replays::new(self.client(), portal, Clock::system(), pace, never)
    }

    /// A window of minutes before the start of the test.
    fn window(&self, from: i64, to: i64) -> Window {
        let ago = |minutes| self.now - TimeDelta::minutes(minutes);
        Window::new(ago(from), ago(to), self.now).unwrap()
    }

    /// How often the job was called, by method.
    fn calls(&self, method: &str) -> usize {
        let requests = self.emulator.requests();
        requests
            .iter()
            .filter(|request| request.method == method && request.path.ends_with("replay-job"))
            .count()
    }

    async fn usher(&self, arguments: &[&str]) -> Output {
        usher(&self.emulator.url(), self.emulator.token(), arguments).await
    }
}

async fn usher(base_url: &str, token: &str, arguments: &[&str]) -> Output {
    let home = TempDir::new().unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_usher"))
        .arg("replay")
        .args(arguments)
        .current_dir(home.path())
        .env_clear()
        .env("USHER_KONNECT__BASE_URL", base_url)
        .env("USHER_KONNECT__TOKEN", token)
        .output();
    tokio::time::timeout(DEADLINE, run).await.unwrap().unwrap()
}

fn fault(method: &str, status: u16, times: u64) -> Fault {
    Fault {
        method: Some(method.to_owned()),
        path: JOB.to_owned(),
        status: Some(status),
        times: Some(times),
        ..Fault::default()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn silent(_: &Progress) {}

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

#[tokio::test]
async fn waiting_ends_when_asked_to() {
    let konnect = Konnect::with_missed(&[]).await;
    konnect.emulator.set_faults([fault("PUT", 409, 999)]);
    let stopping = CancellationToken::new();
    let replays = Replays::new(
        konnect.client(),
        PortalId(konnect.portal),
        Clock::system(),
        ReplayTimings::default(),
        stopping.clone(),
    );
    let mut report = |_: &Progress| stopping.cancel();
    let ended = replays.start(konnect.window(90, 30), &mut report).await;
    assert!(matches!(ended, Err(ReplayError::Stopped)), "{ended:?}");
}
