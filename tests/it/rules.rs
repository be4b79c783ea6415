//! `usher rules` on a database that a running usher has filled: the real binary against the
//! emulated Konnect.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::time::Duration;

use konnect_emulator::Emulator;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::database::TestDatabase;
use crate::support::eventually;
use crate::support::konnect::{PARTNERS, PORTAL};
use crate::support::process::{Installation, Ran, settings};
use crate::support::record::Record;

const PATIENCE: Duration = Duration::from_mins(1);
const JAMES: Uuid = Uuid::from_u128(0xb1);
const ADA: Uuid = Uuid::from_u128(0xb2);
const APP: Uuid = Uuid::from_u128(0xd1);
const FIXTURES: Uuid = Uuid::from_u128(0xe1);
const REGISTRATION: Uuid = Uuid::from_u128(0xf1);

const RULES: &str = r#"version: 1
lists:
  partners: [arsenal.com, manchestercity.com]
rules:
  - name: partner-clubs
    on: developer.signed_up
    when: developer.status == "pending" && domain(developer.email) in lists.partners
    then: [approve_developer, {add_to_team: Partners}]
  - name: freemail
    on: developer.signed_up
    mode: shadow
    when: is_freemail(developer.email)
    then: [{park: freemail}]
  - name: elsewhere
    on: developer.signed_up
    portals: [7d0f3c1e-5a0b-4f7e-9d57-0c6f1f1f2a10]
    then: [reject_developer]
  - name: retired
    on: developer.signed_up
    mode: off
    then: [reject_developer]
  - name: fixtures-api
    on: registration.requested
    when: registration.api.name == "Fixtures" && (in_team(developer, "Staff") || in_team(developer, "Guests"))
    then: [approve_registration]
  - name: logins
    on: developer.authenticated
    then: [{add_to_team: Partners}]
  - name: leavers
    on: custom.com.example.user.left
    then: [revoke_developer]
"#;

/// A usher that has let James in, and left Ada and the registration of James's application alone.
struct Filled {
    installation: Installation,
    emulator: Emulator,
    database: TestDatabase,
}

impl Filled {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let emulator = Emulator::start().await.unwrap();
        let person = |id: Uuid, email: &str| {
            json!({
                "id": id, "portal_id": PORTAL, "email": email, "full_name": "Somebody",
                "status": "pending",
            })
        };
        let seed = json!({
            "portals": [{ "id": PORTAL, "name": "Football" }],
            "apis": [{ "id": FIXTURES, "name": "Fixtures", "portal_id": PORTAL }],
            "teams": [{ "id": PARTNERS, "portal_id": PORTAL, "name": "Partners" }],
            "developers": [
                person(JAMES, "james@manchestercity.com"), person(ADA, "ada@gmail.com"),
            ],
            "applications": [{
                "id": APP, "portal_id": PORTAL, "name": "scores",
                "owner": { "type": "developer", "id": JAMES },
            }],
            "registrations": [{
                "id": REGISTRATION, "application_id": APP, "api_id": FIXTURES, "status": "pending",
            }],
        });
        emulator.seed(&seed).unwrap();
        let mut settings = settings(&database, &emulator.url());
        settings["konnect"]["token"] = json!(emulator.token());
        settings["rules"] = json!({ "path": "rules.yaml" });
        settings["observe"] = json!({ "pending_every": "1s", "all_every": "1h" });
        let mut installation = Installation::new(&settings);
        installation.write("rules.yaml", RULES);
        let usher = installation.start().await;
        for (rule, state, count) in [("partner-clubs", "done", 2), ("freemail", "shadow", 1)] {
            let path = format!("/api/v1/actions?rule={rule}&state={state}");
            eventually("the deeds are done", PATIENCE, async || {
                usher.rows(&path).await.len() == count
            })
            .await;
        }
        // What usher did comes back by the look that follows.
        let memberships = format!("/api/v1/events?name=membership.changed&principal_id={JAMES}");
        eventually("the membership is seen", PATIENCE, async || {
            usher.rows(&memberships).await.len() == 1
        })
        .await;
        usher.terminate().await;
        assert!(usher.exit(PATIENCE).await.success());
        Self {
            installation,
            emulator,
            database,
        }
    }

    async fn run(&self, arguments: &[&str]) -> Ran {
        self.installation.run(arguments).await
    }

    /// The objects that a command prints, one a line.
    async fn objects(&self, arguments: &[&str]) -> Vec<Value> {
        self.run(arguments).await.lines(0)
    }

    async fn end(self) {
        let written = self.emulator.requests();
        let writes = written.iter().filter(|request| request.method != "GET");
        assert_eq!(writes.count(), 2, "no command wrote to Konnect");
        self.database.drop().await;
    }
}

