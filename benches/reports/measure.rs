//! What is asked of the scene, and how long the answers take.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use clap::ValueEnum;
use serde_json::{Map, Value, json};
use usher::report::rollup::Rebuild;
use usher::report::{Question, ReportName, Reports};

use super::scene::{Scene, somebody};
use super::{overview, search};

/// What can be measured alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Count everything anew
    Rebuild,
    /// Each report, of three months
    Reports,
    /// What the console's first page asks, all of it at once
    Overview,
    /// Searches, by filter, text and person
    Searches,
    /// An export as NDJSON
    Export,
    /// The console's pages, from a process of their own: alone, and with 50 readers
    Pages,
}

/// How much is asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Extent {
    /// Times that each question is asked once it was asked before.
    pub(crate) times: usize,
    /// Pages of a search before the one that is measured.
    pub(crate) pages: usize,
    /// Rows that are exported.
    pub(crate) exported: usize,
}

/// Measures `parts`, but for the pages.
pub(crate) async fn measure(
    scene: &Scene,
    extent: Extent,
    parts: &[Part],
) -> Result<Map<String, Value>> {
    let mut measured = Map::new();
    if parts.contains(&Part::Rebuild) {
        let rate = rebuild(scene).await?;
        measured.insert("rebuild_events_per_second".to_owned(), json!(rate));
    } else {
        scene.settle().await?;
    }
    measured.insert("events".to_owned(), json!(scene.events().await?));
    let mut all = Map::new();
    if parts.contains(&Part::Reports) {
        let reports = Reports::new(scene.journal.clone());
        for &name in ReportName::ALL {
            progress(name.as_str());
            let took = ask(&reports, name, &question(name, scene.now), extent.times).await?;
            all.insert(name.as_str().to_owned(), took);
        }
    }
    if parts.contains(&Part::Overview) {
        all.extend(overview::measure(scene, extent.times).await?);
    }
    if !all.is_empty() {
        measured.insert("reports".to_owned(), Value::Object(all));
    }
    let mut searches = Map::new();
    if parts.contains(&Part::Searches) {
        searches = search::measure(scene, extent).await?;
    }
    if parts.contains(&Part::Export) {
        let rate = search::export(scene, extent.exported).await?;
        searches.insert("export_rows_per_second".to_owned(), json!(rate));
    }
    if !searches.is_empty() {
        measured.insert("searches".to_owned(), Value::Object(searches));
    }
    Ok(measured)
}

/// Counts everything anew; returns how many events a second that is.
async fn rebuild(scene: &Scene) -> Result<i64> {
    progress("counting everything anew");
    let began = Instant::now();
    let mut rebuild = Rebuild::begin(&scene.journal).await?;
    let counted = loop {
        let so_far = rebuild.next().await?;
        if so_far.to.is_none() {
            break so_far.events;
        }
    };
    let rate = per_second(counted, began.elapsed());
    scene.analyze().await?;
    Ok(rate)
}

/// Three months, as far as the report takes a time.
fn question(name: ReportName, now: DateTime<Utc>) -> Question {
    let takes = |parameter: &str| name.takes().iter().any(|it| it.name() == parameter);
    let window = takes("from").then(|| now - TimeDelta::days(90));
    Question {
        from: window,
        to: window.map(|_| now),
        developer: takes("developer_id").then(|| somebody(7)),
        ..Question::default()
    }
}

/// How long the question takes.
async fn ask(
    reports: &Reports,
    name: ReportName,
    question: &Question,
    times: usize,
) -> Result<Value> {
    timed(times, async || {
        Ok(reports.ask(name, question).await?.rows.len())
    })
    .await
}

/// How long something takes that answers so many rows: the first time, and of the further ones half
/// and 95 of 100.
pub(super) async fn timed(times: usize, work: impl AsyncFn() -> Result<usize>) -> Result<Value> {
    let mut took = Vec::new();
    let mut rows = 0;
    for _ in 0..=times {
        let began = Instant::now();
        rows = work().await?;
        took.push(began.elapsed());
    }
    let first = took.remove(0);
    took.sort();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100].as_millis();
    Ok(json!({ "first_ms": first.as_millis(), "p50_ms": at(50), "p95_ms": at(95), "rows": rows }))
}

pub(super) fn per_second(count: i64, took: Duration) -> i64 {
    let millis = i64::try_from(took.as_millis()).unwrap_or(i64::MAX).max(1);
    count.saturating_mul(1_000) / millis
}

pub(super) fn progress(text: &str) {
    drop(writeln!(std::io::stderr(), "bench: {text}"));
}
