//! An emulated Konnect with a developer who waits, and the rooms that a worker needs: for tests of
//! what is done, without the service around it.

use std::collections::BTreeMap;
use std::time::Duration;

use konnect_emulator::{Emulator, Fault};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use usher::act::{
    Action, ActionFilter, ActionState, Backoff, Enqueued, NewChain, NewStep, Queue, Target,
    Timings, Worker, note_call,
};
use usher::clock::{Clock, Ids};
use usher::directory::Directory;
use usher::journal::Journal;
use usher::rules::{Deed, Mode, OnLimit, TeamRef};
use uuid::Uuid;

use crate::support::eventually;
pub(crate) use crate::support::konnect::{FIXTURES, PARTNERS, PORTAL};

pub(crate) const KEVIN: Uuid = Uuid::from_u128(0xb0);
pub(crate) const APP: Uuid = Uuid::from_u128(0xd0);
pub(crate) const REGISTRATION: Uuid = Uuid::from_u128(0xf0);
pub(crate) const APPROVED: &str = "PATCH developers/00000000-0000-0000-0000-0000000000b0 200";

/// Times that keep tests short; the waits between attempts have tests of their own.
pub(crate) fn quick() -> Timings {
    Timings {
        probe_every: Duration::from_millis(100),
        attempt: Duration::from_secs(5),
        lease: Duration::from_secs(10),
        poll: Duration::from_millis(100),
        backoff: Backoff {
            first: Duration::from_millis(40),
            longest: Duration::from_millis(200),
            attempts: 9,
            patience: Duration::from_hours(1),
        },
    }
}

/// An emulated Konnect, and the rooms that a worker needs.
pub(crate) struct Stage {
    pub(crate) emulator: Emulator,
    pub(crate) client: konnect::Client,
    pub(crate) journal: Journal,
    pub(crate) directory: Directory,
    pub(crate) queue: Queue,
    pub(crate) clock: Clock,
}

impl Stage {
    pub(crate) async fn new(pool: PgPool) -> Self {
        let emulator = Emulator::start().await.unwrap();
        emulator
            .seed(&json!({
                "portals": [{ "id": PORTAL, "name": "fixtures" }],
                "apis": [{ "id": FIXTURES, "name": "Fixtures", "portal_id": PORTAL }],
                "teams": [{ "id": PARTNERS, "portal_id": PORTAL, "name": "Partners" }],
                "developers": [developer(KEVIN, "kevin@manchestercity.com", "pending")],
                "applications": [{
                    "id": APP, "portal_id": PORTAL, "name": "scores",
                    "owner": { "type": "developer", "id": KEVIN },
                }],
                "registrations": [{
                    "id": REGISTRATION, "application_id": APP, "api_id": FIXTURES,
                    "status": "pending",
                }],
            }))
            .unwrap();
        let client = konnect::Client::builder(emulator.url().parse().unwrap())
            .token(emulator.token().to_owned().into())
            .retries(konnect::RetryPolicy::none())
            .on_attempt(note_call)
            .build()
            .unwrap();
        let clock = Clock::system();
        let ids = Ids::new(clock.clone());
        let journal = Journal::from_pool(pool);
        let directory = Directory::new(journal.clone(), clock.clone(), ids.clone());
        let queue = Queue::new(journal.clone(), clock.clone(), ids);
        Self {
            emulator,
            client,
            journal,
            directory,
            queue,
            clock,
        }
    }

    pub(crate) fn worker(&self, timings: Timings) -> Worker {
        Worker::new(
            self.queue.clone(),
            self.directory.clone(),
            self.client.clone(),
            timings,
        )
    }

    pub(crate) async fn enqueue(&self, chain: &NewChain) -> Vec<Enqueued> {
        let mut tx = self.journal.pool().begin().await.unwrap();
        let chains = std::slice::from_ref(chain);
        let enqueued = self.queue.enqueue(&mut tx, chains).await.unwrap();
        tx.commit().await.unwrap();
        self.queue.wake();
        enqueued
    }

    pub(crate) async fn actions(&self) -> Vec<Action> {
        self.queue
            .list(&ActionFilter::default(), None, 100)
            .await
            .unwrap()
    }

    /// The states by deed.
    pub(crate) async fn states(&self) -> BTreeMap<String, ActionState> {
        self.actions()
            .await
            .into_iter()
            .map(|action| (action.deed, action.state))
            .collect()
    }

