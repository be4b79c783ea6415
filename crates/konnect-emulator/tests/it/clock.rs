//! The clock over HTTP, and what goes by it.

use chrono::{DateTime, TimeDelta, Utc};
use konnect_emulator::{Emulator, Fault, RateLimit, Seed};
use serde_json::{Value, json};

use crate::support::Konnect;

fn read(shown: &Value) -> DateTime<Utc> {
    shown["now"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn is_set_moved_stopped_and_let_run() {
    let konnect = Konnect::start().await;
    let turn = async |body: Value| konnect.expect(200, "POST", "/emulator/clock", body).await;
    let show = async || {
        konnect
            .expect(200, "GET", "/emulator/clock", Value::Null)
            .await
    };
    let at = "2130-01-02T03:04:05.678Z";
    let stopped = turn(json!({"now": at, "frozen": true})).await;
    assert_eq!(stopped, json!({"now": at, "frozen": true}));
    assert_eq!(show().await, stopped);
    let moved = turn(json!({"advance_seconds": 86_400})).await;
    assert_eq!(
        moved,
        json!({"now": "2130-01-03T03:04:05.678Z", "frozen": true})
    );
    let made = konnect
        .expect(201, "POST", "/v3/portals", json!({"name": "Main"}))
        .await;
    assert_eq!(made["created_at"], moved["now"]);
    let running = turn(json!({"frozen": false})).await;
    assert_eq!(running["frozen"], false);
    assert!(read(&running) - read(&moved) < TimeDelta::minutes(1));
    let back = turn(json!({"offset_seconds": 0})).await;
    assert!(
        read(&back) < read(&moved),
        "these lines are older than 2130"
    );
    for wrong in [
        json!({}),
        json!({"now": at, "advance_seconds": 1}),
        json!({"now": "yesterday"}),
    ] {
        konnect.expect(400, "POST", "/emulator/clock", wrong).await;
    }
}

#[tokio::test]
async fn an_emulator_may_begin_at_a_time_with_objects() {
    let at = "2130-01-02T03:04:05Z".parse().unwrap();
    let builder = Emulator::builder().clock(at).token("kpat_x");
    let emulator = builder.seed(Seed::demo()).start().await.unwrap();
    assert_eq!((emulator.now(), emulator.token()), (at, "kpat_x"));
    let wrong = json!({"portals": [{}]});
    let refused = Emulator::builder().seed(wrong).start().await;
    assert!(refused.unwrap_err().to_string().contains("portals[0]"));
}

#[tokio::test]
async fn a_rate_limit_lets_calls_through_again_when_its_window_is_over() {
    let konnect = Konnect::start().await;
    konnect.emulator.freeze_clock();
    let fault = |retry_after| Fault {
        path: "/v3/".to_owned(),
        limit: Some(RateLimit {
            calls: 2,
            per_ms: 60_000,
            retry_after,
        }),
        ..Fault::default()
    };
    let call = async || {
        let answer = konnect.request("GET", "/v3/portals").send().await.unwrap();
        let told = answer.headers().get("retry-after");
        let told = told.map(|told| told.to_str().unwrap().to_owned());
        (answer.status().as_u16(), told)
    };
    for (retry_after, told) in [(true, Some("45".to_owned())), (false, None)] {
        konnect.emulator.set_faults([fault(retry_after)]);
        assert_eq!(call().await, (200, None));
        konnect.emulator.advance_clock(15);
        assert_eq!(call().await, (200, None));
        assert_eq!(call().await, (429, told));
        konnect.emulator.advance_clock(45);
        assert_eq!(call().await, (200, None));
    }
}

#[tokio::test]
async fn lists_by_creation_hold_when_the_clock_was_moved_back() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let developers = format!("/v3/portals/{portal}/developers");
    for (number, offset) in [(0, 0), (1, 100), (2, 50), (3, 200)] {
        konnect.emulator.set_clock_offset(offset);
        let form = json!({"email": format!("p{number}@x.example"), "full_name": "P"});
        konnect.expect(201, "POST", &developers, form).await;
    }
    for (query, expected) in [
        ("", ["p0", "p1", "p2", "p3"]),
        ("sort=created_at", ["p0", "p2", "p1", "p3"]),
        ("sort=created_at%20desc", ["p3", "p1", "p2", "p0"]),
        ("sort=email%20desc", ["p3", "p2", "p1", "p0"]),
    ] {
        for (number, part) in (1..).zip(expected.chunks(2)) {
            let path = format!("{developers}?page%5Bsize%5D=2&page%5Bnumber%5D={number}&{query}");
            let listed = konnect.expect(200, "GET", &path, Value::Null).await;
            let found = listed["data"].as_array().unwrap().iter();
            let found: Vec<&str> = found
                .map(|one| one["email"].as_str().unwrap().split_once('@').unwrap().0)
                .collect();
            assert_eq!(found, part, "{query} {number}");
            assert_eq!(listed["meta"]["page"]["total"], 4);
        }
    }
}
