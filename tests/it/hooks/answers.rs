//! What a trusted sender is answered, and what is stored of what it told.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::hooks::{NO_KONNECT, SINGLE, SOON, counts, custom_events, door, iam, portal_app};
use crate::support::app::{TestApp, config};
use crate::support::eventually;
use crate::support::hooks::{BATCH, ELSEWHERE, Sender, answer, joined};
use crate::support::konnect::PORTAL;
use crate::support::record::Record;

#[tokio::test]
async fn what_a_sender_tells_is_stored_once() {
    let app = door().await;
    let first = joined("1", "ada@arsenal.com");
    let (status, told) = iam().tell(&app, &first).await;
    assert_eq!(
        (status, counts(&told)),
        (StatusCode::ACCEPTED, [1, 1, 0, 0]),
        "{told}"
    );
    // Again, alone, in a batch that has it twice, and as plain JSON of either form.
    assert_eq!(counts(&iam().tell(&app, &first).await.1), [1, 0, 1, 0]);
    let batch = [
        first.clone(),
        joined("2", "bob@arsenal.com"),
        joined("2", "bob@arsenal.com"),
    ];
    assert_eq!(counts(&iam().tell_all(&app, &batch).await.1), [3, 1, 2, 0]);
    for body in [first.to_string(), Value::from(batch.to_vec()).to_string()] {
        let plain = iam().request(&app, "application/json; charset=utf-8", &body);
        let (status, told) = answer(plain).await;
        assert_eq!(
            (status, counts(&told)[1]),
            (StatusCode::ACCEPTED, 0),
            "{told}"
        );
    }
    assert_eq!(counts(&iam().tell_all(&app, &[]).await.1), [0, 0, 0, 0]);
    // The same source and id with other content is not stored, and said so.
    let changed = joined("1", "eve@arsenal.com");
    assert_eq!(counts(&iam().tell(&app, &changed).await.1), [1, 0, 1, 1]);
    // Another source has ids of its own, and so has another sender.
    let mut elsewhere = first.clone();
    elsewhere["source"] = json!("https://hr.example.com");
    assert_eq!(counts(&iam().tell(&app, &elsewhere).await.1), [1, 1, 0, 0]);
    let mut of_app = first.clone();
    of_app["type"] = json!("com.example.app.joined");
    // With a time of its own, which is in the event's identity as well.
    of_app["time"] = json!("2026-11-22T00:00:00Z");
    let mut taken = joined("1", "ada@arsenal.com");
    taken["source"] = json!("/of-both");
    taken["time"] = of_app["time"].clone();
    of_app["source"] = taken["source"].clone();
    assert_eq!(
        counts(&portal_app().tell(&app, &of_app).await.1),
        [1, 1, 0, 0]
    );
    assert_eq!(counts(&iam().tell(&app, &taken).await.1), [1, 1, 0, 0]);

    let events = custom_events(&app).await;
    assert_eq!(events.len(), 5);
    let one = events
        .iter()
        .find(|event| event["ce_id"] == "2")
        .expect("the second");
    assert_eq!(one["name"], "custom.com.example.user.joined");
    assert_eq!(one["portal_id"], json!(PORTAL));
    assert_eq!(
        (&one["kind"], &one["sender"]),
        (&json!("custom"), &json!("iam"))
    );
    assert_eq!(one["data"]["department"], "Partners");
    assert!(
        one["data"].get("email").is_none() && one["subject_id"].is_string(),
        "{one}"
    );
    assert!(one["delivery_id"].is_string());

    let mut record = Record::of(&app.database).await;
    for address in ["ada@arsenal.com", "bob@arsenal.com"] {
        assert_eq!(record.tables_with(address).await, ["subjects"]);
    }
    assert!(record.tables_with("eve@arsenal.com").await.is_empty());
    app.finish().await;
}

