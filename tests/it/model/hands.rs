//! What people do: who signs up, portal admins in Konnect, operators of usher.

use konnect_emulator::{Emulator, Fault};
use reqwest::{Client, Method};
use serde_json::{Map, Value, json};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use usher::act::{Action, ActionFilter, Intervened, Person as Operator, Queue, Verb};
use usher::clock::{Clock, Ids};
use usher::event::CustomEvent;
use usher::journal::{Journal, NewCustomEvent, NewCustomRequest, ReaderName, RequestRecord};
use uuid::Uuid;

use crate::model::instance::Place;
use crate::model::replay::Thing;
use crate::model::rules::LEFT;
use crate::model::world::World;
use crate::support::database::TestDatabase;
use crate::support::konnect::{FIXTURES, PARTNERS, PORTAL};

/// A team that gives nothing.
pub(super) const GUESTS: Uuid = Uuid::from_u128(0xc1);
/// An API that no rule gives away.
pub(super) const SCORES: Uuid = Uuid::from_u128(0xe1);
/// The user agent of what portal admins do.
pub(super) const ADMIN: &str = "admin";

/// Konnect and usher's database, as people reach them.
pub(super) struct Hands {
    pub(super) emulator: Emulator,
    pub(super) journal: Journal,
    pub(super) pool: PgPool,
    pub(super) queue: Queue,
    pub(super) clock: Clock,
    pub(super) ids: Ids,
    pub(super) place: Place,
    http: Client,
    faults: Vec<Fault>,
}

impl Hands {
    pub(super) async fn new(database: &TestDatabase) -> Self {
        let emulator = Emulator::start().await.unwrap();
        let seed = json!({
            "portals": [{ "id": PORTAL, "name": "Football APIs" }],
            "apis": [
                { "id": FIXTURES, "name": "Fixtures", "portal_id": PORTAL },
                { "id": SCORES, "name": "Scores", "portal_id": PORTAL },
            ],
            "teams": [
                { "id": PARTNERS, "portal_id": PORTAL, "name": "Partners" },
                { "id": GUESTS, "portal_id": PORTAL, "name": "Guests" },
            ],
        });
        emulator.seed(&seed).unwrap();
        let clock = Clock::system();
        let ids = Ids::new(clock.clone());
        let pool = PgPoolOptions::new().max_connections(3);
        let pool = pool.connect(&database.url()).await.unwrap();
        let journal = Journal::from_pool(pool.clone());
        journal.migrate().await.unwrap();
        journal
            .activate_readers(&[ReaderName::React])
            .await
            .unwrap();
        Self {
            place: Place {
                database: database.url(),
                konnect: emulator.url(),
                token: emulator.token().to_owned(),
            },
            queue: Queue::new(journal.clone(), clock.clone(), ids.clone()),
            http: Client::builder().user_agent(ADMIN).build().unwrap(),
            faults: Vec::new(),
            emulator,
            pool,
            journal,
            clock,
            ids,
        }
    }

    /// How many requests Konnect has answered: what is true from here on.
    pub(super) fn place(&self) -> usize {
        self.emulator.requests().len()
    }

    /// A portal admin changes something in Konnect, whatever trouble usher has with it.
    pub(super) async fn admin(&self, method: Method, path: &str, body: &Value) {
        self.emulator.set_faults([]);
        let url = format!("{}/v3/portals/{PORTAL}/{path}", self.place.konnect);
        let mut request = self
            .http
            .request(method, url)
            .bearer_auth(&self.place.token);
        if !body.is_null() {
            request = request.json(body);
        }
        let answer = request.send().await.unwrap();
        self.emulator.set_faults(self.faults.clone());
        // usher may have changed the same a moment before.
        assert!(
            answer.status().is_success() || [404, 409].contains(&answer.status().as_u16()),
            "{path} {body}: {answer:?}"
        );
    }

