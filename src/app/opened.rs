//! What usher opens before it can serve: files, the database and its addresses. Fails early, with
//! the key that is wrong.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::net::TcpListener;

use crate::app::{AppError, Database, open_database, pull};
use crate::config::{Config, ConfigError, SpoolConfig, TlsConfig};
use crate::http::Certificates;
use crate::http::health::{Condition, Health};
use crate::ingest::{Spool, SpoolError};
use crate::lifecycle::Lifecycle;
use crate::react::LoadedRules;

/// What is open.
pub(super) struct Opened {
    pub(super) loaded: LoadedRules,
    pub(super) health: Health,
    pub(super) spool: Option<Spool>,
    pub(super) certificates: Option<Certificates>,
    pub(super) database: Database,
    pub(super) listener: TcpListener,
    /// Where pages and API listen, where they are apart.
    pub(super) apart: Option<TcpListener>,
}

impl Opened {
    /// Opens what `config` names. Does not wait for the database.
    pub(super) async fn open(
        config: &Config,
        search_path: &OsStr,
        lifecycle: &Lifecycle,
    ) -> Result<Self, AppError> {
        require_authorization(config)?;
        pull::require_token(config)?;
        let loaded = LoadedRules::open(&config.rules)?;
        let health = Health::default();
        // Set before anybody can ask: a part that is not known to work is not ready.
        health.set("database", Condition::Down, "not reached yet");
        let spool = open_spool(&config.spool, &health)?;
        let certificates = certificates(&config.http.tls).await?;
        let database = open_database(&config.database, search_path, lifecycle).await?;
        let listener = listen("http.listen", config.http.listen).await?;
        let apart = match config.console.listen {
            Some(address) => Some(listen("console.listen", address).await?),
            None => None,
        };
        Ok(Self {
            loaded,
            health,
            spool,
            certificates,
            database,
            listener,
            apart,
        })
    }
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
