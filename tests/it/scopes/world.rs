//! One usher's record of two portals, of which the second comes later: whatever a token of the
//! first is shown must be the same before and after.

use serde_json::json;
use sqlx::PgPool;
use tempfile::TempDir;
use usher::act::{NewChain, NewStep, Person, Target, Verb};
use usher::config::{ConsoleToken, Role, Secret};
use usher::directory::Scope;
use usher::journal::MIGRATOR;
use usher::rules::{Deed, TeamRef};
use uuid::Uuid;

use crate::console::crowd::counted;
use crate::console::missed;
use crate::support::app::{TestApp, config};
use crate::support::database::TestDatabase;
use crate::support::scene::Scene;
use crate::support::stage::{APP, KEVIN, PORTAL, REGISTRATION, chain};

/// Stands in every name and address of the second portal, and its ids begin so: it must be nowhere.
pub(crate) const MARKS: [&str; 3] = ["bravo", "b0b0b0b0", "198.51.100."];
/// A token of the first portal, and one of it and of a portal that nobody knows: one portal and
/// several are compared in different ways.
pub(crate) const ONE: &str = "token-of-one";
pub(crate) const SEVERAL: &str = "token-of-several";

const fn bravo(number: u128) -> Uuid {
    Uuid::from_u128((0xb0b0_b0b0 << 96) + number)
}

/// The second portal and what is in it.
pub(crate) const BRAVO: Uuid = bravo(0xa0);
const API: Uuid = bravo(0xe0);
const TEAM: Uuid = bravo(0xc0);
pub(crate) const BOB: Uuid = bravo(0xb0);
pub(crate) const BOBS_APP: Uuid = bravo(0xd0);
pub(crate) const BOBS_REGISTRATION: Uuid = bravo(0xf0);

const RULES: &str = r#"version: 1
rules:
  - name: everywhere
    on: developer.signed_up
    when: developer.status == "pending"
    then: [{park: look}]
  - name: here-and-there
    on: registration.requested
    mode: shadow
    portals: ["00000000-0000-0000-0000-0000000000a0", "b0b0b0b0-0000-0000-0000-0000000000a0"]
    then: [approve_registration]
  - name: bravo-alone
    on: developer.signed_up
    portals: ["b0b0b0b0-0000-0000-0000-0000000000a0"]
    then: [{park: bravo}]
"#;

/// What one half of the record is about.
struct Half {
    portal: Uuid,
    developer: Uuid,
    registration: Target,
    team: &'static str,
    person: &'static str,
    rule: &'static str,
    src: &'static str,
}

const ALPHA_HALF: Half = Half {
    portal: PORTAL,
    developer: KEVIN,
    registration: Target::Registration {
        id: REGISTRATION,
        application_id: APP,
    },
    team: "Partners",
    person: "ada",
    rule: "everywhere",
    src: "192.0.2.7",
};

const BRAVO_HALF: Half = Half {
    portal: BRAVO,
    developer: BOB,
    registration: Target::Registration {
        id: BOBS_REGISTRATION,
        application_id: BOBS_APP,
    },
    team: "bravo team",
    person: "bravo boss",
    rule: "bravo-alone",
    src: "198.51.100.9",
};

/// Ids of the second portal that usher made: of events, actions, vetoes, batches, quarantine,
/// replay jobs.
#[derive(Debug, Default)]
pub(crate) struct Made {
    pub(crate) events: Vec<Uuid>,
    pub(crate) actions: Vec<Uuid>,
    pub(crate) vetoes: Vec<Uuid>,
    pub(crate) batches: Vec<Uuid>,
    pub(crate) quarantined: Vec<Uuid>,
    pub(crate) jobs: Vec<Uuid>,
}

impl Made {
    pub(crate) fn all(&self) -> impl Iterator<Item = Uuid> {
        self.by_kind().into_iter().flatten().copied()
    }
}

impl Made {
    /// Some of each.
    pub(crate) fn some(&self) -> impl Iterator<Item = Uuid> {
        let some = self.by_kind().into_iter();
        some.flat_map(|ids| ids.iter().take(2)).copied()
    }

    fn by_kind(&self) -> [&Vec<Uuid>; 5] {
        [
            &self.events,
            &self.actions,
            &self.vetoes,
            &self.quarantined,
            &self.jobs,
        ]
    }
}

/// The record, and what usher runs on it.
pub(crate) struct World {
    pool: PgPool,
    scene: Scene,
    folder: TempDir,
    pub(crate) made: Made,
}

