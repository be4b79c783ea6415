//! A running emulator: how it is set up, started and ended, and where it answers. The controls are
//! in `in_process`.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use chrono::{DateTime, Utc};
use serde_json::Map;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    engine::Engine,
    error::EmulatorError,
    gateway,
    listener::{CuttableListener, Peer},
    named_seeds::Seed,
    settings::DeliverySettings,
};

/// How long `stop` lets requests in flight end by themselves.
const GRACE: Duration = Duration::from_secs(2);

/// The token that is accepted where none was chosen.
const TOKEN: &str = "kpat_emulator";

/// A running emulator. Dropping it ends its tasks, without waiting for them.
#[derive(Debug)]
pub struct Emulator {
    pub(crate) engine: Arc<Engine>,
    address: SocketAddr,
    /// Ends connections that outlive the grace period.
    cut_all: CancellationToken,
    /// The certificate to trust, as PEM.
    #[cfg(feature = "tls")]
    certificate: Option<String>,
}

/// What an emulator starts with. Everything has a default.
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it is started"]
pub struct EmulatorBuilder {
    listen: SocketAddr,
    token: String,
    seeds: Vec<Seed>,
    clock: Option<DateTime<Utc>>,
    delivery: Option<DeliverySettings>,
    #[cfg(feature = "tls")]
    tls: Option<Vec<String>>,
}

impl Default for EmulatorBuilder {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            token: TOKEN.to_owned(),
            seeds: Vec::new(),
            clock: None,
            delivery: None,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }
}

impl EmulatorBuilder {
    /// Listens on this address instead of a free port of 127.0.0.1. Port 0 takes a free one.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Accepts this bearer token at the management API instead of `kpat_emulator`.
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = token.into();
        self
    }

    /// Makes these objects before the first request. May be called several times.
    pub fn seed(mut self, seed: impl Into<Seed>) -> Self {
        self.seeds.push(seed.into());
        self
    }

    /// Starts with a clock that stands still at this time. `Emulator::run_clock` lets it run.
    pub fn clock(mut self, at: DateTime<Utc>) -> Self {
        self.clock = Some(at);
        self
    }

    /// Delivers audit entries so.
    pub fn delivery(mut self, settings: DeliverySettings) -> Self {
        self.delivery = Some(settings);
        self
    }

    /// Answers over TLS only, with a certificate made at the start. It is good for `localhost`, the
    /// loopback addresses, the address listened on, and these names. Whom it must be trusted by
    /// takes `Emulator::certificate_pem`.
    #[cfg(feature = "tls")]
    pub fn tls<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.tls = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Binds the address and serves from then on. Must be called on a tokio runtime.
    ///
    /// Fails where the address is not free, or a seed or setting is not valid.
    pub async fn start(self) -> Result<Emulator, EmulatorError> {
        let engine = Arc::new(Engine::new(self.token));
        if let Some(at) = self.clock {
            engine.clock.freeze();
            engine.clock.set(at);
        }
        if let Some(settings) = &self.delivery {
            let settings = settings.merged(&Map::new());
            engine.world().audit.settings = settings.map_err(EmulatorError::Control)?;
        }
        for seed in &self.seeds {
            engine
                .seed(seed.as_json())
                .map_err(EmulatorError::Control)?;
        }
        let address = self.listen;
        let failed = |source| EmulatorError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let cut_all = CancellationToken::new();
        let listener = CuttableListener::new(listener, cut_all.clone());
        #[cfg(feature = "tls")]
        let (listener, certificate) = match self.tls {
            None => (listener, None),
            Some(names) => {
                let identity = crate::tls::Identity::make(names, address.ip())?;
                (
                    listener.with_tls(identity.acceptor),
                    Some(identity.authority),
                )
            }
        };
        let service = Router::new()
            .fallback(gateway::handle)
            .with_state(Arc::clone(&engine))
            .into_make_service_with_connect_info::<Peer>();
        let server = axum::serve(listener, service)
            .with_graceful_shutdown(engine.end.clone().cancelled_owned());
        engine.tracker.spawn(async move {
            if let Err(error) = server.await {
                tracing::error!(%error, "the emulator's server ended");
            }
        });
        Ok(Emulator {
            engine,
            address,
            cut_all,
            #[cfg(feature = "tls")]
            certificate,
        })
    }
}

impl Emulator {
    /// Starts an empty organisation on a free port of 127.0.0.1. Must be called on a tokio runtime.
    pub async fn start() -> Result<Self, EmulatorError> {
        Self::builder().start().await
    }

    /// Chooses what an emulator starts with.
    pub fn builder() -> EmulatorBuilder {
        EmulatorBuilder::default()
    }

    /// Returns the base URL, without a slash at its end.
    pub fn url(&self) -> String {
        #[cfg(feature = "tls")]
        if self.certificate.is_some() {
            return format!("https://{}", self.address);
        }
        format!("http://{}", self.address)
    }

    /// Returns the address it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the certificate that clients must trust, as PEM; none without TLS.
    #[cfg(feature = "tls")]
    pub fn certificate_pem(&self) -> Option<&str> {
        self.certificate.as_deref()
    }

    /// Returns the token that management calls must carry.
    pub fn token(&self) -> &str {
        &self.engine.token
    }

    /// Returns the organisation that audit entries name.
    pub fn org_id(&self) -> Uuid {
        self.engine.world().org_id
    }

    /// Returns the principal that audit entries name for calls with the token.
    pub fn principal_id(&self) -> Uuid {
        self.engine.world().principal_id
    }

    /// Ends all tasks: requests in flight have two seconds, then their connections are cut.
    pub async fn stop(self) {
        self.engine.end.cancel();
        self.engine.tracker.close();
        let ended = tokio::time::timeout(GRACE, self.engine.tracker.wait()).await;
        if ended.is_err() {
            self.cut_all.cancel();
            self.engine.tracker.wait().await;
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.engine.end.cancel();
        self.engine.tracker.close();
        self.cut_all.cancel();
    }
}
