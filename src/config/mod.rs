//! The settings of one usher: `usher.toml`, overridden key by key from the environment.
//!
//! The only reader of the environment. An unknown key or a value of the wrong type ends with the
//! key's name and its place. No error shows a value, since it may be a secret.

mod base_url;
mod checked;
mod forward;
mod hooks;
mod load;
mod masks;
mod secret;
mod secret_places;
mod sections;
mod span;

pub use base_url::parse_base_url;
pub use forward::ForwardConfig;
pub use hooks::{HookSecret, HookSender, HooksConfig, TypePattern};
pub use load::{ConfigError, Environment, load};
pub use masks::Masks;
pub use secret::Secret;
pub use secret_places::{SecretFile, SecretPlaces, secret_places};
pub use sections::{
    BackfillConfig, ConsoleConfig, ConsoleToken, DatabaseConfig, HttpConfig, IngestConfig,
    KafkaConfig, KonnectConfig, LogFormat, NotifyConfig, ObserveConfig, OrgLogs, RetentionConfig,
    Role, RulesConfig, SpoolConfig, TelemetryConfig, TlsConfig, VerifyPolicy,
};
pub use span::parse_span;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::Deserialize;
use url::Url;

/// Everything that can be set, with its default where it has one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where usher listens.
    pub http: HttpConfig,
    /// The ingest endpoint.
    pub ingest: IngestConfig,
    /// The journal's Postgres.
    pub database: DatabaseConfig,
    /// Where events are published; without brokers nothing is.
    pub kafka: KafkaConfig,
    /// Endpoints to which new entries are sent on, as received.
    #[serde(deserialize_with = "forward::deserialize")]
    pub forward: Vec<ForwardConfig>,
    /// The management API.
    pub konnect: KonnectConfig,
    /// How often usher sweeps portals.
    pub observe: ObserveConfig,
    /// Requests on disk while the database is away; without a folder there are none.
    pub spool: SpoolConfig,
    /// The rules file.
    pub rules: RulesConfig,
    /// Notices of decisions.
    pub notify: NotifyConfig,
    /// Trusted senders of custom events.
    pub hooks: HooksConfig,
    /// Asking Konnect for missed time.
    pub backfill: BackfillConfig,
    /// How long each sort of row stays.
    pub retention: RetentionConfig,
    /// Where pages and JSON API are, and who may use them.
    pub console: ConsoleConfig,
    /// Logs.
    pub telemetry: TelemetryConfig,
}

impl Config {
    /// Where pages and JSON API listen.
    pub fn console_listen(&self) -> SocketAddr {
        self.console.listen.unwrap_or(self.http.listen)
    }

    /// Whether people reach the console by TLS.
    pub fn is_console_secure(&self) -> bool {
        match &self.console.url {
            Some(url) => url.scheme() == "https",
            None => self.http.tls.cert.is_some(),
        }
    }

    /// Where people reach the console: as configured, else where it listens.
    pub fn console_url(&self) -> Option<Url> {
        if let Some(url) = &self.console.url {
            return Some(url.clone());
        }
        let mut listen = self.console_listen();
        if listen.ip().is_unspecified() {
            listen.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
        }
        let scheme = if self.is_console_secure() {
            "https"
        } else {
            "http"
        };
        Url::parse(&format!("{scheme}://{listen}")).ok()
    }
}
