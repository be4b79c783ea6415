//! Faults, the journal and the emulator's own life.

use std::time::{Duration, Instant};

use konnect_emulator::{Emulator, Fault, RequestFilter, Seed};
use serde_json::{Value, json};

use crate::support::Konnect;

#[tokio::test]
async fn faults_come_in_order_and_run_out() {
    let konnect = Konnect::start().await;
    let faults = json!([
        {"path": "/v3/portals", "status": 429, "headers": {"Retry-After": "3"}, "times": 1},
        {"path": "/v3/*", "status": 500, "times": 1},
        {"path": "/v3/", "status": 200, "body": "<html>", "times": 1},
    ]);
    konnect
        .expect(200, "POST", "/emulator/faults", faults)
        .await;
    let limited = konnect.request("GET", "/v3/portals").send().await.unwrap();
    assert_eq!(
        (limited.status().as_u16(), &limited.headers()["retry-after"]),
        (429, &"3".parse().unwrap())
    );
    assert_eq!(
        limited.text().await.unwrap(),
        "{\"message\":\"API rate limit exceeded\"}"
    );
    konnect.expect(500, "GET", "/v3/portals", Value::Null).await;
    let odd = konnect.request("GET", "/v3/portals").send().await.unwrap();
    assert_eq!(
        (odd.status().as_u16(), odd.text().await.unwrap().as_str()),
        (200, "<html>")
    );
    konnect.expect(200, "GET", "/v3/portals", Value::Null).await;
    for wrong in [
        json!([{"statuss": 1}]),
        json!({"status": 99}),
        json!({"share": 1.5}),
        json!({"times": 0}),
        json!({"limit": {"calls": 1, "per_ms": 0}}),
        json!({"headers": {"not a header": "x"}}),
    ] {
        konnect.expect(400, "POST", "/emulator/faults", wrong).await;
    }
}

#[tokio::test]
async fn a_cut_connection_gives_no_answer_and_may_come_after_the_deed() {
    let konnect = Konnect::start().await;
    let cut = Fault {
        cut: true,
        after: true,
        method: Some("POST".to_owned()),
        ..Fault::default()
    };
    konnect.emulator.set_faults([cut]);
    let sent = konnect
        .request("POST", "/v3/portals")
        .json(&json!({"name": "Main"}))
        .send()
        .await;
    assert!(sent.unwrap_err().status().is_none());
    konnect
        .expect(204, "DELETE", "/emulator/faults", Value::Null)
        .await;
    let listed = konnect.expect(200, "GET", "/v3/portals", Value::Null).await;
    assert_eq!(listed["data"][0]["name"], "Main");
    assert_eq!(konnect.emulator.requests()[0].status, 0);
}

#[tokio::test]
async fn a_slow_answer_is_still_the_answer() {
    let konnect = Konnect::start().await;
    konnect.emulator.set_faults([Fault {
        latency_ms: 60,
        ..Fault::default()
    }]);
    let start = Instant::now();
    konnect.expect(200, "GET", "/v3/portals", Value::Null).await;
    assert!(start.elapsed() >= Duration::from_millis(60));
}

#[tokio::test]
async fn the_journal_holds_what_was_asked_and_answered() {
    let konnect = Konnect::start().await;
    konnect
        .expect(201, "POST", "/v3/portals?a=b", json!({"name": "Main"}))
        .await;
    konnect.expect(404, "GET", "/v3/nothing", Value::Null).await;
    let logged = konnect.emulator.requests();
    assert_eq!(logged.len(), 2, "control calls are not part of it");
    assert_eq!(
        (logged[0].method.as_str(), logged[0].path.as_str()),
        ("POST", "/v3/portals")
    );
    assert_eq!((logged[0].query.as_str(), logged[0].status), ("a=b", 201));
    assert_eq!(logged[0].body, json!({"name": "Main"}));
    let found = konnect
        .expect(
            200,
            "GET",
            "/emulator/requests?method=post&path=/v3/",
            Value::Null,
        )
        .await;
    assert_eq!(found.as_array().unwrap().len(), 1);
    for (query, expected) in [("status=404", 1), ("status=2xx", 1), ("status=5xx", 0)] {
        let path = format!("/emulator/requests?{query}");
        let found = konnect.expect(200, "GET", &path, Value::Null).await;
        assert_eq!(found.as_array().unwrap().len(), expected, "{query}");
    }
    for query in ["status=bad", "statuss=404"] {
        let path = format!("/emulator/requests?{query}");
        konnect.expect(400, "GET", &path, Value::Null).await;
    }
    let filter = RequestFilter {
        status: Some(400..=499),
        ..RequestFilter::default()
    };
    assert_eq!(konnect.emulator.requests_where(&filter), logged[1..]);
    konnect
        .expect(204, "DELETE", "/emulator/requests", Value::Null)
        .await;
    assert_eq!(konnect.emulator.requests(), []);
}

