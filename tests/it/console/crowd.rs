//! An usher whose pages have something to show: people of three weeks, decisions in every state,
//! events of every kind and verdict, and what was set aside. Nothing goes on in it by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use konnect_emulator::Fault;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::PgPool;
use tempfile::TempDir;
use usher::act::{ActionState, NewChain, NewStep, Person, Target, Verb};
use usher::clock::Clock;
use usher::config::{Role, Secret};
use usher::event::Verdict;
use usher::journal::{Journal, MIGRATOR};
use usher::lifecycle::Lifecycle;
use usher::report::{Question, ReportName, Reports};
use usher::rules::Deed;
use uuid::Uuid;

use crate::console::missed::{self, Missed};
use crate::support::app::{TestApp, config};
use crate::support::database::TestDatabase;
use crate::support::eventually;
use crate::support::hooks::{Sender, joined, with_senders};
use crate::support::scene::{Scene, login};
use crate::support::sender::id_of;
use crate::support::signer::Signer;
use crate::support::stage::{FIXTURES, PORTAL, chain, fault};

/// Who came, the newest last: partners, users of free mail, one whom a rule rejects, and others.
const PEOPLE: [(&str, &str); 23] = [
    ("Amara Ashworth", "arsenal.com"),
    ("Ben Bellamy", "manchestercity.com"),
    ("Chloe Castillo", "liverpoolfc.com"),
    ("Dev Ashworth", "arsenal.com"),
    ("Elena Bellamy", "manchestercity.com"),
    ("Femi Castillo", "liverpoolfc.com"),
    ("Grace Ashworth", "arsenal.com"),
    ("Hugo Bellamy", "manchestercity.com"),
    ("Ines Castillo", "liverpoolfc.com"),
    ("Jonas Ashworth", "arsenal.com"),
    ("Keiko Bellamy", "manchestercity.com"),
    ("Liam Castillo", "liverpoolfc.com"),
    ("Mara Ashworth", "gmail.com"),
    ("Noor Bellamy", "gmx.de"),
    ("Otis Castillo", "hotmail.com"),
    ("Priya Ashworth", "gmail.com"),
    ("Quentin Bellamy", "gmx.de"),
    ("Rosa Castillo", "hotmail.com"),
    ("Mallory Bellamy", "arsenal.com.evil.example"),
    ("Sven Ashworth", "scoutreport.example"),
    ("Tara Bellamy", "scoutreport.example"),
    ("Uma Castillo", "scoutreport.example"),
    ("Viktor Ashworth", "scoutreport.example"),
];
/// So many of them are partners, and of these so many have an application.
const PARTNERS: usize = 12;
const WITH_APPLICATION: usize = 8;
/// Whom Konnect refuses to approve, and whom it approves at the second try.
const REFUSED: usize = 9;
const UNLUCKY: usize = 5;
/// Who waits, and whom nobody may let in but by hand.
const VETOED: usize = 19;

const RULES: &str = r#"# Who is let in, and by whom.
version: 1
lists:
  partners: [arsenal.com, manchestercity.com, liverpoolfc.com]
rules:
  - name: partner-clubs
    on: developer.signed_up
    when: developer.status == "pending" && domain(developer.email) in lists.partners
    then: [approve_developer, {add_to_team: Partners}]
  - name: second-look
    on: developer.signed_up
    when: developer.status == "pending" && is_freemail(developer.email)
    then: [{park: "a free mail address: is there a company behind it?"}]
  - name: look-alikes
    on: developer.signed_up
    when: developer.status == "pending" && domain(developer.email) == "arsenal.com.evil.example"
    then: [reject_developer]
  - name: tell-us
    on: developer.signed_up
    when: is_freemail(developer.email)
    mode: shadow
    then: [{notify: {url: "https://hooks.example.org/secret/path", format: slack}}]
  - name: fixtures-api
    on: registration.requested
    when: registration.api.name == "Fixtures" && developer.teams.exists(t, t.name == "Partners")
    then: [approve_registration]
"#;

