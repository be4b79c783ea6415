//! `usher rules check` as an admin meets it: every kind of mistake with its place and what was
//! expected, by the real binary.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

const HEAD: &str = "version: 1\nlists: {partners: [arsenal.com]}\nrules:\n  - name: r\n";
const FINE: &str = "on: developer.signed_up\nthen: [approve_developer]\n";

async fn check(folder: &Path, arguments: &[&str]) -> Output {
    let run = Command::new(env!("CARGO_BIN_EXE_usher"))
        .args(["rules", "check"])
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null())
        .output();
    run.await.unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A file with one rule, from its lines after the name.
fn rule(lines: &str) -> String {
    let lines = lines.trim_end().replace('\n', "\n    ");
    format!("{HEAD}    {lines}\n")
}

/// Whole files, each with the beginning of the only line that is said of it.
const FILES: &[(&str, &str)] = &[
    ("", "1:1: the file is empty; expected version: 1 and rules"),
    ("version: 2\n", "1:10: expected version 1"),
    (
        "rules: []\n",
        "1:1: version is missing; expected version: 1",
    ),
    (
        "- a\n",
        "1:1: expected a rules file with version, lists or rules, this is a list",
    ),
    (
        "version: 1\nrule: []\n",
        r#"2:1: a rules file has no "rule"; expected version, lists or rules"#,
    ),
    (
        "version: 1\nrules: {}\n",
        "2:8: expected a list of rules, this is a map",
    ),
    (
        "version: 1\nrules: [\n",
        "2:8: not YAML: unclosed bracket '['",
    ),
    (
        "version: 1\nlists: [a]\n",
        "2:8: expected a map from names to lists, this is a list",
    ),
    (
        "version: 1\nlists: {a-b: [x]}\n",
        r#"2:9: "a-b" cannot be named in a condition; expected letters, digits and _"#,
    ),
    (
        "version: 1\nlists: {a: x}\n",
        "2:12: expected a list of texts, this is text",
    ),
    (
        "version: 1\nlists: {a: [1]}\n",
        "2:13: expected a text in quotes, this is a number",
    ),
    (
        "version: 1\nrules:\n  - approve\n",
        "3:5: expected a rule with name, on, when",
    ),
];

/// One rule each, by its lines after the name.
const RULES: &[(&str, &str)] = &[
    (
        "then: [approve_developer]",
        "4:5: on is missing in this rule",
    ),
    (
        "on: developer.signed_up",
        "4:5: then is missing in this rule",
    ),
    (
        "on: developer.singed_up\nthen: [approve_developer]",
        r#"5:9: there is no signal "developer.singed_up"; expected "#,
    ),
    (
        "on: custom.*\nthen: [approve_developer]",
        r#"5:9: there is no signal "custom.*"; expected "#,
    ),
    (
        "on: developer.signed_up\nthen: []",
        "6:11: expected at least one deed",
    ),
    (
        "on: developer.signed_up\nthen: approve_developer",
        "6:11: expected a list of deeds, this is text",
    ),
    (
        "on: developer.signed_up\nthen: [aprove_developer]",
        r#"6:12: there is no deed "aprove_developer"; expected "#,
    ),
    (
        "on: developer.signed_up\nthen: [{add_to_team: {}}]",
        "6:26: add_to_team needs either a name or an id",
    ),
    (
        "on: developer.signed_up\nthen: [approve_registration]",
        "6:12: approve_registration needs a registration, which developer.signed_up does not have; expected ",
    ),
    (
        "on: developer.signed_up\nthen: [approve_developer, reject_developer]",
        "6:31: reject_developer contradicts approve_developer of the same rule",
    ),
];

