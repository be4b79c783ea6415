//! The README's table of operations says what the emulator serves: each declared operation is
//! called, and counted where it is not unknown.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::support::Konnect;

const README: &str = include_str!("../../README.md");

/// Every operation that Konnect's specifications declare.
const DECLARED: &str = include_str!("../../spec/facts.jsonl");

/// What clients call besides.
const UNDECLARED: (&str, &str) = ("DELETE", "/v2/audit-log-webhook");

/// The rows of the table, by the first word that a path holds.
const ROWS: [(&str, &str); 20] = [
    ("/v2/audit-log", "audit logs of the organisation, v2"),
    ("/v3/audit-log", "audit logs of the organisation, v3"),
    ("/audit-log", "audit log of a portal"),
    ("email", "e-mails"),
    ("/ip-", "IP allow-lists"),
    ("/custom-domain", "custom domains"),
    ("/customization", "customization"),
    ("/integrations", "integrations"),
    ("/assets", "assets"),
    ("/pages", "pages"),
    ("/default-content", "pages"),
    ("/snippets", "snippets"),
    (
        "/authentication-settings",
        "authentication settings, identity providers",
    ),
    (
        "/identity-provider",
        "authentication settings, identity providers",
    ),
    ("registrations", "registrations, consumers"),
    ("/applications", "applications, credentials"),
    ("/teams", "teams, membership, roles"),
    ("/portal-roles", "teams, membership, roles"),
    ("/developers", "developers"),
    ("/v3/portals", "portals"),
];

#[tokio::test]
async fn the_table_of_operations_counts_what_is_served() {
    let konnect = Konnect::start().await;
    let facts: Vec<Value> = DECLARED
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let declared = facts.iter().map(|facts| {
        let text = |name: &str| facts[name].as_str().unwrap();
        (text("method"), text("path"))
    });
    // Of all there are, and of those that are served.
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (method, path) in declared.chain([UNDECLARED]) {
        // The catalogue of APIs is not in the table.
        let elsewhere = ["/v3/api", "/v2/application-auth-", "/api-publications"];
        if elsewhere.iter().any(|part| path.contains(part)) {
            continue;
        }
        let (_, row) = ROWS.iter().find(|(word, _)| path.contains(word)).unwrap();
        let called = path.replace(['{', '}'], "");
        let (status, answer) = konnect.call(method, &called, Value::Null).await;
        let is_unknown = status == 405 || answer["message"] == "no Route matched with those values";
        let (all, served) = counts.entry(row).or_default();
        *all += 1;
        *served += usize::from(!is_unknown);
    }
    let of_portals = counts
        .iter()
        .filter(|(row, _)| !row.contains("organisation"));
    let (all, served) = of_portals.fold((0, 0), |sum, (_, (all, served))| {
        (sum.0 + all, sum.1 + served)
    });
    let mut rows = vec![format!("| **together** | **{all}** | **{served}** |")];
    rows.extend(
        counts
            .iter()
            .map(|(row, (all, served))| format!("| {row} | {all} | {served} |")),
    );
    rows.retain(|row| !README.contains(row));
    assert!(rows.is_empty(), "the README lacks\n{}", rows.join("\n"));
}