fn of_rule<'a>(objects: &'a [Value], rule: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| object["rule"] == rule);
    found
        .next()
        .unwrap_or_else(|| panic!("{rule}: {objects:#?}"))
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one installation, asked from every side"
)]
async fn explains_which_condition_said_no_and_what_else_stands_in_the_way() {
    let filled = Filled::new().await;
    let (ada, james) = (ADA.to_string(), JAMES.to_string());
    let ended = filled.run(&["rules", "explain", "--developer", &ada]).await;
    let told = &ended.out;
    assert!(ended.code == Some(0), "{}", ended.err);
    for line in [
        "ada@gmail.com (00000000-0000-0000-0000-0000000000b2, pending) at \"Football\"",
        "  partner-clubs (live): not matched, domain(developer.email) in lists.partners is false",
        "      domain(developer.email) in lists.partners → false (domain(developer.email) = \
         \"gmail.com\", developer.email = \"ada@gmail.com\", lists.partners = \"2 entries\")",
        "      developer.status == \"pending\" → true (developer.status = \"pending\")",
        "  freemail (shadow): matched",
        "      but the rule is in shadow: it is written down and not done",
        "    is_freemail(developer.email) → true (developer.email = \"ada@gmail.com\")",
        "  elsewhere (live): not asked, its portals do not include this one",
        "  retired (off): not asked, its mode is off",
        "  logins: on developer.authenticated\n",
        "  leavers: on custom.com.example.user.left, and no such event about them is on record",
        "park by freemail: shadow (action ",
    ] {
        assert!(told.contains(line), "{line}\n---\n{told}");
    }

    let ended = filled
        .run(&["rules", "explain", "--developer", &james])
        .await;
    let no = "in_team(developer, \"Staff\") → false (names of developer.teams = [\"Partners\"])";
    assert!(ended.out.contains(no), "{}", ended.out);

    let objects = [
        "rules",
        "explain",
        "--developer",
        &james,
        "--json",
        "--links",
    ];
    let objects = filled.objects(&objects).await;
    let page = |object: &Value, path: &str| {
        let page = object["page"].as_str().unwrap_or_default();
        assert!(page.ends_with(path), "{object}");
    };
    page(&objects[0], &format!("/people/{james}"));
    let fixtures = of_rule(&objects, "fixtures-api");
    page(fixtures, &format!("/applications/{APP}"));
    assert_eq!(objects[0]["status"], "approved");
    assert_eq!(objects[0]["teams"], json!(["Partners"]));
    let clubs = of_rule(&objects, "partner-clubs");
    assert_eq!(clubs["decision"], "not_matched");
    assert_eq!(clubs["condition"]["parts"][0]["result"], false);
    assert_eq!(
        clubs["condition"]["parts"][0]["values"][0]["value"],
        "approved"
    );
    let settled = clubs["settled"].as_str().unwrap();
    assert!(settled.ends_with("the developer is approved"), "{settled}");
    let fixtures = of_rule(&objects, "fixtures-api");
    assert_eq!(fixtures["registration_id"], json!(REGISTRATION));
    let either = &fixtures["condition"]["parts"][1];
    assert_eq!(
        (&either["joined_by"], &either["result"]),
        (&json!("||"), &json!(false))
    );
    assert_eq!(either["parts"][0]["text"], "in_team(developer, \"Staff\")");
    assert_eq!(
        of_rule(&objects, "logins")["reason"],
        "it is on another signal"
    );
    let past: Vec<_> = objects
        .iter()
        .filter(|object| object["type"] == "action")
        .collect();
    assert_eq!(past.len(), 2);
    assert_eq!(past[0]["action"]["state"], "done");
    let action = past[0]["action"]["id"].as_str().unwrap();
    page(past[0], &format!("/actions/{action}"));

    // What another file would make of them, and what was done stands in its way.
    let others = RULES.replace("developer.status == \"pending\" && ", "");
    let others = others.replace(
        "then: [approve_developer,",
        "limit_per_hour: 1\n    then: [approve_developer,",
    );
    filled.installation.write("others.yaml", &others);
    let objects = [
        "rules",
        "explain",
        "--developer",
        &james,
        "--rules",
        "others.yaml",
        "--json",
    ];
    let objects = filled.objects(&objects).await;
    let deeds = &of_rule(&objects, "partner-clubs")["deeds"];
    assert_eq!(deeds[0]["deed"], "approve_developer");
    let but = |index: usize| deeds[index]["but"].to_string();
    assert!(but(0).contains("done since "), "{deeds}");
    assert!(but(0).contains("the developer is approved"), "{deeds}");
    assert!(
        but(0).contains("limit_per_hour of 1 is reached: it waits"),
        "{deeds}"
    );
    assert!(but(1).contains("is a member already"), "{deeds}");
    filled.end().await;
}

