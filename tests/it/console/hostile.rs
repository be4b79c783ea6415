//! What strangers may write is shown, and does nothing: their texts come in by deliveries and by
//! sweeps, and each page that has them is opened.

use chrono::SecondsFormat;
use serde_json::{Value, json};
use sqlx::PgPool;
use tempfile::TempDir;
use url::form_urlencoded;
use usher::act::{ActionState, Person, Verb};
use usher::clock::Clock;
use usher::journal::MIGRATOR;
use usher::report::ReportName;
use uuid::Uuid;

use crate::console::crowd::counted;
use crate::console::missed;
use crate::console::views::{TOO_WIDE, signed_in};
use crate::support::app::{TestApp, config};
use crate::support::browser::Page;
use crate::support::database::TestDatabase;
use crate::support::scene::Scene;
use crate::support::signer::Entry;
use crate::support::stage::PORTAL;

/// Everything that comes waits for a person, so that pages of actions have it.
const RULES: &str = r#"
version: 1
rules:
  - name: everybody
    on: developer.signed_up
    then: [{park: "a person looks"}]
  - name: everything
    on: registration.requested
    then: [{park: "a person looks"}]
"#;

/// The API that all ask for.
const API: Uuid = Uuid::from_u128(0xe1);
/// Letters without a blank, as no name at Konnect has them; entries do.
pub(crate) const LONG: usize = 5_000;
/// As long as a name at Konnect may be, and as a reason.
const LONG_NAME: usize = 255;
const LONG_TEAM: usize = 250;
const LONG_REASON: usize = 200;
/// Bytes of the longest entry.
const LARGE: usize = 300_000;
const NARROW: u32 = 360;
const MOST_BYTES: u64 = 300_000;

pub(crate) const SCRIPT: &str = "<script>window.ran=1;alert(1)</script>";
const IMAGE: &str = "\"><img src=x onerror=\"window.ran=1;alert(2)\">";

/// What was planted and would be markup, or has run; null where nothing was.
const TRACES: &str = "(() => {
    if (window.ran !== undefined) return 'a script ran';
    const planted = document.querySelector(
        'script:not([src]), img, [onerror], [onload], [onfocus], [href^=\"javascript:\" i]');
    return planted ? `it is markup: ${planted.outerHTML.slice(0, 200)}` : null;
})()";

/// Texts that a page must not take for anything but text.
fn texts() -> Vec<String> {
    [
        SCRIPT,
        IMAGE,
        "' autofocus onfocus='window.ran=1' x='",
        "</title></textarea></style></svg></bdi><svg onload=window.ran=1>",
        "javascript:window.ran=1",
        "{{7*7}}${7*7}&lt;script&gt;&#0;&amp;\\u003cscript\\u003e",
        "\u{202e}gpj.elif\u{202c}\u{2067}שלום\u{2069}\u{200f}",
        "\u{1}\u{8}\u{1b}[31mred\u{1b}[0m\u{7f}\u{85}\u{2028}",
        "=HYPERLINK(\"http://evil.example\")",
    ]
    .map(str::to_owned)
    .into_iter()
    // One letter with a tower of marks, and a name without a blank.
    .chain([format!("Z{}", "\u{36f}".repeat(200)), "W".repeat(LONG_NAME)])
    .collect()
}

fn id(first: u128, place: usize) -> Uuid {
    Uuid::from_u128(first + u128::try_from(place).unwrap())
}

fn person(place: usize) -> Uuid {
    id(0x4000, place)
}

fn application(place: usize) -> Uuid {
    id(0x5000, place)
}

/// People, teams, applications and an API, each with one of the texts for a name.
fn seed() -> Value {
    let all = || texts().into_iter().enumerate();
    let team = |text: &str| text.chars().take(LONG_TEAM).collect::<String>();
    let teams: Vec<Value> = all()
        .map(|(place, text)| {
            json!({ "id": id(0x6000, place), "portal_id": PORTAL, "name": team(&text) })
        })
        .collect();
    let names: Vec<String> = texts().iter().map(|text| team(text)).collect();
    let people: Vec<Value> = all()
        .map(|(place, text)| {
            let local = if place == 0 {
                SCRIPT.to_owned()
            } else {
                format!("\"><b>{place}")
            };
            json!({
                "id": person(place), "portal_id": PORTAL, "email": format!("{local}@evil.example"),
                "full_name": text, "status": "pending", "teams": names,
            })
        })
        .collect();
    let applications: Vec<Value> = all()
        .map(|(place, text)| {
            json!({
                "id": application(place), "portal_id": PORTAL, "name": text,
                "owner": { "type": "developer", "id": person(place) },
            })
        })
        .collect();
    let registrations: Vec<Value> = all()
        .map(|(place, _)| {
            json!({
                "id": id(0x7000, place), "application_id": application(place), "api_id": API,
                "status": "pending",
            })
        })
        .collect();
    json!({
        "apis": [{ "id": API, "name": IMAGE, "portal_id": PORTAL, "version": SCRIPT }],
        "teams": teams, "developers": people, "applications": applications,
        "registrations": registrations,
    })
}

