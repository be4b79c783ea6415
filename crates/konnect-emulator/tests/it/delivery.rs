//! Deliveries: format, coding, signature, retries and what the webhook's status says of them.

use serde_json::{Value, json};

use crate::support::{Konnect, Receiver, cut_signature, wait_until};

async fn inject(konnect: &Konnect, portal: &str, count: usize) {
    let entries: Vec<Value> = (0..count)
        .map(|number| json!({"principal_id": format!("p{number}")}))
        .collect();
    let body = json!({"portal_id": portal, "entries": entries});
    konnect.expect(200, "POST", "/emulator/entries", body).await;
}

fn webhook(portal: &str) -> String {
    format!("/v3/portals/{portal}/audit-log-webhook")
}

#[tokio::test]
async fn delivers_every_format_compressed_and_signed() {
    for format in ["cef", "json", "cps"] {
        let (konnect, portal) = Konnect::with_portal(json!({})).await;
        let receiver = Receiver::start().await;
        konnect
            .subscribe(&webhook(&portal), &receiver, format)
            .await;
        inject(&konnect, &portal, 3).await;
        let lines = receiver.wait_for_lines(3).await;
        let headers = receiver.received()[0].headers.clone();
        assert_eq!(headers["content-encoding"], "application/gzip");
        assert_eq!(headers["content-type"], "text/plain");
        assert_eq!(headers["authorization"], "Splunk s3cret");
        for line in lines {
            let (signed, signature) = cut_signature(&line, format);
            assert!(
                konnect.verifies(signed.as_bytes(), &signature).await,
                "{line}"
            );
            let tampered = signed
                .replacen("p0", "p9", 1)
                .replacen("p1", "p9", 1)
                .replacen("p2", "p9", 1);
            assert!(!konnect.verifies(tampered.as_bytes(), &signature).await);
        }
    }
}

#[tokio::test]
async fn json_members_are_sorted_and_keep_their_documented_types() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let receiver = Receiver::start().await;
    konnect
        .subscribe(&webhook(&portal), &receiver, "json")
        .await;
    let url = format!(
        "{}/portal/{portal}/api/v3/developer/authenticate",
        konnect.emulator.url()
    );
    let form = json!({"username": "x@x.example", "password": "x"});
    konnect.client.post(url).json(&form).send().await.unwrap();
    let line = receiver.wait_for_lines(1).await.remove(0);
    let names: Vec<&str> = line
        .split(",\"")
        .map(|part| part.trim_start_matches("{\"").split('"').next().unwrap())
        .collect();
    let mut sorted = names[..names.len() - 1].to_vec();
    sorted.sort_unstable();
    assert_eq!(names[..names.len() - 1], sorted);
    assert_eq!(*names.last().unwrap(), "sig");
    let entry: Value = serde_json::from_str(&line).unwrap();
    assert!(
        entry["rt"].is_string() && entry["success"].is_string() && entry["cef_version"].is_u64()
    );
    assert!(entry["trace_id"].as_u64().unwrap() > 1 << 53);
}

