//! Trusted senders, by theme: what they are answered, who is kept from whose room, what follows
//! from what they tell, and what becomes of addresses and names.

mod answers;
mod decided;
mod personal;
mod room;
mod strangers;

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::NamedTempFile;
use usher::config::{Config, Secret};

use crate::support::app::{TestApp, config};
use crate::support::hooks::{Sender, with_senders};
use crate::support::konnect::{PORTAL, TestKonnect};

const SOON: Duration = Duration::from_secs(40);
const SINGLE: &str = "application/cloudevents+json";
/// Nobody listens on this port.
const NO_KONNECT: &str = "http://127.0.0.1:9";

/// Lets in whom the IAM system says that they joined.
const RULES: &str = r#"version: 1
rules:
  - name: joined
    on: custom.com.example.user.joined
    when: >-
      developer.status == "pending" && event.data.department == "Partners"
      && event.data.email == developer.email && event.sender == "iam"
    then: [approve_developer, {add_to_team: Partners}]
  - name: hired
    on: custom.com.example.user.hired
    when: domain(event.data.email) == "arsenal.com"
    then: [invite_developer]
  - name: team
    on: custom.com.example.user.placed
    when: developer.status == "approved"
    then: [{add_to_team: Partners}]
  - name: left
    on: custom.com.example.user.left
    when: developer.status == "approved"
    then: [revoke_developer]
  - name: leveled
    on: custom.com.example.user.joined
    when: event.data.level > 3
    then: [{add_to_team: Partners}]
  - name: named
    on: custom.com.example.user.named
    when: >-
      event.data.full_name == "Ada Lovelace" && event.data.name.given == "Augusta"
      && event.data.developer_email == "ada@home.example"
    then: [{add_to_team: Partners}]
  - name: written-to
    on: custom.com.example.user.written_to
    when: event.data.full_name == "Ada Lovelace" && event.data.link == "mailto:" + developer.email
    then: [{add_to_team: Partners}]
"#;

fn iam() -> Sender {
    Sender::new("iam", 1)
}

fn portal_app() -> Sender {
    Sender::new("portal-app", 2)
}

/// A door for two senders, one of whom may do little.
async fn door() -> TestApp {
    let mut config = config(NO_KONNECT);
    with_senders(
        &mut config,
        &[
            iam().entry(&json!({})),
            portal_app().entry(&json!({ "types": ["com.example.app.*"], "portals": [PORTAL] })),
        ],
    );
    TestApp::start(config).await
}

/// Usher with rules that answer what the IAM system tells.
async fn at_work(
    konnect: &TestKonnect,
    change: impl FnOnce(&mut Config),
) -> (TestApp, NamedTempFile) {
    let mut rules = NamedTempFile::new().expect("a file");
    rules
        .write_all(RULES.as_bytes())
        .expect("the rules are written");
    let mut config = config(&konnect.url);
    config.konnect.token = Some(Secret::new(konnect.emulator.token().to_owned()));
    config.rules.path = Some(rules.path().to_owned());
    with_senders(&mut config, &[iam().entry(&json!({}))]);
    change(&mut config);
    (TestApp::start(config).await, rules)
}

fn counts(answer: &Value) -> [u64; 4] {
    ["received", "stored", "duplicates", "differing"].map(|member| {
        answer[member]
            .as_u64()
            .unwrap_or_else(|| panic!("no {member} in {answer}"))
    })
}

async fn custom_events(app: &TestApp) -> Vec<Value> {
    app.rows("/api/v1/events?kind=custom").await
}
