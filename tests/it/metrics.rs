//! `/metrics` of a running usher: what is promised is there and true, and no sender makes it grow.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;
use usher::clock::Clock;
use usher::config::Secret;
use usher::lifecycle::Lifecycle;
use usher::telemetry;

use crate::support::app::{AUTHORIZATION, config, serve};
use crate::support::database::TestDatabase;
use crate::support::eventually;
use crate::support::process::{Installation, settings};
use crate::support::signer::{Entry, Signer};

const SOON: Duration = Duration::from_secs(30);

/// Every sample by its name with labels.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

#[tokio::test]
async fn a_delivery_is_counted_as_what_became_of_it() {
    let signer = Signer::new(7);
    let lifecycle = Lifecycle::new();
    let database = TestDatabase::create().await;
    let mut usher = Installation::new(&settings(&database, &signer.serve(&lifecycle).await));
    let process = usher.start().await;
    let lines = [
        signer.json(&Entry::numbered(1)),
        signer.json(&Entry::numbered(2)),
        signer.cef(&Entry::numbered(2)),
        Entry::numbered(3).json(),
        "no entry".to_owned(),
    ];
    assert_eq!(process.deliver(&lines).await.unwrap(), 200);
    assert_eq!(process.deliver(&lines[..1]).await.unwrap(), 200);
    eventually("the age of the keys is told", SOON, async || {
        samples(&process.metrics().await).contains_key("usher_jwks_age_seconds")
    })
    .await;
    let samples = samples(&process.metrics().await);
    for (name, expected) in [
        ("usher_deliveries_total{status=\"200\"}", 2.0),
        ("usher_entries_received_total", 6.0),
        ("usher_events_stored_total", 3.0),
        ("usher_events_duplicate_total", 2.0),
        (
            "usher_entries_quarantined_total{reason=\"not_an_entry\"}",
            1.0,
        ),
        ("usher_verdicts_total{verdict=\"verified\"}", 4.0),
        ("usher_verdicts_total{verdict=\"unsigned\"}", 1.0),
        ("usher_batch_entries_sum", 6.0),
        ("usher_batch_entries_count", 2.0),
        ("usher_batch_entries_bucket{le=\"1\"}", 1.0),
        ("usher_batch_entries_bucket{le=\"10\"}", 2.0),
        ("usher_commit_duration_seconds_count", 2.0),
        ("usher_commit_duration_seconds_bucket{le=\"+Inf\"}", 2.0),
        ("usher_actions_paused_by_hand", 0.0),
    ] {
        assert_eq!(samples.get(name), Some(&expected), "{name} in {samples:#?}");
    }
    assert!(samples["usher_commit_duration_seconds_sum"] > 0.0);
    let age = samples["usher_jwks_age_seconds"];
    assert!((0.0..3_600.0).contains(&age), "{age}");
    process.kill().await;
    database.drop().await;
}

#[tokio::test]
async fn an_empty_spool_is_told_as_such() {
    let database = TestDatabase::create().await;
    let spool = TempDir::new().unwrap();
    let mut settings = settings(&database, "http://127.0.0.1:9");
    settings["spool"] = json!({ "dir": spool.path() });
    let mut usher = Installation::new(&settings);
    let process = usher.start().await;
    let samples = samples(&process.metrics().await);
    for name in [
        "usher_spool_bytes",
        "usher_spool_files",
        "usher_spool_files_aside",
    ] {
        assert_eq!(samples.get(name), Some(&0.0), "{name} in {samples:#?}");
    }
    process.kill().await;
    database.drop().await;
}

