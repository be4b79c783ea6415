//! The pages of coverage and of replay jobs, without a browser: what they say, and what forms do.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::StatusCode;
use serde_json::Value;
use usher::clock::Clock;
use usher::config::{Config, Role, Secret};
use usher::journal::Journal;
use uuid::Uuid;

use crate::console::missed::{self, Missed};
use crate::console::reader::{Page, Reader};
use crate::support::app::{CONSOLE_TOKEN, TestApp, config};

const PORTAL: Uuid = Uuid::from_u128(0xa0);
const ELSEWHERE: Uuid = Uuid::from_u128(0xe15e);
const READER_TOKEN: &str = "reader-token";

/// Signs of life come from the tests alone.
fn quiet() -> Config {
    let mut config = config("http://127.0.0.1:9");
    config.backfill.heartbeat_every = Duration::from_hours(1);
    let mut reader = config.console.tokens[0].clone();
    "auditor".clone_into(&mut reader.name);
    reader.role = Role::Reader;
    reader.token = Secret::new(READER_TOKEN.to_owned());
    config.console.tokens.push(reader);
    config
}

async fn filled() -> (TestApp, Missed) {
    let app = TestApp::start(quiet()).await;
    let journal = Journal::open(&app.database.url()).unwrap();
    let missed = missed::fill(&journal, PORTAL, "answered 503 & <b>more</b>").await;
    journal.close().await;
    (app, missed)
}

/// What the API knows of the portal's log.
async fn known(app: &TestApp) -> Value {
    let path = format!("/api/v1/coverage?portal_id={PORTAL}");
    app.rows(&path).await.remove(0)
}

/// The ends of the loss that nobody has acknowledged.
async fn open_loss(app: &TestApp) -> (String, String) {
    let known = known(app).await;
    let stretches = known["stretches"].as_array().unwrap();
    let is_it = |part: &&Value| part["state"] == "lost" && part["acknowledged"].is_null();
    let found: Vec<&Value> = stretches.iter().filter(is_it).collect();
    let [loss] = found[..] else {
        panic!("one loss is open: {stretches:?}")
    };
    let end = |name: &str| loss[name].as_str().unwrap().to_owned();
    (end("from"), end("to"))
}

fn has(page: &Page, words: &[&str]) {
    for word in words {
        assert!(page.body.contains(word), "{word}: {}", page.body);
    }
}

/// The first link that begins so.
fn link(page: &Page, begin: &str) -> String {
    let begin = format!("href=\"{begin}");
    let at = page.body.find(&begin).expect("a link");
    let href = page.body[at..].split('"').nth(1).unwrap();
    href.replace("&#38;", "&").replace("&amp;", "&")
}

#[tokio::test]
async fn every_state_has_a_shape_of_its_own_and_says_why_and_what_is_done() {
    let (app, missed) = filled().await;
    let mut reader = Reader::signed_in(&app.url, CONSOLE_TOKEN).await;
    let page = reader.get("/coverage?from=2020-01-01T00:00:00Z").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let (from, to) = open_loss(&app).await;
    has(
        &page,
        &[
            "The organisation",
            "class=\"tone-bad full\"",
            "class=\"tone-muted half\"",
            "class=\"tone-warn stripes\"",
            "class=\"tone-info dashes\"",
            "class=\"tone-ok low\"",
            "lost, acknowledged, 2 h",
            "<span class=\"chip bad\">failing</span>",
            "no instance could take deliveries",
            "answered 503 &#38; &#60;b&#62;more",
            "expires in <time class=\"left\"",
            &format!("<a href=\"/replay/{}\">A replay job</a>", missed.under_way),
            &format!("name=\"from\" value=\"{from}\""),
            &format!("name=\"to\" value=\"{to}\""),
            "usher coverage --from 2020-01-01T00:00:00Z",
        ],
    );
    assert!(!page.body.contains("<b>more"), "{}", page.body);
    // A loss is older than what the page shows where no time is asked for.
    let now = reader.get(&format!("/coverage?portal_id={PORTAL}")).await;
    let value = format!("name=\"from\" value=\"{from}\"");
    has(&now, &["Losses beyond this time", &value]);
    assert!(!now.body.contains("The organisation"), "{}", now.body);

    let overview = reader.get("/").await;
    let href = format!("href=\"/coverage?portal_id={PORTAL}\"");
    has(
        &overview,
        &[
            &href,
            ">lost</span>",
            "No replay brings it back",
            "class=\"strip\"",
        ],
    );

    app.finish().await;
}

