//! The record as a command meets it: the database of the configuration, whether `serve` runs or not.
//! An embedded one is joined where it runs, and started for the command where it does not.

use anyhow::{Context, anyhow};

use crate::act::Queue;
use crate::app::{Database, open_database};
use crate::cli::{CliError, Common};
use crate::clock::{Clock, Ids};
use crate::config::{Config, Environment};
use crate::journal::Journal;
use crate::lifecycle::Lifecycle;

/// An open database.
pub(super) struct Record {
    database: Database,
    lifecycle: Lifecycle,
    pub(super) config: Config,
    pub(super) clock: Clock,
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
        };
        match this.check_schema().await {
            Ok(()) => Ok(this),
            Err(error) => {
                this.close().await;
                Err(error)
            }
        }
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

    /// Does `work` and closes the database; none where a signal came first.
    pub(super) async fn finish<T>(
        self,
        work: impl Future<Output = Result<T, CliError>>,
    ) -> Result<Option<T>, CliError> {
        let done = tokio::select! {
            done = work => done.map(Some),
            signalled = Lifecycle::signalled() => {
                signalled.map(|()| None).map_err(|error| CliError::Failed(error.into()))
            }
        };
        self.close().await;
        done
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
