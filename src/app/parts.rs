//! The parts that work behind the ingest endpoint, started once the database answers.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use metrics::gauge;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::act::{self, Queue, Worker};
use crate::app::alert_sources as sources;
use crate::app::alerts::Alerts;
use crate::app::authorization;
use crate::app::backlog::Backlog;
use crate::app::clocks;
use crate::app::coverage::CoverageParts;
use crate::app::database;
use crate::app::konnect_client::Clients;
use crate::app::pull;
use crate::app::readers::Readers;
use crate::app::switch;
use crate::app::token;
use crate::app::upkeep::Upkeep;
use crate::backfill::Coverage;
use crate::clock::{Clock, Ids};
use crate::config::{Config, Secret};
use crate::directory::Directory;
use crate::http::health::{Condition, Health};
use crate::ingest::{self, IngestState, Spool};
use crate::intake::{Intake, KeyRing, recheck_until_stopped};
use crate::journal::{Journal, JournalError, ReaderName};
use crate::lifecycle::{Lifecycle, pause};
use crate::observe::{self, Observer};
use crate::publish::{Forwards, Publisher};
use crate::react::{self, Reactor, Troubles};
use crate::report::rollup::Keeper;
use crate::rules::RuleSet;
use crate::telemetry::metrics as names;

/// How often the condition of the parts is reported to `/readyz`.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// Everything that runs until the process stops.
pub(super) struct Parts {
    pub(super) journal: Journal,
    pub(super) directory: Directory,
    pub(super) actions: Queue,
    pub(super) ingest: IngestState,
    pub(super) spool: Option<Spool>,
    pub(super) intake: Intake,
    pub(super) keys: Arc<KeyRing>,
    pub(super) clients: Clients,
    pub(super) rules: watch::Sender<Arc<RuleSet>>,
    pub(super) publisher: Option<Publisher>,
    pub(super) forwards: Forwards,
    pub(super) health: Health,
    pub(super) clock: Clock,
    pub(super) ids: Ids,
    pub(super) config: Config,
}

impl Parts {
    /// Waits for the database, then starts every part as a task of `lifecycle`.
    ///
    /// # Errors
    /// If the database is of a newer usher; nothing was started then.
    pub(super) async fn start(self, lifecycle: Lifecycle) -> Result<(), JournalError> {
        let stopping = lifecycle.stopping();
        let readers = self.readers();
        self.start_without_database(&lifecycle);
        let ready = database::prepare(&self.journal, &readers, &self.health, &stopping).await?;
        if !ready {
            return Ok(());
        }
        let watch = database::watch(self.journal.clone(), self.health.clone(), stopping.clone());
        lifecycle.spawn("database", watch);
        let watch = clocks::watch(
            self.journal.clone(),
            self.clock.clone(),
            self.health.clone(),
            stopping.clone(),
        );
        lifecycle.spawn("clock", watch);
        if self.spool.is_some() {
            let drain = ingest::drain_until_stopped(
                self.ingest.clone(),
                self.journal.clone(),
                stopping.clone(),
            );
            lifecycle.spawn("spool", drain);
        }
        let upkeep = Upkeep {
            journal: self.journal.clone(),
            actions: self.actions.clone(),
            directory: self.directory.clone(),
            retention: self.config.retention.clone(),
            clock: self.clock.clone(),
            holder: self.ids.next(),
        };
        lifecycle.spawn("upkeep", upkeep.run(stopping.clone()));
        let switch = switch::watch(self.actions.clone(), self.health.clone(), stopping.clone());
        lifecycle.spawn("switch", switch);
        self.coverage().start_keeper(&lifecycle);
        self.start_keys(&lifecycle).await;
        let mut alerts = self.alerts();
        if self.config.konnect.token.is_some() {
            let (observed, paused) = self.start_onboarding(&lifecycle).await;
            alerts = alerts.with_own(sources::token(observed, paused));
            self.start_pull(&lifecycle);
        } else {
            info!("konnect.token is not set: events are recorded, nobody is let in");
        }
        lifecycle.spawn("alerts", alerts.run(stopping.clone()));
        let backlog = Backlog {
            journal: self.journal.clone(),
            wanted: readers.clone(),
            health: self.health.clone(),
            clock: self.clock.clone(),
        };
        lifecycle.spawn("backlog", backlog.run(stopping.clone()));
        let keeper = Keeper::new(self.journal.clone(), self.health.clone());
        lifecycle.spawn("report", keeper.run(stopping.clone()));
        let readers = Readers {
            journal: self.journal.clone(),
            wanted: readers,
            health: self.health.clone(),
            every: Readers::CHECK_EVERY,
        };
        lifecycle.spawn("readers", readers.run(stopping.clone()));
        self.forwards.start(&lifecycle);
        if let Some(publisher) = self.publisher {
            lifecycle.spawn("publish", async move { publisher.run(stopping).await });
        } else {
            info!("kafka.brokers is not set: nothing is published");
        }
        Ok(())
    }

