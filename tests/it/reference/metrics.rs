//! `metrics.md`: every metric with its type, unit, labels and meaning.
//!
//! Types and units are those that the code tells the recorder, meanings the comments at the names,
//! labels those that the code gives where it counts.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use metrics::{
    Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    with_local_recorder,
};
use usher::telemetry::metrics as names;

use crate::reference::page::{Part, cell, hold, table};
use crate::tidy::source::{closing, words};
use crate::tidy::tree;

const SOURCE: &str = include_str!("../../../src/telemetry/metrics.rs");

/// The sections of the page.
const SECTIONS: [(&str, &[&str]); 8] = [
    (
        "Ingest",
        &[
            names::DELIVERIES,
            names::HOOKS,
            names::ENTRIES_RECEIVED,
            names::ENTRIES_QUARANTINED,
            names::VERDICTS,
            names::SIGNATURES_CHECKED,
            names::ENTRIES_RECOGNISED,
            names::JWKS_AGE,
        ],
    ),
    (
        "The record",
        &[
            names::EVENTS_STORED,
            names::EVENTS_DUPLICATE,
            names::BATCHES,
            names::BATCH_ENTRIES,
            names::COMMIT_SECONDS,
            names::PARTITIONS_AHEAD,
            names::UPKEEP_MONTHS,
            names::UPKEEP_ROWS,
            names::UPKEEP_KEPT,
        ],
    ),
    (
        "The spool",
        &[
            names::SPOOL_FILES,
            names::SPOOL_BYTES,
            names::SPOOL_MAX_BYTES,
            names::SPOOL_ASIDE,
        ],
    ),
    (
        "The outbox and its readers",
        &[
            names::OUTBOX_DEPTH,
            names::OUTBOX_AGE,
            names::OUTBOX_LIVE_AGE,
            names::READERS_UNWANTED,
            names::READERS_RETIRED,
            names::READERS_DROPPED,
            names::KAFKA_PUBLISHED,
            names::KAFKA_FAILED,
            names::KAFKA_SECONDS,
            names::FORWARDED,
            names::FORWARD_FAILED,
            names::FORWARD_SECONDS,
        ],
    ),
    ("Konnect", &[names::SWEEPS, names::KONNECT_CALLS]),
    ("Alerts", &[names::ALERTS]),
    (
        "Coverage",
        &[
            names::COVERAGE_SECONDS,
            names::REPLAY_JOBS,
            names::REPLAYED_ENTRIES,
            names::PULL_ENTRIES,
            names::PULL_MISSING,
            names::PULL_LAG,
        ],
    ),
    (
        "Rules and deeds",
        &[
            names::RULES_RELOADS,
            names::RULES_STALE,
            names::ACTIONS,
            names::ACTIONS_PAUSED,
            names::ACTIONS_PAUSED_BY_HAND,
            names::ACTIONS_FORBIDDEN,
            names::CUSTOM_LOST,
        ],
    ),
];

/// A metric.
struct Metric {
    kind: &'static str,
    unit: &'static str,
    labels: Vec<String>,
    about: String,
}

#[test]
fn the_page_on_metrics_has_every_metric() {
    let metrics = metrics();
    for name in metrics.keys() {
        let places = SECTIONS.iter().flat_map(|(_, members)| members.iter());
        assert_eq!(
            places.filter(|place| *place == name).count(),
            1,
            "{name}: name it in one section of the page, in {}",
            file!()
        );
    }
    let parts = SECTIONS.map(|(title, members)| {
        let rows: Vec<[String; 5]> = members
            .iter()
            .map(|name| row(name, &metrics[*name]))
            .collect();
        Part {
            name: title.to_lowercase(),
            heading: format!("## {title}"),
            text: table(["metric", "type", "unit", "labels", "meaning"], &rows),
        }
    });
    hold("metrics", &parts);
}

/// The names of all metrics.
pub(crate) fn all() -> Vec<String> {
    metrics().into_keys().collect()
}

fn row(name: &str, metric: &Metric) -> [String; 5] {
    let labels: Vec<String> = metric.labels.iter().map(|it| format!("`{it}`")).collect();
    let or_none = |text: String| {
        if text.is_empty() {
            "–".to_owned()
        } else {
            text
        }
    };
    [
        format!("`{name}`"),
        metric.kind.to_owned(),
        or_none(metric.unit.to_owned()),
        or_none(labels.join(", ")),
        cell(&metric.about),
    ]
}

