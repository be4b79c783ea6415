//! What people ask for without a rule: through the queue, over HTTP and at the command line.

use konnect::DeveloperStatus;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::PgPool;
use usher::act::{
    ActionDetail, ActionState, Ask, AskRefusal, Asked, CallOff, Enqueued, Intervened, NewChain,
    Target, Verb,
};
use usher::journal::{EventFilter, MIGRATOR};
use usher::rules::Deed;
use uuid::Uuid;

use super::ada;
use crate::support::app::{CONSOLE_TOKEN, TestApp, config};
use crate::support::database::TestDatabase;
use crate::support::process::{Installation, settings};
use crate::support::scene::{Scene, load};
use crate::support::stage::{
    APPROVED, KEVIN, PORTAL, REGISTRATION, Stage, chain, join_partners, quick,
};

const NOBODY: Uuid = Uuid::from_u128(0xbad);

/// Nobody is pending for this rule, and everybody is for another one.
const STRANGERS: &str = r#"
version: 1
rules:
  - name: strangers
    on: developer.signed_up
    when: domain(developer.email) == "strangers.example"
    then: [approve_developer]
"#;

async fn ask(stage: &Stage, deed: &str, target: Uuid, team: Option<&str>) -> Asked {
    let ask = Ask::new(PORTAL, deed, target, team).unwrap();
    stage
        .queue
        .ask(&stage.directory, &ask, &ada())
        .await
        .unwrap()
}

async fn new(stage: &Stage, deed: &str, target: Uuid, team: Option<&str>) -> Uuid {
    match ask(stage, deed, target, team).await {
        Asked::New(id) => id,
        other => panic!("{deed}: {other:?}"),
    }
}

async fn detail(stage: &Stage, id: Uuid) -> ActionDetail {
    stage.queue.detail(id).await.unwrap().unwrap()
}

async fn state(stage: &Stage, id: Uuid) -> ActionState {
    detail(stage, id).await.action.state
}