/// What is added to a rule that is fine.
const ADDED: &[(&str, &str)] = &[
    (
        "mode: on",
        r#"7:11: expected live, shadow or off, this is "on""#,
    ),
    (
        "limit_per_hour: -1",
        "7:21: expected a number of deeds, 0 for no limit, -1 is out of range",
    ),
    (
        "on_limit: wait",
        r#"7:15: expected delay or park, this is "wait""#,
    ),
    (
        "max_age: 1 hour",
        r#"7:14: expected a duration such as 45s, 30m, 1h or 2d, this is "1 hour""#,
    ),
    (
        "priority: 1.5",
        "7:15: expected a whole number, this is a number that is not whole",
    ),
    (
        "portals: all",
        "7:14: expected a list of portal ids, this is text",
    ),
    (
        "include_own: 1",
        "7:18: expected true or false, this is a number",
    ),
    ("colour: red", r#"7:5: a rule has no "colour"; expected "#),
    ("on: developer.signed_up", "7:5: on is given twice"),
    (
        "when: developer.emial == 'x'",
        r#"7:21: a developer has no member "emial"; expected id, email, full_name, status, created_at, teams or applications"#,
    ),
    (
        "when: developr.email == 'x'",
        r#"7:11: nothing is called "developr"; expected event, signal, portal, developer, application, registration, lists or now"#,
    ),
    (
        "when: domian(developer.email) == 'x'",
        r#"7:11: there is no function "domian"; expected "#,
    ),
    (
        "when: domain(developer.email) in lists.friends",
        r#"7:44: there is no list "friends"; expected partners"#,
    ),
    (
        "when: domain(developer.email) == 'Arsenal.com'",
        r#"7:38: domain() never answers "Arsenal.com"; expected "arsenal.com""#,
    ),
    (
        "when: developer.status == 'pendign'",
        r#"7:31: "pendign" is no status; expected approved, pending, rejected or revoked"#,
    ),
    (
        "when: developer.email = 'x'",
        "7:27: = has no meaning in a condition; expected ==",
    ),
    (
        "when: developer.email == 'x",
        "7:30: the text that begins here has no end; expected a closing quote",
    ),
    (
        "when: developer.email",
        "7:11: the condition is text; expected true or false",
    ),
    (
        "when: developer.email == 3",
        "7:27: == compares text with a number; they are never equal",
    ),
    (
        "when: registration.status == 'pending'",
        "7:11: registration is always null for developer.signed_up",
    ),
    (
        "when: (developer.email == 'x'",
        "7:34: not a CEL expression: missing ')' at end of the condition",
    ),
    (
        "when: developer.email.endsWith('arsenal.com')",
        r#"7:36: endsWith("arsenal.com") is also true for the domains of others; expected domain(…) == "partner.example", or domain(…) in a list"#,
    ),
    (
        "when: developer.email.matches('[')",
        r#"7:35: "[" is not a regular expression"#,
    ),
    (
        "when: !is_freemail(developer.email)",
        "7:40: not YAML: unsupported tag `!is_freemail(developer.email)`; text that begins with ! stands in quotes",
    ),
];

#[tokio::test]
async fn every_kind_of_mistake_is_told_with_its_place_and_what_was_expected() {
    let files = FILES.iter().map(|(text, said)| ((*text).to_owned(), *said));
    let rules = RULES.iter().map(|(lines, said)| (rule(lines), *said));
    let added = ADDED
        .iter()
        .map(|(lines, said)| (rule(&format!("{FINE}{lines}")), *said));
    let too_much = [
        (
            format!("'{}true{}'", "(".repeat(17), ")".repeat(17)),
            "7:28: brackets are nested deeper than 16",
        ),
        (
            format!("\"1{} == 1\"", " + 1".repeat(41)),
            "7:174: more than 40 operators hang together; split them with && or ||",
        ),
        (
            format!("\"developer.email == '{}'\"", "x".repeat(2_000)),
            "7:12: the condition has 2021 characters, at most 2000 are allowed",
        ),
    ];
    let too_much =
        too_much.map(|(condition, said)| (rule(&format!("{FINE}when: {condition}")), said));
    let cases: Vec<(String, &str)> = files.chain(rules).chain(added).chain(too_much).collect();
    assert!(cases.len() >= 30);
    let folder = TempDir::new().unwrap();
    for (file, said) in &cases {
        fs::write(folder.path().join("rules.yaml"), file).unwrap();
        let ended = check(folder.path(), &["rules.yaml"]).await;
        let told = text(&ended.stdout);
        assert_eq!(ended.status.code(), Some(2), "{file}\n{told}");
        assert!(
            told.starts_with(&format!("rules.yaml:{said}")),
            "{file}\n{told}"
        );
        assert_eq!(told.lines().count(), 1, "{file}\n{told}");
        assert_eq!(text(&ended.stderr), "", "{file}");
    }
}

#[tokio::test]
async fn mistakes_come_all_at_once_and_as_json_with_their_place() {
    let folder = TempDir::new().unwrap();
    let nested = "when: developer.teams.exists(a, developer.teams.exists(b, \
                  developer.teams.exists(c, a == c)))\nmode: on";
    fs::write(
        folder.path().join("r.yaml"),
        rule(&format!("{FINE}{nested}")),
    )
    .unwrap();
    let ended = check(folder.path(), &["r.yaml", "--json"]).await;
    assert_eq!(ended.status.code(), Some(2));
    let told = text(&ended.stdout);
    let told: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let places: Vec<_> = told
        .iter()
        .map(|mistake| {
            (
                mistake["line"].as_u64().unwrap(),
                mistake["column"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(places, [(7, 11), (7, 79), (8, 11)]);
    let expected = "more than 2 of exists, all, map and filter inside one another";
    assert_eq!(told[1]["message"], expected);
    assert_eq!(told[2]["file"], "r.yaml");
}

#[tokio::test]
async fn without_a_file_the_one_of_the_configuration_is_checked() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    let ended = check(folder.path(), &[]).await;
    assert_eq!(ended.status.code(), Some(2));
    assert_eq!(
        text(&ended.stderr),
        "usher: name a rules file, or set rules.path\n"
    );

    fs::write(at("usher.toml"), "[rules]\npath = \"mine.yaml\"\n").unwrap();
    let ended = check(folder.path(), &[]).await;
    assert_eq!(ended.status.code(), Some(2));
    let said = text(&ended.stderr);
    assert!(
        said.starts_with("usher: could not read mine.yaml: "),
        "{said}"
    );

    fs::write(at("mine.yaml"), rule(FINE)).unwrap();
    let ended = check(folder.path(), &[]).await;
    assert_eq!(ended.status.code(), Some(0));
    assert_eq!(text(&ended.stdout), "mine.yaml: 1 rule, no mistake\n");

    fs::write(at("mine.yaml"), rule("on: nowhere")).unwrap();
    let ended = check(folder.path(), &[]).await;
    assert_eq!(ended.status.code(), Some(2));
    assert!(text(&ended.stdout).starts_with("mine.yaml:4:5: then is missing"));

    fs::write(at("bytes.yaml"), [0xff, 0xfe]).unwrap();
    let ended = check(folder.path(), &["bytes.yaml"]).await;
    assert_eq!(ended.status.code(), Some(2));
    let said = text(&ended.stderr);
    assert!(
        said.starts_with("usher: could not read bytes.yaml: "),
        "{said}"
    );
}
