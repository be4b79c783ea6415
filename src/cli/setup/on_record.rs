//! Notes in the journal, where there is one, what `usher setup` did. What cannot be noted is told
//! and holds nothing up: a rotation must not stop half way for it.

use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::time::timeout;

use crate::cli::person::system_user;
use crate::cli::record::Record;
use crate::cli::setup::plan::Whose;
use crate::cli::{CliError, Common, Output};
use crate::config::Environment;
use crate::journal::{AccessLog, AccessPath, SetupStep};

/// For one step.
const NOTED_WITHIN: Duration = Duration::from_secs(5);

/// Where steps are noted; nowhere without a database.
pub(super) struct OnRecord {
    record: Option<Record>,
    whose: Whose,
}

impl OnRecord {
    /// Opens the database, where one is configured and runs.
    pub(super) async fn open(common: &Common, environment: &Environment, whose: &Whose) -> Self {
        let record = Record::open_if_there(common, environment).await;
        Self {
            record: record.unwrap_or_else(|error| {
                untold("what is done", &error);
                None
            }),
            whose: whose.clone(),
        }
    }

    /// Notes a step that was done to destinations or webhooks of these names.
    pub(super) async fn note(&self, what: &'static str, names: &[&str]) {
        let Some(record) = &self.record else {
            return;
        };
        let step = SetupStep {
            what,
            who: system_user(),
            way: AccessPath::CommandLine,
            portal_id: self.whose.portal().map(|id| id.0),
            names: names.iter().map(|&name| name.to_owned()).collect(),
        };
        let log = AccessLog::new(record.journal().clone(), record.clock.clone());
        let noted = timeout(NOTED_WITHIN, log.note_setup(&step)).await;
        let noted = noted.map_err(|_| anyhow!("the database is slow"));
        let noted = noted.and_then(|noted| noted.context("could not record it"));
        if let Err(error) = noted {
            untold(&format!("setup.{what}"), &CliError::Failed(error));
        }
    }

    /// Closes the database.
    pub(super) async fn close(self) {
        if let Some(record) = self.record
            && let Err(error) = record.finish(async { Ok(()) }).await
        {
            untold("what was done last", &error);
        }
    }
}

fn untold(what: &str, error: &CliError) {
    Output::progress(&format!("warning: {what} is not on record: {error}"));
}
