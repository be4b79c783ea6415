//! What is asked of the scene, and how long the answers take.

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::try_join_all;
use serde_json::{Map, Value, json};
use usher::report::rollup::Rebuild;
use usher::report::{By, Question, ReportName, Reports};

use super::scene::{Scene, somebody};
use super::search;

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

/// Counts everything again, asks every report and search, and exports.
pub(crate) async fn measure(scene: &Scene, extent: Extent) -> Result<Map<String, Value>> {
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
    let reports = Reports::new(scene.journal.clone());
    let mut all = Map::new();
    for &name in ReportName::ALL {
        progress(name.as_str());
        let asked = [(name, question(name, scene.now))];
        let took = ask(&reports, &asked, extent.times).await?;
        all.insert(name.as_str().to_owned(), took);
    }
    progress("overview");
    let overview = ask(&reports, &overview(scene.now), extent.times).await?;
    all.insert("overview".to_owned(), overview);
    let mut measured = Map::new();
    measured.insert("events".to_owned(), json!(counted));
    measured.insert("rebuild_events_per_second".to_owned(), json!(rate));
    measured.insert("reports".to_owned(), Value::Object(all));
    measured.insert("searches".to_owned(), search::measure(scene, extent).await?);
    Ok(measured)
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

/// What a first page shows: events over time, what share is verified, who waits, and the funnel.
fn overview(now: DateTime<Utc>) -> Vec<(ReportName, Question)> {
    let activity = |days: i64, by: By| Question {
        by: Some(by),
        ..since(now, days)
    };
    vec![
        (ReportName::Activity, activity(1, By::Hour)),
        (ReportName::Activity, activity(30, By::Day)),
        (ReportName::Trust, since(now, 30)),
        (ReportName::Pending, Question::default()),
        (ReportName::Funnel, since(now, 30)),
    ]
}

fn since(now: DateTime<Utc>, days: i64) -> Question {
    Question {
        from: Some(now - TimeDelta::days(days)),
        to: Some(now),
        ..Question::default()
    }
}

/// How long the questions take, asked at once as a page does.
async fn ask(
    reports: &Reports,
    questions: &[(ReportName, Question)],
    times: usize,
) -> Result<Value> {
    timed(times, async || {
        let asked = questions.iter();
        let asked = asked.map(|(name, question)| reports.ask(*name, question));
        let answers = try_join_all(asked).await?;
        Ok(answers.iter().map(|answer| answer.rows.len()).sum())
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
