//! Memory: hostile bodies, a crowd of slow connections, and the largest body of sound entries.

use std::io::Write;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::{Client, StatusCode};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use usher::lifecycle::Lifecycle;

use crate::bounds::{MIB, PATIENCE, connect, entry, header};
use crate::support::app::AUTHORIZATION;
use crate::support::database::TestDatabase;
use crate::support::eventually;
use crate::support::luck::tell;
use crate::support::process::{Installation, Process, peak_memory_of, settings};
use crate::support::record::Record;
use crate::support::signer::{Entry, Signer};

/// Memory that no hostile input may make usher exceed.
const MEMORY_BYTES: usize = 256 * 1000 * 1000;

/// What usher may take while it stores the largest request of nothing but sound entries: the body
/// is there once, and what is known of each entry, but neither a copy of its bytes nor its members.
const GIANT_BYTES: usize = 120 * 1000 * 1000;

/// `count` MiB of `x` as gzip, without the work of packing them all.
fn bomb(count: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder
        .write_all(&vec![b'x'; MIB])
        .expect("writes to memory");
    encoder.finish().expect("writes to memory").repeat(count)
}

/// The most memory that a process ever had, in bytes, without what it maps of its own file: a debug
/// build is large.
fn peak_memory(process: &Process) -> usize {
    peak_memory_of(process.id())
}

/// As many slow connections as this machine lets a test open, at most 10,000; most with a part of a
/// header, some with a part of a body.
async fn slow_crowd(url: &str) -> Vec<TcpStream> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).expect("up to the hard limit");
    let files = limit
        .maximum
        .map_or(usize::MAX, |most| usize::try_from(most).unwrap());
    let count = files.saturating_sub(500).min(10_000);
    assert!(count >= 500, "the hard limit of open files is {files}");
    let mut crowd = Vec::new();
    for number in 0..count {
        let mut stream = connect(url).await;
        let said = match number % 20 {
            0 => format!("{}slow", header(MIB)),
            _ => "POST /audit-logs HTTP/1.1\r\nHost: ".to_owned(),
        };
        // Whoever is cut off by now has done its part.
        if stream.write_all(said.as_bytes()).await.is_ok() {
            crowd.push(stream);
        }
    }
    crowd
}

#[tokio::test]
async fn stays_small_and_serves_others_under_hostile_input() {
    let database = TestDatabase::create().await;
    let mut installation = Installation::new(&settings(&database, "http://127.0.0.1:9"));
    let usher = installation.start().await;
    let http = Client::builder().timeout(PATIENCE).build().unwrap();
    let crowd = slow_crowd(&usher.url).await;
    let send = |body: Vec<u8>| {
        let request = http.post(format!("{}/audit-logs", usher.url));
        let request = request.header("Authorization", AUTHORIZATION).body(body);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    let others = async {
        for number in 0..20 {
            let started = Instant::now();
            assert_eq!(usher.deliver(&[entry(number)]).await, Some(StatusCode::OK));
            let took = started.elapsed();
            assert!(took < Duration::from_secs(10), "{took:?}");
        }
    };
    let hostile = async {
        let bombs = tokio::join!(send(bomb(400)), send(bomb(400)));
        let long_line = send(bomb(60)).await;
        let huge_line = send(vec![b'x'; 100 * 1000 * 1000]).await;
        (bombs, long_line, huge_line)
    };
    let (((first, second), long_line, huge_line), ()) = tokio::join!(hostile, others);
    assert_eq!(huge_line, 413);
    assert_eq!(long_line, 400, "60 MiB in one line: nothing parses");
    // Two giants go one after the other, and the second may be asked to wait.
    for status in [first, second] {
        assert!(status == 413 || status == 429, "{status}");
    }
    let peak = peak_memory(&usher);
    tell(&format!(
        "bombs, a huge line and {} slow connections: at most {} MB",
        crowd.len(),
        peak / 1_000_000
    ));
    assert!(peak < MEMORY_BYTES, "{peak} bytes");
    assert_eq!(usher.rows("/api/v1/events").await.len(), 20);
    let reasons: Vec<Value> = usher.rows("/api/v1/quarantine").await;
    for reason in ["body_inflates_too_far", "line_too_long", "body_too_large"] {
        assert!(
            reasons.iter().any(|row| row["reason"] == reason),
            "{reason}"
        );
    }
    drop(crowd);
    usher.kill().await;
    database.drop().await;
}

/// So many MiB of signed entries, each its own event, one a line; with what comes of packing them.
fn many_entries(signer: &Signer, count: usize) -> (usize, Vec<u8>) {
    let user_agent = "x".repeat(500);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let mut bytes = 0;
    let mut entries = 0;
    for number in 0.. {
        let entry = Entry {
            user_agent: user_agent.clone(),
            ..Entry::numbered(number)
        };
        let line = format!("{}\n", signer.json(&entry));
        bytes += line.len();
        if bytes > count * MIB {
            break;
        }
        encoder
            .write_all(line.as_bytes())
            .expect("writes to memory");
        entries += 1;
    }
    (entries, encoder.finish().expect("writes to memory"))
}

#[tokio::test]
async fn takes_as_many_entries_as_a_body_may_inflate_to_and_stays_small() {
    let signer = Signer::new(7);
    let database = TestDatabase::create().await;
    let konnect = signer.serve(&Lifecycle::new()).await;
    let mut installation = Installation::new(&settings(&database, &konnect));
    let usher = installation.start().await;
    let (entries, packed) = many_entries(&signer, 64);
    assert!(entries > 50_000 && packed.len() < 8 * MIB);
    // A debug build takes its time over so many signatures.
    let http = Client::builder().timeout(3 * PATIENCE).build().unwrap();
    let mut record = Record::of(&database).await;
    let others = async {
        for number in 1_000_000..1_000_010 {
            assert_eq!(usher.deliver(&[entry(number)]).await, Some(StatusCode::OK));
        }
    };
    let giant = async {
        let request = http.post(format!("{}/audit-logs", usher.url));
        let request = request.header("Authorization", AUTHORIZATION);
        let status = request.body(packed).send().await.unwrap().status();
        // A slow machine asks the sender to come again, and goes on storing it.
        assert!(status == 200 || status == 429, "{status}");
        eventually("every entry is stored", 3 * PATIENCE, async || {
            record
                .number("SELECT count(*) FROM events WHERE trace_id < '3360194145500000000'")
                .await
                == i64::try_from(entries).unwrap()
        })
        .await;
    };
    tokio::join!(giant, others);
    let peak = peak_memory(&usher);
    tell(&format!(
        "{entries} entries in one request: at most {} MB",
        peak / 1_000_000
    ));
    assert!(peak < GIANT_BYTES, "{peak} bytes");
    usher.kill().await;
    database.drop().await;
}
