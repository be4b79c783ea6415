//! A place where people act: usher with rules beside an emulated Konnect, people who sign up there,
//! and a browser in which somebody signs in to the console.

use std::io::Write;
use std::time::Duration;

use reqwest::StatusCode;
use tempfile::NamedTempFile;
use usher::config::{ConsoleToken, Role, Secret};
use uuid::Uuid;

use crate::support::app::{TestApp, config};
use crate::support::browser::{Browser, Page};
use crate::support::eventually;
use crate::support::konnect::TestKonnect;
use crate::support::visitor::Visitor;

/// A token that may only read, of `auditor`.
pub(crate) const READER_TOKEN: &str = "reader-token";
/// A token of another operator, `colleague`.
const COLLEAGUES_TOKEN: &str = "colleagues-token";
const SOON: Duration = Duration::from_secs(30);

/// Free mail waits for a person; of one club, one an hour gets in and the rest wait.
const RULES: &str = r#"version: 1
lists:
  freemail: [gmail.example]
rules:
  - name: freemail
    on: developer.signed_up
    when: developer.status == "pending" && domain(developer.email) in lists.freemail
    then: [{park: freemail}]
  - name: one-an-hour
    on: developer.signed_up
    when: developer.status == "pending" && domain(developer.email) == "sevilla.example"
    limit_per_hour: 1
    on_limit: park
    then: [approve_developer]
"#;

/// Usher at work, and the portal that it works for.
pub(crate) struct Place {
    pub(crate) app: TestApp,
    pub(crate) konnect: TestKonnect,
    /// Usher reads it again and again.
    _rules: NamedTempFile,
}

impl Place {
    /// One where nobody has signed up yet.
    pub(crate) async fn start() -> Self {
        let konnect = TestKonnect::start().await;
        let mut rules = NamedTempFile::new().expect("a file");
        rules
            .write_all(RULES.as_bytes())
            .expect("the rules are written");
        let mut config = config(&konnect.url);
        config.konnect.token = Some(Secret::new(konnect.emulator.token().to_owned()));
        // Nobody delivers a log but the tests, so that nothing changes a page behind their back.
        config.observe.pending_every = Duration::from_millis(500);
        config.rules.path = Some(rules.path().to_owned());
        config.console.tokens.extend([
            token("auditor", Role::Reader, READER_TOKEN),
            token("colleague", Role::Operator, COLLEAGUES_TOKEN),
        ]);
        Self {
            app: TestApp::start(config).await,
            konnect,
            _rules: rules,
        }
    }

    /// Somebody signs up at the portal.
    pub(crate) async fn sign_up(&self, email: &str) {
        Visitor::sign_up(&self.konnect, email, "Somebody New").await;
    }

    /// Their id at the portal.
    pub(crate) async fn id(&self, email: &str) -> Uuid {
        self.konnect.developer(email).await.0
    }

    /// Their status at the portal.
    pub(crate) async fn status(&self, email: &str) -> String {
        self.konnect.developer(email).await.1
    }

    /// Waits until they have this status at the portal.
    pub(crate) async fn becomes(&self, email: &str, status: &str) {
        let what = format!("{email} is {status} in Konnect");
        eventually(&what, SOON, async || self.status(email).await == status).await;
    }

    /// Waits until a deed about them waits for a person; the action's id.
    pub(crate) async fn parked(&self, email: &str) -> String {
        let target = self.id(email).await;
        let path = format!("/api/v1/actions?state=parked&target_id={target}");
        let mut found = None;
        let what = format!("{email} waits for a person");
        eventually(&what, SOON, async || {
            let rows = self.app.rows(&path).await;
            let id = rows.first().and_then(|row| row["id"].as_str());
            found = id.map(str::to_owned);
            found.is_some()
        })
        .await;
        found.expect("it was found")
    }

    /// The state of an action.
    pub(crate) async fn state(&self, action: &str) -> String {
        let (status, answer) = self.app.get(&format!("/api/v1/actions/{action}")).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let state = answer["data"]["state"].as_str();
        state.expect("a state").to_owned()
    }

    /// Another operator does something to an action, not by the console.
    pub(crate) async fn colleague(&self, verb: &str, action: &str) {
        let url = format!("{}/api/v1/actions/{action}/{verb}", self.app.url);
        let request = self.app.http.post(url).bearer_auth(COLLEAGUES_TOKEN);
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK);
    }

    /// Opens a page of the console.
    pub(crate) async fn open(&self, page: &Page, path: &str) {
        page.open(&format!("{}{path}", self.app.url)).await;
    }

    /// A browser at `path`, after somebody signed in by the form.
    pub(crate) async fn signed_in(&self, token: &str, path: &str) -> Page {
        let page = Browser::page().await;
        self.open(&page, path).await;
        sign_in(&page, token).await;
        page
    }

    pub(crate) async fn finish(self) {
        self.app.finish().await;
    }
}

fn token(name: &str, role: Role, token: &str) -> ConsoleToken {
    ConsoleToken {
        name: name.to_owned(),
        role,
        portals: None,
        token: Secret::new(token.to_owned()),
    }
}

/// Fills in the sign-in form, which is shown, and sends it.
pub(crate) async fn sign_in(page: &Page, token: &str) {
    assert_eq!(page.text("h1").await, "Sign in");
    page.fill("input[name=token]", token).await;
    page.follow("form.sign-in button").await;
}

/// What `inner` finds in the row of an action.
pub(crate) fn in_row(action: &str, inner: &str) -> String {
    format!("tr:has(a[href=\"/actions/{action}\"]) {inner}")
}

/// Loads the page again until something that `selector` finds has `part` in its text.
pub(crate) async fn comes_to_show(page: &Page, selector: &str, part: &str) {
    let what = format!("`{selector}` comes to show {part:?}");
    eventually(&what, SOON, async || {
        let texts = page.texts(selector).await;
        let is_shown = texts.iter().any(|text| text.contains(part));
        if !is_shown {
            page.reload().await;
        }
        is_shown
    })
    .await;
}

/// Fails unless the page was refused with this status once and nothing else went wrong.
pub(crate) async fn was_refused(page: &Page, status: u16) {
    let errors = page.errors().await;
    let is_it =
        |error: &String| error.starts_with("network: ") && error.contains(&status.to_string());
    assert!(errors.len() == 1 && errors.iter().all(is_it), "{errors:#?}");
}
