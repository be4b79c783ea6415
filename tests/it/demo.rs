//! What the demo has to ask about: three weeks that were, by commands that it says.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::cli::{DEADLINE, run, scratch, text, usher};
use crate::support::eventually;

/// A demo that runs, in the folder `kept`.
struct Demo {
    home: TempDir,
    child: Child,
    /// What it said when it began.
    told: Vec<String>,
}

impl Demo {
    async fn start() -> Self {
        let home = scratch();
        let mut child = usher(home.path(), &["demo", "--data-dir", "kept"])
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut told = Vec::new();
        while !told.iter().any(|line: &String| line.starts_with("look: ")) {
            let line = timeout(DEADLINE, said.next_line()).await.unwrap();
            told.push(line.unwrap().unwrap());
        }
        Self { home, child, told }
    }

    /// The rows of a report.
    async fn ask(&self, report: &str) -> Vec<Value> {
        let arguments = ["report", report, "--json", "--config", "kept/usher.toml"];
        let ended = run(self.home.path(), &arguments).await;
        assert!(ended.status.success(), "{}", text(&ended.stderr));
        let rows = text(&ended.stdout);
        rows.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    async fn end(mut self) {
        let pid = self.child.id().unwrap().to_string();
        let told = Command::new("kill").args(["-INT", &pid]).status().await;
        assert!(told.unwrap().success());
        let ended = timeout(DEADLINE, self.child.wait()).await.unwrap();
        assert!(ended.unwrap().success());
    }
}

#[tokio::test]
async fn the_demo_says_a_command_that_asks_it_for_three_weeks_of_one_piece() {
    let demo = Demo::start().await;
    it_says_a_command_that_shows_its_funnel(&demo).await;
    what_it_remembers_is_of_one_piece(&demo).await;
    demo.end().await;
}

async fn it_says_a_command_that_shows_its_funnel(demo: &Demo) {
    let history = "in the record: the last three weeks, in which 60 people came";
    assert!(demo.told[1].starts_with(history), "{:?}", demo.told);
    let ask = demo.told.iter().find_map(|line| line.strip_prefix("ask: "));
    let ask = ask.unwrap_or_else(|| panic!("{:?}", demo.told));
    let links = demo
        .told
        .iter()
        .filter(|line| line.contains("/sign-in?once="));
    assert_eq!(links.count(), 1, "{:?}", demo.told);
    let [program, arguments @ ..] = &ask.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{ask}");
    };
    assert!(program.ends_with("usher"), "{ask}");
    let shown = run(demo.home.path(), arguments).await;
    assert!(shown.status.success(), "{}", text(&shown.stderr));
    assert!(text(&shown.stdout).contains("signed_up"));
    let mut steps = Vec::new();
    eventually("all of it is counted", DEADLINE, async || {
        steps = demo.ask("funnel").await;
        steps[4]["people"].as_i64().unwrap() > 10
    })
    .await;
    let people = steps.iter().map(|step| step["people"].as_i64().unwrap());
    let people: Vec<i64> = people.collect();
    assert!(people[0] >= 60, "{people:?}");
    assert!(
        people.is_sorted_by(|before, after| before > after),
        "{people:?}"
    );
    for step in &steps[1..] {
        assert!(step["median_seconds"].as_f64().unwrap() > 0.0, "{step}");
    }
    for step in [&steps[1], &steps[3]] {
        let (usher, people) = (step["by_usher"].as_i64(), step["by_people"].as_i64());
        assert!(usher > Some(10) && people > Some(1), "{step}");
    }
}

async fn what_it_remembers_is_of_one_piece(demo: &Demo) {
    let mut failures = Vec::new();
    eventually("all of it is counted", DEADLINE, async || {
        failures = demo.ask("failed-logins").await;
        let has = |pattern: &str| failures.iter().any(|row| row["pattern"] == pattern);
        has("guessing") && has("spraying")
    })
    .await;
    let days = demo.ask("trust").await;
    assert!(days.len() > 18, "{} days", days.len());
    for day in &days {
        let doubts = ["unsigned", "failed", "quarantined"];
        assert!(doubts.iter().all(|doubt| day[doubt] == 0), "{day}");
    }
    // What was decided then is not decided once more.
    let decisions = demo.ask("decisions").await;
    let approved = decisions.iter();
    let approved = approved.filter(|row| row["deed"] == "approve_developer");
    let approved: i64 = approved.filter_map(|row| row["count"].as_i64()).sum();
    assert!((42..60).contains(&approved), "{decisions:?}");
    let words = ["done", "running", "planned"];
    for row in &decisions {
        assert!(words.iter().any(|word| row["outcome"] == *word), "{row}");
    }
    let settings = fs::metadata(demo.home.path().join("kept/usher.toml")).unwrap();
    let mode = settings.permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "it holds secrets");
}

#[tokio::test]
async fn a_demo_that_is_stopped_while_it_remembers_does_not_wait_for_it() {
    let home = scratch();
    let child = usher(home.path(), &["demo", "--data-dir", "kept"]).spawn();
    let child = child.unwrap();
    // From then on people sign in.
    let settings = home.path().join("kept/usher.toml");
    eventually("the past is written", DEADLINE, async || settings.exists()).await;
    let pid = child.id().unwrap().to_string();
    let told = Command::new("kill").args(["-INT", &pid]).status().await;
    assert!(told.unwrap().success());
    let asked = Instant::now();
    timeout(DEADLINE, child.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    assert!(
        asked.elapsed() < Duration::from_secs(15),
        "{:?}",
        asked.elapsed()
    );
}

#[tokio::test]
async fn the_story_is_of_those_who_come_and_may_begin_empty() {
    let home = scratch();
    let ended = run(home.path(), &["demo", "--for", "20s"]).await;
    let told = text(&ended.stdout);
    assert!(
        told.contains("james@manchestercity.com     signed up"),
        "{told}"
    );
    assert!(
        !told.contains("castillo") && !told.contains("ashworth"),
        "{told}"
    );
    for line in [
        "mallory@arsenal.com.evil.com waits: no rule lets them in",
        "ada@gmail.com                → waits for a person: /approvals  (ask-a-person)",
    ] {
        assert!(told.contains(line), "{told}");
    }
    let no_rule = told.lines().filter(|line| line.contains("no rule"));
    let outsiders = ["mallory@", "eve@"];
    for line in no_rule {
        assert!(outsiders.iter().any(|who| line.contains(who)), "{line}");
    }
    assert!(text(&ended.stderr).contains("three weeks"));
    let ended = run(home.path(), &["demo", "--for", "2s", "--empty"]).await;
    let summary = text(&ended.stdout);
    let summary: Value = serde_json::from_str(summary.lines().last().unwrap()).unwrap();
    assert!(summary["events_stored"].as_u64().unwrap() < 30, "{summary}");
    assert!(!text(&ended.stderr).contains("three weeks"));
}