/// A database that a sweep filled, with what people did and why.
async fn swept() -> TestDatabase {
    let database = TestDatabase::create().await;
    let pool = PgPool::connect(&database.url()).await.unwrap();
    MIGRATOR.run(&pool).await.unwrap();
    let scene = Scene::new(pool.clone(), RULES).await;
    scene.stage.emulator.seed(&seed()).unwrap();
    let play = scene.during(async {
        scene.look().await;
        scene.settled().await;
    });
    Box::pin(play).await;
    let long = "w".repeat(LONG_REASON);
    let actions = scene.stage.actions().await.into_iter();
    let parked = actions.filter(|action| action.state == ActionState::Parked);
    let queue = &scene.stage.queue;
    for ((verb, reason), action) in [
        (Verb::Reject, IMAGE),
        (Verb::Cancel, SCRIPT),
        (Verb::Cancel, long.as_str()),
        (Verb::Approve, "\u{202e}no\u{202c}"),
    ]
    .into_iter()
    .zip(parked)
    {
        let somebody = Person::new(SCRIPT, Some(reason)).unwrap();
        queue.intervene(action.id, verb, &somebody).await.unwrap();
    }
    let somebody = Person::new(IMAGE, Some(&long)).unwrap();
    queue.pause_all(&somebody).await.unwrap();
    let words = format!("{SCRIPT}{IMAGE}{}", "W".repeat(LONG_NAME));
    missed::fill(&scene.stage.journal, PORTAL, &words).await;
    drop(scene);
    pool.close().await;
    database
}

/// The entries of a delivery: with each text in every member, long ones, and lines that are none.
fn lines() -> Vec<String> {
    let at = Clock::system().now();
    let entry = |name: &str, text: &str| {
        json!({
            "cef_version": 0, "event_class_id": text, "event_product": "Dev-Portal",
            "event_ts": at.to_rfc3339_opts(SecondsFormat::Secs, true), "event_vendor": "KongInc",
            "event_version": text, "name": name, "org_id": text, "portal_id": PORTAL,
            "principal_id": text, "request": text, "rt": at.timestamp_millis().to_string(),
            "severity": i64::MIN, "src": text, "success": "false", "trace_id": u64::MAX,
            "user_agent": text, text: text,
        })
        .to_string()
    };
    let failed = "AUTHENTICATION_OUTCOME_INVALID_PASSWORD";
    let long = "W".repeat(LONG);
    let mut lines = Vec::new();
    for text in texts().iter().chain([&long]) {
        lines.push(entry(text, text));
        lines.push(entry(failed, text));
    }
    lines.push(entry(failed, &"<".repeat(LARGE / 10)));
    let mut large = Entry::numbered(1);
    large.user_agent = "W".repeat(LARGE);
    lines.push(large.json());
    // Of somebody whom the directory knows.
    let mut known = Entry::numbered(2);
    known.principal_id = person(0).to_string();
    known.portal_id = PORTAL.to_string();
    SCRIPT.clone_into(&mut known.user_agent);
    lines.push(known.json());
    lines.push(known.cef());
    lines.push(SCRIPT.to_owned());
    lines.push(format!("{{{IMAGE}"));
    lines.push("&".repeat(LARGE));
    lines
}

/// The ids of a list of the API.
async fn ids(app: &TestApp, path: &str) -> Vec<String> {
    let rows = app.rows(path).await;
    let ids = rows
        .iter()
        .map(|row| row["id"].as_str().unwrap().to_owned());
    ids.collect()
}

