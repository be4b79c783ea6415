//! Runs that cannot read or do everything, and a run that is stopped.

use konnect_emulator::Fault;
use serde_json::json;
use tokio::process::Command;
use tokio::time::timeout;
use uuid::Uuid;

use crate::reconcile::{DEADLINE, Pipeline, code, lines, text};
use crate::support::database::TestDatabase;
use crate::support::konnect::{Hold, Moment, PORTAL, RULES};

#[tokio::test]
async fn a_run_that_could_read_a_portal_only_in_part_does_the_rest_and_says_so() {
    let pipeline = Pipeline::new(RULES).await;
    let database = TestDatabase::create().await;
    pipeline.konnect.emulator.set_faults([Fault {
        method: Some("GET".to_owned()),
        path: format!("/v3/portals/{PORTAL}/teams/*/developers"),
        status: Some(500),
        ..Fault::default()
    }]);
    let ended = pipeline.run_on(&database, &["--json"]).await;
    assert_eq!(code(&ended), 1);
    let told = text(&ended.stderr);
    let part = format!("not everything of portal {PORTAL} could be read: ");
    assert!(told.contains(&part), "{told}");
    let summary = lines(&ended).pop().unwrap();
    assert_eq!(summary["partly_read_portals"], json!([PORTAL]));
    assert_eq!(summary["failed_portals"], json!([]));
    assert!(summary["ended"]["done"].as_u64().unwrap() > 0, "{summary}");

    pipeline.konnect.emulator.set_faults([]);
    assert_eq!(code(&pipeline.run_on(&database, &[]).await), 0);
    database.drop().await;
}

#[tokio::test]
async fn a_token_refused_for_deeds_burns_nothing() {
    let pipeline = Pipeline::new(RULES).await;
    let database = TestDatabase::create().await;
    let call = "PATCH /v3/portals/{portalId}/developers/{developerId}";
    for (status, expected) in [
        (401, "the token is refused for a deed".to_owned()),
        // It may read, so that only a role is missing.
        (403, format!("{call} is forbidden to the token")),
    ] {
        pipeline.konnect.emulator.set_faults([Fault {
            method: Some("PATCH".to_owned()),
            status: Some(status),
            ..Fault::default()
        }]);
        let ended = pipeline.run_on(&database, &[]).await;
        let said = text(&ended.stderr);
        assert_eq!(code(&ended), 1, "{said}");
        assert!(said.contains(&expected), "{said}");
    }
    pipeline.konnect.emulator.set_faults([]);
    let ended = pipeline.run_on(&database, &[]).await;
    assert_eq!(code(&ended), 0, "{}", text(&ended.stderr));
    assert_eq!(pipeline.konnect.registrations().await, ["approved"]);
}

#[tokio::test]
async fn a_portal_that_cannot_be_read_keeps_the_others_from_nothing() {
    let pipeline = Pipeline::new(RULES).await;
    let refused = Uuid::from_u128(0x01);
    let seed = json!({ "portals": [{ "id": refused, "name": "Refused" }] });
    pipeline.konnect.emulator.seed(&seed).unwrap();
    pipeline.konnect.emulator.set_faults([Fault {
        path: format!("/v3/portals/{refused}/"),
        status: Some(403),
        ..Fault::default()
    }]);
    let database = TestDatabase::create().await;
    let ended = pipeline.run_on(&database, &["--json"]).await;
    let said = text(&ended.stderr);
    assert_eq!(code(&ended), 1, "{said}");
    assert!(
        said.contains(&format!("could not sweep portal {refused}: ")),
        "{said}"
    );
    assert!(!said.contains(&PORTAL.to_string()), "{said}");
    let last = lines(&ended).pop().unwrap();
    assert_eq!(last["ended"]["done"], 3);
    assert_eq!(last["failed_portals"], json!([refused]));
    assert_eq!(pipeline.konnect.registrations().await, ["approved"]);
}

#[tokio::test]
async fn ctrl_c_finishes_the_deed_in_hand_and_the_next_run_goes_on() {
    let pipeline = Pipeline::new(RULES).await;
    let database = TestDatabase::create().await;
    pipeline.konnect.hold(Hold {
        method: "PATCH",
        path_end: |path| path.contains("/developers/"),
        moment: Moment::BeforeItIsAnswered,
    });
    let mut command = pipeline.command(&[]);
    let child = command
        .env("USHER_DATABASE__URL", database.url())
        .spawn()
        .unwrap();
    let pid = child.id().unwrap().to_string();
    pipeline.konnect.is_holding().await;
    let sent = Command::new("kill").args(["-INT", &pid]).status().await;
    assert!(sent.unwrap().success());
    pipeline.konnect.let_pass();
    let ended = timeout(DEADLINE, child.wait_with_output()).await;
    let ended = ended.unwrap().unwrap();
    let (shown, said) = (text(&ended.stdout), text(&ended.stderr));
    assert_eq!(code(&ended), 1, "{shown}{said}");
    assert!(shown.contains("done  approve_developer"), "{shown}{said}");
    assert!(said.contains("waits for the next run"), "{said}");
    let ended = pipeline.run_on(&database, &[]).await;
    assert_eq!(code(&ended), 0, "{}", text(&ended.stderr));
    assert_eq!(pipeline.konnect.registrations().await, ["approved"]);
    let approvals = pipeline.konnect.writes();
    let approvals = approvals
        .iter()
        .filter(|write| write.starts_with("PATCH developers"));
    assert_eq!(approvals.count(), 1);
}
