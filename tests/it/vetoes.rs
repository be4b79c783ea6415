//! A person's no to a deed that gives something outlasts the log, the names of rules and every
//! later signal; one to a deed that takes something holds for its signal alone.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use konnect::PortalId;
use serde_json::{Value, json};
use sqlx::PgPool;
use usher::act::{
    Action, ActionState, Enqueued, Intervened, NewChain, Person, Queue, Target, Verb,
};
use usher::clock::{Clock, Ids};
use usher::journal::{Journal, MIGRATOR};
use usher::react::explain;
use usher::rules::Deed;
use uuid::Uuid;

use crate::support::database::TestDatabase;
use crate::support::process::{CONSOLE_TOKEN, Installation, settings};
use crate::support::scene::{Scene, eventually, load};
use crate::support::stage::{
    KEVIN, PORTAL, Stage, all_are, chain, developer, join_partners, quick,
};

const TONY: Uuid = Uuid::from_u128(0xb9);

const RULES: &str = r#"
version: 1
rules:
  - name: partners
    on: developer.signed_up
    when: developer.status == "pending"
    then: [approve_developer, {add_to_team: Partners}]
"#;

fn ada() -> Person {
    Person::new("ada", Some("no partner")).unwrap()
}

async fn decide(scene: &Scene) {
    let reactor = scene.reactor();
    let decided = reactor.decide_pending_in(PortalId(PORTAL));
    Box::pin(decided).await.unwrap();
}

async fn planned(stage: &Stage) -> Vec<Action> {
    let mut actions = stage.actions().await;
    actions.retain(|action| action.state == ActionState::Planned);
    actions
}

