//! The door and the record: what a sender is answered, and what is in the journal then.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::StatusCode;
use serde_json::Value;
use usher::config::{Config, VerifyPolicy};
use usher::lifecycle::Lifecycle;

use crate::support::app::{TestApp, config};
use crate::support::eventually;
use crate::support::signer::{Entry, Signer};

const FAST: Duration = Duration::from_secs(15);

/// Usher with the keys of a signer of the test's own.
async fn with_signer(change: impl FnOnce(&mut Config)) -> (TestApp, Signer) {
    let signer = Signer::new(7);
    let mut config = config(&signer.serve(&Lifecycle::new()).await);
    change(&mut config);
    (TestApp::start(config).await, signer)
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).expect("writes to memory");
    encoder.finish().expect("writes to memory")
}

fn counts(answer: &Value) -> [u64; 4] {
    ["received", "stored", "duplicates", "quarantined"].map(|member| {
        answer[member]
            .as_u64()
            .unwrap_or_else(|| panic!("no {member} in {answer}"))
    })
}

#[tokio::test]
async fn stores_an_event_once_in_whatever_format_it_comes() {
    let (app, signer) = with_signer(|_| {}).await;
    let entries: Vec<Entry> = (0..5).map(Entry::numbered).collect();
    let formats: [fn(&Signer, &Entry) -> String; 3] = [Signer::cef, Signer::json, Signer::cps];
    for (round, format) in formats.into_iter().enumerate() {
        let lines: Vec<String> = entries.iter().map(|entry| format(&signer, entry)).collect();
        let (status, answer) = app.deliver(&lines).await;
        assert_eq!(status, StatusCode::OK);
        let expected = if round == 0 {
            [5, 5, 0, 0]
        } else {
            [5, 0, 5, 0]
        };
        assert_eq!(counts(&answer), expected);
    }
    let rows = app.rows("/api/v1/events").await;
    assert_eq!(rows.len(), 5);
    for row in &rows {
        assert_eq!(row["verification"], "verified");
        assert_eq!(row["copies"], 3);
        assert_eq!(row["kind"], "authentication");
        assert_eq!(row["name"], "AUTHENTICATION_OUTCOME_SUCCESS");
        assert_eq!(row["occurred_at"], "2026-06-23T14:28:47.556Z");
        assert!(row["delivery_id"].is_string());
    }
    let traces: BTreeSet<&str> = rows
        .iter()
        .map(|row| row["trace_id"].as_str().unwrap())
        .collect();
    assert!(traces.contains("3360194145499000004"), "{traces:?}");
    app.finish().await;
}

#[tokio::test]
async fn inflates_every_spelling_of_gzip() {
    let (app, signer) = with_signer(|_| {}).await;
    let codings = [
        "gzip",
        "x-gzip",
        "application/gzip",
        "Application/X-GZIP",
        "identity",
        "",
    ];
    for (number, coding) in (0..).zip(codings) {
        let body = gzip(signer.json(&Entry::numbered(number)).as_bytes());
        let request = app.delivery(body).header("Content-Encoding", coding);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(counts(&answer), [1, 1, 0, 0], "{coding:?}");
    }
    app.finish().await;
}