#[tokio::test]
async fn a_person_that_nobody_knows_and_a_wrong_file_are_told_apart_by_their_codes() {
    let filled = Filled::new().await;
    let nobody = Uuid::from_u128(0xbad).to_string();
    let james = JAMES.to_string();
    let told = Uuid::from_u128(0x701d);
    let mut record = Record::of(&filled.database).await;
    record
        .insert_subject(PORTAL, told, "told@arsenal.com")
        .await;
    record
        .run("UPDATE subjects SET told_at = now() WHERE email = 'told@arsenal.com'")
        .await;
    let told = told.to_string();
    for (arguments, code, said) in [
        (
            vec!["--developer", &nobody],
            1,
            "the directory knows no developer",
        ),
        (
            vec!["--developer", &told],
            1,
            "what a trusted sender reported about somebody",
        ),
        (
            vec!["--developer", &james, "--portal", &nobody],
            1,
            "at portal",
        ),
        (
            vec!["--developer", &james, "--rules", "none.yaml"],
            2,
            "could not read none.yaml",
        ),
        (vec!["--developer", "james"], 2, "--developer"),
        (vec![], 2, "--developer"),
    ] {
        let arguments = [vec!["rules", "explain"], arguments].concat();
        let ended = filled.run(&arguments).await;
        let stderr = &ended.err;
        assert_eq!(ended.code, Some(code), "{arguments:?}: {stderr}");
        assert!(stderr.contains(said), "{arguments:?}: {stderr}");
        assert_eq!(ended.out, "", "{arguments:?}");
    }
    filled
        .installation
        .write("bad.yaml", "version: 1\nrules:\n  - name: x\n");
    for command in [
        &["rules", "explain", "--developer", &james][..],
        &["rules", "test", "--from", "2h", "--to", "0s"][..],
    ] {
        let ended = filled
            .run(&[command, &["--rules", "bad.yaml"]].concat())
            .await;
        assert_eq!(ended.code, Some(2));
        let stderr = &ended.err;
        assert!(
            stderr.contains("bad.yaml:3:5: on is missing in this rule"),
            "{stderr}"
        );
        assert!(
            stderr.contains("usher: bad.yaml has 2 mistakes"),
            "{stderr}"
        );
    }
    filled.end().await;
}