#[tokio::test]
async fn a_seed_takes_ids_and_says_where_it_is_wrong() {
    let konnect = Konnect::start().await;
    let id = "7d0f0000-0000-4000-8000-000000000001";
    let seed = json!({
        "portals": [{"id": id, "name": "Main", "auto_approve_applications": true}],
        "apis": [{"name": "Fixtures", "portal_id": id}],
        "developers": [{"portal_id": id, "email": "a@x.example", "full_name": "A"}],
    });
    let made = konnect.expect(200, "POST", "/emulator/seed", seed).await;
    assert_eq!(made["portals"][0]["id"], id);
    assert_eq!(made["developers"][0]["status"], "pending");
    for (seed, word) in [
        (json!({"portals": [{"id": id, "name": "Again"}]}), "in use"),
        (
            json!({"developers": [{"email": "b@x.example", "full_name": "B"}]}),
            "portal_id is missing",
        ),
        (
            json!({"developers": [{"portal_id": id, "email": "a@x.example", "full_name": "A"}]}),
            "already exists",
        ),
        (json!({"gremlins": []}), "cannot be seeded"),
    ] {
        let refused = konnect.expect(400, "POST", "/emulator/seed", seed).await;
        assert!(
            refused["message"].as_str().unwrap().contains(word),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn the_demo_seed_has_everyone_in_every_status() {
    let konnect = Konnect::start().await;
    let made = konnect
        .expect(200, "POST", "/emulator/seed/demo", Value::Null)
        .await;
    let count = |section: &str, status: &str| {
        let all = made[section].as_array().unwrap().iter();
        all.filter(|one| one["status"] == status).count()
    };
    let statuses = ["approved", "pending", "rejected", "revoked"];
    assert_eq!(
        statuses.map(|status| count("developers", status)),
        [6, 3, 2, 1]
    );
    assert_eq!(
        statuses.map(|status| count("registrations", status)),
        [5, 2, 1, 1]
    );
    let again = konnect.emulator.seed(Seed::demo().as_json()).unwrap_err();
    assert!(again.to_string().contains("in use"));
    let refused = konnect
        .expect(400, "POST", "/emulator/seed/demi", Value::Null)
        .await;
    assert!(refused["message"].as_str().unwrap().contains("demo, large"));
}

#[tokio::test]
async fn stops_in_time_although_a_client_stays_connected() {
    let emulator = Emulator::start().await.unwrap();
    let address = emulator.url().trim_start_matches("http://").to_owned();
    let mut half = tokio::net::TcpStream::connect(&address).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut half, b"POST /v3/portals HTTP/1.1\r\nhost: x\r\n")
        .await
        .unwrap();
    let stopped = tokio::time::timeout(Duration::from_secs(15), emulator.stop()).await;
    assert!(stopped.is_ok());
    assert!(tokio::net::TcpStream::connect(&address).await.is_err());
}

#[tokio::test]
async fn a_broken_answer_is_the_start_of_the_real_one_with_its_status() {
    let konnect = Konnect::start().await;
    konnect.emulator.set_faults([Fault {
        broken: true,
        times: Some(1),
        ..Fault::default()
    }]);
    let request = konnect.request("POST", "/v3/portals");
    let answer = request.json(&json!({"name": "Main"})).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let text = answer.text().await.unwrap();
    assert!(text.starts_with('{') && serde_json::from_str::<Value>(&text).is_err());
    let listed = konnect.expect(200, "GET", "/v3/portals", Value::Null).await;
    assert_eq!(listed["data"][0]["name"], "Main", "it took effect");
}

#[tokio::test]
async fn a_connection_may_be_cut_in_the_middle_of_a_body() {
    let konnect = Konnect::start().await;
    for after in [0, 9] {
        konnect.emulator.set_faults([Fault {
            cut_after: Some(after),
            times: Some(1),
            ..Fault::default()
        }]);
        let sent = konnect.request("GET", "/v3/portals").send().await;
        let read = match sent {
            Ok(answer) => answer.bytes().await.map(|_| ()),
            Err(error) => Err(error),
        };
        assert!(read.is_err(), "after {after} bytes");
        konnect.expect(200, "GET", "/v3/portals", Value::Null).await;
    }
}

#[tokio::test]
async fn what_was_just_created_may_not_be_found_for_a_while() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let developers = format!("/v3/portals/{portal}/developers");
    konnect.emulator.set_faults([Fault {
        method: Some("POST".to_owned()),
        path: "*/developers".to_owned(),
        stale_reads: Some(2),
        times: Some(1),
        ..Fault::default()
    }]);
    let form = json!({"email": "a@x.example", "full_name": "A"});
    let made = konnect.expect(201, "POST", &developers, form).await;
    let path = format!("{developers}/{}", made["id"].as_str().unwrap());
    konnect.expect(404, "GET", &path, Value::Null).await;
    let listed = konnect.expect(200, "GET", &developers, Value::Null).await;
    assert_eq!(listed["data"][0]["id"], made["id"], "lists know it");
    let change = json!({"status": "approved"});
    konnect.expect(404, "PATCH", &path, change.clone()).await;
    konnect.expect(200, "PATCH", &path, change).await;
    konnect.expect(200, "GET", &path, Value::Null).await;
}

#[tokio::test]
async fn a_crowd_of_ten_thousand_is_there_at_once() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let started = Instant::now();
    let seed =
        json!({"crowds": [{"portal_id": portal, "count": 10_000, "email": "p{n}@arsenal.com"}]});
    let made = konnect.expect(200, "POST", "/emulator/seed", seed).await;
    assert_eq!(made["crowds"][0]["count"], 10_000);
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
    let page = format!("/v3/portals/{portal}/developers?page%5Bsize%5D=100&page%5Bnumber%5D=100");
    let page = konnect.expect(200, "GET", &page, Value::Null).await;
    assert_eq!(page["meta"]["page"]["total"], 10_000);
    let last = &page["data"].as_array().unwrap()[99];
    assert_eq!(
        (&last["email"], &last["status"]),
        (&json!("p9999@arsenal.com"), &json!("pending"))
    );
    let twice = json!({"crowds": [{"portal_id": portal, "count": 1, "email": "P7@arsenal.com"}]});
    let refused = konnect.expect(400, "POST", "/emulator/seed", twice).await;
    assert!(
        refused["message"]
            .as_str()
            .unwrap()
            .contains("developer 0: "),
        "{refused}"
    );
}
