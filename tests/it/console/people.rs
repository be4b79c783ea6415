//! The pages of people and of applications, of a portal that a sweep has seen.

use reqwest::StatusCode;
use sqlx::PgPool;
use usher::config::{Role, Secret};
use usher::journal::MIGRATOR;
use uuid::Uuid;

use crate::console::reader::Reader;
use crate::support::app::{CONSOLE_TOKEN, TestApp, config};
use crate::support::database::TestDatabase;
use crate::support::scene::Scene;
use crate::support::stage::{APP, KEVIN, PARTNERS, PORTAL, REGISTRATION};

const NOBODY: Uuid = Uuid::from_u128(0xbad);
const ELSEWHERE: Uuid = Uuid::from_u128(0xe15e);

/// A rule for people who are not there.
const STRANGERS: &str = r#"
version: 1
rules:
  - name: strangers
    on: developer.signed_up
    when: domain(developer.email) == "strangers.example"
    then: [approve_developer]
"#;

/// A database whose directory has seen the portal.
pub(crate) async fn seen() -> TestDatabase {
    let database = TestDatabase::create().await;
    let pool = PgPool::connect(&database.url()).await.unwrap();
    MIGRATOR.run(&pool).await.unwrap();
    let scene = Scene::new(pool.clone(), STRANGERS).await;
    scene.activate().await;
    scene.look().await;
    drop(scene);
    pool.close().await;
    database
}

/// Carries out SQL on the database of `app`.
async fn change(app: &TestApp, sql: &'static str) {
    let pool = PgPool::connect(&app.database.url()).await.unwrap();
    sqlx::query(sql)
        .bind(KEVIN)
        .bind(ELSEWHERE)
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
}

async fn shows(reader: &mut Reader, path: &str, status: u16, words: &[&str]) {
    let page = reader.get(path).await;
    assert_eq!(page.status.as_u16(), status, "{path}: {}", page.body);
    for word in words {
        assert!(page.body.contains(word), "{path}: {word}: {}", page.body);
    }
}

/// What a form sends, but for its token.
fn fields<'a>(
    portal: &'a str,
    deed: &'a str,
    name: &'a str,
    value: &'a str,
) -> [(&'a str, &'a str); 3] {
    [("portal_id", portal), ("deed", deed), (name, value)]
}

#[tokio::test]
async fn before_a_sweep_the_lists_say_what_to_do() {
    let app = TestApp::start(config("http://127.0.0.1:9")).await;
    let mut reader = Reader::signed_in(&app.url, CONSOLE_TOKEN).await;
    for path in ["/people", "/applications"] {
        shows(&mut reader, path, 200, &["usher reconcile", "known yet"]).await;
    }
    app.finish().await;
}

#[tokio::test]
async fn what_a_sweep_saw_is_found_and_leads_on() {
    let app = TestApp::start_on(config("http://127.0.0.1:9"), seen().await).await;
    let mut reader = Reader::signed_in(&app.url, CONSOLE_TOKEN).await;
    let email = "kevin@manchestercity.com";
    let kevin = format!("href=\"/people/{KEVIN}?portal_id={PORTAL}\"");
    let scores = format!("href=\"/applications/{APP}?portal_id={PORTAL}\"");
    let person = format!("/people/{KEVIN}");
    let application = format!("/applications/{APP}");
    let explain = format!("usher rules explain --developer {KEVIN}");
    let timeline = format!("usher report timeline --portal {PORTAL} --application {APP}");
    for (path, words) in [
        ("/people", &[email, &kevin, "fixtures", "pending"][..]),
        ("/people?email=KEVIN%40", &[email]),
        ("/people?email=nobody", &["Nobody matches"]),
        ("/people?status=approved", &["Nobody matches"]),
        ("/people?gone=true", &["Nobody matches"]),
        (
            &person,
            &[email, &scores, "Fixtures", &explain, "id=\"timeline\""],
        ),
        (&format!("{person}?show=difference"), &["difference"]),
        (
            "/applications",
            &["scores", &scores, &kevin, email, "1, 1 pending"],
        ),
        ("/applications?name=SCO", &[&scores]),
        ("/applications?name=core", &["No application matches"]),
        (&format!("/applications?owner_id={KEVIN}"), &[&scores]),
        (&application, &[&kevin, "Fixtures", &timeline]),
    ] {
        shows(&mut reader, path, 200, words).await;
    }
    for (path, status, word) in [
        ("/people?status=dance", 400, "parameter status"),
        ("/people?gone=maybe", 400, "parameter gone"),
        ("/people?cursor=x", 400, "parameter cursor"),
        ("/people/kevin", 400, "UUID"),
        (&format!("{person}?show=dance"), 400, "parameter show"),
        (&format!("{person}?portal_id={NOBODY}"), 404, "any portal"),
        (&format!("/people/{NOBODY}"), 404, "knows no developer"),
        (&format!("/people/{APP}"), 404, &application),
        (&format!("/applications/{KEVIN}"), 404, &person),
    ] {
        shows(&mut reader, path, status, &[word]).await;
    }
    app.finish().await;
}

