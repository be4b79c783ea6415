//! The alerts for Prometheus and the page about alerts: they name metrics and alerts that exist,
//! and every alert has its section and its rule.

use std::collections::BTreeSet;

use usher::event::Alert;

use crate::reference::metrics;
use crate::reference::page::read;

const RULES: &str = "deploy/prometheus/usher.rules.yml";
const PAGE: &str = "docs/operations/alerts.md";

#[test]
fn the_alerts_for_prometheus_name_metrics_that_exist() {
    let known: BTreeSet<String> = metrics::all().into_iter().collect();
    let named = metrics_in(&read(RULES));
    assert!(named.len() > 5, "{named:?}");
    let unknown: Vec<&String> = named.difference(&known).collect();
    assert!(unknown.is_empty(), "no such metrics: {unknown:?}");
}

#[test]
fn every_alert_has_its_section_and_its_rule() {
    let (page, rules) = (read(PAGE), read(RULES));
    for alert in Alert::ALL {
        let heading = format!("\n## `{alert}`\n");
        assert!(page.contains(&heading), "{PAGE}: no section {heading:?}");
        let docs = format!("docs: {PAGE}#{}\n", alert.as_str().replace('.', ""));
        assert!(rules.contains(&docs), "{RULES}: no alert with {docs:?}");
    }
    let quoted = rules.split("alert=\"").skip(1);
    for name in quoted.filter_map(|rest| rest.split('"').next()) {
        let alert: Result<Alert, _> = name.parse();
        assert!(alert.is_ok(), "{RULES}: there is no alert {name:?}");
    }
}

/// The metrics that a text names.
fn metrics_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words
        .filter(|word| word.starts_with("usher_"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn metrics_are_found_in_expressions() {
    let text = "expr: sum(rate(usher_a_total{b=\"c\"}[5m])) / usher_d > 0.7 # usher.e, xusher_f";
    let found: Vec<String> = metrics_in(text).into_iter().collect();
    assert_eq!(found, ["usher_a_total", "usher_d"]);
}
