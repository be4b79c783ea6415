//! The rules file changes under a running usher: the real binary, real files, real signals.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use konnect_emulator::Emulator;
use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::support::database::TestDatabase;
use crate::support::eventually;
use crate::support::konnect::{PARTNERS, PORTAL, RULES};
use crate::support::process::{Installation, Process, settings};
use crate::support::record::Record;

const PATIENCE: Duration = Duration::from_mins(1);
const JAMES: Uuid = Uuid::from_u128(0xb1);
const USED: &str = "the rules were read again";
const REFUSED: &str = "the rules file does not check, the rules of before stay in force";

/// The rules of two clubs, which only watch.
fn shadow() -> String {
    RULES.replace("    on: ", "    mode: shadow\n    on: ")
}

/// A Konnect in which James waits for an answer, and what usher is told of it.
async fn konnect(database: &TestDatabase, rules: &Path) -> (Emulator, Value) {
    let emulator = Emulator::start().await.unwrap();
    let seed = json!({
        "portals": [{ "id": PORTAL, "name": "Football" }],
        "teams": [{ "id": PARTNERS, "portal_id": PORTAL, "name": "Partners" }],
        "developers": [{
            "id": JAMES, "portal_id": PORTAL, "email": "james@manchestercity.com",
            "full_name": "James", "status": "pending",
        }],
    });
    emulator.seed(&seed).unwrap();
    let mut settings = settings(database, &emulator.url());
    settings["konnect"]["token"] = json!(emulator.token());
    settings["rules"] = json!({ "path": rules });
    (emulator, settings)
}

/// Waits until so many actions of the rule for newcomers are in this state.
async fn has(process: &Process, count: usize, state: &str) {
    let path = format!("/api/v1/actions?rule=partner-clubs&state={state}");
    eventually("the actions are there", PATIENCE, async || {
        process.rows(&path).await.len() == count
    })
    .await;
}

/// Waits until usher wrote `line` so many times.
async fn says(process: &Process, count: usize, line: &str) {
    eventually(line, PATIENCE, async || said(process, line) == count).await;
}

fn said(process: &Process, line: &str) -> usize {
    process.log().matches(line).count()
}

/// Replaces a file at once, as a careful editor does.
fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    fs::write(&beside, text).unwrap();
    fs::rename(&beside, path).unwrap();
}

#[tokio::test]
async fn a_rule_that_goes_live_answers_whoever_waits_and_a_bad_file_changes_nothing() {
    let database = TestDatabase::create().await;
    let folder = TempDir::new().unwrap();
    let rules = folder.path().join("rules.yaml");
    replace(&rules, &shadow());
    let (_emulator, settings) = konnect(&database, &rules).await;
    let mut installation = Installation::new(&settings);
    let usher = installation.start().await;
    has(&usher, 2, "shadow").await;
    assert_eq!(
        usher.parts().await["rules"],
        json!({"status": "ok", "detail": ""})
    );

    // Everything would be let in by what is left of this file, and it has mistakes.
    let broken = "version: 1\nrules:\n  - name: all\n    on: developer.signed_up\n    \
                  when: developer.emial != \"\"\n    then: [approve_developer, dance]\n";
    replace(&rules, broken);
    says(&usher, 1, REFUSED).await;
    eventually("the part is degraded", PATIENCE, async || {
        usher.parts().await["rules"]["status"] == "degraded"
    })
    .await;
    let detail = "the file has 2 mistakes, the first in line 5, column 21; the rules of before \
                  stay in force";
    assert_eq!(usher.parts().await["rules"]["detail"], detail);
    assert_eq!(usher.readiness().await, Some(200));

    // Asked for, it is told again, and only then.
    usher.hang_up().await;
    says(&usher, 2, REFUSED).await;
    assert_eq!(said(&usher, "a developer has no member"), 2);
    assert_eq!(said(&usher, "there is no deed"), 2);
    assert_eq!(said(&usher, USED), 0);

    replace(&rules, RULES);
    usher.hang_up().await;
    has(&usher, 2, "done").await;
    assert_eq!(usher.parts().await["rules"]["status"], "ok");
    assert_eq!(said(&usher, REFUSED), 2);
    assert_eq!(said(&usher, USED), 1);

    // A signal reads the file even when it is as before.
    usher.hang_up().await;
    says(&usher, 2, USED).await;

    fs::remove_file(&rules).unwrap();
    says(&usher, 1, "the rules file cannot be read").await;
    replace(&rules, RULES);
    says(&usher, 3, USED).await;
    usher.terminate().await;
    assert!(usher.exit(PATIENCE).await.success());
    database.drop().await;
}

