//! Searching, exporting and following events, by the API, the command line and the room itself.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod exports;
mod pages;
mod reads;
mod replica;
mod tails;
mod words;

use std::fmt::Write as _;

use reqwest::Response;
use serde_json::Value;
use usher::lifecycle::Lifecycle;

use crate::support::app::{CONSOLE_TOKEN, TestApp, config};
use crate::support::database::TestDatabase;
use crate::support::process::{Installation, settings};
use crate::support::signer::{Entry, Signer};

const NOBODY: &str = "http://127.0.0.1:9";

async fn app() -> TestApp {
    TestApp::start(config(NOBODY)).await
}

/// A service of its own process, on a database that commands can be run on as well.
async fn installation() -> (Installation, TestDatabase) {
    let signer = Signer::new(7);
    let konnect = signer.serve(&Lifecycle::new()).await;
    let database = TestDatabase::create().await;
    (Installation::new(&settings(&database, &konnect)), database)
}

/// An answer of the API that is read bit by bit.
async fn open(app: &TestApp, path: &str, last_event_id: Option<&str>) -> Response {
    let mut request = app.http.get(format!("{}{path}", app.url));
    if let Some(id) = last_event_id {
        request = request.header("Last-Event-ID", id);
    }
    request.bearer_auth(CONSOLE_TOKEN).send().await.unwrap()
}

/// Log-ins of these numbers, one a line.
fn logins(numbers: std::ops::Range<u64>) -> Vec<String> {
    numbers.map(|n| Entry::numbered(n).json()).collect()
}

fn ids(events: &[Value]) -> Vec<String> {
    let id = |event: &Value| event["id"].as_str().unwrap().to_owned();
    events.iter().map(id).collect()
}

/// What a query writes for a blank, a slash and what else has a meaning there.
fn escaped(value: &str) -> String {
    value.bytes().fold(String::new(), |mut all, byte| {
        write!(all, "%{byte:02X}").unwrap();
        all
    })
}