#[tokio::test]
async fn tries_rules_on_the_past_and_two_files_against_each_other() {
    let filled = Filled::new().await;
    let window = ["rules", "test", "--from", "2h", "--to", "0s"];
    let json = |more: &[&'static str]| [&window[..], &["--json"], more].concat();

    // The status is that of the sign-up: James is approved today.
    let objects = filled.objects(&json(&[])).await;
    let counts = |objects: &[Value], rule: &str| {
        let rows = objects.iter().filter(|object| object["type"] == "rule");
        let rows: Vec<Value> = rows.cloned().collect();
        let row = of_rule(&rows, rule);
        ["act", "unchanged", "skip"].map(|member| row[member].as_u64().unwrap())
    };
    assert_eq!(counts(&objects, "partner-clubs"), [0, 1, 1]);
    assert_eq!(counts(&objects, "freemail"), [1, 0, 1]);
    assert_eq!(counts(&objects, "fixtures-api"), [0, 0, 1]);
    assert_eq!(counts(&objects, "retired"), [0, 0, 0]);
    let rows: Vec<Value> = objects
        .iter()
        .filter(|o| o["type"] == "rule")
        .cloned()
        .collect();
    assert_eq!(
        of_rule(&rows, "partner-clubs")["reasons"],
        json!({ "domain(developer.email) in lists.partners is false": 1 })
    );
    let acts: Vec<_> = objects
        .iter()
        .filter(|object| object["type"] == "act")
        .collect();
    assert_eq!(acts.len(), 1);
    assert_eq!(
        (&acts[0]["rule"], &acts[0]["developer_id"]),
        (&json!("freemail"), &json!(ADA))
    );
    let summary = objects.last().unwrap();
    assert_eq!(
        (&summary["type"], &summary["signals"]),
        (&json!("summary"), &json!(3))
    );
    assert!(summary["note"].as_str().unwrap().contains("are today's"));

    // The same rules decide the same.
    let ended = filled.run(&json(&["--against", "rules.yaml"])).await;
    assert_eq!(ended.code, Some(0), "{}", ended.out);
    let others = RULES
        .replace("[arsenal.com, manchestercity.com]", "[gmail.com]")
        .replace("mode: shadow", "mode: live");
    filled.installation.write("others.yaml", &others);
    let ended = filled
        .run(&[&window[..], &["--against", "others.yaml"]].concat())
        .await;
    let told = &ended.out;
    assert_eq!(ended.code, Some(3), "{told}{}", ended.err);
    for lines in [
        format!("developer {JAMES}\n  - approve_developer\n  - add_to_team Partners\n"),
        format!(
            "developer {ADA}\n  + approve_developer\n  + add_to_team Partners\n  + park freemail\n  \
             - park freemail (shadow)\n"
        ),
        "rules.yaml: partner-clubs (live): would act 0, unchanged 1, would skip 1\n".to_owned(),
        "others.yaml: partner-clubs (live): would act 1, unchanged 0, would skip 1\n".to_owned(),
        "3 signals, 2 differences\n".to_owned(),
    ] {
        assert!(told.contains(&lines), "{lines}\n---\n{told}");
    }
    filled.end().await;
}

#[tokio::test]
async fn a_window_that_cannot_be_is_wrong_usage() {
    let filled = Filled::new().await;
    for (from, to, said) in [
        (
            "2026-06-23T14:00:00Z",
            "2026-06-23T12:00:00Z",
            "the window ends at 2026-06-23T12:00:00.000Z, before it starts at 2026-06-23T14:00:00.000Z",
        ),
        (
            "2999-01-01T00:00:00Z",
            "0s",
            "before it starts at 2999-01-01T00:00:00.000Z",
        ),
        ("1h", "1h", "the window is empty: it starts and ends at 2"),
        (
            "2999-01-01T00:00:00Z",
            "2999-01-02T00:00:00Z",
            "the window starts at 2999-01-01T00:00:00.000Z, in the future",
        ),
        ("yesterday", "0s", "expected a time such as"),
        ("99999999999d", "0s", "'99999999999d'"),
        ("0000-01-01T00:00:00Z", "0s", "'0000-01-01T00:00:00Z'"),
    ] {
        let ended = filled
            .run(&["rules", "test", "--from", from, "--to", to])
            .await;
        assert_eq!(ended.code, Some(2), "{from} {to}");
        let stderr = &ended.err;
        assert!(stderr.contains(said), "{from} {to}: {stderr}");
        assert_eq!(ended.out, "");
    }
    // What lies before all events holds none, and is no mistake.
    let ended = filled
        .run(&["rules", "test", "--from", "9000d", "--to", "2h"])
        .await;
    assert!(ended.code == Some(0));
    assert!(ended.out.contains("0 events, 0 signals"));
    filled.end().await;
}