/// Somebody who waits, and whose approval a person called off.
async fn called_off(pool: PgPool) -> (Scene, Uuid) {
    let scene = Scene::new(pool, RULES).await;
    scene.look().await;
    decide(&scene).await;
    let approval = scene.stage.action("approve_developer").await.id;
    let person = ada();
    let done = scene.stage.queue.intervene(approval, Verb::Cancel, &person);
    assert_eq!(done.await.unwrap(), Intervened::Done(approval));
    (scene, approval)
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_no_outlasts_the_log_and_the_name_of_the_rule_until_it_is_lifted(pool: PgPool) {
    let (scene, approval) = called_off(pool).await;
    let stage = &scene.stage;
    sqlx::query("DELETE FROM actions")
        .execute(stage.journal.pool())
        .await
        .unwrap();
    scene
        .rules
        .send_replace(load(&RULES.replace("partners", "friends")));
    decide(&scene).await;
    assert_eq!(stage.actions().await, []);

    let vetoes = stage.queue.vetoes(None, 10).await.unwrap();
    let [veto] = &vetoes[..] else {
        panic!("{vetoes:?}")
    };
    assert_eq!(veto.target, Target::Developer { id: KEVIN });
    assert_eq!(
        (veto.deed.as_str(), veto.action),
        ("approve_developer", approval)
    );
    assert_eq!(
        (veto.by.as_str(), veto.reason.as_deref()),
        ("ada", Some("no partner"))
    );

    let lifted = stage.queue.lift_veto(veto.id, &ada()).await.unwrap();
    assert_eq!(lifted.as_ref(), Some(veto));
    let why: Option<String> = sqlx::query_scalar("SELECT lift_reason FROM vetoes")
        .fetch_one(stage.journal.pool())
        .await
        .unwrap();
    assert_eq!(why, ada().reason);
    assert_eq!(stage.queue.lift_veto(veto.id, &ada()).await.unwrap(), None);
    decide(&scene).await;
    assert_eq!(planned(stage).await.len(), 2);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn lifting_takes_back_the_no_of_the_action_too(pool: PgPool) {
    let (scene, _) = called_off(pool).await;
    decide(&scene).await;
    assert_eq!(planned(&scene.stage).await, []);
    let vetoes = scene.stage.queue.vetoes(None, 10).await.unwrap();
    scene
        .stage
        .queue
        .lift_veto(vetoes[0].id, &ada())
        .await
        .unwrap();
    decide(&scene).await;
    assert_eq!(planned(&scene.stage).await.len(), 2);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn whoever_waits_is_let_in_soon_after_it_is_lifted_wherever(pool: PgPool) {
    let (scene, _) = called_off(pool).await;
    let other = Queue::new(
        scene.stage.journal.clone(),
        scene.stage.clock.clone(),
        Ids::new(scene.stage.clock.clone()),
    );
    let seed = json!({ "developers": [developer(TONY, "tony@arsenal.com", "pending")] });
    scene.stage.emulator.seed(&seed).unwrap();
    scene.look().await;
    scene
        .during(async {
            // Whoever waits was decided about once that is so.
            let others = async || scene.stage.is_partner(TONY).await;
            eventually("the others are let in", others).await;
            scene.settled().await;
            let vetoes = other.vetoes(None, 10).await.unwrap();
            other.lift_veto(vetoes[0].id, &ada()).await.unwrap();
            let is_in = async || scene.stage.status().await == "approved";
            eventually("they are let in", is_in).await;
        })
        .await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn another_try_takes_the_no_back(pool: PgPool) {
    let (scene, approval) = called_off(pool).await;
    let tried = scene
        .stage
        .queue
        .intervene(approval, Verb::Retry, &ada())
        .await;
    assert!(matches!(tried.unwrap(), Intervened::Done(_)));
    assert_eq!(scene.stage.queue.vetoes(None, 10).await.unwrap(), []);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn calling_off_a_false_leaver_does_not_keep_the_real_one(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let leaving = |signal: &str| NewChain {
        signal: "custom.hr.left".to_owned(),
        signal_key: signal.to_owned(),
        ..chain(vec![Deed::RevokeDeveloper])
    };
    let january = stage.enqueue(&leaving("hr january")).await[0].id();
    let done = stage.queue.intervene(january, Verb::Cancel, &ada()).await;
    assert_eq!(done.unwrap(), Intervened::Done(january));
    assert_eq!(
        stage.enqueue(&leaving("hr january")).await,
        [Enqueued::Known(january)]
    );
    let june = stage.enqueue(&leaving("hr june")).await;
    assert!(matches!(june[0], Enqueued::New(_)), "{june:?}");
    assert_eq!(stage.queue.vetoes(None, 10).await.unwrap(), []);
}

#[tokio::test]
async fn vetoes_are_listed_and_lifted_by_command_and_api() {
    let database = TestDatabase::create().await;
    let journal = Journal::open(&database.url()).unwrap();
    journal.migrate().await.unwrap();
    let clock = Clock::system();
    let queue = Queue::new(journal.clone(), clock.clone(), Ids::new(clock));
    let mut tx = journal.pool().begin().await.unwrap();
    let wanted = chain(vec![Deed::ApproveDeveloper, join_partners()]);
    let made = queue.enqueue(&mut tx, &[wanted]).await.unwrap();
    tx.commit().await.unwrap();
    // The later one first, or it would go with the other.
    for step in made.iter().rev() {
        let done = queue.intervene(step.id(), Verb::Cancel, &ada()).await;
        assert_eq!(done.unwrap(), Intervened::Done(step.id()));
    }

    let mut installation = Installation::new(&settings(&database, "http://127.0.0.1:9"));
    let listed = installation
        .run(&["actions", "vetoes", "--json"])
        .await
        .lines(0);
    let deeds: Vec<&str> = listed
        .iter()
        .map(|row| row["deed"].as_str().unwrap())
        .collect();
    assert_eq!(deeds, ["approve_developer", "add_to_team"]);
    assert_eq!(listed[1]["team"], "name:Partners");
    let text = installation.run(&["actions", "vetoes"]).await.out;
    assert!(
        text.contains("add_to_team name:Partners") && text.contains("no partner"),
        "{text}"
    );

    let usher = installation.start().await;
    assert_eq!(usher.rows("/api/v1/vetoes").await, listed);
    assert_eq!(usher.rows("/api/v1/vetoes?limit=1").await, listed[..1]);
    let lift = async |id: &str, token: &str| {
        let url = format!("{}/api/v1/vetoes/{id}/lift", usher.url);
        let answer = usher
            .http
            .post(url)
            .bearer_auth(token)
            .send()
            .await
            .unwrap();
        (
            answer.status().as_u16(),
            answer.json::<Value>().await.unwrap(),
        )
    };
    let id = listed[0]["id"].as_str().unwrap();
    assert_eq!(lift(id, "nobody").await.0, 401);
    let (status, taken_back) = lift(id, CONSOLE_TOKEN).await;
    assert_eq!((status, &taken_back["data"]), (200, &listed[0]));
    assert_eq!(lift(id, CONSOLE_TOKEN).await.0, 404);
    assert_eq!(lift("x", CONSOLE_TOKEN).await.0, 400);

    let other = listed[1]["id"].as_str().unwrap();
    let ran = installation
        .run(&["actions", "vetoes", "lift", other, "--by", "bob"])
        .await;
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let by: Vec<String> = sqlx::query_scalar("SELECT lifted_by FROM vetoes ORDER BY lifted_at")
        .fetch_all(journal.pool())
        .await
        .unwrap();
    assert_eq!(by, ["test", "bob"]);
    let ran = installation
        .run(&["actions", "vetoes", "lift", other])
        .await;
    assert_eq!(ran.code, Some(1));
    assert!(
        ran.err.contains(&format!("no veto {other} is in force")),
        "{ran:?}"
    );
    assert_eq!(json!(usher.rows("/api/v1/vetoes").await), json!([]));
    usher.kill().await;
    journal.close().await;
    database.drop().await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_comes_after_a_deed_that_somebody_said_no_to_is_explained_as_not_reached(
    pool: PgPool,
) {
    let (scene, _) = called_off(pool).await;
    let stage = &scene.stage;
    let rooms = (&stage.journal, &stage.directory, &stage.queue);
    let whom = (PortalId(PORTAL), KEVIN.into());
    let rules = load(RULES);
    let explained = explain(rooms, &rules, whom, stage.clock.now());
    let explained = Box::pin(explained).await.unwrap().unwrap();
    let [approve, join] = &explained.signals[0].rules[0].deeds[..] else {
        panic!("{explained:?}")
    };
    assert!(approve.but[0].starts_with("ada said no at "), "{approve:?}");
    let not_reached = "it is not reached: approve_developer stands before it";
    assert_eq!(join.but, [not_reached]);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_no_that_is_said_while_a_deed_is_written_down_holds_for_what_is_answered_once(
    pool: PgPool,
) {
    let stage = Stage::new(pool).await;
    let hired = NewChain {
        signal: "custom.hired".to_owned(),
        ..chain(vec![Deed::ApproveDeveloper])
    };
    let planned = stage.enqueue(&hired).await[0].id();
    // Whoever wrote the deed down did not see it yet.
    let said = "INSERT INTO vetoes (id, portal_id, target_kind, target_id, deed, deed_key, by_whom, action)
        VALUES ($1, $2, 'developer', $3, 'approve_developer', 'approve_developer', 'ada', $1)";
    sqlx::query(said)
        .bind(planned)
        .bind(PORTAL)
        .bind(KEVIN)
        .execute(stage.journal.pool())
        .await
        .unwrap();
    let states = stage
        .work_until(quick(), all_are(ActionState::Cancelled))
        .await;
    assert_eq!(states.len(), 1);
    assert!(stage.writes().is_empty());
}
