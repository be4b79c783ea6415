//! Who looked: one event a query, with who, filter and count, and no address.

use std::time::Duration;

use serde_json::{Value, json};
use sqlx::PgPool;

use super::{app, installation, logins, open};
use crate::api::Filled;
use crate::support::app::TestApp;
use crate::support::eventually;
use crate::support::signer::Entry;

const READS: &str = "/api/v1/events?kind=read";

/// What was read, the first first, but for the reading of that.
async fn reads(pool: &PgPool) -> Vec<Value> {
    let entries: Vec<Vec<u8>> =
        sqlx::query_scalar("SELECT raw FROM events WHERE kind = 'read' ORDER BY received_at, id")
            .fetch_all(pool)
            .await
            .unwrap();
    let entries = entries
        .iter()
        .map(|raw| serde_json::from_slice::<Value>(raw).unwrap());
    entries
        .map(|entry| json!([entry["name"], entry["principal_id"], entry["data"]]))
        .collect()
}

async fn pool(app: &TestApp) -> PgPool {
    PgPool::connect(&app.database.url()).await.unwrap()
}

fn api(name: &str, filter: &Value, rows: usize) -> Value {
    json!([
        name,
        "test",
        { "way": "api", "filter": filter, "rows": rows, "complete": true },
    ])
}

#[tokio::test]
async fn whatever_shows_rows_about_people_is_noted_once_and_nothing_else_is() {
    let filled = Filled::new().await;
    let app = &filled.app;
    let pool = pool(app).await;
    let document: Value = app.get("/openapi.json").await.1;
    let id = |path: String| async move {
        let row = app.rows(&path).await.into_iter().next().unwrap();
        let id = row.get("id").or_else(|| row.get("developer_id")).unwrap();
        id.as_str().unwrap().to_owned()
    };
    // What is not about people, or names them by ids alone.
    let others = [
        "/api/v1/actions",
        "/api/v1/actions/pause",
        "/api/v1/actions/{id}",
        "/api/v1/deliveries",
        "/api/v1/coverage",
        "/api/v1/directory/portals",
        "/api/v1/directory/teams",
        "/api/v1/readers",
        "/api/v1/replay-jobs",
        "/api/v1/replay-jobs/{id}",
        "/api/v1/reports",
        "/api/v1/reports/activity",
        "/api/v1/reports/decisions",
        "/api/v1/reports/funnel",
        "/api/v1/reports/partners",
        "/api/v1/reports/trust",
        "/api/v1/rules",
        "/api/v1/vetoes",
    ];
    let mut asked = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        // Tails and exports have tests of their own.
        if item["get"].is_null() || path.ends_with("/tail") || path.ends_with("/export") {
            continue;
        }
        let mut url = path.clone();
        if let Some(list) = path.strip_suffix("/{id}") {
            url = format!("{list}/{}", id(list.to_owned()).await);
        }
        if path.ends_with("/timeline") {
            url = format!("{url}?developer_id={}", crate::api::TONY);
        }
        let before = reads(&pool).await.len();
        let (status, body) = app.get(&url).await;
        assert_eq!(status, 200, "{url}: {body}");
        let noted = reads(&pool).await.split_off(before);
        if others.contains(&path.as_str()) {
            assert_eq!(noted, Vec::<Value>::new(), "{url}");
            continue;
        }
        let rows = body["data"].as_array().map_or(1, Vec::len);
        let [one] = &noted[..] else {
            panic!("{url}: {noted:?}")
        };
        assert_eq!(one[1], "test", "{url}");
        assert_eq!(one[2]["rows"], rows, "{url}");
        assert_eq!(one[2]["complete"], true, "{url}");
        asked += 1;
    }
    assert_eq!(asked, 16);
    pool.close().await;
    filled.app.finish().await;
}

#[tokio::test]
async fn a_look_says_what_was_asked_for_and_holds_no_address() {
    let filled = Filled::new().await;
    let app = &filled.app;
    let pool = pool(app).await;
    app.rows("/api/v1/events?person=tony@arsenal.com&name=&limit=5")
        .await;
    app.rows("/api/v1/directory/developers?email=tony&status=approved")
        .await;
    app.rows("/api/v1/events?name=tony@arsenal.com").await;
    // However it is written, it is the same that was read.
    let tony = crate::api::TONY.to_string();
    let odd = tony.to_uppercase().replacen('0', "%30", 1);
    let (status, _) = app
        .get(&format!("/api/v1/directory/developers/{odd}"))
        .await;
    assert_eq!(status, 200);
    app.rows("/api/v1/reports/failed%2Dlogins").await;
    let (status, _) = app.get("/api/v1/events?nothing=1").await;
    assert_eq!(status, 400);
    assert_eq!(
        reads(&pool).await,
        [
            api("read.events", &json!({ "person": "…", "limit": "5" }), 0),
            api(
                "read.directory.developers",
                &json!({ "email": "…", "status": "approved" }),
                1
            ),
            api("read.events", &json!({ "name": "…" }), 0),
            api("read.directory.developers", &json!({ "id": tony }), 1),
            api("read.reports.failed-logins", &json!({}), 0),
        ]
    );
    pool.close().await;
    filled.app.finish().await;
}