/// Puts everybody where they would be if they had come one after the other, some 19 hours apart.
const SPREAD: &str = "
    UPDATE directory_developers d
    SET api_created_at = t.came, first_seen_at = t.came,
        approved_at = CASE WHEN d.approved_at IS NOT NULL THEN t.came + interval '3 seconds' END
    FROM (
        SELECT developer_id,
            now() - interval '19 hours' * row_number() OVER (ORDER BY developer_id DESC) AS came
        FROM directory_developers
    ) t
    WHERE t.developer_id = d.developer_id;
    UPDATE directory_applications a SET api_created_at = d.api_created_at + interval '2 hours'
    FROM directory_developers d WHERE d.developer_id = a.owner_id;
    UPDATE directory_registrations r
    SET api_created_at = a.api_created_at + interval '5 minutes',
        approved_at = CASE WHEN r.approved_at IS NOT NULL
            THEN a.api_created_at + interval '5 minutes 2 seconds' END
    FROM directory_applications a WHERE a.application_id = r.application_id;
    UPDATE actions n
    SET created_at = d.api_created_at + interval '1 second',
        updated_at = d.api_created_at + interval '3 seconds'
    FROM directory_developers d WHERE d.developer_id = n.target_id;
    UPDATE actions n
    SET created_at = r.api_created_at + interval '1 second',
        updated_at = r.api_created_at + interval '2 seconds'
    FROM directory_registrations r WHERE r.registration_id = n.target_id;
    UPDATE attempts t SET started_at = n.updated_at - interval '1 second', ended_at = n.updated_at
    FROM actions n WHERE n.id = t.action;
";

/// Actions in the states that none is left in when everything has settled.
const UNSETTLED: &str = "
    INSERT INTO actions (id, rule, deed, deed_key, spec, target_kind, target_id, portal_id, signal,
        signal_key, state, reason, causes, facts, chain_id, step, limit_per_hour, on_limit,
        attempts, next_attempt_at, lease, leased_until, created_at, updated_at)
    SELECT gen_random_uuid(), a.rule, a.deed, a.deed_key, a.spec, a.target_kind, d.developer_id,
        a.portal_id, a.signal, d.developer_id::text, d.state, d.reason, a.causes, a.facts,
        gen_random_uuid(), 0, a.limit_per_hour, a.on_limit, d.attempts,
        now() + interval '9 minutes',
        CASE WHEN d.state = 'running' THEN gen_random_uuid() END,
        CASE WHEN d.state = 'running' THEN now() + interval '1 hour' END,
        now() - interval '2 hours', now() - interval '1 hour'
    FROM (SELECT * FROM actions WHERE deed = 'approve_developer' AND state = 'done' LIMIT 1) a,
        (
            SELECT f.developer_id, t.*
            FROM (
                SELECT developer_id, row_number() OVER (ORDER BY developer_id DESC) AS place
                FROM directory_developers
            ) f
            JOIN (VALUES
                (1, 'refused', 'another rule rejects the same person', 0),
                (2, 'running', NULL, 1),
                (3, 'planned', 'the limit of 100 an hour is reached', 2)
            ) t (place, state, reason, attempts) ON t.place = f.place
        ) d
";

/// An entry that no key fitted until the end, as it is put aside.
const FORGED: &str = r#"
    INSERT INTO quarantine (id, received_at, batch, reason, detail, raw, raw_bytes)
    SELECT gen_random_uuid(), now() - interval '3 hours', gen_random_uuid(), 'signature_failed',
        'no key fits', convert_to(t.raw, 'UTF8'), length(t.raw)
    FROM (VALUES ('{"name":"AUTHENTICATION_OUTCOME_SUCCESS","sig":"bm8"}')) t (raw)
"#;

/// Entries that are delivered, and how far apart they are.
const ENTRIES: usize = 320;
const APART: TimeDelta = TimeDelta::minutes(31);
/// Entries of one delivery.
const OF_DELIVERY: usize = 80;
/// Longer than it takes to count everything.
const PATIENCE: Duration = Duration::from_mins(1);

/// The usher, and the ids of what has a page of its own.
pub(crate) struct Crowd {
    pub(crate) app: TestApp,
    /// One that is verified, of a person that the directory knows.
    pub(crate) event: Uuid,
    /// One whose signature no key fits so far.
    pub(crate) unproven: Uuid,
    /// Actions by state, one of each.
    pub(crate) actions: BTreeMap<&'static str, String>,
    pub(crate) quarantined: String,
    /// Replay jobs.
    pub(crate) missed: Missed,
    _folder: TempDir,
}

/// Somebody of [`PEOPLE`].
pub(crate) fn person(place: usize) -> Uuid {
    id(0x1000, place)
}

/// The application of one of the first of them.
pub(crate) fn application(place: usize) -> Uuid {
    id(0x2000, place)
}

