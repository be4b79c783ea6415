//! What people see of the record at the command line, beside the API: the same, and bounded.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::timeout;
use usher::lifecycle::Lifecycle;

use crate::support::app::{AUTHORIZATION, TestApp, config};
use crate::support::database::TestDatabase;
use crate::support::process::{Installation, settings};
use crate::support::signer::{Entry, Signer};

const SOON: Duration = Duration::from_secs(40);

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one installation, from the first step to the last"
)]
async fn commands_print_what_the_api_answers() {
    let signer = Signer::new(7);
    let lifecycle = Lifecycle::new();
    let database = TestDatabase::create().await;
    let mut usher = Installation::new(&settings(&database, &signer.serve(&lifecycle).await));
    let process = usher.start().await;
    let mut lines: Vec<String> = (0..5).map(|n| signer.json(&Entry::numbered(n))).collect();
    lines.push(Entry::numbered(6).json());
    lines.push("no \u{1b}[2J entry".to_owned());
    assert_eq!(process.deliver(&lines).await.unwrap(), 200);
    assert_eq!(process.deliver(&lines[..2]).await.unwrap(), 200);

    let someone = Entry::numbered(3).principal_id;
    let (portal, trace) = (
        Entry::numbered(3).portal_id,
        Entry::numbered(3).trace_id.to_string(),
    );
    for (arguments, path) in [
        (vec!["events"], "events".to_owned()),
        (vec!["events", "--limit", "3"], "events?limit=3".to_owned()),
        (
            vec!["events", "--principal", &someone],
            format!("events?principal_id={someone}"),
        ),
        (
            vec![
                "events",
                "--verification",
                "unsigned",
                "--kind",
                "authentication",
            ],
            "events?verification=unsigned&kind=authentication".to_owned(),
        ),
        (
            vec![
                "events", "--portal", &portal, "--trace", &trace, "--q", "Mozilla",
            ],
            format!("events?portal_id={portal}&trace_id={trace}&q=Mozilla"),
        ),
        (
            vec![
                "events",
                "--from",
                "2026-06-23T14:28:47Z",
                "--to",
                "2026-06-23T16:28:48+02:00",
            ],
            "events?from=2026-06-23T14:28:47Z&to=2026-06-23T14:28:48Z".to_owned(),
        ),
        (
            vec!["events", "--name", "Ingress"],
            "events?name=Ingress".to_owned(),
        ),
        (vec!["deliveries"], "deliveries".to_owned()),
        (
            vec!["deliveries", "--limit", "1", "--from", "1h"],
            "deliveries?limit=1".to_owned(),
        ),
        (vec!["quarantine"], "quarantine".to_owned()),
        (
            vec!["quarantine", "list", "--to", "1h"],
            "quarantine?to=2020-01-01T00:00:00Z".to_owned(),
        ),
    ] {
        let expected = process.rows(&format!("/api/v1/{path}")).await;
        let arguments: Vec<&str> = arguments.into_iter().chain(["--json"]).collect();
        assert_eq!(usher.run(&arguments).await.lines(0), expected, "{path}");
    }
    let kept = process.rows("/api/v1/quarantine").await;
    let id = kept[0]["id"].as_str().unwrap();
    let shown = usher
        .run(&["quarantine", "show", id, "--json"])
        .await
        .lines(0);
    assert_eq!(shown[0]["raw"], "no \u{1b}[2J entry");
    let shown = usher.run(&["quarantine", "show", id]).await;
    assert!(shown.out.contains("no \\u{1b}[2J entry"), "{shown:?}");
    assert!(!shown.out.contains('\u{1b}'), "{shown:?}");
    let body: &[u8] = b"no text: \xff\xfe \x1b \xc3";
    let http = reqwest::Client::builder().timeout(SOON).build().unwrap();
    let sent = http
        .post(format!("{}/audit-logs", process.url))
        .header("Authorization", AUTHORIZATION)
        .body(body)
        .send()
        .await
        .unwrap();
    assert_eq!(sent.status(), 400);
    let kept = process.rows("/api/v1/quarantine?limit=1").await;
    let id = kept[0]["id"].as_str().unwrap();
    let shown = usher.run(&["quarantine", "show", id]).await;
    let raw = r"raw               no text: \xff\xfe \u{1b} \xc3";
    assert!(shown.out.lines().any(|line| line == raw), "{shown:?}");

    let table = usher.run(&["events", "--principal", &someone]).await;
    let rows: Vec<Vec<&str>> = table
        .out
        .lines()
        .map(|l| l.split_whitespace().collect())
        .collect();
    assert_eq!(rows.len(), 2, "{table:?}");
    assert_eq!(rows[0][..3], ["TIME", "KIND", "NAME"]);
    assert_eq!(
        rows[1][..4],
        [
            "2026-06-23T14:28:47.556Z",
            "authentication",
            "AUTHENTICATION_OUTCOME_SUCCESS",
            &someone,
        ]
    );
    let id = rows[1][5];
    let shown = usher.run(&["events", "show", id, "--json"]).await.lines(0);
    assert_eq!(shown[0]["principal_id"], json!(someone));
    let shown = usher.run(&["events", "show", id]).await;
    assert!(
        shown.out.contains("verification      verified"),
        "{shown:?}"
    );
    process.kill().await;

    // Nothing of usher's needs to run.
    assert_eq!(usher.run(&["events", "--json"]).await.lines(0).len(), 6);
    database.drop().await;
}

