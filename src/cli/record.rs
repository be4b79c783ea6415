//! The journal for a command: the database of the configuration, whether `serve` runs or not. An
//! embedded one is joined where it runs, and started for the command where it does not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Context, anyhow};

use crate::act::Queue;
use crate::app::{Database, open_database};
use crate::cli::person::system_user;
use crate::cli::{CliError, Common};
use crate::clock::{Clock, Ids};
use crate::config::{Config, Environment};
use crate::journal::{Access, AccessLog, AccessPath, Journal};
use crate::lifecycle::Lifecycle;

/// An open database.
pub(super) struct Record {
    database: Database,
    lifecycle: Lifecycle,
    pub(super) config: Config,
    pub(super) clock: Clock,
    looking: Option<(Access, Shown)>,
}

/// Counts the rows about people that a command has shown. Clones count together.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    rows: Arc<AtomicU64>,
    is_cut: Arc<AtomicBool>,
}

impl Shown {
    pub(super) fn add(&self, rows: usize) {
        let rows = u64::try_from(rows).unwrap_or(u64::MAX);
        self.rows.fetch_add(rows, Ordering::Relaxed);
    }

    /// The reader went away before the end.
    pub(super) fn cut(&self) {
        self.is_cut.store(true, Ordering::Relaxed);
    }
}

impl Record {
    /// Opens the database that the configuration names.
    ///
    /// # Errors
    /// Also when its schema is not that of this usher: a command does not change it.
    pub(super) async fn open(common: &Common, environment: &Environment) -> Result<Self, CliError> {
        let config = common.load(environment)?;
        let lifecycle = Lifecycle::new();
        let path = environment.path().as_ref();
        let database = open_database(&config.database, path, &lifecycle).await?;
        let this = Self {
            database,
            lifecycle,
            config,
            clock: Clock::system(),
            looking: None,
        };
        match this.check_schema().await {
            Ok(()) => Ok(this),
            Err(error) => {
                this.close().await;
                Err(error)
            }
        }
    }

    /// The same where a database is configured and runs; an embedded one is not started for it.
    pub(super) async fn open_if_there(
        common: &Common,
        environment: &Environment,
    ) -> Result<Option<Self>, CliError> {
        let config = common.load(environment)?.database;
        let folder = config.data_dir.as_deref().filter(|_| config.embedded);
        if config.url.is_none() && folder.and_then(embedded_postgres::running).is_none() {
            return Ok(None);
        }
        Self::open(common, environment).await.map(Some)
    }

    async fn check_schema(&self) -> Result<(), CliError> {
        let pending = self.journal().pending_migrations().await;
        let pending = pending.context("could not open the database")?;
        if pending.is_empty() {
            return Ok(());
        }
        Err(CliError::Failed(anyhow!(
            "the database lacks {} of this usher's migrations: start `usher serve`, or run `usher migrate`",
            pending.len()
        )))
    }

    pub(super) fn journal(&self) -> &Journal {
        self.database.journal()
    }

    pub(super) fn lifecycle(&self) -> &Lifecycle {
        &self.lifecycle
    }

    pub(super) fn ids(&self) -> Ids {
        Ids::new(self.clock.clone())
    }

    pub(super) fn actions(&self) -> Queue {
        Queue::new(self.journal().clone(), self.clock.clone(), self.ids())
    }

    /// Notes that what follows shows rows about people, asked for by `filter`:
    /// [`finish`](Self::finish) stores it, with how many were [`Shown`].
    pub(super) fn note_read<'a>(
        &mut self,
        what: &str,
        filter: impl IntoIterator<Item = (&'a str, String)>,
    ) -> Shown {
        let words = filter.into_iter();
        let read = Access {
            what: what.to_owned(),
            who: system_user(),
            way: AccessPath::CommandLine,
            filter: words
                .map(|(word, value)| (word.to_owned(), value))
                .collect(),
            rows: None,
            is_complete: false,
        };
        let shown = Shown::default();
        self.looking = Some((read, shown.clone()));
        shown
    }

    /// Notes who read, unless a failure left nothing to show.
    async fn note(&mut self, is_complete: bool) -> Result<(), CliError> {
        let Some((mut read, shown)) = self.looking.take() else {
            return Ok(());
        };
        let rows = shown.rows.load(Ordering::Relaxed);
        if rows == 0 && !is_complete {
            return Ok(());
        }
        read.rows = Some(rows);
        read.is_complete = is_complete && !shown.is_cut.load(Ordering::Relaxed);
        let reads = AccessLog::new(self.journal().clone(), self.clock.clone());
        let noted = reads.note(&read).await;
        Ok(noted.context("could not record who read it")?)
    }

    /// Does `work` and closes the database; none where a signal came first.
    pub(super) async fn finish<T>(
        mut self,
        work: impl Future<Output = Result<T, CliError>>,
    ) -> Result<Option<T>, CliError> {
        let done = tokio::select! {
            done = work => done.map(Some),
            signalled = Lifecycle::signalled() => {
                signalled.map(|()| None).map_err(|error| CliError::Failed(error.into()))
            }
        };
        let noted = self.note(matches!(done, Ok(Some(_)))).await;
        self.close().await;
        let done = done?;
        noted.map(|()| done)
    }

    async fn close(self) {
        self.journal().close().await;
        self.lifecycle.stop();
        self.database.stop().await;
    }
}

/// Ends a command that was stopped before its work was done.
pub(super) fn or_stopped<T>(done: Option<T>) -> Result<T, CliError> {
    done.ok_or_else(|| CliError::Failed(anyhow!("stopped before it was done")))
}