#[tokio::test]
async fn no_sender_makes_the_label_sets_grow() {
    let signer = Signer::new(7);
    let lifecycle = Lifecycle::new();
    let database = TestDatabase::create().await;
    let mut usher = Installation::new(&settings(&database, &signer.serve(&lifecycle).await));
    let process = usher.start().await;
    let http = reqwest::Client::builder().timeout(SOON).build().unwrap();
    let storm = async |round: u32| {
        let url = &process.url;
        for number in 0..40 {
            let mark = format!("r{round}n{number}");
            let method = reqwest::Method::from_bytes(mark.to_uppercase().as_bytes()).unwrap();
            let hostile = [
                Entry::numbered(1)
                    .json()
                    .replace("AUTHENTICATION_OUTCOME_SUCCESS", &mark),
                Entry::numbered(2).json().replace("Dev-Portal", &mark),
                Entry::numbered(3).json().replace("3e551b39", &mark),
                Entry::numbered(4).cef().replace("KongInc", &mark),
                format!("{mark} is no entry"),
                format!("{{\"{mark}\":"),
                "\u{1}\u{fffd}\"\\".to_owned(),
            ];
            process.deliver(&hostile).await.unwrap();
            for request in [
                http.post(format!("{url}/audit-logs"))
                    .header("Authorization", &mark),
                http.post(format!("{url}/audit-logs"))
                    .header("Authorization", AUTHORIZATION)
                    .header("Content-Encoding", &mark)
                    .body(mark.clone()),
                http.request(method, format!("{url}/audit-logs")),
                http.get(format!("{url}/{mark}")),
                http.get(format!("{url}/api/v1/{mark}?{mark}={mark}")),
            ] {
                request.send().await.unwrap();
            }
        }
    };
    let names = async || {
        let text = process.metrics().await;
        for number in 0..40 {
            assert!(!text.contains(&format!("n{number}\"")), "{text}");
        }
        samples(&text).into_keys().collect::<BTreeSet<String>>()
    };
    storm(0).await;
    let before = names().await;
    storm(1).await;
    let grown: Vec<String> = names().await.difference(&before).cloned().collect();
    // What comes with time is not what a sender chose.
    let known = [
        "usher_jwks_age_seconds",
        "usher_partitions",
        "usher_outbox",
        "usher_alerts",
        "usher_coverage",
        "usher_readers",
    ];
    let grown = grown
        .iter()
        .filter(|name| !known.iter().any(|known| name.starts_with(known)));
    assert_eq!(grown.collect::<Vec<_>>(), Vec::<&String>::new());
    process.kill().await;
    database.drop().await;
}

/// Without the upkeep that serving runs, the exporter keeps each observation until somebody
/// scrapes: 160 MB here.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_million_observations_that_nobody_scrapes_take_no_room() {
    const AT_ONCE: u32 = 100_000;
    const NAME: &str = "metrics::ten_million_observations_that_nobody_scrapes_take_no_room";
    // In a process of its own: what other tests allocate must not count.
    if !std::env::args().any(|argument| argument == "--exact") {
        let this = std::env::current_exe().unwrap();
        let alone = Command::new(this).args(["--exact", NAME]).output().await;
        let said = String::from_utf8(alone.unwrap().stdout).unwrap();
        assert!(said.contains("1 passed"), "{said}");
        return;
    }
    let recorder = telemetry::metrics::recorder().unwrap();
    let handle = recorder.handle();
    // No database is needed for it.
    let mut config = config("http://127.0.0.1:9");
    config.database.url = Some(Secret::new("postgres://usher@127.0.0.1:9/none".to_owned()));
    let serving = serve(config, Clock::system(), Some(handle.clone())).await;
    let before = resident_kib();
    // A hundred thousand in each tick: ten million in about six seconds.
    let mut ticks = tokio::time::interval(Duration::from_millis(60));
    for _ in 0..100 {
        ticks.tick().await;
        metrics::with_local_recorder(&recorder, || {
            let entries = metrics::histogram!(telemetry::metrics::BATCH_ENTRIES);
            (0..AT_ONCE).for_each(|_| entries.record(1.0));
        });
    }
    let grown = resident_kib().saturating_sub(before);
    assert!(grown < 100 * 1024, "{grown} KiB more");
    // The exporter may lose one that comes at the very moment of its upkeep, as at that of a
    // scrape.
    let counted = samples(&handle.render())["usher_batch_entries_count"];
    assert!((9_999_000.0..=10_000_000.0).contains(&counted), "{counted}");
    serving.end.cancel();
    serving.lifecycle.stopping().cancelled().await;
    serving.lifecycle.shut_down().await;
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}
