//! Exports: whole or seen not to be, resumed without a gap, the same by the API and the command
//! line.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use super::{app, ids, installation, logins, open};
use crate::support::app::{CONSOLE_TOKEN, TestApp};
use crate::support::process::Process;
use crate::support::signer::Entry;

const EXPORT: &str = "/api/v1/events/export";

async fn text(app: &TestApp, path: &str) -> String {
    let answer = open(app, path, None).await;
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    answer.text().await.unwrap()
}

/// The events of a whole NDJSON export.
fn whole(text: &str) -> Vec<Value> {
    let mut lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.pop(), Some(json!({ "complete": true })));
    lines
}

/// Log-ins that are large, so that nothing between can hold them all.
fn large(number: u64) -> Vec<String> {
    let entry = |n| Entry {
        user_agent: "x".repeat(8_000),
        ..Entry::numbered(n)
    };
    (0..number).map(|n| entry(n).json()).collect()
}

async fn deliver_large(process: &Process) {
    for lines in large(4_000).chunks(400) {
        assert_eq!(process.deliver(lines).await.unwrap(), StatusCode::OK);
    }
}

#[tokio::test]
async fn an_export_is_all_of_it_and_a_resumed_one_the_rest() {
    let app = app().await;
    let times = [
        "2026-06-23T14:28:47Z",
        "2026-05-01T00:00:00Z",
        "1999-01-01T00:00:00Z",
    ];
    let lines: Vec<String> = (0..1_300)
        .map(|n| {
            let line = Entry::numbered(n).json();
            line.replace(times[0], times[usize::try_from(n % 3).unwrap()])
        })
        .collect();
    for lines in lines.chunks(500) {
        app.deliver(lines).await;
    }
    let exported = whole(&text(&app, EXPORT).await);
    assert_eq!(exported.len(), 1_300);
    let mut listed = app.rows("/api/v1/events?limit=1000").await;
    listed.extend(
        app.rows("/api/v1/events?limit=1000&to=2026-05-01T00:00:00Z")
            .await,
    );
    listed.reverse();
    // The pages are cut; what they have in common is in the order of the export.
    let oldest = listed.iter().take(433).cloned();
    assert_eq!(exported[..433], oldest.collect::<Vec<_>>());
    for cut in [0, 1, 499, 500, 501, 1_298, 1_299] {
        let id = exported[cut]["id"].as_str().unwrap();
        let rest = whole(&text(&app, &format!("{EXPORT}?after={id}")).await);
        assert_eq!(ids(&rest), ids(&exported[cut + 1..]), "{cut}");
    }
    // What came since is there next time.
    let last = exported.last().unwrap()["id"].as_str().unwrap();
    let later = Entry::numbered(5_000).json();
    let later = later.replace(times[0], "2026-06-24T00:00:00Z");
    app.deliver(&[later]).await;
    let rest = whole(&text(&app, &format!("{EXPORT}?after={last}&outcome=success")).await);
    assert_eq!(rest.len(), 1);
    assert!(whole(&text(&app, &format!("{EXPORT}?name=nothing")).await).is_empty());
    let csv = text(
        &app,
        &format!("{EXPORT}?format=csv&from=2026-06-23T00:00:00Z"),
    )
    .await;
    let rows: Vec<&str> = csv.split_terminator("\r\n").collect();
    assert_eq!(rows.len(), 1 + 434 + 1);
    assert!(
        rows[0].starts_with("id,occurred_at,event_ts,received_at,kind,name,"),
        "{}",
        rows[0]
    );
    let first = &exported[1_300 - 434];
    assert!(
        rows[1].starts_with(first["id"].as_str().unwrap()),
        "{}",
        rows[1]
    );
    let answer = open(&app, &format!("{EXPORT}?format=csv"), None).await;
    assert_eq!(answer.headers()["content-type"], "text/csv; charset=utf-8");
    app.finish().await;
}