#[tokio::test]
async fn answers_as_http_means_it() {
    let (app, signer) = with_signer(|config| {
        config.ingest.max_body_bytes = 2_000;
        config.ingest.max_inflated_bytes = 10_000;
    })
    .await;
    let line = signer.json(&Entry::numbered(1));
    let url = format!("{}/audit-logs", app.url);
    let with = |authorization: Option<&str>| {
        let request = app.http.post(&url).body(line.clone());
        match authorization {
            Some(value) => request.header("Authorization", value),
            None => request,
        }
    };
    for (what, request, expected) in [
        ("no authorization", with(None), 401),
        ("a wrong one", with(Some("Bearer no")), 401),
        ("the older of two", with(Some("Bearer old")), 200),
        ("another method", app.http.get(&url), 405),
        (
            "another path",
            app.http.post(format!("{}/elsewhere", app.url)),
            404,
        ),
        ("nothing", app.delivery(""), 200),
        ("empty lines", app.delivery("\n\r\n\n"), 200),
        ("not one entry", app.delivery("hello\nworld"), 400),
        (
            "one entry and noise",
            app.delivery(format!("{line}\nhello")),
            200,
        ),
        ("too large", app.delivery("x".repeat(2_001)), 413),
        ("a bomb", app.delivery(gzip(&vec![b'x'; 1_000_000])), 413),
        (
            "gzip that breaks off",
            app.delivery(gzip(line.as_bytes())[..60].to_vec()),
            500,
        ),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status().as_u16(), expected, "{what}");
        if expected >= 401 && expected != 500 {
            assert_eq!(
                response.headers()["content-type"],
                "application/problem+json",
                "{what}"
            );
        }
    }
    let kept: BTreeSet<String> = app
        .rows("/api/v1/quarantine")
        .await
        .iter()
        .map(|row| row["reason"].as_str().unwrap().to_owned())
        .collect();
    let expected = [
        "body_incomplete",
        "body_inflates_too_far",
        "body_too_large",
        "not_an_entry",
    ];
    assert_eq!(kept, expected.map(str::to_owned).into());
    let deliveries = app.rows("/api/v1/deliveries").await;
    let statuses: Vec<u64> = deliveries
        .iter()
        .map(|row| row["status"].as_u64().unwrap())
        .collect();
    assert_eq!(statuses, [500, 413, 413, 200, 400, 200, 200, 200]);
    app.finish().await;
}

#[tokio::test]
async fn keeps_the_complete_lines_of_a_body_that_breaks_off() {
    let (app, signer) = with_signer(|_| {}).await;
    let lines: Vec<String> = (0..400).map(|n| signer.json(&Entry::numbered(n))).collect();
    let body = gzip(lines.join("\n").as_bytes());
    let response = app
        .delivery(body[..body.len() - 3_000].to_vec())
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let answer: Value = response.json().await.unwrap();
    let [received, stored, ..] = counts(&answer);
    assert!(
        received > 100 && received < 400 && stored == received,
        "{answer}"
    );
    let (status, again) = app.deliver(&lines).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(counts(&again), [400, 400 - stored, stored, 0]);
    app.finish().await;
}

#[tokio::test]
async fn believes_no_forgery_and_replaces_one_that_came_first() {
    let (app, signer) = with_signer(|_| {}).await;
    let forger = signer.stranger(9);
    let entry = Entry::numbered(1);
    for (lines, verdict) in [
        (vec![forger.json(&entry)], "key_unknown"),
        (vec![entry.json()], "key_unknown"),
        (vec![signer.cef(&entry), entry.json()], "verified"),
        (vec![forger.json(&entry)], "verified"),
    ] {
        assert_eq!(app.deliver(&lines).await.0, StatusCode::OK);
        eventually(verdict, FAST, async || {
            let rows = app.rows("/api/v1/events").await;
            rows.len() == 1 && rows[0]["verification"] == verdict
        })
        .await;
    }
    // What only usher itself may say is not taken from outside, whoever signed it.
    let own = entry
        .json()
        .replace("Dev-Portal", "usher")
        .replace("AUTHENTICATION_OUTCOME_SUCCESS", "developer.signed_up");
    let (status, answer) = app.deliver(&[own]).await;
    assert_eq!((status, counts(&answer)), (StatusCode::OK, [1, 0, 0, 1]));
    assert_eq!(
        app.rows("/api/v1/quarantine").await[0]["reason"],
        "claims_own_product"
    );
    app.finish().await;
}

