//! The action queue and its worker against a real Postgres and the emulated Konnect.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::BTreeMap;
use std::time::Duration;

use konnect::DeveloperStatus;
use konnect_emulator::{Emulator, EmulatorConfig, Fault};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use usher::act::{
    Action, ActionFilter, ActionPosition, ActionState, Backoff, DeedSpec, Enqueued, NewChain,
    NewStep, OnLimit, Queue, Standing, Target, TeamRef, Timings, Worker, note_call,
};
use usher::clock::{Clock, Ids};
use usher::directory::Directory;
use usher::journal::{EventFilter, Journal, MIGRATOR};
use uuid::Uuid;

pub(crate) const PORTAL: Uuid = Uuid::from_u128(0xa0);
pub(crate) const KEVIN: Uuid = Uuid::from_u128(0xb0);
pub(crate) const PARTNERS: Uuid = Uuid::from_u128(0xc0);
pub(crate) const APP: Uuid = Uuid::from_u128(0xd0);
pub(crate) const FIXTURES: Uuid = Uuid::from_u128(0xe0);
pub(crate) const REGISTRATION: Uuid = Uuid::from_u128(0xf0);

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
        let emulator = Emulator::start(EmulatorConfig::default()).await.unwrap();
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
        let enqueued = self.queue.enqueue(&mut tx, chain).await.unwrap();
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
        let developers = self.client.developers(PORTAL.into());
        developers
            .get(KEVIN.into())
            .await
            .unwrap()
            .status
            .to_string()
    }

    pub(crate) async fn is_partner(&self, developer: Uuid) -> bool {
        let teams = self.client.teams(PORTAL.into());
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

pub(crate) fn join_partners() -> DeedSpec {
    DeedSpec::AddToTeam {
        team: partners(),
        create: false,
    }
}

pub(crate) fn chain(deeds: Vec<DeedSpec>) -> NewChain {
    NewChain {
        portal_id: PORTAL,
        rule: "partner-clubs".to_owned(),
        standing: Standing::Live,
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

pub(crate) const APPROVED: &str = "PATCH developers/00000000-0000-0000-0000-0000000000b0 200";

#[sqlx::test(migrator = "MIGRATOR")]
async fn approves_and_adds_to_the_team_in_order_and_tells_the_journal(pool: PgPool) {
    let stage = Stage::new(pool).await;
    stage
        .enqueue(&chain(vec![DeedSpec::ApproveDeveloper, join_partners()]))
        .await;
    stage.work_until(quick(), all_are(ActionState::Done)).await;

    let team = format!("POST {PARTNERS}/developers 201");
    assert_eq!(stage.writes(), [APPROVED, &team]);
    assert!(stage.is_partner(KEVIN).await);
    let action = stage.action("approve_developer").await;
    assert_eq!((action.attempts, action.reason.as_deref()), (1, None));

    let filter = EventFilter {
        name: Some("action.done".to_owned()),
        ..EventFilter::default()
    };
    let events = stage.journal.search(&filter, None, 10).await.unwrap();
    assert_eq!(events.len(), 2);
    let told: Value = serde_json::from_slice(&events[0].raw).unwrap();
    assert_eq!(told["data"]["causes"][0], json!(Uuid::from_u128(1)));
    assert!(told["object"].as_str().unwrap().starts_with("action/"));
    // What the API answered is in the directory without another look.
    let state = stage.directory.look_state(PORTAL.into()).await.unwrap();
    assert!(!state.hinted, "{state:?}");
    let (portal, person) = (PORTAL.into(), KEVIN.into());
    let known = stage.directory.developer(portal, person).await.unwrap();
    assert_eq!(known.unwrap().developer.status, DeveloperStatus::Approved);
    let teams = stage.directory.teams_of(portal, person).await.unwrap();
    assert_eq!(teams.len(), 1);
    assert_eq!(teams[0].name, "Partners");

    let record = sqlx::query_as::<_, (String, String)>(
        "SELECT request, outcome FROM attempts ORDER BY started_at LIMIT 1",
    )
    .fetch_one(stage.journal.pool())
    .await
    .unwrap();
    let route = "PATCH /v3/portals/{portalId}/developers/{developerId}";
    assert_eq!(record, (route.to_owned(), "ok".to_owned()));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn answers_a_registration(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let mut wanted = chain(vec![DeedSpec::ApproveRegistration]);
    wanted.steps[0].target = Target::Registration {
        id: REGISTRATION,
        application_id: APP,
    };
    stage.enqueue(&wanted).await;
    stage.work_until(quick(), all_are(ActionState::Done)).await;
    assert_eq!(
        stage.writes(),
        [format!("PATCH registrations/{REGISTRATION} 200")]
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_holds_already_is_done_without_a_write(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let developers = stage.client.developers(PORTAL.into());
    developers
        .set_status(KEVIN.into(), &"approved".into())
        .await
        .unwrap();
    stage
        .client
        .teams(PORTAL.into())
        .add_member(PARTNERS.into(), KEVIN.into())
        .await
        .unwrap();
    stage.emulator.clear_requests();
    stage
        .enqueue(&chain(vec![DeedSpec::ApproveDeveloper, join_partners()]))
        .await;
    stage.work_until(quick(), all_are(ActionState::Done)).await;
    assert!(stage.writes().is_empty());
    let reason = stage.action("approve_developer").await.reason;
    assert_eq!(reason.as_deref(), Some("approved already"));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_humans_decision_wins_and_what_follows_is_cancelled(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let developers = stage.client.developers(PORTAL.into());
    developers
        .set_status(KEVIN.into(), &"rejected".into())
        .await
        .unwrap();
    stage.emulator.clear_requests();
    stage
        .enqueue(&chain(vec![DeedSpec::ApproveDeveloper, join_partners()]))
        .await;
    let states = stage
        .work_until(quick(), |states| {
            states["add_to_team"] == ActionState::Cancelled
        })
        .await;
    assert_eq!(states["approve_developer"], ActionState::Refused);
    assert!(stage.writes().is_empty());
    assert_eq!(stage.status().await, "rejected");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn honours_retry_after(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let headers = BTreeMap::from([("Retry-After".to_owned(), "2".to_owned())]);
    stage.emulator.set_faults([Fault {
        status: Some(429),
        headers,
        times: Some(1),
        ..fault("PATCH", "/v3/portals")
    }]);
    stage
        .enqueue(&chain(vec![DeedSpec::ApproveDeveloper]))
        .await;
    let begin = Instant::now();
    stage.work_until(quick(), all_are(ActionState::Done)).await;
    assert!(
        begin.elapsed() >= Duration::from_secs(2),
        "{:?}",
        begin.elapsed()
    );
    assert_eq!(stage.writes().len(), 2);
    assert_eq!(stage.action("approve_developer").await.attempts, 2);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn trouble_that_clears_costs_attempts_only(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let once = |fault: Fault| Fault {
        times: Some(1),
        ..fault
    };
    let page = json!("<html>sorry</html>");
    stage.emulator.set_faults([
        once(Fault {
            status: Some(404),
            ..fault("GET", "/v3/portals/*/developers/*")
        }),
        once(Fault {
            status: Some(500),
            ..fault("GET", "/v3/portals/*/developers/*")
        }),
        once(Fault {
            status: Some(404),
            ..fault("PATCH", "")
        }),
        once(Fault {
            status: Some(503),
            ..fault("PATCH", "")
        }),
        once(Fault {
            cut: true,
            ..fault("PATCH", "")
        }),
        once(Fault {
            status: Some(200),
            body: Some(page),
            after: true,
            ..fault("PATCH", "")
        }),
    ]);
    stage
        .enqueue(&chain(vec![DeedSpec::ApproveDeveloper]))
        .await;
    stage.work_until(quick(), all_are(ActionState::Done)).await;
    let action = stage.action("approve_developer").await;
    assert_eq!(action.attempts, 7);
    // The last write took effect although its answer could not be read.
    assert_eq!(
        action.reason.as_deref(),
        Some("approved already by an earlier attempt")
    );
    let outcomes: Vec<String> = sqlx::query_scalar("SELECT outcome FROM attempts ORDER BY number")
        .fetch_all(stage.journal.pool())
        .await
        .unwrap();
    let expected = [
        "gone",
        "server_error",
        "not_found_yet",
        "server_error",
        "connection",
        "unreadable_answer",
        "ok",
    ];
    assert_eq!(outcomes, expected);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn who_is_gone_fails_the_action_with_that_reason(pool: PgPool) {
    let stage = Stage::new(pool).await;
    stage
        .client
        .developers(PORTAL.into())
        .delete(KEVIN.into())
        .await
        .unwrap();
    stage
        .enqueue(&chain(vec![DeedSpec::ApproveDeveloper]))
        .await;
    stage
        .work_until(quick(), all_are(ActionState::Failed))
        .await;
    let action = stage.action("approve_developer").await;
    assert_eq!(
        (action.attempts, action.reason.as_deref()),
        (8, Some("the developer is gone"))
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_refused_request_fails_at_once_with_the_problems_reason(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let problem = json!({ "status": 400, "title": "Bad Request", "detail": "no such status" });
    stage.emulator.set_faults([Fault {
        status: Some(400),
        body: Some(problem),
        ..fault("PATCH", "")
    }]);
    stage
        .enqueue(&chain(vec![DeedSpec::ApproveDeveloper, join_partners()]))
        .await;
    let states = stage
        .work_until(quick(), |states| {
            states["add_to_team"] == ActionState::Cancelled
        })
        .await;
    assert_eq!(states["approve_developer"], ActionState::Failed);
    let action = stage.action("approve_developer").await;
    assert_eq!(action.attempts, 1);
    assert!(action.reason.unwrap().contains("no such status"));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn being_a_member_already_is_done(pool: PgPool) {
    let stage = Stage::new(pool).await;
    stage
        .client
        .teams(PORTAL.into())
        .add_member(PARTNERS.into(), KEVIN.into())
        .await
        .unwrap();
    // The list does not show the membership yet.
    let nothing =
        json!({ "data": [], "meta": { "page": { "number": 1, "size": 100, "total": 0 } } });
    stage.emulator.set_faults([Fault {
        status: Some(200),
        body: Some(nothing),
        ..fault("GET", "/v3/portals/*/developers/*/teams")
    }]);
    stage.enqueue(&chain(vec![join_partners()])).await;
    stage.work_until(quick(), all_are(ActionState::Done)).await;
    assert_eq!(
        stage.writes().last().unwrap(),
        &format!("POST {PARTNERS}/developers 409")
    );
    assert_eq!(stage.action("add_to_team").await.attempts, 1);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_refused_token_pauses_everything_and_burns_nothing(pool: PgPool) {
    let stage = Stage::new(pool).await;
    stage.emulator.set_faults([Fault {
        status: Some(401),
        ..Fault::default()
    }]);
    stage
        .enqueue(&chain(vec![DeedSpec::ApproveDeveloper, join_partners()]))
        .await;
    let worker = stage.worker(quick());
    let mut paused = worker.paused();
    let stop = CancellationToken::new();
    let watch = async {
        paused.wait_for(|paused| *paused).await.unwrap();
        // The probes go on, and nothing else is asked.
        let deadline = Instant::now() + Duration::from_secs(10);
        let probes = || {
            let requests = stage.emulator.requests();
            requests
                .iter()
                .filter(|request| request.path == "/v3/portals")
                .count()
        };
        while probes() < 3 {
            assert!(Instant::now() < deadline, "no probe");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(*paused.borrow());
        for action in stage.actions().await {
            assert_eq!((action.state, action.attempts), (ActionState::Planned, 0));
        }
        stage.emulator.set_faults([]);
        stage.until(all_are(ActionState::Done)).await;
        assert!(!*paused.borrow());
        stop.cancel();
    };
    tokio::join!(worker.run(stop.clone()), watch);
    for action in stage.actions().await {
        assert_eq!(action.attempts, 1);
    }
    assert_eq!(stage.status().await, "approved");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_crash_between_write_and_record_repeats_no_write(pool: PgPool) {
    let stage = Stage::new(pool).await;
    stage
        .enqueue(&chain(vec![DeedSpec::ApproveDeveloper]))
        .await;
    let timings = Timings {
        lease: Duration::from_secs(1),
        ..quick()
    };

    // The record cannot be written while another transaction holds the table of attempts.
    let mut tx = stage.journal.pool().begin().await.unwrap();
    sqlx::raw_sql("LOCK TABLE attempts IN ACCESS EXCLUSIVE MODE")
        .execute(&mut *tx)
        .await
        .unwrap();
    let worker = stage.worker(timings);
    let written = async {
        let deadline = Instant::now() + Duration::from_secs(10);
        while stage.writes().is_empty() {
            assert!(Instant::now() < deadline, "no write");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        () = worker.run(CancellationToken::new()) => panic!("the worker ended"),
        () = written => {}
    }
    // Both branches are dropped here: the worker died with the write sent and nothing on record.
    drop(worker);
    tx.rollback().await.unwrap();
    assert_eq!(stage.status().await, "approved");
    assert_eq!(
        stage.action("approve_developer").await.state,
        ActionState::Running
    );

    stage.work_until(timings, all_are(ActionState::Done)).await;
    assert_eq!(stage.writes(), [APPROVED]);
    let reason = stage.action("approve_developer").await.reason;
    assert_eq!(
        reason.as_deref(),
        Some("approved already by an earlier attempt")
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn two_workers_write_once(pool: PgPool) {
    let stage = Stage::new(pool).await;
    stage
        .enqueue(&chain(vec![DeedSpec::ApproveDeveloper, join_partners()]))
        .await;
    let (one, two) = (stage.worker(quick()), stage.worker(quick()));
    let stop = CancellationToken::new();
    let watch = async {
        stage.until(all_are(ActionState::Done)).await;
        stop.cancel();
    };
    tokio::join!(one.run(stop.clone()), two.run(stop.clone()), watch);
    assert_eq!(stage.writes().len(), 2);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_unknown_team_parks_and_holds_up_what_follows(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let team = || TeamRef::Name("Strangers".to_owned());
    let join = DeedSpec::AddToTeam {
        team: team(),
        create: false,
    };
    stage
        .enqueue(&chain(vec![join, DeedSpec::ApproveDeveloper]))
        .await;
    let states = stage
        .work_until(quick(), |states| {
            states["add_to_team"] == ActionState::Parked
        })
        .await;
    assert_eq!(states["approve_developer"], ActionState::Planned);
    assert!(stage.writes().is_empty());
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn makes_the_team_once_when_asked_to(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let other = Uuid::from_u128(0xb1);
    let guest = developer(other, "guest@example.com", "approved");
    stage
        .emulator
        .seed(&json!({ "developers": [guest] }))
        .unwrap();
    let join = || DeedSpec::AddToTeam {
        team: TeamRef::Name("Guests".to_owned()),
        create: true,
    };
    stage.enqueue(&chain(vec![join()])).await;
    let mut second = chain(vec![join()]);
    second.signal_key = other.to_string();
    second.steps[0].target = Target::Developer { id: other };
    stage.enqueue(&second).await;
    stage.work_until(quick(), all_are(ActionState::Done)).await;
    assert_eq!(stage.actions().await.len(), 2);
    let made = stage
        .writes()
        .iter()
        .filter(|write| write.contains("/teams 201"))
        .count();
    assert_eq!(made, 1, "{:?}", stage.writes());
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_parking_deed_parks_and_lets_the_next_run(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let park = DeedSpec::Park {
        reason: "freemail".to_owned(),
    };
    stage.enqueue(&chain(vec![park, join_partners()])).await;
    let states = stage
        .work_until(quick(), |states| states["add_to_team"] == ActionState::Done)
        .await;
    assert_eq!(states["park"], ActionState::Parked);
    assert_eq!(
        stage.action("park").await.reason.as_deref(),
        Some("freemail")
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_membership_that_a_human_ended_is_not_made_again(pool: PgPool) {
    let stage = Stage::new(pool).await;
    stage.enqueue(&chain(vec![join_partners()])).await;
    stage.work_until(quick(), all_are(ActionState::Done)).await;
    stage
        .client
        .teams(PORTAL.into())
        .remove_member(PARTNERS.into(), KEVIN.into())
        .await
        .unwrap();
    let mut again = chain(vec![join_partners()]);
    again.signal_key = "another signal".to_owned();
    let second = stage.enqueue(&again).await[0].id();
    let worker = stage.worker(quick());
    let stop = CancellationToken::new();
    let watch = async {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let actions = stage.actions().await;
            let action = actions.iter().find(|action| action.id == second).unwrap();
            if action.state == ActionState::Refused {
                break;
            }
            assert!(Instant::now() < deadline, "still {action:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        stop.cancel();
    };
    tokio::join!(worker.run(stop.clone()), watch);
    assert!(!stage.is_partner(KEVIN).await);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_limit_of_a_rule_delays_or_parks(pool: PgPool) {
    for (on_limit, expected) in [
        (OnLimit::Delay, ActionState::Planned),
        (OnLimit::Park, ActionState::Parked),
    ] {
        let stage = Stage::new(pool.clone()).await;
        let limited = NewChain {
            rule: format!("{on_limit:?}"),
            signal_key: format!("{on_limit:?}"),
            limit_per_hour: 1,
            on_limit,
            ..chain(vec![DeedSpec::ApproveDeveloper, join_partners()])
        };
        let ids: Vec<Uuid> = stage
            .enqueue(&limited)
            .await
            .into_iter()
            .map(Enqueued::id)
            .collect();
        let worker = stage.worker(quick());
        let stop = CancellationToken::new();
        let watch = async {
            let deadline = Instant::now() + Duration::from_secs(10);
            loop {
                let (due, state) = sqlx::query_as::<_, (bool, String)>(
                    "SELECT next_attempt_at < now() + interval '50 minutes', state
                    FROM actions WHERE id = $1",
                )
                .bind(ids[1])
                .fetch_one(stage.journal.pool())
                .await
                .unwrap();
                let settled = match on_limit {
                    OnLimit::Delay => !due,
                    OnLimit::Park => state == "parked",
                };
                if settled && state == expected.as_str() {
                    break;
                }
                assert!(Instant::now() < deadline, "still {state}, due {due}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            stop.cancel();
        };
        tokio::join!(worker.run(stop.clone()), watch);
        let writes = stage.writes().len();
        assert!(writes <= 1, "the second deed must wait");
        // What waits must not stand in the way of the next round.
        sqlx::raw_sql(
            "UPDATE actions SET state = 'cancelled' WHERE state IN ('planned', 'parked')",
        )
        .execute(stage.journal.pool())
        .await
        .unwrap();
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_same_decision_is_enqueued_once(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let wanted = chain(vec![DeedSpec::ApproveDeveloper]);
    let first = stage.enqueue(&wanted).await[0];
    let later = NewChain {
        causes: vec![Uuid::from_u128(2)],
        ..wanted.clone()
    };
    assert_eq!(stage.enqueue(&later).await, [Enqueued::Known(first.id())]);
    let other_rule = NewChain {
        rule: "another".to_owned(),
        ..wanted.clone()
    };
    assert_eq!(
        stage.enqueue(&other_rule).await,
        [Enqueued::Known(first.id())]
    );
    let causes = stage.action("approve_developer").await.causes;
    assert_eq!(causes, [Uuid::from_u128(1), Uuid::from_u128(2)]);

    stage.work_until(quick(), all_are(ActionState::Done)).await;
    assert_eq!(stage.enqueue(&wanted).await, [Enqueued::Known(first.id())]);
    assert_eq!(stage.writes(), [APPROVED]);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_came_to_nothing_does_not_block_a_new_decision(pool: PgPool) {
    let stage = Stage::new(pool).await;
    let shadow = NewChain {
        standing: Standing::Shadow,
        ..chain(vec![DeedSpec::ApproveDeveloper])
    };
    let seen = stage.enqueue(&shadow).await[0];
    assert_eq!(stage.enqueue(&shadow).await, [Enqueued::Known(seen.id())]);
    let live = chain(vec![DeedSpec::ApproveDeveloper]);
    for state in ["failed", "cancelled"] {
        let [Enqueued::New(id)] = stage.enqueue(&live).await[..] else {
            panic!("it is blocked")
        };
        sqlx::query("UPDATE actions SET state = $1 WHERE id = $2")
            .bind(state)
            .bind(id)
            .execute(stage.journal.pool())
            .await
            .unwrap();
    }
    assert!(matches!(stage.enqueue(&live).await[..], [Enqueued::New(_)]));
    assert!(stage.writes().is_empty());
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn lists_page_by_page_newest_first(pool: PgPool) {
    let stage = Stage::new(pool).await;
    for number in 0..5_u128 {
        let mut wanted = chain(vec![DeedSpec::ApproveDeveloper]);
        wanted.steps[0].target = Target::Developer {
            id: Uuid::from_u128(number),
        };
        stage.enqueue(&wanted).await;
    }
    let filter = ActionFilter {
        state: Some(ActionState::Planned),
        ..ActionFilter::default()
    };
    let mut seen = Vec::new();
    let mut after: Option<ActionPosition> = None;
    loop {
        let page = stage.queue.list(&filter, after, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.into());
        seen.extend(page.iter().map(|action| action.target.id().as_u128()));
    }
    assert_eq!(seen, [4, 3, 2, 1, 0]);
    let none = ActionFilter {
        rule: Some("another".to_owned()),
        ..ActionFilter::default()
    };
    assert!(stage.queue.list(&none, None, 10).await.unwrap().is_empty());
}
