//! Tails: what is delivered is seen, and after a break what was missed.

use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Extension;
use axum::routing::get;
use reqwest::{Response, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpListener;
use tokio::time::timeout;
use usher::http::{Bounds, Connection, Server};
use usher::lifecycle::Lifecycle;

use super::{app, ids, installation, logins, open};
use crate::support::record::Record;

const TAIL: &str = "/api/v1/events/tail";
const SOON: Duration = Duration::from_secs(15);

/// An event stream, read message by message.
struct Tail {
    answer: Response,
    text: String,
}

/// One message.
#[derive(Debug)]
struct Message {
    event: Option<String>,
    id: Option<String>,
    data: Value,
}

impl Tail {
    fn of(answer: Response) -> Self {
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let text = String::new();
        Self { answer, text }
    }

    /// The next message; none at the end.
    async fn next(&mut self) -> Option<Message> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let rest = self.text.split_off(end + 2);
                let message = std::mem::replace(&mut self.text, rest);
                let field = |name: &str| {
                    let value = message.lines().find_map(|line| line.strip_prefix(name));
                    value.map(|value| value.trim_start().to_owned())
                };
                if let Some(data) = field("data:") {
                    return Some(Message {
                        event: field("event:"),
                        id: field("id:"),
                        data: serde_json::from_str(&data).unwrap(),
                    });
                }
                continue;
            }
            let chunk = timeout(SOON, self.answer.chunk()).await.unwrap();
            let chunk = chunk.ok().flatten()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    async fn events(&mut self, count: usize) -> Vec<Value> {
        let mut events = Vec::new();
        while events.len() < count {
            let message = self.next().await.unwrap();
            assert_eq!(message.event, None);
            assert_eq!(message.id.as_deref(), message.data["id"].as_str());
            events.push(message.data);
        }
        events
    }
}

