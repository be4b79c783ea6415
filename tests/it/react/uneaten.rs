//! Nothing is eaten: whoever reads what is told leaves it to everybody who has rules for it, and
//! what comes while somebody decides is decided about.

use std::time::Duration;

use konnect_emulator::Fault;
use serde_json::json;
use sqlx::PgPool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use usher::act::{ActionState, Person};
use usher::event::Verdict;
use usher::journal::{MIGRATOR, ReaderName};
use usher::react::{Reactor, Settings};
use usher::rules::{Deed, RuleSet};
use uuid::Uuid;

use crate::support::konnect::RULES;
use crate::support::owed_batches;
use crate::support::scene::{Scene, eventually, load, login, set_by_hand};
use crate::support::stage::{
    FIXTURES, KEVIN, PARTNERS, PORTAL, REGISTRATION, chain, developer, fault, quick,
};

const GREET: &str = r"
version: 1
rules:
  - name: greet
    on: developer.authenticated
    then: [{add_to_team: Partners}]
";
const WATCH: &str = r"
version: 1
rules:
  - name: watch
    on: application.created
    mode: shadow
    then: [{park: to be seen}]
";

/// Has every action refused that is to be written down.
const REFUSE: &str = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE not_null_violation; END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON actions FOR EACH ROW EXECUTE FUNCTION refuse()";

async fn run(scene: &Scene, statements: &'static str) {
    let done = sqlx::raw_sql(statements).execute(scene.stage.journal.pool());
    done.await.unwrap();
}

/// Another instance, with rules of its own.
fn beside(scene: &Scene, rules: RuleSet, settings: Settings) -> Reactor {
    Reactor::new(
        scene.stage.journal.clone(),
        scene.stage.directory.clone(),
        watch::Sender::new(rules.into()).subscribe(),
        scene.stage.queue.clone(),
        scene.stage.clock.clone(),
        settings,
    )
}

/// Has `reader` alone read that kevin logged in, where another instance listens to that.
async fn kevin_logs_in_before(scene: &Scene, reader: &Reactor) {
    scene.look().await;
    scene.activate().await;
    let greeter = scene.reactor();
    greeter.call_off(&CancellationToken::new()).await;
    scene
        .append(vec![login(scene, KEVIN, 0, Verdict::Verified)])
        .await;
    reader.drain().await.unwrap();
    let owed = owed_batches(&scene.stage.journal, ReaderName::React).await;
    assert_eq!(owed, 0, "the other instance has read it");
}

