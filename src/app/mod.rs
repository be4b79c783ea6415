//! The composition root: a [`Config`] becomes running parts. Wiring only, no logic.

mod api;
mod backlog;
mod clocks;
mod console;
mod database;
mod konnect_client;
mod parts;
mod readers;
mod reconcile;
mod rules;
mod switch;
mod token;
mod upkeep;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, header};
use axum::response::Response;
use axum::routing::get;
use axum::{Router, middleware};
use embedded_postgres::EmbeddedError;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::act::Queue;
use crate::app::api::ApiParts;
use crate::app::console::ConsoleParts;
use crate::app::parts::Parts;
use crate::app::rules::Reloader;
use crate::clock::{Clock, Ids};
use crate::config::{Config, ConfigError, ConsoleToken, Role, Secret, SpoolConfig, TlsConfig};
use crate::console::SignInLinks;
use crate::directory::Directory;
use crate::http::health::{self, Condition, Health};
use crate::http::tokens::Tokens;
use crate::http::{Bounds, Certificates, Problem, Server, TlsError};
use crate::ingest::custom_events::{self, CustomEventsState};
use crate::ingest::{self, IngestState, Spool, SpoolError};
use crate::intake::{Intake, KeyRing};
use crate::journal::{Journal, JournalError};
use crate::lifecycle::{Lifecycle, pause};
use crate::publish::{Forwards, PublishError, Published, Publisher};
use crate::rules::Mistake;
pub use database::{Database, open_database};
pub use konnect_client::build as build_client;
pub use readers::Readers;
pub use reconcile::{Ended, ReconcileError, Reconciler, Summary};
pub use rules::Reload;
pub use upkeep::Upkeep;

/// Metrics are settled this often, whether somebody scrapes them or not.
const SETTLE_METRICS_EVERY: Duration = Duration::from_secs(1);

/// What the process gives to its parts.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// Time.
    pub clock: Clock,
    /// Tasks and their end.
    pub lifecycle: Lifecycle,
    /// Where programs are searched for (`PATH`).
    pub search_path: OsString,
    /// Renders `/metrics`; none in tests that do not ask for it.
    pub metrics: Option<PrometheusHandle>,
}

/// Why usher could not start.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A key is missing or wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The rules file does not check.
    #[error("{}", lines(_0))]
    Rules(Vec<Mistake>),
    /// The embedded Postgres did not start.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    /// The folder of the spool cannot be used.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The address is taken or not ours.
    #[error("{key}: could not listen on {address}")]
    Listen {
        /// The key that has the address.
        key: &'static str,
        /// The address asked for.
        address: SocketAddr,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The database is not one that this usher can work with.
    #[error(transparent)]
    Schema(JournalError),
    /// Nothing can be published with these settings.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// The certificate or its key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl AppError {
    /// Whether the user can correct it in the configuration.
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Config(_) | Self::Rules(_) | Self::Publish(_) | Self::Tls(_) => true,
            Self::Schema(error) => matches!(error, JournalError::NoSession),
            Self::Spool(error) => matches!(error, SpoolError::Folder { .. }),
            Self::Embedded(_) | Self::Listen { .. } => false,
        }
    }
}

fn lines(mistakes: &[Mistake]) -> String {
    let lines: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

/// One usher, listening, not yet serving.
#[expect(
    missing_debug_implementations,
    reason = "it holds secrets and is only moved"
)]
pub struct App {
    listener: TcpListener,
    certificates: Option<Certificates>,
    router: Router,
    /// Pages and API, where they are apart.
    apart: Option<(TcpListener, Router)>,
    links: SignInLinks,
    tokens: Tokens,
    database: Database,
    lifecycle: Lifecycle,
    parts: Parts,
    reloader: Option<Reloader>,
    reload: Reload,
    metrics: Option<PrometheusHandle>,
    console_token: Option<Secret>,
}