#[tokio::test]
async fn retries_by_konnects_rules_and_reports_the_last_attempt() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let receiver = Receiver::start().await;
    konnect
        .subscribe(&webhook(&portal), &receiver, "json")
        .await;
    let status = format!("{}/status", webhook(&portal));
    assert_eq!(
        konnect.expect(200, "GET", &status, Value::Null).await,
        json!({"webhook_enabled": true, "webhook_status": "active"})
    );
    receiver.answer_next([(500, ""), (429, "1"), (503, ""), (200, "")]);
    inject(&konnect, &portal, 1).await;
    wait_until("the fourth attempt is done", async || {
        konnect.emulator.deliveries().len() == 4
    })
    .await;
    let attempts: Vec<_> = konnect
        .emulator
        .deliveries()
        .iter()
        .map(|attempt| (attempt.attempt, attempt.status.unwrap()))
        .collect();
    assert_eq!(attempts, [(1, 500), (2, 429), (3, 503), (4, 200)]);
    assert_eq!(receiver.lines().len(), 4);
    let shown = konnect.expect(200, "GET", &status, Value::Null).await;
    assert_eq!(
        (&shown["webhook_status"], &shown["last_response_code"]),
        (&json!("active"), &json!(200))
    );

    receiver.answer_next([(401, "")]);
    inject(&konnect, &portal, 1).await;
    wait_until("the refusal is noted", async || {
        konnect.emulator.deliveries().len() == 5
    })
    .await;
    let shown = konnect.expect(200, "GET", &status, Value::Null).await;
    assert_eq!(
        (&shown["webhook_status"], &shown["last_response_message"]),
        (&json!("inactive"), &json!("Unauthorized"))
    );

    receiver.answer_next([(500, ""); 5]);
    inject(&konnect, &portal, 1).await;
    wait_until("it gives up", async || {
        konnect.emulator.deliveries().len() == 10
    })
    .await;
    inject(&konnect, &portal, 1).await;
    wait_until("the next batch comes", async || {
        konnect.emulator.deliveries().len() == 11
    })
    .await;
    assert_eq!(
        konnect.expect(200, "GET", &status, Value::Null).await["webhook_status"],
        "active"
    );
}

#[tokio::test]
async fn an_unreachable_receiver_is_tried_five_times() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let destination = json!({"name": "x", "endpoint": "http://127.0.0.1:9/", "authorization": "x"});
    let made = konnect
        .expect(201, "POST", "/v3/audit-log-destinations", destination)
        .await;
    let bind = json!({"audit_log_destination_id": made["id"], "enabled": true});
    konnect.expect(200, "PATCH", &webhook(&portal), bind).await;
    inject(&konnect, &portal, 1).await;
    wait_until("five attempts are done", async || {
        konnect.emulator.deliveries().len() == 5
    })
    .await;
    assert!(
        konnect
            .emulator
            .deliveries()
            .iter()
            .all(|attempt| attempt.status.is_none())
    );
    let shown = konnect
        .expect(
            200,
            "GET",
            &format!("{}/status", webhook(&portal)),
            Value::Null,
        )
        .await;
    assert_eq!(
        (&shown["webhook_status"], shown.get("last_response_code")),
        (&json!("inactive"), None)
    );
}

#[tokio::test]
async fn the_way_of_delivery_can_be_set() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let receiver = Receiver::start().await;
    konnect
        .subscribe(&webhook(&portal), &receiver, "json")
        .await;
    let settings = json!({"content_encoding": "none", "signing": false, "batch_size": 2, "trailing_newline": true});
    konnect
        .expect(200, "PUT", "/emulator/delivery", settings)
        .await;
    inject(&konnect, &portal, 5).await;
    receiver.wait_for_lines(5).await;
    let requests = receiver.received();
    assert_eq!(
        requests
            .iter()
            .map(|request| request.lines.len())
            .collect::<Vec<_>>(),
        [2, 2, 1]
    );
    assert!(requests.iter().all(|request| request.text.ends_with('\n')));
    assert!(
        requests
            .iter()
            .all(|request| !request.headers.contains_key("content-encoding"))
    );
    assert!(!requests[0].text.contains("\"sig\""));
    konnect
        .expect(
            400,
            "PUT",
            "/emulator/delivery",
            json!({"content_encoding": "br"}),
        )
        .await;
    konnect
        .expect(400, "PUT", "/emulator/delivery", json!({"speed": 1}))
        .await;
}

#[tokio::test]
async fn entries_of_an_unknown_portal_are_refused() {
    let konnect = Konnect::start().await;
    let body = json!({"portal_id": "11111111-2222-4333-8444-555555555555", "entries": [{}]});
    konnect.expect(400, "POST", "/emulator/entries", body).await;
}