#[tokio::test]
async fn only_a_sender_with_a_key_is_heard() {
    let app = door().await;
    let body = joined("1", "ada@arsenal.com").to_string();
    let late = iam().ahead_by(-310);
    let early = iam().ahead_by(310);
    let stranger = Sender::new("stranger", 9);
    let url = format!("{}/v1/events", app.url);
    let other_body = joined("2", "ada@arsenal.com").to_string();
    let unsigned = || {
        app.http
            .post(&url)
            .header("content-type", SINGLE)
            .body(body.clone())
    };
    for (what, request) in [
        ("no headers", unsigned()),
        ("a bearer token", unsigned().bearer_auth("door")),
        ("a stale time", late.request(&app, SINGLE, &body)),
        ("a time to come", early.request(&app, SINGLE, &body)),
        ("an unknown key", stranger.request(&app, SINGLE, &body)),
        (
            "another body",
            iam().request(&app, SINGLE, &body).body(other_body),
        ),
        ("a broken one", iam().request(&app, SINGLE, &body).body("{")),
    ] {
        let response = request.send().await.expect("an answer");
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED, "{what}");
        let content = response.headers()["content-type"]
            .to_str()
            .expect("text")
            .to_owned();
        assert_eq!(content, "application/problem+json", "{what}");
    }
    let (status, _) = answer(app.http.get(&url)).await;
    assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(custom_events(&app).await.is_empty());

    // An entry of the webhook may say what it likes.
    let claims = json!({
        "event_product": "usher", "name": "custom.com.example.user.joined", "portal_id": PORTAL,
        "ce_source": "x", "ce_id": "1", "ce_type": "com.example.user.joined", "sender": "iam",
    });
    let (_, told) = app.deliver(&[claims.to_string()]).await;
    assert_eq!(told["quarantined"], 1, "{told}");
    assert!(custom_events(&app).await.is_empty());
    app.finish().await;

    let without = TestApp::start(config(NO_KONNECT)).await;
    let (status, _) = iam().tell(&without, &joined("1", "ada@arsenal.com")).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "nobody is trusted there");
    without.finish().await;
}

/// Another event than that of the same batch, with one member of another value.
fn changed(place: &str, value: Value) -> Value {
    let mut event = joined("2", "bob@arsenal.com");
    match place.split_once('.') {
        Some((owner, member)) => event[owner][member] = value,
        None => event[place] = value,
    }
    event
}

#[tokio::test]
async fn a_batch_with_one_bad_event_is_refused_whole_and_says_which() {
    let app = door().await;
    let good = joined("1", "ada@arsenal.com");
    for (bad, expected) in [
        (
            changed("specversion", json!("0.3")),
            "[1].specversion: expected \"1.0\"",
        ),
        (changed("id", json!("")), "[1].id: expected 1 to 256 bytes"),
        (changed("source", Value::Null), "[1].source: expected text"),
        (
            changed("type", json!("a b")),
            "[1].type: expected 1 to 256 bytes",
        ),
        (
            changed("time", json!("2999-01-01T00:00:00Z")),
            "[1].time: expected a time that is not",
        ),
        (
            changed("data.portal_id", json!("main")),
            "[1].data.portal_id: expected a UUID",
        ),
        (
            changed("data.email", json!("bob")),
            "[1].data.email: expected one e-mail address",
        ),
        (
            changed("data.developer_id", json!(PORTAL)),
            "[1].data.email: expected no address beside an id",
        ),
        (
            changed("data.registration_id", json!(PORTAL)),
            "[1].data.email: expected no address beside an id",
        ),
        (
            changed("subject", json!("eve@arsenal.com")),
            "[1].subject: expected no e-mail address",
        ),
        (json!("text"), "event [1]: expected a JSON object"),
    ] {
        let (status, told) = iam().tell_all(&app, &[good.clone(), bad]).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{told}");
        let detail = told["detail"].as_str().expect("a detail");
        assert!(detail.starts_with(expected), "{detail}");
    }
    assert!(custom_events(&app).await.is_empty());
    let (_, told) = iam().tell_all(&app, &[good, joined("2", "b@c.d")]).await;
    assert_eq!(counts(&told), [2, 2, 0, 0], "mended, it is all new");
    app.finish().await;
}

