//! Dry runs: what they show, what they need, and what they do not take for the whole.

use konnect_emulator::Fault;
use serde_json::json;
use tokio::process::Command;
use tokio::time::timeout;
use uuid::Uuid;

use crate::reconcile::{APP, DEADLINE, JAMES, Pipeline, code, lines, text};
use crate::support::konnect::{PORTAL, RULES};

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
async fn whoever_waits_is_named_with_their_page_where_that_is_asked_for() {
    let pipeline = Pipeline::new(RULES).await;
    let with = async |more: &[&str]| {
        let arguments = [&["--dry-run", "--links"], more].concat();
        let mut command = pipeline.command(&arguments);
        command.env("USHER_CONSOLE__URL", "https://usher.example/base/");
        timeout(DEADLINE, command.output()).await.unwrap().unwrap()
    };
    let james = format!("https://usher.example/base/people/{JAMES}");
    let asks = format!("https://usher.example/base/applications/{APP}");
    let lines = lines(&with(&["--json"]).await);
    assert_eq!(lines[0]["page"], json!(james));
    assert_eq!(lines[2]["page"], json!(asks));
    assert_eq!(lines[3]["page"], json!(null), "the sums have none");
    let shown = text(&with(&[]).await.stdout);
    let line = format!("james@manchestercity.com signed up  (developer {JAMES})  {james}\n");
    assert!(shown.contains(&line), "{shown}");
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
