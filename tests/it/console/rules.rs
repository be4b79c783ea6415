//! The pages about rules, and the settings: what is shown of the file, of a person and of a text
//! that is tried, and that no secret is.

use std::fs;
use std::path::Path;
use std::time::Duration;

use reqwest::StatusCode;
use tempfile::TempDir;
use usher::config::{Config, Secret};
use uuid::Uuid;

use crate::console::people::seen;
use crate::console::reader::Reader;
use crate::support::app::{AUTHORIZATION, CONSOLE_TOKEN, TestApp, config};
use crate::support::eventually;
use crate::support::konnect::RULES;
use crate::support::stage::{KEVIN, PORTAL};

/// A rule in shadow whose receiver has a secret in its address.
const TELL: &str = "  - name: tell
    on: developer.signed_up
    mode: shadow
    then: [{notify: {url: \"https://hooks.example/T0/hidden-path\", format: slack}}]
";

/// What must be on no page.
const SECRETS: [&str; 6] = [
    "hidden-path",
    "hidden-konnect",
    "postgres://",
    CONSOLE_TOKEN,
    AUTHORIZATION,
    "Bearer old",
];

/// An usher with rules in a file of its own.
async fn with_rules(folder: &TempDir, rules: &str) -> TestApp {
    let path = folder.path().join("rules.yaml");
    fs::write(&path, rules).unwrap();
    let mut config: Config = config("http://127.0.0.1:9");
    config.rules.path = Some(path);
    config.kafka.options = [(
        "sasl.password".to_owned(),
        Secret::new("hidden-konnect".to_owned()),
    )]
    .into();
    TestApp::start_on(config, seen().await).await
}

async fn shows(reader: &mut Reader, path: &str, status: u16, words: &[&str]) {
    let page = reader.get(path).await;
    assert_eq!(page.status.as_u16(), status, "{path}: {}", page.body);
    for word in words {
        assert!(page.body.contains(word), "{path}: {word}: {}", page.body);
    }
    for secret in SECRETS {
        assert!(
            !page.body.contains(secret),
            "{path}: {secret}: {}",
            page.body
        );
    }
}

fn is_marked(body: &str) -> bool {
    body.contains("class=\"mistake\"") && body.contains("does not check")
}

#[tokio::test]
async fn a_file_that_does_not_check_is_marked_and_the_rules_of_before_are_shown() {
    let folder = TempDir::new().unwrap();
    let rules = format!("{RULES}{TELL}");
    let app = with_rules(&folder, &rules).await;
    let mut reader = Reader::signed_in(&app.url, CONSOLE_TOKEN).await;
    let words = [
        "partner-clubs",
        "notify hooks.example",
        "https://hooks.example/…",
        "/actions?rule=fixtures-api",
        "Pause all actions",
        "data-line=\"1\"",
    ];
    shows(&mut reader, "/rules", 200, &words).await;
    change(
        folder.path(),
        &rules.replace("approve_developer", "aprove_developer"),
    );
    eventually("it is marked", Duration::from_secs(20), async || {
        is_marked(&reader.get("/rules").await.body)
    })
    .await;
    let words = ["partner-clubs", "approve_developer", "there is no deed"];
    shows(&mut reader, "/rules", 200, &words).await;
    change(folder.path(), &rules);
    eventually("it is well again", Duration::from_secs(20), async || {
        !is_marked(&reader.get("/rules").await.body)
    })
    .await;
    app.finish().await;
}

fn change(folder: &Path, rules: &str) {
    fs::write(folder.join("rules.yaml"), rules).unwrap();
}

#[tokio::test]
async fn rules_are_explained_for_an_address_or_an_id() {
    let folder = TempDir::new().unwrap();
    let app = with_rules(&folder, &format!("{RULES}{TELL}")).await;
    let mut reader = Reader::signed_in(&app.url, CONSOLE_TOKEN).await;
    let command = format!("usher rules explain --developer {KEVIN} --portal {PORTAL}");
    let words = ["partner-clubs", "matched", "in lists.partners", &command];
    for path in [
        "/rules/explain?person=KEVIN%40manchestercity.com&portal_id=",
        &format!("/rules/explain?person={KEVIN}"),
        &format!("/rules/explain?developer_id={KEVIN}"),
        &format!("/rules/explain?developer_id={KEVIN}&portal_id={PORTAL}"),
        &format!("/rules/explain?developer_id={KEVIN}&rule=partner-clubs"),
    ] {
        shows(&mut reader, path, 200, &words).await;
    }
    let nobody = Uuid::from_u128(0xbad);
    for (path, status, word) in [
        (
            "/rules/explain".to_owned(),
            200,
            "What the rules in force decide",
        ),
        (
            "/rules/explain?person=x%40y.example".to_owned(),
            200,
            "Nobody has this address",
        ),
        (
            format!("/rules/explain?developer_id={nobody}"),
            200,
            "knows no developer",
        ),
        (
            "/rules/explain?developer_id=kevin".to_owned(),
            400,
            "developer_id",
        ),
        ("/rules?line=x".to_owned(), 400, "parameter line"),
    ] {
        shows(&mut reader, &path, status, &[word]).await;
    }
    app.finish().await;
}

#[tokio::test]
async fn a_text_is_tried_against_the_rules_in_force() {
    let folder = TempDir::new().unwrap();
    let app = with_rules(&folder, RULES).await;
    let mut reader = Reader::signed_in(&app.url, CONSOLE_TOKEN).await;
    shows(
        &mut reader,
        "/rules/test",
        200,
        &["Try them", "usher rules test"],
    )
    .await;
    let page = reader.post("/rules/test", &[("from", "30d")]).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    for word in [
        "the rules in force would have done",
        "partner-clubs",
        "kevin@",
    ] {
        assert!(page.body.contains(word), "{word}: {}", page.body);
    }
    let rejects = RULES.replace(
        "[approve_developer, {add_to_team: Partners}]",
        "[{park: later}]",
    );
    let page = reader
        .post("/rules/test", &[("from", "30d"), ("text", &rejects)])
        .await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    for word in [
        "would do besides",
        "park later",
        "would no longer do",
        "add_to_team Partners",
    ] {
        assert!(page.body.contains(word), "{word}: {}", page.body);
    }
    let wrong = "version: 1\nrules:\n  - name: <script>alert(1)</script>\n";
    let page = reader.post("/rules/test", &[("text", wrong)]).await;
    assert_eq!(
        page.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "{}",
        page.body
    );
    assert!(is_marked(&page.body), "{}", page.body);
    assert!(
        page.body.contains("on is missing in this rule"),
        "{}",
        page.body
    );
    assert!(!page.body.contains("<script>alert"), "{}", page.body);
    let page = reader
        .post("/rules/test", &[("from", "yesterday"), ("text", "kept")])
        .await;
    assert_eq!(page.status, StatusCode::BAD_REQUEST, "{}", page.body);
    assert!(
        page.body.contains("yesterday") && page.body.contains("kept"),
        "{}",
        page.body
    );
    app.finish().await;
}

#[tokio::test]
async fn the_settings_have_no_secret() {
    let folder = TempDir::new().unwrap();
    let app = with_rules(&folder, &format!("{RULES}{TELL}")).await;
    let mut reader = Reader::signed_in(&app.url, CONSOLE_TOKEN).await;
    let (status, _) = app.get("/api/v1/rules").await;
    assert_eq!(status, StatusCode::OK);
    let words = [
        "up to date",
        "sasl.password",
        "2 values (hidden)",
        "Sign out everywhere",
        "name=\"everywhere\" value=\"1\"",
        "yours",
        "rules.yaml",
    ];
    shows(&mut reader, "/settings", 200, &words).await;
    app.finish().await;
}