#[tokio::test]
async fn a_forgery_leaves_no_trace_in_what_is_verified_later() {
    let (app, signer) = with_signer(|_| {}).await;
    let entry = Entry::numbered(1);
    let forged = entry
        .json()
        .replace(
            "AUTHENTICATION_OUTCOME_SUCCESS",
            " AUTHENTICATION_OUTCOME_SUCCESS",
        )
        .replace("Dev-Portal", "DEV-PORTAL")
        .replace(&entry.principal_id, &format!("{} ", entry.principal_id));
    app.deliver(&[forged]).await;
    app.deliver(&[signer.json(&entry)]).await;
    let path = format!(
        "/api/v1/events?name=AUTHENTICATION_OUTCOME_SUCCESS&kind=authentication&principal_id={}",
        entry.principal_id
    );
    let rows = app.rows(&path).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (&rows[0]["verification"], &rows[0]["copies"]),
        (&"verified".into(), &2.into())
    );
    assert_eq!(rows[0]["event_product"], "Dev-Portal");
    app.finish().await;
}

#[tokio::test]
async fn a_signature_that_no_key_fits_displaces_nothing() {
    let (app, signer) = with_signer(|_| {}).await;
    let entry = Entry::numbered(1);
    app.deliver(&[entry.json()]).await;
    let garbage = signer.stranger(9).json(&entry).replace("Mozilla", "FORGED");
    app.deliver(&[garbage]).await;
    let rows = app.rows("/api/v1/events").await;
    assert_eq!(
        (rows.len(), &rows[0]["verification"]),
        (1, &"unsigned".into())
    );
    assert_eq!(rows[0]["user_agent"], entry.user_agent);
    app.finish().await;
}

#[tokio::test]
async fn one_entry_that_no_index_can_hold_does_not_fail_the_rest() {
    let (app, signer) = with_signer(|_| {}).await;
    let mut state = 7_u64;
    // Text that Postgres cannot compress.
    let long: String = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b'a' + u8::try_from(state >> 60).unwrap())
    })
    .take(20_000)
    .collect();
    let odd = Entry {
        principal_id: long.clone(),
        ..Entry::numbered(1)
    };
    let (status, answer) = app
        .deliver(&[signer.json(&Entry::numbered(2)), signer.json(&odd)])
        .await;
    assert_eq!((status, counts(&answer)), (StatusCode::OK, [2, 2, 0, 0]));
    let principals: Vec<usize> = app
        .rows("/api/v1/events")
        .await
        .iter()
        .map(|row| row["principal_id"].as_str().unwrap().len())
        .collect();
    assert!(
        principals.contains(&long.len()),
        "the entry's own bytes keep it whole"
    );
    app.finish().await;
}

