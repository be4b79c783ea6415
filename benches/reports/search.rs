//! Searches on the same record: filtered, the thousandth page, free text, by person; and an export.

use std::time::Instant;

use anyhow::{Context as _, Result};
use chrono::TimeDelta;
use serde_json::{Value, json};
use usher::api::format::Format;
use usher::api::lines::Lines;
use usher::clock::{Clock, Ids};
use usher::directory::{DeveloperFilter, Directory, Gone, ListPage};
use usher::journal::{EventFilter, Export, Position};

use crate::scene::{Scene, somebody};
use crate::{per_second, progress, timed};

const PAGE: i64 = 100;
/// Pages before the one that is measured.
const PAGES: usize = 999;
/// Rows that are exported.
const EXPORTED: usize = 1_000_000;

pub(crate) async fn measure(scene: &Scene) -> Result<Value> {
    let logins = EventFilter {
        kind: Some("authentication".to_owned()),
        outcome: Some("failure".parse()?),
        ..EventFilter::default()
    };
    let filtered = EventFilter {
        principal_id: Some(somebody(7).to_string()),
        ..logins.clone()
    };
    let text = EventFilter {
        q: Some("3360194145499000".to_owned() + "001"),
        from: Some(scene.now - TimeDelta::days(1)),
        ..EventFilter::default()
    };
    let person = EventFilter {
        person: Some("person77@".to_owned()),
        ..EventFilter::default()
    };
    progress("searches");
    let page = async |filter: &EventFilter, after: Option<Position>| {
        let found = scene.journal.search_page(filter, after, PAGE).await?;
        Ok(found.events.len())
    };
    let deep = deep(scene, &logins).await?;
    Ok(json!({
        "filtered": timed(async || page(&filtered, None).await).await?,
        "page_1000": timed(async || page(&logins, Some(deep)).await).await?,
        "free_text_in_a_day": timed(async || page(&text, None).await).await?,
        "events_of_a_person": timed(async || page(&person, None).await).await?,
        "people_by_email": by_email(scene).await?,
        "export_rows_per_second": export(scene).await?,
    }))
}

/// Where page 999 ends.
async fn deep(scene: &Scene, filter: &EventFilter) -> Result<Position> {
    let mut after = None;
    for _ in 0..PAGES {
        let found = scene.journal.search_page(filter, after, PAGE).await?;
        after = found.next.or(after);
    }
    after.context("the record has a thousand pages")
}

async fn by_email(scene: &Scene) -> Result<Value> {
    let clock = Clock::system();
    let directory = Directory::new(scene.journal.clone(), clock.clone(), Ids::new(clock));
    timed(async || {
        let page = ListPage {
            portal_id: None,
            gone: Gone::default(),
            after: None,
            limit: PAGE,
        };
        let found = directory
            .list_developers_by_email("person77", &DeveloperFilter::default(), &page)
            .await?;
        Ok(found.len())
    })
    .await
}

/// How fast events leave as NDJSON.
async fn export(scene: &Scene) -> Result<i64> {
    progress("export");
    let export = Export::begin(scene.journal.clone(), EventFilter::default(), None).await?;
    let mut lines = Lines::of(export, Format::Ndjson);
    let began = Instant::now();
    let (mut rows, mut bytes) = (0, 0);
    while rows < EXPORTED
        && let Some(piece) = lines.next().await?
    {
        bytes += piece.bytes.len();
        rows += piece.events;
    }
    progress(&format!("{rows} rows, {bytes} bytes"));
    Ok(per_second(i64::try_from(rows)?, began.elapsed()))
}
