//! What becomes of actions while Konnect refuses the token or forbids some of what it is asked for.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use konnect_emulator::Fault;
use serde_json::{Value, json};
use sqlx::PgPool;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use usher::act::{
    ActionFilter, ActionState, Forbidden, Intervened, Kind, NewChain, NewStep, Person, Target,
    Timings, Verb,
};
use usher::journal::MIGRATOR;
use usher::rules::Deed;
use uuid::Uuid;

use crate::support::database::TestDatabase;
use crate::support::eventually;
use crate::support::konnect::TestKonnect;
use crate::support::stage::{
    APP, PORTAL, Stage, all_are, chain, developer, fault, join_partners, quick,
};

const PEOPLE: usize = 10;
const SOON: Duration = Duration::from_secs(20);
const JOIN: &str = "POST /v3/portals/{portalId}/teams/{teamId}/developers";

fn forbidden_team() -> Fault {
    Fault {
        status: Some(403),
        ..fault("POST", "/v3/portals/*/teams/*/developers")
    }
}

/// Ten people who are to be approved, and then to be added to a team.
async fn newcomers(stage: &Stage) {
    for n in 0..PEOPLE as u128 {
        let id = Uuid::from_u128(0xb100 + n);
        let person = developer(id, &format!("n{n}@arsenal.com"), "pending");
        stage
            .emulator
            .seed(&json!({ "developers": [person] }))
            .unwrap();
        let mut wanted = chain(vec![Deed::ApproveDeveloper, join_partners()]);
        wanted.signal_key = id.to_string();
        for step in &mut wanted.steps {
            step.target = Target::Developer { id };
        }
        stage.enqueue(&wanted).await;
    }
}

/// How many actions of each deed are in each state.
async fn counts(stage: &Stage) -> BTreeMap<(String, ActionState), usize> {
    let mut counts = BTreeMap::new();
    for action in stage.actions().await {
        *counts.entry((action.deed, action.state)).or_default() += 1;
    }
    counts
}

async fn all_done(stage: &Stage) {
    eventually("all are done", SOON, async || {
        let actions = stage.actions().await;
        actions
            .iter()
            .all(|action| action.state == ActionState::Done)
    })
    .await;
}

fn joinings(stage: &Stage, status: u16) -> usize {
    let requests = stage.emulator.requests();
    let of_team = requests
        .iter()
        .filter(|request| request.method == "POST" && request.path.ends_with("/developers"));
    of_team.filter(|request| request.status == status).count()
}

