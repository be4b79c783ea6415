//! Who gets in, what a session may do, and how it ends.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::SET_COOKIE;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use usher::config::Config;

use crate::console::reader::Reader;
use crate::support::app::{CONSOLE_TOKEN, TestApp, config};

const READER_TOKEN: &str = "reader-token";

fn with_reader() -> Config {
    let mut config = config("http://127.0.0.1:9");
    let mut reader = config.console.tokens[0].clone();
    "auditor".clone_into(&mut reader.name);
    reader.role = usher::config::Role::Reader;
    reader.token = usher::config::Secret::new(READER_TOKEN.to_owned());
    config.console.tokens.push(reader);
    config
}

#[tokio::test]
async fn every_page_asks_who_is_there_and_leads_back() {
    let app = TestApp::start(with_reader()).await;
    let mut reader = Reader::at(&app.url);
    for path in ["/", "/events?name=a&q=b"] {
        let page = reader.get(path).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.is_sign_in_form(), "{path}: {}", page.body);
        assert_eq!(page.field("page").as_deref(), Some(path));
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
    }
    let csrf = reader.get("/events?name=a").await.field("csrf").unwrap();
    let page = reader
        .send(
            "/sign-in",
            &[
                ("token", READER_TOKEN),
                ("csrf", &csrf),
                ("page", "/events?name=a"),
            ],
        )
        .await;
    assert_eq!(page.location.as_deref(), Some("/events?name=a"));
    let cookie = page.headers[SET_COOKIE].to_str().unwrap();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"),
        "{cookie}"
    );
    let page = reader.get("/events").await;
    assert!(page.body.contains("auditor"), "{}", page.body);
    app.finish().await;
}

#[tokio::test]
async fn a_wrong_token_a_foreign_form_and_a_guesser_are_refused() {
    let app = TestApp::start(with_reader()).await;
    let mut reader = Reader::at(&app.url);
    let page = reader.sign_in("wrong").await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    assert!(page.is_sign_in_form() && !page.body.contains("wrong"));
    // Without the field that belongs to the cookie.
    let page = reader
        .send("/sign-in", &[("token", CONSOLE_TOKEN), ("csrf", "x")])
        .await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(reader.get("/").await.is_sign_in_form());
    let mut last = StatusCode::OK;
    for number in 0..12 {
        last = reader.sign_in(&format!("guess {number}")).await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
    // Also with the right token now: the address has to wait.
    let page = reader.sign_in(CONSOLE_TOKEN).await;
    assert_eq!(page.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(page.headers.contains_key("retry-after"));
    app.finish().await;
}

#[tokio::test]
async fn a_session_ends_here_everywhere_and_with_its_token() {
    let app = TestApp::start(with_reader()).await;
    let mut one = Reader::signed_in(&app.url, CONSOLE_TOKEN).await;
    let mut two = Reader::signed_in(&app.url, CONSOLE_TOKEN).await;
    let mut other = Reader::signed_in(&app.url, READER_TOKEN).await;
    for reader in [&mut one, &mut two, &mut other] {
        assert!(!reader.get("/").await.is_sign_in_form());
    }
    // A form of another session ends nothing.
    let page = one.send("/sign-out", &[("csrf", "of another")]).await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST);
    assert_eq!(
        one.post("/sign-out", &[]).await.status,
        StatusCode::SEE_OTHER
    );
    assert!(one.get("/").await.is_sign_in_form());
    assert!(!two.get("/").await.is_sign_in_form());
    let mut three = Reader::signed_in(&app.url, CONSOLE_TOKEN).await;
    three.get("/").await;
    three.post("/sign-out", &[("everywhere", "1")]).await;
    assert!(two.get("/").await.is_sign_in_form());
    assert!(!other.get("/").await.is_sign_in_form());
    // A token that is no longer configured.
    let database = app.stop().await;
    let app = TestApp::start_on(config("http://127.0.0.1:9"), database).await;
    let mut other = other.moved_to(&app.url);
    assert!(other.get("/").await.is_sign_in_form());
    app.finish().await;
}

#[tokio::test]
async fn a_session_that_is_idle_or_old_ends() {
    let app = TestApp::start(with_reader()).await;
    for column in ["seen_at", "created_at"] {
        let mut reader = Reader::signed_in(&app.url, CONSOLE_TOKEN).await;
        assert!(!reader.get("/").await.is_sign_in_form());
        let age = format!("UPDATE console_sessions SET {column} = now() - interval '8 days'");
        app.database.execute(&age).await;
        assert!(reader.get("/").await.is_sign_in_form(), "{column}");
    }
    app.finish().await;
}

#[tokio::test]
async fn what_was_typed_when_the_session_had_ended_is_not_lost() {
    let app = TestApp::start(with_reader()).await;
    let mut reader = Reader::signed_in(&app.url, CONSOLE_TOKEN).await;
    reader.get("/").await;
    app.database.execute("DELETE FROM console_sessions").await;
    let page = reader
        .post("/pause", &[("reason", "an audit & more")])
        .await;
    assert!(page.is_sign_in_form(), "{}", page.body);
    let (csrf, kept) = (page.field("csrf").unwrap(), page.field("kept").unwrap());
    let wanted = page.field("page").unwrap();
    assert_eq!(wanted, "/pause");
    let page = reader
        .send(
            "/sign-in",
            &[
                ("token", CONSOLE_TOKEN),
                ("csrf", &csrf),
                ("page", &wanted),
                ("kept", &kept),
            ],
        )
        .await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.body.contains("Send it again?"), "{}", page.body);
    assert_eq!(page.field("reason").as_deref(), Some("an audit & more"));
    let sent = reader
        .post("/pause", &[("reason", "an audit & more")])
        .await;
    assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.body);
    let (_, pause) = app.get("/api/v1/actions/pause").await;
    assert_eq!(pause["data"]["reason"], "an audit & more");
    app.finish().await;
}

