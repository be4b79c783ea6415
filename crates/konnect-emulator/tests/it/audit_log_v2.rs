//! Version 2 of the audit-log API, which Kong's own programs still use beside version 3.

use serde_json::{Value, json};

use crate::support::Konnect;

const WEBHOOK: &str = "/v2/audit-log-webhook";
const DESTINATIONS: &str = "/v2/audit-log-destinations";

#[tokio::test]
async fn what_is_wrong_with_a_call_is_named() {
    let konnect = Konnect::start().await;
    let endpoint = "https://sink.example/logs";
    for (method, path, body, fields) in [
        (
            "PATCH",
            WEBHOOK,
            json!({ "enabled": true }),
            "endpoint authorization",
        ),
        (
            "PATCH",
            WEBHOOK,
            json!({ "log_format": "json" }),
            "endpoint authorization",
        ),
        (
            "PATCH",
            WEBHOOK,
            json!({ "endpoint": endpoint }),
            "authorization",
        ),
        ("PATCH", WEBHOOK, json!({ "endpoint": "sink" }), "endpoint"),
        (
            "PATCH",
            WEBHOOK,
            json!({ "endpoint": "", "enabled": "yes" }),
            "endpoint enabled",
        ),
        (
            "PATCH",
            WEBHOOK,
            json!({ "log_format": "xml" }),
            "log_format",
        ),
        (
            "PATCH",
            WEBHOOK,
            json!({ "authorization": 7 }),
            "authorization",
        ),
        (
            "POST",
            DESTINATIONS,
            json!({}),
            "name endpoint authorization",
        ),
        (
            "POST",
            DESTINATIONS,
            json!({ "name": "n", "endpoint": "ftp://x", "authorization": "" }),
            "endpoint authorization",
        ),
        (
            "PUT",
            "/v2/audit-log-replay-job",
            json!({}),
            "start_at end_at",
        ),
        (
            "PUT",
            "/v2/audit-log-replay-job",
            json!({ "start_at": "x", "end_at": 1 }),
            "start_at end_at",
        ),
    ] {
        let refused = konnect.expect(400, method, path, body.clone()).await;
        let named = refused["invalid_parameters"].as_array().unwrap();
        let named: Vec<_> = named
            .iter()
            .map(|one| one["field"].as_str().unwrap())
            .collect();
        assert_eq!(named.join(" "), fields, "{method} {path} {body}: {refused}");
    }
    let untouched = konnect.expect(200, "GET", WEBHOOK, Value::Null).await;
    assert_eq!(
        untouched,
        json!({ "endpoint": "unconfigured", "enabled": false })
    );
    let none = konnect.expect(200, "GET", DESTINATIONS, Value::Null).await;
    assert_eq!(none["data"], json!([]));
}

/// The way of kongctl's listener: guard, make, bind, release, delete.
#[tokio::test]
async fn a_destination_is_bound_by_the_newer_version_and_released_by_the_older() {
    let konnect = Konnect::start().await;
    let sink = json!({
        "name": "listener", "endpoint": "https://sink.example", "authorization": "Bearer s3cret",
    });
    let made = konnect.expect(201, "POST", DESTINATIONS, sink).await;
    assert_eq!(made["log_format"], "cef", "left out, as Terraform does");
    let one = format!("{DESTINATIONS}/{}", made["id"].as_str().unwrap());
    let bind = json!({ "audit_log_destination_id": made["id"], "enabled": true });
    konnect
        .expect(200, "PATCH", "/v3/audit-log-webhook", bind)
        .await;
    let shown = konnect.expect(200, "GET", WEBHOOK, Value::Null).await;
    assert_eq!(
        (&shown["endpoint"], &shown["enabled"]),
        (&made["endpoint"], &json!(true))
    );
    let kept = konnect.expect(409, "DELETE", &one, Value::Null).await;
    assert_eq!(kept["detail"], "destination is in use");

    let changed = json!({ "enabled": false, "log_format": "json" });
    let shown = konnect.expect(200, "PATCH", WEBHOOK, changed).await;
    assert_eq!(
        (&shown["log_format"], &shown["enabled"]),
        (&json!("json"), &json!(false))
    );
    let through = konnect.expect(200, "GET", &one, Value::Null).await;
    assert_eq!(through["log_format"], "json");
    konnect.expect(204, "DELETE", WEBHOOK, Value::Null).await;
    konnect.expect(404, "DELETE", WEBHOOK, Value::Null).await;
    let status = format!("{WEBHOOK}/status");
    let idle = konnect.expect(200, "GET", &status, Value::Null).await;
    assert_eq!(
        idle,
        json!({ "webhook_enabled": false }),
        "no word of the enum fits"
    );
    konnect.expect(204, "DELETE", &one, Value::Null).await;
    konnect.expect(404, "GET", &one, Value::Null).await;
}

#[tokio::test]
async fn links_of_a_list_stay_in_the_version_that_was_asked() {
    let konnect = Konnect::start().await;
    for number in 0..2 {
        let sink = json!({
            "name": format!("n{number}"), "endpoint": "https://sink.example",
            "authorization": "Bearer s3cret",
        });
        konnect.expect(201, "POST", DESTINATIONS, sink).await;
    }
    let page = format!("{DESTINATIONS}?page[size]=1&filter[name][contains]=n");
    let first = konnect.expect(200, "GET", &page, Value::Null).await;
    let next = first["meta"]["next"].as_str().unwrap();
    assert!(next.starts_with(DESTINATIONS), "{next}");
    let second = konnect.expect(200, "GET", next, Value::Null).await;
    assert_ne!(first["data"][0]["id"], second["data"][0]["id"]);
    assert_eq!(second["meta"]["next"], Value::Null);
}