#[tokio::test]
async fn what_cannot_be_read_is_answered_as_http_means_it() {
    let app = door().await;
    let good = joined("1", "ada@arsenal.com");
    let events: Vec<Value> = (0..1_001)
        .map(|n| joined(&n.to_string(), "ada@arsenal.com"))
        .collect();
    let many = Value::from(events).to_string();
    let large = changed("data.text", json!("x".repeat(70_000))).to_string();
    let as_list = Value::from(vec![good.clone()]).to_string();
    let one = good.to_string();
    let ask = |content_type: &str, body: &str| iam().request(&app, content_type, body);
    let coded = ask(SINGLE, &one).header("content-encoding", "gzip");
    let binary = ask("application/json", &one).header("ce-specversion", "1.0");
    for (what, request, expected) in [
        ("too many", ask(BATCH, &many), 413),
        ("too large an event", ask(SINGLE, &large), 413),
        (
            "too large a body",
            ask(SINGLE, &" ".repeat(3 * 1024 * 1024)),
            413,
        ),
        ("a list as one", ask(SINGLE, &as_list), 400),
        ("one as a list", ask(BATCH, &one), 400),
        ("no JSON", ask(SINGLE, "{\"specversion\":"), 400),
        ("another type", ask("text/plain", &one), 415),
        ("gzip", coded, 415),
        ("binary mode", binary, 415),
    ] {
        let (status, told) = answer(request).await;
        assert_eq!(status.as_u16(), expected, "{what}: {told}");
        assert_eq!(told["status"], expected, "{what}: {told}");
    }
    assert!(custom_events(&app).await.is_empty());
    app.finish().await;
}

#[tokio::test]
async fn a_sender_tells_of_its_own_types_and_portals_alone() {
    let app = door().await;
    let foreign_type = joined("1", "ada@arsenal.com");
    let (status, told) = portal_app().tell(&app, &foreign_type).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(told["detail"], "type: not one of this sender's types");
    let own_type = changed("type", json!("com.example.app.created"));
    let mut elsewhere = own_type.clone();
    elsewhere["data"]["portal_id"] = json!(ELSEWHERE);
    let batch = [own_type.clone(), elsewhere];
    let (status, told) = portal_app().tell_all(&app, &batch).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    assert_eq!(
        told["detail"],
        "[1].data.portal_id: not one of this sender's portals"
    );
    assert!(
        custom_events(&app).await.is_empty(),
        "the good ones of a batch neither"
    );
    let (status, _) = portal_app().tell(&app, &own_type).await;
    assert_eq!(
        status,
        StatusCode::ACCEPTED,
        "what was refused may come again"
    );
    app.finish().await;
}

#[tokio::test]
async fn a_sender_is_asked_to_wait_while_the_record_is_away() {
    let app = door().await;
    app.database.refuse().await;
    let request = iam().request(&app, SINGLE, &joined("1", "ada@arsenal.com").to_string());
    let response = request.send().await.expect("an answer");
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(response.headers()["retry-after"], "30");
    app.database.allow().await;
    eventually("the same is taken in later", SOON, async || {
        let (status, _) = iam().tell(&app, &joined("1", "ada@arsenal.com")).await;
        status == StatusCode::ACCEPTED
    })
    .await;
    assert_eq!(custom_events(&app).await.len(), 1);
    app.finish().await;
}

#[tokio::test]
async fn ten_thousand_events_in_batches_that_overlap_are_stored_once_each() {
    let app = door().await;
    let events: Vec<Value> = (0..10_000)
        .map(|n| {
            joined(
                &n.to_string(),
                &format!("somebody{}@arsenal.com", n % 3_000),
            )
        })
        .collect();
    let twice: Vec<&[Value]> = events
        .chunks(1_000)
        .chain(events[500..].chunks(1_000))
        .collect();
    for pair in twice.chunks(4) {
        let sent: Vec<_> = pair.iter().map(|batch| (iam(), batch)).collect();
        let told = sent
            .iter()
            .map(|(sender, batch)| Box::pin(sender.tell_all(&app, batch)));
        let mut told: Vec<_> = told.collect();
        // Some of them at once, so that they meet.
        while !told.is_empty() {
            let (first, second) = (told.pop(), told.pop());
            let outcomes = match (first, second) {
                (Some(first), Some(second)) => {
                    let (first, second) = tokio::join!(first, second);
                    vec![first, second]
                }
                (Some(first), None) => vec![first.await],
                (None, _) => Vec::new(),
            };
            for (status, told) in outcomes {
                assert_eq!(status, StatusCode::ACCEPTED, "{told}");
            }
        }
    }
    let mut record = Record::of(&app.database).await;
    assert_eq!(record.event_ids().await.len(), 10_000);
    assert_eq!(
        record.events_named("custom.com.example.user.joined").await,
        10_000
    );
    app.finish().await;
}