#[tokio::test]
async fn a_rotated_key_signs_and_the_old_one_stays_unless_dropped() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let receiver = Receiver::start().await;
    konnect
        .subscribe(&webhook(&portal), &receiver, "json")
        .await;
    inject(&konnect, &portal, 1).await;
    let (old, old_signature) = cut_signature(&receiver.wait_for_lines(1).await[0], "json");
    konnect
        .expect(200, "POST", "/emulator/keys/rotate", Value::Null)
        .await;
    assert!(konnect.verifies(old.as_bytes(), &old_signature).await);
    konnect
        .expect(
            200,
            "POST",
            "/emulator/keys/rotate",
            json!({"drop_old": true}),
        )
        .await;
    assert!(!konnect.verifies(old.as_bytes(), &old_signature).await);
    inject(&konnect, &portal, 1).await;
    let (new, new_signature) = cut_signature(&receiver.wait_for_lines(2).await[1], "json");
    assert!(konnect.verifies(new.as_bytes(), &new_signature).await);
}

#[tokio::test]
async fn no_change_leaves_the_organisations_webhook_without_the_destination_that_it_must_show() {
    const PATH: &str = "/v3/audit-log-webhook";
    let konnect = Konnect::start().await;
    let receiver = Receiver::start().await;
    let without = [
        json!({}),
        json!({"enabled": false}),
        json!({"enabled": true}),
        json!({"audit_log_destination_id": null}),
    ];
    for change in &without {
        konnect.expect(400, "PATCH", PATH, change.clone()).await;
    }
    konnect.subscribe(PATH, &receiver, "json").await;
    let shown = konnect.expect(200, "GET", PATH, Value::Null).await;
    konnect.expect(400, "PATCH", PATH, without[3].clone()).await;
    assert_eq!(konnect.expect(200, "GET", PATH, Value::Null).await, shown);
    let off = konnect.expect(200, "PATCH", PATH, without[1].clone()).await;
    assert_eq!(off["enabled"], false);
    assert_eq!(
        off["audit_log_destination_id"],
        shown["audit_log_destination_id"]
    );
}

#[tokio::test]
async fn management_calls_reach_the_organisations_webhook_and_the_pull_api() {
    let konnect = Konnect::start().await;
    let receiver = Receiver::start().await;
    konnect
        .expect(404, "GET", "/v3/audit-log-webhook", Value::Null)
        .await;
    konnect
        .subscribe("/v3/audit-log-webhook", &receiver, "json")
        .await;
    konnect
        .expect(201, "POST", "/v3/portals?x=1", json!({"name": "Main"}))
        .await;
    let is_ours = |line: &&String| line.contains("\"request\":\"/v3/portals\"");
    wait_until("the call arrives", async || {
        receiver.lines().iter().any(|line| is_ours(&line))
    })
    .await;
    let lines = receiver.lines();
    let access: Value = serde_json::from_str(lines.iter().find(is_ours).unwrap()).unwrap();
    assert_eq!(
        json!([
            access["name"],
            access["act"],
            access["status"],
            access["query"],
            access["event_product"]
        ]),
        json!(["Ingress", "POST", 201, "{\"x\":\"1\"}", "Konnect"])
    );
    let check = lines
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .find(|entry| entry["trace_id"] == access["trace_id"] && entry["name"] == "Authz.portals")
        .unwrap();
    assert_eq!(
        (&check["action"], &check["granted"]),
        (&json!("create"), &json!(true))
    );

    let path = "/v3/audit-logs?filter[type]=gateway_access&page[size]=1";
    let page = konnect.expect(200, "GET", path, Value::Null).await;
    assert_eq!(
        (&page["data"][0]["uri"], &page["data"][0]["status_code"]),
        (&json!("/v3/portals"), &json!(201))
    );
    assert_eq!(
        page["data"][0]["trace_id"],
        json!(access["trace_id"].to_string())
    );
    let next = konnect
        .expect(
            200,
            "GET",
            page["meta"]["page"]["next"].as_str().unwrap(),
            Value::Null,
        )
        .await;
    assert_eq!(next["data"][0]["type"], "gateway_access");
}