    /// Starts what deliveries need while the database is away too.
    fn start_without_database(&self, lifecycle: &Lifecycle) {
        self.coverage().start_heartbeat(lifecycle);
        if let Some(spool) = self.spool.clone() {
            let probe = ingest::probe_until_stopped(spool, lifecycle.stopping());
            lifecycle.spawn("spool disk", probe);
        }
        let values = self.config.ingest.authorization.clone();
        if values.iter().any(Secret::is_of_file) {
            let watch = authorization::watch(values, self.ingest.clone(), lifecycle.stopping());
            lifecycle.spawn("authorization", watch);
        }
    }

    /// The readers of the outbox.
    fn readers(&self) -> Vec<ReaderName> {
        let mut readers = self.forwards.readers();
        readers.push(ReaderName::Report);
        readers.extend(self.publisher.is_some().then_some(ReaderName::Kafka));
        let reacts = self.config.konnect.token.is_some();
        readers.extend(reacts.then_some(ReaderName::React));
        readers
    }

    async fn start_keys(&self, lifecycle: &Lifecycle) {
        if let Err(error) = self.keys.load().await {
            warn!(
                error = &error as &dyn Error,
                "could not load the signing keys seen before"
            );
        }
        if let Err(error) = self.keys.refresh(self.clock.now()).await {
            warn!(
                error = &error as &dyn Error,
                "the signing keys are fetched when they are needed"
            );
        }
        let recheck = recheck_until_stopped(self.intake.clone(), lifecycle.stopping());
        lifecycle.spawn("recheck", recheck);
    }

