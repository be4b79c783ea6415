//! A local Konnect: the portal management and audit-log APIs with state and validation, a developer
//! portal's self-service, signed deliveries with Konnect's retries, replay jobs, and faults on
//! demand. Its types are its own: a wrong model in a client must not find itself confirmed here.
//! Everything lives in memory and on one port.
//!
//! `POST /emulator/seed` (or [`Emulator::seed`]) makes objects at once; its `crowds` make thousands
//! of developers alike, `{"crowds": [{"portal_id": "…", "count": 10000, "email":
//! "p{n}@arsenal.com"}]}`. `POST /emulator/faults` (or [`Emulator::set_faults`]) says which calls
//! go wrong, by method, path, count and share, and how: another answer, a slow, broken or cut one,
//! or something new that is not found yet; see [`Fault`]. [`DeliveryFault`] does the same for the
//! batches of deliveries, [`ReplayFault`] for replay jobs.

mod answer;
mod audit;
mod call;
mod clock;
mod control;
mod delivery;
mod delivery_faults;
mod entry;
mod faults;
mod fields;
mod forms;
mod gateway;
mod history;
mod incoming;
mod kind;
mod listener;
mod operation;
mod portal_api;
mod problem;
mod query;
mod replay_faults;
mod request_log;
mod resource;
mod resources;
mod routes;
mod row;
mod rule;
mod seed;
mod settings;
mod signing;
mod singleton;
mod state;
mod validate;
mod workers;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::Router;
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

pub use crate::{
    audit::DeliveryAttempt,
    delivery_faults::DeliveryFault,
    faults::Fault,
    history::MadeEntry,
    replay_faults::{FailAt, ForeignJob, ReplayFault},
    request_log::LoggedRequest,
    rule::Scope,
    settings::{CursorForm, DeliverySettings, PullSettings},
};
use crate::{
    clock::{Clock, new_trace_id},
    delivery::Senders,
    entry::{Entry, Origin},
    faults::Faults,
    history::RETENTION,
    listener::{CuttableListener, Peer},
    request_log::RequestLog,
    rule::{Rule, Rules},
    state::World,
};

/// How long `stop` lets requests in flight end by themselves.
const GRACE: Duration = Duration::from_secs(2);

/// Where the emulator listens and which token it wants.
#[derive(Debug, Clone)]
pub struct EmulatorConfig {
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The bearer token that management calls must carry.
    pub token: String,
}

impl Default for EmulatorConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            token: "kpat_emulator".to_owned(),
        }
    }
}

/// Why the emulator could not start, or a control was refused.
#[derive(Debug, thiserror::Error)]
pub enum EmulatorError {
    /// The address is not free or not ours.
    #[error("could not listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The client for deliveries could not be made.
    #[error("could not make the delivery client")]
    Client(#[source] reqwest::Error),
    /// What was to be seeded or set is not valid.
    #[error("could not apply the control: {0}")]
    Control(String),
}

/// What all tasks of one emulator share.
#[derive(Debug)]
pub(crate) struct Shared {
    token: String,
    clock: Clock,
    senders: Senders,
    tracker: TaskTracker,
    /// Ends every task.
    end: CancellationToken,
    world: Mutex<World>,
    faults: Mutex<Faults>,
    log: Mutex<RequestLog>,
}

/// A panic of one request leaves consistent data behind often enough to go on.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn world(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.faults)
    }

    fn log(&self) -> MutexGuard<'_, RequestLog> {
        lock(&self.log)
    }

    fn origin(&self, org_id: Uuid) -> Origin {
        Origin {
            at: self.clock.now(),
            org_id,
            src: "127.0.0.1".to_owned(),
            user_agent: "konnect-emulator".to_owned(),
            trace_id: new_trace_id(),
        }
    }

    fn seed(&self, seed: &Value) -> Result<Value, String> {
        let mut world = self.world();
        let origin = self.origin(world.org_id);
        seed::plant(&mut world, seed, &origin)
    }

    fn inject(&self, portal: Option<Uuid>, entries: &[Map<String, Value>]) -> Result<(), String> {
        let mut world = self.world();
        world.expect_scope(portal.map(Scope::Portal))?;
        let origin = self.origin(world.org_id);
        for members in entries {
            world
                .audit
                .record(portal, Entry::injected(members, &origin, portal), origin.at);
        }
        Ok(())
    }

    /// Checks rules and puts all of them in force, or none.
    fn add_rules<R: Rule>(
        &self,
        of: fn(&mut World) -> &mut Rules<R>,
        replace: bool,
        rules: impl IntoIterator<Item = R>,
    ) -> Result<Vec<R>, String> {
        let mut world = self.world();
        let rules: Vec<R> = rules.into_iter().collect();
        for rule in &rules {
            rule.check()?;
            world.expect_scope(rule.when().portal)?;
        }
        let all = of(&mut world);
        if replace {
            all.clear();
        }
        all.add(rules);
        Ok(all.all())
    }

    /// Starts a job as if somebody else had asked for it, and shows it.
    fn start_foreign_job(&self, job: &ForeignJob) -> Result<Value, String> {
        let mut world = self.world();
        world.expect_scope(Some(job.portal))?;
        let now = self.clock.now();
        let end_at = job.end_at.unwrap_or(now);
        let start_at = job.start_at.unwrap_or(end_at - TimeDelta::hours(1));
        if start_at > end_at || end_at > now {
            return Err("start_at comes before end_at, and end_at is not in the future".to_owned());
        }
        if start_at < now - RETENTION {
            return Err("start_at is within the last 7 days".to_owned());
        }
        let source = job.portal.portal_id();
        let stream = world.audit.stream(source);
        if stream.destination.is_none() {
            return Err(format!("the webhook of {} is not configured", job.portal));
        }
        if stream
            .job
            .as_ref()
            .is_some_and(|job| job.status == "running")
        {
            return Err(format!("a replay job of {} is running", job.portal));
        }
        let window = (start_at, end_at);
        world.audit.start_course(source, window, job.into(), now);
        Ok(resources::replay_jobs::view(
            world.audit.stream(source).job.as_ref(),
        ))
    }

    fn rotate_keys(&self, drop_old: bool) -> String {
        let keys = &mut self.world().audit.keys;
        if drop_old { keys.replace() } else { keys.add() }
    }
}

