//! The bounds of the door: slow, large and many senders, TLS, and what others notice of them.

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::{Certificate, Client, StatusCode, Version};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use usher::lifecycle::Lifecycle;

use crate::support::app::{AUTHORIZATION, TestApp, config};
use crate::support::database::TestDatabase;
use crate::support::eventually;
use crate::support::luck::tell;
use crate::support::process::{Installation, Process, settings};
use crate::support::record::Record;
use crate::support::signer::{Entry, Signer};

/// A loaded machine takes its time.
const PATIENCE: Duration = Duration::from_mins(1);
const MIB: usize = 1024 * 1024;

/// Memory that no hostile input may make usher exceed.
const MEMORY_BYTES: usize = 256 * 1000 * 1000;

/// What usher may take while it stores the largest request of nothing but sound entries: the body is there once, and what
/// is known of each entry, but neither a copy of its bytes nor its members.
const GIANT_BYTES: usize = 120 * 1000 * 1000;

async fn app() -> TestApp {
    TestApp::start(config("http://127.0.0.1:9")).await
}

/// A connection that says what it is told to.
async fn connect(url: &str) -> TcpStream {
    let address = url.split("//").nth(1).unwrap();
    TcpStream::connect(address).await.expect("a connection")
}

/// The header of a delivery of `length` bytes.
fn header(length: usize) -> String {
    format!(
        "POST /audit-logs HTTP/1.1\r\nHost: usher\r\nAuthorization: {AUTHORIZATION}\r\nContent-Length: {length}\r\n\r\n"
    )
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

fn entry(number: u64) -> String {
    Entry::numbered(number).json()
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

/// `count` MiB of `x` as gzip, without the work of packing them all.
fn bomb(count: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder
        .write_all(&vec![b'x'; MIB])
        .expect("writes to memory");
    encoder.finish().expect("writes to memory").repeat(count)
}

/// The most memory that a process ever had, in bytes, without what it maps of its own file: a debug build is large.
fn peak_memory(process: &Process) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let bytes = |member: &str| {
        let found = status.lines().find_map(|line| line.strip_prefix(member));
        let kilobytes = found.unwrap().trim().strip_suffix(" kB").unwrap();
        kilobytes.parse::<usize>().unwrap() * 1024
    };
    bytes("VmHWM:") - bytes("RssFile:")
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

/// A certificate of the test's own for `localhost`, as PEM with its key.
struct Pair {
    cert: String,
    key: String,
}

impl Pair {
    fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        Self {
            cert: made.cert.pem(),
            key: made.signing_key.serialize_pem(),
        }
    }

    fn write(&self, installation: &Installation) -> [PathBuf; 2] {
        // The key last: a look in between finds what does not belong together.
        let cert = installation.write("cert.pem", &self.cert);
        [cert, installation.write("key.pem", &self.key)]
    }

    /// A client that trusts this certificate and no other.
    fn client(&self) -> reqwest::ClientBuilder {
        let cert = Certificate::from_pem(self.cert.as_bytes()).unwrap();
        Client::builder().timeout(PATIENCE).tls_certs_only([cert])
    }
}

#[tokio::test]
async fn speaks_tls_and_reads_a_renewed_certificate() {
    let signer = Signer::new(7);
    let database = TestDatabase::create().await;
    let konnect = signer.serve(&Lifecycle::new()).await;
    let mut settings = settings(&database, &konnect);
    let mut installation = Installation::new(&settings);
    let (old, new) = (Pair::new(), Pair::new());
    let [cert, key] = old.write(&installation);
    settings["http"]["tls"] = serde_json::json!({ "cert": cert, "key": key });
    installation.configure(&settings);
    let mut usher = installation.launch();
    usher.listens().await;
    let url = usher.url.replace("http://127.0.0.1", "https://localhost");
    let deliver = async |client: reqwest::ClientBuilder, line: String| {
        let request = client.build().unwrap().post(format!("{url}/audit-logs"));
        let request = request.header("Authorization", AUTHORIZATION).body(line);
        request.send().await
    };
    eventually("the database is ready", PATIENCE, async || {
        let answer = deliver(old.client(), signer.json(&Entry::numbered(1))).await;
        let answer = answer.expect("TLS comes about");
        assert_eq!(answer.version(), Version::HTTP_2);
        answer.status() == StatusCode::OK
    })
    .await;
    let by_http1 = deliver(old.client().http1_only(), signer.json(&Entry::numbered(2))).await;
    let by_http1 = by_http1.expect("TLS comes about");
    assert_eq!(
        (by_http1.version(), by_http1.status()),
        (Version::HTTP_11, StatusCode::OK)
    );

    installation.write("key.pem", "no key");
    let refused = "the certificate cannot be read again";
    eventually("usher says so", PATIENCE, async || {
        usher.log().contains(refused)
    })
    .await;
    assert!(
        deliver(old.client(), entry(3)).await.is_ok(),
        "the old pair serves on"
    );
    new.write(&installation);
    eventually("the new one is shown", PATIENCE, async || {
        deliver(new.client(), entry(4)).await.is_ok()
    })
    .await;
    assert!(
        deliver(old.client(), entry(5)).await.is_err(),
        "the old one is gone"
    );
    // Once for what is no key, and at most once for the new certificate beside the old key.
    assert!(usher.log().matches(refused).count() <= 2, "{}", usher.log());
    usher.kill().await;
    database.drop().await;
}

#[tokio::test]
async fn does_not_start_with_a_certificate_that_cannot_be_used() {
    let database = TestDatabase::create().await;
    let mut settings = settings(&database, "http://127.0.0.1:9");
    let mut installation = Installation::new(&settings);
    let (one, other) = (Pair::new(), Pair::new());
    let cert = installation.write("cert.pem", &one.cert);
    let key = installation.write("key.pem", &other.key);
    let empty = installation.write("empty.pem", "");
    for (tls, told) in [
        (
            serde_json::json!({ "cert": cert }),
            "http.tls.key is not set",
        ),
        (
            serde_json::json!({ "cert": "/nowhere", "key": key }),
            "http.tls.cert: could not read /nowhere",
        ),
        (
            serde_json::json!({ "cert": cert, "key": empty }),
            "http.tls.key: ",
        ),
        (
            serde_json::json!({ "cert": empty, "key": key }),
            "http.tls.cert: ",
        ),
        (
            serde_json::json!({ "cert": cert, "key": key }),
            "http.tls.cert, http.tls.key: ",
        ),
    ] {
        settings["http"]["tls"] = tls;
        installation.configure(&settings);
        let status = installation.launch().exit(PATIENCE).await;
        assert_eq!(status.code(), Some(2), "{told}");
        let log = installation.log();
        let last = log.lines().last().unwrap_or_default();
        assert!(last.contains(told), "{told}: {last}");
    }
    database.drop().await;
}
