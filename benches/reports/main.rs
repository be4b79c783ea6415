//! The bench of reports: how long questions take on a record of twenty million events over ninety days with twenty thousand
//! people, and how fast they are counted anew.

mod scene;
mod search;

use std::io::Write as _;
use std::time::{Duration, Instant};

use anyhow::Result;
use chrono::{DateTime, TimeDelta, Utc};
use clap::Parser;
use futures_util::future::try_join_all;
use serde_json::{Map, Value, json};
use usher::report::rollup::Rebuild;
use usher::report::{By, Question, ReportName, Reports};

use scene::{Scene, somebody};

/// Times that each question is asked once it was asked before.
const TIMES: usize = 10;

/// Measures reports. Run it by `make bench ARGS=reports`, which brings the Postgres.
#[derive(Debug, Parser)]
struct Arguments {
    /// Everything small: does it run; its figures mean little
    #[arg(long)]
    quick: bool,
    /// Events in the record
    #[arg(long)]
    events: Option<i64>,
    /// URL of a throw-away server; a database is made on it
    #[arg(long)]
    postgres: String,
    /// Database that is made and left there, or, if it is there, taken as an earlier run filled it
    #[arg(long, value_name = "NAME")]
    keep: Option<String>,
    /// Passed by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let (events, people) = if arguments.quick {
        (200_000, 2_000)
    } else {
        (20_000_000, 20_000)
    };
    let events = arguments.events.unwrap_or(events);
    let scene = Scene::set(&arguments.postgres, arguments.keep, events, people).await?;
    progress("counting everything anew");
    let began = Instant::now();
    let mut rebuild = Rebuild::begin(&scene.journal).await?;
    let counted = loop {
        let so_far = rebuild.next().await?;
        if so_far.to.is_none() {
            break so_far.events;
        }
    };
    let took = began.elapsed();
    scene.analyze().await?;
    let mut object = Map::new();
    object.insert("events".to_owned(), json!(counted));
    object.insert("people".to_owned(), json!(people));
    object.insert(
        "rebuild_events_per_second".to_owned(),
        json!(per_second(counted, took)),
    );
    let reports = Reports::new(scene.journal.clone());
    let mut all = Map::new();
    for &name in ReportName::ALL {
        progress(name.as_str());
        let times = ask(&reports, &[(name, question(name, scene.now))]).await?;
        all.insert(name.as_str().to_owned(), times);
    }
    progress("overview");
    all.insert(
        "overview".to_owned(),
        ask(&reports, &overview(scene.now)).await?,
    );
    object.insert("reports".to_owned(), Value::Object(all));
    object.insert("searches".to_owned(), search::measure(&scene).await?);
    writeln!(std::io::stdout(), "{}", Value::Object(object))?;
    scene.strike().await
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

/// What a first page shows.
fn overview(now: DateTime<Utc>) -> Vec<(ReportName, Question)> {
    let since = |days: i64| Question {
        from: Some(now - TimeDelta::days(days)),
        to: Some(now),
        ..Question::default()
    };
    vec![
        (
            ReportName::Activity,
            Question {
                by: Some(By::Hour),
                ..since(1)
            },
        ),
        (ReportName::Trust, since(30)),
        (ReportName::Pending, Question::default()),
        (ReportName::FailedLogins, since(1)),
        (ReportName::Funnel, since(30)),
    ]
}

/// How long the questions take, asked at once as a page does.
async fn ask(reports: &Reports, questions: &[(ReportName, Question)]) -> Result<Value> {
    timed(async || {
        let asked = questions.iter();
        let asked = asked.map(|(name, question)| reports.ask(*name, question));
        let answers = try_join_all(asked).await?;
        Ok(answers.iter().map(|answer| answer.rows.len()).sum())
    })
    .await
}

/// How long something takes that answers so many rows: the first time, and of the further ones half and 95 of 100.
async fn timed(work: impl AsyncFn() -> Result<usize>) -> Result<Value> {
    let mut times = Vec::new();
    let mut rows = 0;
    for _ in 0..=TIMES {
        let began = Instant::now();
        rows = work().await?;
        times.push(began.elapsed());
    }
    let first = times.remove(0);
    times.sort();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_millis();
    Ok(json!({ "first_ms": first.as_millis(), "p50_ms": at(50), "p95_ms": at(95), "rows": rows }))
}

fn per_second(count: i64, took: Duration) -> i64 {
    let millis = i64::try_from(took.as_millis()).unwrap_or(i64::MAX).max(1);
    count.saturating_mul(1_000) / millis
}

fn progress(text: &str) {
    drop(writeln!(std::io::stderr(), "bench: {text}"));
}
