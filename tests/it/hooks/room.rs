//! Whoever has no key keeps nobody out who has one: real connections, slow ones beside true
//! senders.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};
use usher::clock::Clock;

use crate::hooks::{SOON, counts, door, iam};
use crate::support::app::TestApp;
use crate::support::eventually;
use crate::support::hooks::{BATCH, joined};

const MIB: usize = 1024 * 1024;
/// Less than anything that is waited for before room is given up: bodies stall after 10 s.
const AT_ONCE: Duration = Duration::from_secs(5);
/// Bodies under way at once, at most.
const PLACES: usize = 256;

/// An address of this machine for whoever has no key.
fn stranger(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, number)
}

async fn connect(app: &TestApp, from: Ipv4Addr) -> TcpStream {
    let address: SocketAddr = app.url.split("//").nth(1).unwrap().parse().unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    // Loopback is a network: each of its addresses is one of this machine.
    socket.bind(SocketAddrV4::new(from, 0).into()).unwrap();
    socket.connect(address).await.expect("a connection")
}

/// A header such as anybody can write, for a body of `length` bytes.
fn header(length: usize) -> String {
    format!(
        "POST /v1/events HTTP/1.1\r\nHost: usher\r\nContent-Type: {BATCH}\r\nContent-Length: {length}\r\n\
         webhook-id: msg_1\r\nwebhook-timestamp: {}\r\nwebhook-signature: v1,AAAA\r\n\r\n",
        Clock::system().now().timestamp()
    )
}

/// A request of nobody known, which has sent so much of its body and then nothing.
async fn hold(app: &TestApp, from: Ipv4Addr, length: usize, sent: usize) -> TcpStream {
    let mut stream = connect(app, from).await;
    stream.write_all(header(length).as_bytes()).await.unwrap();
    // What gave way meanwhile takes no more.
    drop(stream.write_all(&vec![b' '; sent]).await);
    stream
}

/// Whether the other side has hung up; what it said before does not count.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut text = Vec::new();
    let end = timeout(Duration::from_millis(1), stream.read_to_end(&mut text)).await;
    end.is_ok()
}

async fn closed(streams: &mut [TcpStream]) -> usize {
    let mut count = 0;
    for stream in streams {
        count += usize::from(is_closed(stream).await);
    }
    count
}

/// A batch of nearly 2 MiB.
fn large(first: usize) -> Vec<Value> {
    let told = (first..first + 32).map(|n| {
        let mut event = joined(&n.to_string(), &format!("somebody{n}@arsenal.com"));
        event["data"]["text"] = json!("x".repeat(60_000));
        event
    });
    told.collect()
}

#[tokio::test]
async fn slow_connections_keep_no_true_sender_out() {
    let app = door().await;
    let mut held = Vec::new();
    for number in 2..=5 {
        held.push(hold(&app, stranger(number), 2 * MIB, 2 * MIB - 1).await);
    }
    // What they sent is being read.
    sleep(Duration::from_millis(300)).await;
    for round in 0..3 {
        let started = Instant::now();
        let (status, told) = iam().tell_all(&app, &large(32 * round)).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{told}");
        assert_eq!(counts(&told), [32, 32, 0, 0]);
        assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
    }
    // One of them gave way, and the others were left alone.
    assert_eq!(closed(&mut held).await, 1);
    app.finish().await;
}

#[tokio::test]
async fn connections_that_send_nothing_are_bounded_and_keep_nobody_out() {
    let app = door().await;
    let mut held = Vec::new();
    for _ in 0..PLACES + 40 {
        held.push(hold(&app, stranger(2), MIB, 0).await);
    }
    eventually("those beyond the bound were closed", AT_ONCE, async || {
        closed(&mut held).await == 40
    })
    .await;
    let started = Instant::now();
    let (status, told) = iam().tell_all(&app, &large(0)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{told}");
    let (status, _) = app.deliver(&[]).await;
    assert!(
        status.is_success() || status == StatusCode::BAD_REQUEST,
        "{status}"
    );
    assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
    app.finish().await;
}

/// A true sender on a bad line is older than everything in a flood, and does not give way to it.
#[tokio::test]
async fn a_flood_from_one_place_gives_way_to_a_slow_true_sender() {
    let app = door().await;
    let body = Value::from(large(0)).to_string();
    let signed = iam().request(&app, BATCH, &body).build().unwrap();
    let mut header = format!(
        "POST /v1/events HTTP/1.1\r\nHost: usher\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in signed.headers() {
        write!(header, "{name}: {}\r\n", value.to_str().unwrap()).unwrap();
    }
    let mut sender = connect(&app, stranger(1)).await;
    sender
        .write_all(format!("{header}\r\n").as_bytes())
        .await
        .unwrap();
    let mut flood = Vec::new();
    for part in body.as_bytes().chunks(body.len() / 4 + 1) {
        sender.write_all(part).await.unwrap();
        for _ in 0..6 {
            flood.push(hold(&app, stranger(2), 2 * MIB, 2 * MIB - 1).await);
        }
    }
    let mut answer = Vec::new();
    let heard = timeout(SOON, sender.read_to_end(&mut answer)).await;
    heard.expect("it is answered").expect("and not cut off");
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    assert!(closed(&mut flood).await >= 20);
    app.finish().await;
}

#[tokio::test]
async fn what_the_headers_tell_is_answered_before_the_body_comes() {
    let app = door().await;
    let now = Clock::system().now().timestamp().to_string();
    let stale = (Clock::system().now().timestamp() - 400).to_string();
    for (id, timestamp, signature) in [
        ("", now.as_str(), "v1,AAAA"),
        ("msg_1", "", "v1,AAAA"),
        ("msg_1", &stale, "v1,AAAA"),
        ("msg_1", &now, ""),
        ("msg_1", &now, "v2,AAAA"),
    ] {
        let mut stream = connect(&app, stranger(2)).await;
        let mut header = format!(
            "POST /v1/events HTTP/1.1\r\nHost: usher\r\nContent-Type: {BATCH}\r\nContent-Length: {MIB}\r\n"
        );
        for (name, value) in [
            ("id", id),
            ("timestamp", timestamp),
            ("signature", signature),
        ] {
            if !value.is_empty() {
                write!(header, "webhook-{name}: {value}\r\n").unwrap();
            }
        }
        stream
            .write_all(format!("{header}\r\n").as_bytes())
            .await
            .unwrap();
        let mut answer = vec![0; 12];
        let heard = timeout(AT_ONCE, stream.read_exact(&mut answer)).await;
        heard.expect("before any of the body").expect("an answer");
        assert_eq!(answer, b"HTTP/1.1 401", "{id} {timestamp} {signature}");
    }
    app.finish().await;
}
