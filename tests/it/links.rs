//! `--links`: each command says the console's page of what it shows, and what it says else stays.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::timeout;
use usher::act::{Intervened, Person, Queue, Verb};
use usher::clock::{Clock, Ids};
use usher::journal::Journal;
use usher::rules::Deed;

use crate::support::database::TestDatabase;
use crate::support::process::{Installation, settings};
use crate::support::signer::Entry;
use crate::support::stage::{KEVIN, chain};

const BASE: &str = "https://usher.example/base";
const DEADLINE: Duration = Duration::from_mins(1);

/// An event, a quarantined entry, an action and a veto, and a console below a path.
async fn filled() -> (Installation, TestDatabase) {
    let database = TestDatabase::create().await;
    let mut settings = settings(&database, "http://127.0.0.1:9");
    settings["ingest"]["verify"] = json!("off");
    settings["console"]["url"] = json!(format!("{BASE}/"));
    let mut usher = Installation::new(&settings);
    let process = usher.start().await;
    let lines = [Entry::numbered(1).json(), "not an entry".to_owned()];
    assert_eq!(process.deliver(&lines).await, Some(StatusCode::OK));
    process.kill().await;

    let journal = Journal::open(&database.url()).unwrap();
    let clock = Clock::system();
    let queue = Queue::new(journal.clone(), clock.clone(), Ids::new(clock));
    let mut tx = journal.pool().begin().await.unwrap();
    let wanted = chain(vec![Deed::ApproveDeveloper]);
    let id = queue.enqueue(&mut tx, &[wanted]).await.unwrap()[0].id();
    tx.commit().await.unwrap();
    let ada = Person::new("ada", None).unwrap();
    let done = queue.intervene(id, Verb::Cancel, &ada).await;
    assert_eq!(done.unwrap(), Intervened::Done(id));
    journal.close().await;
    (usher, database)
}

fn page(folder: &str, row: &Value) -> String {
    format!("{BASE}/{folder}/{}", row["id"].as_str().unwrap())
}

#[tokio::test]
async fn rows_say_their_pages_where_that_is_asked_for() {
    let (usher, database) = filled().await;
    for (command, folder) in [
        (&["events"][..], "events"),
        (&["quarantine"], "quarantine"),
        (&["quarantine", "list"], "quarantine"),
        (&["actions"], "actions"),
        (&["actions", "list"], "actions"),
    ] {
        let with = async |more: &[&str]| usher.run(&[command, more].concat()).await;
        let mut rows = with(&["--json"]).await.lines(0);
        assert!(!rows.is_empty(), "{command:?}");
        let plain = with(&[]).await.out;
        assert!(!plain.contains("PAGE") && !plain.contains(BASE), "{plain}");
        for row in &mut rows {
            row["page"] = json!(page(folder, row));
        }
        let linked = with(&["--json", "--links"]).await.lines(0);
        assert_eq!(linked, rows, "{command:?}");
        let table = with(&["--links"]).await.out;
        let mut lines = table.lines();
        assert!(lines.next().unwrap().ends_with("  PAGE"), "{table}");
        for row in &rows {
            let page = row["page"].as_str().unwrap();
            assert!(lines.next().unwrap().ends_with(page), "{table}");
        }

        let id = rows[0]["id"].as_str().unwrap();
        let show = [folder, "show", id];
        let json = [&show[..], &["--json", "--links"]].concat();
        let shown = usher.run(&json).await.lines(0);
        assert_eq!(shown[0]["page"], rows[0]["page"]);
        let shown = usher.run(&[&show[..], &["--links"]].concat()).await.out;
        let last = format!("page              {}", page(folder, &rows[0]));
        assert_eq!(shown.lines().last(), Some(last.as_str()));
    }
    database.drop().await;
}

#[tokio::test]
async fn vetoes_deeds_tails_and_reports_say_pages_too() {
    let (usher, database) = filled().await;
    let flags = ["--json", "--links"];
    let with_pages = async |arguments: &[&str]| usher.run(&[arguments, &flags].concat()).await;
    let vetoes = with_pages(&["actions", "vetoes"]).await.lines(0);
    assert_eq!(vetoes[0]["page"], json!(format!("{BASE}/people/{KEVIN}")));
    let kevin = KEVIN.to_string();
    let retry = [
        "actions",
        "retry",
        "--state",
        "cancelled",
        "--target",
        &kevin,
    ];
    let made = with_pages(&retry).await.lines(0);
    assert_eq!(made[0]["page"], json!(page("actions", &made[0])));

    let mut tail = usher
        .command(&["events", "tail", "--limit", "1", "--json", "--links"])
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let line = timeout(DEADLINE, lines.next_line()).await.unwrap();
    let event: Value = serde_json::from_str(&line.unwrap().unwrap()).unwrap();
    assert_eq!(event["page"], json!(page("events", &event)));
    tail.kill().await.unwrap();

    let who = Entry::numbered(1).principal_id;
    let timeline = [
        "report",
        "timeline",
        "--developer",
        &who,
        "--from",
        "2026-06-01T00:00:00Z",
        "--to",
        "2026-07-01T00:00:00Z",
    ];
    let asked = with_pages(&timeline).await;
    let own = format!("page of this report: {BASE}/reports/timeline\n");
    assert!(asked.err.contains(&own), "{asked:?}");
    let rows = asked.lines(0);
    let event = rows[0]["event_id"].as_str().unwrap();
    assert_eq!(rows[0]["page"], json!(format!("{BASE}/events/{event}")));
    let both = [&timeline[..], &["--links", "--csv"]].concat();
    assert_eq!(usher.run(&both).await.code, Some(2));
    // What counts names nobody.
    let trust = usher.run(&["report", "trust", "--links"]).await;
    assert!(!trust.out.contains("page"), "{trust:?}");
    database.drop().await;
}