#[tokio::test]
async fn looks_are_shown_to_those_who_ask_for_them_and_do_not_fill_what_is_looked_at() {
    let app = app().await;
    app.deliver(&logins(0..3)).await;
    for _ in 0..4 {
        assert_eq!(app.rows("/api/v1/events").await.len(), 3);
    }
    let looks = app.rows(READS).await;
    assert_eq!(looks.len(), 4);
    assert_eq!(looks[0]["kind"], "read");
    assert_eq!(looks[0]["verification"], "not_applicable");
    assert_eq!(app.rows(READS).await.len(), 5, "that was a look too");
    // Whoever sends one themselves hides nothing by it.
    let forged = Entry::numbered(9).json();
    let forged = forged.replace("AUTHENTICATION_OUTCOME_SUCCESS", "read.events");
    let mut forged: Value = serde_json::from_str(&forged).unwrap();
    forged["event_product"] = "usher".into();
    let (_, answer) = app.deliver(&[forged.to_string()]).await;
    assert_eq!(answer["quarantined"], 1, "{answer}");
    assert_eq!(app.rows("/api/v1/events").await.len(), 3);
    let activity = "/api/v1/reports/activity";
    eventually("all are counted", Duration::from_secs(10), async || {
        let rows = app.rows(activity).await;
        let count = rows.iter().filter_map(|row| row["count"].as_i64());
        count.sum::<i64>() == 3
    })
    .await;
    let pool = pool(&app).await;
    let of_views: (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM v_events), (SELECT sum(rows)::bigint FROM v_reads)",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(of_views.0, 3);
    assert_eq!(of_views.1, 4 * 3 + 4 + 5 + 3);
    pool.close().await;
    app.finish().await;
}

#[tokio::test]
async fn an_export_is_noted_when_it_ends_and_when_it_breaks_off() {
    let app = app().await;
    let large = |n| Entry {
        user_agent: "x".repeat(8_000),
        ..Entry::numbered(n)
    };
    let lines: Vec<String> = (0..6_000).map(|n| large(n).json()).collect();
    for lines in lines.chunks(500) {
        app.deliver(lines).await;
    }
    let export = "/api/v1/events/export?kind=authentication";
    let pool = pool(&app).await;
    let whole = open(&app, export, None).await.text().await.unwrap();
    assert!(whole.ends_with("{\"complete\":true}\n"));
    let expected = api(
        "read.events.export",
        &json!({ "kind": "authentication" }),
        6_000,
    );
    assert_eq!(reads(&pool).await, [expected]);
    let mut broken = open(&app, export, None).await;
    broken.chunk().await.unwrap().unwrap();
    drop(broken);
    eventually("it is noted", Duration::from_secs(20), async || {
        reads(&pool).await.len() == 2
    })
    .await;
    let broken = &reads(&pool).await[1][2];
    assert_eq!(broken["complete"], false);
    let rows = broken["rows"].as_u64().unwrap();
    assert!((1..6_000).contains(&rows), "{rows}");
    // A tail may go on for days, and is noted when it begins.
    let tail = open(&app, "/api/v1/events/tail", None).await;
    let noted = reads(&pool).await.pop().unwrap();
    assert_eq!(noted[0], "read.events.tail");
    assert_eq!(noted[2]["rows"], Value::Null);
    drop(tail);
    pool.close().await;
    app.finish().await;
}

#[tokio::test]
async fn what_cannot_be_noted_is_not_shown() {
    let app = app().await;
    app.deliver(&logins(0..3)).await;
    let pool = pool(&app).await;
    for statement in [
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = 'check_violation'; END $$",
        "CREATE TRIGGER no BEFORE INSERT ON events FOR EACH ROW WHEN (NEW.kind = 'read')
            EXECUTE FUNCTION no()",
    ] {
        sqlx::query(statement).execute(&pool).await.unwrap();
    }
    let (status, body) = app.get("/api/v1/events").await;
    assert_eq!(status, 500, "{body}");
    assert_eq!(body["data"], Value::Null);
    let export = open(&app, "/api/v1/events/export", None).await;
    assert!(export.text().await.is_err(), "an export looks whole");
    let (status, _) = app.get("/api/v1/readers").await;
    assert_eq!(status, 200);
    pool.close().await;
    app.finish().await;
}

#[tokio::test]
async fn the_command_line_notes_the_user_of_the_system() {
    let (mut usher, database) = installation().await;
    let process = usher.start().await;
    process.deliver(&logins(0..3)).await.unwrap();
    for arguments in [
        &["events", "--person", "ada"][..],
        &["events", "--kind", "authentication"],
        &["events", "export", "--from", "2026-01-01T00:00:00Z"],
        &["report", "failed-logins", "--json"],
        &["report", "funnel"],
        &["actions"],
    ] {
        let output = usher.run(arguments).await;
        assert_eq!(output.code, Some(0), "{arguments:?}: {output:?}");
    }
    let pool = PgPool::connect(&database.url()).await.unwrap();
    let noted = reads(&pool).await;
    // Whoever takes only a part was not given all.
    let closed = std::os::unix::net::UnixStream::pair().unwrap().0;
    let stdout = std::process::Stdio::from(std::os::fd::OwnedFd::from(closed));
    let mut cut = usher.command(&["events", "export"]);
    let mut cut = cut.stdout(stdout).spawn().unwrap();
    assert!(cut.wait().await.unwrap().success());
    let cut = reads(&pool).await.pop().unwrap();
    assert_eq!(cut[2]["complete"], false, "{cut}");
    let who = noted[0][1].clone();
    assert!(who.as_str().is_some_and(|who| !who.is_empty()));
    let at_the_command_line = |name: &str, filter: Value, rows: usize| {
        let data = json!({
            "way": "command line", "filter": filter, "rows": rows, "complete": true,
        });
        json!([name, who, data])
    };
    assert_eq!(
        noted,
        [
            at_the_command_line("read.events", json!({ "person": "…" }), 0),
            at_the_command_line("read.events", json!({ "kind": "authentication" }), 3),
            at_the_command_line(
                "read.events.export",
                json!({ "from": "2026-01-01T00:00:00Z" }),
                3
            ),
            at_the_command_line("read.reports.failed-logins", json!({}), 0),
        ]
    );
    pool.close().await;
    drop(process);
    drop(usher);
    database.drop().await;
}