    /// What keeps the account of the time that was seen.
    fn coverage(&self) -> CoverageParts<'_> {
        CoverageParts {
            config: &self.config,
            journal: &self.journal,
            client: &self.clients.audit_logs,
            refusals: self.ingest.refusals(),
            spool: self.spool.clone(),
            health: &self.health,
            clock: &self.clock,
            ids: &self.ids,
        }
    }

    /// Starts to pull the organisation's log, where that is asked for.
    fn start_pull(&self, lifecycle: &Lifecycle) {
        let client = &self.clients.audit_logs;
        let follower = pull::follower(
            &self.config.backfill,
            client.clone(),
            (self.journal.clone(), self.clock.clone()),
            self.health.clone(),
            self.ids.next(),
            lifecycle.stopping(),
        );
        if let Some(follower) = follower {
            lifecycle.spawn("pull", follower.run(lifecycle.stopping()));
        }
    }

    /// What is compared with what an operator was told, apart from the token.
    fn alerts(&self) -> Alerts {
        let mut alerts = Alerts::new(self.journal.clone(), self.ids.clone())
            .with(sources::outbox(self.journal.clone()))
            .with(sources::signatures(self.journal.clone()))
            .with(sources::coverage(
                Coverage::new(self.journal.clone(), &self.config.backfill),
                self.clock.clone(),
            ));
        if let Some(after) = self.config.backfill.silence_after {
            alerts = alerts.with(sources::silence(
                (self.journal.clone(), self.directory.clone()),
                self.config.konnect.portals.clone(),
                self.clock.clone(),
                after,
            ));
        }
        match self.spool.clone() {
            Some(spool) => alerts.with_own(sources::spool(spool)),
            None => alerts,
        }
    }

    /// Starts observing, reacting and acting; returns what shows whether the token is refused.
    async fn start_onboarding(
        &self,
        lifecycle: &Lifecycle,
    ) -> (observe::Health, watch::Receiver<bool>) {
        let portals = self.config.konnect.portals.iter().copied();
        let observer = Observer::new(observe::Parts {
            journal: self.journal.clone(),
            directory: self.directory.clone(),
            client: self.clients.deeds.clone(),
            config: self.config.observe.clone(),
            portals: portals.map(Into::into).collect(),
            clock: self.clock.clone(),
            holder: self.ids.next(),
        })
        .with_clients(self.clients.sweeps.clone());
        let reactor = Reactor::new(
            self.journal.clone(),
            self.directory.clone(),
            self.rules.subscribe(),
            self.actions.clone(),
            self.clock.clone(),
            react::Settings {
                own_principal: self.config.konnect.principal_id,
                calls_off: self.config.rules.path.is_some(),
                ..react::Settings::default()
            },
        );
        let worker = Worker::new(
            self.actions.clone(),
            self.directory.clone(),
            self.clients.deeds.clone(),
            act::Timings::default(),
        )
        .with_rules(self.rules.subscribe())
        .with_subject_limit(self.config.rules.limit_per_subject_per_day)
        .with_notify(self.config.notify.clone(), self.config.console.url.clone())
        .with_rate(self.config.konnect.requests_per_second);
        let stopping = lifecycle.stopping();
        if let Some(token) = self.config.konnect.token.clone().filter(Secret::is_of_file) {
            let client = self.clients.deeds.clone();
            lifecycle.spawn("token", token::watch(token, client, stopping.clone()));
        }
        // The rules may have changed while no instance ran: before any of their actions is claimed.
        reactor.call_off(&stopping).await;
        let refused = (observer.health(), worker.paused());
        let report = report(
            observer.health(),
            reactor.trouble(),
            (worker.paused(), worker.forbidden()),
            self.health.clone(),
            stopping.clone(),
        );
        lifecycle.spawn("report", report);
        lifecycle.spawn("observe", observer.run(lifecycle.clone()));
        let stop = stopping.clone();
        lifecycle.spawn("react", async move { reactor.run(stop).await });
        lifecycle.spawn("act", async move { worker.run(stopping).await });
        refused
    }
}

/// A kind of deed that waits, for `/readyz`.
fn describe(forbidden: &act::Forbidden) -> String {
    let act::Forbidden { kind, call } = forbidden;
    let (deed, portal) = (kind.deed, kind.portal_id);
    format!("{call} is forbidden: {deed} at portal {portal} waits for a role of the token")
}

/// Reports to `/readyz` how observing, reacting and acting go.
async fn report(
    observed: observe::Health,
    reacting: watch::Receiver<Troubles>,
    (paused, forbidden): (watch::Receiver<bool>, watch::Receiver<Vec<act::Forbidden>>),
    health: Health,
    cancel: CancellationToken,
) {
    while !pause(REPORT_EVERY, &cancel).await {
        let paused = *paused.borrow();
        gauge!(names::ACTIONS_PAUSED).set(if paused { 1.0 } else { 0.0 });
        let forbidden = forbidden
            .borrow()
            .iter()
            .map(describe)
            .reduce(|a, b| a + "; " + &b);
        match observed.problem().or(forbidden) {
            _ if paused => {
                health.set(
                    "konnect",
                    Condition::Degraded,
                    "the token is refused, actions wait",
                );
            }
            Some(problem) => health.set("konnect", Condition::Degraded, problem),
            None => health.set("konnect", Condition::Ok, ""),
        }
        let trouble = reacting.borrow().clone();
        match trouble.worst() {
            Some(trouble) => health.set("react", Condition::Degraded, trouble),
            None => health.set("react", Condition::Ok, ""),
        }
    }
}