#[tokio::test]
async fn what_is_delivered_is_seen_and_after_a_break_what_was_missed() {
    let app = app().await;
    app.deliver(&logins(0..3)).await;
    let mut tail = Tail::of(open(&app, TAIL, None).await);
    let odd = "/api/v1/events/tail?trace_id=3360194145499000011&outcome=success";
    let mut filtered = Tail::of(open(&app, odd, None).await);
    app.deliver(&logins(10..13)).await;
    let seen = tail.events(3).await;
    let mut listed = app.rows("/api/v1/events?limit=1000").await;
    listed.retain(|row| ids(&seen).contains(&row["id"].as_str().unwrap().to_owned()));
    listed.reverse();
    assert_eq!(seen, listed);
    assert_eq!(
        filtered.events(1).await[0]["trace_id"],
        "3360194145499000011"
    );
    // More than one answer of the record holds.
    app.deliver(&logins(1_000..2_200)).await;
    let many = tail.events(1_200).await;
    let last = many.last().unwrap()["id"].as_str().unwrap().to_owned();
    drop(tail);
    app.deliver(&logins(20..25)).await;
    app.deliver(&logins(30..35)).await;
    let mut resumed = Tail::of(open(&app, TAIL, Some(&last)).await);
    let mut missed: Vec<String> = app
        .rows("/api/v1/events?limit=1000&q=33601941454990000")
        .await
        .iter()
        .filter(|row| {
            let trace = row["trace_id"].as_str().unwrap();
            let number: u64 = trace.parse::<u64>().unwrap() - 3_360_194_145_499_000_000;
            (20..35).contains(&number)
        })
        .map(|row| row["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(missed.len(), 10);
    while !missed.is_empty() {
        let event = &resumed.events(1).await[0];
        missed.retain(|id| event["id"] != id.as_str());
    }
    // And goes on.
    app.deliver(&logins(40..41)).await;
    while resumed.events(1).await[0]["trace_id"] != "3360194145499000040" {}
    app.finish().await;
}

#[tokio::test]
async fn what_cannot_be_caught_up_with_is_told() {
    let app = app().await;
    app.deliver(&logins(0..2)).await;
    let known = ids(&app.rows("/api/v1/events").await);
    let mut record = Record::of(&app.database).await;
    record
        .run("UPDATE batches SET created_at = now() - interval '61 minutes'")
        .await;
    for last in [known[0].as_str(), "00000000-0000-8000-8000-000000000000"] {
        let mut tail = Tail::of(open(&app, TAIL, Some(last)).await);
        let message = tail.next().await.unwrap();
        assert_eq!(message.event.as_deref(), Some("gap"));
        assert_eq!(message.data["after"], last);
        assert_eq!(message.id, None);
    }
    let refused = open(&app, TAIL, Some("yesterday")).await;
    assert_eq!(refused.status(), StatusCode::BAD_REQUEST);
    let problem: Value = refused.json().await.unwrap();
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.starts_with("header Last-Event-ID: "), "{detail}");
    app.finish().await;
}

#[tokio::test]
async fn a_batch_that_took_long_to_be_committed_is_seen() {
    let app = app().await;
    let mut tail = Tail::of(open(&app, TAIL, None).await);
    app.deliver(&logins(0..1)).await;
    tail.events(1).await;
    // As one that waited in a spool: received long ago, stored now.
    let mut record = Record::of(&app.database).await;
    record
        .run(
            "INSERT INTO batches
             SELECT gen_random_uuid(), source, lane, part_of, received_at - interval '1 day', first_event_ts,
                 last_event_ts, stored, duplicates, quarantined, verdicts, requests, now() - interval '20 s'
             FROM batches WHERE source = 'webhook' LIMIT 1",
        )
        .await;
    record
        .run(
            "UPDATE events SET batch = (SELECT id FROM batches ORDER BY received_at LIMIT 1)
             WHERE kind <> 'read'",
        )
        .await;
    tail.events(1).await;
    app.finish().await;
}

#[tokio::test]
async fn tails_hold_no_connection_and_end_with_usher() {
    let app = app().await;
    let mut tails = Vec::new();
    for _ in 0..64 {
        tails.push(Tail::of(open(&app, TAIL, None).await));
    }
    let refused = open(&app, TAIL, None).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    // Many more than there are connections for people who read.
    for _ in 0..10 {
        assert_eq!(app.get("/api/v1/events").await.0, StatusCode::OK);
    }
    app.deliver(&logins(0..1)).await;
    for tail in &mut tails {
        tail.events(1).await;
    }
    let asked = Instant::now();
    let database = app.stop().await;
    assert!(
        asked.elapsed() < Duration::from_secs(8),
        "{:?}",
        asked.elapsed()
    );
    for tail in &mut tails {
        assert!(tail.next().await.is_none());
    }
    database.drop().await;
}

#[tokio::test]
async fn the_command_shows_what_comes_in() {
    let (mut usher, database) = installation().await;
    let process = usher.start().await;
    process.deliver(&logins(0..3)).await.unwrap();
    let arguments = [
        "events",
        "tail",
        "--json",
        "--limit",
        "0",
        "--src",
        "172.71.0.0/16",
    ];
    let mut child = usher.command(&arguments).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut number = 10;
    // Until it has begun, nothing is new to it.
    let first = loop {
        process.deliver(&logins(number..number + 1)).await.unwrap();
        number += 1;
        match timeout(Duration::from_secs(3), lines.next_line()).await {
            Ok(line) => break line.unwrap().unwrap(),
            Err(_) if number < 20 => {}
            Err(error) => panic!("{error}"),
        }
    };
    let event: Value = serde_json::from_str(&first).unwrap();
    let trace = event["trace_id"].as_str().unwrap().parse::<u64>().unwrap();
    assert!(trace >= 3_360_194_145_499_000_010, "{trace}");
    child.kill().await.unwrap();
    process.kill().await;
    database.drop().await;
}

#[tokio::test]
async fn an_answer_that_goes_on_is_no_idle_connection() {
    let lifecycle = Lifecycle::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Something every 100 ms, ten times.
    let slow = |busy: Option<usher::http::Busy>| {
        let each = |(left, busy): (u32, Option<usher::http::Busy>)| async move {
            tokio::time::sleep(Duration::from_millis(100)).await;
            (left > 0).then(|| (Ok::<_, std::io::Error>("x"), (left - 1, busy)))
        };
        Body::from_stream(futures_util::stream::unfold((10, busy), each))
    };
    let kept = move |Extension(connection): Extension<Connection>| {
        let busy = connection.keep();
        async move { slow(Some(busy)) }
    };
    let router = Router::new()
        .route("/kept", get(kept))
        .route("/cut", get(move || async move { slow(None) }));
    let server = Server {
        listener,
        router,
        certificates: None,
        bounds: Bounds {
            header_time: Duration::from_millis(300),
            idle_time: Duration::from_millis(300),
            ..Bounds::default()
        },
        lifecycle: lifecycle.clone(),
    };
    lifecycle.spawn("http", server.run());
    let read = async |path: &str| {
        let answer = reqwest::get(format!("http://{address}{path}"))
            .await
            .unwrap();
        answer.text().await
    };
    assert_eq!(read("/kept").await.unwrap(), "x".repeat(10));
    assert!(read("/cut").await.is_err(), "the bound that it is about");
    lifecycle.shut_down().await;
}
