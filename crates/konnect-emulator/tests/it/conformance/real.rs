//! The same calls to a real Konnect, with a portal to use up: `KONNECT_TOKEN` and `KONNECT_PORTAL`,
//! and `KONNECT_URL` for another region. What it shows of the lines of `fidelity.jsonl` that are
//! inferred is printed as lines that are recorded. And with `KONNECT_SPEC`, a folder of the
//! documents, whether the facts are still what these say.

use std::{collections::BTreeMap, path::Path, process::Command, sync::Arc};

use serde_json::json;
use tokio::task::JoinSet;

use crate::{
    conformance::{
        facts::{FACTS, Operation},
        fidelity::{self, Basis, Comparison},
        run::run,
        target::Target,
    },
    support::Konnect,
};

/// Whether an operation can be called with nothing at stake but the portal.
fn is_safe(operation: &Operation) -> bool {
    let within = operation.path.contains("{portalId}") && operation.id != "delete-portal";
    within || (operation.method == "GET" && operation.path_parameters.is_empty())
}

/// What a Konnect showed.
struct Shown {
    /// How many operations were called.
    called: usize,
    /// The operations that could not be called, with the reason where it is known.
    skipped: Vec<&'static str>,
    violations: Vec<String>,
    comparison: Comparison,
}

/// Calls operations one after the other.
async fn call_all(target: Target, wanted: fn(&Operation) -> bool) -> Shown {
    let target = Arc::new(target);
    let mut observed = BTreeMap::new();
    let mut violations = Vec::new();
    let mut skipped = Vec::new();
    for operation in &*FACTS {
        if !wanted(operation) {
            skipped.push(operation.id.as_str());
            continue;
        }
        let target = Arc::clone(&target);
        let mut alone = JoinSet::new();
        // A setup that fails ends the task and not the others.
        alone.spawn(async move { run(operation, &target).await });
        match alone.join_next().await.unwrap() {
            Ok(report) => {
                let wrong = report.violations.into_iter();
                violations.extend(wrong.map(|wrong| format!("{}: {wrong}", operation.id)));
                observed.insert(operation.id.as_str(), report.observed);
            }
            Err(_) => skipped.push(operation.id.as_str()),
        }
    }
    Shown {
        called: observed.len(),
        skipped,
        violations,
        comparison: fidelity::compare(&observed),
    }
}

#[expect(
    clippy::print_stdout,
    reason = "what a real Konnect shows is for whoever asked it"
)]
#[tokio::test]
async fn a_real_konnect_answers_as_declared() {
    let Some(target) = Target::of_environment() else {
        println!("skipped: {} operations of a real Konnect", FACTS.len());
        return;
    };
    let host = target.url.clone();
    let date = target.now().date_naive();
    let shown = call_all(target, is_safe).await;
    println!(
        "{host}: {} operations called, skipped: {:?}",
        shown.called, shown.skipped
    );
    println!(
        "otherwise than declared or recorded:\n{}",
        shown.violations.join("\n")
    );
    println!("{}", shown.comparison.refuted.join("\n"));
    for mut line in shown.comparison.seen {
        if line.basis == Basis::Inferred {
            line.basis = Basis::Recorded;
            line.source = format!("calls of {host} on {date}");
            println!("{}", json!(line));
        }
    }
    assert!(shown.called > 0);
}

/// The way to a real Konnect works: here it leads to an emulator.
#[tokio::test]
async fn a_given_portal_is_used_and_nothing_beyond_it() {
    let (konnect, portal) = Konnect::with_portal(json!({})).await;
    let (url, token) = (konnect.emulator.url(), konnect.emulator.token().to_owned());
    let target = Target::given(url, token, portal.clone());
    let wanted = |operation: &Operation| {
        let few = [
            "list-portal-teams",
            "update-developer",
            "assign-role-to-portal-teams",
        ];
        is_safe(operation) && few.contains(&operation.id.as_str())
    };
    let shown = call_all(target, wanted).await;
    // Roles are of APIs, which only an emulator can seed.
    assert_eq!(shown.called, 2);
    assert!(shown.skipped.contains(&"assign-role-to-portal-teams"));
    let portals = konnect.expect(200, "GET", "/v3/portals", json!(null)).await;
    assert_eq!(portals["meta"]["page"]["total"], 1);
    let path = format!("/v3/portals/{portal}/teams");
    let teams = konnect.expect(200, "GET", &path, json!(null)).await;
    assert_ne!(teams["meta"]["page"]["total"], 0);
}

#[expect(clippy::print_stdout, reason = "a skipped test says so")]
#[test]
fn the_facts_are_what_the_documents_say() {
    if std::env::var_os("KONNECT_SPEC").is_none() {
        println!("skipped: the facts against the documents of KONNECT_SPEC");
        return;
    }
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/konnect-facts");
    let ran = Command::new(script).arg("--check").output().unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
}