#[tokio::test]
async fn refuses_a_body_of_a_million_entries_and_keeps_it() {
    let (app, _) = with_signer(|_| {}).await;
    let body = gzip(&b"x\n".repeat(1_000_000));
    let response = app.delivery(body.clone()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let rows = app.rows("/api/v1/quarantine").await;
    assert_eq!(
        (rows.len(), &rows[0]["reason"]),
        (1, &"too_many_entries".into())
    );
    assert_eq!(rows[0]["raw_bytes"], body.len());
    let (_, whole) = app
        .get(&format!(
            "/api/v1/quarantine/{}",
            rows[0]["id"].as_str().unwrap()
        ))
        .await;
    assert!(whole["data"]["raw_base64"].is_string());
    app.finish().await;
}

#[tokio::test]
async fn settles_an_unknown_key_once_it_is_served() {
    let (app, signer) = with_signer(|config| config.ingest.verify = VerifyPolicy::Require).await;
    let (known, rotated) = (signer.clone(), signer.stranger(8));
    let lines = [
        known.json(&Entry::numbered(1)),
        rotated.json(&Entry::numbered(2)),
        Entry::numbered(3).json(),
    ];
    rotated.serve_key();
    let (_, answer) = app.deliver(&lines).await;
    let [received, ..] = counts(&answer);
    assert_eq!(received, 3);
    eventually("the entry of the new key is stored", FAST, async || {
        app.rows("/api/v1/events?verification=verified").await.len() == 2
    })
    .await;
    let reasons: Vec<Value> = app
        .rows("/api/v1/quarantine")
        .await
        .iter()
        .map(|row| row["reason"].clone())
        .collect();
    assert_eq!(reasons, ["signature_missing"]);
    app.finish().await;
}

#[tokio::test]
async fn marks_what_reads_two_ways_and_does_not_believe_it() {
    let (app, signer) = with_signer(|_| {}).await;
    let mut entry = Entry::numbered(1);
    let victim = Entry::numbered(2).principal_id;
    entry.user_agent = format!("curl success=true principal_id={victim}");
    assert_eq!(app.deliver(&[signer.cef(&entry)]).await.0, StatusCode::OK);
    let rows = app.rows("/api/v1/events").await;
    assert_eq!(rows[0]["ambiguous"], true);
    assert_eq!(rows[0]["principal_id"], entry.principal_id);
    assert_eq!(
        app.rows(&format!("/api/v1/events?principal_id={victim}"))
            .await
            .len(),
        0
    );
    app.finish().await;
}

#[tokio::test]
async fn takes_odd_bytes_and_dates_without_failing_the_rest() {
    let (app, signer) = with_signer(|_| {}).await;
    let sound = signer.json(&Entry::numbered(1));
    let odd = |from: &str, to: &str| Entry::numbered(2).json().replace(from, to);
    let body = [
        sound.clone().into_bytes(),
        odd("172.71.232.22", "not an address").into_bytes(),
        odd("Mozilla", "NUL \\u0000 and a lone \\ud800").into_bytes(),
        odd("00000000-0000-4000-8000-000000000002", "nul\\u0000id").into_bytes(),
        odd("2026-06-23", "2019-01-01").into_bytes(),
        odd("2026-06-23", "2049-01-01").into_bytes(),
        odd("2026-06-23T14:28:47Z", "yesterday").into_bytes(),
        [b"\xff\xfe".as_slice(), sound.as_bytes()].concat(),
        sound.clone().into_bytes(),
    ]
    .join(&b'\n');
    let answer: Value = app
        .delivery(body)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    // Two of them differ only in members that identity leaves out.
    assert_eq!(answer["received"], 9, "{answer}");
    assert_eq!(answer["quarantined"], 1, "{answer}");
    assert_eq!(
        answer["stored"].as_u64().unwrap() + answer["duplicates"].as_u64().unwrap(),
        8
    );
    assert_eq!(
        app.rows("/api/v1/quarantine").await[0]["reason"],
        "invalid_utf8"
    );
    app.finish().await;
}

#[tokio::test]
async fn pages_newest_first_and_refuses_what_it_does_not_know() {
    let (app, signer) = with_signer(|_| {}).await;
    let lines: Vec<String> = (0..25).map(|n| signer.json(&Entry::numbered(n))).collect();
    app.deliver(&lines).await;
    let mut ids = BTreeSet::new();
    let mut path = Some("/api/v1/events?limit=10&kind=authentication".to_owned());
    while let Some(next) = path {
        let (_, page) = app.get(&next).await;
        for row in page["data"].as_array().unwrap() {
            assert!(
                ids.insert(row["id"].as_str().unwrap().to_owned()),
                "a row twice"
            );
        }
        path = page["meta"]["next"].as_str().map(str::to_owned);
    }
    assert_eq!(ids.len(), 25);
    let one = ids.first().unwrap();
    let (status, event) = app.get(&format!("/api/v1/events/{one}")).await;
    assert_eq!(
        (status, event["data"]["id"].as_str()),
        (StatusCode::OK, Some(one.as_str()))
    );
    for (path, detail) in [
        (
            "/api/v1/events?portal=x",
            "unknown parameter portal; known here: cursor, from, kind, limit, name, outcome, person, portal_id, principal_id, q, src, to, trace_id, verification",
        ),
        (
            "/api/v1/events?limit=0",
            "parameter limit: expected a whole number from 1 to 1000",
        ),
        (
            "/api/v1/events?from=monday",
            "parameter from: expected a time such as 2026-01-31T12:00:00Z",
        ),
        (
            "/api/v1/events?to=-9999-01-01T00:00:00Z",
            "parameter to: expected a time such as 2026-01-31T12:00:00Z",
        ),
        (
            "/api/v1/events?from=2026-06-23T14:00:00Z&to=2026-06-23T14:00:00%2B02:00",
            "parameters from, to: the window ends at 2026-06-23T12:00:00.000Z, before it starts at 2026-06-23T14:00:00.000Z",
        ),
        (
            "/api/v1/deliveries?from=2026-06-23T14:00:00Z&to=2025-06-23T14:00:00Z",
            "parameters from, to: the window ends at 2025-06-23T14:00:00.000Z, before it starts at 2026-06-23T14:00:00.000Z",
        ),
        (
            "/api/v1/quarantine?from=2026-06-23T14:00:00Z&to=2025-06-23T14:00:00Z",
            "parameters from, to: the window ends at 2025-06-23T14:00:00.000Z, before it starts at 2026-06-23T14:00:00.000Z",
        ),
        (
            "/api/v1/events?portal_id=%00",
            "parameter portal_id: NUL is no text",
        ),
        (
            "/api/v1/deliveries?cursor=x",
            "parameter cursor: expected a value from meta.next",
        ),
    ] {
        let (status, problem) = app.get(path).await;
        assert_eq!(
            (status, problem["detail"].as_str()),
            (StatusCode::BAD_REQUEST, Some(detail)),
            "{path}"
        );
    }
    // Who goes on where the last page ended may have nothing to ask for yet.
    let empty = "from=2026-06-23T14:00:00Z&to=2026-06-23T14:00:00Z";
    for list in ["events", "deliveries", "quarantine"] {
        let path = format!("/api/v1/{list}?{empty}");
        assert!(app.rows(&path).await.is_empty(), "{path}");
    }
    let open = app
        .http
        .get(format!("{}/api/v1/events", app.url))
        .send()
        .await
        .unwrap();
    assert_eq!(open.status(), StatusCode::UNAUTHORIZED);
    app.finish().await;
}

#[tokio::test]
async fn asks_the_sender_to_wait_while_the_database_is_away() {
    let (app, signer) = with_signer(|_| {}).await;
    let line = signer.json(&Entry::numbered(1));
    app.database.refuse().await;
    let started = std::time::Instant::now();
    let response = app.delivery(line.clone()).send().await.unwrap();
    assert!(
        started.elapsed() < Duration::from_secs(10),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "30");
    eventually("readiness says so", FAST, async || {
        let answer = app
            .http
            .get(format!("{}/readyz", app.url))
            .send()
            .await
            .unwrap();
        answer.status() == StatusCode::SERVICE_UNAVAILABLE
    })
    .await;
    app.database.allow().await;
    eventually("deliveries are taken again", FAST, async || {
        app.delivery(line.clone()).send().await.unwrap().status() == StatusCode::OK
    })
    .await;
    app.finish().await;
}

#[tokio::test]
async fn a_database_that_takes_no_writes_counts_as_away() {
    let (app, signer) = with_signer(|_| {}).await;
    let line = signer.json(&Entry::numbered(1));
    app.database.set_read_only(true).await;
    eventually("readiness says so", FAST, async || {
        let answer = app
            .http
            .get(format!("{}/readyz", app.url))
            .send()
            .await
            .unwrap();
        answer.status() == StatusCode::SERVICE_UNAVAILABLE
    })
    .await;
    let response = app.delivery(line.clone()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    app.database.set_read_only(false).await;
    eventually("deliveries are taken again", FAST, async || {
        app.delivery(line.clone()).send().await.unwrap().status() == StatusCode::OK
    })
    .await;
    app.finish().await;
}

#[tokio::test]
async fn loses_nothing_over_a_restart() {
    let (app, signer) = with_signer(|_| {}).await;
    let lines: Vec<String> = (0..50).map(|n| signer.json(&Entry::numbered(n))).collect();
    assert_eq!(app.deliver(&lines).await.0, StatusCode::OK);
    let database = app.stop().await;
    let app = TestApp::start_on(config(&signer.serve(&Lifecycle::new()).await), database).await;
    assert_eq!(counts(&app.deliver(&lines).await.1), [50, 0, 50, 0]);
    app.finish().await;
}
