//! Connections: slow senders, many bytes at once, chunks, and a body in flight at the end.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::bounds::{MIB, PATIENCE, connect, entry, header};
use crate::support::app::{AUTHORIZATION, TestApp, config};
use crate::support::eventually;

async fn app() -> TestApp {
    TestApp::start(config("http://127.0.0.1:9")).await
}

/// Everything that comes until the other side hangs up.
async fn all(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    // A reset is an end too: the other side did not read everything it was sent.
    drop(
        timeout(PATIENCE, stream.read_to_end(&mut text))
            .await
            .expect("it hangs up"),
    );
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn a_sender_too_slow_loses_the_connection() {
    let app = app().await;
    let started = Instant::now();
    let silent = async {
        let mut stream = connect(&app.url).await;
        all(&mut stream).await
    };
    let slow_header = async {
        let mut stream = connect(&app.url).await;
        stream.write_all(b"POST /audit-logs HT").await.unwrap();
        all(&mut stream).await
    };
    let slow_body = async {
        let mut stream = connect(&app.url).await;
        stream.write_all(header(100).as_bytes()).await.unwrap();
        stream.write_all(b"slow start").await.unwrap();
        all(&mut stream).await
    };
    let hangs_up = async {
        let mut stream = connect(&app.url).await;
        stream.write_all(header(100).as_bytes()).await.unwrap();
        stream.write_all(b"short start").await.unwrap();
        stream.shutdown().await.unwrap();
        drop(stream);
        String::new()
    };
    let heard = tokio::join!(silent, slow_header, slow_body, hangs_up);
    // Konnect repeats a delivery that lost its connection, and none that got a 4xx.
    assert_eq!(heard, Default::default());
    assert!(started.elapsed() >= Duration::from_secs(9), "cut too early");
    eventually("both starts are kept", PATIENCE, async || {
        let rows = app.rows("/api/v1/quarantine").await;
        let mut kept: Vec<&str> = rows
            .iter()
            .filter(|row| row["reason"] == "body_incomplete")
            .map(|row| row["raw"].as_str().unwrap())
            .collect();
        kept.sort_unstable();
        kept == ["short start", "slow start"]
    })
    .await;
    app.finish().await;
}

#[tokio::test]
async fn says_so_when_too_many_bytes_are_held() {
    let app = app().await;
    let mut holders = Vec::new();
    // Four of them fit into the room for all bodies, and five do not.
    for _ in 0..5 {
        let mut stream = connect(&app.url).await;
        stream.write_all(header(8 * MIB).as_bytes()).await.unwrap();
        let most = vec![b'x'; 8 * MIB - 100 * 1024];
        stream.write_all(&most).await.unwrap();
        holders.push(stream);
    }
    let mut answer = [0; 1024];
    let mut heard = String::new();
    let started = Instant::now();
    while heard.is_empty() {
        assert!(started.elapsed() < PATIENCE, "nobody is turned away");
        let read = holders
            .iter()
            .find_map(|held| held.try_read(&mut answer).ok());
        heard = String::from_utf8_lossy(&answer[..read.unwrap_or_default()]).into_owned();
        tokio::task::yield_now().await;
    }
    assert!(heard.starts_with("HTTP/1.1 429 "), "{heard}");
    assert!(heard.contains("retry-after: 30\r\n"), "{heard}");
    let (status, _) = app.deliver(&[entry(1)]).await;
    assert_eq!(status, StatusCode::OK, "a small delivery passes");
    drop(holders);
    eventually("there is room again", PATIENCE, async || {
        let large = app.delivery("x".repeat(8 * MIB)).send().await.unwrap();
        large.status() == StatusCode::BAD_REQUEST
    })
    .await;
    app.finish().await;
}

#[tokio::test]
async fn takes_chunks_and_requests_in_a_row_on_one_connection() {
    let app = app().await;
    let mut stream = connect(&app.url).await;
    let (first, second, third) = (entry(1), entry(2), entry(3));
    let (start, rest) = first.split_at(100);
    let requests = [
        format!(
            "POST /audit-logs HTTP/1.1\r\nHost: usher\r\nAuthorization: {AUTHORIZATION}\r\nTransfer-Encoding: chunked\r\n\r\n"
        ),
        format!(
            "{:x}\r\n{start}\r\n{:x}\r\n{rest}\r\n0\r\n\r\n",
            start.len(),
            rest.len()
        ),
        format!("{}{second}", header(second.len())),
        header(third.len()).replace("Host", "Connection: close\r\nHost"),
        third,
    ];
    stream
        .write_all(requests.concat().as_bytes())
        .await
        .unwrap();
    let answers = all(&mut stream).await;
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3, "{answers}");
    assert_eq!(app.rows("/api/v1/events").await.len(), 3);

    let mut stream = connect(&app.url).await;
    let long = header(1).replace("Host", &format!("X-Long: {}\r\nHost", "x".repeat(40_000)));
    stream.write_all(long.as_bytes()).await.unwrap();
    let answer = all(&mut stream).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    app.finish().await;
}

#[tokio::test]
async fn finishes_a_body_in_flight_before_it_stops() {
    let app = app().await;
    let url = app.url.clone();
    let line = entry(1);
    let mut stream = connect(&url).await;
    stream
        .write_all(header(line.len()).as_bytes())
        .await
        .unwrap();
    stream.write_all(&line.as_bytes()[..50]).await.unwrap();
    let (health, mut idle) = (format!("{url}/healthz"), connect(&url).await);
    let alive = app.http.get(&health).send().await.unwrap();
    assert_eq!(alive.status(), StatusCode::OK);
    let finishes = async {
        let address = url.split("//").nth(1).unwrap();
        eventually("nobody else is let in", PATIENCE, async || {
            TcpStream::connect(address).await.is_err()
        })
        .await;
        assert_eq!(
            all(&mut idle).await,
            "",
            "who says nothing is not waited for"
        );
        stream.write_all(&line.as_bytes()[50..]).await.unwrap();
        all(&mut stream).await
    };
    let (database, answer) = tokio::join!(app.stop(), finishes);
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
    assert!(answer.contains(r#""stored":1"#), "{answer}");
    database.drop().await;
}