async fn history(stage: &Stage, id: Uuid) -> Vec<(i32, String, Option<String>, Option<i16>)> {
    let detail = stage.queue.detail(id).await.unwrap().unwrap();
    let history = detail.history.into_iter();
    history
        .map(|attempt| {
            (
                attempt.number,
                attempt.outcome,
                attempt.request,
                attempt.status,
            )
        })
        .collect()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_forbidden_deed_waits_alone_and_is_tried_by_one(pool: PgPool) {
    let stage = Stage::new(pool).await;
    stage.emulator.set_faults([forbidden_team()]);
    newcomers(&stage).await;
    let timings = Timings {
        probe_every: Duration::from_secs(2),
        ..quick()
    };
    let worker = stage.worker(timings);
    let (paused, forbidden) = (worker.paused(), worker.forbidden());
    let stop = CancellationToken::new();
    let watch = async {
        // Sooner than the first probe by the clock.
        eventually(
            "all are approved",
            Duration::from_millis(1_900),
            async || {
                let counts = counts(&stage).await;
                counts.get(&("approve_developer".to_owned(), ActionState::Done)) == Some(&PEOPLE)
            },
        )
        .await;
        let held = Forbidden {
            kind: Kind {
                deed: "add_to_team",
                portal_id: PORTAL,
            },
            call: JOIN.to_owned(),
        };
        eventually("it is told", SOON, async || {
            *forbidden.borrow() == [held.clone()]
        })
        .await;
        assert!(!*paused.borrow());
        // Those that were in hand when the first was refused come to their end.
        tokio::time::sleep(Duration::from_millis(600)).await;
        let at_first = joinings(&stage, 403);
        eventually("one is tried", SOON, async || {
            joinings(&stage, 403) > at_first
        })
        .await;
        tokio::time::sleep(Duration::from_millis(600)).await;
        assert_eq!(joinings(&stage, 403), at_first + 1, "and no other");

        let mut shown = 0;
        for action in stage.actions().await {
            if action.deed != "add_to_team" {
                continue;
            }
            assert_eq!((action.state, action.attempts), (ActionState::Planned, 0));
            let history = history(&stage, action.id).await;
            assert!(history.len() <= 1, "{history:?}");
            if let Some(attempt) = history.first() {
                let expected = (1, "forbidden".to_owned(), Some(JOIN.to_owned()), Some(403));
                assert_eq!(*attempt, expected);
                let reason = action.reason.unwrap();
                assert_eq!(
                    reason,
                    format!("{JOIN} was answered with 403: waits until the token may do this")
                );
                shown += 1;
            }
        }
        assert!(shown > 0);

        stage.emulator.set_faults([]);
        all_done(&stage).await;
        assert!(forbidden.borrow().is_empty());
        stop.cancel();
    };
    tokio::join!(worker.run(stop.clone()), watch);
    assert_eq!(joinings(&stage, 201), PEOPLE);
    for action in stage.actions().await {
        assert_eq!((action.attempts, action.reason), (1, None));
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn where_everything_is_forbidden_it_is_the_token(pool: PgPool) {
    let stage = Stage::new(pool).await;
    stage.emulator.set_faults([Fault {
        status: Some(403),
        ..Fault::default()
    }]);
    newcomers(&stage).await;
    let worker = stage.worker(quick());
    let (mut paused, forbidden) = (worker.paused(), worker.forbidden());
    let stop = CancellationToken::new();
    let watch = async {
        paused.wait_for(|paused| *paused).await.unwrap();
        assert!(forbidden.borrow().is_empty());
        let writes = stage.writes().len();
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(stage.writes().len(), writes, "nothing is tried");
        stage.emulator.set_faults([]);
        all_done(&stage).await;
        stop.cancel();
    };
    tokio::join!(worker.run(stop.clone()), watch);
    for action in stage.actions().await {
        assert_eq!(action.attempts, 1);
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_refused_token_is_on_record_once_and_counts_for_nothing(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let call = "/v3/portals/*/developers/*";
    stage.emulator.set_faults([Fault {
        status: Some(401),
        ..fault("PATCH", call)
    }]);
    let ids = stage.enqueue(&chain(vec![Deed::ApproveDeveloper])).await;
    let id = ids[0].id();
    let worker = stage.worker(quick());
    let stop = CancellationToken::new();
    let watch = async {
        // The probe may read each time, so that it is tried again and again.
        eventually("it is tried again", SOON, async || {
            stage.writes().len() >= 3
        })
        .await;
        let route = "PATCH /v3/portals/{portalId}/developers/{developerId}";
        let refused = (
            1,
            "unauthorized".to_owned(),
            Some(route.to_owned()),
            Some(401),
        );
        assert_eq!(history(&stage, id).await, std::slice::from_ref(&refused));
        let action = stage.action("approve_developer").await;
        assert_eq!(action.attempts, 0);
        let reason = action.reason.unwrap();
        assert!(reason.contains("401"), "{reason}");
        stage.emulator.set_faults([]);
        stage.until(all_are(ActionState::Done)).await;
        let done = (2, "ok".to_owned(), Some(route.to_owned()), Some(200));
        assert_eq!(history(&stage, id).await, [refused, done]);
        stop.cancel();
    };
    tokio::join!(worker.run(stop.clone()), watch);
    let action = stage.action("approve_developer").await;
    assert_eq!((action.attempts, action.reason), (1, None));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_is_called_off_is_forbidden_no_longer(pool: PgPool) {
    let stage = Stage::new(pool).await;
    stage.emulator.set_faults([forbidden_team()]);
    let ids = stage.enqueue(&chain(vec![join_partners()])).await;
    let worker = stage.worker(quick());
    let mut forbidden = worker.forbidden();
    let stop = CancellationToken::new();
    let watch = async {
        forbidden.wait_for(|held| !held.is_empty()).await.unwrap();
        let person = Person::new("ada", None).unwrap();
        eventually("it is called off", SOON, async || {
            let verb = Verb::Cancel;
            let done = stage.queue.intervene(ids[0].id(), verb, &person).await;
            done.unwrap() == Intervened::Done(ids[0].id())
        })
        .await;
        forbidden.wait_for(Vec::is_empty).await.unwrap();
        stop.cancel();
    };
    tokio::join!(worker.run(stop.clone()), watch);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn approving_what_konnect_cannot_approve_closes_it(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let ask = |target: Target, key: &str| NewChain {
        signal: "application.created".to_owned(),
        signal_key: key.to_owned(),
        steps: vec![NewStep {
            deed: Deed::Park {
                reason: "look at it".to_owned(),
            },
            target,
            owned_by: None,
        }],
        ..chain(vec![])
    };
    let invitee = stage
        .directory
        .invitee(PORTAL.into(), "x@arsenal.com", None);
    let invitee = invitee.await.unwrap();
    let targets = [
        Target::Application { id: APP },
        Target::Portal { id: PORTAL },
        Target::Invitee { id: invitee.0 },
    ];
    for target in targets {
        stage.enqueue(&ask(target, &target.id().to_string())).await;
    }
    stage
        .work_until(quick(), all_are(ActionState::Parked))
        .await;
    let person = Person::new("ada", Some("looks fine")).unwrap();
    for action in stage
        .queue
        .list(&ActionFilter::default(), None, 9)
        .await
        .unwrap()
    {
        let verb = Verb::Approve;
        let done = stage.queue.intervene(action.id, verb, &person).await;
        assert_eq!(done.unwrap(), Intervened::Done(action.id));
        let detail = stage.queue.detail(action.id).await.unwrap().unwrap();
        assert_eq!(detail.action.state, ActionState::Done);
        let reason = detail.action.reason.as_deref();
        assert_eq!(
            reason,
            Some("approved by hand: looks fine; nothing was to be done")
        );
        assert_eq!(detail.by_hand.len(), 1);
        let again = stage.queue.intervene(action.id, verb, &person).await;
        assert_eq!(again.unwrap(), Intervened::WrongState(ActionState::Done));
    }
    assert!(stage.writes().is_empty());
}

const PAIR: &str = "version: 1
rules:
  - name: all
    on: developer.signed_up
    then: [approve_developer, {add_to_team: Partners}]
";

/// `usher` with its arguments, in a folder with these rules.
fn usher(folder: &Path, program: &str) -> Command {
    let bin = Path::new(env!("CARGO_BIN_EXE_usher")).parent().unwrap();
    let mut command = Command::new(program);
    command
        .current_dir(folder)
        .env_clear()
        .env("PATH", format!("{}:/usr/bin:/bin", bin.display()))
        .stdin(Stdio::null());
    command
}

#[tokio::test]
async fn a_run_does_what_it_may_and_fails_with_the_call_that_it_may_not_make() {
    let (konnect, database) = (TestKonnect::start().await, TestDatabase::create().await);
    let people: Vec<Value> = (0..3)
        .map(|n| {
            developer(
                Uuid::from_u128(0xb200 + n),
                &format!("x{n}@arsenal.com"),
                "pending",
            )
        })
        .collect();
    konnect
        .emulator
        .seed(&json!({ "developers": people }))
        .unwrap();
    konnect.emulator.set_faults([forbidden_team()]);
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("rules.yaml"), PAIR).unwrap();
    let run = async || {
        let run = usher(folder.path(), "usher")
            .args(["reconcile", "--rules", "rules.yaml"])
            .env("USHER_KONNECT__BASE_URL", &konnect.url)
            .env("USHER_KONNECT__TOKEN", konnect.emulator.token())
            .env("USHER_DATABASE__URL", database.url())
            .output();
        let ended = timeout(SOON, run).await.unwrap().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (ended.status.code(), text(ended.stdout), text(ended.stderr))
    };
    let (code, done, said) = run().await;
    assert_eq!(code, Some(1), "{done}{said}");
    assert_eq!(done.matches("done  approve_developer").count(), 3, "{done}");
    assert!(said.contains(&format!("{JOIN} is forbidden")), "{said}");
    assert_eq!(said.matches("ERROR").count(), 1, "{said}");

    konnect.emulator.set_faults([]);
    let (code, done, said) = run().await;
    assert_eq!(code, Some(0), "{done}{said}");
    assert_eq!(done.matches("done  add_to_team").count(), 3, "{done}");
    database.drop().await;
}

/// The commands of the workflow that a pull request runs.
fn dry_run_of_the_workflow() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guides/ci-cd.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, step) = page
        .split_once("== 'pull_request'\n        run: |\n")
        .unwrap();
    let lines = step
        .lines()
        .take_while(|line| line.starts_with("          "));
    lines.map(str::trim).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn the_pipeline_of_the_guide_shows_that_a_token_is_refused() {
    let konnect = TestKonnect::start().await;
    let person = developer(Uuid::from_u128(0xb200), "x@arsenal.com", "pending");
    konnect
        .emulator
        .seed(&json!({ "developers": [person] }))
        .unwrap();
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("rules.yaml"), PAIR).unwrap();
    let commands = dry_run_of_the_workflow();
    for (token, expected) in [(konnect.emulator.token(), Some(0)), ("kpat_wrong", Some(1))] {
        let ended = usher(folder.path(), "sh")
            .args(["-e", "-c", &commands])
            .env("USHER_KONNECT__BASE_URL", &konnect.url)
            .env("USHER_KONNECT__TOKEN", token)
            .output()
            .await
            .unwrap();
        assert_eq!(ended.status.code(), expected, "{commands}");
        let shown = String::from_utf8(ended.stdout).unwrap();
        assert_eq!(
            shown.contains("\"waiting\":1"),
            expected == Some(0),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn conditions_that_let_in_too_many_are_warned_of() {
    let folder = TempDir::new().unwrap();
    let rules = "version: 1
rules:
  - name: loose
    on: developer.signed_up
    when: developer.email.endsWith(\"@arsenal.com\")
    then: [approve_developer]
  - name: lets-nobody-in
    on: developer.signed_up
    when: developer.email.contains(\"arsenal\")
    then: [{park: look}]
  - name: rest
    on: developer.signed_up
    when: >-
      developer.status == \"pending\" &&
      domain(developer.email) != \"gmail.com\"
    then: [{add_to_team: Partners}]
";
    fs::write(folder.path().join("rules.yaml"), rules).unwrap();
    let run = async |arguments: &[&str]| {
        let run = usher(folder.path(), "usher")
            .args(["rules", "check", "rules.yaml"])
            .args(arguments)
            .output();
        let ended = run.await.unwrap();
        assert_eq!(ended.status.code(), Some(0));
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(ended.stdout), text(ended.stderr))
    };
    let (told, warned) = run(&[]).await;
    assert_eq!(told, "rules.yaml: 3 rules, no mistake\n");
    let warned: Vec<&str> = warned.lines().collect();
    assert_eq!(warned.len(), 2, "{warned:?}");
    assert!(
        warned[0].starts_with("warning: rules.yaml:5:27: endsWith() reads an address as any text"),
        "{warned:?}"
    );
    assert!(
        warned[0].ends_with("expected domain(developer.email) == \"arsenal.com\""),
        "{warned:?}"
    );
    assert!(
        warned[1].starts_with("warning: rules.yaml:15:31: this keeps out only whom it names"),
        "{warned:?}"
    );
    let (told, _) = run(&["--json"]).await;
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["rules"], 3);
    assert_eq!(told["warnings"][1]["line"], 15);
    assert_eq!(told["warnings"][1]["column"], 31);
    assert_eq!(told["warnings"].as_array().unwrap().len(), 2);
}