impl App {
    /// Checks the configuration, starts an embedded Postgres where one is wanted, and listens.
    ///
    /// Does not wait for the database or for Konnect: until the database answers, deliveries are
    /// spooled where there is a spool, else answered 429.
    pub async fn build(config: Config, surroundings: Surroundings) -> Result<Self, AppError> {
        let Surroundings {
            clock,
            lifecycle,
            search_path,
            metrics,
        } = surroundings;
        require_authorization(&config)?;
        let loaded = rules::open(&config.rules)?;
        let health = Health::default();
        // Set before anybody can ask: a part that is not known to work is not ready.
        health.set("database", Condition::Down, "not reached yet");
        let spool = open_spool(&config.spool, &health)?;
        let certificates = certificates(&config.http.tls).await?;
        let database = open_database(&config.database, &search_path, &lifecycle).await?;
        let listener = listen("http.listen", config.http.listen).await?;
        let console_listener = match config.console.listen {
            Some(address) => Some(listen("console.listen", address).await?),
            None => None,
        };

        let ids = Ids::new(clock.clone());
        let journal = database.journal().clone();
        let (client, sweep_clients) = konnect_client::build_all(&config.konnect)?;
        let keys = Arc::new(KeyRing::new(client.clone(), journal.clone(), clock.clone()));
        let intake = Intake::new(
            journal.clone(),
            Arc::clone(&keys),
            config.ingest.verify,
            config.ingest.max_line_bytes,
            ids.clone(),
            &lifecycle,
        );
        let ingest = IngestState::new(
            intake.clone(),
            spool.clone(),
            &config.ingest,
            clock.clone(),
            ids.clone(),
            lifecycle.clone(),
        );

        let (rules, reloader, reload) = Reloader::new(loaded, health.clone());
        let actions = Queue::new(journal.clone(), clock.clone(), ids.clone());
        let api = ApiParts {
            clock: &clock,
            rules: rules.subscribe(),
            actions: actions.clone(),
        };
        let (tokens, console_token) = console_tokens(&config);
        let links = SignInLinks::new(clock.clone());
        let console = ConsoleParts {
            config: &config,
            clock: &clock,
            rules: rules.subscribe(),
            rules_file: reload.shown(),
            actions: actions.clone(),
            health: health.clone(),
            tokens: tokens.clone(),
            links: links.clone(),
            intake: intake.clone(),
            lifecycle: lifecycle.clone(),
        };
        let pages = api
            .router(&database, &lifecycle, &tokens, &health)
            .merge(console.router(&database));
        let everybodys = everybodys_router(health.clone(), tokens.clone(), metrics.clone());
        let router = ingest::router(&config.ingest.path, ingest.clone())
            .merge(hooks_router(&config, &journal, &clock, &ids))
            .merge(everybodys.clone());
        let (router, apart) = match console_listener {
            Some(listener) => (router, Some((listener, pages.merge(everybodys)))),
            None => (router.merge(pages), None),
        };

        let publisher = publisher(&config, &journal, &ids, &health)?;
        let forwards = Forwards::new(&journal, &config.forward, &clock, &ids, &health)?;
        let parts = Parts {
            directory: Directory::new(journal.clone(), clock.clone(), ids.clone()),
            journal,
            actions,
            ingest,
            spool,
            intake,
            keys,
            client,
            sweep_clients,
            rules,
            publisher,
            forwards,
            health,
            clock,
            ids,
            config,
        };
        Ok(Self {
            listener,
            certificates,
            router,
            apart,
            links,
            tokens,
            database,
            lifecycle,
            parts,
            reloader,
            reload,
            metrics,
            console_token,
        })
    }

    /// The journal.
    pub fn journal(&self) -> &Journal {
        &self.parts.journal
    }

    /// What the API last returned.
    pub fn directory(&self) -> &Directory {
        &self.parts.directory
    }

    /// What was decided and done.
    pub fn actions(&self) -> &Queue {
        &self.parts.actions
    }

    /// The count of what is published, where something is.
    pub fn published(&self) -> Published {
        self.parts
            .publisher
            .as_ref()
            .map(Publisher::published)
            .unwrap_or_default()
    }

    /// Where usher listens; the port is the one it was given.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Where pages and API listen.
    pub fn console_address(&self) -> std::io::Result<SocketAddr> {
        match &self.apart {
            Some((listener, _)) => listener.local_addr(),
            None => self.address(),
        }
    }

    /// Path and query of a page that signs the first operator in, once and from this machine only;
    /// none where there is no operator.
    pub fn sign_in_link(&self) -> Option<String> {
        let mut callers = self.tokens.callers();
        let (token_hash, _) = callers.find(|(_, caller)| caller.is_operator())?;
        Some(self.links.make(*token_hash))
    }

    /// The token of the API that was made because none is configured.
    pub fn console_token(&self) -> Option<&str> {
        self.console_token.as_ref().map(Secret::expose)
    }

    /// The handle by which the rules file is read again.
    pub fn reload(&self) -> Reload {
        self.reload.clone()
    }