#[tokio::test]
async fn what_another_site_sends_is_not_kept() {
    let app = TestApp::start(with_reader()).await;
    let request = app.http.post(format!("{}/pause", app.url));
    let foreign = [
        ("origin", "http://evil.example"),
        ("sec-fetch-site", "cross-site"),
    ];
    let request = foreign.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    let answer = request
        .form(&[("reason", "of another site")])
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let body = answer.text().await.unwrap();
    assert!(!body.contains("of another site"), "{body}");
    app.finish().await;
}

#[tokio::test]
async fn strangers_who_send_slowly_occupy_few_connections() {
    let app = TestApp::start(with_reader()).await;
    let address = app.url.trim_start_matches("http://").to_owned();
    let mut slow = Vec::new();
    for _ in 0..40 {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let head = format!(
            "POST /pause HTTP/1.1\r\nhost: {address}\r\ncontent-length: 500000\r\n\r\nslow"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    // The first 32 wait until they are too slow, the others are refused at once.
    let mut refused = 0;
    for stream in slow.iter_mut().rev() {
        let mut answer = [0; 12];
        let read = timeout(Duration::from_secs(3), stream.read_exact(&mut answer)).await;
        match read {
            Ok(read) => {
                read.unwrap();
                assert_eq!(&answer, b"HTTP/1.1 503");
                refused += 1;
            }
            Err(_) => break,
        }
    }
    assert_eq!(refused, 8);
    let mut last = [0; 12];
    let read = timeout(Duration::from_secs(15), slow[0].read_exact(&mut last)).await;
    read.expect("given up within ten seconds").unwrap();
    assert_eq!(&last, b"HTTP/1.1 408");
    app.finish().await;
}

#[tokio::test]
async fn signing_in_anew_ends_the_session_of_before() {
    let app = TestApp::start(with_reader()).await;
    let mut reader = Reader::signed_in(&app.url, CONSOLE_TOKEN).await;
    let mut before = reader.clone();
    let form = reader.get("/sign-in").await;
    let csrf = form.field("csrf").unwrap();
    let fields = [("token", CONSOLE_TOKEN), ("csrf", &*csrf)];
    assert_eq!(
        reader.send("/sign-in", &fields).await.status,
        StatusCode::SEE_OTHER
    );
    assert!(!reader.get("/").await.is_sign_in_form());
    assert!(before.get("/").await.is_sign_in_form());
    app.finish().await;
}

#[tokio::test]
async fn writes_are_taken_from_own_forms_and_operators_alone() {
    let app = TestApp::start(with_reader()).await;
    let mut operator = Reader::signed_in(&app.url, CONSOLE_TOKEN).await;
    operator.get("/").await;
    let page = operator.send("/pause", &[("reason", "x")]).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN, "{}", page.body);
    let mut reader = Reader::signed_in(&app.url, READER_TOKEN).await;
    reader.get("/").await;
    let page = reader.post("/pause", &[]).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
    assert!(page.body.contains("role operator"), "{}", page.body);
    let (_, pause) = app.get("/api/v1/actions/pause").await;
    assert_eq!(pause["data"]["paused"], false);
    app.finish().await;
}

#[tokio::test]
async fn pages_and_api_can_be_apart_from_the_ingest_endpoint() {
    let mut config = with_reader();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let apart = listener.local_addr().unwrap();
    drop(listener);
    config.console.listen = Some(apart);
    let app = TestApp::start(config).await;
    let mut here = Reader::at(&app.url);
    for path in ["/", "/events", "/api/v1/events"] {
        assert_eq!(here.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let mut there = Reader::signed_in(&format!("http://{apart}"), CONSOLE_TOKEN).await;
    assert!(there.get("/events").await.body.contains("<h1>Events</h1>"));
    assert_eq!(there.get("/healthz").await.status, StatusCode::OK);
    assert_eq!(there.get("/audit-logs").await.status, StatusCode::NOT_FOUND);
    app.finish().await;
}
