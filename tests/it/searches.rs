//! People who search, and deliveries beside them: nobody who writes waits for those who read.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::StatusCode;

use crate::support::app::{TestApp, config};
use crate::support::eventually;
use crate::support::record::Record;
use crate::support::signer::Entry;

const NOBODY: &str = "http://127.0.0.1:9";
const SEARCHES: usize = 40;
/// More than they are given at once.
const AT_ONCE: i64 = 4;
const SLOW: &str = "/api/v1/events?q=nowhere";
const SEARCHING: &str = "SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND state = 'active' AND query LIKE '%bytes_before%'
        AND pid <> pg_backend_pid()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forty_slow_searches_hold_up_no_delivery() {
    let app = TestApp::start(config(NOBODY)).await;
    assert_eq!(
        app.deliver(&[Entry::numbered(0).json()]).await.0,
        StatusCode::OK
    );
    // Searches read this table, and deliveries of what is new do not: each search takes as long as
    // it may.
    let mut slow = Record::of(&app.database).await;
    slow.run("BEGIN").await;
    slow.run("LOCK TABLE repeats IN ACCESS EXCLUSIVE MODE")
        .await;
    let mut look = Record::of(&app.database).await;
    let searches = async {
        let one = async || {
            let request = app.http.get(format!("{}{SLOW}", app.url));
            let asked = Instant::now();
            let answer = request.bearer_auth("console-token").send().await.unwrap();
            let again = answer.headers().contains_key("retry-after");
            (answer.status(), again, asked.elapsed())
        };
        join_all((0..SEARCHES).map(|_| one())).await
    };
    let deliveries = async {
        eventually("searches are slow", Duration::from_secs(5), async || {
            look.number(SEARCHING).await == AT_ONCE
        })
        .await;
        for number in 1..40 {
            let asked = Instant::now();
            let (status, answer) = app.deliver(&[Entry::numbered(number).json()]).await;
            assert_eq!(status, StatusCode::OK, "{answer}");
            assert!(
                asked.elapsed() < Duration::from_secs(2),
                "{:?}",
                asked.elapsed()
            );
            let ready = app.http.get(format!("{}/readyz", app.url)).send().await;
            assert_eq!(ready.unwrap().status(), StatusCode::OK);
            assert!(look.number(SEARCHING).await <= AT_ONCE);
        }
    };
    let (answers, ()) = tokio::join!(searches, deliveries);
    for (status, again, took) in &answers {
        assert_eq!((*status, *again), (StatusCode::SERVICE_UNAVAILABLE, true));
        assert!(*took < Duration::from_secs(15), "{took:?}");
    }
    let at_once = answers
        .iter()
        .filter(|(.., took)| *took < Duration::from_secs(5));
    assert!(at_once.count() >= SEARCHES - 2 * 4, "{answers:?}");
    slow.run("ROLLBACK").await;
    assert_eq!(app.rows("/api/v1/events?limit=1000").await.len(), 40);
    app.finish().await;
}

#[tokio::test]
async fn who_goes_away_leaves_no_search_behind() {
    let app = TestApp::start(config(NOBODY)).await;
    let mut slow = Record::of(&app.database).await;
    slow.run("BEGIN").await;
    slow.run("LOCK TABLE repeats IN ACCESS EXCLUSIVE MODE")
        .await;
    let mut look = Record::of(&app.database).await;
    let request = app.http.get(format!("{}{SLOW}", app.url));
    let search = request.bearer_auth("console-token").send();
    let is_slow = eventually(
        "a search is under way",
        Duration::from_secs(5),
        async || look.number(SEARCHING).await == 1,
    );
    tokio::select! {
        answer = search => panic!("it was to be slow: {answer:?}"),
        () = is_slow => {}
    }
    let ended = Instant::now();
    eventually("its statement ends", Duration::from_secs(6), async || {
        look.number(SEARCHING).await == 0
    })
    .await;
    assert!(ended.elapsed() < Duration::from_secs(6));
    app.finish().await;
}