#[tokio::test]
async fn a_loss_is_acknowledged_with_a_reason_and_stays_visible() {
    let (app, _) = filled().await;
    let mut reader = Reader::signed_in(&app.url, CONSOLE_TOKEN).await;
    reader.get("/coverage").await;
    let (from, to) = open_loss(&app).await;
    let portal = PORTAL.to_string();
    let mut acknowledge = async |reason: &str| {
        let back = "/coverage?from=2020-01-01T00:00:00Z";
        let fields = [
            ("portal_id", portal.as_str()),
            ("from", from.as_str()),
            ("to", to.as_str()),
            ("reason", reason),
            ("back", back),
        ];
        reader.post("/coverage/acknowledge", &fields).await
    };
    let without = acknowledge(" ").await;
    assert_eq!(without.status, StatusCode::BAD_REQUEST);
    has(&without, &["reason: say why"]);
    assert_eq!(known(&app).await["verdict"], "lost");
    let done = acknowledge("a <i>drill</i>").await;
    let location = done.location.expect("it leads back");
    assert!(location.starts_with("/coverage?from=2020"), "{location}");
    assert!(location.ends_with("&done=acknowledged"), "{location}");
    let page = reader.get(&location).await;
    has(
        &page,
        &[
            "role=\"status\">Acknowledged.",
            "Acknowledged by <bdi>test</bdi>: <bdi>a &#60;i&#62;drill",
            "lost, acknowledged, 4 h",
        ],
    );
    assert_eq!(known(&app).await["verdict"], "missing");
    let fields = [
        ("from", "2020-01-01T00:00:00Z"),
        ("to", "2020-01-02T00:00:00Z"),
        ("reason", "x"),
    ];
    for (portal, status) in [("", 409), (&*ELSEWHERE.to_string(), 404), ("x", 400)] {
        let mut fields = fields.to_vec();
        fields.push(("portal_id", portal));
        let refused = reader.post("/coverage/acknowledge", &fields).await;
        assert_eq!(
            refused.status.as_u16(),
            status,
            "{portal}: {}",
            refused.body
        );
    }
    app.finish().await;
}

#[tokio::test]
async fn what_is_missing_is_asked_for_by_a_form_that_keeps_what_was_refused() {
    let (app, missed) = filled().await;
    let mut reader = Reader::signed_in(&app.url, CONSOLE_TOKEN).await;
    let coverage = reader.get("/coverage").await;
    let form = reader.get(&link(&coverage, "/replay?portal_id=")).await;
    let field = |name: &str| form.field(name).expect("a field");
    let (from, to) = (field("from"), field("to"));
    let gap = missed::hours_of(Clock::system().now(), 4);
    let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    for (shown, expected) in [(&from, gap.0), (&to, gap.1)] {
        let apart = (at(shown) - expected).num_seconds().abs();
        assert!(apart < 60, "{shown} and {expected}");
    }
    let portal = PORTAL.to_string();
    has(&form, &[&format!("<option value=\"{portal}\" selected>")]);

    let before = app.rows("/api/v1/replay-jobs").await.len();
    for (portal, from, to, status, words) in [
        (portal.as_str(), "8d", "1h", 400, "over 7 days ago"),
        (&portal, "1h", "2h", 400, "before it starts"),
        (&portal, "1h", "2999-01-01T00:00:00Z", 400, "in the future"),
        (&portal, "\"><b>", "", 400, "from: expected a time"),
        (&portal, "", "", 400, "from: say where"),
        (&ELSEWHERE.to_string(), "3h", "", 404, "no such log"),
        ("<i>", "3h", "", 400, "log: expected"),
    ] {
        let fields = [("portal_id", portal), ("from", from), ("to", to)];
        let page = reader.post("/replay", &fields).await;
        assert_eq!(page.status.as_u16(), status, "{from}: {}", page.body);
        let kept = escaped(from);
        has(
            &page,
            &[
                "Nothing was asked for",
                words,
                &format!("name=\"from\" value=\"{kept}\""),
            ],
        );
        has(
            &page,
            &[&format!("value=\"{}\" selected>", escaped(portal))],
        );
        assert!(
            !page.body.contains("<b>") && !page.body.contains("<i>"),
            "{}",
            page.body
        );
    }
    assert_eq!(app.rows("/api/v1/replay-jobs").await.len(), before);

    let fields = [("portal_id", portal.as_str()), ("from", &from), ("to", &to)];
    let done = reader.post("/replay", &fields).await;
    let location = done.location.expect("it leads to the job");
    let page = reader.get(&location).await;
    assert_eq!(page.headers["refresh"], "5");
    has(
        &page,
        &[
            "role=\"status\">On record.",
            ">queued</span>",
            "test asked for it",
        ],
    );
    let id = location["/replay/".len()..].split('?').next().unwrap();
    let still = reader.get(&format!("/replay/{id}?still=1")).await;
    assert!(!still.headers.contains_key("refresh"));
    let list = reader.get(&format!("/replay?portal_id={PORTAL}")).await;
    assert_eq!(link(&list, "/replay/"), format!("/replay/{id}"));
    let over = reader.get(&format!("/replay/{}", missed.closed)).await;
    assert!(!over.headers.contains_key("refresh"));
    has(&over, &[">closed</span>", "1\u{202f}234", "answered 503"]);
    app.finish().await;
}

