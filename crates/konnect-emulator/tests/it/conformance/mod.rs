//! Conformance: every operation of Konnect's documents is called in raw HTTP with valid, minimal,
//! over-long, wrong-typed and unknown input, and each answer is checked against the committed facts
//! for its status, its media type and its members.

mod answer;
mod echo;
mod facts;
mod fidelity;
mod gaps;
mod make;
mod patterns;
mod query;
mod real;
mod run;
mod scene;
mod schema;
mod seed;
mod target;

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;
use tokio::task::JoinSet;

use crate::conformance::{
    answer::GAPS,
    facts::{FACTS, Operation},
    gaps::Met,
    run::{Report, is_served, run},
    target::Target,
};

/// A violation that is meant to be, or that is known.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Exception {
    operation: String,
    /// What the violation's words hold.
    violation: String,
    /// Why it is right.
    reason: String,
}

fn exceptions() -> Vec<Exception> {
    include_str!("exceptions.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Calls an operation and returns its violations without the exceptions; an exception that does not
/// occur is one too.
async fn conform(operation: &'static Operation, target: &Target) -> Report {
    assert!(
        is_served(target, operation).await,
        "{} {} is not served",
        operation.method,
        operation.path
    );
    let mut report = run(operation, target).await;
    for exception in exceptions()
        .iter()
        .filter(|exception| exception.operation == operation.id)
    {
        assert!(!exception.reason.is_empty(), "{exception:?} has no reason");
        let before = report.violations.len();
        report
            .violations
            .retain(|violation| !violation.contains(&exception.violation));
        if report.violations.len() == before {
            report
                .violations
                .push(format!("{exception:?} does not occur"));
        }
    }
    report
}

/// Calls an operation of the reference of 74, by the name of its test.
async fn conform_by_name(test: &str) {
    let id = test.replace('_', "-");
    let operation = facts::find(&id).unwrap_or_else(|| panic!("{id} is no operation"));
    assert!(operation.in_seed, "{id} is not of the 74");
    let target = Target::emulated().await;
    let report = conform(operation, &target).await;
    assert_eq!(report.violations, Vec::<String>::new(), "{id}");
    assert!(report.calls >= 3, "{id} was called {} times", report.calls);
}

#[expect(
    clippy::print_stdout,
    reason = "what was covered is for whoever runs the test"
)]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_operation_answers_as_declared() {
    let mut running = JoinSet::new();
    let shared = Arc::new(Target::emulated().await);
    for operation in &*FACTS {
        // What the whole organisation has once would be changed by another's calls.
        let is_alone =
            operation.path.contains("/audit-log") && !operation.path.contains("{portalId}");
        let shared = Arc::clone(&shared);
        running.spawn(async move {
            let report = if is_alone {
                conform(operation, &Target::emulated().await).await
            } else {
                conform(operation, &shared).await
            };
            (operation, report)
        });
    }
    let (mut calls, mut served) = (0, BTreeMap::new());
    let mut gaps: BTreeMap<u16, usize> = BTreeMap::new();
    let mut met = Met::new();
    let mut observed = BTreeMap::new();
    let mut violations = Vec::new();
    while let Some(done) = running.join_next().await {
        let (operation, report) = done.unwrap();
        *served.entry(operation.spec.as_str()).or_insert(0) += 1;
        calls += report.calls;
        for (status, count) in report.gaps {
            *gaps.entry(status).or_default() += count;
            met.entry(status).or_default().insert(&operation.id);
        }
        observed.insert(operation.id.as_str(), report.observed);
        let named = report
            .violations
            .into_iter()
            .map(|wrong| format!("{}: {wrong}", operation.id));
        violations.extend(named);
    }
    let total: usize = served.values().sum();
    println!(
        "conformance: {total} of {} operations in {calls} calls: {served:?}",
        FACTS.len()
    );
    for gap in GAPS {
        let count = gaps.get(&gap.status).copied().unwrap_or_default();
        println!(
            "answered {} undeclared {count} times: {}",
            gap.status, gap.reason
        );
    }
    println!("exceptions: {}", exceptions().len());
    let fidelity = fidelity::compare(&observed);
    println!(
        "lines of fidelity.jsonl that were seen: {}",
        fidelity.seen.len()
    );
    violations.extend(fidelity.refuted);
    violations.extend(gaps::compare(&met, &exceptions()));
    violations.sort();
    assert!(
        violations.is_empty(),
        "{} violations:\n{}",
        violations.len(),
        violations.join("\n")
    );
    assert_eq!(total, FACTS.len());
}
