//! A local Konnect: the portal management and audit-log APIs with state and validation, a developer
//! portal's self-service, signed deliveries with Konnect's retries, replay jobs, and faults on
//! demand. Its types are its own: a wrong model in a client must not find itself confirmed here.
//! Everything lives in memory and on one port.
//!
//! `POST /emulator/seed` (or [`Emulator::seed`]) makes objects at once; its `crowds` make thousands
//! of developers alike, `{"crowds": [{"portal_id": "…", "count": 10000, "email":
//! "p{n}@arsenal.com"}]}`. `POST /emulator/faults` (or [`Emulator::set_faults`]) says which calls
//! go wrong, by method, path, count and share, and how: another answer, a slow, broken or cut one,
//! or something new that is not found yet; see [`Fault`].

mod answer;
mod audit;
mod call;
mod clock;
mod control;
mod delivery;
mod entry;
mod faults;
mod gateway;
mod listener;
mod operations;
mod portal_api;
mod problem;
mod query;
mod request_log;
mod resources;
mod routes;
mod seed;
mod signing;
mod special;
mod state;
mod validate;

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::Router;
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use uuid::Uuid;

pub use crate::{
    audit::{DeliveryAttempt, DeliverySettings},
    faults::Fault,
    request_log::LoggedRequest,
};
use crate::{
    clock::{Clock, new_trace_id},
    delivery::Senders,
    entry::{Entry, Origin},
    faults::Faults,
    listener::{CuttableListener, Peer},
    request_log::RequestLog,
    state::{Kind, World},
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
        if let Some(id) = portal.filter(|id| world.find(Kind::Portal, *id).is_none()) {
            return Err(format!("portal {id} does not exist"));
        }
        let origin = self.origin(world.org_id);
        for members in entries {
            world
                .audit
                .record(portal, Entry::injected(members, &origin, portal), origin.at);
        }
        Ok(())
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

    /// Returns all delivery attempts, oldest first.
    pub fn deliveries(&self) -> Vec<DeliveryAttempt> {
        self.shared.world().audit.attempts()
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
        delivery::start_work(&self.shared);
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
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.shared.end.cancel();
        self.shared.tracker.close();
        self.cut_all.cancel();
    }
}
