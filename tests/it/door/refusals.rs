//! What the ingest endpoint answers, and what it keeps of a body that it refuses.

use std::collections::BTreeSet;

use reqwest::StatusCode;
use serde_json::Value;

use crate::door::{counts, gzip, with_signer};
use crate::support::signer::Entry;

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