#[tokio::test]
async fn what_a_rule_planned_is_called_off_when_it_is_no_longer_live() {
    let database = TestDatabase::create().await;
    let folder = TempDir::new().unwrap();
    let rules = folder.path().join("rules.yaml");
    let off = RULES.replacen("    on: ", "    mode: off\n    on: ", 1);
    replace(&rules, RULES);
    let (emulator, settings) = konnect(&database, &rules).await;
    let mut installation = Installation::new(&settings);
    assert_eq!(installation.run(&["migrate"]).await.code, Some(0));
    let pause = ["actions", "pause", "--by", "ada"];
    assert_eq!(installation.run(&pause).await.code, Some(0));
    let usher = installation.start().await;
    has(&usher, 2, "planned").await;

    // Switched off while usher is down, and live again.
    usher.terminate().await;
    assert!(usher.exit(PATIENCE).await.success());
    replace(&rules, &off);
    let usher = installation.start().await;
    has(&usher, 2, "cancelled").await;
    replace(&rules, RULES);
    has(&usher, 2, "planned").await;

    // Switched off while it runs.
    replace(&rules, &off);
    usher.hang_up().await;
    has(&usher, 4, "cancelled").await;
    let cancelled = usher.rows("/api/v1/actions?state=cancelled").await;
    assert!(
        cancelled
            .iter()
            .all(|action| action["reason"] == "the rule is no longer live"),
        "{cancelled:?}"
    );
    assert_eq!(installation.run(&["actions", "resume"]).await.code, Some(0));
    eventually("usher goes on", PATIENCE, async || {
        usher.parts().await["actions"]["status"] == "ok"
    })
    .await;
    assert_eq!(usher.rows("/api/v1/actions").await.len(), 4);
    let writes = emulator.requests().into_iter();
    let writes: Vec<_> = writes.filter(|one| one.method == "PATCH").collect();
    assert!(writes.is_empty(), "{writes:?}");
    usher.terminate().await;
    assert!(usher.exit(PATIENCE).await.success());
    database.drop().await;
}

#[tokio::test]
async fn instances_whose_rules_differ_leave_each_others_actions_alone() {
    let database = TestDatabase::create().await;
    let folder = TempDir::new().unwrap();
    let (file, other_file) = (folder.path().join("a.yaml"), folder.path().join("b.yaml"));
    let off = RULES.replacen("    on: ", "    mode: off\n    on: ", 1);
    replace(&file, RULES);
    replace(&other_file, &off);
    let (emulator, settings) = konnect(&database, &file).await;
    let mut other_settings = settings.clone();
    other_settings["rules"]["path"] = json!(other_file);
    let mut installation = Installation::new(&settings);
    let mut other = Installation::new(&other_settings);
    assert_eq!(installation.run(&["migrate"]).await.code, Some(0));
    let pause = ["actions", "pause", "--by", "ada"];
    assert_eq!(installation.run(&pause).await.code, Some(0));
    let one = installation.start().await;
    has(&one, 2, "planned").await;
    let mut record = Record::of(&database).await;
    let at_work = async |record: &mut Record, count| {
        let running = "SELECT count(*) FROM rule_holders
            WHERE stopped_at IS NULL AND renewed_at > now() - interval '6 s'";
        let settled = "SELECT count(*) FROM readers";
        eventually("the instances know their rules", PATIENCE, async || {
            record.number(running).await == count && record.number(settled).await > 0
        })
        .await;
    };

    // The other one begins, reads its file again, and begins again.
    let two = other.start().await;
    at_work(&mut record, 2).await;
    eventually("it works", PATIENCE, async || {
        two.parts().await["konnect"]["status"] == "ok"
    })
    .await;
    two.hang_up().await;
    says(&two, 1, USED).await;
    two.terminate().await;
    assert!(two.exit(PATIENCE).await.success());
    let two = other.start().await;
    eventually("it works", PATIENCE, async || {
        two.parts().await["konnect"]["status"] == "ok"
    })
    .await;
    has(&two, 0, "cancelled").await;
    has(&two, 2, "planned").await;

    // Switched off where it was live: at once, whatever others have.
    replace(&file, &off);
    one.hang_up().await;
    has(&one, 2, "cancelled").await;
    replace(&file, RULES);
    one.hang_up().await;
    has(&one, 2, "planned").await;
    // Nobody is left who has it live.
    one.kill().await;
    has(&two, 4, "cancelled").await;
    two.terminate().await;
    assert!(two.exit(PATIENCE).await.success());

    // Switched off after a crash: what the dead instance said counts for nothing, and nothing is
    // claimed before that is certain.
    let one = installation.start().await;
    has(&one, 2, "planned").await;
    one.kill().await;
    replace(&file, &off);
    assert_eq!(installation.run(&["actions", "resume"]).await.code, Some(0));
    let one = installation.start().await;
    has(&one, 6, "cancelled").await;
    let writes = emulator.requests().into_iter();
    let writes: Vec<_> = writes.filter(|one| one.method == "PATCH").collect();
    assert!(writes.is_empty(), "{writes:?}");
    one.terminate().await;
    assert!(one.exit(PATIENCE).await.success());
    database.drop().await;
}

