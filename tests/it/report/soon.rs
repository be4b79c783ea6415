//! The bench of reports in a short form: bounds that a debug build on a busy machine keeps, so that
//! a question that comes to read everything is noticed.

#[path = "../../../benches/reports/measure.rs"]
mod measure;
#[path = "../../../benches/reports/overview.rs"]
mod overview;
#[path = "../../../benches/reports/scene.rs"]
mod scene;
#[path = "../../../benches/reports/search.rs"]
mod search;

use measure::{Extent, Part, measure};
use scene::Scene;
use serde_json::Value;

use crate::support::environment;

const EVENTS: i64 = 30_000;
const EXTENT: Extent = Extent {
    times: 3,
    pages: 20,
    exported: 10_000,
};

#[tokio::test]
async fn questions_of_thirty_thousand_events_are_answered_at_once() {
    let scene = Scene::set(&environment::database_url(), None, EVENTS, 1_000)
        .await
        .unwrap();
    let parts = [
        Part::Rebuild,
        Part::Reports,
        Part::Overview,
        Part::Searches,
        Part::Export,
    ];
    let measured = measure(&scene, EXTENT, &parts).await.unwrap();
    scene.strike().await.unwrap();
    assert_eq!(measured["events"], EVENTS, "all are counted");
    let rate = measured["rebuild_events_per_second"].as_i64().unwrap();
    assert!(rate > 2_000, "counted anew: {rate} events a second");
    let searches = measured["searches"].as_object().unwrap();
    let exported = searches["export_rows_per_second"].as_i64().unwrap();
    assert!(exported > 1_000, "exported: {exported} rows a second");
    let reports = measured["reports"].as_object().unwrap();
    let timed: Vec<(&String, &Value)> = reports
        .iter()
        .chain(searches)
        .filter(|(_, took)| took.is_object())
        .collect();
    assert!(timed.len() > 18, "{timed:?}");
    for (name, took) in timed {
        assert!(took["p50_ms"].as_u64().unwrap() < 2_000, "{name}: {took}");
        // The text is of another day: it reads all of this one.
        let found = took["rows"].as_u64().unwrap() > 0;
        assert_eq!(found, name != "free_text_in_a_day", "{name}: {took}");
    }
}
