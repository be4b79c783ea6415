//! Pages as a test scripts them: the three spellings of a cursor, and entries that are none.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::net::TcpListener;
use tokio_util::task::TaskTracker;
use usher::backfill::{PullError, PullProgress, Pulled, Window};
use usher::clock::Clock;
use usher::journal::{Journal, Lane, MIGRATOR};

use crate::pull::{client, puller};

/// Answers each call with the next page, and keeps what was asked.
#[derive(Clone)]
struct Pages {
    left: Arc<Mutex<VecDeque<String>>>,
    asked: Arc<Mutex<Vec<String>>>,
    url: String,
}

impl Pages {
    async fn serve(pages: impl IntoIterator<Item = String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let this = Self {
            left: Arc::new(Mutex::new(pages.into_iter().collect())),
            asked: Arc::default(),
            url: format!("http://{}", listener.local_addr().unwrap()),
        };
        let own = this.clone();
        let router = Router::new().fallback(move |request: Request| {
            own.asked.lock().unwrap().push(request.uri().to_string());
            let page = own.left.lock().unwrap().pop_front().unwrap_or_default();
            async move { page }
        });
        TaskTracker::new().spawn(async move { axum::serve(listener, router).await });
        this
    }

    async fn pull(&self, journal: &Journal) -> Result<Pulled, PullError> {
        let now = Clock::system().now();
        let window = Window::new(now - chrono::TimeDelta::hours(1), now, now).unwrap();
        let puller = puller(client(&self.url, "kpat_any"), journal);
        let mut quiet = |_: &PullProgress| {};
        puller.pull(window, None, Lane::Bulk, &mut quiet).await
    }

    /// What each call said about where its page begins.
    fn cursors(&self) -> Vec<Option<String>> {
        let asked = self.asked.lock().unwrap();
        let cursor = |uri: &String| {
            let uri = format!("{}{uri}", self.url).parse::<url::Url>().unwrap();
            assert_eq!(uri.path(), "/v3/audit-logs");
            let named = |name: &str| uri.query_pairs().any(|(key, _)| key == name);
            assert!(
                named("filter[ts][gte]") && named("filter[ts][lte]"),
                "{uri}"
            );
            let mut pairs = uri.query_pairs();
            let after = pairs.find(|(name, _)| name == "page[after]");
            after.map(|(_, value)| value.into_owned())
        };
        asked.iter().map(cursor).collect()
    }
}

fn entry(trace: &str) -> String {
    let entry = json!({
        "type": "gateway_access", "ts": "2026-06-23T14:00:00.000Z", "org_id": "o",
        "principal_id": "p", "trace_id": trace, "method": "GET", "uri": "/", "query": "{}",
        "status_code": 200, "client_ip": "127.0.0.6", "user_agent": "", "signature": "x",
    });
    entry.to_string()
}

fn page(entries: &[String], next: &Value) -> String {
    let entries = entries.join(",");
    format!(
        r#"{{"data":[{entries}],"meta":{{"page":{{"next":{next},"previous":null,"size":1}}}}}}"#
    )
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_cursor_is_followed_in_each_spelling_and_never_to_another_host(pool: PgPool) {
    let journal = Journal::from_pool(pool);
    let pages = Pages::serve([
        page(
            &[entry("1")],
            &json!("/v3/audit-logs?page%5Bafter%5D=a%3D%3D&page%5Bsize%5=1"),
        ),
        page(
            &[entry("2")],
            &json!("https://elsewhere.example/v3/audit-logs?page[after]=b"),
        ),
        page(&[entry("3")], &json!("c==")),
        page(&[entry("4")], &json!("page[after]=d")),
        page(&[entry("5")], &Value::Null),
    ])
    .await;
    let pulled = pages.pull(&journal).await.unwrap();
    assert_eq!((pulled.pages, pulled.stored), (5, 5));
    let cursors = ["a==", "b", "c==", "d"].map(|cursor| Some(cursor.to_owned()));
    assert_eq!(pages.cursors()[0], None);
    assert_eq!(pages.cursors()[1..], cursors);

    let circle = [1, 2].map(|n| page(&[entry(&n.to_string())], &json!("same")));
    let pages = Pages::serve(circle).await;
    let refused = pages.pull(&journal).await.unwrap_err();
    assert!(matches!(refused, PullError::Circle), "{refused}");
    // An empty page is the last one, whatever it names.
    let pages = Pages::serve([page(&[], &json!("same"))]).await;
    assert_eq!(pages.pull(&journal).await.unwrap(), Pulled::default());
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_is_no_entry_is_quarantined_and_the_rest_is_stored(pool: PgPool) {
    let journal = Journal::from_pool(pool);
    let pretty = entry("1").replace(',', ",\n  ");
    let forged = r#"{"event_product":"usher","name":"action.done"}"#.to_owned();
    let hello = r#"{"hello":1}"#.to_owned();
    let pages = Pages::serve([page(&[pretty, forged, hello], &Value::Null)]).await;
    let pulled = pages.pull(&journal).await.unwrap();
    assert_eq!(
        (pulled.entries, pulled.stored, pulled.quarantined),
        (3, 1, 2)
    );

    let reasons: Vec<(String, String)> =
        sqlx::query_as("SELECT reason, convert_from(raw, 'UTF8') FROM quarantine ORDER BY reason")
            .fetch_all(journal.pool())
            .await
            .unwrap();
    let reasons: Vec<&str> = reasons.iter().map(|(reason, _)| reason.as_str()).collect();
    assert_eq!(reasons, ["claims_own_product", "not_an_entry"]);
    let raw: Vec<u8> = sqlx::query_scalar("SELECT raw FROM events")
        .fetch_one(journal.pool())
        .await
        .unwrap();
    assert!(!raw.contains(&b'\n'), "an entry is one line");
    assert!(usher::event::parse(&raw).is_ok());
}
