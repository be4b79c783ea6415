//! Looks at a real emulator over HTTP, kept in a real Postgres: one database and one emulator a
//! test.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, in its helpers too"
)]

mod changes;
mod gone;
mod large;
mod lists;
mod loops;
mod people;
mod portals;
mod set_aside;
mod short;
mod vast;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use konnect::{
    ApiId, ApplicationId, ApplicationOwner, Client, DeveloperId, DeveloperStatus, NewApplication,
    NewDeveloper, NewRegistration, NewTeam, OwnerType, PortalId, RegistrationStatus, RetryPolicy,
    TeamId,
};
use konnect_emulator::{Emulator, Fault};
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
        let emulator = Emulator::start().await.unwrap();
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
            .portal(self.portal)
            .developers()
            .create(&developer)
            .await
            .unwrap()
            .id
    }

    async fn application(&self, owner: DeveloperId) -> ApplicationId {
        let application = NewApplication {
            name: "App".to_owned(),
            description: None,
            labels: BTreeMap::new(),
            dcr_client_id: None,
            client_id: None,
            auth_strategy_id: None,
            owner: ApplicationOwner {
                kind: OwnerType::Developer,
                id: owner.0,
            },
        };
        self.client
            .portal(self.portal)
            .applications()
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
            .portal(self.portal)
            .teams()
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
        .portal(world.portal)
        .teams()
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
        .portal(world.portal)
        .teams()
        .add_member(team, ann)
        .await
        .unwrap();
    let application = world.application(ann).await;
    let request = NewRegistration {
        api_id: world.api,
        status: Some(RegistrationStatus::Pending),
    };
    let registrations = world.client.portal(world.portal).registrations();
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
