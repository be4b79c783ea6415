//! The JSON API as its clients see it: the directory, the rules, and a document that says what is
//! so.

mod conform;
mod directory;
mod document;
mod large;

use serde_json::json;
use sqlx::PgPool;
use tempfile::TempDir;
use usher::act::{Person, Verb};
use usher::rules::Deed;
use uuid::Uuid;

use crate::support::app::{TestApp, config};
use crate::support::database::TestDatabase;
use crate::support::scene::Scene;
use crate::support::stage::{APP, KEVIN, PARTNERS, PORTAL, chain, developer};

pub(crate) const TONY: Uuid = Uuid::from_u128(0xb9);
pub(crate) const PAUL: Uuid = Uuid::from_u128(0xba);

const RULES: &str = r#"
version: 1
rules:
  - name: partners
    on: developer.signed_up
    when: domain(developer.email) == "manchestercity.com"
    then:
      - approve_developer
      - add_to_team: Partners
      - notify: {url: "https://hooks.example.org/secret/path", format: slack}
    limit_per_hour: 7
    on_limit: park
    max_age: 90s
  - name: watched
    on: registration.requested
    then: [approve_registration]
    mode: shadow
    priority: 5
    portals: ["00000000-0000-0000-0000-00000000000a"]
"#;

/// An usher, not connected to Konnect, on a database that another one filled: with people, an
/// action of every history, a veto, an event and a quarantined line.
pub(crate) struct Filled {
    pub(crate) app: TestApp,
    /// The rules file is in it.
    _folder: TempDir,
}

impl Filled {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create().await;
        let pool = PgPool::connect(&database.url()).await.unwrap();
        usher::journal::MIGRATOR.run(&pool).await.unwrap();
        let scene = Scene::new(pool.clone(), RULES).await;
        let people = [
            developer(TONY, "Tony@Arsenal.com", "approved"),
            developer(PAUL, "paul_x@arsenal.com", "approved"),
        ];
        let seed = json!({ "developers": people });
        scene.stage.emulator.seed(&seed).unwrap();
        scene.activate().await;
        scene.look().await;
        let queue = &scene.stage.queue;
        let made = scene
            .stage
            .enqueue(&chain(vec![Deed::ApproveDeveloper]))
            .await;
        let person = Person::new("ada", Some("no partner")).unwrap();
        let done = queue.intervene(made[0].id(), Verb::Cancel, &person);
        done.await.unwrap();
        for statement in [
            format!(
                "INSERT INTO directory_memberships
                    (portal_id, team_id, developer_id, look, revision, first_seen_at, last_seen_at)
                VALUES ('{PORTAL}', '{PARTNERS}', '{TONY}', 1, 1, now(), now()),
                    ('{PORTAL}', '{PARTNERS}', '{PAUL}', 1, 1, now(), now())"
            ),
            format!(
                "UPDATE directory_developers SET gone_at = now() WHERE developer_id = '{PAUL}'"
            ),
            "INSERT INTO attempts (action, number, started_at, ended_at, outcome)
                SELECT id, 1, now(), now(), 'ok' FROM actions"
                .to_owned(),
            format!(
                "INSERT INTO coverage_sources (source, since, state, detail, good_to, polled_at)
                VALUES ('{PORTAL}', now() - interval '9 days', 'active', '', now(), now())"
            ),
            "INSERT INTO coverage_gaps
                (id, reason, starts_at, ends_at, detail, times, noted_at)
                VALUES (gen_random_uuid(), 'down', now() - interval '8 days', now(), 'x', 1, now())"
                .to_owned(),
            format!(
                "INSERT INTO replay_jobs
                    (id, source, starts_at, ends_at, origin, who, state, created_at, ended_at)
                VALUES (gen_random_uuid(), '{PORTAL}', now() - interval '1 day', now(), 'gap', '',
                    'failed', now(), now())"
            ),
        ] {
            sqlx::query(&statement).execute(&pool).await.unwrap();
        }
        pool.close().await;
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("rules.yaml");
        std::fs::write(&path, RULES).unwrap();
        let mut config = config("http://127.0.0.1:9");
        config.rules.path = Some(path);
        let app = TestApp::start_on(config, database).await;
        let entry = json!({
            "cef_version": 0, "event_class_id": "AUTHENTICATION", "event_product": "Dev-Portal",
            "event_ts": "2026-06-23T14:00:00Z", "event_vendor": "KongInc", "event_version": "1.0",
            "name": "AUTHENTICATION_OUTCOME_SUCCESS", "portal_id": PORTAL, "principal_id": KEVIN,
            "rt": "1782223200000", "severity": 1, "success": "true", "trace_id": 7,
        });
        app.deliver(&[entry.to_string(), "no entry".to_owned()])
            .await;
        Self {
            app,
            _folder: folder,
        }
    }
}

/// The application of the stage, and who owns it.
pub(crate) const OWNED: (Uuid, Uuid) = (APP, KEVIN);
