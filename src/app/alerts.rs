//! Reports what is wrong with usher itself: what holds now is compared with what is stored, and
//! each difference becomes an event, which rules may answer with a notice. Knows no condition:
//! sources are plugged in.

use std::fmt;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use metrics::gauge;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};
use uuid::Uuid;

use crate::clock::Ids;
use crate::event::Alert;
use crate::journal::{AlertChanges, FoundAlert, Journal, JournalError, Lease, OpenAlert};
use crate::lifecycle::pause;
use crate::telemetry::metrics as names;

/// Between checks.
const EVERY: Duration = Duration::from_secs(10);
/// Before the first check: what is wrong from the start shows by then.
const FIRST: Duration = Duration::from_secs(1);
/// What an instance reported for so long counts, and as long one may take the lease.
const LASTS: Duration = Duration::from_secs(30);
/// An alert ends when nobody found it for so long: what comes and goes is one alert.
const ENDS_AFTER: Duration = Duration::from_mins(1);

type Ask<T> = Box<dyn Fn() -> T + Send + Sync>;
type Answer = BoxFuture<'static, Result<Vec<FoundAlert>, JournalError>>;

/// Finds which of some alerts hold, from what all instances share. One instance at a time asks it.
pub struct Source {
    of: &'static [Alert],
    ask: Ask<Answer>,
}

/// Compares what holds with what is stored.
pub struct Alerts {
    journal: Journal,
    ids: Ids,
    lease: Lease,
    ends_after: Duration,
    sources: Vec<Source>,
    own: Vec<Ask<Vec<FoundAlert>>>,
}

impl Source {
    /// A source of the alerts `of`. While it answers with an error, what was found of them stays.
    pub fn new<Asked>(of: &'static [Alert], ask: impl Fn() -> Asked + Send + Sync + 'static) -> Self
    where
        Asked: Future<Output = Result<Vec<FoundAlert>, JournalError>> + Send + 'static,
    {
        Self {
            of,
            ask: Box::new(move || ask().boxed()),
        }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Source").field(&self.of).finish()
    }
}

impl fmt::Debug for Alerts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Alerts")
            .field("sources", &self.sources)
            .finish_non_exhaustive()
    }
}

impl Alerts {
    /// The alerts of one instance, without a source.
    pub fn new(journal: Journal, ids: Ids) -> Self {
        Self {
            lease: Lease {
                name: "alerts".to_owned(),
                holder: ids.next(),
                ttl: LASTS,
            },
            journal,
            ids,
            ends_after: ENDS_AFTER,
            sources: Vec::new(),
            own: Vec::new(),
        }
    }

    /// Asks `source` too.
    #[must_use]
    pub fn with(mut self, source: Source) -> Self {
        self.sources.push(source);
        self
    }

    /// Asks `own` too: what only this instance can see, such as its spool.
    #[must_use]
    pub fn with_own(mut self, own: impl Fn() -> Vec<FoundAlert> + Send + Sync + 'static) -> Self {
        self.own.push(Box::new(own));
        self
    }

    /// Ends an alert when nobody found it for the time `after`.
    #[must_use]
    pub fn ending_after(mut self, after: Duration) -> Self {
        self.ends_after = after;
        self
    }

    /// Checks again and again until cancelled.
    pub(super) async fn run(self, cancel: CancellationToken) {
        let mut wait = FIRST;
        while !pause(wait, &cancel).await {
            wait = EVERY;
            let checked = cancel.run_until_cancelled(Box::pin(self.check())).await;
            if let Some(Err(error)) = checked {
                // The part `database` reports it with a higher level.
                debug!(error = error.chain(), "could not compare the alerts");
            }
        }
        if let Err(error) = self.journal.release_lease(&self.lease).await {
            debug!(error = error.chain(), "could not give up a lease");
        }
    }

    /// Checks once: reports what this instance sees, and compares all of it where this instance
    /// has the lease.
    pub async fn check(&self) -> Result<(), JournalError> {
        let own: Vec<FoundAlert> = self.own.iter().flat_map(|ask| ask()).collect();
        let instance: Uuid = self.lease.holder;
        self.journal.report_alerts(instance, &own, LASTS).await?;
        if self.journal.take_lease(&self.lease).await? {
            let found = self.found().await?;
            let (ids, after) = (&self.ids, self.ends_after);
            let changing = self.journal.change_alerts(ids, &found, after);
            log(&Box::pin(changing).await?);
        }
        show(&self.journal.open_alerts().await?);
        Ok(())
    }

    /// What holds now.
    async fn found(&self) -> Result<Vec<FoundAlert>, JournalError> {
        let mut found = self.journal.reported_alerts(LASTS).await?;
        for Source { of, ask } in &self.sources {
            match ask().await {
                Ok(now) => found.extend(now),
                Err(error) => {
                    let of: Vec<&str> = of.iter().map(|alert| alert.as_str()).collect();
                    warn!(
                        error = error.chain(),
                        ?of,
                        "could not find out about alerts"
                    );
                    let open = self.journal.open_alerts().await?.into_iter();
                    let open = open.map(|open| open.found);
                    found.extend(open.filter(|open| of.contains(&open.alert.as_str())));
                }
            }
        }
        Ok(found)
    }
}

fn log(changes: &AlertChanges) {
    for OpenAlert { found, .. } in &changes.began {
        let (alert, subject, detail) = (found.alert.as_str(), &found.subject, &found.detail);
        warn!(
            alert,
            subject,
            detail,
            advice = found.alert.advice(),
            "an alert began"
        );
    }
    for OpenAlert { found, since } in &changes.ended {
        let (alert, subject) = (found.alert.as_str(), &found.subject);
        info!(alert, subject, %since, "an alert ended");
    }
}

fn show(open: &[OpenAlert]) {
    for alert in Alert::ALL {
        let count = open.iter().filter(|open| open.found.alert == alert).count();
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a double")]
        gauge!(names::ALERTS, "alert" => alert.as_str()).set(count as f64);
    }
}