#[tokio::test]
async fn an_export_without_a_token_is_none() {
    let app = app().await;
    for path in [EXPORT, "/api/v1/events/tail"] {
        let answer = app.http.get(format!("{}{path}", app.url)).send().await;
        assert_eq!(answer.unwrap().status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    app.finish().await;
}

#[tokio::test]
async fn an_export_that_is_killed_lacks_the_last_line_and_goes_on_elsewhere() {
    let (mut usher, database) = installation().await;
    let process = usher.start().await;
    deliver_large(&process).await;
    let url = format!("{}{EXPORT}", process.url);
    let request = process.http.get(url).bearer_auth(CONSOLE_TOKEN);
    let mut answer = request.send().await.unwrap();
    let mut got = answer.chunk().await.unwrap().unwrap().to_vec();
    process.kill().await;
    let broken = loop {
        match answer.chunk().await {
            Ok(Some(bytes)) => got.extend(bytes),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broken, "an export that was killed looks whole");
    let got = String::from_utf8(got).unwrap();
    assert!(!got.contains("\"complete\""));
    // The last line may be cut.
    let lines: Vec<&str> = got.lines().collect();
    let mut events: Vec<Value> = lines[..lines.len() - 1]
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let last = events.last().unwrap()["id"].as_str().unwrap().to_owned();
    let ran = usher.run(&["events", "export", "--after", &last]).await;
    assert_eq!(ran.code, Some(0), "{}", ran.err);
    events.extend(whole(&ran.out));
    let ran = usher.run(&["events", "export", "--json"]).await;
    assert_eq!(ids(&events), ids(&whole(&ran.out)));
    assert_eq!(events.len(), 4_000);
    database.drop().await;
}

#[tokio::test]
async fn a_command_that_is_stopped_says_how_to_go_on() {
    let (mut usher, database) = installation().await;
    let process = usher.start().await;
    deliver_large(&process).await;
    let arguments = ["events", "export", "--outcome", "success"];
    let mut child = usher.command(&arguments).spawn().unwrap();
    // Nobody reads what follows, so that it waits.
    let mut out = child.stdout.take().unwrap();
    let mut got = vec![0; 4_096];
    out.read_exact(&mut got).await.unwrap();
    let pid = child.id().unwrap().to_string();
    let sent = tokio::process::Command::new("kill")
        .args(["-TERM", &pid])
        .status()
        .await;
    assert!(sent.unwrap().success());
    let read = out.read_to_end(&mut got);
    tokio::time::timeout(Duration::from_secs(30), read)
        .await
        .unwrap()
        .unwrap();
    let ended = child.wait_with_output().await.unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    let got = String::from_utf8(got).unwrap();
    assert!(!got.contains("\"complete\""));
    let told = said
        .lines()
        .find_map(|line| line.strip_prefix("to go on: usher "));
    let told = told.unwrap_or_else(|| panic!("{said}"));
    assert!(
        told.starts_with("events export --outcome success --format ndjson --after "),
        "{told}"
    );
    let rest = usher.run(&told.split(' ').collect::<Vec<_>>()).await;
    let mut events: Vec<Value> = got
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    events.extend(whole(&rest.out));
    assert_eq!(events.len(), 4_000);
    process.kill().await;
    database.drop().await;
}

#[tokio::test]
async fn a_file_is_written_whole_and_nothing_else_is_said() {
    let (mut usher, database) = installation().await;
    let process = usher.start().await;
    process.deliver(&logins(0..700)).await.unwrap();
    let file = usher.write("events.csv", "what was there before");
    let name = file.to_str().unwrap();
    let ran = usher
        .run(&["events", "export", "--format", "csv", "--out", name])
        .await;
    assert_eq!((ran.code, ran.out.as_str()), (Some(0), ""), "{ran:?}");
    assert_eq!(ran.err, "exported 700 events\n");
    let written = std::fs::read_to_string(&file).unwrap();
    assert_eq!(written.split_terminator("\r\n").count(), 701);
    let ran = usher.run(&["events", "export", "--format", "csv"]).await;
    assert_eq!((ran.out, ran.err.as_str()), (written, ""));
    let nowhere = ["events", "export", "--out", "/nowhere/events"];
    let ran = usher.run(&nowhere).await;
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        ran.err.contains("--out: could not write /nowhere/events"),
        "{ran:?}"
    );
    let full = usher.run(&["events", "export", "--out", "/dev/full"]).await;
    assert_eq!(full.code, Some(1), "{full:?}");
    process.kill().await;
    database.drop().await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_an_export_that_nobody_reads() {
    let app = app().await;
    for lines in large(3_000).chunks(400) {
        app.deliver(lines).await;
    }
    let mut answer = open(&app, EXPORT, None).await;
    let mut got = answer.chunk().await.unwrap().unwrap().to_vec();
    let asked = Instant::now();
    let database = app.stop().await;
    assert!(
        asked.elapsed() < Duration::from_secs(15),
        "{:?}",
        asked.elapsed()
    );
    let broken = loop {
        match answer.chunk().await {
            Ok(Some(bytes)) => got.extend(bytes),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broken && !String::from_utf8(got).unwrap().contains("\"complete\""));
    database.drop().await;
}

#[tokio::test]
async fn exports_are_as_many_as_may_be_and_leave_room_for_searches() {
    let app = app().await;
    for lines in large(3_000).chunks(400) {
        app.deliver(lines).await;
    }
    let mut open_ones = Vec::new();
    for _ in 0..4 {
        let answer = open(&app, EXPORT, None).await;
        assert_eq!(answer.status(), StatusCode::OK);
        open_ones.push(answer);
    }
    let refused = open(&app, EXPORT, None).await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.headers().contains_key("retry-after"));
    // They wait for their readers, and hold no connection meanwhile.
    assert_eq!(app.rows("/api/v1/events?limit=5").await.len(), 5);
    drop(open_ones);
    crate::support::eventually("a place is free", Duration::from_secs(10), async || {
        open(&app, &format!("{EXPORT}?name=nothing"), None)
            .await
            .status()
            == StatusCode::OK
    })
    .await;
    app.finish().await;
}