#[tokio::test]
async fn what_cannot_be_shown_is_said_and_has_its_code() {
    let database = TestDatabase::create_empty().await;
    let mut settings = settings(&database, "http://127.0.0.1:9");
    let usher = Installation::new(&settings);
    let unknown = "00000000-0000-0000-0000-000000000001";
    for (arguments, code, said) in [
        (vec!["events"], 1, "run `usher migrate`"),
        (
            vec!["events", "--verification", "certain"],
            2,
            "possible values: verified",
        ),
        (
            vec!["events", "--from", "yesterday"],
            2,
            "expected a time such as",
        ),
        (vec!["events", "--limit", "0"], 2, "0 is not in"),
        (vec!["events", "show", "x"], 2, "an event id is a UUID"),
        (
            vec!["events", "--follow", "--to", "1h"],
            2,
            "cannot be used with",
        ),
        (
            vec!["actions", "approve"],
            2,
            "name actions by id, or by a filter such as --state parked",
        ),
        (
            vec!["actions", "retry", "--state", "parked"],
            2,
            "retry is for one that is failed",
        ),
        (
            vec!["actions", "pause", "--by", " "],
            2,
            "expected 1 to 200 letters",
        ),
    ] {
        let ran = usher.run(&arguments).await;
        assert_eq!(ran.code, Some(code), "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(said), "{arguments:?}: {ran:?}");
        assert_eq!(ran.out, "", "{arguments:?}");
    }
    assert_eq!(usher.run(&["migrate"]).await.code, Some(0));
    for command in ["events", "quarantine", "actions"] {
        let ran = usher.run(&[command, "show", unknown]).await;
        assert_eq!(ran.code, Some(1), "{ran:?}");
        assert!(ran.err.starts_with("usher: there is no "), "{ran:?}");
        assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
    }
    settings["database"]["url"] = json!("postgres://usher@127.0.0.1:9/usher");
    usher.configure(&settings);
    let ran = usher.run(&["deliveries"]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("could not open the database"), "{ran:?}");
    database.drop().await;
}

#[tokio::test]
async fn events_are_followed_as_they_come() {
    let signer = Signer::new(7);
    let lifecycle = Lifecycle::new();
    let database = TestDatabase::create().await;
    let mut usher = Installation::new(&settings(&database, &signer.serve(&lifecycle).await));
    let process = usher.start().await;
    let line = |number| signer.json(&Entry::numbered(number));
    process.deliver(&[line(1), line(2)]).await.unwrap();
    let arguments = [
        "events",
        "-f",
        "--json",
        "--limit",
        "1",
        "--name",
        "AUTHENTICATION_OUTCOME_SUCCESS",
    ];
    let mut child = usher.command(&arguments).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = async || -> Value {
        let line = timeout(SOON, lines.next_line()).await.unwrap().unwrap();
        serde_json::from_str(&line.unwrap()).unwrap()
    };
    let newest = next().await;
    assert_eq!(
        process.rows("/api/v1/events?limit=1").await,
        std::slice::from_ref(&newest)
    );
    let other = line(3).replace("AUTHENTICATION_OUTCOME_SUCCESS", "Ingress");
    process.deliver(&[other, line(1), line(4)]).await.unwrap();
    process.deliver(&[line(5)]).await.unwrap();
    let followed = [next().await, next().await];
    let principals = followed.map(|event| event["principal_id"].clone());
    assert_eq!(
        principals,
        [4, 5].map(|n| json!(Entry::numbered(n).principal_id))
    );
    let pid = child.id().unwrap().to_string();
    let sent = tokio::process::Command::new("kill")
        .args(["-INT", &pid])
        .status()
        .await;
    assert!(sent.unwrap().success());
    let ended = timeout(SOON, child.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0));
    process.kill().await;
    database.drop().await;
}

#[tokio::test]
async fn a_page_of_large_entries_ends_early_and_the_next_goes_on() {
    let signer = Signer::new(7);
    let app = TestApp::start(config(&signer.serve(&Lifecycle::new()).await)).await;
    let large = |number: u64| Entry {
        user_agent: "x".repeat(900_000),
        ..Entry::numbered(number)
    };
    for first in (0..32).step_by(8) {
        let lines: Vec<String> = (first..first + 8).map(|n| signer.json(&large(n))).collect();
        assert_eq!(app.deliver(&lines).await.0, 200);
    }
    let mut ids = BTreeSet::new();
    let mut pages = Vec::new();
    let mut path = Some("/api/v1/events?limit=1000&verification=verified".to_owned());
    while let Some(next) = path {
        let (status, page) = app.get(&next).await;
        assert_eq!(status, 200, "{page}");
        let rows = page["data"].as_array().unwrap();
        for row in rows {
            assert!(
                ids.insert(row["id"].as_str().unwrap().to_owned()),
                "a row twice"
            );
        }
        pages.push(rows.len());
        path = page["meta"]["next"].as_str().map(str::to_owned);
    }
    assert_eq!(ids.len(), 32);
    // 8 MiB hold nine of them, and the entry that crosses the bound is still in.
    assert!(
        pages.len() >= 4 && pages.iter().all(|rows| (1..=10).contains(rows)),
        "{pages:?}"
    );
    app.finish().await;
}
