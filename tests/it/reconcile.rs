//! `usher reconcile` as a pipeline runs it: a real process, the emulated Konnect, a database only
//! where deeds are to be done.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use konnect_emulator::Fault;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;
use uuid::Uuid;

use crate::support::database::TestDatabase;
use crate::support::eventually;
use crate::support::konnect::{Hold, Moment, PARTNERS, PORTAL, RULES, TestKonnect};
use crate::support::process::{Installation, settings};

const DEADLINE: Duration = Duration::from_mins(2);
const JAMES: Uuid = Uuid::from_u128(0x10);
const EVE: Uuid = Uuid::from_u128(0x11);
const BOB: Uuid = Uuid::from_u128(0x12);
const APP: Uuid = Uuid::from_u128(0x20);
const REQUEST: Uuid = Uuid::from_u128(0x30);
const FIXTURES: Uuid = Uuid::from_u128(0xe0);

/// A folder with a rules file, and what usher is told of Konnect.
struct Pipeline {
    folder: TempDir,
    konnect: TestKonnect,
}

fn person(id: Uuid, email: &str, status: &str) -> Value {
    json!({ "id": id, "portal_id": PORTAL, "email": email, "full_name": "Somebody", "status": status })
}

impl Pipeline {
    /// James of a partner and Eve of nobody wait; Bob is in and asks for an API.
    async fn new(rules: &str) -> Self {
        let konnect = TestKonnect::start().await;
        konnect
            .emulator
            .seed(&json!({
                "developers": [
                    person(JAMES, "james@manchestercity.com", "pending"),
                    person(EVE, "eve@arsenal.com.evil.com", "pending"),
                    person(BOB, "bob@arsenal.com", "approved"),
                ],
                "applications": [{
                    "id": APP, "portal_id": PORTAL, "name": "scores",
                    "owner": { "type": "developer", "id": JAMES },
                }],
                "registrations": [{
                    "id": REQUEST, "application_id": APP, "api_id": FIXTURES, "status": "pending",
                }],
            }))
            .unwrap();
        konnect.emulator.clear_requests();
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("rules.yaml"), rules).unwrap();
        Self { folder, konnect }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_usher"));
        command
            .arg("reconcile")
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("USHER_KONNECT__TOKEN", self.konnect.emulator.token())
            .env("USHER_KONNECT__BASE_URL", &self.konnect.url)
            .env("USHER_KONNECT__REQUESTS_PER_SECOND", "500")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if !arguments.contains(&"--rules") {
            command.args(["--rules", "rules.yaml"]);
        }
        command
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        let run = self.command(arguments).output();
        timeout(DEADLINE, run).await.unwrap().unwrap()
    }

    /// With the database of a service.
    async fn run_on(&self, database: &TestDatabase, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        command.env("USHER_DATABASE__URL", database.url());
        timeout(DEADLINE, command.output()).await.unwrap().unwrap()
    }

    fn rules_file(&self) -> PathBuf {
        self.folder.path().join("rules.yaml")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    text(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn code(output: &Output) -> i32 {
    let code = output.status.code();
    code.unwrap_or_else(|| panic!("{}", text(&output.stderr)))
}

#[tokio::test]
async fn a_dry_run_needs_a_token_and_a_rules_file_and_nothing_else() {
    let pipeline = Pipeline::new(RULES).await;
    let ended = pipeline.run(&["--dry-run"]).await;
    let (shown, said) = (text(&ended.stdout), text(&ended.stderr));
    assert_eq!(code(&ended), 3, "{shown}{said}");
    assert!(
        shown.contains("james@manchestercity.com signed up")
            && shown.contains("partner-clubs: would approve_developer, add_to_team Partners"),
        "{shown}"
    );
    assert!(
        shown.contains("1 × partner-clubs: no: domain(developer.email) in lists.partners is false"),
        "{shown}"
    );
    assert!(
        !shown.contains("eve@"),
        "why not is told by counts: {shown}"
    );
    let last = shown.lines().last().unwrap();
    assert_eq!(last, "3 waiting: 2 deeds would be done, no rule for 2");
    assert!(
        said.contains("limit_per_hour"),
        "what it cannot know: {said}"
    );
    let requests = pipeline.konnect.emulator.requests();
    assert!(requests.iter().all(|request| request.method == "GET"));

    let verbose = text(&pipeline.run(&["--dry-run", "--verbose"]).await.stdout);
    assert!(
        verbose.contains("eve@arsenal.com.evil.com signed up"),
        "{verbose}"
    );

    let lines = lines(&pipeline.run(&["--dry-run", "--json"]).await);
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(
        lines[0]["target"],
        json!({ "kind": "developer", "id": JAMES })
    );
    assert_eq!(lines[0]["would_act"], true);
    assert_eq!(lines[0]["rules"][0]["deeds"][0]["outcome"], "would_be_done");
    assert_eq!(lines[1]["would_act"], false);
    assert_eq!(lines[2]["api"], "Fixtures");
    assert_eq!(lines[3]["deeds"], 2);
}

#[tokio::test]
async fn rules_in_shadow_show_what_they_would_do_and_are_no_work() {
    let shadow = RULES.replace("    on:", "    mode: shadow\n    on:");
    let pipeline = Pipeline::new(&shadow).await;
    let ended = pipeline.run(&["--dry-run"]).await;
    let shown = text(&ended.stdout);
    assert_eq!(code(&ended), 0, "{shown}");
    assert!(
        shown.contains("partner-clubs: would, but the rule is in shadow: approve_developer"),
        "{shown}"
    );
    assert!(
        shown.contains("2 more if the rules in shadow were live"),
        "{shown}"
    );
}

#[tokio::test]
async fn whom_rules_in_shadow_would_leave_to_a_human_is_counted_apart() {
    let second_look = "  - name: second-look\n    mode: shadow\n    on: developer.signed_up\n    \
                       then: [{park: look first}]\n";
    let pipeline = Pipeline::new(&format!("{RULES}{second_look}")).await;
    let ended = pipeline.run(&["--dry-run"]).await;
    let shown = text(&ended.stdout);
    assert_eq!(code(&ended), 3, "{shown}");
    assert_eq!(
        shown.lines().last().unwrap(),
        "3 waiting: 2 deeds would be done, 2 would be left to a human if the rules in shadow were \
         live, no rule for 1"
    );
    let summary = lines(&pipeline.run(&["--dry-run", "--json"]).await);
    let summary = summary.last().unwrap();
    assert_eq!(summary["left_to_a_human"], 0);
    assert_eq!(summary["left_to_a_human_in_shadow"], 2);
    assert_eq!(summary["deeds"], 2);
}

#[tokio::test]
async fn a_rule_for_one_portal_leaves_the_others_alone() {
    let only = format!("    portals: [{PORTAL}]\n    on:");
    let pipeline = Pipeline::new(&RULES.replace("    on:", &only)).await;
    let other = Uuid::from_u128(0xa1);
    let seed = json!({
        "portals": [{ "id": other, "name": "Other" }],
        "developers": [{
            "portal_id": other, "email": "peter@arsenal.com", "full_name": "Peter",
            "status": "pending",
        }],
    });
    pipeline.konnect.emulator.seed(&seed).unwrap();
    let all = lines(&pipeline.run(&["--dry-run", "--json"]).await);
    let summary = all.last().unwrap();
    assert_eq!(
        (&summary["portals"], &summary["deeds"]),
        (&json!(2), &json!(2))
    );
    let alone = pipeline
        .run(&["--dry-run", "--json", "--portal", &other.to_string()])
        .await;
    assert_eq!(code(&alone), 0);
    let alone = lines(&alone);
    assert_eq!(alone[0]["email"], "peter@arsenal.com");
    assert_eq!(alone[0]["rules"], json!([]), "no rule is on that signal");
}

#[tokio::test]
async fn says_in_one_line_what_is_missing() {
    let pipeline = Pipeline::new(RULES).await;
    let portal = Uuid::from_u128(0xdead).to_string();
    let cases: [(&[&str], i32, &str); 4] = [
        (&[], 2, "only --dry-run needs no database"),
        (
            &["--dry-run", "--token-file", "nowhere"],
            2,
            "could not read nowhere",
        ),
        (&["--dry-run", "--portal", &portal], 1, "has no portal"),
        (
            &["--dry-run", "--base-url", "http://127.0.0.1:9"],
            1,
            "could not list the portals",
        ),
    ];
    for (arguments, expected, words) in cases {
        let ended = pipeline.run(arguments).await;
        let said = text(&ended.stderr);
        assert_eq!(code(&ended), expected, "{said}");
        assert!(said.contains(words) && !said.contains("kpat"), "{said}");
        assert!(ended.stdout.is_empty(), "nothing half-seen is shown");
    }
    std::fs::write(pipeline.rules_file(), "version: 1\nrules: [{name: x}]\n").unwrap();
    let ended = pipeline.run(&["--dry-run"]).await;
    assert_eq!(code(&ended), 2, "rules that do not check");
    assert_eq!(
        text(&ended.stderr),
        "rules.yaml:2:9: on is missing in this rule\nrules.yaml:2:9: then is missing in this rule\n\
         usher: rules.yaml has 2 mistakes\n",
        "as `usher rules check` has them"
    );
    let ended = pipeline.run(&["--dry-run", "--rules", "none.yaml"]).await;
    assert_eq!(code(&ended), 2);
    let said = text(&ended.stderr);
    assert!(
        said.starts_with("usher: could not read none.yaml: "),
        "{said}"
    );
    let bare = Command::new(env!("CARGO_BIN_EXE_usher"))
        .args(["reconcile", "--dry-run"])
        .current_dir(pipeline.folder.path())
        .env_clear()
        .output();
    let ended = timeout(DEADLINE, bare).await.unwrap().unwrap();
    assert_eq!(code(&ended), 2);
    assert!(text(&ended.stderr).contains("konnect.token is not set"));
}

#[tokio::test]
async fn a_list_that_breaks_ends_the_dry_run_whole() {
    let pipeline = Pipeline::new(RULES).await;
    pipeline.konnect.emulator.set_faults([Fault {
        path: format!("/v3/portals/{PORTAL}/developers"),
        status: Some(200),
        body: Some(json!({ "data": "nonsense" })),
        ..Fault::default()
    }]);
    let ended = pipeline.run(&["--dry-run"]).await;
    assert_eq!(code(&ended), 1);
    assert!(ended.stdout.is_empty());
    assert!(text(&ended.stderr).contains("could not read portal"));
}

#[tokio::test]
async fn a_dry_run_that_cannot_read_a_team_is_not_taken_for_the_whole() {
    let pipeline = Pipeline::new(RULES).await;
    pipeline.konnect.emulator.set_faults([Fault {
        path: format!("/v3/portals/{PORTAL}/teams/*/developers"),
        status: Some(500),
        ..Fault::default()
    }]);
    let ended = pipeline.run(&["--dry-run"]).await;
    assert_eq!(code(&ended), 1);
    let told = text(&ended.stderr);
    assert!(told.contains("not everything could be read"), "{told}");
    assert!(text(&ended.stdout).contains("would be done"));
}

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

#[tokio::test]
async fn forgetting_removes_what_is_kept_of_a_person_and_no_look_brings_it_back() {
    let pipeline = Pipeline::new(RULES).await;
    let database = TestDatabase::create().await;
    assert_eq!(code(&pipeline.run_on(&database, &[]).await), 0);
    let usher = async |arguments: &[&str]| {
        let forget = Command::new(env!("CARGO_BIN_EXE_usher"))
            .arg("forget")
            .args(arguments)
            .current_dir(pipeline.folder.path())
            .env_clear()
            .env("USHER_DATABASE__URL", database.url())
            .output();
        timeout(DEADLINE, forget).await.unwrap().unwrap()
    };
    let unknown = Uuid::from_u128(0xdead).to_string();
    let ended = usher(&["--developer", &unknown]).await;
    assert_eq!(code(&ended), 1);
    assert!(text(&ended.stderr).contains(&format!("never saw developer {unknown}")));

    let james = JAMES.to_string();
    let ended = usher(&["--developer", &james, "--json"]).await;
    assert_eq!(code(&ended), 0, "{}", text(&ended.stderr));
    let shown = &lines(&ended)[0];
    let removed = json!({ "email": true, "full_name": true, "actions": 3, "custom_events": 0 });
    assert!(text(&ended.stderr).contains("entries and custom events stay as they were sent"));
    assert_eq!(
        (&shown["removed"], &shown["portal_id"]),
        (&removed, &json!(PORTAL))
    );
    let again = usher(&["--developer", &james, "--portal", &PORTAL.to_string()]).await;
    assert!(text(&again.stdout).contains("nothing was kept any more"));

    assert_eq!(code(&pipeline.run_on(&database, &[]).await), 0);
    let pool = sqlx::PgPool::connect(&database.url()).await.unwrap();
    // Whatever table and column it might be in.
    let tables = sqlx::query_scalar::<_, String>(
        "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'",
    );
    for table in tables.fetch_all(&pool).await.unwrap() {
        let rows = format!(
            "SELECT count(*) FROM \"{table}\" t WHERE t::text ILIKE '%manchestercity%' OR t::text ILIKE '%james@%'"
        );
        let count = sqlx::query_scalar::<_, i64>(&rows);
        assert_eq!(count.fetch_one(&pool).await.unwrap(), 0, "{table}");
    }
    pool.close().await;
}
