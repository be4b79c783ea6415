//! What the ingest endpoint believes: forgeries, unknown keys, and entries that read two ways.

use reqwest::StatusCode;
use serde_json::Value;
use usher::config::VerifyPolicy;

use crate::door::{FAST, counts, with_signer};
use crate::support::eventually;
use crate::support::signer::Entry;

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
