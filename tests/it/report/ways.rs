//! The same answer over HTTP, at the command line and as a file; and what is told of a question
//! that is none.

use serde_json::{Value, json};

use crate::support::database::TestDatabase;
use crate::support::eventually;
use crate::support::process::{CONSOLE_TOKEN, Installation, Process, settings};
use crate::support::signer::Entry;
use std::time::Duration;

const FRESH: Duration = Duration::from_secs(30);
const JUNE: &str = "from=2026-06-01T00:00:00Z&to=2026-07-01T00:00:00Z";

async fn get(usher: &Process, path: &str) -> (u16, String) {
    let request = usher.http.get(format!("{}{path}", usher.url));
    let answer = request.bearer_auth(CONSOLE_TOKEN).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn what_came_in_is_told_alike_over_http_and_at_the_command_line_within_seconds() {
    let database = TestDatabase::create().await;
    let mut settings = settings(&database, "http://127.0.0.1:9");
    settings["ingest"]["verify"] = json!("off");
    let mut installation = Installation::new(&settings);
    let usher = installation.start().await;
    let lines: Vec<String> = (0..40)
        .map(|number| Entry::numbered(number).json())
        .collect();
    assert_eq!(usher.deliver(&lines).await.unwrap(), 200);
    // Once more: an entry counts once.
    assert_eq!(usher.deliver(&lines).await.unwrap(), 200);
    let path = format!("/api/v1/reports/activity?{JUNE}");
    eventually("the events are counted", FRESH, async || {
        usher.rows(&path).await.iter().any(|row| row["count"] == 40)
    })
    .await;
    let rows = usher.rows(&path).await;
    assert_eq!(
        rows,
        [json!({
            "from": "2026-06-23T00:00:00.000Z",
            "portal_id": "3e551b39-227d-4297-b911-e68fd5d77c17",
            "kind": "authentication",
            "name": "AUTHENTICATION_OUTCOME_SUCCESS",
            "outcome": "success",
            "verification": "not_applicable",
            "count": 40,
        })]
    );
    let window = [
        "--from",
        "2026-06-01T00:00:00Z",
        "--to",
        "2026-07-01T00:00:00Z",
    ];
    let command = |more: &[&'static str]| [&["report", "activity"], &window[..], more].concat();
    let listed = installation.run(&command(&["--json"])).await.lines(0);
    assert_eq!(listed, rows);
    let file = installation.run(&command(&["--csv"])).await;
    assert_eq!(
        file.out.trim_end(),
        "from,portal_id,kind,name,outcome,verification,count\r\n\
         2026-06-23T00:00:00.000Z,3e551b39-227d-4297-b911-e68fd5d77c17,authentication,\
         AUTHENTICATION_OUTCOME_SUCCESS,success,not_applicable,40"
    );
    let (_, body) = get(&usher, &format!("{path}&format=csv")).await;
    assert_eq!(body.trim_end(), file.out.trim_end());
    let counted = installation
        .run(&["report", "rebuild", "--json"])
        .await
        .lines(0);
    assert_eq!(counted[0]["events"], 40);
    assert_eq!(usher.rows(&path).await, rows);
    usher.kill().await;
}

#[tokio::test]
async fn a_question_that_is_none_is_refused_by_name() {
    let database = TestDatabase::create().await;
    let mut installation = Installation::new(&settings(&database, "http://127.0.0.1:9"));
    let usher = installation.start().await;
    for (path, status, told) in [
        ("activities", 404, "activities"),
        ("activity?portal=x", 400, "portal"),
        ("activity?portal_id=x", 400, "parameter portal_id"),
        (
            "activity?days=3",
            400,
            "unknown parameter days; known here: by, format, from, portal_id, to",
        ),
        (
            "activity?by=week",
            400,
            "parameter by: report activity expects hour or day",
        ),
        (
            "activity?by=minute",
            400,
            "parameter by: expected hour or day",
        ),
        (
            "activity?from=2026-06-02T00:00:00Z&to=2026-06-01T00:00:00Z",
            400,
            "before it starts",
        ),
        ("activity?from=yesterday", 400, "parameter from"),
        ("idle-developers?days=-1", 400, "parameter days"),
        ("idle-developers?days=99999999999", 400, "parameter days"),
        (
            "timeline",
            400,
            "give parameter developer_id or parameter application_id",
        ),
        ("activity?format=xml", 400, "parameter format"),
    ] {
        let (answered, body) = get(&usher, &format!("/api/v1/reports/{path}")).await;
        assert_eq!(answered, status, "{path}: {body}");
        let detail: Value = serde_json::from_str(&body).unwrap();
        let detail = detail["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(told), "{path}: {detail}");
    }
    for (arguments, told) in [
        (&["activities"][..], "activities"),
        (
            &["activity", "--days", "3"],
            "report activity does not take --days",
        ),
        (
            &["activity", "--by", "week"],
            "--by: report activity expects hour or day",
        ),
        (
            &["activity", "--from", "1h", "--to", "2h"],
            "before it starts",
        ),
        (&["timeline"], "give --developer or --application"),
        (&["timeline", "--developer", "kevin"], "--developer"),
        (&[], "NAME"),
    ] {
        let ran = installation.run(&[&["report"], arguments].concat()).await;
        assert_eq!(ran.code, Some(2), "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains(told), "{arguments:?}: {}", ran.err);
    }
    usher.kill().await;
}
