//! What was taken, as the API lists it: newest first, page by page.

use std::collections::BTreeSet;

use reqwest::StatusCode;

use crate::door::with_signer;
use crate::support::signer::Entry;

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
