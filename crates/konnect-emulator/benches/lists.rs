//! How fast the emulator is: how long a start takes, how long 200,000 developers take and weigh,
//! and how many lists of ten developers of 10,000 it answers a second on one core.
//!
//! `cargo bench -p konnect-emulator --bench lists` prints one line for each; `lists`, `start` or
//! `seed` as an argument measures that alone. It judges nothing: machines differ.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a measurement ends at the first surprise, and prints what it found"
)]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use konnect_emulator::{Emulator, Seed};
use serde_json::json;
use tokio::runtime::Runtime;

const DEVELOPERS: u64 = 10_000;
const CONNECTIONS: usize = 4;
const MEASURED: Duration = Duration::from_secs(5);
const STARTS: u32 = 50;

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let measures: [(&str, fn()); 3] = [("start", starts), ("seed", seeds), ("lists", lists)];
    for (name, measure) in measures {
        if wanted.is_empty() || wanted.iter().any(|one| one == name) {
            measure();
        }
    }
}

/// One thread: the emulator's whole work is done on one core.
fn one_core() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn starts() {
    let runtime = one_core();
    let started = Instant::now();
    let first = runtime.block_on(Emulator::start()).unwrap();
    let cold = started.elapsed();
    drop(first);
    let started = Instant::now();
    for _ in 0..STARTS {
        drop(runtime.block_on(Emulator::start()).unwrap());
    }
    let warm = started.elapsed() / STARTS;
    println!("start: {cold:?} the first, {warm:?} each after it");
}

fn lists() {
    let runtime = one_core();
    let portal = "00000000-0000-4000-8000-000000000001";
    let seed = json!({
        "portals": [{"id": portal, "name": "Main"}],
        "crowds": [{"portal_id": portal, "count": DEVELOPERS}],
    });
    let emulator = runtime
        .block_on(Emulator::builder().seed(seed).start())
        .unwrap();
    let client = std::thread::spawn({
        let (address, token) = (emulator.address(), emulator.token().to_owned());
        move || {
            for (name, query) in [
                ("first page", "page%5Bsize%5D=10"),
                ("last page", "page%5Bsize%5D=10&page%5Bnumber%5D=1000"),
                (
                    "one address",
                    "page%5Bsize%5D=10&filter%5Bemail%5D=developer7777@example.com",
                ),
                (
                    "filtered",
                    "page%5Bsize%5D=10&filter%5Bemail%5D%5Bcontains%5D=77",
                ),
                (
                    "by creation",
                    "page%5Bsize%5D=10&page%5Bnumber%5D=500&sort=created_at",
                ),
                ("newest first", "page%5Bsize%5D=10&sort=created_at%20desc"),
                ("by address", "page%5Bsize%5D=10&sort=email"),
            ] {
                let target = format!("/v3/portals/{portal}/developers?{query}");
                report(name, address, &request(&target, &token));
            }
            let target = format!("/v3/portals/{portal}");
            report("one portal", address, &request(&target, &token));
        }
    });
    runtime.block_on(async {
        while !client.is_finished() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    client.join().unwrap();
}

fn request(target: &str, token: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nhost: emulator\r\nauthorization: Bearer {token}\r\n\r\n")
}

/// Asks over a few connections, each with one request at a time, and counts answers by the time the
/// emulator's own thread was at work.
fn report(name: &str, address: SocketAddr, request: &str) {
    let before = busy();
    let started = Instant::now();
    let mut answered = 0_u32;
    let mut connections: Vec<TcpStream> = (0..CONNECTIONS)
        .map(|_| {
            let connection = TcpStream::connect(address).unwrap();
            connection.set_nodelay(true).unwrap();
            connection
        })
        .collect();
    while started.elapsed() < MEASURED {
        for connection in &mut connections {
            connection.write_all(request.as_bytes()).unwrap();
        }
        for connection in &mut connections {
            read_answer(connection);
            answered += 1;
        }
    }
    let wall = started.elapsed();
    let rate = f64::from(answered) / wall.as_secs_f64();
    let on_core = busy().saturating_sub(before).as_secs_f64();
    let on_one_core = f64::from(answered) / on_core;
    println!(
        "lists, {name}: {rate:.0} a second beside the client, {on_one_core:.0} a second of its core"
    );
}

/// Reads one answer with `Content-Length`.
fn read_answer(connection: &mut TcpStream) {
    let mut answer = Vec::with_capacity(8 * 1024);
    let mut chunk = [0; 16 * 1024];
    loop {
        let read = connection.read(&mut chunk).unwrap();
        assert_ne!(read, 0, "the emulator ended the connection");
        answer.extend_from_slice(&chunk[..read]);
        let text = String::from_utf8_lossy(&answer);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let length = head.lines().find_map(|line| {
            line.to_ascii_lowercase()
                .strip_prefix("content-length: ")?
                .parse()
                .ok()
        });
        let length: usize = length.unwrap();
        if body.len() >= length {
            return;
        }
    }
}

/// How long the main thread, on which the emulator runs, was on a core.
fn busy() -> Duration {
    let process = std::process::id();
    let stat = fs::read_to_string(format!("/proc/{process}/task/{process}/schedstat"));
    let nanoseconds = stat
        .ok()
        .and_then(|stat| stat.split_whitespace().next()?.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}

fn seeds() {
    let before = resident();
    let runtime = one_core();
    let started = Instant::now();
    let emulator = runtime
        .block_on(Emulator::builder().seed(Seed::large()).start())
        .unwrap();
    let took = started.elapsed();
    let grown = resident().saturating_sub(before) / 1024;
    println!(
        "seed large: {took:?}, {grown} MiB more than before, {} MiB at most",
        peak() / 1024
    );
    drop(emulator);
}

/// The memory of this process in KiB.
fn resident() -> u64 {
    status("VmRSS:")
}

fn peak() -> u64 {
    status("VmHWM:")
}

fn status(name: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or_default()
}