fn id(first: u128, place: usize) -> Uuid {
    Uuid::from_u128(first + u128::try_from(place).unwrap())
}

impl Crowd {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create().await;
        let pool = PgPool::connect(&database.url()).await.unwrap();
        MIGRATOR.run(&pool).await.unwrap();
        Box::pin(fill(&pool)).await;
        let journal = Journal::from_pool(pool.clone());
        let missed = missed::fill(&journal, PORTAL, "deliveries were answered 503").await;
        pool.close().await;
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("rules.yaml");
        std::fs::write(&path, RULES).unwrap();
        let signer = Signer::new(7);
        let mut config = config(&signer.serve(&Lifecycle::new()).await);
        config.rules.path = Some(path);
        let mut auditor = config.console.tokens[0].clone();
        "auditor".clone_into(&mut auditor.name);
        auditor.role = Role::Reader;
        auditor.token = Secret::new("reader-token".to_owned());
        config.console.tokens.push(auditor);
        let iam = Sender::new("iam", 1);
        with_senders(&mut config, &[iam.entry(&json!({}))]);
        let app = TestApp::start_on(config, database).await;

        let now = Clock::system().now();
        let stranger = signer.stranger(9);
        let lines: Vec<String> = (0..ENTRIES)
            .map(|number| {
                let entry = entry(now, number).to_string();
                match number % 20 {
                    7 => entry,
                    13 => stranger.signed(&entry),
                    _ => signer.signed(&entry),
                }
            })
            .collect();
        for delivery in lines.chunks(OF_DELIVERY).rev() {
            assert_eq!(app.deliver(delivery).await.0, StatusCode::OK);
        }
        let bad = [
            "no entry".to_owned(),
            "{\"half\":".to_owned(),
            lines[1].clone(),
        ];
        assert_eq!(app.deliver(&bad).await.0, StatusCode::OK);
        let told = joined("1", "uma.castillo@scoutreport.example");
        let (status, answer) = iam.tell(&app, &told).await;
        assert!(status.is_success(), "{status}: {answer}");
        app.database.execute(FORGED).await;
        counted(&app).await;
        let quarantined = first(&app, "/api/v1/quarantine").await;
        let mut actions = BTreeMap::new();
        for state in ActionState::ALL.map(ActionState::as_str) {
            let path = format!("/api/v1/actions?state={state}");
            actions.insert(state, first(&app, &path).await);
        }
        Self {
            app,
            event: id_of(&lines[1]),
            unproven: id_of(&lines[13]),
            actions,
            quarantined,
            missed,
            _folder: folder,
        }
    }
}

/// The id of the first row of a list.
async fn first(app: &TestApp, path: &str) -> String {
    let rows = app.rows(path).await;
    let row = rows.first().unwrap_or_else(|| panic!("{path} is empty"));
    row["id"].as_str().unwrap().to_owned()
}

/// Waits until reports have counted everything, so that bars and tiles show it.
pub(crate) async fn counted(app: &TestApp) {
    let pool = PgPool::connect(&app.database.url()).await.unwrap();
    let reports = Reports::new(Journal::from_pool(pool.clone()));
    let question = Question::default();
    eventually("everything is counted", PATIENCE, async || {
        let answer = reports.ask(ReportName::Activity, &question).await.unwrap();
        let owed = sqlx::query_scalar("SELECT count(*) FROM outbox WHERE reader = 'report'");
        let owed: i64 = owed.fetch_one(&pool).await.unwrap();
        answer.is_complete && owed == 0
    })
    .await;
    pool.close().await;
}

/// What was decided and done before this usher starts.
async fn fill(pool: &PgPool) {
    let scene = Scene::new(pool.clone(), RULES).await;
    scene.stage.emulator.seed(&everybody()).unwrap();
    let problem = json!({ "status": 400, "title": "Bad Request", "detail": "the plan is full" });
    let write = |place: usize| {
        let path = format!("/v3/portals/*/developers/{}", person(place));
        fault("PATCH", &path)
    };
    scene.stage.emulator.set_faults([
        Fault {
            status: Some(400),
            body: Some(problem),
            ..write(REFUSED)
        },
        Fault {
            status: Some(503),
            times: Some(1),
            ..write(UNLUCKY)
        },
    ]);
    let play = scene.during(async {
        scene.look().await;
        scene.settled().await;
        // Shows the memberships, by which registrations are granted.
        scene.look().await;
        scene.settled().await;
        scene.look().await;
    });
    Box::pin(play).await;
    by_hand(&scene).await;
    let forged = login(&scene, person(3), 30, Verdict::Failed);
    scene.append(vec![forged]).await;
    sqlx::raw_sql(SPREAD).execute(pool).await.unwrap();
    sqlx::raw_sql(UNSETTLED).execute(pool).await.unwrap();
}

