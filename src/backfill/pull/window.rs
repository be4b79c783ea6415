//! One window of the organisation's log, pulled and stored.

use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use konnect::{AuditLogKind, Client};
use tokio_util::sync::CancellationToken;

use crate::backfill::pull::error::{PullError, Retry};
use crate::backfill::pull::pages::{PullTimings, WindowPages};
use crate::backfill::pull::store::{PageStore, Pulled};
use crate::backfill::window::{Window, rfc3339};
use crate::clock::{Clock, Ids};
use crate::journal::{Journal, Lane};

/// What a caller may report while it waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PullProgress {
    /// The beginning of the window became too old.
    Shortened {
        /// The start that is asked for instead.
        start_at: DateTime<Utc>,
    },
    /// A page was stored.
    Page {
        /// What was pulled so far.
        so_far: Pulled,
        /// The time of the oldest entry so far; the newest come first.
        down_to: Option<DateTime<Utc>>,
    },
    /// A call failed and is repeated.
    Retrying {
        /// The error of Konnect, or of the connection to it.
        reason: String,
        /// When it is repeated.
        wait: Duration,
    },
}

impl fmt::Display for PullProgress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shortened { start_at } => write!(
                formatter,
                "konnect drops what is older than 7 days, pulling from {} on",
                rfc3339(*start_at)
            ),
            Self::Page { so_far, .. } => {
                write!(formatter, "pulled {} entries so far", so_far.entries)
            }
            Self::Retrying { reason, wait } => {
                write!(formatter, "{reason}; trying again in {wait:?}")
            }
        }
    }
}

/// Pulls windows. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Puller {
    client: Client,
    journal: Journal,
    clock: Clock,
    ids: Ids,
    timings: PullTimings,
    stopping: CancellationToken,
}

impl Puller {
    /// Pulls through `client`, which needs a token, into `journal`; every wait ends when `stopping`
    /// fires.
    pub fn new(
        client: Client,
        journal: Journal,
        clock: Clock,
        timings: PullTimings,
        stopping: CancellationToken,
    ) -> Self {
        Self {
            client,
            journal,
            ids: Ids::new(clock.clone()),
            clock,
            timings,
            stopping,
        }
    }

    /// Pulls a window and stores its entries, a page in a transaction; only those of `kind`, where
    /// one is given. What becomes too old meanwhile is left out.
    ///
    /// # Errors
    /// What was stored before stays stored, and is recognised when the window is pulled again.
    pub async fn pull(
        &self,
        window: Window,
        kind: Option<AuditLogKind>,
        lane: Lane,
        report: &mut (dyn FnMut(&PullProgress) + Send),
    ) -> Result<Pulled, PullError> {
        let left = window.within_reach(self.clock.now());
        let left = left.ok_or(PullError::TooLate)?;
        if left != window {
            let start_at = left.start_at();
            report(&PullProgress::Shortened { start_at });
        }
        let mut store = PageStore::new(&self.journal, (&self.clock, &self.ids), lane);
        let (client, stopping) = (&self.client, &self.stopping);
        let mut pages = WindowPages::new(client, (left, kind), self.timings, stopping);
        let mut so_far = Pulled::default();
        let mut down_to: Option<DateTime<Utc>> = None;
        loop {
            let mut retrying = |Retry { reason, wait }| {
                report(&PullProgress::Retrying { reason, wait });
            };
            let Some(page) = pages.next(&mut retrying).await? else {
                return Ok(so_far);
            };
            let (pulled, oldest) = store.store(page).await?;
            so_far.add(pulled);
            down_to = oldest.or(down_to);
            report(&PullProgress::Page { so_far, down_to });
        }
    }
}
