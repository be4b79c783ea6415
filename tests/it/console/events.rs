//! The pages about events and deliveries, without a browser.

use std::time::Duration;

use reqwest::{Response, StatusCode};
use usher::lifecycle::Lifecycle;

use crate::console::reader::Reader;
use crate::support::app::{CONSOLE_TOKEN, TestApp, config};
use crate::support::eventually;
use crate::support::sender::id_of;
use crate::support::signer::{Entry, Signer};

const FAST: Duration = Duration::from_secs(15);

/// Usher with the keys of a signer of the test's own, and somebody who is signed in.
async fn signed_in() -> (TestApp, Signer, Reader) {
    let signer = Signer::new(7);
    let config = config(&signer.serve(&Lifecycle::new()).await);
    let app = TestApp::start(config).await;
    let reader = Reader::signed_in(&app.url, CONSOLE_TOKEN).await;
    (app, signer, reader)
}

/// Waits until a stream has said `part`.
async fn hears(stream: &mut Response, part: &str) {
    let mut heard = String::new();
    while !heard.contains(part) {
        let piece = tokio::time::timeout(FAST, stream.chunk()).await;
        let piece = piece.expect("in time").expect("whole").expect("no end yet");
        heard.push_str(&String::from_utf8_lossy(&piece));
    }
}

#[tokio::test]
async fn one_event_tells_how_it_is_checked_and_has_its_bytes() {
    let (app, signer, mut reader) = signed_in().await;
    let stranger = signer.stranger(9);
    let entries = [1, 2, 3, 4, 5].map(Entry::numbered);
    let lines = [
        signer.json(&entries[0]),
        signer.cps(&entries[1]),
        signer.cef(&entries[2]),
        stranger.json(&entries[3]),
        entries[4].json(),
    ];
    assert_eq!(app.deliver(&lines).await.0, StatusCode::OK);
    let list = reader.get("/events").await;
    for (line, words) in lines.iter().zip([
        &["the member sig.", "a key fits", "verified"][..],
        &["wrapped object", "a key fits"],
        &["the last sig= of the line", "a key fits"],
        &["does not fit", "key unknown", "No key fits so far"],
        &["There is no signature", "unsigned"],
    ]) {
        let path = format!("/events/{}", id_of(line));
        assert!(list.body.contains(&path), "{path}: {}", list.body);
        let page = reader.get(&path).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        for word in words {
            assert!(page.body.contains(word), "{word}: {}", page.body);
        }
        assert!(page.body.contains("usher events show"), "{}", page.body);
        assert!(page.body.len() < 100_000, "{} bytes", page.body.len());
        let raw = reader.get(&format!("{path}/raw")).await;
        assert_eq!(&raw.body, line);
        assert_eq!(raw.headers["content-type"], "application/octet-stream");
        let disposition = raw.headers["content-disposition"].to_str().expect("text");
        assert!(disposition.starts_with("attachment"), "{disposition}");
    }
    for (path, status) in [
        (
            "/events/00000000-0000-4000-8000-000000000000",
            StatusCode::NOT_FOUND,
        ),
        ("/events/x", StatusCode::BAD_REQUEST),
        ("/events?colour=red", StatusCode::BAD_REQUEST),
        ("/deliveries?status=3xx", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(reader.get(path).await.status, status, "{path}");
    }
    app.finish().await;
}

#[tokio::test]
async fn who_saw_an_event_is_in_the_record_with_its_id() {
    let (app, _, mut reader) = signed_in().await;
    let line = Entry::numbered(1).json();
    app.deliver(std::slice::from_ref(&line)).await;
    let id = id_of(&line);
    reader.get(&format!("/events/{id}/raw")).await;
    let rows = app
        .rows("/api/v1/events?kind=read&name=read.events.raw")
        .await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert!(rows[0].to_string().contains(&id.to_string()), "{rows:?}");
    app.finish().await;
}

#[tokio::test]
async fn bars_lead_into_the_time_that_they_count() {
    let (app, _, mut reader) = signed_in().await;
    let lines = [1, 2, 3].map(|number| Entry::numbered(number).json());
    app.deliver(&lines).await;
    // The entries are of 14:28:47.
    let path = "/events?from=2026-06-23T00:00:00Z&to=2026-06-24T00:00:00Z";
    let hour = "from=2026-06-23T14%3A00%3A00Z&amp;to=2026-06-23T15%3A00%3A00Z";
    eventually("they are counted", FAST, async || {
        let page = reader.get(path).await;
        page.body.contains("3 success") && page.body.contains(hour)
    })
    .await;
    let page = reader.get(&format!("{path}&q=Mozilla")).await;
    assert!(page.body.contains("cannot be counted by"), "{}", page.body);
    let page = reader.get("/events?from=2019-01-01T00:00:00Z").await;
    assert!(page.body.contains("too long for bars"), "{}", page.body);
    app.finish().await;
}

#[tokio::test]
async fn a_delivery_leads_to_its_events_and_back() {
    let (app, _, mut reader) = signed_in().await;
    let line = Entry::numbered(1).json();
    app.deliver(&[line.clone(), "{".to_owned()]).await;
    let page = reader.get("/deliveries").await;
    let batch = page.body.split("/events?batch=").nth(1).expect("a link");
    let batch = &batch[..36];
    assert!(
        page.body.contains("/quarantine?delivery_id="),
        "{}",
        page.body
    );
    let events = reader.get(&format!("/events?batch={batch}")).await;
    assert!(events.body.contains(&id_of(&line).to_string()));
    let back = reader.get(&format!("/deliveries?batch={batch}")).await;
    assert!(back.body.contains(&format!("/events?batch={batch}")));
    let good = reader.get("/deliveries?status=2xx").await;
    assert!(good.body.contains(batch), "{}", good.body);
    let bad = reader.get("/deliveries?status=5xx").await;
    assert!(bad.body.contains("No delivery"), "{}", bad.body);
    app.finish().await;
}

#[tokio::test]
async fn what_comes_in_is_followed_until_the_session_ends() {
    let (app, _, mut reader) = signed_in().await;
    let page = reader
        .get("/events?name=AUTHENTICATION_OUTCOME_SUCCESS&follow=1")
        .await;
    let tail = "/events/tail?name=AUTHENTICATION_OUTCOME_SUCCESS";
    assert!(
        page.body.contains(&format!("data-tail=\"{tail}\"")),
        "{}",
        page.body
    );
    let mut stream = reader.open(tail).await;
    assert_eq!(stream.status(), StatusCode::OK);
    let line = Entry::numbered(1).json();
    app.deliver(std::slice::from_ref(&line)).await;
    hears(
        &mut stream,
        &format!("\"href\":\"/events/{}\"", id_of(&line)),
    )
    .await;
    reader.post("/sign-out", &[]).await;
    let end = async { while let Ok(Some(_)) = stream.chunk().await {} };
    tokio::time::timeout(FAST, end).await.expect("it ends");
    let refused = reader.get(tail).await;
    assert!(refused.is_sign_in_form());
    app.finish().await;
}