/// Each page that shows what strangers wrote.
async fn pages(app: &TestApp) -> Vec<String> {
    let mut pages: Vec<String> = [
        "/",
        "/events",
        "/people",
        "/people?gone=any",
        "/applications",
        "/approvals",
        "/approvals?tab=vetoes",
        "/actions",
        "/rules",
        "/rules/test",
        "/deliveries",
        "/coverage",
        "/coverage?from=2020-01-01T00:00:00Z",
        "/replay",
        "/quarantine",
        "/quarantine/release",
        "/settings",
    ]
    .map(str::to_owned)
    .into();
    for (list, page) in [
        ("/api/v1/events?kind=unknown&limit=200", "events"),
        ("/api/v1/events?kind=authentication&limit=200", "events"),
        ("/api/v1/quarantine", "quarantine"),
        ("/api/v1/replay-jobs", "replay"),
    ] {
        let ids = ids(app, list).await;
        assert!(ids.len() > 2, "{list}");
        pages.extend(ids.iter().map(|id| format!("/{page}/{id}")));
    }
    let by_hand = [
        "/api/v1/actions?state=done",
        "/api/v1/actions?state=cancelled",
    ];
    for list in by_hand {
        let ids = ids(app, list).await;
        pages.extend(ids.iter().map(|id| format!("/actions/{id}")));
    }
    for place in 0..texts().len() {
        pages.push(format!("/people/{}", person(place)));
        pages.push(format!("/applications/{}", application(place)));
    }
    let reports = ReportName::ALL.iter();
    pages.extend(reports.map(|name| format!("/reports/{name}")));
    let who = person(0);
    pages.push(format!("/reports/timeline?developer_id={who}"));
    pages.push(format!("/rules/explain?developer_id={who}"));
    pages
}

/// Pages that somebody is led to by a link that a stranger wrote: they may refuse the question.
fn questions() -> Vec<String> {
    let long = "W".repeat(LONG);
    let mut pages = Vec::new();
    for text in [SCRIPT, IMAGE, "\u{202e}x", "javascript:window.ran=1", &long] {
        let text: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        pages.extend([
            format!("/events?name={text}"),
            format!("/events?q={text}&principal_id={text}"),
            format!("/people?email={text}"),
            format!("/applications?name={text}"),
            format!("/actions?rule={text}"),
            format!("/approvals?rule={text}"),
            format!("/rules/explain?person={text}"),
            format!("/quarantine?reason={text}"),
            format!("/coverage?portal_id={text}&from={text}"),
            format!("/replay?from={text}&to={text}"),
            format!("/replay/{text}"),
            format!("/events/{text}"),
            format!("/reports/{text}"),
            format!("/reports/activity?from={text}&{text}={text}"),
        ]);
    }
    pages
}

/// What is wrong with a page that somebody opens on a telephone.
async fn faults(page: &Page, url: &str, path: &str, is_question: bool) -> Vec<String> {
    page.open(&format!("{url}{path}")).await;
    let requests = page.requests().await;
    let mut faults = page.errors().await;
    // What the page before still asked for may be told here.
    let document = requests.iter().find(|it| !it.url.contains("/assets/"));
    let document = document.cloned().unwrap_or_default();
    match document.status {
        Some(200) => {}
        // The browser tells of an answer that is none.
        Some(400..500) if is_question => faults.retain(|it| !it.starts_with("network: ")),
        other => faults.push(format!("{other:?}")),
    }
    if document.bytes >= MOST_BYTES {
        faults.push(format!("{} bytes", document.bytes));
    }
    let elsewhere = requests.iter().filter(|it| !it.url.starts_with(url));
    faults.extend(elsewhere.map(|it| format!("it asks for {}", it.url)));
    for script in [TRACES, TOO_WIDE] {
        if let Some(words) = page.evaluate(script).await.as_str() {
            faults.push(words.to_owned());
        }
    }
    let path: String = path.chars().take(100).collect();
    faults.iter().map(|it| format!("{path}: {it}")).collect()
}

#[tokio::test]
async fn what_strangers_write_is_shown_and_does_nothing() {
    let database = Box::pin(swept()).await;
    let folder = TempDir::new().unwrap();
    let rules = folder.path().join("rules.yaml");
    std::fs::write(&rules, RULES).unwrap();
    let mut config = config("http://127.0.0.1:9");
    config.rules.path = Some(rules);
    let app = TestApp::start_on(config, database).await;
    let (status, answer) = app.deliver(&lines()).await;
    assert!(status.is_success(), "{status}: {answer}");
    counted(&app).await;
    let page = signed_in(&app.url).await;
    page.resize(NARROW, 800).await;
    page.requests().await;
    let mut all = page.errors().await;
    for path in pages(&app).await {
        all.extend(faults(&page, &app.url, &path, false).await);
    }
    for path in questions() {
        all.extend(faults(&page, &app.url, &path, true).await);
    }
    assert!(all.is_empty(), "{}", all.join("\n"));
    app.finish().await;
}