/// A portal that the directory knows.
async fn seen(pool: PgPool, rules: &str) -> Scene {
    let scene = Scene::new(pool, rules).await;
    scene.activate().await;
    scene.look().await;
    scene
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_a_person_asks_for_is_done_and_told(pool: PgPool) {
    let scene = seen(pool, STRANGERS).await;
    let stage = &scene.stage;
    let approve = new(stage, "approve_developer", KEVIN, None).await;
    let join = new(stage, "add_to_team", KEVIN, Some("Partners")).await;
    let grant = new(stage, "approve_registration", REGISTRATION, None).await;
    scene.during(scene.settled()).await;
    for id in [approve, join, grant] {
        let done = detail(stage, id).await;
        assert_eq!(done.action.state, ActionState::Done, "{done:?}");
        assert_eq!(done.action.rule, "(by hand)");
        let [asked] = &done.by_hand[..] else {
            panic!("{done:?}")
        };
        assert_eq!((asked.verb.as_str(), asked.by.as_str()), ("ask", "ada"));
        assert_eq!(asked.reason.as_deref(), Some("a partner, by phone"));
    }
    assert_eq!(stage.status().await, "approved");
    assert!(stage.is_partner(KEVIN).await);
    assert!(stage.writes().contains(&APPROVED.to_owned()));

    let filter = EventFilter {
        name: Some("action.planned".to_owned()),
        ..EventFilter::default()
    };
    let told = stage.journal.search(&filter, None, 10).await.unwrap();
    assert_eq!(told.len(), 3);
    let causes = detail(stage, approve).await.action.causes;
    let told = told.iter().find(|event| causes == [event.id.as_uuid()]);
    let event: Value = serde_json::from_slice(&told.unwrap().raw).unwrap();
    let reason = "asked for by hand: a partner, by phone";
    assert_eq!(event["data"]["reason"], reason);
    assert_eq!(event["data"]["rule"], "(by hand)");
    assert!(!event.to_string().contains("ada"), "{event}");

    // It may be asked for again; what holds already is done.
    let again = new(stage, "add_to_team", KEVIN, Some("Partners")).await;
    let before = stage.writes().len();
    scene.during(scene.settled()).await;
    let again = detail(stage, again).await.action;
    assert_eq!(again.state, ActionState::Done);
    assert_eq!(again.reason.as_deref(), Some("member already"));
    assert_eq!(stage.writes().len(), before);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn only_who_is_known_and_has_the_right_status_is_changed(pool: PgPool) {
    let scene = seen(pool, STRANGERS).await;
    let stage = &scene.stage;
    for (deed, target, team, why) in [
        (
            "approve_developer",
            NOBODY,
            None,
            AskRefusal::UnknownTarget("developer"),
        ),
        (
            "revoke_registration",
            NOBODY,
            None,
            AskRefusal::UnknownTarget("registration"),
        ),
        (
            "add_to_team",
            KEVIN,
            Some("Strangers"),
            AskRefusal::UnknownTeam,
        ),
        (
            "revoke_developer",
            KEVIN,
            None,
            AskRefusal::WrongStatus {
                object: "developer",
                now: "pending".to_owned(),
                deed: "revoke_developer",
                needed: "approved",
            },
        ),
    ] {
        let asked = ask(stage, deed, target, team).await;
        assert_eq!(asked, Asked::Refused(why), "{deed}");
    }
    assert_eq!(stage.actions().await, []);

    // Somebody else decides before the worker does.
    let approve = new(stage, "approve_developer", KEVIN, None).await;
    let developers = stage.client.portal(PORTAL.into()).developers();
    let rejected = developers.set_status(KEVIN.into(), &DeveloperStatus::Rejected);
    rejected.await.unwrap();
    scene.during(scene.settled()).await;
    let refused = detail(stage, approve).await.action;
    assert_eq!(refused.state, ActionState::Refused);
    let why = "the developer is rejected, no longer pending: somebody else decided";
    assert_eq!(refused.reason.as_deref(), Some(why));
    assert_eq!(stage.status().await, "rejected");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn it_waits_while_paused_and_no_change_of_rules_calls_it_off(pool: PgPool) {
    let scene = seen(pool, STRANGERS).await;
    let stage = &scene.stage;
    stage.queue.pause_all(&ada()).await.unwrap();
    let asked = new(stage, "approve_developer", KEVIN, None).await;
    let holder = stage.queue.rule_holder();
    holder.hold(&[], None).await.unwrap();
    let begin = CallOff {
        live: &[],
        dropped: &[],
        begins: true,
        inherits: true,
    };
    assert_eq!(holder.call_off(begin).await.unwrap().count, 0);
    for rules in [STRANGERS, "version: 1\nrules: []\n"] {
        let rules = load(rules);
        let sifted = stage.queue.sift(&stage.directory, &rules).await;
        assert_eq!(sifted.unwrap(), 0);
        scene.rules.send_replace(rules);
    }
    scene
        .during(async {
            // Several polls.
            tokio::time::sleep(quick().poll * 5).await;
            assert_eq!(state(stage, asked).await, ActionState::Planned);
            stage.queue.resume_all(&ada()).await.unwrap();
            scene.settled().await;
        })
        .await;
    assert_eq!(state(stage, asked).await, ActionState::Done);
    assert_eq!(stage.status().await, "approved");
}

/// The approval of Kevin that a rule has planned, over its limit.
async fn over_the_limit(stage: &Stage) -> Uuid {
    let limited = |target: Uuid| {
        let mut one = NewChain {
            rule: "strangers".to_owned(),
            limit_per_hour: 1,
            ..chain(vec![Deed::ApproveDeveloper])
        };
        one.signal_key = target.to_string();
        one.steps[0].target = Target::Developer { id: target };
        one
    };
    let first = stage.enqueue(&limited(NOBODY)).await[0].id();
    sqlx::query(
        "UPDATE actions SET state = 'done', started_at = now(), waits_on = NULL WHERE id = $1",
    )
    .bind(first)
    .execute(stage.journal.pool())
    .await
    .unwrap();
    stage.enqueue(&limited(KEVIN)).await[0].id()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_a_rule_has_planned_is_let_through_despite_limit_and_condition(pool: PgPool) {
    let scene = seen(pool, STRANGERS).await;
    let stage = &scene.stage;
    let waiting = over_the_limit(stage).await;
    for _ in 0..2 {
        let asked = ask(stage, "approve_developer", KEVIN, None).await;
        assert_eq!(asked, Asked::Open(waiting));
    }
    scene.during(scene.settled()).await;
    let done = detail(stage, waiting).await;
    assert_eq!(done.action.state, ActionState::Done, "{done:?}");
    assert_eq!(done.by_hand.len(), 2);
    assert_eq!(stage.status().await, "approved");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_second_asking_is_answered_with_the_first_and_the_opposite_ends_it(pool: PgPool) {
    let scene = seen(pool, STRANGERS).await;
    let stage = &scene.stage;
    let approve = new(stage, "approve_developer", KEVIN, None).await;
    let again = ask(stage, "approve_developer", KEVIN, None).await;
    assert_eq!(again, Asked::Open(approve));
    let reject = new(stage, "reject_developer", KEVIN, None).await;
    assert_eq!(state(stage, approve).await, ActionState::Cancelled);
    scene.during(scene.settled()).await;
    assert_eq!(state(stage, reject).await, ActionState::Done);
    assert_eq!(stage.status().await, "rejected");
    // Approving and rejecting are one call of the API with another status.
    let writes = stage.writes();
    let changed = writes.iter().filter(|write| *write == APPROVED);
    assert_eq!(changed.count(), 1, "{writes:?}");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_deed_that_gives_lifts_the_veto_that_it_meets(pool: PgPool) {
    let scene = seen(pool, STRANGERS).await;
    let stage = &scene.stage;
    let planned = stage.enqueue(&chain(vec![Deed::ApproveDeveloper])).await[0].id();
    let no = stage.queue.intervene(planned, Verb::Cancel, &ada()).await;
    assert_eq!(no.unwrap(), Intervened::Done(planned));
    assert_eq!(stage.queue.vetoes(None, 10).await.unwrap().len(), 1);
    new(stage, "approve_developer", KEVIN, None).await;
    assert_eq!(stage.queue.vetoes(None, 10).await.unwrap(), []);
    scene.during(scene.settled()).await;
    assert_eq!(stage.status().await, "approved");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn whom_a_person_took_out_of_a_team_no_rule_puts_back(pool: PgPool) {
    let scene = seen(pool, STRANGERS).await;
    let stage = &scene.stage;
    let join = new(stage, "add_to_team", KEVIN, Some("Partners")).await;
    scene.during(scene.settled()).await;
    assert_eq!(state(stage, join).await, ActionState::Done);
    let leave = new(stage, "remove_from_team", KEVIN, Some("Partners")).await;
    scene.during(scene.settled()).await;
    assert_eq!(state(stage, leave).await, ActionState::Done);
    assert!(!stage.is_partner(KEVIN).await);

    let wanted = stage.enqueue(&chain(vec![join_partners()])).await;
    assert_eq!(wanted, [Enqueued::Known(leave)], "a veto stands in the way");
    // A person who asks for it has the last word.
    let back = new(stage, "add_to_team", KEVIN, Some("Partners")).await;
    scene.during(scene.settled()).await;
    assert_eq!(state(stage, back).await, ActionState::Done);
    assert!(stage.is_partner(KEVIN).await);
    assert_eq!(stage.queue.vetoes(None, 10).await.unwrap(), []);
}

/// A database whose directory has seen the portal.
async fn database() -> TestDatabase {
    let database = TestDatabase::create().await;
    let pool = PgPool::connect(&database.url()).await.unwrap();
    MIGRATOR.run(&pool).await.unwrap();
    drop(seen(pool.clone(), STRANGERS).await);
    pool.close().await;
    database
}

#[tokio::test]
async fn operators_ask_over_http_and_are_told_what_is_wrong() {
    let mut config = config("http://127.0.0.1:9");
    let mut reader = config.console.tokens[0].clone();
    reader.name = "analyst".to_owned();
    reader.role = usher::config::Role::Reader;
    reader.token = usher::config::Secret::new("reader-token".to_owned());
    config.console.tokens.push(reader);
    let app = TestApp::start_on(config, database().await).await;
    let post = async |token: &str, body: Value| -> (StatusCode, Value) {
        let request = app.http.post(format!("{}/api/v1/actions", app.url));
        let answer = request.json(&body).bearer_auth(token).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    };
    let wanted = |deed: &str, target: Uuid, team: Option<&str>| {
        let mut body = json!({ "portal_id": PORTAL, "deed": deed, "target_id": target });
        if let Some(team) = team {
            body["team"] = json!(team);
        }
        body
    };
    let mut approve = wanted("approve_developer", KEVIN, None);
    approve["reason"] = json!("known");
    for (token, expected) in [("reader-token", 403), ("nobody", 401)] {
        assert_eq!(post(token, approve.clone()).await.0, expected, "{token}");
    }
    let elsewhere = json!({ "portal_id": NOBODY, "deed": "reject_developer", "target_id": KEVIN });
    for (body, status, detail) in [
        (json!([]), 400, "the body is {"),
        (json!({ "deed": "approve_developer" }), 400, "missing field"),
        (
            json!({ "portal_id": "x", "deed": "park", "target_id": KEVIN }),
            400,
            "UUID",
        ),
        (wanted("park", KEVIN, None), 400, "deed: expected one of"),
        (wanted("add_to_team", KEVIN, None), 400, "team: add_to_team"),
        (
            wanted("approve_developer", KEVIN, Some("Partners")),
            400,
            "about no team",
        ),
        (elsewhere, 404, "no portal with this id"),
        (
            wanted("approve_developer", NOBODY, None),
            404,
            "no developer with this id",
        ),
        (
            wanted("add_to_team", KEVIN, Some("Strangers")),
            404,
            "no team of this name",
        ),
        (
            wanted("revoke_developer", KEVIN, None),
            409,
            "the developer is pending, and revoke_developer is for one that is approved",
        ),
    ] {
        let (answered, problem) = post(CONSOLE_TOKEN, body).await;
        assert_eq!(answered.as_u16(), status, "{problem}");
        let told = problem["detail"].as_str().unwrap();
        assert!(told.contains(detail), "{told}");
    }
    assert!(app.rows("/api/v1/actions").await.is_empty());

    let (status, made) = post(CONSOLE_TOKEN, approve.clone()).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let made = &made["data"];
    assert_eq!(made["rule"], "(by hand)");
    assert_eq!(made["by_hand"][0]["by"], "test");
    assert_eq!(made["by_hand"][0]["reason"], "known");
    let (status, same) = post(CONSOLE_TOKEN, approve).await;
    assert_eq!(status, StatusCode::OK, "{same}");
    assert_eq!(same["data"]["id"], made["id"]);
    app.finish().await;
}

#[tokio::test]
async fn the_command_asks_and_says_what_is_wrong() {
    let database = database().await;
    let usher = Installation::new(&settings(&database, "http://127.0.0.1:9"));
    let (kevin, nobody) = (KEVIN.to_string(), NOBODY.to_string());
    let (kevin, nobody) = (kevin.as_str(), nobody.as_str());
    let run = async |rest: &[&str]| usher.run(&[&["actions", "ask"][..], rest].concat()).await;
    let approve = [
        "--deed",
        "approve_developer",
        "--developer",
        kevin,
        "--by",
        "ada",
        "--reason",
        "known",
        "--json",
    ];
    let made = run(&approve).await.lines(0);
    assert_eq!(made[0]["state"], "planned");
    assert_eq!(made[0]["by_hand"][0]["by"], "ada");
    let same = run(&approve).await.lines(0);
    assert_eq!(same[0]["id"], made[0]["id"]);
    for (rest, code, why) in [
        (
            ["--deed", "approve_developer", "--developer", nobody],
            1,
            "nobody and nothing with the id",
        ),
        (
            ["--deed", "revoke_developer", "--developer", kevin],
            1,
            "the developer is pending",
        ),
        (
            ["--deed", "add_to_team", "--developer", kevin],
            2,
            "--team: add_to_team needs",
        ),
        (
            ["--deed", "approve_registration", "--developer", kevin],
            2,
            "it needs --registration",
        ),
        (
            ["--deed", "park", "--developer", kevin],
            2,
            "approve_developer",
        ),
    ] {
        let ran = run(&rest).await;
        assert_eq!(ran.code, Some(code), "{ran:?}");
        assert!(ran.err.contains(why), "{ran:?}");
    }
    database.drop().await;
}
