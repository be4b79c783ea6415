//! The console's pages on the same journal, from a process of their own: how long each takes, alone
//! and with fifty readers at once, and how much memory that needs; the same of an export.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use chrono::TimeDelta;
use futures_util::future::try_join_all;
use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Map, Value, json};
use usher::event::EventId;
use usher::journal::EventFilter;
use usher::lifecycle::Lifecycle;
use uuid::Uuid;

use super::measure::{Extent, per_second, progress, timed};
use super::process;
use super::scene::{Scene, somebody};
use super::served::{BUILT, Served};

const TOKEN: &str = "the-token-of-the-bench";
/// People who read at once.
const READERS: usize = 50;
/// Longer than anybody waits for a page.
const PATIENCE: Duration = Duration::from_mins(2);

/// Pages that need no id.
const PAGES: [&str; 26] = [
    "/",
    "/?days=7",
    "/?days=30",
    "/events",
    "/events?kind=authentication&outcome=failure",
    "/events?person=person77@",
    "/people",
    "/people?status=pending",
    "/applications",
    "/approvals",
    "/actions",
    "/actions?state=done",
    "/deliveries",
    "/quarantine",
    "/rules",
    "/rules/explain",
    "/rules/test",
    "/settings",
    "/reports",
    "/reports/pending",
    "/reports/idle-developers",
    "/reports/idle-applications",
    "/reports/dormant-developers",
    "/reports/admin-changes",
    "/reports/decisions",
    "/reports/trust",
];
/// Reports of three months.
const OF_A_TIME: [&str; 4] = ["activity", "funnel", "failed-logins", "partners"];
/// What each of many readers looks at.
const LOOKED_AT: [&str; 8] = [
    "/",
    "/events",
    "/people",
    "/approvals",
    "/?days=7",
    "/actions",
    "/rules",
    "/reports/pending",
];

/// Somebody who is signed in.
#[derive(Debug, Clone)]
struct Reader {
    base: String,
    cookie: String,
    http: Client,
}

pub(crate) async fn measure(scene: &Scene, extent: Extent) -> Result<Value> {
    progress("usher serve");
    let lifecycle = Lifecycle::new();
    let tokens = json!([{ "name": "bench", "role": "operator", "token": TOKEN }]).to_string();
    let configured = [
        ("USHER_DATABASE__URL", scene.url()),
        ("USHER_CONSOLE__TOKENS", &tokens),
        ("USHER_INGEST__AUTHORIZATION", "[\"Bearer bench\"]"),
        ("USHER_INGEST__VERIFY", "off"),
        // Nobody is there, so that nobody is asked.
        ("USHER_KONNECT__BASE_URL", "http://127.0.0.1:9"),
    ];
    let served = Served::start(Path::new(BUILT), &configured, &lifecycle).await?;
    let reader = Reader::sign_in(&served).await?;
    let mut each = Map::new();
    let mut paths: Vec<String> = PAGES.map(str::to_owned).into();
    let from = (scene.now - TimeDelta::days(90)).format("%Y-%m-%dT%H:%M:%SZ");
    paths.extend(OF_A_TIME.map(|name| format!("/reports/{name}?from={from}")));
    paths.push(format!("/events/{}", some_event(scene).await?));
    paths.push(format!("/people/{}", somebody(7)));
    // Their application, and what a rule did for them, have the same number.
    let of_theirs = |kind: u128| Uuid::from_u128((kind << 64) + 7);
    paths.push(format!("/applications/{}", of_theirs(2)));
    paths.push(format!("/actions/{}", of_theirs(5)));
    for path in paths {
        progress(&path);
        let took = timed(extent.times, async || reader.page(&path).await).await?;
        let took = json!({
            "first_ms": took["first_ms"], "p50_ms": took["p50_ms"], "p95_ms": took["p95_ms"],
            "bytes": took["rows"],
        });
        each.insert(path, took);
    }
    let alone = process::peak_memory(served.pid)?;
    forget_peak(served.pid)?;
    progress("fifty readers at once");
    let overview = crowd(&reader, &["/"]).await?;
    let several = crowd(&reader, &LOOKED_AT).await?;
    let crowded = process::peak_memory(served.pid)?;
    forget_peak(served.pid)?;
    progress("export over HTTP");
    let rate = export(&reader, extent.exported).await?;
    let exporting = process::peak_memory(served.pid)?;
    served.end().await?;
    lifecycle.shut_down().await;
    Ok(json!({
        "each": each,
        "overview_for_fifty": overview,
        "several_for_fifty": several,
        "export_rows_per_second": rate,
        "peak_memory_bytes": {
            "each_page": alone, "fifty_readers": crowded, "export": exporting,
        },
    }))
}

