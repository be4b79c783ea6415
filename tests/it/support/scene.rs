//! A stage with a reactor at work, and an observer that looks when it is told to: from what a look
//! shows, and from what logs say, to what is done.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use usher::act::ActionState;
use usher::clock::Ids;
use usher::config::ObserveConfig;
use usher::directory::Scope;
use usher::event::{Verdict, parse};
use usher::journal::{EventFilter, Journal, Lane, NewBatch, NewEvent, ReaderName, Source};
use usher::observe::{Observer, Parts, Timings};
use usher::react::{Reactor, Settings};
use usher::rules::{self, RuleSet};
use uuid::Uuid;

use crate::support;
use crate::support::stage::{PORTAL, Stage, quick};

pub(crate) fn load(text: &str) -> Arc<RuleSet> {
    Arc::new(rules::load(text, "rules.yaml").unwrap())
}

/// One read that does not find an object is enough, so that a test need not wait for a second one.
pub(crate) const AT_ONCE: Timings = Timings {
    portals_every: Duration::from_millis(500),
    gone_after: Duration::ZERO,
    portal_gone_after: Duration::ZERO,
};

/// A stage with a reactor at work, and an observer that looks when it is told to.
pub(crate) struct Scene {
    pub(crate) stage: Stage,
    pub(crate) observer: Observer,
    pub(crate) rules: watch::Sender<Arc<RuleSet>>,
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
        })
        .with_timings(AT_ONCE);
        let (rules, _) = watch::channel(load(rules));
        Self {
            stage,
            observer,
            rules,
        }
    }

    pub(crate) fn reactor(&self) -> Reactor {
        Reactor::new(
            self.stage.journal.clone(),
            self.stage.directory.clone(),
            self.rules.subscribe(),
            self.stage.queue.clone(),
            self.stage.clock.clone(),
            Settings::default(),
        )
    }

    /// What is appended before that is owed to nobody.
    pub(crate) async fn activate(&self) {
        let readers = [ReaderName::React];
        self.stage.journal.activate_readers(&readers).await.unwrap();
    }

    /// Runs reactor and worker while `play` lasts.
    pub(crate) async fn during<T>(&self, play: impl Future<Output = T>) -> T {
        self.activate().await;
        let worker = self
            .stage
            .worker(quick())
            .with_rules(self.rules.subscribe());
        let reactor = self.reactor();
        let stop = CancellationToken::new();
        let play = async {
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

    /// Nothing is owed by the reactor, nothing is to be judged and nothing waits for the worker.
    pub(crate) async fn settled(&self) {
        let nothing_open = async || {
            let owed = support::owed_batches(&self.stage.journal, ReaderName::React).await;
            let open = |state| matches!(state, ActionState::Planned | ActionState::Running);
            owed == 0
                && self.promises().await == 0
                && !self
                    .stage
                    .actions()
                    .await
                    .iter()
                    .any(|action| open(action.state))
        };
        eventually("everything is settled", nothing_open).await;
    }

    /// How much is to be judged.
    async fn promises(&self) -> i64 {
        let count = sqlx::query_scalar("SELECT count(*) FROM work");
        count.fetch_one(self.stage.journal.pool()).await.unwrap()
    }

    pub(crate) async fn append(&self, events: Vec<NewEvent>) {
        self.append_from(Source::Webhook, events).await;
    }

    pub(crate) async fn append_from(&self, source: Source, events: Vec<NewEvent>) {
        let batch = NewBatch {
            id: Ids::new(self.stage.clock.clone()).next(),
            source,
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
            .sweep_state(PORTAL.into())
            .await
            .unwrap()
            .is_hinted()
    }
}

/// Waits as long as a busy machine may need.
pub(crate) async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    support::eventually(what, Duration::from_mins(1), condition).await;
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
        raw: raw.into(),
        verdict,
        request: None,
    }
}

pub(crate) async fn newest(journal: &Journal, name: &str) -> Value {
    let filter = EventFilter {
        name: Some(name.to_owned()),
        ..EventFilter::default()
    };
    let events = journal.search(&filter, None, 1).await.unwrap();
    serde_json::from_slice(&events[0].raw).unwrap()
}

/// Successful writes, by method and path.
pub(crate) fn effects(scene: &Scene) -> BTreeMap<String, usize> {
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
pub(crate) async fn set_by_hand(scene: &Scene, developer: Uuid, status: &str) {
    let developers = scene.stage.client.portal(PORTAL.into()).developers();
    let status = status.into();
    developers
        .set_status(developer.into(), &status)
        .await
        .unwrap();
}
