//! Looks at a real emulator over HTTP, kept in a real Postgres: one database and one emulator a test.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod gone;
mod large;
mod loops;
mod set_aside;
mod short;
mod vast;

use std::time::{Duration, Instant};

use konnect::{
    ApiId, ApplicationId, ApplicationOwner, Client, DeveloperId, DeveloperStatus, NewApplication,
    NewDeveloper, NewRegistration, NewTeam, OwnerType, PortalId, RegistrationStatus, RetryPolicy,
    TeamId,
};
use konnect_emulator::{Emulator, EmulatorConfig, Fault};
use secrecy::SecretString;
use serde_json::{Value, json};
use sqlx::PgPool;
use usher::clock::{Clock, Ids};
use usher::config::ObserveConfig;
use usher::directory::{Directory, OwnerRecord, Scope, Snapshot};
use usher::journal::Journal;
use usher::lifecycle::Lifecycle;
use usher::observe::{ObserveError, Observer, Parts};

use crate::support::scene::AT_ONCE;

/// Longest wait for what must happen by itself.
const DEADLINE: Duration = Duration::from_secs(20);

/// A portal of the emulator, and an observer that looks at it.
struct World {
    emulator: Emulator,
    portal: PortalId,
    api: ApiId,
    client: Client,
    journal: Journal,
    directory: Directory,
    observer: Observer,
}

