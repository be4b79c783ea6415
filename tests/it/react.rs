//! From what a look shows, and from what Konnect's logs say, to what is done: real Postgres, the
//! emulated Konnect, real rules.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use usher::act::{Action, ActionState};
use usher::clock::Ids;
use usher::config::ObserveConfig;
use usher::directory::Scope;
use usher::event::{EventId, Signal, SignalKind, Verdict, parse};
use usher::journal::{
    EventFilter, Journal, Lane, MIGRATOR, NewBatch, NewEvent, ReaderName, Source,
};
use usher::observe::{Observer, Parts};
use usher::react::{Reactor, Settings, gather};
use usher::rules::{self, RuleSet};
use uuid::Uuid;

use crate::act::{APP, FIXTURES, KEVIN, PARTNERS, PORTAL, REGISTRATION, Stage, developer, quick};

const RULES: &str = r#"
version: 1
lists:
  partners: [manchestercity.com, arsenal.com]
rules:
  - name: partner-clubs
    on: developer.signed_up
    when: developer.status == "pending" && domain(developer.email) in lists.partners
    then: [approve_developer, {add_to_team: Partners}]
  - name: fixtures-api
    on: registration.requested
    when: registration.api.name == "Fixtures" && developer.teams.exists(t, t.name == "Partners")
    then: [approve_registration]
"#;

fn load(text: &str) -> Arc<RuleSet> {
    Arc::new(rules::load(text, "rules.yaml").unwrap())
}

/// A stage with a reactor at work, and an observer that looks when it is told to.
pub(crate) struct Scene {
    pub(crate) stage: Stage,
    pub(crate) observer: Observer,
    rules: watch::Sender<Arc<RuleSet>>,
}

impl Scene {
    pub(crate) async fn new(pool: PgPool, rules: &str) -> Self {
        let stage = Stage::new(pool).await;
        let observer = Observer::new(Parts {
            client: stage.client.clone(),
            journal: stage.journal.clone(),
            directory: stage.directory.clone(),
            clock: stage.clock.clone(),
            holder: Ids::new(stage.clock.clone()).next(),
            config: ObserveConfig::default(),
            portals: vec![PORTAL.into()],
        });
        let (rules, _) = watch::channel(load(rules));
        Self {
            stage,
            observer,
            rules,
        }
    }

    fn reactor(&self) -> Reactor {
        Reactor::new(
            self.stage.journal.clone(),
            self.stage.directory.clone(),
            self.rules.subscribe(),
            self.stage.queue.clone(),
            self.stage.clock.clone(),
            Settings::default(),
        )
    }

    /// Runs reactor and worker while `play` lasts.
    pub(crate) async fn during<T>(&self, play: impl Future<Output = T>) -> T {
        let (reactor, worker) = (self.reactor(), self.stage.worker(quick()));
        let stop = CancellationToken::new();
        let play = async {
            // What is appended before the reader is active is owed to nobody.
            let active = async || {
                sqlx::query_scalar::<_, bool>(
                    "SELECT EXISTS (SELECT FROM readers WHERE name = 'react')",
                )
                .fetch_one(self.stage.journal.pool())
                .await
                .unwrap()
            };
            eventually("the reader is active", active).await;
            let output = play.await;
            stop.cancel();
            output
        };
        let (output, (), ()) = tokio::join!(
            Box::pin(play),
            Box::pin(reactor.run(stop.clone())),
            Box::pin(worker.run(stop.clone())),
        );
        output
    }

    pub(crate) async fn look(&self) {
        let look = self.observer.sweep_once(PORTAL.into(), Scope::All);
        Box::pin(look).await.unwrap();
    }

    /// Nothing is owed by the reactor and nothing waits for the worker.
    async fn settled(&self) {
        let nothing_open = async || {
            let owed = self
                .stage
                .journal
                .backlog(ReaderName::React)
                .await
                .unwrap()
                .batches;
            let open = |state| matches!(state, ActionState::Planned | ActionState::Running);
            owed == 0
                && !self
                    .stage
                    .actions()
                    .await
                    .iter()
                    .any(|action| open(action.state))
        };
        eventually("everything is settled", nothing_open).await;
    }