/// The newest log-in.
async fn some_event(scene: &Scene) -> Result<EventId> {
    let logins = EventFilter {
        kind: Some("authentication".to_owned()),
        ..EventFilter::default()
    };
    let found = scene.journal.search_page(&logins, None, 1).await?;
    let event = found.events.first().context("nobody signed in")?;
    Ok(event.id)
}

/// Has the kernel forget the most memory that a process had: it is measured anew from here.
fn forget_peak(pid: u32) -> Result<()> {
    Ok(fs::write(format!("/proc/{pid}/clear_refs"), "5")?)
}

/// Every reader looks at these pages, one after the other, each from another on.
async fn crowd(reader: &Reader, paths: &[&str]) -> Result<Value> {
    let began = Instant::now();
    let readers = (0..READERS).map(|number| async move {
        let mut took = Vec::new();
        let mut refused = 0;
        for step in 0..paths.len() {
            let began = Instant::now();
            let response = reader.get(paths[(number + step) % paths.len()]).await?;
            if response.status() == StatusCode::SERVICE_UNAVAILABLE {
                refused += 1;
            } else {
                ensure!(response.status() == StatusCode::OK, "{response:?}");
            }
            response.bytes().await?;
            took.push(began.elapsed());
        }
        Ok((took, refused))
    });
    let all = try_join_all(readers).await?;
    let elapsed = began.elapsed();
    let refused: usize = all.iter().map(|(_, refused)| refused).sum();
    let mut took: Vec<Duration> = all.into_iter().flat_map(|(took, _)| took).collect();
    took.sort();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100].as_millis();
    Ok(json!({
        "pages": took.len(), "refused": refused, "p50_ms": at(50), "p95_ms": at(95),
        "all_ms": elapsed.as_millis(),
    }))
}

/// How many rows a second arrive, as far as so many.
async fn export(reader: &Reader, rows: usize) -> Result<i64> {
    let url = format!("{}/api/v1/events/export", reader.base);
    let began = Instant::now();
    let mut response = reader.http.get(url).bearer_auth(TOKEN).send().await?;
    ensure!(response.status() == StatusCode::OK, "{response:?}");
    let mut arrived = 0;
    while arrived < rows
        && let Some(piece) = response.chunk().await?
    {
        arrived += piece.split(|byte| *byte == b'\n').count() - 1;
    }
    Ok(per_second(i64::try_from(arrived)?, began.elapsed()))
}

impl Reader {
    /// Fills in the form.
    async fn sign_in(served: &Served) -> Result<Self> {
        let http = Client::builder()
            .redirect(Policy::none())
            .timeout(PATIENCE)
            .build()?;
        let mut this = Self {
            base: format!("http://{}", served.address),
            cookie: String::new(),
            http,
        };
        let form = this.get("/sign-in").await?;
        this.cookie = cookie(&form)?;
        let form = form.text().await?;
        let csrf = form
            .split_once(r#"name="csrf" value=""#)
            .and_then(|(_, rest)| rest.split_once('"'))
            .context("the form has no field csrf")?;
        let sent = this
            .http
            .post(format!("{}/sign-in", this.base))
            .header(COOKIE, &this.cookie)
            .form(&[("token", TOKEN), ("csrf", csrf.0), ("page", "/")])
            .send()
            .await?;
        ensure!(sent.status() == StatusCode::SEE_OTHER, "{sent:?}");
        this.cookie = cookie(&sent)?;
        Ok(this)
    }

    async fn get(&self, path: &str) -> Result<Response> {
        let request = self.http.get(format!("{}{path}", self.base));
        Ok(request.header(COOKIE, &self.cookie).send().await?)
    }

    /// Reads a page; returns how many bytes it has.
    async fn page(&self, path: &str) -> Result<usize> {
        let response = self.get(path).await?;
        ensure!(response.status() == StatusCode::OK, "{response:?}");
        let page = response.text().await?;
        // Whoever is not signed in is shown the form instead.
        ensure!(!page.contains(r#"name="token""#), "{path}: not signed in");
        ensure!(
            !page.contains("This could not be read"),
            "{path}: a part was not answered in time"
        );
        Ok(page.len())
    }
}

/// The cookie that the answer sets.
fn cookie(response: &Response) -> Result<String> {
    let set = response.headers().get(SET_COOKIE);
    let set = set.context("no cookie was set")?.to_str()?;
    Ok(set.split(';').next().unwrap_or_default().to_owned())
}