    /// How something is in the end, as Konnect itself shows it.
    pub(super) async fn shown(&self, world: &World, thing: Thing) -> String {
        let read = async |path: &str| -> Value {
            let url = format!("{}/v3/portals/{PORTAL}/{path}", self.place.konnect);
            let request = self.http.get(url).bearer_auth(&self.place.token);
            request.send().await.unwrap().json().await.unwrap()
        };
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        match thing {
            Thing::Status(id) => text(&read(&format!("developers/{id}")).await["status"]),
            Thing::Registration(id) => {
                let application = world.requests[&id].0.application;
                let path = format!("applications/{application}/registrations/{id}");
                text(&read(&path).await["status"])
            }
            Thing::Owner(id) => text(&read(&format!("applications/{id}")).await["owner"]["id"]),
            Thing::Membership(person, team) => {
                let teams = read(&format!("developers/{person}/teams")).await;
                let mut teams = teams["data"].as_array().unwrap().iter();
                let is_in = teams.any(|one| one["id"] == json!(team));
                (if is_in { "in" } else { "out" }).to_owned()
            }
        }
    }

    /// From now on calls go wrong in these ways.
    pub(super) fn trouble(&mut self, faults: Vec<Fault>) {
        self.faults = faults;
        self.emulator.set_faults(self.faults.clone());
    }

    /// An IAM system tells that somebody left the company.
    pub(super) async fn tell_of_leaving(&self, person: Uuid) {
        let now = self.clock.now();
        let id = self.ids.next();
        let key: [u8; 32] = [*id.as_bytes(), *id.as_bytes()]
            .concat()
            .try_into()
            .unwrap();
        let told = NewCustomRequest {
            request: RequestRecord {
                id: self.ids.next(),
                received_at: now,
                peer: "127.0.0.1".to_owned(),
                encoding: String::new(),
                body_bytes: 1,
                inflated_bytes: 1,
                status: 202,
                received: 1,
                stored: 0,
                duplicates: 0,
                quarantined: 0,
            },
            sender: "hr".to_owned(),
            events: vec![NewCustomEvent {
                key,
                content: key,
                subject: self.ids.next(),
                told: self.ids.next(),
                event: CustomEvent {
                    sender: "hr".to_owned(),
                    source: "/hr".to_owned(),
                    id: id.to_string(),
                    event_type: LEFT.to_owned(),
                    portal_id: PORTAL,
                    developer_id: Some(person),
                    registration_id: None,
                    person: None,
                    occurred_at: now,
                    data: Map::from_iter([
                        ("portal_id".to_owned(), json!(PORTAL)),
                        ("developer_id".to_owned(), json!(person)),
                    ]),
                    attributes: Map::new(),
                },
            }],
        };
        let stored = self.journal.append_custom(&told).await.unwrap();
        assert_eq!(stored.stored, 1);
    }

    /// All actions.
    pub(super) async fn actions(&self) -> Vec<Action> {
        let all = ActionFilter::default();
        self.queue.list(&all, None, 100_000).await.unwrap()
    }

    /// Whether an operator of usher's could do this to an action.
    pub(super) async fn operate(&self, action: Uuid, verb: Verb) -> bool {
        let done = self.queue.intervene(action, verb, &operator()).await;
        matches!(done.unwrap(), Intervened::Done(_))
    }

    /// What is planned, under way, or owed by the reactor.
    pub(super) async fn open(&self) -> Vec<String> {
        let rows: Vec<String> = sqlx::query_scalar(
            "SELECT concat_ws(' ', deed, target_id, state, reason, 'tried', attempts, 'leased until', leased_until,
                 'next at', next_attempt_at)
             FROM actions
             WHERE state IN ('planned', 'running')
             UNION ALL
             SELECT concat_ws(' ', 'batch', batch, 'is owed, claimed until', claimed_until)
             FROM outbox
             UNION ALL
             SELECT concat_ws(' ', 'to be judged:', work::text)
             FROM work",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap();
        rows
    }

    /// Lets others do at once what a killed instance had in hand, as if the half minute had passed
    /// that they would else wait. Which batches it had claimed nobody knows: where it was the only
    /// one, all.
    pub(super) async fn end_the_turn_of(&self, holder: Uuid, was_alone: bool) {
        if was_alone {
            sqlx::query("UPDATE outbox SET claimed_until = NULL")
                .execute(&self.pool)
                .await
                .unwrap();
        }
        sqlx::query("UPDATE leases SET expires_at = now() - interval '1 s' WHERE holder = $1")
            .bind(holder)
            .execute(&self.pool)
            .await
            .unwrap();
    }
}

/// Whoever operates usher.
pub(super) fn operator() -> Operator {
    Operator::new("ada", None).unwrap()
}