    pub(crate) async fn append(&self, events: Vec<NewEvent>) {
        let batch = NewBatch {
            id: Ids::new(self.stage.clock.clone()).next(),
            source: Source::Webhook,
            lane: Lane::Live,
            part_of: None,
            received_at: self.stage.clock.now(),
            requests: Vec::new(),
            events,
            quarantined: Vec::new(),
        };
        self.stage.journal.append(&batch).await.unwrap();
    }

    pub(crate) async fn is_hinted(&self) -> bool {
        self.stage
            .directory
            .look_state(PORTAL.into())
            .await
            .unwrap()
            .hinted
    }
}

async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !condition().await {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) fn login(scene: &Scene, principal: Uuid, hours_ago: i64, verdict: Verdict) -> NewEvent {
    let at = scene.stage.clock.now() - chrono::TimeDelta::hours(hours_ago);
    let entry = json!({
        "cef_version": 0,
        "event_class_id": "AUTHENTICATION",
        "event_product": "Dev-Portal",
        "event_ts": at.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "event_vendor": "KongInc",
        "event_version": "1.0",
        "name": "AUTHENTICATION_OUTCOME_SUCCESS",
        "portal_id": PORTAL,
        "principal_id": principal,
        "rt": at.timestamp_millis().to_string(),
        "severity": 1,
        "success": "true",
    });
    let raw = entry.to_string().into_bytes();
    NewEvent {
        event: parse(&raw).unwrap(),
        raw,
        verdict,
        request: None,
    }
}