/// Every metric, by its name.
fn metrics() -> BTreeMap<String, Metric> {
    let described = Described::default();
    with_local_recorder(&described, names::describe);
    let mut described = described
        .0
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    let mut labels = labels();
    let mut metrics = BTreeMap::new();
    for (constant, name, about) in constants() {
        let told = described.remove(&name);
        let (kind, unit) = told.unwrap_or_else(|| panic!("{constant} is not described"));
        let labels = labels.remove(constant);
        let labels = labels.unwrap_or_else(|| panic!("nothing counts {constant}"));
        let metric = Metric {
            kind,
            unit,
            labels,
            about,
        };
        metrics.insert(name, metric);
    }
    assert!(described.is_empty(), "without a constant: {described:?}");
    metrics
}

/// The constants with the names that they hold and what is said of them, labels left out.
fn constants() -> Vec<(&'static str, String, String)> {
    let mut constants = Vec::new();
    let mut about: Vec<&str> = Vec::new();
    for line in SOURCE.lines() {
        if let Some(text) = line.strip_prefix("///") {
            about.push(text.trim());
            continue;
        }
        let constant = line
            .strip_prefix("pub const ")
            .and_then(|rest| rest.split_once(": &str = \""));
        if let Some((constant, name)) = constant {
            let name = name.trim_end_matches("\";").to_owned();
            constants.push((constant, name, without_labels(&about.join(" "))));
        }
        about.clear();
    }
    assert!(constants.len() > 30, "the source is not read");
    constants
}

/// `Batches; label `way`: new, whole.` without its label.
fn without_labels(about: &str) -> String {
    let about = about.trim_end_matches('.');
    match about.split_once("; label") {
        Some((start, labels)) => match labels.split_once(':') {
            Some((_, rest)) => format!("{start}:{rest}"),
            None => start.to_owned(),
        },
        None => about.to_owned(),
    }
}

/// The labels that each constant is counted with, in the order of the code.
fn labels() -> BTreeMap<String, Vec<String>> {
    const SPOOL: [&str; 4] = [
        "SPOOL_FILES",
        "SPOOL_ASIDE",
        "SPOOL_BYTES",
        "SPOOL_MAX_BYTES",
    ];
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    // These are set through a function of the spool.
    for constant in SPOOL {
        found.insert(constant.to_owned(), Vec::new());
    }
    for source in tree() {
        let code = &source.production;
        for opening in ["counter!(", "gauge!(", "histogram!("] {
            for at in words(code, opening) {
                let open = at + opening.len() - 1;
                let Some(close) = closing(code, open) else {
                    continue;
                };
                let name = code[open + 1..close].split(',').next().unwrap_or_default();
                let name = name.rsplit("::").next().unwrap_or_default().trim();
                let labels = found.entry(name.to_owned()).or_default();
                for literal in &source.literals {
                    let end = literal.at + literal.text.len() + 2;
                    let is_label = (open..close).contains(&literal.at)
                        && code[end..].trim_start().starts_with("=>");
                    if is_label && !labels.contains(&literal.text) {
                        labels.push(literal.text.clone());
                    }
                }
            }
        }
    }
    found
}

/// What the code tells a recorder of its metrics: type and unit by name.
#[derive(Default)]
struct Described(Mutex<BTreeMap<String, (&'static str, &'static str)>>);

impl Described {
    fn note(&self, kind: &'static str, name: &KeyName, unit: Option<Unit>) {
        let unit = match unit {
            None | Some(Unit::Count) => "",
            Some(unit) => unit.as_str(),
        };
        let mut described = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        described.insert(name.as_str().to_owned(), (kind, unit));
    }
}

impl Recorder for Described {
    fn describe_counter(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.note("counter", &key, unit);
    }

    fn describe_gauge(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.note("gauge", &key, unit);
    }

    fn describe_histogram(&self, key: KeyName, unit: Option<Unit>, _: SharedString) {
        self.note("histogram", &key, unit);
    }

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn labels_are_left_out_of_meanings() {
    for (about, meaning) in [
        (
            "Requests at the door; label `status`.",
            "Requests at the door",
        ),
        (
            "Batches; label `way`: new, or whole.",
            "Batches: new, or whole",
        ),
        (
            "Entries, known; not checked.",
            "Entries, known; not checked",
        ),
    ] {
        assert_eq!(without_labels(about), meaning, "{about}");
    }
}
