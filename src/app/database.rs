//! The journal's Postgres: opened, waited for, brought up to date, and watched.

use std::ffi::OsStr;
use std::time::Duration;

use embedded_postgres::{EmbeddedConfig, EmbeddedPostgres};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::app::AppError;
use crate::config::{ConfigError, DatabaseConfig};
use crate::http::health::{Condition, Health};
use crate::journal::{Journal, JournalError, ReaderName};
use crate::lifecycle::{Lifecycle, pause};

/// Between tries to reach a database that does not answer, and between checks of one that does.
const PING_EVERY: Duration = Duration::from_secs(1);
/// A database that needs longer to answer counts as away.
const PING_TIMEOUT: Duration = Duration::from_secs(3);
/// Partitions are made ahead this often.
const AHEAD_EVERY: Duration = Duration::from_hours(1);

/// The journal, and the server behind it if it is our own child.
#[derive(Debug)]
pub struct Database {
    journal: Journal,
    reading: Journal,
    replica: Option<Journal>,
    embedded: Option<EmbeddedPostgres>,
}

impl Database {
    /// The journal.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The journal for people who read it.
    pub fn reading(&self) -> &Journal {
        &self.reading
    }

    /// The replica of the journal for the same, where there is one.
    pub fn replica(&self) -> Option<&Journal> {
        self.replica.as_ref()
    }

    /// Ends the server if it is our own child.
    pub async fn stop(self) {
        if let Some(server) = self.embedded
            && let Err(failure) = server.stop().await
        {
            error!(
                error = &failure as &dyn std::error::Error,
                "the embedded postgres did not stop"
            );
        }
    }
}

/// Opens what `config` names; an embedded Postgres is started and waited for.
pub async fn open_database(
    config: &DatabaseConfig,
    search_path: &OsStr,
    lifecycle: &Lifecycle,
) -> Result<Database, AppError> {
    let (url, embedded) = match (&config.url, config.embedded) {
        (Some(_), true) => return Err(invalid("is set beside database.embedded: choose one")),
        (Some(url), false) => (url.expose().to_owned(), None),
        (None, true) => {
            let data_dir = config.data_dir.clone().ok_or(ConfigError::Missing {
                key: "database.data_dir",
                reason: "the folder of the embedded Postgres",
            })?;
            let embedded = EmbeddedConfig {
                data_dir,
                bin_dir: config.bin_dir.clone(),
            };
            let cancel = lifecycle.stopping();
            let server = EmbeddedPostgres::start(embedded, search_path, &cancel).await?;
            (server.url().to_owned(), Some(server))
        }
        (None, false) => {
            return Err(AppError::Config(ConfigError::Missing {
                key: "database.url",
                reason: "a postgres:// URL, or set database.embedded = true with database.data_dir",
            }));
        }
    };
    let of_postgres = |key, url: &str, open: fn(&str) -> Result<Journal, JournalError>| {
        // The driver takes the URL of any database for one of Postgres, and would wait for it for
        // ever.
        let scheme = ["postgres://", "postgresql://"];
        let opened = scheme.iter().any(|scheme| url.starts_with(scheme));
        let opened = opened.then(|| open(url).ok()).flatten();
        opened.ok_or_else(|| wrong(key, "is not a postgres:// URL"))
    };
    let replica = config
        .read_url
        .as_ref()
        .map(|url| of_postgres("database.read_url", url.expose(), Journal::open_reading));
    Ok(Database {
        journal: of_postgres("database.url", &url, Journal::open)?,
        reading: of_postgres("database.url", &url, Journal::open_reading)?,
        replica: replica.transpose()?,
        embedded,
    })
}

fn invalid(reason: &str) -> AppError {
    wrong("database.url", reason)
}

fn wrong(key: &str, reason: &str) -> AppError {
    AppError::Config(ConfigError::Invalid {
        place: "configuration".to_owned(),
        key: key.to_owned(),
        reason: reason.to_owned(),
    })
}

/// Waits for the database, brings its schema up to date and makes `readers` active;
/// `false` when cancelled before that.
///
/// # Errors
/// If the schema is of a newer usher: waiting would not help.
pub(super) async fn prepare(
    journal: &Journal,
    readers: &[ReaderName],
    health: &Health,
    cancel: &CancellationToken,
) -> Result<bool, JournalError> {
    let mut said = String::new();
    loop {
        let prepared = tokio::select! {
            () = cancel.cancelled() => return Ok(false),
            prepared = try_prepare(journal, readers) => prepared,
        };
        match prepared {
            Ok(()) => break,
            Err(failure @ (JournalError::SchemaNewer { .. } | JournalError::NoSession)) => {
                return Err(failure);
            }
            Err(failure) => {
                // One line for each new reason, however long it lasts.
                let reason = failure.chain();
                health.set("database", Condition::Down, failure.plain());
                if reason != said {
                    warn!(
                        error = reason,
                        "the database is not ready, trying again every second"
                    );
                    said = reason;
                }
            }
        }
        if pause(PING_EVERY, cancel).await {
            return Ok(false);
        }
    }
    health.set("database", Condition::Ok, "");
    info!("the database is ready");
    Ok(true)
}

/// As [`prepare`], once.
pub(super) async fn try_prepare(
    journal: &Journal,
    readers: &[ReaderName],
) -> Result<(), JournalError> {
    // Comes first: its own connection reports why, where the pool would only report that it waited.
    journal.migrate().await?;
    make_partitions_ahead(journal).await?;
    journal.activate_readers(readers).await
}

/// Makes the coming months and reports how many there are.
async fn make_partitions_ahead(journal: &Journal) -> Result<(), JournalError> {
    let now = journal.now().await?;
    journal.make_partitions_ahead(now).await?;
    let months = journal.months_ahead(now).await?;
    debug!(months, "partitions are ahead");
    Ok(())
}

/// Reports to `health` how the database is, and makes partitions ahead, until cancelled.
pub(super) async fn watch(journal: Journal, health: Health, cancel: CancellationToken) {
    let mut told = None;
    let mut ahead_at = Instant::now() + AHEAD_EVERY;
    while !pause(PING_EVERY, &cancel).await {
        let answer = tokio::time::timeout(PING_TIMEOUT, journal.ping()).await;
        let well = matches!(answer, Ok(Ok(true)));
        let trouble = (!well).then(|| match answer {
            Ok(Ok(false)) => journal.hindrance().unwrap_or_else(silence),
            Ok(Ok(true) | Err(_)) | Err(_) => silence(),
        });
        if trouble != told {
            if let Some(trouble) = &trouble {
                health.set("database", Condition::Down, trouble.as_str());
                warn!(trouble, "the database takes no writes");
            } else {
                health.set("database", Condition::Ok, "");
                info!("the database answers again");
            }
            told = trouble;
        }
        if well && Instant::now() >= ahead_at {
            ahead_at = Instant::now() + AHEAD_EVERY;
            if let Err(failure) = make_partitions_ahead(&journal).await {
                warn!(error = failure.chain(), "could not make partitions ahead");
            }
        }
    }
}

fn silence() -> String {
    "it does not answer or takes no writes".to_owned()
}