/// A running emulator. Dropping it ends its tasks too, without waiting for them.
#[derive(Debug)]
pub struct Emulator {
    shared: Arc<Shared>,
    address: SocketAddr,
    /// Ends connections that outlive the grace period.
    cut_all: CancellationToken,
}

impl Emulator {
    /// Binds the address and serves from then on. Must be called on a tokio runtime.
    pub async fn start(config: EmulatorConfig) -> Result<Self, EmulatorError> {
        let failed = |source| EmulatorError::Listen {
            address: config.listen,
            source,
        };
        let listener = TcpListener::bind(config.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared {
            token: config.token,
            clock: Clock::default(),
            senders: Senders::new()?,
            tracker: TaskTracker::new(),
            end: CancellationToken::new(),
            world: Mutex::new(World::new()),
            faults: Mutex::default(),
            log: Mutex::default(),
        });
        let cut_all = CancellationToken::new();
        let service = Router::new()
            .fallback(gateway::handle)
            .with_state(Arc::clone(&shared))
            .into_make_service_with_connect_info::<Peer>();
        let server = axum::serve(CuttableListener::new(listener, cut_all.clone()), service)
            .with_graceful_shutdown(shared.end.clone().cancelled_owned());
        shared.tracker.spawn(async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "the emulator's server ended");
            }
        });
        Ok(Self {
            shared,
            address,
            cut_all,
        })
    }

    /// Returns the base URL, without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the token that management calls must carry.
    pub fn token(&self) -> &str {
        &self.shared.token
    }

    /// Returns the organisation that audit entries name.
    pub fn org_id(&self) -> Uuid {
        self.shared.world().org_id
    }

    /// Returns the principal that audit entries name for calls with the token.
    pub fn principal_id(&self) -> Uuid {
        self.shared.world().principal_id
    }

    /// Ends all tasks: requests in flight have two seconds, then their connections are cut.
    pub async fn stop(self) {
        self.shared.end.cancel();
        self.shared.tracker.close();
        if tokio::time::timeout(GRACE, self.shared.tracker.wait())
            .await
            .is_err()
        {
            self.cut_all.cancel();
            self.shared.tracker.wait().await;
        }
    }

    /// Makes objects as `POST /emulator/seed` does and returns them with their ids.
    pub fn seed(&self, seed: &Value) -> Result<Value, EmulatorError> {
        self.shared.seed(seed).map_err(EmulatorError::Control)
    }

    /// Puts these faults in place of those in force.
    pub fn set_faults(&self, faults: impl IntoIterator<Item = Fault>) {
        let mut all = self.shared.faults();
        all.clear();
        all.add(faults);
    }

    /// Returns the journal of API requests, oldest first.
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.shared.log().find(None, None)
    }

    /// Forgets the journal.
    pub fn clear_requests(&self) {
        self.shared.log().clear();
    }

    /// Returns how deliveries are made.
    pub fn delivery_settings(&self) -> DeliverySettings {
        self.shared.world().audit.settings.clone()
    }

    /// Changes how deliveries are made.
    pub fn set_delivery_settings(&self, settings: &DeliverySettings) -> Result<(), EmulatorError> {
        let settings = settings
            .merged(&Map::new())
            .map_err(EmulatorError::Control)?;
        self.shared.world().audit.settings = settings;
        Ok(())
    }

    /// Changes how the pull API pages.
    pub fn set_pull_settings(&self, settings: &PullSettings) -> Result<(), EmulatorError> {
        let settings = settings
            .merged(&Map::new())
            .map_err(EmulatorError::Control)?;
        self.shared.world().audit.pull = settings;
        Ok(())
    }

    /// Returns all delivery attempts, oldest first.
    pub fn deliveries(&self) -> Vec<DeliveryAttempt> {
        self.shared.world().audit.attempts()
    }

    /// Puts these faults of deliveries in place of those in force.
    pub fn set_delivery_faults(
        &self,
        faults: impl IntoIterator<Item = DeliveryFault>,
    ) -> Result<(), EmulatorError> {
        self.shared
            .add_rules(|world| &mut world.audit.delivery_faults, true, faults)
            .map(drop)
            .map_err(EmulatorError::Control)
    }

    /// Returns the faults of deliveries in force, with what is left of their `times`.
    pub fn delivery_faults(&self) -> Vec<DeliveryFault> {
        self.shared.world().audit.delivery_faults.all()
    }

    /// Puts these faults of replay jobs in place of those in force.
    pub fn set_replay_faults(
        &self,
        faults: impl IntoIterator<Item = ReplayFault>,
    ) -> Result<(), EmulatorError> {
        self.shared
            .add_rules(|world| &mut world.audit.replay_faults, true, faults)
            .map(drop)
            .map_err(EmulatorError::Control)
    }

    /// Returns the faults of replay jobs in force, with what is left of their `times`.
    pub fn replay_faults(&self) -> Vec<ReplayFault> {
        self.shared.world().audit.replay_faults.all()
    }

    /// Starts a replay job as if somebody else had asked for it. Needs a webhook with a destination
    /// and no running job.
    pub fn start_foreign_job(&self, job: &ForeignJob) -> Result<(), EmulatorError> {
        self.shared
            .start_foreign_job(job)
            .map_err(EmulatorError::Control)?;
        workers::start_work(&self.shared);
        Ok(())
    }

    /// Lists the entries that were ever made, oldest first: all, or those of one source. The
    /// latest million is kept.
    pub fn entries(&self, portal: Option<Scope>) -> Vec<MadeEntry> {
        let source = portal.map(Scope::portal_id);
        self.shared.world().audit.history.made(source, 0)
    }

    /// Adds entries of a portal (or of the organisation), as if something had happened there.
    /// Members that a header needs are filled in; `rt` decides the time.
    pub fn inject(
        &self,
        portal: Option<Uuid>,
        entries: &[Map<String, Value>],
    ) -> Result<(), EmulatorError> {
        self.shared
            .inject(portal, entries)
            .map_err(EmulatorError::Control)?;
        workers::start_work(&self.shared);
        Ok(())
    }

    /// Signs with a new key from now on; the older keys stay published. Returns the new key's id.
    pub fn add_signing_key(&self) -> String {
        self.shared.rotate_keys(false)
    }

    /// Signs with a new key from now on and publishes no other. Returns the new key's id.
    pub fn replace_signing_keys(&self) -> String {
        self.shared.rotate_keys(true)
    }

    /// Moves the emulator's clock to `offset_seconds` away from the system's.
    pub fn set_clock_offset(&self, offset_seconds: i64) {
        self.shared.clock.set_offset(offset_seconds);
    }

    /// Moves the emulator's clock by `seconds` from where it is.
    pub fn advance_clock(&self, seconds: i64) {
        self.shared.clock.advance(seconds);
    }

    /// Returns the emulator's present.
    pub fn now(&self) -> DateTime<Utc> {
        self.shared.clock.now()
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.shared.end.cancel();
        self.shared.tracker.close();
        self.cut_all.cancel();
    }
}
