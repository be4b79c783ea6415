//! What the console's first page asks, all of it at once and by as few connections as it has,
//! without the counts that its readers share.

use anyhow::Result;
use chrono::TimeDelta;
use serde_json::{Map, Value};
use usher::act::Queue;
use usher::clock::{Clock, Ids};
use usher::directory::Directory;
use usher::journal::Journal;
use usher::report::{By, Question, ReportName, Reports};

use super::measure::{progress, timed};
use super::scene::Scene;

/// The spans of the page in days, and of how many of them it counts people.
const SPANS: [(&str, i64, i64); 3] = [
    ("overview", 1, 1),
    ("overview_of_a_week", 7, 7),
    ("overview_of_a_month", 30, 7),
];

pub(super) async fn measure(scene: &Scene, times: usize) -> Result<Map<String, Value>> {
    let reading = Journal::open_reading(scene.url())?;
    let mut all = Map::new();
    for (name, days, people_days) in SPANS {
        progress(name);
        let took = timed(times, async || {
            Box::pin(ask(scene, &reading, days, people_days)).await
        })
        .await?;
        all.insert(name.to_owned(), took);
    }
    reading.close().await;
    Ok(all)
}

async fn ask(scene: &Scene, reading: &Journal, days: i64, people_days: i64) -> Result<usize> {
    let clock = Clock::system();
    let ids = Ids::new(clock.clone());
    let reports = Reports::new(reading.clone());
    let directory = Directory::new(reading.clone(), clock.clone(), ids.clone());
    let queue = Queue::new(reading.clone(), clock, ids);
    let since = |days| scene.now - TimeDelta::days(days);
    let window = (Some(since(days)), Some(scene.now));
    let by = if days == 1 { By::Hour } else { By::Day };
    let funnel = Question {
        from: Some(since(30)),
        ..Question::default()
    };
    let funnel = async {
        let asked = reports.ask(ReportName::Funnel, &funnel).await;
        asked.map_err(anyhow::Error::from)
    };
    let counts = async {
        tokio::try_join!(
            directory.portals(),
            reports.first_delivered(),
            reports.event_counts(None, window, by),
            reports.active_people(None, since(people_days)),
            reports.pending_counts(None),
            queue.tally(None, since(days)),
            queue.paused(),
            reading.quarantine_counts(since(1)),
            reading.readers(),
        )
        .map_err(anyhow::Error::from)
    };
    let (counts, funnel) = tokio::try_join!(counts, funnel)?;
    Ok(counts.2.len() + funnel.rows.len())
}