#[tokio::test]
async fn two_instances_see_a_config_map_change_by_its_link() {
    let database = TestDatabase::create().await;
    let mount = TempDir::new().unwrap();
    let at = |name: &str| mount.path().join(name);
    for (version, text) in [("..1", shadow()), ("..2", RULES.to_owned())] {
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("rules.yaml"), text).unwrap();
    }
    symlink("..1", at("..data")).unwrap();
    symlink("..data/rules.yaml", at("rules.yaml")).unwrap();
    let (_emulator, settings) = konnect(&database, &at("rules.yaml")).await;
    let mut installation = Installation::new(&settings);
    let (one, two) = (installation.start().await, installation.start().await);
    has(&one, 2, "shadow").await;

    symlink("..2", at("..data_tmp")).unwrap();
    fs::rename(at("..data_tmp"), at("..data")).unwrap();
    says(&one, 1, USED).await;
    says(&two, 1, USED).await;
    has(&two, 2, "done").await;
    for usher in [one, two] {
        usher.terminate().await;
        assert!(usher.exit(PATIENCE).await.success());
    }
    database.drop().await;
}

#[tokio::test]
async fn without_rules_a_hangup_does_not_end_usher() {
    let database = TestDatabase::create().await;
    let emulator = Emulator::start().await.unwrap();
    let mut installation = Installation::new(&settings(&database, &emulator.url()));
    let usher = installation.start().await;
    usher.hang_up().await;
    says(&usher, 1, "there are no rules to read again").await;
    assert_eq!(usher.readiness().await, Some(200));
    assert_eq!(usher.parts().await["rules"], Value::Null);
    usher.terminate().await;
    assert!(usher.exit(PATIENCE).await.success());
    database.drop().await;
}

#[tokio::test]
async fn another_token_in_its_file_is_taken_up_without_a_restart() {
    let database = TestDatabase::create().await;
    let folder = TempDir::new().unwrap();
    let rules = folder.path().join("rules.yaml");
    fs::write(&rules, RULES).unwrap();
    let (emulator, mut settings) = konnect(&database, &rules).await;
    let token = folder.path().join("token");
    fs::write(&token, "kpat_revoked\n").unwrap();
    settings["konnect"]["token"] = json!(format!("file:{}", token.display()));
    let mut installation = Installation::new(&settings);
    let usher = installation.start().await;
    let refused = async || {
        let part = usher.readyz().await["parts"]["konnect"].clone();
        let detail = part["detail"].to_string();
        part["status"] == "degraded"
            && detail.contains("Konnect refuses the token")
            && detail.contains("401")
    };
    eventually("the token is refused", PATIENCE, refused).await;
    fs::write(&token, "kpat_of_somebody_else\n").unwrap();
    says(
        &usher,
        1,
        "konnect.token was read again and Konnect refuses it (401)",
    )
    .await;
    // Half a token, as a file that is being written shows it, harms nobody.
    fs::write(&token, "").unwrap();
    says(&usher, 1, "konnect.token could not be read again").await;
    fs::write(&token, emulator.token()).unwrap();
    has(&usher, 2, "done").await;
    says(&usher, 2, "konnect.token was read again").await;
    let mended = async || usher.readyz().await["parts"]["konnect"]["status"] == "ok";
    eventually("all is well", PATIENCE, mended).await;
    usher.terminate().await;
    drop(usher);
    database.drop().await;
}
