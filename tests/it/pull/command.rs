//! `usher pull` as people call it, and `backfill.org_logs` of `serve`.

use std::time::Duration;

use chrono::TimeDelta;
use reqwest::StatusCode;
use serde_json::{Value, json};
use usher::clock::Clock;
use usher::config::{OrgLogs, Secret};

use crate::pull::access;
use crate::support::app::{TestApp, config};
use crate::support::database::TestDatabase;
use crate::support::eventually;
use crate::support::konnect::TestKonnect;
use crate::support::process::{Installation, settings};

/// Makes a call of `minutes` ago happen in the organisation.
fn happen(konnect: &TestKonnect, minutes: i64, trace: u64) {
    let at = Clock::system().now() - TimeDelta::minutes(minutes);
    let entry = access(at, trace).as_object().unwrap().clone();
    konnect.emulator.inject(None, &[entry]).unwrap();
}

#[tokio::test]
async fn a_window_is_pulled_and_summed_up_and_what_cannot_be_is_refused() {
    let konnect = TestKonnect::start().await;
    for trace in 1..=3 {
        happen(&konnect, 30, trace);
    }
    let database = TestDatabase::create().await;
    let mut settings = settings(&database, &konnect.url);
    settings["konnect"]["token"] = json!(konnect.emulator.token());
    let usher = Installation::new(&settings);
    let migrated = usher.run(&["migrate"]).await;
    assert_eq!(migrated.code, Some(0), "{migrated:?}");

    let window = ["pull", "--from", "7d", "--to", "0s"];
    let pulled = usher
        .run(&[&window[..], &["--json"]].concat())
        .await
        .lines(0);
    let [summary] = pulled.as_slice() else {
        panic!("one line: {pulled:?}")
    };
    let counts = [
        "pages",
        "entries",
        "stored",
        "duplicates",
        "matched",
        "quarantined",
    ];
    let counts = counts.map(|name| summary[name].as_u64().unwrap());
    assert_eq!(counts, [1, 3, 3, 0, 0, 0], "{summary}");
    assert!(summary["from"].is_string() && summary["to"].is_string());
    let again = usher
        .run(&[&window[..], &["--kind", "gateway_access"]].concat())
        .await;
    assert_eq!(again.code, Some(0), "{again:?}");
    assert!(
        again.out.starts_with("3 entries on 1 page from 20"),
        "{again:?}"
    );
    assert!(
        again
            .out
            .contains("0 stored, 3 known, 0 brought by the webhook"),
        "{again:?}"
    );

    refuse_windows(&usher, &konnect).await;
    settings["konnect"]["token"] = json!("kpat_wrong");
    usher.configure(&settings);
    let refused = usher.run(&window).await;
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(
        refused.err.contains("does not accept the token (401)"),
        "{refused:?}"
    );
    settings["konnect"].as_object_mut().unwrap().remove("token");
    settings["backfill"] = json!({ "org_logs": "pull" });
    usher.configure(&settings);
    for command in [&window[..], &["serve"]] {
        let refused = usher.run(command).await;
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.err.contains("konnect.token"), "{refused:?}");
    }
    database.drop().await;
}

/// Asserts that what cannot be pulled is refused before any call.
async fn refuse_windows(usher: &Installation, konnect: &TestKonnect) {
    let cases: [(&[&str], &str); 6] = [
        (&["--from", "1h", "--to", "2h"], "before it starts at"),
        (&["--from", "1h", "--to", "1h"], "the window is empty"),
        (&["--from", "8d", "--to", "1h"], "the earliest start is"),
        (
            &["--from", "1h", "--to", "2999-01-01T00:00:00Z"],
            "`--to 0s` is now",
        ),
        (&["--from", "1h"], "--to"),
        (
            &["--from", "1h", "--to", "0s", "--kind", "x"],
            "authentication, authorization, access",
        ),
    ];
    konnect.emulator.clear_requests();
    for (arguments, said) in cases {
        let refused = usher.run(&[&["pull"], arguments].concat()).await;
        assert_eq!(refused.code, Some(2), "{arguments:?}: {refused:?}");
        assert!(refused.err.contains(said), "{arguments:?}: {refused:?}");
        assert!(refused.out.is_empty(), "{arguments:?}");
    }
    assert_eq!(konnect.emulator.requests().len(), 0);
}

#[tokio::test]
async fn serve_pulls_what_is_new() {
    let konnect = TestKonnect::start().await;
    happen(&konnect, 10, 1);
    let mut config = config(&konnect.url);
    config.konnect.token = Some(Secret::new(konnect.emulator.token().to_owned()));
    config.backfill.org_logs = OrgLogs::Pull;
    let usher = TestApp::start(config).await;
    let mut rows: Vec<Value> = Vec::new();
    eventually("it is pulled", Duration::from_secs(20), async || {
        rows = usher.rows("/api/v1/events?kind=access").await;
        !rows.is_empty()
    })
    .await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0]["request"], "/v3/portals");
    assert_eq!(rows[0]["verification"], "not_applicable");
    eventually("it says how far", Duration::from_secs(20), async || {
        let (status, body) = usher.get("/readyz").await;
        assert_eq!(status, StatusCode::OK);
        let part = &body["parts"]["pull"];
        part["status"] == "ok" && part["detail"].as_str().unwrap().starts_with("pulled up to")
    })
    .await;
    usher.finish().await;
}