/// What people did: one of those that waited is turned away, and somebody's approval is called off.
async fn by_hand(scene: &Scene) {
    let queue = &scene.stage.queue;
    let grace = Person::new("grace", Some("no company behind it")).unwrap();
    let actions = scene.stage.actions().await.into_iter();
    let mut parked = actions.filter(|action| action.state == ActionState::Parked);
    let parked = parked.next().expect("whoever has free mail waits");
    let rejected = queue.intervene(parked.id, Verb::Reject, &grace);
    rejected.await.unwrap();
    let approval = NewChain {
        signal_key: person(VETOED).to_string(),
        steps: vec![NewStep {
            deed: Deed::ApproveDeveloper,
            target: Target::Developer { id: person(VETOED) },
            owned_by: None,
        }],
        ..chain(Vec::new())
    };
    let made = scene.stage.enqueue(&approval).await;
    let ada = Person::new("ada", Some("asked by phone: no partner")).unwrap();
    let called_off = queue.intervene(made[0].id(), Verb::Cancel, &ada);
    called_off.await.unwrap();
}

/// Everybody, as the emulator takes them.
fn everybody() -> Value {
    let developers = (0..).zip(PEOPLE).map(|(place, (name, domain))| {
        let address = name.to_lowercase().replace(' ', ".");
        json!({
            "id": person(place), "portal_id": PORTAL, "email": format!("{address}@{domain}"),
            "full_name": name, "status": "pending",
        })
    });
    let owners = (0..).zip(PEOPLE).take(WITH_APPLICATION);
    let applications = owners.map(|(place, (name, _))| {
        let first = name.split(' ').next().unwrap_or_default();
        json!({
            "id": application(place), "portal_id": PORTAL,
            "name": format!("{}-app", first.to_lowercase()),
            "owner": { "type": "developer", "id": person(place) },
        })
    });
    let registrations = (0..WITH_APPLICATION - 2).map(|place| {
        json!({
            "id": id(0x3000, place), "application_id": application(place), "api_id": FIXTURES,
            "status": "pending",
        })
    });
    json!({
        "developers": developers.collect::<Vec<_>>(),
        "applications": applications.collect::<Vec<_>>(),
        "registrations": registrations.collect::<Vec<_>>(),
    })
}

/// One of the entries that come in: most are log-ins of partners.
fn entry(now: DateTime<Utc>, number: usize) -> Value {
    let at = now - APART * i32::try_from(number).unwrap() - TimeDelta::minutes(2);
    let who = person(number * 7 % PARTNERS);
    let name = match number % 11 {
        3 => "AUTHENTICATION_OUTCOME_INVALID_PASSWORD",
        6 => "AUTHENTICATION_OUTCOME_NOT_FOUND",
        8 => "Authz.portal",
        9 => "Ingress",
        10 => "Something.nobody.described",
        _ => "AUTHENTICATION_OUTCOME_SUCCESS",
    };
    let mut entry = json!({
        "cef_version": 0, "event_class_id": "AUTHENTICATION_TYPE_BASIC",
        "event_product": "Dev-Portal", "event_ts": at.to_rfc3339_opts(SecondsFormat::Secs, true),
        "event_vendor": "KongInc", "event_version": "1.0", "name": name,
        "org_id": Uuid::from_u128(0x09), "portal_id": PORTAL, "principal_id": who,
        "request": "/api/v3/developer/authenticate", "rt": at.timestamp_millis().to_string(),
        "severity": 0, "src": format!("198.51.100.{}", 10 + number % PARTNERS),
        "success": if name.ends_with("SUCCESS") { "true" } else { "false" },
        "trace_id": 3_360_194_145_499_000_000_u64 + u64::try_from(number).unwrap(),
        "user_agent": "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/128.0",
    });
    if name == "Ingress" {
        entry["act"] = json!("PATCH");
        entry["request"] = json!(format!("/v3/portals/{PORTAL}/developers/{who}"));
        entry["status"] = json!("200");
    }
    entry
}