/// A text in an attribute, as templates write it.
fn escaped(text: &str) -> String {
    text.replace('&', "&#38;")
        .replace('<', "&#60;")
        .replace('>', "&#62;")
        .replace('"', "&#34;")
}

#[tokio::test]
async fn who_may_only_read_sees_all_and_changes_nothing_and_neither_does_a_foreign_form() {
    let (app, _) = filled().await;
    let (from, to) = open_loss(&app).await;
    let portal = PORTAL.to_string();
    let fields = [
        ("portal_id", portal.as_str()),
        ("from", &from),
        ("to", &to),
        ("reason", "x"),
    ];
    let before = app.rows("/api/v1/replay-jobs").await.len();
    let mut auditor = Reader::signed_in(&app.url, READER_TOKEN).await;
    for path in ["/coverage", "/replay"] {
        let page = auditor.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        has(&page, &["role operator"]);
        let main = page.body.split("<main").nth(1).unwrap();
        assert!(!main.contains("method=\"post\""), "{path}: {main}");
    }
    let mut operator = Reader::signed_in(&app.url, CONSOLE_TOKEN).await;
    operator.get("/coverage").await;
    for path in ["/coverage/acknowledge", "/replay"] {
        let refused = auditor.post(path, &fields).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{path}");
        has(&refused, &["role operator"]);
        let foreign = operator.send(path, &fields).await;
        assert_eq!(foreign.status, StatusCode::FORBIDDEN, "{path}");
        has(&foreign, &["not of this session"]);
    }
    assert_eq!(open_loss(&app).await, (from, to));
    assert_eq!(app.rows("/api/v1/replay-jobs").await.len(), before);
    app.finish().await;
}

#[tokio::test]
async fn empty_pages_say_what_to_do_next_and_full_ones_go_on() {
    let app = TestApp::start(quiet()).await;
    let mut reader = Reader::signed_in(&app.url, CONSOLE_TOKEN).await;
    for path in ["/coverage", "/replay", "/"] {
        has(&reader.get(path).await, &["konnect.token"]);
    }
    for path in ["/coverage", "/replay"] {
        has(&reader.get(path).await, &["usher setup"]);
    }
    let portal = format!("/coverage?portal_id={PORTAL}");
    has(&reader.get(&portal).await, &["no log of this portal"]);
    let jobs =
        "INSERT INTO replay_jobs (id, source, starts_at, ends_at, origin, who, state, created_at)
        SELECT gen_random_uuid(), 'org', now() - interval '2 hours', now(), 'audit', '', 'closed',
            now() - make_interval(mins => n)
        FROM generate_series(1, 60) AS n";
    app.database.execute(jobs).await;
    let first = reader.get("/replay").await;
    let count = |page: &Page| page.body.matches("<a href=\"/replay/").count();
    assert_eq!(count(&first), 50);
    let second = reader.get(&link(&first, "/replay?cursor=")).await;
    assert_eq!(count(&second), 10);
    assert!(!second.body.contains("rel=\"next\""));
    let database = app.stop().await;

    let mut with_token = quiet();
    with_token.konnect.token = Some(Secret::new("a-token".to_owned()));
    let app = TestApp::start_on(with_token, database).await;
    let mut reader = Reader::signed_in(&app.url, CONSOLE_TOKEN).await;
    for path in ["/coverage", "/"] {
        let page = reader.get(path).await;
        has(&page, &["no webhook leads here yet", "usher setup"]);
    }
    app.finish().await;
}
