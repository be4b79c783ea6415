//! The composition root: a [`Config`] becomes running parts. Wiring only, no logic.

mod alert_sources;
mod alerts;
mod api;
mod authorization;
mod backlog;
mod clocks;
mod console;
mod coverage;
mod database;
mod konnect_client;
mod opened;
mod parts;
mod pull;
mod readers;
mod reconcile;
mod served;
mod switch;
mod token;
mod upkeep;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, header};
use axum::response::Response;
use axum::{Router, middleware};
use embedded_postgres::EmbeddedError;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::act::Queue;
use crate::app::opened::Opened;
use crate::app::parts::Parts;
use crate::app::served::Served;
use crate::clock::{Clock, Ids};
use crate::config::{Config, ConfigError, ConsoleToken, Role, Secret};
use crate::console::SignInLinks;
use crate::directory::Directory;
use crate::http::health::Health;
use crate::http::tokens::Tokens;
use crate::http::{Bounds, Certificates, Server, TlsError};
use crate::ingest::{IngestState, SpoolError};
use crate::intake::{Intake, KeyRing};
use crate::journal::{Journal, JournalError};
use crate::lifecycle::{Lifecycle, pause};
use crate::publish::{Forwards, PublishError, Published, Publisher};
pub use crate::react::Reload;
use crate::react::{RulesFileError, RulesReloader};
use crate::rules::Mistake;
pub use alerts::{Alerts, Source};
pub use database::{Database, open_database};
pub use konnect_client::build as build_client;
pub use readers::Readers;
pub use reconcile::{Ended, ReconcileError, Reconciler, Summary};
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

impl From<RulesFileError> for AppError {
    fn from(error: RulesFileError) -> Self {
        match error {
            RulesFileError::Unreadable(error) => Self::Config(error),
            RulesFileError::Mistakes(mistakes) => Self::Rules(mistakes),
        }
    }
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
    reloader: Option<RulesReloader>,
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
        let opened = Opened::open(&config, &search_path, &lifecycle).await?;
        let ids = Ids::new(clock.clone());
        let journal = opened.database.journal().clone();
        let clients = konnect_client::build_all(&config.konnect)?;
        let deeds = clients.deeds.clone();
        let keys = Arc::new(KeyRing::new(deeds, journal.clone(), clock.clone()));
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
            opened.spool.clone(),
            &config.ingest,
            clock.clone(),
            ids.clone(),
            lifecycle.clone(),
        );

        let (rules, reloader, reload) = RulesReloader::new(opened.loaded, opened.health.clone());
        let actions = Queue::new(journal.clone(), clock.clone(), ids.clone());
        let (tokens, console_token) = console_tokens(&config);
        let links = SignInLinks::new(clock.clone());
        let (router, apart) = Served {
            config: &config,
            clock: &clock,
            lifecycle: &lifecycle,
            database: &opened.database,
            health: &opened.health,
            rules: &rules,
            actions: &actions,
            ingest: &ingest,
            intake: &intake,
            tokens: &tokens,
            links: &links,
        }
        .routers(opened.apart, &reload, metrics.as_ref());

        let parts = Parts {
            publisher: publisher(&config, &journal, &ids, &opened.health)?,
            forwards: Forwards::new(&journal, &config.forward, &clock, &ids, &opened.health)?,
            directory: Directory::new(journal.clone(), clock.clone(), ids.clone()),
            journal,
            actions,
            ingest,
            spool: opened.spool,
            intake,
            keys,
            clients,
            rules,
            health: opened.health,
            clock,
            ids,
            config,
        };
        Ok(Self {
            listener: opened.listener,
            certificates: opened.certificates,
            router,
            apart,
            links,
            tokens,
            database: opened.database,
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

    /// Path and query of a page that signs the first operator of all portals in, once and from this
    /// machine only; none where there is no such operator.
    pub fn sign_in_link(&self) -> Option<String> {
        let mut callers = self.tokens.callers();
        let (token_hash, _) =
            callers.find(|(_, caller)| caller.is_operator() && caller.portals().is_all())?;
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
        portals: None,
        token: token.clone(),
    };
    (Tokens::new(&[made]), Some(token))
}

/// Puts observations into their buckets until cancelled: until then each is kept by itself.
async fn settle_metrics(handle: PrometheusHandle, cancel: CancellationToken) {
    while !pause(SETTLE_METRICS_EVERY, &cancel).await {
        handle.run_upkeep();
    }
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