    /// Serves until `until` completes, then finishes what was accepted.
    ///
    /// # Errors
    /// [`AppError::Schema`] as soon as the database turns out to be of a newer usher.
    pub async fn run(
        self,
        until: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), AppError> {
        let lifecycle = self.lifecycle;
        let journal = self.parts.journal.clone();
        let spool = self.parts.spool.clone();
        let (refuse, refused) = oneshot::channel();
        let start = self.parts.start(lifecycle.clone());
        lifecycle.spawn("start", async move {
            if let Err(error) = start.await {
                // The task that would receive it has ended already.
                drop(refuse.send(error));
            }
        });
        if let Some(metrics) = self.metrics {
            lifecycle.spawn("metrics", settle_metrics(metrics, lifecycle.stopping()));
        }
        if let Some(certificates) = self.certificates.clone() {
            let reload = certificates.reload_until_stopped(lifecycle.stopping());
            lifecycle.spawn("certificates", reload);
        }
        if let Some(reloader) = self.reloader {
            lifecycle.spawn("rules", reloader.run(lifecycle.stopping()));
        }
        let here = Some((self.listener, self.router));
        for (listener, router) in here.into_iter().chain(self.apart) {
            let server = Server {
                listener,
                router: router.layer(middleware::map_response(as_declared)),
                certificates: self.certificates.clone(),
                bounds: Bounds::of_this_process(),
                lifecycle: lifecycle.clone(),
            };
            lifecycle.spawn("http", server.run());
        }
        let ended = tokio::select! {
            () = until => Ok(()),
            Ok(error) = refused => Err(AppError::Schema(error)),
        };
        lifecycle.shut_down().await;
        tokio::join!(journal.close(), self.database.reading().close());
        if let Some(spool) = spool {
            spool.release();
        }
        self.database.stop().await;
        info!("stopped");
        ended
    }
}

/// The publisher, if there is a Kafka to publish to.
fn publisher(
    config: &Config,
    journal: &Journal,
    ids: &Ids,
    health: &Health,
) -> Result<Option<Publisher>, PublishError> {
    if config.kafka.brokers.is_none() {
        return Ok(None);
    }
    Publisher::new(journal.clone(), &config.kafka, ids.clone(), health.clone()).map(Some)
}

/// The endpoint for trusted senders; none where none is configured.
fn hooks_router(config: &Config, journal: &Journal, clock: &Clock, ids: &Ids) -> Router {
    CustomEventsState::new(&config.hooks, journal.clone(), clock.clone(), ids.clone())
        .map(custom_events::router)
        .unwrap_or_default()
}

fn open_spool(config: &SpoolConfig, health: &Health) -> Result<Option<Spool>, SpoolError> {
    let open = |dir: &PathBuf| Spool::open(dir, config.max_bytes, health.clone());
    config.dir.as_ref().map(open).transpose()
}

fn require_authorization(config: &Config) -> Result<(), ConfigError> {
    if config.ingest.authorization.is_empty() {
        return Err(ConfigError::Missing {
            key: "ingest.authorization",
            reason: "a list of values that Konnect may send as Authorization",
        });
    }
    Ok(())
}

/// The configured tokens, or one made now when the console can be reached from this machine only.
fn console_tokens(config: &Config) -> (Tokens, Option<Secret>) {
    if !config.console.tokens.is_empty() {
        return (Tokens::new(&config.console.tokens), None);
    }
    if !config.console_listen().ip().is_loopback() {
        warn!(
            "console.tokens is not set and its address is not loopback: pages and api accept nobody"
        );
        return (Tokens::new(&[]), None);
    }
    let token = Secret::new(Ids::secret());
    let made = ConsoleToken {
        name: "start".to_owned(),
        role: Role::Operator,
        token: token.clone(),
    };
    (Tokens::new(&[made]), Some(token))
}

async fn listen(key: &'static str, address: SocketAddr) -> Result<TcpListener, AppError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| AppError::Listen {
            key,
            address,
            source,
        })
}

/// The certificate to serve with; none where `tls` names none.
async fn certificates(tls: &TlsConfig) -> Result<Option<Certificates>, AppError> {
    let missing = |key, reason| AppError::Config(ConfigError::Missing { key, reason });
    match (tls.cert.clone(), tls.key.clone()) {
        (None, None) => Ok(None),
        (Some(cert), Some(key)) => Ok(Some(Certificates::load(cert, key).await?)),
        (None, Some(_)) => Err(missing(
            "http.tls.cert",
            "http.tls.key is, and TLS takes both",
        )),
        (Some(_), None) => Err(missing(
            "http.tls.key",
            "http.tls.cert is, and TLS takes both",
        )),
    }
}

/// What needs no token, and the answer for paths that are not served.
fn everybodys_router(health: Health, tokens: Tokens, metrics: Option<PrometheusHandle>) -> Router {
    health::router(health, move |headers| tokens.admit(headers))
        .merge(metrics_router(metrics))
        .fallback(Problem::not_found)
        .method_not_allowed_fallback(Problem::method_not_allowed)
}

fn metrics_router(handle: Option<PrometheusHandle>) -> Router {
    let Some(handle) = handle else {
        return Router::new();
    };
    Router::new().route("/metrics", get(move || async move { handle.render() }))
}

/// Has browsers take every answer for what it says that it is, whatever its bytes look like.
async fn as_declared(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// Puts observations into their buckets until cancelled: until then each is kept by itself.
async fn settle_metrics(handle: PrometheusHandle, cancel: CancellationToken) {
    while !pause(SETTLE_METRICS_EVERY, &cancel).await {
        handle.run_upkeep();
    }
}