    pub(crate) async fn action(&self, deed: &str) -> Action {
        let mut actions = self.actions().await.into_iter();
        actions.find(|action| action.deed == deed).unwrap()
    }

    /// Lets a worker run until `settled` says so of the states.
    pub(crate) async fn work_until(
        &self,
        timings: Timings,
        settled: impl Fn(&BTreeMap<String, ActionState>) -> bool,
    ) -> BTreeMap<String, ActionState> {
        let worker = self.worker(timings);
        let stop = CancellationToken::new();
        let watch = async {
            let states = self.until(settled).await;
            stop.cancel();
            states
        };
        let ((), states) = tokio::join!(worker.run(stop.clone()), watch);
        states
    }

    pub(crate) async fn until(
        &self,
        settled: impl Fn(&BTreeMap<String, ActionState>) -> bool,
    ) -> BTreeMap<String, ActionState> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let states = self.states().await;
            if settled(&states) {
                return states;
            }
            assert!(Instant::now() < deadline, "still {states:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The writes that reached Konnect, as method and last parts of the path.
    pub(crate) fn writes(&self) -> Vec<String> {
        self.emulator
            .requests()
            .iter()
            .filter(|request| request.method != "GET")
            .map(|request| {
                let mut parts: Vec<_> = request.path.rsplit('/').take(2).collect();
                parts.reverse();
                format!("{} {} {}", request.method, parts.join("/"), request.status)
            })
            .collect()
    }

    pub(crate) async fn status(&self) -> String {
        let developers = self.client.portal(PORTAL.into()).developers();
        developers
            .get(KEVIN.into())
            .await
            .unwrap()
            .status
            .to_string()
    }

    pub(crate) async fn is_partner(&self, developer: Uuid) -> bool {
        let teams = self.client.portal(PORTAL.into()).teams();
        let teams = teams.of_developer(developer.into()).await.unwrap();
        teams.iter().any(|team| team.id.0 == PARTNERS)
    }
}

pub(crate) fn developer(id: Uuid, email: &str, status: &str) -> Value {
    json!({
        "id": id, "portal_id": PORTAL, "email": email, "full_name": "Somebody", "status": status,
    })
}

pub(crate) fn fault(method: &str, path: &str) -> Fault {
    Fault {
        method: Some(method.to_owned()),
        path: path.to_owned(),
        ..Fault::default()
    }
}

pub(crate) fn partners() -> TeamRef {
    TeamRef::Name("Partners".to_owned())
}

pub(crate) fn join_partners() -> Deed {
    Deed::AddToTeam {
        team: partners(),
        create: false,
    }
}

pub(crate) fn chain(deeds: Vec<Deed>) -> NewChain {
    NewChain {
        portal_id: PORTAL,
        rule: "partner-clubs".to_owned(),
        mode: Mode::Live,
        limit_per_hour: 0,
        on_limit: OnLimit::Delay,
        signal: "developer.signed_up".to_owned(),
        signal_key: KEVIN.to_string(),
        causes: vec![Uuid::from_u128(1)],
        facts: json!({}),
        steps: deeds
            .into_iter()
            .map(|deed| NewStep {
                deed,
                target: Target::Developer { id: KEVIN },
                owned_by: None,
            })
            .collect(),
    }
}

pub(crate) fn all_are(state: ActionState) -> impl Fn(&BTreeMap<String, ActionState>) -> bool {
    move |states| states.values().all(|known| *known == state)
}

/// Does it in answer to a signal of its own; the action in the end.
pub(crate) async fn after(stage: &Stage, deed: Deed, signal: &str) -> Action {
    let mut wanted = chain(vec![deed]);
    signal.clone_into(&mut wanted.signal_key);
    let id = stage.enqueue(&wanted).await[0].id();
    let (worker, stop) = (stage.worker(quick()), CancellationToken::new());
    let mut ended = None;
    let watch = async {
        eventually("the action ends", Duration::from_secs(30), async || {
            let actions = stage.actions().await.into_iter();
            let open = [ActionState::Planned, ActionState::Running];
            ended = actions
                .filter(|action| !open.contains(&action.state))
                .find(|action| action.id == id);
            ended.is_some()
        })
        .await;
        stop.cancel();
    };
    tokio::join!(worker.run(stop.clone()), watch);
    ended.unwrap()
}
