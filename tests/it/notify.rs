//! Notices against a real receiver: what it is told, how often, and where usher does not go.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use usher::act::{Action, ActionState, Backoff, NewChain, Target, Timings};
use usher::clock::Ids;
use usher::config::{HookSecret, NotifyConfig, ObserveConfig};
use usher::directory::Scope;
use usher::journal::MIGRATOR;
use usher::observe::{Observer, Parts};
use usher::rules::{Deed, NoticeFormat};

use crate::support::stage::{KEVIN, PORTAL, Stage, chain, quick};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// A path that must show nowhere: with Slack it is the password.
const PATH: &str = "/T000/B000/very-secret";

#[derive(Debug, Clone)]
pub(crate) struct Heard {
    path: String,
    headers: HeaderMap,
    body: String,
}

impl Heard {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

/// A receiver that answers as it is told to, then 200.
#[derive(Debug, Clone, Default)]
pub(crate) struct Receiver {
    heard: Arc<Mutex<Vec<Heard>>>,
    answers: Arc<Mutex<Vec<(StatusCode, String)>>>,
}

impl Receiver {
    pub(crate) async fn start(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(hear).with_state(self.clone());
        #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        address
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }
}

async fn hear(
    State(receiver): State<Receiver>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    receiver.heard.lock().unwrap().push(Heard {
        path: uri.path().to_owned(),
        headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    });
    let mut answers = receiver.answers.lock().unwrap();
    if answers.is_empty() {
        return StatusCode::OK.into_response();
    }
    let (status, location) = answers.remove(0);
    (status, [(header::LOCATION, location)]).into_response()
}

pub(crate) fn notice(url: String) -> NewChain {
    chain(vec![Deed::Notify {
        url,
        format: NoticeFormat::Standard,
        secret: None,
    }])
}

pub(crate) fn allowing(host: &str) -> NotifyConfig {
    NotifyConfig {
        secret: Some(HookSecret::parse(SECRET).unwrap()),
        allow_private: vec![host.to_owned()],
    }
}

/// Lets a worker run until the notice is where it should be.
pub(crate) async fn told(stage: &Stage, config: NotifyConfig, wanted: ActionState) {
    let timings = Timings {
        backoff: Backoff {
            patience: Duration::from_secs(2),
            ..quick().backoff
        },
        ..quick()
    };
    let worker = stage.worker(timings).with_notify(config, None);
    let stop = CancellationToken::new();
    let watch = async {
        let deadline = Instant::now() + Duration::from_mins(1);
        while stage.action("notify").await.state != wanted {
            let action = stage.action("notify").await;
            assert!(Instant::now() < deadline, "still {action:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.cancel();
    };
    tokio::join!(worker.run(stop.clone()), watch);
}

/// HMAC written out (RFC 2104), so that it cannot share a mistake with usher's.
fn signature(id: &str, at: &str, body: &str) -> String {
    let key = STANDARD.decode(SECRET.strip_prefix("whsec_").unwrap());
    let mut key = key.unwrap();
    key.resize(64, 0);
    let padded = |pad: u8| key.iter().map(|byte| byte ^ pad).collect::<Vec<u8>>();
    let inner = Sha256::new()
        .chain_update(padded(0x36))
        .chain_update(format!("{id}.{at}.{body}"))
        .finalize();
    let outer = Sha256::new()
        .chain_update(padded(0x5c))
        .chain_update(inner)
        .finalize();
    format!("v1,{}", STANDARD.encode(outer))
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_notice_is_signed_and_keeps_its_id_over_attempts(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let look = Observer::new(Parts {
        client: stage.client.clone(),
        journal: stage.journal.clone(),
        directory: stage.directory.clone(),
        clock: stage.clock.clone(),
        holder: Ids::new(stage.clock.clone()).next(),
        config: ObserveConfig::default(),
        portals: vec![PORTAL.into()],
    });
    Box::pin(look.sweep_once(PORTAL.into(), Scope::All))
        .await
        .unwrap();

    let receiver = Receiver::default();
    let address = receiver.start().await;
    for status in [500, 503, 404] {
        let status = StatusCode::from_u16(status).unwrap();
        receiver
            .answers
            .lock()
            .unwrap()
            .push((status, String::new()));
    }
    let id = stage
        .enqueue(&notice(format!("http://{address}{PATH}")))
        .await[0]
        .id();
    told(&stage, allowing("127.0.0.1"), ActionState::Done).await;

    let heard = receiver.heard();
    assert_eq!(heard.len(), 4);
    for one in &heard {
        assert_eq!(one.path, PATH);
        assert_eq!(one.header("webhook-id"), Some(id.to_string().as_str()));
        let at = one.header("webhook-timestamp").unwrap();
        assert_eq!(
            one.header("webhook-signature"),
            Some(signature(&id.to_string(), at, &one.body).as_str())
        );
    }
    let body: Value = serde_json::from_str(&heard[3].body).unwrap();
    assert_eq!(body["type"], "usher.developer.signed_up");
    assert_eq!(body["data"]["rule"], "partner-clubs");
    assert_eq!(body["data"]["portal"], "fixtures");
    assert_eq!(
        body["data"]["developer"]["email"],
        "kevin@manchestercity.com"
    );

    // Neither the address of the person nor that of the hook is kept with the action.
    let kept: Vec<String> = sqlx::query_scalar(
        "SELECT concat_ws(' ', request, outcome, detail) FROM attempts
        UNION ALL SELECT concat_ws(' ', reason, facts, report) FROM actions
        UNION ALL SELECT convert_from(raw, 'UTF8') FROM events WHERE name LIKE 'action.%'",
    )
    .fetch_all(stage.journal.pool())
    .await
    .unwrap();
    assert!(kept.len() >= 6, "{kept:#?}");
    for text in kept {
        assert!(
            !text.contains("kevin@") && !text.contains("very-secret"),
            "{text}"
        );
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn nothing_inside_is_reached_however_it_is_spelt(pool: PgPool) {
    let receiver = Receiver::default();
    let port = receiver.start().await.port();
    let hosts = [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
    ];
    for host in hosts {
        let stage = Stage::new(pool.clone()).await;
        let mut wanted = notice(format!("http://{host}:{port}{PATH}"));
        host.clone_into(&mut wanted.rule);
        stage.enqueue(&wanted).await;
        told(&stage, allowing("hooks.example"), ActionState::Failed).await;
        let reason = stage.action("notify").await.reason.unwrap();
        assert!(reason.contains("not public"), "{host}: {reason}");
    }
    assert!(receiver.heard().is_empty());
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_redirect_is_not_followed(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let receiver = Receiver::default();
    let address = receiver.start().await;
    let inside = format!("http://localhost:{}/inside", address.port());
    let moved = (StatusCode::TEMPORARY_REDIRECT, inside);
    receiver.answers.lock().unwrap().push(moved);
    stage
        .enqueue(&notice(format!("http://{address}{PATH}")))
        .await;
    told(&stage, allowing("127.0.0.1"), ActionState::Failed).await;
    let heard: Vec<String> = receiver.heard().into_iter().map(|one| one.path).collect();
    assert_eq!(heard, [PATH]);
    let reason = stage.action("notify").await.reason.unwrap();
    assert_eq!(reason, "127.0.0.1 answered 307: redirects are not followed");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn slack_gets_a_text_from_a_url_that_is_in_a_file(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let receiver = Receiver::default();
    let address = receiver.start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("slack-url");
    std::fs::write(&file, format!("http://{address}{PATH}\n")).unwrap();
    let park = Deed::Park {
        reason: "freemail".to_owned(),
    };
    let tell = Deed::Notify {
        url: in_file(&file),
        format: NoticeFormat::Slack,
        secret: None,
    };
    stage.enqueue(&chain(vec![park, tell])).await;
    let unsigned = NotifyConfig {
        secret: None,
        ..allowing("127.0.0.1")
    };
    told(&stage, unsigned, ActionState::Done).await;
    let [heard] = &receiver.heard()[..] else {
        panic!("told once")
    };
    assert_eq!(heard.header("webhook-signature"), None);
    let body: Value = serde_json::from_str(&heard.body).unwrap();
    let text = body["text"].as_str().unwrap();
    assert!(text.contains("park parked: freemail"), "{text}");
    assert!(text.contains(&KEVIN.to_string()), "{text}");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_key_comes_from_the_rules_file_of_secrets_or_nothing_is_sent(pool: PgPool) {
    let receiver = Receiver::default();
    let address = receiver.start().await;
    let folder = tempfile::tempdir().unwrap();
    let (good, bad) = (folder.path().join("good"), folder.path().join("bad"));
    std::fs::write(&good, SECRET).unwrap();
    std::fs::write(&bad, "hunter2").unwrap();
    let unsigned = NotifyConfig {
        secret: None,
        ..allowing("127.0.0.1")
    };
    let missing = folder.path().join("missing");
    for (secret, state, told_why) in [
        (Some(&good), ActionState::Done, None),
        (Some(&bad), ActionState::Failed, Some("is not whsec_")),
        (Some(&missing), ActionState::Failed, Some("could not read")),
        (None, ActionState::Failed, Some("notify.secret is not set")),
    ] {
        let stage = Stage::new(pool.clone()).await;
        let mut wanted = notice(String::new());
        wanted.rule = format!("{secret:?}");
        wanted.steps[0].deed = Deed::Notify {
            url: format!("http://{address}{PATH}"),
            format: NoticeFormat::Standard,
            secret: secret.map(|path| in_file(path)),
        };
        stage.enqueue(&wanted).await;
        told(&stage, unsigned.clone(), state).await;
        let reason = stage.action("notify").await.reason.unwrap_or_default();
        assert!(reason.contains(told_why.unwrap_or_default()), "{reason}");
        assert!(!reason.contains("hunter2"), "{reason}");
    }
    assert_eq!(receiver.heard().len(), 1);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_is_about_nobody_is_about_the_portal(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let receiver = Receiver::default();
    let address = receiver.start().await;
    let mut wanted = notice(format!("http://{address}{PATH}"));
    wanted.steps[0].target = Target::Portal { id: PORTAL };
    stage.enqueue(&wanted).await;
    told(&stage, allowing("127.0.0.1"), ActionState::Done).await;
    let body: Value = serde_json::from_str(&receiver.heard()[0].body).unwrap();
    assert_eq!(body["data"]["target"]["kind"], "portal");
    assert_eq!(body["data"]["developer"], Value::Null);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn notices_about_strangers_stay_apart_while_the_receiver_is_away(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let receiver = Receiver::default();
    let address = receiver.start().await;
    *receiver.answers.lock().unwrap() = vec![(StatusCode::SERVICE_UNAVAILABLE, String::new()); 8];
    let url = format!("http://{address}{PATH}");
    // Four events that name nobody whom the portal knows, and a second rule that hears the first.
    for (key, rule) in [
        ("one", "partner-clubs"),
        ("two", "partner-clubs"),
        ("three", "partner-clubs"),
        ("four", "partner-clubs"),
        ("one", "tell-us"),
        ("one", "tell-us"),
    ] {
        let mut wanted = notice(url.clone());
        wanted.steps[0].target = Target::Portal { id: PORTAL };
        key.clone_into(&mut wanted.signal_key);
        rule.clone_into(&mut wanted.rule);
        stage.enqueue(&wanted).await;
    }
    assert_eq!(stage.actions().await.len(), 5);
    let worker = stage
        .worker(quick())
        .with_notify(allowing("127.0.0.1"), None);
    let stop = CancellationToken::new();
    let watch = async {
        let deadline = Instant::now() + Duration::from_mins(1);
        let is_open = |action: &Action| action.state != ActionState::Done;
        while stage.actions().await.iter().any(is_open) {
            assert!(Instant::now() < deadline, "{:?}", stage.actions().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.cancel();
    };
    tokio::join!(worker.run(stop.clone()), watch);
    let heard = receiver.heard();
    let ids: BTreeSet<_> = heard.iter().map(|one| one.header("webhook-id")).collect();
    assert_eq!((ids.len(), heard.len()), (5, 13));
}

fn in_file(path: &Path) -> String {
    format!("file:{}", path.display())
}
