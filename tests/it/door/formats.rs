//! What the ingest endpoint reads: formats, spellings of gzip, and odd values.

use std::collections::BTreeSet;

use reqwest::StatusCode;
use serde_json::Value;

use crate::door::{counts, gzip, with_signer};
use crate::support::signer::{Entry, Signer};

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