async fn newest(journal: &Journal, name: &str) -> Value {
    let filter = EventFilter {
        name: Some(name.to_owned()),
        ..EventFilter::default()
    };
    let events = journal.search(&filter, None, 1).await.unwrap();
    serde_json::from_slice(&events[0].raw).unwrap()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn lets_partners_in_and_nobody_who_only_looks_like_one(pool: PgPool) {
    let scene = Scene::new(pool, RULES).await;
    let stranger = Uuid::from_u128(0xb1);
    let seed = json!({ "developers": [
        developer(stranger, "eve@arsenal.com.evil.com", "pending"),
    ]});
    scene.stage.emulator.seed(&seed).unwrap();
    scene
        .during(async {
            scene.look().await;
            eventually("kevin is a partner", async || {
                scene.stage.is_partner(KEVIN).await
            })
            .await;
            // The next look shows the membership, and by it the registration is granted.
            scene.look().await;
            eventually("the registration is answered", async || {
                let writes = scene.stage.writes();
                writes.contains(&format!("PATCH registrations/{REGISTRATION} 200"))
            })
            .await;
            scene.settled().await;
        })
        .await;
    assert_eq!(scene.stage.status().await, "approved");
    let developers = scene.stage.client.developers(PORTAL.into());
    let eve = developers.get(stranger.into()).await.unwrap();
    assert_eq!(eve.status.as_str(), "pending");
    assert!(!scene.stage.is_partner(stranger).await);

    let told = newest(&scene.stage.journal, "developer.signed_up").await;
    assert_eq!(told["data"]["to_status"], "pending");
    let action = scene.stage.action("approve_developer").await;
    assert_eq!(action.causes.len(), 1);
    let facts: Value =
        sqlx::query_scalar("SELECT facts FROM actions WHERE deed = 'approve_developer'")
            .fetch_one(scene.stage.journal.pool())
            .await
            .unwrap();
    assert_eq!(facts["developer"]["email_domain"], "manchestercity.com");
    assert!(!facts.to_string().contains("kevin"), "{facts}");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_same_signals_again_do_nothing_twice(pool: PgPool) {
    let scene = Scene::new(pool, RULES).await;
    scene
        .during(async {
            scene.look().await;
            eventually("kevin is a partner", async || {
                scene.stage.is_partner(KEVIN).await
            })
            .await;
            scene.look().await;
            scene.settled().await;
        })
        .await;
    let (writes, actions) = (scene.stage.writes(), scene.stage.actions().await.len());

    // Everything that was ever appended is owed once more, as after a crash before it was struck
    // off, and a second reactor reads beside the first.
    let journal = &scene.stage.journal;
    journal.retire_reader(ReaderName::React).await.unwrap();
    journal
        .activate_reader(ReaderName::React, chrono::DateTime::UNIX_EPOCH)
        .await
        .unwrap();
    let second = scene.reactor();
    let stop = CancellationToken::new();
    let play = async {
        scene.during(scene.settled()).await;
        stop.cancel();
    };
    tokio::join!(Box::pin(play), Box::pin(second.run(stop.clone())));
    assert_eq!(scene.stage.writes(), writes);
    assert_eq!(scene.stage.actions().await.len(), actions);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_shadow_rule_writes_nothing_until_it_is_live(pool: PgPool) {
    let shadow = RULES.replace("    on: developer", "    mode: shadow\n    on: developer");
    let scene = Scene::new(pool, &shadow).await;
    scene
        .during(async {
            scene.look().await;
            scene.settled().await;
            eventually("the decision is written down", async || {
                scene.stage.actions().await.len() == 2
            })
            .await;
            let actions = scene.stage.actions().await;
            assert!(
                actions
                    .iter()
                    .all(|action| action.state == ActionState::Shadow)
            );
            assert!(scene.stage.writes().is_empty());

            // Whoever is pending is decided again when rules change.
            scene.rules.send(load(RULES)).unwrap();
            eventually("kevin is a partner", async || {
                scene.stage.is_partner(KEVIN).await
            })
            .await;
        })
        .await;
    let actions = scene.stage.actions().await;
    let done = actions
        .iter()
        .find(|action| action.state == ActionState::Done)
        .unwrap();
    assert_eq!(done.causes.len(), 1, "the event that told of the newcomer");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn nothing_is_decided_about_somebody_who_was_forgotten(pool: PgPool) {
    // To a condition an address that is not there looks like a stranger's.
    let rules = r"
version: 1
rules:
  - name: strangers
    on: developer.signed_up
    when: domain(developer.email) != 'manchestercity.com'
    then: [reject_developer]
  - name: everybody
    on: registration.requested
    then: [approve_registration]
";
    let scene = Scene::new(pool, rules).await;
    scene.look().await;
    let forgotten = scene.stage.directory.forget(PORTAL.into(), KEVIN.into());
    assert!(forgotten.await.unwrap().is_some());
    let eve = Uuid::from_u128(0xb1);
    let seed = json!({ "developers": [developer(eve, "eve@evil.example", "pending")] });
    scene.stage.emulator.seed(&seed).unwrap();
    scene
        .during(async {
            scene.look().await;
            eventually("eve is answered", async || !scene.stage.writes().is_empty()).await;
            scene.settled().await;
        })
        .await;
    assert_eq!(
        scene.stage.status().await,
        "pending",
        "kevin is left to a human"
    );
    assert_eq!(scene.stage.actions().await.len(), 1);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_usher_did_is_no_news_unless_a_rule_asks_for_it(pool: PgPool) {
    let more = r"
  - name: deaf
    on: developer.status_changed
    then: [{park: changed}]
  - name: all-ears
    on: developer.status_changed
    include_own: true
    then: [{park: changed by usher}]
";
    let scene = Scene::new(pool, &format!("{RULES}{more}")).await;
    scene
        .during(async {
            scene.look().await;
            eventually("kevin is a partner", async || {
                scene.stage.is_partner(KEVIN).await
            })
            .await;
            scene.look().await;
            eventually("the change was seen", async || {
                scene
                    .stage
                    .actions()
                    .await
                    .iter()
                    .any(|action| action.rule == "all-ears")
            })
            .await;
            scene.settled().await;
        })
        .await;
    assert!(
        !scene
            .stage
            .actions()
            .await
            .iter()
            .any(|action| action.rule == "deaf")
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_unknown_login_is_a_hint_if_it_is_fresh(pool: PgPool) {
    let scene = Scene::new(pool, "version: 1\nrules: []\n").await;
    scene.look().await;
    let nobody = Uuid::from_u128(0xbad);
    scene
        .during(async {
            scene
                .append(vec![login(&scene, nobody, 2, Verdict::Verified)])
                .await;
            scene
                .append(vec![login(&scene, KEVIN, 0, Verdict::Verified)])
                .await;
            eventually("both are read", async || {
                scene
                    .stage
                    .journal
                    .backlog(ReaderName::React)
                    .await
                    .unwrap()
                    .batches
                    == 0
            })
            .await;
        })
        .await;
    assert!(!scene.is_hinted().await);
    scene
        .during(async {
            scene
                .append(vec![login(&scene, nobody, 0, Verdict::Unsigned)])
                .await;
            eventually("a look is asked for", async || scene.is_hinted().await).await;
        })
        .await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn only_a_verified_login_is_a_signal(pool: PgPool) {
    let rules = r"
version: 1
rules:
  - name: greet
    on: developer.authenticated
    then: [{add_to_team: Partners}]
";
    let scene = Scene::new(pool, rules).await;
    scene.look().await;
    scene
        .during(async {
            for verdict in [Verdict::Unsigned, Verdict::Failed, Verdict::KeyUnknown] {
                scene.append(vec![login(&scene, KEVIN, 0, verdict)]).await;
            }
            scene.settled().await;
            assert!(scene.stage.actions().await.is_empty());
        })
        .await;
    scene
        .during(async {
            // The same entry with a better proof moves to the new batch.
            scene
                .append(vec![login(&scene, KEVIN, 0, Verdict::Verified)])
                .await;
            eventually("kevin is a partner", async || {
                scene.stage.is_partner(KEVIN).await
            })
            .await;
        })
        .await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_batch_that_cannot_be_read_holds_up_nobody(pool: PgPool) {
    let scene = Scene::new(pool, RULES).await;
    let journal = &scene.stage.journal;
    journal
        .activate_reader(ReaderName::React, chrono::DateTime::UNIX_EPOCH)
        .await
        .unwrap();
    scene
        .append(vec![login(&scene, KEVIN, 0, Verdict::Unsigned)])
        .await;
    sqlx::raw_sql("UPDATE events SET verdict = 'nonsense'")
        .execute(journal.pool())
        .await
        .unwrap();
    scene
        .during(async {
            scene.look().await;
            eventually("kevin is a partner", async || {
                scene.stage.is_partner(KEVIN).await
            })
            .await;
            eventually("the bad batch is left out", async || {
                journal.backlog(ReaderName::React).await.unwrap().batches == 0
            })
            .await;
        })
        .await;
}

/// Successful writes, by method and path.
fn effects(scene: &Scene) -> BTreeMap<String, usize> {
    let mut effects = BTreeMap::new();
    for request in scene.stage.emulator.requests() {
        if request.method != "GET" && request.status < 300 {
            let what = format!("{} {}", request.method, request.path);
            *effects.entry(what).or_default() += 1;
        }
    }
    effects
}

/// What a portal admin does in Konnect.
async fn by_hand(scene: &Scene, developer: Uuid, status: &str) {
    let developers = scene.stage.client.developers(PORTAL.into());
    let status = status.into();
    developers
        .set_status(developer.into(), &status)
        .await
        .unwrap();
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_week_sent_again_to_two_instances_does_no_deed_twice(pool: PgPool) {
    let greet = r"
  - name: greet
    on: developer.authenticated
    max_age: 8d
    limit_per_hour: 0
    then: [approve_developer, {add_to_team: Partners}]
";
    let scene = Scene::new(pool, &format!("{RULES}{greet}")).await;
    let people: Vec<Uuid> = (0..20).map(|n| Uuid::from_u128(0xb00 + n)).collect();
    let seed: Vec<Value> = people
        .iter()
        .map(|id| developer(*id, &format!("{id}@arsenal.com"), "pending"))
        .collect();
    scene
        .stage
        .emulator
        .seed(&json!({ "developers": seed }))
        .unwrap();
    // Everybody logs in on every other day of the week.
    let week: Vec<Vec<NewEvent>> = [0, 2, 4, 6]
        .into_iter()
        .map(|day| {
            let logins = people.iter();
            logins
                .map(|id| login(&scene, *id, day * 24 + 1, Verdict::Verified))
                .collect()
        })
        .collect();
    let send = async || {
        for day in &week {
            scene.append(day.clone()).await;
        }
    };
    scene
        .during(async {
            scene.look().await;
            send().await;
            scene.settled().await;
            scene.look().await;
            scene.settled().await;
        })
        .await;
    let first = effects(&scene);
    // Twenty people and kevin let in, all put into the team by one path, and kevin's request granted.
    assert_eq!(first.len(), 21 + 1 + 1, "{first:?}");

    let journal = &scene.stage.journal;
    let again = scene.reactor();
    let second_worker = scene.stage.worker(quick());
    let stop = CancellationToken::new();
    let play = async {
        scene
            .during(async {
                // Sent again as a redelivery and as a replay, and all that was stored is owed anew.
                send().await;
                journal.retire_reader(ReaderName::React).await.unwrap();
                journal
                    .activate_reader(ReaderName::React, chrono::DateTime::UNIX_EPOCH)
                    .await
                    .unwrap();
                send().await;
                scene.look().await;
                scene.settled().await;
            })
            .await;
        stop.cancel();
    };
    tokio::join!(
        Box::pin(play),
        Box::pin(again.run(stop.clone())),
        Box::pin(second_worker.run(stop.clone())),
    );
    assert_eq!(effects(&scene), first);
    let team = format!("POST /v3/portals/{PORTAL}/teams/{PARTNERS}/developers");
    for (what, times) in first {
        let expected = if what == team { 21 } else { 1 };
        assert_eq!(times, expected, "{what}");
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_revoked_partner_is_not_let_in_again_by_an_empty_database(pool: PgPool) {
    // Rules that forget to ask for the status.
    let careless = r"
version: 1
lists: {partners: [manchestercity.com, arsenal.com]}
rules:
  - name: partners
    on: developer.signed_up
    when: domain(developer.email) in lists.partners
    then: [approve_developer, {add_to_team: Partners}]
  - name: greet
    on: developer.authenticated
    when: domain(developer.email) in lists.partners
    then: [approve_developer, {add_to_team: Partners}]
";
    let scene = Scene::new(pool, careless).await;
    let neighbour = Uuid::from_u128(0xb1);
    let seed = json!({ "developers": [developer(neighbour, "ann@arsenal.com", "pending")] });
    scene.stage.emulator.seed(&seed).unwrap();
    for status in ["approved", "revoked"] {
        by_hand(&scene, KEVIN, status).await;
    }
    scene.stage.emulator.clear_requests();
    scene
        .during(async {
            scene.look().await;
            let logins = [KEVIN, neighbour].map(|id| login(&scene, id, 0, Verdict::Verified));
            scene.append(logins.to_vec()).await;
            eventually("the neighbour is a partner", async || {
                scene.stage.is_partner(neighbour).await
            })
            .await;
            scene.look().await;
            scene.settled().await;
        })
        .await;
    assert_eq!(scene.stage.status().await, "revoked");
    assert!(!scene.stage.is_partner(KEVIN).await);
    assert_eq!(effects(&scene).len(), 2, "{:?}", effects(&scene));
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn what_a_revocation_took_along_is_ushers_own_and_what_people_do_is_not(pool: PgPool) {
    let rules = r"
version: 1
rules:
  - name: show-out
    on: developer.authenticated
    then: [revoke_developer]
  - name: let-in
    on: developer.signed_up
    when: domain(developer.email) == 'arsenal.com'
    then: [approve_developer]
  - name: deaf-developer
    on: developer.status_changed
    then: [{park: deaf}]
  - name: deaf-registration
    on: registration.status_changed
    then: [{park: deaf}]
  - name: deaf-membership
    on: membership.changed
    then: [{park: deaf}]
  - name: ears-developer
    on: developer.status_changed
    include_own: true
    then: [{park: all ears}]
  - name: ears-registration
    on: registration.status_changed
    include_own: true
    then: [{park: all ears}]
  - name: ears-membership
    on: membership.changed
    include_own: true
    then: [{park: also ears}]
";
    let scene = Scene::new(pool, rules).await;
    let ann = Uuid::from_u128(0xb1);
    let seed = json!({ "developers": [developer(ann, "ann@arsenal.com", "pending")] });
    scene.stage.emulator.seed(&seed).unwrap();
    by_hand(&scene, KEVIN, "approved").await;
    let registrations = scene.stage.client.registrations(PORTAL.into());
    registrations
        .set_status(APP.into(), REGISTRATION.into(), &"approved".into())
        .await
        .unwrap();
    let teams = scene.stage.client.teams(PORTAL.into());
    teams
        .add_member(PARTNERS.into(), KEVIN.into())
        .await
        .unwrap();
    scene
        .during(async {
            scene.look().await;
            scene.settled().await;
            // Ann was let in by usher and is shown out by hand before anybody looks.
            by_hand(&scene, ann, "revoked").await;
            let login = login(&scene, KEVIN, 0, Verdict::Verified);
            scene.append(vec![login]).await;
            eventually("kevin is shown out", async || {
                let actions = scene.stage.actions().await;
                let is_done = |action: &Action| {
                    action.deed == "revoke_developer" && action.state == ActionState::Done
                };
                actions.iter().any(is_done)
            })
            .await;
            scene.look().await;
            scene.settled().await;
            eventually("all of it was heard", async || {
                let actions = scene.stage.actions().await;
                let heard = |rule: &str| actions.iter().any(|action| action.rule == rule);
                [
                    "ears-developer",
                    "ears-registration",
                    "ears-membership",
                    "deaf-developer",
                ]
                .into_iter()
                .all(heard)
            })
            .await;
        })
        .await;
    let deaf: Vec<(String, Uuid)> = scene
        .stage
        .actions()
        .await
        .into_iter()
        .filter(|action| action.rule.starts_with("deaf"))
        .map(|action| (action.rule, action.target.id()))
        .collect();
    assert_eq!(deaf, [("deaf-developer".to_owned(), ann)]);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_address_is_kept_only_for_a_rule_that_invites(pool: PgPool) {
    let scene = Scene::new(pool, "version: 1\nrules: []\n").await;
    let (directory, queue) = (&scene.stage.directory, &scene.stage.queue);
    let signal = Signal {
        kind: SignalKind::Custom("iam.joined".to_owned()),
        portal_id: PORTAL,
        developer_id: None,
        application_id: None,
        registration_id: None,
        key: Signal::key_of_custom("iam", "/iam", "1"),
        cause: EventId::from_uuid(FIXTURES),
        occurred_at: scene.stage.clock.now(),
        from_status: None,
        membership: None,
    };
    let inviting = load(
        "version: 1\nrules:\n  - name: invite\n    on: custom.iam.joined\n    then: [invite_developer]\n",
    );
    let nobody = load("version: 1\nrules: []\n");
    let kept = async || {
        sqlx::query_scalar::<_, i64>("SELECT count(*) FROM subjects")
            .fetch_one(scene.stage.journal.pool())
            .await
            .unwrap()
    };
    for (rules, email, expected) in [
        (&nobody, "new@arsenal.com", 0),
        (&inviting, "new@arsenal.com@evil.example", 0),
        (&inviting, "new@arsenal.com", 1),
        (&inviting, "new@arsenal.com", 1),
    ] {
        let event = json!({ "data": { "email": email, "name": "New" } });
        let event = event.as_object().cloned();
        let now = scene.stage.clock.now();
        let gathered = gather((directory, queue), &signal, event, false, now).await;
        let mut gathered = gathered.unwrap();
        gathered.keep_invitee(directory, rules).await.unwrap();
        assert_eq!(kept().await, expected, "{email}");
    }
}