impl World {
    async fn new(pool: PgPool) -> Self {
        let emulator = Emulator::start(EmulatorConfig::default()).await.unwrap();
        let made = emulator
            .seed(&json!({ "portals": [{ "name": "Main" }] }))
            .unwrap();
        let portal: PortalId = made["portals"][0]["id"].as_str().unwrap().parse().unwrap();
        let made = emulator.seed(&json!({ "apis": [{ "name": "Fixtures", "portal_id": portal }] }));
        let api = made.unwrap()["apis"][0]["id"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        let client = Client::builder(emulator.url().parse().unwrap())
            .token(SecretString::from(emulator.token().to_owned()))
            .retries(RetryPolicy::none())
            .build()
            .unwrap();
        let journal = Journal::from_pool(pool);
        let clock = Clock::system();
        let directory = Directory::new(journal.clone(), clock.clone(), Ids::new(clock));
        Self {
            observer: observer(&journal, &directory, &client, vec![portal]),
            emulator,
            portal,
            api,
            client,
            journal,
            directory,
        }
    }

    /// As another instance, or this one after a restart.
    fn another_observer(&self) -> Observer {
        let clock = Clock::system();
        let directory = Directory::new(self.journal.clone(), clock.clone(), Ids::new(clock));
        observer(&self.journal, &directory, &self.client, vec![self.portal])
    }

    async fn sweep(&self, scope: Scope) {
        self.observer.sweep_once(self.portal, scope).await.unwrap();
    }

    async fn sign_up(&self, name: &str, status: DeveloperStatus) -> DeveloperId {
        let developer = NewDeveloper {
            email: format!("{name}@secret.example"),
            full_name: format!("Secret {name}"),
            status: Some(status),
            send_invitation_email: false,
        };
        self.client
            .developers(self.portal)
            .create(&developer)
            .await
            .unwrap()
            .id
    }

    async fn application(&self, owner: DeveloperId) -> ApplicationId {
        let application = NewApplication {
            name: "App".to_owned(),
            description: None,
            auth_strategy_id: None,
            owner: ApplicationOwner {
                kind: OwnerType::Developer,
                id: owner.0,
            },
        };
        self.client
            .applications(self.portal)
            .create(&application)
            .await
            .unwrap()
            .id
    }

    async fn team(&self, name: &str) -> TeamId {
        let team = NewTeam {
            name: name.to_owned(),
            ..NewTeam::default()
        };
        self.client
            .teams(self.portal)
            .create(&team)
            .await
            .unwrap()
            .id
    }

    /// Every event of the journal, oldest first, as JSON.
    async fn events(&self) -> Vec<Value> {
        let rows =
            sqlx::query_scalar::<_, Vec<u8>>("SELECT raw FROM events ORDER BY batch, position")
                .fetch_all(self.journal.pool())
                .await
                .unwrap();
        rows.iter()
            .map(|raw| serde_json::from_slice(raw).unwrap())
            .collect()
    }

    async fn names(&self) -> Vec<String> {
        let events = self.events().await;
        events
            .iter()
            .map(|event| event["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits until the journal has an event of this name.
    async fn wait_for(&self, name: &str, times: usize) {
        let started = Instant::now();
        while self
            .names()
            .await
            .iter()
            .filter(|found| *found == name)
            .count()
            < times
        {
            assert!(
                started.elapsed() < DEADLINE,
                "no {name}: {:?}",
                self.names().await
            );
            self.journal.appended(Duration::from_millis(20)).await;
        }
    }
}

fn observer(
    journal: &Journal,
    directory: &Directory,
    client: &Client,
    portals: Vec<PortalId>,
) -> Observer {
    Observer::new(parts(journal, directory, client, portals)).with_timings(AT_ONCE)
}

fn parts(
    journal: &Journal,
    directory: &Directory,
    client: &Client,
    portals: Vec<PortalId>,
) -> Parts {
    let clock = Clock::system();
    Parts {
        journal: journal.clone(),
        directory: directory.clone(),
        client: client.clone(),
        config: ObserveConfig {
            pending_every: Duration::from_millis(200),
            all_every: Duration::from_hours(1),
        },
        portals,
        holder: Ids::new(clock.clone()).next(),
        clock,
    }
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn the_first_complete_sweep_finds_whoever_waits_and_nobody_else(pool: PgPool) {
    let world = World::new(pool).await;
    let waiting = world.sign_up("waiting", DeveloperStatus::Pending).await;
    let settled = world.sign_up("settled", DeveloperStatus::Approved).await;
    world.application(settled).await;
    let team = world.team("Partners").await;
    world
        .client
        .teams(world.portal)
        .add_member(team, settled)
        .await
        .unwrap();

    world.sweep(Scope::All).await;

    let events = world.events().await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert_eq!(events[0]["name"], "developer.signed_up");
    assert_eq!(events[0]["principal_id"], waiting.to_string());
    assert_eq!(events[0]["portal_id"], world.portal.to_string());
    assert_eq!(events[0]["data"]["to_status"], "pending");
    let record = world
        .directory
        .developer(world.portal, settled)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        record.subject.email.as_deref(),
        Some("settled@secret.example")
    );
    assert_eq!(record.teams[0].name, "Partners");
    assert_eq!(record.applications.len(), 1);

    // From now on anyone first seen has signed up, whatever the status.
    world.sign_up("late", DeveloperStatus::Approved).await;
    world.sweep(Scope::All).await;
    assert_eq!(
        world.names().await,
        ["developer.signed_up", "developer.signed_up"]
    );
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn a_pending_look_finds_a_request_with_application_owner_and_teams(pool: PgPool) {
    let world = World::new(pool).await;
    world.sweep(Scope::All).await;
    let ann = world.sign_up("ann", DeveloperStatus::Approved).await;
    let team = world.team("Partners").await;
    world
        .client
        .teams(world.portal)
        .add_member(team, ann)
        .await
        .unwrap();
    let application = world.application(ann).await;
    let request = NewRegistration {
        api_id: world.api,
        status: Some(RegistrationStatus::Pending),
    };
    let registrations = world.client.registrations(world.portal);
    let request = registrations
        .create(application, &request)
        .await
        .unwrap()
        .id;

    world.sweep(Scope::Pending).await;

    assert_eq!(
        world.names().await,
        [
            "team.created",
            "developer.signed_up",
            "application.created",
            "registration.requested",
            "membership.changed"
        ]
    );
    let requested = &world.events().await[3];
    assert_eq!(requested["principal_id"], ann.to_string());
    let record = world
        .directory
        .registration(world.portal, request)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(record.registration.api.name, "Fixtures");
    let owner = record.application.unwrap().owner;
    assert!(matches!(owner, Some(OwnerRecord::Developer(owner, _)) if owner.id == ann));
    let teams = world.directory.teams_of(world.portal, ann).await.unwrap();
    assert_eq!(teams.len(), 1);
    assert_eq!(
        world
            .directory
            .pending_registrations(world.portal)
            .await
            .unwrap()
            .len(),
        1
    );

    // Approved by hand: the next look knows.
    registrations
        .set_status(application, request, &RegistrationStatus::Approved)
        .await
        .unwrap();
    world.sweep(Scope::Pending).await;
    let events = world.events().await;
    let last = events.last().unwrap();
    assert_eq!(last["name"], "registration.status_changed");
    assert_eq!(last["data"]["from_status"], "pending");
    assert_eq!(last["data"]["to_status"], "approved");
    assert!(
        world
            .directory
            .pending_registrations(world.portal)
            .await
            .unwrap()
            .is_empty()
    );
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn whom_a_deed_changed_is_read_again_by_id_until_a_look_has(pool: PgPool) {
    let world = World::new(pool).await;
    let team = world.team("Partners").await;
    let ann = world.sign_up("ann", DeveloperStatus::Approved).await;
    world.sweep(Scope::All).await;
    let teams = world.client.teams(world.portal);
    teams.add_member(team, ann).await.unwrap();
    // Somebody whom only the deed knows: invited, approved, in no list of pending ones.
    let bob = world.sign_up("bob", DeveloperStatus::Approved).await;
    world.sweep(Scope::Pending).await;
    let known = || world.directory.teams_of(world.portal, ann);
    assert!(known().await.unwrap().is_empty(), "no list shows it");

    let began = world.directory.begin(world.portal).await.unwrap();
    for person in [ann, bob] {
        world.directory.touch(world.portal, person).await.unwrap();
    }
    let touched = async |look| {
        world
            .directory
            .touched(look, 10, 10)
            .await
            .unwrap()
            .developers
    };
    assert_eq!(touched(began).await, [], "it began before the change");
    let state = || world.directory.look_state(world.portal);
    assert!(state().await.unwrap().is_hinted());
    world.sweep(Scope::Pending).await;

    assert_eq!(known().await.unwrap().len(), 1);
    let bob = world.directory.find_developer(world.portal, bob).await;
    assert_eq!(bob.unwrap().unwrap().status, DeveloperStatus::Approved);
    assert!(!state().await.unwrap().is_hinted());
    let next = world.directory.begin(world.portal).await.unwrap();
    assert_eq!(touched(next).await, []);
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn changes_by_hand_are_found_and_told_without_personal_data(pool: PgPool) {
    let world = World::new(pool).await;
    let ann = world.sign_up("ann", DeveloperStatus::Pending).await;
    let team = world.team("Partners").await;
    world.sweep(Scope::All).await;
    let developers = world.client.developers(world.portal);
    developers
        .set_status(ann, &DeveloperStatus::Approved)
        .await
        .unwrap();
    world
        .client
        .teams(world.portal)
        .add_member(team, ann)
        .await
        .unwrap();
    world.sweep(Scope::All).await;
    world
        .client
        .teams(world.portal)
        .remove_member(team, ann)
        .await
        .unwrap();
    world.sweep(Scope::All).await;
    developers.delete(ann).await.unwrap();
    world.sweep(Scope::All).await;
    world.sweep(Scope::All).await;

    assert_eq!(
        world.names().await,
        [
            "developer.signed_up",
            "developer.status_changed",
            "membership.changed",
            "membership.changed",
            "developer.removed"
        ]
    );
    let events = world.events().await;
    assert_eq!(events[2]["data"]["change"], "added");
    assert_eq!(events[3]["data"]["change"], "removed");
    let text = Value::from(events).to_string();
    assert!(!text.contains('@') && !text.contains("Secret"), "{text}");
    let membership = world
        .directory
        .membership(world.portal, team, ann)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (membership.seen.revision, membership.seen.is_gone()),
        (2, true)
    );
    let record = world
        .directory
        .developer(world.portal, ann)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (
            record.developer.seen.revision,
            record.developer.seen.is_gone()
        ),
        (3, true)
    );
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn whoever_is_no_longer_pending_is_read_directly(pool: PgPool) {
    let world = World::new(pool).await;
    let approved = world.sign_up("approved", DeveloperStatus::Pending).await;
    world.sweep(Scope::All).await;
    let developers = world.client.developers(world.portal);
    developers
        .set_status(approved, &DeveloperStatus::Approved)
        .await
        .unwrap();
    world.emulator.clear_requests();
    world.sweep(Scope::Pending).await;
    let path = format!("/v3/portals/{}/developers/{approved}", world.portal);
    let requests = world.emulator.requests();
    assert_eq!(
        requests
            .iter()
            .filter(|request| request.path == path)
            .count(),
        1
    );
    assert_eq!(
        world.names().await.last().unwrap(),
        "developer.status_changed"
    );

    // Who is not there at all is for a look at everything to settle.
    let deleted = world.sign_up("deleted", DeveloperStatus::Pending).await;
    world.sweep(Scope::Pending).await;
    developers.delete(deleted).await.unwrap();
    world.emulator.clear_requests();
    world.sweep(Scope::Pending).await;
    let path = format!("/v3/portals/{}/developers/{deleted}", world.portal);
    let requests = world.emulator.requests();
    let reads = requests
        .iter()
        .filter(|r| r.path == path && r.method == "GET");
    assert_eq!(reads.count(), 1);
    assert_eq!(world.names().await.last().unwrap(), "developer.signed_up");
    world.sweep(Scope::All).await;
    assert_eq!(world.names().await.last().unwrap(), "developer.removed");
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn what_a_wrong_list_lacks_is_not_taken_for_gone(pool: PgPool) {
    let world = World::new(pool).await;
    let ann = world.sign_up("ann", DeveloperStatus::Approved).await;
    world.sweep(Scope::All).await;
    let empty = json!({ "data": [], "meta": { "page": { "number": 1, "size": 100, "total": 0 } } });
    world.emulator.set_faults([Fault {
        method: Some("GET".to_owned()),
        path: format!("*/portals/{}/developers", world.portal),
        status: Some(200),
        body: Some(empty),
        times: Some(1),
        ..Fault::default()
    }]);
    world.emulator.clear_requests();
    world.sweep(Scope::All).await;
    let path = format!("/v3/portals/{}/developers/{ann}", world.portal);
    let read = |path: &str| {
        world
            .emulator
            .requests()
            .iter()
            .any(|request| request.path == path)
    };
    assert!(
        read(&path),
        "the list lacked the developer, so they were read directly"
    );
    assert_eq!(world.names().await, Vec::<String>::new());
    let record = world
        .directory
        .developer(world.portal, ann)
        .await
        .unwrap()
        .unwrap();
    assert!(!record.developer.seen.is_gone());
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn reads_every_page(pool: PgPool) {
    let world = World::new(pool).await;
    let developers: Vec<Value> = (0..230)
        .map(|number| {
            json!({
                "portal_id": world.portal,
                "email": format!("{number}@secret.example"),
                "full_name": "Somebody",
                "status": "pending",
            })
        })
        .collect();
    world
        .emulator
        .seed(&json!({ "developers": developers }))
        .unwrap();
    world.sweep(Scope::Pending).await;
    assert_eq!(
        world
            .directory
            .pending_developers(world.portal)
            .await
            .unwrap()
            .len(),
        230
    );
    assert_eq!(world.events().await.len(), 230);
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn many_differences_are_slices_of_one_whole(pool: PgPool) {
    let world = World::new(pool).await;
    let look = world.directory.begin(world.portal).await.unwrap();
    let mut snapshot = Snapshot::empty(world.portal, Scope::All);
    let template = world.sign_up("ann", DeveloperStatus::Pending).await;
    let template = world
        .client
        .developers(world.portal)
        .get(template)
        .await
        .unwrap();
    let ids = Ids::new(Clock::system());
    snapshot.developers = (0..5_001)
        .map(|_| konnect::Developer {
            id: DeveloperId(ids.next()),
            ..template.clone()
        })
        .collect();
    let stored = world.directory.store(look, &snapshot).await.unwrap();
    assert_eq!(stored.differences, 5_001);
    let slices = sqlx::query_as::<_, (i32, String, i64)>(
        "SELECT stored, lane, count(*) OVER (PARTITION BY part_of) FROM batches ORDER BY stored",
    )
    .fetch_all(world.journal.pool())
    .await
    .unwrap();
    let mut expected = vec![(250, "bulk".to_owned(), 21); 21];
    expected[0].0 = 1;
    assert_eq!(slices, expected);
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn neither_a_restart_nor_a_second_observer_repeats_an_event(pool: PgPool) {
    let world = World::new(pool).await;
    for number in 0..20 {
        world
            .sign_up(&format!("p{number}"), DeveloperStatus::Pending)
            .await;
    }
    let (first, second) = (world.another_observer(), world.another_observer());
    let both = tokio::join!(
        first.sweep_once(world.portal, Scope::All),
        second.sweep_once(world.portal, Scope::All),
    );
    assert_eq!(
        both.0.unwrap().differences + both.1.unwrap().differences,
        20
    );
    world
        .another_observer()
        .sweep_once(world.portal, Scope::All)
        .await
        .unwrap();
    assert_eq!(world.events().await.len(), 20);
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn an_older_look_does_not_undo_what_a_newer_one_saw(pool: PgPool) {
    let world = World::new(pool).await;
    let ann = world.sign_up("ann", DeveloperStatus::Pending).await;
    let old = world.directory.begin(world.portal).await.unwrap();
    let seen = usher::observe::read(&world.client, world.portal, Scope::All)
        .await
        .unwrap();
    let developers = world.client.developers(world.portal);
    developers
        .set_status(ann, &DeveloperStatus::Approved)
        .await
        .unwrap();
    world.sweep(Scope::All).await;
    let stored = world.directory.store(old, &seen).await.unwrap();
    assert_eq!(stored.differences, 0);
    let record = world
        .directory
        .developer(world.portal, ann)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(record.developer.status, DeveloperStatus::Approved);
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn an_address_is_that_of_everybody_who_differs_in_ascii_case_alone(pool: PgPool) {
    let world = World::new(pool).await;
    let ian = world.sign_up("ian", DeveloperStatus::Pending).await;
    let other = world.sign_up("other", DeveloperStatus::Pending).await;
    world.sweep(Scope::All).await;
    let found = async |email: &str| {
        let found = world
            .directory
            .find_developers_by_email(world.portal, email);
        found.await.unwrap()
    };
    for (theirs, asked, expected) in [
        // In Unicode İ is i in lower case, and so is the Kelvin sign k.
        ("\u{130}an@secret.example", "ian@secret.example", vec![ian]),
        (
            "\u{130}an@secret.example",
            "\u{130}AN@secret.example",
            vec![other],
        ),
        ("IAN@Secret.example", "ian@secret.example", vec![ian, other]),
    ] {
        sqlx::query("UPDATE subjects SET email = $1 WHERE developer_id = $2")
            .bind(theirs)
            .bind(other.0)
            .execute(world.journal.pool())
            .await
            .unwrap();
        let mut expected = expected;
        expected.sort();
        assert_eq!(found(asked).await, expected, "{theirs} {asked}");
    }
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn forgetting_empties_subjects_for_good(pool: PgPool) {
    let world = World::new(pool).await;
    let ann = world.sign_up("ann", DeveloperStatus::Pending).await;
    world.sweep(Scope::All).await;
    let found = world
        .directory
        .find_developers_by_email(world.portal, "ANN@secret.example");
    assert_eq!(found.await.unwrap(), [ann]);
    let kept = world.directory.forget(world.portal, ann).await.unwrap();
    assert!(kept.is_some_and(|kept| kept.email && kept.full_name && kept.before.is_none()));
    let kept = world.directory.forget(world.portal, ann).await.unwrap();
    assert!(kept.is_some_and(|kept| !kept.email && kept.before.is_some()));
    world.sweep(Scope::All).await;
    let record = world
        .directory
        .developer(world.portal, ann)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (record.subject.email, record.subject.full_name),
        (None, None)
    );
    assert_eq!(world.events().await.len(), 1);
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn the_loop_looks_by_time_and_on_hints_and_outlives_an_api_that_is_away(pool: PgPool) {
    let world = World::new(pool).await;
    world.emulator.set_faults([Fault {
        status: Some(503),
        ..Fault::default()
    }]);
    let lifecycle = Lifecycle::new();
    let observer = world.another_observer();
    let health = observer.health();
    lifecycle.spawn("observer", observer.run(lifecycle.clone()));
    let started = Instant::now();
    while health.problem().is_none() {
        assert!(
            started.elapsed() < DEADLINE,
            "nothing is said of an api that is away"
        );
        world.journal.appended(Duration::from_millis(10)).await;
    }
    assert!(
        health.problem().unwrap().contains("503"),
        "{:?}",
        health.problem()
    );

    world.emulator.set_faults([]);
    world.sign_up("ann", DeveloperStatus::Pending).await;
    world.wait_for("developer.signed_up", 1).await;
    world.sign_up("ben", DeveloperStatus::Pending).await;
    world.wait_for("developer.signed_up", 2).await;
    let started = Instant::now();
    while health.problem().is_some() {
        assert!(started.elapsed() < DEADLINE, "{:?}", health.problem());
        world.journal.appended(Duration::from_millis(10)).await;
    }
    lifecycle.shut_down().await;
    let leases = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM leases");
    assert_eq!(leases.fetch_one(world.journal.pool()).await.unwrap(), 0);
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn one_portal_that_is_refused_does_not_touch_the_others(pool: PgPool) {
    let world = World::new(pool).await;
    let made = world
        .emulator
        .seed(&json!({ "portals": [{ "name": "Refused" }] }))
        .unwrap();
    let refused: PortalId = made["portals"][0]["id"].as_str().unwrap().parse().unwrap();
    world.emulator.set_faults([Fault {
        path: format!("/v3/portals/{refused}"),
        status: Some(403),
        ..Fault::default()
    }]);
    let lifecycle = Lifecycle::new();
    let portals = vec![refused, world.portal];
    let observer = observer(&world.journal, &world.directory, &world.client, portals);
    let health = observer.health();
    lifecycle.spawn("observer", observer.run(lifecycle.clone()));
    world.sign_up("ann", DeveloperStatus::Pending).await;
    world.wait_for("developer.signed_up", 1).await;
    let started = Instant::now();
    while health.portal(refused).error.is_none() {
        assert!(
            started.elapsed() < DEADLINE,
            "nothing is said of the refused portal"
        );
        world.journal.appended(Duration::from_millis(10)).await;
    }
    assert_eq!(health.portal(world.portal).error, None);
    assert!(health.portal(world.portal).succeeded_at.is_some());
    lifecycle.shut_down().await;
    let kept = world
        .directory
        .look_state(refused)
        .await
        .unwrap()
        .last_error;
    assert!(kept.is_some_and(|error| error.contains("403")));
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn a_hint_is_answered_long_before_the_next_look_is_due(pool: PgPool) {
    let world = World::new(pool).await;
    world.sweep(Scope::All).await;
    let lifecycle = Lifecycle::new();
    let mut parts = parts(
        &world.journal,
        &world.directory,
        &world.client,
        vec![world.portal],
    );
    parts.config.pending_every = Duration::from_hours(1);
    lifecycle.spawn("observer", Observer::new(parts).run(lifecycle.clone()));
    for number in 1..=2 {
        world
            .sign_up(&format!("p{number}"), DeveloperStatus::Pending)
            .await;
        world.directory.hint(world.portal).await.unwrap();
        world.wait_for("developer.signed_up", number).await;
    }
    lifecycle.shut_down().await;
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn hints_are_one_until_a_look_that_began_after_them(pool: PgPool) {
    let world = World::new(pool).await;
    let hinted = async || {
        world
            .directory
            .look_state(world.portal)
            .await
            .unwrap()
            .is_hinted()
    };
    assert!(!hinted().await);
    world.directory.hint(world.portal).await.unwrap();
    world.directory.hint(world.portal).await.unwrap();
    assert!(hinted().await);
    let look = world.directory.begin(world.portal).await.unwrap();
    world.directory.hint(world.portal).await.unwrap();
    let snapshot = Snapshot::empty(world.portal, Scope::Pending);
    world.directory.store(look, &snapshot).await.unwrap();
    assert!(
        hinted().await,
        "a hint during the look waits for the next one"
    );
    world.sweep(Scope::Pending).await;
    assert!(!hinted().await);
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn a_portal_that_was_deleted_is_told_once(pool: PgPool) {
    let world = World::new(pool).await;
    world.sweep(Scope::All).await;
    let path = format!(
        "{}/v3/portals/{}?force=true",
        world.emulator.url(),
        world.portal
    );
    let deleted = reqwest::Client::builder().build().unwrap().delete(path);
    let answer = deleted
        .bearer_auth(world.emulator.token())
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 204);
    for _ in 0..2 {
        let outcome = world
            .observer
            .sweep_once(world.portal, Scope::Pending)
            .await;
        assert!(
            matches!(outcome, Err(ObserveError::PortalGone)),
            "{outcome:?}"
        );
    }
    assert_eq!(world.names().await, ["portal.removed"]);
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn without_configured_portals_all_that_the_token_sees_are_looked_at(pool: PgPool) {
    let world = World::new(pool).await;
    world
        .emulator
        .seed(&json!({ "portals": [{ "name": "Second" }] }))
        .unwrap();
    let observer = observer(&world.journal, &world.directory, &world.client, Vec::new());
    assert_eq!(observer.portals().await.unwrap().len(), 2);
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn who_signs_up_while_pages_are_read_is_found_at_the_next_look_and_nobody_is_lost(
    pool: PgPool,
) {
    let world = World::new(pool).await;
    let person = |portal: PortalId, number: usize| {
        json!({
            "portal_id": portal, "email": format!("{number}@secret.example"),
            "full_name": "Somebody", "status": "pending",
        })
    };
    let first: Vec<Value> = (0..230)
        .map(|number| person(world.portal, number))
        .collect();
    world
        .emulator
        .seed(&json!({ "developers": first }))
        .unwrap();
    // Slow pages, between which five more sign up each time.
    let list = format!("/v3/portals/{}/developers", world.portal);
    world.emulator.set_faults([Fault {
        path: list.clone(),
        latency_ms: 150,
        ..Fault::default()
    }]);
    world.emulator.clear_requests();
    let newcomers = async {
        for page in 1..=2 {
            let started = Instant::now();
            let read = || {
                let requests = world.emulator.requests();
                requests
                    .iter()
                    .filter(|request| request.path == list)
                    .count()
            };
            while read() < page {
                assert!(started.elapsed() < DEADLINE, "page {page} is not read");
                world.journal.appended(Duration::from_millis(5)).await;
            }
            let more: Vec<Value> = (0..5)
                .map(|number| person(world.portal, page * 1_000 + number))
                .collect();
            world.emulator.seed(&json!({ "developers": more })).unwrap();
        }
    };
    tokio::join!(world.sweep(Scope::All), newcomers);
    world.emulator.set_faults([]);
    let seen = world
        .directory
        .pending_developers(world.portal)
        .await
        .unwrap()
        .len();
    assert!(seen >= 230, "all who were there: {seen}");
    world.sweep(Scope::All).await;
    let names = world.names().await;
    assert_eq!(names.len(), 240, "each told once");
    assert!(names.iter().all(|name| name == "developer.signed_up"));
}

#[sqlx::test(migrator = "usher::journal::MIGRATOR")]
async fn a_look_that_goes_wrong_half_way_is_believed_in_nothing(pool: PgPool) {
    let world = World::new(pool).await;
    world.sign_up("ann", DeveloperStatus::Pending).await;
    world.sweep(Scope::All).await;
    world.sign_up("ben", DeveloperStatus::Pending).await;
    let developers = format!("/v3/portals/{}/developers", world.portal);
    let fault = |fault: Fault| Fault {
        method: Some("GET".to_owned()),
        path: developers.clone(),
        ..fault
    };
    let wrong = json!({ "data": { "id": "no list", "email": "eve@secret.example" } });
    let faults = [
        fault(Fault {
            status: Some(429),
            ..Fault::default()
        }),
        fault(Fault {
            cut: true,
            ..Fault::default()
        }),
        fault(Fault {
            status: Some(200),
            body: Some(wrong),
            ..Fault::default()
        }),
        fault(Fault {
            status: Some(404),
            ..Fault::default()
        }),
    ];
    for fault in faults {
        let told = format!("{fault:?}");
        world.emulator.set_faults([fault]);
        for scope in [Scope::Pending, Scope::All] {
            let outcome = world.observer.sweep_once(world.portal, scope).await;
            let error = outcome.expect_err(&told);
            assert!(matches!(error, ObserveError::Api(_)), "{told}: {error:?}");
            assert!(
                !error.chain().contains("secret"),
                "no body is told: {}",
                error.chain()
            );
        }
    }
    assert_eq!(world.names().await, ["developer.signed_up"]);
    assert!(
        !world
            .directory
            .portal(world.portal)
            .await
            .unwrap()
            .unwrap()
            .seen
            .is_gone()
    );
    world.emulator.set_faults([]);
    world.sweep(Scope::Pending).await;
    assert_eq!(world.names().await.len(), 2);
}
