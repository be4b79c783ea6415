//! Every operation of Konnect's documents has a method of the client, which sends no other.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::source;

/// Operations of the documents, one a line.
const FACTS: &str = include_str!("../../../konnect-emulator/spec/facts.jsonl");
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// What the emulator has of an API and the client has not: programs that keep APIs in step need it,
/// those that keep portals do not.
const OF_APIS: [&str; 9] = [
    "/v3/apis/{apiId}/images",
    "/v3/apis/{apiId}/versions",
    "/v3/apis/{apiId}/specifications",
    "/v3/apis/{apiId}/documents",
    "/v3/apis/{apiId}/implementations",
    "/v3/apis/{apiId}/registrations",
    "/v3/apis/validate-specification",
    "/v3/api-implementations",
    "/v3/api-attributes",
];
const NOT_SENT: [&str; 2] = [
    "GET /v3/portals/{portalId}/api-publications",
    "PUT /v2/application-auth-strategies/{authStrategyId}",
];

/// Returns whether an operation, method and path, is none of the client.
fn is_left_out(operation: &str) -> bool {
    let (_, path) = operation.split_once(' ').unwrap();
    NOT_SENT.contains(&operation) || OF_APIS.iter().any(|start| path.starts_with(start))
}

/// Operations that the source sends: its texts of the form `GET /v3/…`.
fn sent() -> BTreeSet<String> {
    let mut sent = BTreeSet::new();
    for (path, text) in source::files() {
        for text in text.lines().filter(|line| !is_comment(line)) {
            for text in text.split('"').skip(1).step_by(2) {
                let Some((method, route)) = text.split_once(' ') else {
                    continue;
                };
                let is_versioned = route.starts_with("/v2/") || route.starts_with("/v3/");
                if METHODS.contains(&method) && is_versioned {
                    assert!(sent.insert(text.to_owned()), "{path} has {text} once more");
                }
            }
        }
    }
    sent
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

#[expect(
    clippy::print_stdout,
    reason = "what is covered is for whoever runs the test"
)]
#[test]
fn every_operation_has_a_typed_method() {
    let declared: BTreeSet<String> = FACTS
        .lines()
        .map(|line| {
            let fact: Value = serde_json::from_str(line).unwrap();
            let text = |name: &str| fact[name].as_str().unwrap().to_owned();
            format!("{} {}", text("method"), text("path"))
        })
        .filter(|operation| !is_left_out(operation))
        .collect();
    assert!(declared.len() > 130, "the facts were not found");
    let sent = sent();
    let forgotten: Vec<_> = declared.difference(&sent).collect();
    let unknown: Vec<_> = sent.difference(&declared).collect();
    println!("{} of {} operations", sent.len(), declared.len());
    assert!(unknown.is_empty(), "in no document: {unknown:#?}");
    assert!(forgotten.is_empty(), "without a method: {forgotten:#?}");
}

/// The figures of both READMEs are the same, and the totals are those of the documents.
#[test]
fn the_readme_compares_as_the_emulators_does() {
    let table = |text: &'static str| -> Vec<&str> {
        let rows = text.lines().filter(|line| line.starts_with("| "));
        let rows = rows.skip_while(|line| !line.starts_with("| operations | all"));
        rows.filter(|line| !line.contains("| audit logs of the organisation, v2"))
            .collect()
    };
    let readme = include_str!("../../README.md");
    let emulators = table(include_str!("../../../konnect-emulator/README.md"));
    assert!(emulators.len() > 15, "the table was not found");
    assert_eq!(table(readme), emulators);
    for (spec, row) in [
        ("portal-management", "| **together** | **{}** | **{}** |"),
        (
            "audit-logs 3",
            "| audit logs of the organisation, v3 | {} | {} |",
        ),
        (
            "audit-logs 2",
            "| audit logs of the organisation, v2 | 12 | {} |",
        ),
        (
            "sdk-konnect-go",
            "The {} operations of the feature `catalog`",
        ),
    ] {
        let of = format!("\"spec\": \"{spec}");
        let count = FACTS.lines().filter(|line| line.contains(&of));
        let count = count
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .filter(|fact| {
                let text = |name: &str| fact[name].as_str().unwrap();
                !is_left_out(&format!("{} {}", text("method"), text("path")))
            })
            .count();
        let row = row.replace("{}", &count.to_string());
        assert!(readme.contains(&row), "the README lacks {row}");
    }
}
