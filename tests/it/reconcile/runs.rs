//! Runs: everything in one of them and nothing in the next, beside a service or not.

use konnect_emulator::Fault;
use serde_json::json;

use crate::reconcile::{DEADLINE, JAMES, Pipeline, code, lines, text};
use crate::support::database::TestDatabase;
use crate::support::eventually;
use crate::support::konnect::{PARTNERS, PORTAL, RULES};
use crate::support::process::{Installation, settings};

#[tokio::test]
async fn does_everything_in_one_run_and_nothing_in_the_next() {
    let pipeline = Pipeline::new(RULES).await;
    let database = TestDatabase::create().await;
    let first = pipeline.run_on(&database, &["--json"]).await;
    assert_eq!(code(&first), 0, "{}", text(&first.stderr));
    let lines = lines(&first);
    let deeds: Vec<&str> = lines
        .iter()
        .filter_map(|line| line["deed"].as_str())
        .collect();
    assert_eq!(
        deeds,
        ["approve_developer", "add_to_team", "approve_registration"],
        "who is let into the team gets the API in the same run"
    );
    assert_eq!(lines.last().unwrap()["ended"]["done"], 3);
    let email = "james@manchestercity.com";
    assert_eq!(pipeline.konnect.developer(email).await.1, "approved");
    assert_eq!(pipeline.konnect.teams_of(JAMES).await, [PARTNERS]);
    assert_eq!(pipeline.konnect.registrations().await, ["approved"]);
    assert!(!text(&first.stdout).contains('@'), "ids only");

    let writes = pipeline.konnect.writes();
    assert_eq!(writes.len(), 3);
    let second = pipeline.run_on(&database, &[]).await;
    assert_eq!(code(&second), 0);
    assert_eq!(text(&second.stdout).trim(), "0 done");
    assert_eq!(pipeline.konnect.writes(), writes);
    assert_eq!(
        code(&pipeline.run(&["--dry-run"]).await),
        0,
        "nothing is left"
    );
}

#[tokio::test]
async fn reports_what_waits_for_its_time_or_for_a_human_and_what_failed() {
    let limited = format!(
        "{}    limit_per_hour: 1\n  - name: strangers\n    on: developer.signed_up\n    when: \
         domain(developer.email) == \"arsenal.com.evil.com\"\n    then: [{{add_to_team: Nobody}}, approve_developer]\n",
        RULES.split("  - name: fixtures-api").next().unwrap()
    );
    let pipeline = Pipeline::new(&limited).await;
    let database = TestDatabase::create().await;
    let ended = pipeline.run_on(&database, &["--json"]).await;
    assert_eq!(code(&ended), 0, "{}", text(&ended.stderr));
    let last = lines(&ended).pop().unwrap();
    assert_eq!(last["ended"]["done"], 1);
    assert_eq!(last["ended"]["parked"], 1);
    assert_eq!((&last["delayed"], &last["waiting"]), (&json!(1), &json!(1)));

    // A deed that Konnect refuses for good.
    let pipeline = Pipeline::new(RULES).await;
    let database = TestDatabase::create().await;
    pipeline.konnect.emulator.set_faults([Fault {
        method: Some("PATCH".to_owned()),
        path: format!("/v3/portals/{PORTAL}/developers/{JAMES}"),
        status: Some(400),
        ..Fault::default()
    }]);
    let ended = pipeline.run_on(&database, &[]).await;
    let shown = text(&ended.stdout);
    assert_eq!(code(&ended), 1, "{shown}");
    assert!(shown.contains("failed  approve_developer"), "{shown}");
    assert!(shown.contains("cancelled  add_to_team"), "{shown}");
    assert!(text(&ended.stderr).contains("1 deeds failed"));
}

#[tokio::test]
async fn works_beside_a_service_and_no_deed_is_done_twice() {
    let pipeline = Pipeline::new(RULES).await;
    let database = TestDatabase::create().await;
    let mut installation = Installation::new(&json!({}));
    let mut settings = settings(&database, &pipeline.konnect.url);
    settings["konnect"]["token"] = json!(pipeline.konnect.emulator.token());
    settings["rules"] = json!({ "path": pipeline.rules_file() });
    installation.configure(&settings);
    let service = installation.start().await;
    let ended = pipeline.run_on(&database, &[]).await;
    assert_eq!(code(&ended), 0, "{}", text(&ended.stderr));
    eventually("everything is done", DEADLINE, async || {
        pipeline.konnect.registrations().await == ["approved"]
    })
    .await;
    let mut writes = pipeline.konnect.writes();
    let count = writes.len();
    writes.sort();
    writes.dedup();
    assert_eq!((writes.len(), count), (3, 3), "{writes:?}");
    service.terminate().await;
}
