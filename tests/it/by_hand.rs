//! What people do about actions: in the queue, at the command line and over HTTP.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::BTreeMap;
use std::time::Duration;

use konnect_emulator::Fault;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use usher::act::{
    ActionFilter, ActionState, CallOff, DeedSpec, Intervened, LiveRule, NewChain, NewStep, Person,
    Queue, Target, TeamRef, Verb, Worker,
};
use usher::clock::{Clock, Ids};
use usher::journal::{EventFilter, Journal, MIGRATOR};
use uuid::Uuid;

use crate::support::app::{TestApp, config};
use crate::support::database::TestDatabase;
use crate::support::eventually;
use crate::support::konnect::{RULES, TestKonnect};
use crate::support::process::{Installation, settings};
use crate::support::stage::{
    APP, APPROVED, KEVIN, REGISTRATION, Stage, all_are, chain, developer, fault, join_partners,
    quick,
};
use crate::support::visitor::Visitor;

const SOON: Duration = Duration::from_secs(40);

fn ada() -> Person {
    Person::new("ada", Some("a partner, by phone")).unwrap()
}

fn park() -> DeedSpec {
    DeedSpec::Park {
        reason: "look first".to_owned(),
    }
}

async fn state(queue: &Queue, id: Uuid) -> ActionState {
    queue.detail(id).await.unwrap().unwrap().action.state
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_is_parked_goes_on_or_is_called_off_with_what_follows(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let join = DeedSpec::AddToTeam {
        team: TeamRef::Name("Strangers".to_owned()),
        create: false,
    };
    let ids = stage
        .enqueue(&chain(vec![join, DeedSpec::ApproveDeveloper]))
        .await;
    let [first, second] = [ids[0].id(), ids[1].id()];
    let parked =
        |states: &BTreeMap<String, ActionState>| states["add_to_team"] == ActionState::Parked;
    stage.work_until(quick(), parked).await;
    let ask = async |id, verb| stage.queue.intervene(id, verb, &ada()).await.unwrap();
    for verb in [Verb::Approve, Verb::Reject, Verb::Retry] {
        let refused = ask(second, verb).await;
        assert_eq!(
            refused,
            Intervened::WrongState(ActionState::Planned),
            "{verb}"
        );
    }
    assert_eq!(
        ask(Uuid::from_u128(9), Verb::Approve).await,
        Intervened::Unknown
    );
    assert_eq!(ask(first, Verb::Approve).await, Intervened::Done(first));
    stage.work_until(quick(), parked).await;
    assert_eq!(stage.action("add_to_team").await.attempts, 2);

    assert_eq!(ask(first, Verb::Cancel).await, Intervened::Done(first));
    let again = ask(first, Verb::Cancel).await;
    assert_eq!(again, Intervened::WrongState(ActionState::Cancelled));
    let states = stage.states().await;
    assert!(all_are(ActionState::Cancelled)(&states), "{states:?}");
    assert!(stage.writes().is_empty());
    assert_eq!(ask(second, Verb::Retry).await, Intervened::Blocked);

    let detail = stage.queue.detail(first).await.unwrap().unwrap();
    let reason = detail.action.reason.as_deref();
    assert_eq!(reason, Some("called off by hand: a partner, by phone"));
    let by_hand: Vec<(&str, &str)> = detail
        .by_hand
        .iter()
        .map(|done| (done.verb.as_str(), done.by.as_str()))
        .collect();
    assert_eq!(by_hand, [("approve", "ada"), ("cancel", "ada")]);
    assert_eq!(detail.history.len(), 2);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn whom_a_rule_parked_is_approved_or_rejected(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let of_registration = NewChain {
        rule: "second-look".to_owned(),
        signal: "registration.requested".to_owned(),
        signal_key: REGISTRATION.to_string(),
        steps: vec![NewStep {
            deed: park(),
            target: Target::Registration {
                id: REGISTRATION,
                application_id: APP,
            },
            owned_by: None,
        }],
        ..chain(vec![])
    };
    let ids = [
        stage.enqueue(&chain(vec![park()])).await[0].id(),
        stage.enqueue(&of_registration).await[0].id(),
    ];
    stage
        .work_until(quick(), all_are(ActionState::Parked))
        .await;
    for (id, verb) in ids.into_iter().zip([Verb::Approve, Verb::Reject]) {
        let done = stage.queue.intervene(id, verb, &ada()).await.unwrap();
        let Intervened::Done(successor) = done else {
            panic!("{done:?}");
        };
        assert_ne!(successor, id);
        assert_eq!(state(&stage.queue, id).await, ActionState::Done);
        let detail = stage.queue.detail(id).await.unwrap().unwrap();
        assert_eq!(detail.by_hand[0].successor, Some(successor));
    }
    stage.work_until(quick(), all_are(ActionState::Done)).await;
    let mut writes = stage.writes();
    writes.sort();
    assert_eq!(writes.len(), 2, "{writes:?}");
    assert!(writes.contains(&APPROVED.to_owned()), "{writes:?}");
    assert_eq!(stage.status().await, "approved");
    let approved = stage.action("approve_developer").await;
    assert_eq!(approved.causes, [Uuid::from_u128(1)]);
    assert_eq!(
        stage.action("reject_registration").await.rule,
        "second-look"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_failed_is_decided_again_with_what_followed_it(pool: PgPool) {
    let stage = Stage::new(pool).await;
    stage.emulator.set_faults([Fault {
        status: Some(400),
        times: Some(1),
        ..fault("PATCH", "")
    }]);
    let ids = stage
        .enqueue(&chain(vec![DeedSpec::ApproveDeveloper, join_partners()]))
        .await;
    let ended = |states: &BTreeMap<String, ActionState>| {
        states["approve_developer"] == ActionState::Failed
            && states["add_to_team"] == ActionState::Cancelled
    };
    stage.work_until(quick(), ended).await;
    let failed = ids[0].id();
    let ask = async || {
        stage
            .queue
            .intervene(failed, Verb::Retry, &ada())
            .await
            .unwrap()
    };
    let Intervened::Done(made) = ask().await else {
        panic!("it is not taken up again");
    };
    assert_eq!(ask().await, Intervened::Taken);
    let stop = CancellationToken::new();
    let worker = stage.worker(quick());
    let watch = async {
        eventually("they are in the team", SOON, async || {
            stage.is_partner(KEVIN).await
        })
        .await;
        stop.cancel();
    };
    tokio::join!(worker.run(stop.clone()), watch);
    assert_eq!(stage.status().await, "approved");
    assert_eq!(state(&stage.queue, made).await, ActionState::Done);
    assert_eq!(state(&stage.queue, failed).await, ActionState::Failed);
    assert_eq!(
        stage.actions().await.len(),
        4,
        "the failure stays on record"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_a_rule_planned_is_called_off_with_it_but_not_what_a_person_let_through(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let mut ids = BTreeMap::new();
    for (number, rule) in [
        "live",
        "elsewhere",
        "dead",
        "parked",
        "let-through",
        "tried",
        "crashed",
        "in-hand",
        "written",
    ]
    .into_iter()
    .enumerate()
    {
        let mut one = chain(vec![DeedSpec::ApproveDeveloper, join_partners()]);
        rule.clone_into(&mut one.rule);
        for step in &mut one.steps {
            step.target = Target::Developer {
                id: Uuid::from_u128(0xb000 + u128::try_from(number).unwrap()),
            };
        }
        ids.insert(rule, stage.enqueue(&one).await[0].id());
    }
    let set = async |id: Uuid, what: &str| {
        sqlx::query(&format!("UPDATE actions SET {what} WHERE id = $1"))
            .bind(id)
            .execute(stage.journal.pool())
            .await
            .unwrap();
    };
    set(ids["parked"], "state = 'parked', started_at = now()").await;
    set(ids["let-through"], "state = 'parked'").await;
    let tried = "started_at = now(), attempts = 2, next_attempt_at = now() + interval '1 h'";
    set(ids["tried"], tried).await;
    let crashed = "state = 'running', lease = id, leased_until = now() - interval '1 s'";
    set(ids["crashed"], crashed).await;
    let in_hand = "state = 'running', lease = id, leased_until = now() + interval '1 h'";
    set(ids["in-hand"], in_hand).await;
    set(ids["written"], "started_at = now(), write_sent_at = now()").await;
    let approved = stage
        .queue
        .intervene(ids["let-through"], Verb::Approve, &ada())
        .await;
    assert_eq!(approved.unwrap(), Intervened::Done(ids["let-through"]));

    let live = |name: &str, portal_id| LiveRule {
        name: name.to_owned(),
        portal_id,
    };
    let live = [
        live("live", None),
        live("elsewhere", Some(APP)),
        live("elsewhere", Some(KEVIN)),
    ];
    let holder = stage.queue.rule_holder();
    holder.hold(&live, None).await.unwrap();
    let begin = CallOff {
        live: &live,
        dropped: &[],
        begins: true,
        inherits: false,
    };
    // Both deeds of four rules, and what follows what was written, parked, let through or is in hand.
    let found = holder.call_off(begin).await.unwrap();
    assert_eq!(
        (found.count, found.in_hand, found.unsure),
        (12, true, false)
    );
    let found = holder.call_off(begin).await.unwrap();
    assert_eq!((found.count, found.in_hand), (0, true));
    set(
        ids["in-hand"],
        "state = 'planned', lease = NULL, leased_until = NULL",
    )
    .await;
    let found = holder.call_off(begin).await.unwrap();
    assert_eq!((found.count, found.in_hand), (1, false));
    for (rule, wanted) in [
        ("live", ActionState::Planned),
        ("elsewhere", ActionState::Cancelled),
        ("dead", ActionState::Cancelled),
        ("parked", ActionState::Parked),
        ("let-through", ActionState::Planned),
        ("tried", ActionState::Cancelled),
        ("crashed", ActionState::Cancelled),
        ("in-hand", ActionState::Cancelled),
        ("written", ActionState::Planned),
    ] {
        assert_eq!(state(&stage.queue, ids[rule]).await, wanted, "{rule}");
    }
    let filter = EventFilter {
        name: Some("action.cancelled".to_owned()),
        ..EventFilter::default()
    };
    let told = stage.journal.search(&filter, None, 100).await.unwrap();
    assert_eq!(told.len(), 13);
    let event: Value = serde_json::from_slice(&told[0].raw).unwrap();
    assert_eq!(event["data"]["reason"], "the rule is no longer live");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_pause_holds_every_instance_in_the_middle_of_a_burst(pool: PgPool) {
    const PEOPLE: u128 = 120;
    let stage = Stage::new(pool).await;
    let people: Vec<Uuid> = (0..PEOPLE).map(|n| Uuid::from_u128(0xb000 + n)).collect();
    let seeds = people
        .iter()
        .enumerate()
        .map(|(n, id)| developer(*id, &format!("p{n}@arsenal.com"), "pending"));
    let seed = json!({ "developers": seeds.collect::<Vec<Value>>() });
    stage.emulator.seed(&seed).unwrap();
    // Another instance shares nothing but the database.
    let other = Queue::new(
        Journal::from_pool(stage.journal.pool().clone()),
        Clock::system(),
        Ids::new(Clock::system()),
    );
    for id in &people {
        let mut one = chain(vec![DeedSpec::ApproveDeveloper]);
        one.signal_key = id.to_string();
        one.steps[0].target = Target::Developer { id: *id };
        stage.enqueue(&one).await;
    }
    let in_state = async |state: &'static str| -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM actions WHERE state = $1")
            .bind(state)
            .fetch_one(stage.journal.pool())
            .await
            .unwrap()
    };
    let stop = CancellationToken::new();
    let workers = [
        stage.worker(quick()),
        Worker::new(
            other.clone(),
            stage.directory.clone(),
            stage.client.clone(),
            quick(),
        ),
    ];
    let watch = async {
        eventually("some are done", SOON, async || in_state("done").await >= 5).await;
        let (paused, is_new) = stage.queue.pause_all(&ada()).await.unwrap();
        assert!(is_new && paused.by == "ada", "{paused:?}");
        let (same, is_new) = other
            .pause_all(&Person::new("bob", None).unwrap())
            .await
            .unwrap();
        assert_eq!((same, is_new), (paused.clone(), false));
        eventually("what was in hand is finished", SOON, async || {
            in_state("running").await == 0
        })
        .await;
        let done = in_state("done").await;
        assert!(
            done < i64::try_from(PEOPLE).unwrap(),
            "paused too late to tell: {done}"
        );
        // Several polls of both instances.
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(in_state("done").await, done);
        assert_eq!(other.resume_all(&ada()).await.unwrap(), Some(paused));
        assert_eq!(other.paused().await.unwrap(), None);
        eventually("all are done", SOON, async || {
            in_state("done").await == i64::try_from(PEOPLE).unwrap()
        })
        .await;
        stop.cancel();
    };
    tokio::join!(
        workers[0].run(stop.clone()),
        workers[1].run(stop.clone()),
        watch
    );
    assert_eq!(stage.queue.resume_all(&ada()).await.unwrap(), None);
}

/// A database with `count` parked joinings of a team, and one that another rule planned.
async fn parked(count: u128) -> (TestDatabase, Queue) {
    let database = TestDatabase::create().await;
    let journal = Journal::open(&database.url()).unwrap();
    journal.migrate().await.unwrap();
    let clock = Clock::system();
    let queue = Queue::new(journal.clone(), clock.clone(), Ids::new(clock));
    let mut tx = journal.pool().begin().await.unwrap();
    for number in 0..=count {
        let mut one = chain(vec![DeedSpec::ApproveDeveloper]);
        one.signal_key = number.to_string();
        let id = Uuid::from_u128(0xb000 + number);
        one.steps[0].target = Target::Developer { id };
        if number == count {
            "another".clone_into(&mut one.rule);
        }
        queue.enqueue(&mut tx, &one).await.unwrap();
    }
    sqlx::query("UPDATE actions SET state = 'parked' WHERE rule <> 'another'")
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    (database, queue)
}

#[tokio::test]
async fn ids_in_tables_are_whole_whatever_they_are_of() {
    let (database, queue) = parked(0).await;
    let target = Target::Registration {
        id: REGISTRATION,
        application_id: APP,
    };
    let mut one = chain(vec![DeedSpec::ApproveRegistration]);
    one.steps[0].target = target;
    let journal = Journal::open(&database.url()).unwrap();
    let mut tx = journal.pool().begin().await.unwrap();
    let id = queue.enqueue(&mut tx, &one).await.unwrap()[0].id();
    tx.commit().await.unwrap();
    journal.close().await;
    let usher = Installation::new(&settings(&database, "http://127.0.0.1:9"));
    let listed = usher.run(&["actions"]).await;
    for whole in [id.to_string(), format!(" registration {REGISTRATION} ")] {
        assert!(listed.out.contains(&whole), "{listed:?}");
    }
    drop(queue);
    database.drop().await;
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one installation, from the first step to the last"
)]
async fn commands_list_show_and_act_and_never_on_many_by_accident() {
    let (database, queue) = parked(4).await;
    let usher = Installation::new(&settings(&database, "http://127.0.0.1:9"));
    let parked = usher
        .run(&["actions", "list", "--state", "parked", "--json"])
        .await
        .lines(0);
    assert_eq!(parked.len(), 4);
    assert_eq!(usher.run(&["actions", "--json"]).await.lines(0).len(), 5);
    let all = queue
        .list(&usher::act::ActionFilter::default(), None, 10)
        .await
        .unwrap();
    let of_rule: Vec<_> = all.iter().filter(|one| one.rule != "another").collect();
    let expected = serde_json::to_value(of_rule).unwrap();
    assert_eq!(json!(parked), expected, "as the API has them");
    let ids: Vec<&str> = parked
        .iter()
        .map(|row| row["id"].as_str().unwrap())
        .collect();

    // By filter, without --yes: nothing but a list.
    for bulk in [
        ["actions", "approve", "--rule", "partner-clubs", "--json"].as_slice(),
        &[
            "actions",
            "approve",
            "--state",
            "parked",
            "--yes",
            "--dry-run",
            "--json",
        ],
    ] {
        let ran = usher.run(bulk).await;
        assert_eq!(ran.lines(3), parked);
        assert!(
            ran.err.contains("4 actions, left as they are: add --yes"),
            "{ran:?}"
        );
    }
    // One by its id, without more ado.
    let by_ada = [
        "actions",
        "reject",
        ids[0],
        "--by",
        "ada",
        "--reason",
        "not a partner",
    ];
    let ran = usher.run(&by_ada).await;
    assert_eq!((ran.code, ran.err.as_str()), (Some(0), ""), "{ran:?}");
    let again = usher.run(&by_ada).await;
    assert_eq!(again.code, Some(1), "{again:?}");
    assert!(
        again
            .err
            .contains("the action is cancelled, and reject is for one that is parked"),
        "{again:?}"
    );
    let shown = usher
        .run(&["actions", "show", ids[0], "--json"])
        .await
        .lines(0);
    assert_eq!(shown[0]["state"], "cancelled");
    assert_eq!(shown[0]["by_hand"][0]["by"], "ada");
    assert_eq!(shown[0]["by_hand"][0]["reason"], "not a partner");
    let shown = usher.run(&["actions", "show", ids[0]]).await;
    assert!(
        shown.out.contains("reject by ada: not a partner"),
        "{shown:?}"
    );
    // A filter that matches one does it; who did it is the user of the system.
    let target = parked[1]["target"]["id"].as_str().unwrap();
    let ran = usher
        .run(&["actions", "approve", "--target", target, "--json"])
        .await;
    assert_eq!(ran.lines(0)[0]["state"], "planned");
    assert!(
        !ran.lines(0)[0]["by_hand"][0]["by"]
            .as_str()
            .unwrap()
            .is_empty()
    );
    // The rest by --yes; the planned one of the other rule is not meant.
    let ran = usher
        .run(&["actions", "approve", "--state", "parked", "--yes"])
        .await;
    assert_eq!((ran.code, ran.out.lines().count()), (Some(0), 2), "{ran:?}");
    let ran = usher
        .run(&["actions", "approve", "--state", "parked"])
        .await;
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (Some(0), "no action matches\n"),
        "{ran:?}"
    );
    let ran = usher
        .run(&["actions", "cancel", "--rule", "another", "--json"])
        .await;
    assert_eq!(ran.lines(0)[0]["state"], "cancelled");
    let ran = usher.run(&["actions", "retry", ids[0], "--json"]).await;
    let made = ran.lines(0);
    assert_eq!(made[0]["state"], "planned");
    assert_ne!(made[0]["id"], ids[0]);
    let table = usher.run(&["actions", "--limit", "2"]).await;
    assert!(table.out.starts_with("ID "), "{table:?}");
    assert_eq!(table.out.lines().count(), 3, "{table:?}");
    queue
        .list(&usher::act::ActionFilter::default(), None, 1)
        .await
        .unwrap();
    database.drop().await;
}

#[tokio::test]
#[expect(
    clippy::too_many_lines,
    reason = "one installation, from the first step to the last"
)]
async fn operators_act_over_http_and_readers_do_not() {
    let (database, queue) = parked(3).await;
    // Those of one millisecond come in no order: the planned one may be anywhere among them.
    let only_parked = ActionFilter {
        state: Some(ActionState::Parked),
        ..ActionFilter::default()
    };
    let ids: Vec<Uuid> = queue
        .list(&only_parked, None, 10)
        .await
        .unwrap()
        .iter()
        .map(|action| action.id)
        .collect();
    let mut config = config("http://127.0.0.1:9");
    let mut reader = config.console.tokens[0].clone();
    reader.name = "analyst".to_owned();
    reader.role = usher::config::Role::Reader;
    reader.token = usher::config::Secret::new("reader-token".to_owned());
    config.console.tokens.push(reader);
    let app = TestApp::start_on(config, database).await;
    let post = async |token: &str, path: &str, body: Value| -> (StatusCode, Value) {
        let request = app.http.post(format!("{}/api/v1/actions/{path}", app.url));
        let request = if body.is_null() {
            request
        } else {
            request.json(&body)
        };
        let answer = request.bearer_auth(token).send().await.unwrap();
        (answer.status(), answer.json().await.unwrap())
    };
    for deed in DeedSpec::NAMES {
        let (status, _) = app.get(&format!("/api/v1/actions?deed={deed}")).await;
        assert_eq!(status, StatusCode::OK, "{deed}");
    }
    let (status, _) = app.get("/api/v1/actions?deed=dance").await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let operator = "console-token";
    let one = |verb: &str| format!("{}/{verb}", ids[0]);
    for path in [
        one("approve"),
        one("reject"),
        "pause".to_owned(),
        "resume".to_owned(),
    ] {
        let (status, problem) = post("reader-token", &path, Value::Null).await;
        assert_eq!(
            (status.as_u16(), &problem["status"]),
            (403, &json!(403)),
            "{path}"
        );
        assert_eq!(post("nobody", &path, Value::Null).await.0, 401, "{path}");
    }
    let (status, body) = app.get(&format!("/api/v1/actions/{}", ids[0])).await;
    assert_eq!(
        (status.as_u16(), &body["data"]["state"]),
        (200, &json!("parked"))
    );
    assert_eq!(body["data"]["by_hand"], json!([]));

    let (status, done) = post(operator, &one("approve"), json!({ "reason": "known" })).await;
    assert_eq!(status, 200, "{done}");
    assert_eq!(done["data"]["state"], "planned");
    assert_eq!(done["data"]["by_hand"][0]["by"], "test");
    assert_eq!(done["data"]["by_hand"][0]["reason"], "known");
    for (path, body, status) in [
        (one("approve"), Value::Null, 409),
        (one("retry"), Value::Null, 409),
        (one("dance"), Value::Null, 404),
        ("x/approve".to_owned(), Value::Null, 400),
        (format!("{}/approve", Uuid::from_u128(7)), Value::Null, 404),
        (format!("{}/reject", ids[1]), json!({ "why": "?" }), 400),
        (
            format!("{}/reject", ids[1]),
            json!({ "reason": "a\nb" }),
            400,
        ),
        (format!("{}/reject", ids[1]), Value::Null, 200),
        (format!("{}/cancel", ids[2]), Value::Null, 200),
        (format!("{}/retry", ids[2]), Value::Null, 200),
    ] {
        assert_eq!(post(operator, &path, body).await.0, status, "{path}");
    }
    let (_, paused) = post(operator, "pause", json!({ "reason": "a storm" })).await;
    assert_eq!(paused["data"]["paused"], true);
    assert_eq!(
        (&paused["data"]["by"], &paused["data"]["reason"]),
        (&json!("test"), &json!("a storm"))
    );
    assert_eq!(app.get("/api/v1/actions/pause").await.1, paused);
    assert_eq!(
        post(operator, "pause", Value::Null).await.1,
        paused,
        "it stays as it is"
    );
    let (_, resumed) = post(operator, "resume", Value::Null).await;
    assert_eq!(resumed["data"]["paused"], false);
    assert_eq!(app.get("/api/v1/actions/pause").await.1, resumed);
    app.finish().await;
}

#[tokio::test]
async fn a_pause_is_shown_outlives_a_restart_and_ends() {
    let konnect = TestKonnect::start().await;
    let database = TestDatabase::create().await;
    let mut settings = settings(&database, &konnect.url);
    settings["konnect"]["token"] = json!(konnect.emulator.token());
    settings["observe"] = json!({ "pending_every": "1s" });
    settings["rules"] = json!({ "path": "rules.yaml" });
    let mut usher = Installation::new(&settings);
    usher.write("rules.yaml", RULES);
    let process = usher.start().await;
    let pause = [
        "actions", "pause", "--by", "ada", "--reason", "a storm", "--json",
    ];
    let paused = usher.run(&pause).await.lines(0);
    assert_eq!(
        (&paused[0]["paused"], &paused[0]["by"]),
        (&json!(true), &json!("ada"))
    );
    let person = Visitor::sign_up(&konnect, "saka@arsenal.com", "Bukayo").await;
    let planned = async || {
        let rows = usher
            .run(&["actions", "--state", "planned", "--json"])
            .await;
        rows.lines(0).len() == 2
    };
    eventually("what to do is decided", SOON, planned).await;
    process.kill().await;
    let process = usher.start().await;
    eventually("readiness tells of it", SOON, async || {
        let parts = process.readyz().await;
        let actions = &parts["parts"]["actions"];
        let detail = actions["detail"].as_str().unwrap_or_default();
        parts["status"] == "degraded"
            && actions["status"] == "degraded"
            && detail.starts_with("paused by ada since 20")
    })
    .await;
    assert!(
        process
            .metrics()
            .await
            .contains("usher_actions_paused_by_hand 1")
    );
    let listed = usher.run(&["actions"]).await;
    assert!(listed.err.contains("paused by ada since"), "{listed:?}");
    assert!(listed.err.contains(": a storm"), "{listed:?}");
    assert_eq!(konnect.developer(&person.email).await.1, "pending");
    assert!(konnect.writes().is_empty());

    assert_eq!(usher.run(&["actions", "resume"]).await.code, Some(0));
    eventually("they are let in", SOON, async || {
        konnect.developer(&person.email).await.1 == "approved"
    })
    .await;
    eventually("readiness is well again", SOON, async || {
        process.parts().await["actions"]["status"] == "ok"
    })
    .await;
    process.kill().await;
    database.drop().await;
}

#[tokio::test]
async fn a_pipeline_does_not_wait_for_a_pause_to_end() {
    let konnect = TestKonnect::start().await;
    let person = Visitor::sign_up(&konnect, "saka@arsenal.com", "Bukayo").await;
    let database = TestDatabase::create().await;
    let mut settings = settings(&database, &konnect.url);
    settings["konnect"]["token"] = json!(konnect.emulator.token());
    settings["rules"] = json!({ "path": "rules.yaml" });
    let usher = Installation::new(&settings);
    usher.write("rules.yaml", RULES);
    assert_eq!(usher.run(&["migrate"]).await.code, Some(0));
    let pause = ["actions", "pause", "--by", "ada"];
    assert_eq!(usher.run(&pause).await.code, Some(0));
    let ran = usher.run(&["reconcile"]).await;
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("ada paused all actions"), "{ran:?}");
    assert_eq!(konnect.developer(&person.email).await.1, "pending");
    assert_eq!(usher.run(&["actions", "resume"]).await.code, Some(0));
    let ran = usher.run(&["reconcile"]).await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(konnect.developer(&person.email).await.1, "approved");
    database.drop().await;
}