#[tokio::test]
async fn an_id_in_two_portals_is_a_choice_and_a_forgotten_person_has_a_page() {
    let app = TestApp::start_on(config("http://127.0.0.1:9"), seen().await).await;
    let mut reader = Reader::signed_in(&app.url, CONSOLE_TOKEN).await;
    change(
        &app,
        "
        WITH known AS (
            INSERT INTO subjects (portal_id, developer_id, email)
            VALUES ($2, $1, '<script>alert(1)</script>')
        )
        INSERT INTO directory_developers
            (portal_id, developer_id, status, look, revision, first_seen_at, last_seen_at)
        VALUES ($2, $1, 'approved', 1, 1, now(), now())
        ",
    )
    .await;
    let person = format!("/people/{KEVIN}");
    let (here, there) = (
        format!("{person}?portal_id={PORTAL}"),
        format!("{person}?portal_id={ELSEWHERE}"),
    );
    shows(
        &mut reader,
        &person,
        409,
        &[&here, &there, "approved", "pending"],
    )
    .await;
    let page = reader.get(&there).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.body.contains("<script>alert"), "{}", page.body);
    change(
        &app,
        "UPDATE subjects SET email = NULL, full_name = NULL WHERE developer_id = $1 AND $2 <> $1",
    )
    .await;
    shows(&mut reader, &here, 200, &["was forgotten", "not stored"]).await;
    shows(&mut reader, "/people", 200, &["no address, 00000000"]).await;
    app.finish().await;
}

#[tokio::test]
async fn an_operator_asks_by_a_form_and_a_reader_sees_none() {
    let mut config = config("http://127.0.0.1:9");
    let mut token = config.console.tokens[0].clone();
    token.name = "auditor".to_owned();
    token.role = Role::Reader;
    token.token = Secret::new("reader-token".to_owned());
    config.console.tokens.push(token);
    let app = TestApp::start_on(config, seen().await).await;
    let mut reader = Reader::signed_in(&app.url, "reader-token").await;
    let mut operator = Reader::signed_in(&app.url, CONSOLE_TOKEN).await;
    let person = format!("/people/{KEVIN}");
    let application = format!("/applications/{APP}");
    let (ask, ask_of) = (format!("{person}/ask"), format!("{application}/ask"));
    let portal = PORTAL.to_string();
    let grant = format!("approve_registration {REGISTRATION}");
    for (path, deed) in [(&person, "approve_developer"), (&application, &grant)] {
        shows(&mut operator, path, 200, &[deed]).await;
        let page = reader.get(path).await;
        assert!(!page.body.contains(deed), "{path}: {}", page.body);
    }
    let approve = [
        ("portal_id", portal.as_str()),
        ("deed", "approve_developer"),
    ];
    let page = reader.post(&ask, &approve).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN, "{}", page.body);
    let long = "x".repeat(201);
    let team = PARTNERS.to_string();
    for (path, fields, status) in [
        (
            &ask,
            fields(&portal, "approve_developer", "reason", &long),
            400,
        ),
        (&ask, fields(&portal, "dance", "reason", ""), 400),
        (&ask, fields(&portal, "add_to_team", "team", ""), 400),
        (
            &ask,
            fields(&portal, "add_to_team", "team", "Strangers"),
            404,
        ),
        (&ask, fields(&portal, "revoke_developer", "reason", ""), 409),
        (
            &ask_of,
            fields(&portal, "approve_registration", "reason", ""),
            400,
        ),
    ] {
        let page = operator.post(path, &fields).await;
        assert_eq!(page.status.as_u16(), status, "{fields:?}: {}", page.body);
    }
    assert!(app.rows("/api/v1/actions").await.is_empty());
    for (path, fields, page) in [
        (
            &ask,
            fields(&portal, "approve_developer", "reason", "by phone"),
            &person,
        ),
        (&ask, fields(&portal, "add_to_team", "team", &team), &person),
        (&ask_of, fields(&portal, &grant, "reason", ""), &application),
    ] {
        let answer = operator.post(path, &fields).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        let there = answer.location.expect("a page");
        assert_eq!(there, format!("{page}?portal_id={PORTAL}&done=asked"));
        shows(
            &mut operator,
            &there,
            200,
            &["(by hand)", "role=\"status\""],
        )
        .await;
    }
    assert_eq!(app.rows("/api/v1/actions").await.len(), 3);
    app.finish().await;
}
