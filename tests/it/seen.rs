//! What the API answers to deeds, in the directory: real Postgres, the emulated Konnect.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use konnect::DeveloperStatus;
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;
use usher::act::{ActionState, Target};
use usher::directory::Scope;
use usher::journal::{EventFilter, MIGRATOR};
use usher::rules::{Deed, TeamRef};
use uuid::Uuid;

use crate::support::stage::{
    APP, KEVIN, PARTNERS, PORTAL, REGISTRATION, Stage, all_are, chain, developer, join_partners,
    quick,
};

/// Names and changes of the events that looks have told, sorted.
async fn told(stage: &Stage) -> Vec<String> {
    let events = stage
        .journal
        .search(&EventFilter::default(), None, 1_000)
        .await
        .unwrap();
    let parsed = events
        .iter()
        .map(|event| serde_json::from_slice::<Value>(&event.raw).unwrap());
    let mut told: Vec<String> = parsed
        .filter(|event| !event["name"].as_str().unwrap().starts_with("action."))
        .map(|event| {
            let to = event["data"]["to_status"].as_str().unwrap_or_default();
            format!("{} {to}", event["name"].as_str().unwrap())
                .trim_end()
                .to_owned()
        })
        .collect();
    told.sort();
    told
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_sweep_that_began_before_a_deed_and_ends_after_it_undoes_nothing(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let first = stage.directory.begin(PORTAL.into()).await.unwrap();
    let read = usher::observe::read(&stage.client, PORTAL.into(), Scope::All)
        .await
        .unwrap();
    stage.directory.store(first, &read).await.unwrap();

    let slow = stage.directory.begin(PORTAL.into()).await.unwrap();
    stage
        .enqueue(&chain(vec![Deed::ApproveDeveloper, join_partners()]))
        .await;
    stage.work_until(quick(), all_are(ActionState::Done)).await;
    // What it has read is as old as it is.
    let stored = stage.directory.store(slow, &read).await.unwrap();
    assert_eq!(stored.differences, 0);

    let (portal, person) = (PORTAL.into(), KEVIN.into());
    let known = stage.directory.developer(portal, person).await.unwrap();
    assert_eq!(known.unwrap().developer.status, DeveloperStatus::Approved);
    let teams = stage.directory.teams_of(portal, person).await.unwrap();
    assert_eq!(teams.len(), 1);
    assert_eq!(
        told(&stage).await,
        [
            "developer.signed_up pending",
            "developer.status_changed approved",
            "membership.changed",
            "registration.requested pending",
        ]
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_a_human_decided_meanwhile_is_known_at_once_and_so_is_a_registration(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let developers = stage.client.portal(PORTAL.into()).developers();
    let rejected = developers.set_status(KEVIN.into(), &DeveloperStatus::Rejected);
    rejected.await.unwrap();
    let mut answer = chain(vec![Deed::ApproveRegistration]);
    answer.steps[0].target = Target::Registration {
        id: REGISTRATION,
        application_id: APP,
    };
    stage.enqueue(&answer).await;
    stage.enqueue(&chain(vec![Deed::ApproveDeveloper])).await;
    let states = stage
        .work_until(quick(), |states| {
            states
                .values()
                .all(|state| !matches!(state, ActionState::Planned | ActionState::Running))
        })
        .await;
    assert_eq!(states["approve_developer"], ActionState::Refused);
    assert_eq!(states["approve_registration"], ActionState::Done);

    let known = stage.directory.developer(PORTAL.into(), KEVIN.into());
    let known = known.await.unwrap().unwrap();
    assert_eq!(known.developer.status, DeveloperStatus::Rejected);
    let registration = stage
        .directory
        .registration(PORTAL.into(), REGISTRATION.into())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(registration.registration.status.as_str(), "approved");
    let state = stage.directory.sweep_state(PORTAL.into()).await.unwrap();
    assert!(!state.is_hinted(), "{state:?}");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn who_joins_a_team_that_is_not_known_yet_is_read_again(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let by_id = Deed::AddToTeam {
        team: TeamRef::Id(PARTNERS),
        create: false,
    };
    stage.enqueue(&chain(vec![by_id])).await;
    stage.work_until(quick(), all_are(ActionState::Done)).await;
    let state = stage.directory.sweep_state(PORTAL.into()).await.unwrap();
    assert!(state.is_hinted(), "{state:?}");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn three_hundred_at_once_are_let_in_in_few_transactions(pool: PgPool) {
    const PEOPLE: u128 = 300;
    let stage = Stage::new(pool).await;
    let people: Vec<Uuid> = (0..PEOPLE).map(|n| Uuid::from_u128(0xb000 + n)).collect();
    let seeded: Vec<Value> = people
        .iter()
        .enumerate()
        .map(|(n, id)| developer(*id, &format!("n{n}@manchestercity.com"), "pending"))
        .collect();
    let seed = json!({ "developers": seeded });
    stage.emulator.seed(&seed).unwrap();
    let mut tx = stage.journal.pool().begin().await.unwrap();
    for id in &people {
        let mut wanted = chain(vec![Deed::ApproveDeveloper, join_partners()]);
        wanted.signal_key = id.to_string();
        for step in &mut wanted.steps {
            step.target = Target::Developer { id: *id };
        }
        stage.queue.enqueue(&mut tx, &[wanted]).await.unwrap();
    }
    tx.commit().await.unwrap();

    let count = async |query: &'static str| -> i64 {
        let counted = sqlx::query_scalar(query).fetch_one(stage.journal.pool());
        counted.await.unwrap()
    };
    let stop = CancellationToken::new();
    let worker = stage.worker(quick()).with_rate(2_000);
    let watch = async {
        let done = "SELECT count(*) FROM actions WHERE state = 'done'";
        while count(done).await < 600 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        stop.cancel();
    };
    tokio::join!(worker.run(stop.clone()), watch);
    let approved = "SELECT count(*) FROM directory_developers WHERE status = 'approved'";
    assert_eq!(count(approved).await, 300);
    let joined = "SELECT count(*) FROM directory_memberships WHERE gone_at IS NULL";
    assert_eq!(count(joined).await, 300);
    assert_eq!(count("SELECT count(*) FROM attempts").await, 600);
    let events = "SELECT count(*) FROM events WHERE name = 'action.done'";
    assert_eq!(count(events).await, 600);
    // An event each, but by no means a batch each.
    let batches = count("SELECT count(*) FROM batches WHERE source = 'act'").await;
    assert!(batches < 300, "{batches} batches");
    assert_eq!(stage.writes().len(), 600);
}