impl World {
    /// With the first portal alone.
    pub(crate) async fn new() -> (Self, TestApp) {
        let database = TestDatabase::create().await;
        let pool = PgPool::connect(&database.url()).await.unwrap();
        MIGRATOR.run(&pool).await.unwrap();
        let scene = Scene::new(pool.clone(), RULES).await;
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("rules.yaml"), RULES).unwrap();
        let this = Self {
            pool,
            scene,
            folder,
            made: Made::default(),
        };
        this.fill(&ALPHA_HALF).await;
        let app = this.start(database).await;
        this.deliver(&app, &ALPHA_HALF).await;
        (this, app)
    }

    /// The same record with the second portal too.
    pub(crate) async fn grown(&mut self, app: TestApp) -> TestApp {
        let database = app.stop().await;
        self.scene
            .stage
            .emulator
            .seed(&json!({
                "portals": [{ "id": BRAVO, "name": "bravo portal" }],
                "apis": [{ "id": API, "name": "bravo api", "portal_id": BRAVO }],
                "teams": [{ "id": TEAM, "portal_id": BRAVO, "name": "bravo team" }],
                "developers": [{
                    "id": BOB, "portal_id": BRAVO, "email": "bob@bravo.example",
                    "full_name": "Bob bravo", "status": "pending",
                }],
                "applications": [{
                    "id": BOBS_APP, "portal_id": BRAVO, "name": "bravo app",
                    "owner": { "type": "developer", "id": BOB },
                }],
                "registrations": [{
                    "id": BOBS_REGISTRATION, "application_id": BOBS_APP, "api_id": API,
                    "status": "pending",
                }],
            }))
            .unwrap();
        self.fill(&BRAVO_HALF).await;
        missed::fill(&self.scene.stage.journal, BRAVO, "bravo was missed").await;
        let app = self.start(database).await;
        self.deliver(&app, &BRAVO_HALF).await;
        self.made = self.made().await;
        app
    }

    pub(crate) async fn finish(self, app: TestApp) {
        self.pool.close().await;
        drop(self.scene);
        app.finish().await;
    }

    /// What a sweep finds, a membership, and an action of every kind that people look at.
    async fn fill(&self, half: &Half) {
        let scene = &self.scene;
        scene.activate().await;
        let sweep = scene.observer.sweep_once(half.portal.into(), Scope::All);
        Box::pin(sweep).await.unwrap();
        let developer = Target::Developer { id: half.developer };
        let join = Deed::AddToTeam {
            team: TeamRef::Name(half.team.to_owned()),
            create: false,
        };
        let mut made = Vec::new();
        for (deed, target) in [
            (Deed::ApproveDeveloper, developer),
            (join, developer),
            (Deed::ApproveRegistration, half.registration),
        ] {
            let wanted = NewChain {
                portal_id: half.portal,
                rule: half.rule.to_owned(),
                signal_key: half.developer.to_string(),
                facts: json!({ "developer": { "name": half.person } }),
                steps: vec![NewStep {
                    deed,
                    target,
                    owned_by: None,
                }],
                ..chain(Vec::new())
            };
            made.push(scene.stage.enqueue(&wanted).await[0].id());
        }
        let person = Person::new(half.person, Some(half.person)).unwrap();
        let no = scene.stage.queue.intervene(made[0], Verb::Cancel, &person);
        no.await.unwrap();
        for (id, state) in [(made[1], "parked"), (made[2], "failed")] {
            let change = "UPDATE actions SET state = $2, reason = $3 WHERE id = $1";
            let change = sqlx::query(change).bind(id).bind(state).bind(half.person);
            change.execute(&self.pool).await.unwrap();
        }
        let join = "INSERT INTO directory_memberships
                (portal_id, team_id, developer_id, look, revision, first_seen_at, last_seen_at)
            SELECT portal_id, team_id, $2, 1, 1, now(), now()
            FROM directory_teams WHERE portal_id = $1";
        let join = sqlx::query(join).bind(half.portal).bind(half.developer);
        join.execute(&self.pool).await.unwrap();
    }

    async fn start(&self, database: TestDatabase) -> TestApp {
        let mut config = config("http://127.0.0.1:9");
        config.rules.path = Some(self.folder.path().join("rules.yaml"));
        let unknown = Uuid::from_u128(0xa1);
        for (token, portals) in [(ONE, vec![PORTAL]), (SEVERAL, vec![PORTAL, unknown])] {
            config.console.tokens.push(ConsoleToken {
                name: token.to_owned(),
                role: Role::Operator,
                portals: Some(portals),
                token: Secret::new(token.to_owned()),
            });
        }
        TestApp::start_on(config, database).await
    }

    /// Entries of the portal, one of the organisation's log about it, and what is no entry; then
    /// waits until all are counted.
    async fn deliver(&self, app: &TestApp, half: &Half) {
        let mut lines: Vec<String> = (0..6).map(|number| self.entry(half, number)).collect();
        lines.push(format!("no entry of {}", half.person));
        let (status, answer) = app.deliver(&lines).await;
        assert!(status.is_success(), "{answer}");
        assert_eq!(answer["stored"], 6, "{answer}");
        counted(app).await;
    }

    /// Log-ins that succeeded and failed, and a call by an admin, which names no portal.
    fn entry(&self, half: &Half, number: i64) -> String {
        let at = self.scene.stage.clock.now() - chrono::TimeDelta::minutes(70 + number);
        let is_call = number == 5;
        let mut entry = json!({
            "cef_version": 0, "event_class_id": "AUTHENTICATION", "event_product": "Dev-Portal",
            "event_ts": at.format("%Y-%m-%dT%H:%M:%SZ").to_string(), "event_vendor": "KongInc",
            "event_version": "1.0", "name": "AUTHENTICATION_OUTCOME_SUCCESS",
            "portal_id": half.portal, "principal_id": half.developer,
            "rt": at.timestamp_millis().to_string(), "severity": 1, "src": half.src,
            "success": (number % 2 == 0).to_string(), "trace_id": half.person,
        });
        if number % 2 == 1 {
            entry["name"] = json!("AUTHENTICATION_OUTCOME_INVALID_PASSWORD");
        }
        if is_call {
            let members = entry.as_object_mut().unwrap();
            members.remove("portal_id");
            entry["name"] = json!("Ingress");
            entry["act"] = json!("PATCH");
            entry["request"] = json!(format!("/v3/portals/{}", half.portal));
        }
        entry.to_string()
    }

    /// What was made of the second portal.
    async fn made(&self) -> Made {
        let ids = async |select: &'static str| -> Vec<Uuid> {
            let found = sqlx::query_scalar(select).bind(BRAVO.to_string());
            found.fetch_all(&self.pool).await.unwrap()
        };
        let made = Made {
            events: ids("SELECT id FROM events WHERE portal_id = $1").await,
            actions: ids("SELECT id FROM actions WHERE portal_id::text = $1").await,
            vetoes: ids("SELECT id FROM vetoes WHERE portal_id::text = $1").await,
            batches: ids("SELECT DISTINCT batch FROM events WHERE portal_id = $1").await,
            quarantined: ids("SELECT id FROM quarantine WHERE $1 <> ''").await,
            jobs: ids("SELECT id FROM replay_jobs WHERE source = $1").await,
        };
        let sizes = [
            made.events.len(),
            made.actions.len(),
            made.vetoes.len(),
            made.batches.len(),
            made.quarantined.len(),
            made.jobs.len(),
        ];
        assert!(sizes.iter().all(|size| *size > 0), "{sizes:?}");
        made
    }

    /// The states of the actions, vetoes and replay jobs of the second portal, and what was
    /// acknowledged there.
    pub(crate) async fn state(&self) -> Vec<String> {
        let all = "SELECT id || state FROM actions WHERE portal_id = $1
            UNION ALL
            SELECT id || COALESCE(lifted_by, 'in force') FROM vetoes WHERE portal_id = $1
            UNION ALL
            SELECT id || state FROM replay_jobs WHERE source = $1::text
            UNION ALL
            SELECT id || reason FROM coverage_acknowledgements WHERE source = $1::text
            ORDER BY 1";
        let all = sqlx::query_scalar(all).bind(BRAVO);
        all.fetch_all(&self.pool).await.unwrap()
    }
}

/// An id that nothing has, as like another as can be.
pub(crate) fn unknown(id: Uuid) -> Uuid {
    Uuid::from_u128(id.as_u128() ^ 0xffff_ffff)
}

/// What of the second portal stands in an answer; nothing if all is well.
pub(crate) fn leaks(text: &str, made: &Made) -> Option<String> {
    let marks = MARKS.iter().map(|&mark| mark.to_owned());
    let ids = made.all().map(|id| id.to_string());
    marks.chain(ids).find(|mark| text.contains(mark.as_str()))
}