async fn is_greeted(scene: &Scene) {
    let joined = async || scene.stage.is_partner(KEVIN).await;
    scene.during(eventually("kevin is a partner", joined)).await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_instance_without_rules_takes_no_signal_from_one_with_rules(pool: PgPool) {
    let scene = Scene::new(pool, GREET).await;
    let settings = Settings {
        calls_off: false,
        ..Settings::default()
    };
    let without = beside(&scene, RuleSet::empty(), settings);
    kevin_logs_in_before(&scene, &without).await;
    is_greeted(&scene).await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_instance_with_another_file_takes_no_signal_from_this_one(pool: PgPool) {
    let scene = Scene::new(pool, GREET).await;
    let rules = usher::rules::load(WATCH, "rules.yaml").unwrap();
    let other = beside(&scene, rules, Settings::default());
    kevin_logs_in_before(&scene, &other).await;
    is_greeted(&scene).await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_run_for_another_portal_takes_no_signal_from_this_one(pool: PgPool) {
    let scene = Scene::new(pool, GREET).await;
    let settings = Settings {
        portals: Some(vec![Uuid::from_u128(0xa2)]),
        ..Settings::default()
    };
    let rules = usher::rules::load(GREET, "rules.yaml").unwrap();
    let elsewhere = beside(&scene, rules, settings);
    kevin_logs_in_before(&scene, &elsewhere).await;
    assert!(scene.stage.actions().await.is_empty());
    is_greeted(&scene).await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_usher_cannot_write_down_is_judged_when_it_can(pool: PgPool) {
    let scene = Scene::new(pool, GREET).await;
    let pool = scene.stage.journal.pool();
    run(&scene, REFUSE).await;
    scene.look().await;
    scene
        .during(async {
            scene
                .append(vec![login(&scene, KEVIN, 0, Verdict::Verified)])
                .await;
            eventually("it was tried several times", async || {
                let failures = sqlx::query_scalar("SELECT max(failures) FROM work");
                let failures: Option<i32> = failures.fetch_one(pool).await.unwrap();
                failures >= Some(3)
            })
            .await;
            run(&scene, "DROP TRIGGER refuse ON actions").await;
            let joined = async || scene.stage.is_partner(KEVIN).await;
            eventually("kevin is a partner", joined).await;
        })
        .await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn whoever_runs_usher_is_told_what_cannot_be_judged(pool: PgPool) {
    let scene = Scene::new(pool, GREET).await;
    scene.look().await;
    scene.activate().await;
    let reactor = scene.reactor();
    let trouble = reactor.trouble();
    let is_told = async |part: &'static str| {
        let told = async || {
            trouble
                .borrow()
                .worst()
                .is_some_and(|worst| worst.contains(part))
        };
        eventually("it is told", told).await;
    };
    run(&scene, REFUSE).await;
    let stop = CancellationToken::new();
    let play = async {
        scene
            .append(vec![login(&scene, KEVIN, 0, Verdict::Verified)])
            .await;
        is_told("could not be judged and are tried again: 1").await;
        run(&scene, "ALTER TABLE actions RENAME TO hidden").await;
        is_told("a table is not as usher knows it").await;
        run(&scene, "ALTER TABLE hidden RENAME TO actions").await;
        run(&scene, "DROP TRIGGER refuse ON actions").await;
        let is_well = async || trouble.borrow().worst().is_none();
        eventually("all is well again", is_well).await;
        stop.cancel();
    };
    tokio::join!(play, Box::pin(reactor.run(stop.clone())));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_comes_while_a_worker_decides_is_decided_about(pool: PgPool) {
    let scene = Scene::new(pool, RULES).await;
    let stage = &scene.stage;
    set_by_hand(&scene, KEVIN, "approved").await;
    let teams = stage.client.portal(PORTAL.into()).teams();
    let join = || teams.add_member(PARTNERS.into(), KEVIN.into());
    join().await.unwrap();
    let ada = Person::new("ada", None).unwrap();
    stage.queue.pause_all(&ada).await.unwrap();
    let play = async {
        scene.look().await;
        let is_planned = async || !stage.actions().await.is_empty();
        eventually("the registration is to be approved", is_planned).await;
        // What the worker reads first says that he is no member, and it reads on for a while.
        let leave = teams.remove_member(PARTNERS.into(), KEVIN.into());
        leave.await.unwrap();
        let slow = Fault {
            latency_ms: 4000,
            times: Some(1),
            ..fault("GET", &format!("/v3/portals/*/developers/{KEVIN}"))
        };
        stage.emulator.set_faults([slow]);
        stage.queue.resume_all(&ada).await.unwrap();
        let teams_of = format!("/developers/{KEVIN}/teams");
        let is_read = async || {
            let requests = stage.emulator.requests();
            requests.iter().any(|one| one.path.ends_with(&teams_of))
        };
        eventually("his teams are read", is_read).await;
        // Meanwhile he left and came back, as looks show.
        scene.look().await;
        join().await.unwrap();
        scene.look().await;
        let approved = format!("PATCH registrations/{REGISTRATION} 200");
        let is_approved = async || stage.writes().contains(&approved);
        eventually("the registration is approved", is_approved).await;
    };
    scene.during(play).await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_worker_leaves_alone_what_rules_planned_that_it_lacks(pool: PgPool) {
    let scene = Scene::new(pool, WATCH).await;
    let stage = &scene.stage;
    stage.enqueue(&chain(vec![Deed::ApproveDeveloper])).await;
    let worker = stage.worker(quick()).with_rules(scene.rules.subscribe());
    let stop = CancellationToken::new();
    let play = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        stop.cancel();
    };
    tokio::join!(play, worker.run(stop.clone()));
    let action = stage.action("approve_developer").await;
    assert_eq!((action.state, action.attempts), (ActionState::Planned, 0));
    // Whoever has it does it.
    scene.rules.send_replace(load(
        &WATCH
            .replace("watch", "partner-clubs")
            .replace("shadow", "live"),
    ));
    let stop = CancellationToken::new();
    let play = async {
        stage
            .until(|states| states.values().all(|state| *state != ActionState::Planned))
            .await;
        stop.cancel();
    };
    tokio::join!(play, worker.run(stop.clone()));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_changes_about_people_is_looked_at_where_somebody_waits_for_an_answer(pool: PgPool) {
    let scene = Scene::new(pool, RULES).await;
    let [ann, bob] = [Uuid::from_u128(0xb1), Uuid::from_u128(0xb2)];
    let app = Uuid::from_u128(0xd1);
    let seed = json!({
        "developers": [
            developer(ann, "ann@example.org", "approved"),
            developer(bob, "bob@example.org", "approved"),
        ],
        "applications": [{
            "id": app, "portal_id": PORTAL, "name": "table", "owner": { "type": "developer", "id": bob },
        }],
        "registrations": [{
            "id": Uuid::from_u128(0xf1), "application_id": app, "api_id": FIXTURES, "status": "pending",
        }],
    });
    scene.stage.emulator.seed(&seed).unwrap();
    scene.look().await;
    // What is promised is kept within a moment: this remembers it.
    let remember = "
        CREATE TABLE promised (matter text, key text);
        CREATE FUNCTION note_promise() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN INSERT INTO promised VALUES (NEW.matter, NEW.key); RETURN NEW; END $$;
        CREATE TRIGGER note_promise BEFORE INSERT ON work FOR EACH ROW EXECUTE FUNCTION note_promise();";
    let pool = scene.stage.journal.pool();
    sqlx::raw_sql(remember).execute(pool).await.unwrap();
    scene.activate().await;
    let teams = scene.stage.client.portal(PORTAL.into()).teams();
    for member in [ann, bob, KEVIN] {
        teams
            .add_member(PARTNERS.into(), member.into())
            .await
            .unwrap();
    }
    scene
        .during(async {
            scene.look().await;
            scene.settled().await;
        })
        .await;
    let promised = "SELECT DISTINCT key FROM promised WHERE matter = 'developer' ORDER BY key";
    let promised: Vec<String> = sqlx::query_scalar(promised).fetch_all(pool).await.unwrap();
    assert_eq!(
        promised,
        [KEVIN.to_string(), bob.to_string()],
        "ann waits for nothing"
    );
}
