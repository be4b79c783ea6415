//! Searches on the same journal: filtered, the thousandth page, free text, by person; and an
//! export.

use std::time::Instant;

use anyhow::{Context as _, Result};
use chrono::TimeDelta;
use serde_json::{Map, Value};
use usher::api::format::Format;
use usher::api::lines::Lines;
use usher::clock::{Clock, Ids};
use usher::directory::{DeveloperFilter, Directory, Gone, ListPage};
use usher::journal::{EventFilter, Export, Position};

use super::measure::{Extent, per_second, progress, timed};
use super::scene::{Scene, somebody_who_fails};

const PAGE: i64 = 100;

pub(super) async fn measure(scene: &Scene, extent: Extent) -> Result<Map<String, Value>> {
    let logins = EventFilter {
        kind: Some("authentication".to_owned()),
        outcome: Some("failure".parse()?),
        ..EventFilter::default()
    };
    let filtered = EventFilter {
        principal_id: Some(somebody_who_fails().to_string()),
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
    let times = extent.times;
    let deep = deep(scene, &logins, extent.pages).await?;
    let searches = [
        ("filtered", &filtered, None),
        ("page_1000", &logins, Some(deep)),
        ("free_text_in_a_day", &text, None),
        ("events_of_a_person", &person, None),
    ];
    let mut all = Map::new();
    for (name, filter, after) in searches {
        let took = timed(times, async || page(filter, after).await).await?;
        all.insert(name.to_owned(), took);
    }
    all.insert("people_by_email".to_owned(), by_email(scene, times).await?);
    Ok(all)
}

/// Where so many pages end.
async fn deep(scene: &Scene, filter: &EventFilter, pages: usize) -> Result<Position> {
    let mut after = None;
    for _ in 0..pages {
        let found = scene.journal.search_page(filter, after, PAGE).await?;
        after = found.next.or(after);
    }
    after.context("the record has more than a page")
}

async fn by_email(scene: &Scene, times: usize) -> Result<Value> {
    let clock = Clock::system();
    let directory = Directory::new(scene.journal.clone(), clock.clone(), Ids::new(clock));
    timed(times, async || {
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
pub(super) async fn export(scene: &Scene, exported: usize) -> Result<i64> {
    progress("export");
    let export = Export::begin(scene.journal.clone(), EventFilter::default(), None).await?;
    let mut lines = Lines::of(export, Format::Ndjson);
    let began = Instant::now();
    let (mut rows, mut bytes) = (0, 0);
    while rows < exported
        && let Some(piece) = lines.next().await?
    {
        bytes += piece.bytes.len();
        rows += piece.events;
    }
    progress(&format!("{rows} rows, {bytes} bytes"));
    Ok(per_second(i64::try_from(rows)?, began.elapsed()))
}
