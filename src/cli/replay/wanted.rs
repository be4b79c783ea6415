//! What is asked for, and how it is shown, whichever way it goes.

use anyhow::anyhow;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;
use uuid::Uuid;

use crate::backfill::{ReplayError, Window};
use crate::cli::{CliError, Output};
use crate::journal::LogSource;

/// A window of a log.
pub(super) struct Wanted {
    pub(super) source: LogSource,
    pub(super) window: Window,
    /// Whether the end of the job is waited for.
    pub(super) wait: bool,
    pub(super) output: Output,
}

impl Wanted {
    /// Shows the window as Konnect understood it, how far its job is, and its id where it is on
    /// record.
    pub(super) fn show(
        &self,
        (start_at, end_at): (DateTime<Utc>, DateTime<Utc>),
        status: &str,
        job_id: Option<Uuid>,
    ) -> Result<(), CliError> {
        let (start_at, end_at) = (rfc3339(start_at), rfc3339(end_at));
        let log = match self.source {
            LogSource::Org => "the organisation's log".to_owned(),
            LogSource::Portal(id) => format!("portal {id}"),
        };
        self.output.data(
            &format!("replay of {log} from {start_at} to {end_at}: {status}"),
            &json!({
                "portal_id": self.source.portal(),
                "start_at": start_at,
                "end_at": end_at,
                "status": status,
                "job_id": job_id,
            }),
        )?;
        Ok(())
    }
}

/// That no entry is sent again, for this reason.
pub(super) fn failed(error: ReplayError) -> CliError {
    CliError::Failed(anyhow!(error))
}

fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}
