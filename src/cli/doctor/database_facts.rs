//! The database as every check of it needs it: reached once, and never started or changed.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::timeout;
use tracing::debug;

use crate::cli::doctor::finding::Finding;
use crate::config::DatabaseConfig;
use crate::journal::{Journal, JournalError, SchemaState};

/// That there is nothing to look at.
pub(super) const UNSET: &str = "neither database.url nor database.embedded is set";

/// To reach it.
const REACH_WITHIN: Duration = Duration::from_secs(4);
/// For connections to close. One that hangs is dropped.
const CLOSE_WITHIN: Duration = Duration::from_millis(200);

/// How the database is reached.
#[derive(Debug)]
pub(super) struct DatabaseFacts {
    source: Source,
    reached: OnceCell<Result<Reached, Unreached>>,
}

#[derive(Debug)]
enum Source {
    /// None is configured.
    Absent,
    /// The configuration contradicts itself, or names something else.
    Wrong(&'static str),
    /// `database.url`.
    Url(Journal),
    /// A server that usher starts, which may not run.
    Embedded(PathBuf),
}

/// A database that answers.
#[derive(Debug)]
pub(super) struct Reached {
    pub(super) journal: Journal,
    /// Whether each connection is a session.
    pub(super) keeps_sessions: bool,
    schema: Option<SchemaState>,
}

/// Why nothing is known of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Unreached {
    /// There is none to look at, for this reason.
    None(String),
    /// None is configured.
    Unset,
    /// The configuration is wrong.
    Wrong(String),
    /// It does not answer.
    Away(String),
}

impl DatabaseFacts {
    pub(super) fn of(config: &DatabaseConfig) -> Self {
        let source = match (&config.url, config.embedded, &config.data_dir) {
            (Some(_), true, _) => Source::Wrong("is set beside database.embedded: choose one"),
            (Some(url), false, _) => match open(url.expose()) {
                Some(journal) => Source::Url(journal),
                None => Source::Wrong("is not a postgres:// URL"),
            },
            (None, true, Some(data_dir)) => Source::Embedded(data_dir.clone()),
            (None, true, None) => Source::Wrong("is embedded, and database.data_dir is not set"),
            (None, false, _) => Source::Absent,
        };
        Self {
            source,
            reached: OnceCell::new(),
        }
    }

    /// The database, if it answers.
    pub(super) async fn reached(&self) -> Result<&Reached, &Unreached> {
        let reached = self.reached.get_or_init(|| self.reach_in_time());
        reached.await.as_ref()
    }

    async fn reach_in_time(&self) -> Result<Reached, Unreached> {
        let reached = timeout(REACH_WITHIN, self.reach()).await;
        reached.unwrap_or_else(|_| {
            let seconds = REACH_WITHIN.as_secs();
            Err(Unreached::Away(format!("no answer within {seconds} s")))
        })
    }

    /// The database for a check that another one must come before; else why it is left out.
    pub(super) async fn usable(&self) -> Result<&Reached, Finding> {
        match self.reached().await {
            Ok(reached) if reached.keeps_sessions => Ok(reached),
            Ok(_) => Err(Finding::skipped(
                "a pooler is in the way, see database-session",
            )),
            Err(Unreached::None(why)) => Err(Finding::skipped(why.clone())),
            Err(Unreached::Unset) => Err(Finding::skipped(UNSET)),
            Err(_) => Err(Finding::skipped(
                "the database does not answer, see database",
            )),
        }
    }

    /// The database for a check of usher's tables; else why it is left out.
    pub(super) async fn migrated(&self) -> Result<&Reached, Finding> {
        let reached = self.usable().await?;
        match &reached.schema {
            Some(schema) if schema.is_newer => Err(Finding::skipped(
                "the schema is of a newer usher, see migrations",
            )),
            Some(schema) if schema.pending.is_empty() => Ok(reached),
            Some(_) | None => Err(Finding::skipped("migrations are missing, see migrations")),
        }
    }

    async fn reach(&self) -> Result<Reached, Unreached> {
        let journal = match &self.source {
            Source::Absent => {
                return Err(Unreached::Unset);
            }
            Source::Wrong(why) => return Err(Unreached::Wrong(format!("database.url {why}"))),
            Source::Url(journal) => journal.clone(),
            Source::Embedded(folder) => {
                let running = embedded_postgres::running(folder);
                running.and_then(|url| open(&url)).ok_or_else(|| {
                    Unreached::None(format!(
                        "the embedded Postgres in {} does not run: usher serve starts it",
                        folder.display()
                    ))
                })?
            }
        };
        let away = |error: JournalError| Unreached::Away(error.plain());
        journal.reach().await.map_err(away)?;
        let keeps_sessions = journal.keeps_sessions().await.map_err(away)?;
        let schema = if keeps_sessions {
            Some(journal.schema_state().await.map_err(away)?)
        } else {
            None
        };
        Ok(Reached {
            journal,
            keeps_sessions,
            schema,
        })
    }

    /// Closes what was opened.
    pub(super) async fn close(&self) {
        if let Some(Ok(reached)) = self.reached.get() {
            let closed = timeout(CLOSE_WITHIN, reached.journal.close()).await;
            if closed.is_err() {
                debug!("the database does not let go, its connections are dropped");
            }
        }
    }
}

impl Reached {
    /// The schema; none behind a pooler.
    pub(super) fn schema(&self) -> Option<&SchemaState> {
        self.schema.as_ref()
    }
}

/// The journal behind a URL of Postgres, with few connections and little patience.
pub(super) fn open(url: &str) -> Option<Journal> {
    let scheme = ["postgres://", "postgresql://"];
    let is_of_postgres = scheme.iter().any(|scheme| url.starts_with(scheme));
    is_of_postgres
        .then(|| Journal::open_reading(url).ok())
        .flatten()
}
