//! What the first page asks, all of it at once. A question that is not answered in time leaves its
//! own card without numbers, and the rest of the page as it is. What takes longest to count is
//! asked once for all who look.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tracing::warn;
use uuid::Uuid;

use crate::act::{ActionTally, Paused};
use crate::backfill::SourceCoverage;
use crate::console::Console;
use crate::console::coverage::logs;
use crate::console::recent::{Counted, Recent};
use crate::directory::Portal;
use crate::http::PortalScope;
use crate::journal::{JournalError, LogSource, OpenAlert, QuarantineCount, ReaderStatus};
use crate::report::{
    ActivePeople, Answer, By, EventCount, PendingCount, Question, ReportError, ReportName,
};

/// The server cuts off a question that takes longer.
const CUT_AFTER: Duration = Duration::from_millis(1_500);
/// Nobody waits longer for one, the wait for a connection included.
const WAIT: Duration = Duration::from_secs(2);
/// Days in which people are counted at most: to tell those of more days apart takes too long.
const PEOPLE_DAYS: i64 = 7;
/// Days of people whom the funnel shows.
pub(super) const FUNNEL_DAYS: i64 = 30;

/// How long a count is good that many people share.
const GOOD_FOR: TimeDelta = TimeDelta::seconds(10);

/// What was read, or in a few words why it was not.
pub(super) type Read<T> = Result<T, String>;

/// The time that the page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// Days; one is the last 24 hours.
    pub(super) days: i64,
    /// Its beginning: that of an hour or a day.
    pub(super) from: DateTime<Utc>,
    /// Its end: that of the hour or the day which is now.
    pub(super) to: DateTime<Utc>,
    /// What a bar stands for.
    pub(super) by: By,
}

impl Span {
    /// The last 24 hours, or so many days, today included.
    pub(super) fn of(days: i64, now: DateTime<Utc>) -> Self {
        let (step, by) = if days == 1 {
            (TimeDelta::hours(1), By::Hour)
        } else {
            (TimeDelta::days(1), By::Day)
        };
        let past = TimeDelta::seconds(now.timestamp().rem_euclid(step.num_seconds()))
            + TimeDelta::nanoseconds(now.timestamp_subsec_nanos().into());
        let to = now - past + step;
        Self {
            days,
            from: to - TimeDelta::days(days),
            to,
            by,
        }
    }

    /// The last days of it, for which people are counted.
    pub(super) fn of_people(self) -> Self {
        let days = self.days.min(PEOPLE_DAYS);
        Self {
            days,
            from: self.to - TimeDelta::days(days),
            ..self
        }
    }

    /// The length of time that one bar stands for.
    pub(super) fn step(self) -> TimeDelta {
        if self.by == By::Hour {
            TimeDelta::hours(1)
        } else {
            TimeDelta::days(1)
        }
    }
}

/// The answers.
pub(super) struct Answers {
    pub(super) portals: Read<Vec<Portal>>,
    pub(super) first_delivered: Read<Option<DateTime<Utc>>>,
    pub(super) events: Read<Vec<EventCount>>,
    pub(super) active: Read<Counted<Vec<ActivePeople>>>,
    pub(super) pending: Read<Vec<PendingCount>>,
    pub(super) tally: Read<ActionTally>,
    pub(super) paused: Read<Option<Paused>>,
    /// Nothing for whoever may see some portals only, as are the readers.
    pub(super) quarantine: Read<Vec<QuarantineCount>>,
    pub(super) readers: Read<Vec<ReaderStatus>>,
    pub(super) alerts: Read<Vec<OpenAlert>>,
    pub(super) funnel: Read<Counted<Answer>>,
    pub(super) coverage: Read<Vec<SourceCoverage>>,
}

/// The last counts that take long, by the portals that they are of. Cheap to clone.
#[derive(Debug, Clone)]
pub(in crate::console) struct RecentCounts {
    /// Those of a time are others than those of another.
    active: Recent<(PortalScope, DateTime<Utc>), Vec<ActivePeople>>,
    funnel: Recent<PortalScope, Answer>,
}

impl Default for RecentCounts {
    fn default() -> Self {
        Self {
            active: Recent::new(GOOD_FOR),
            funnel: Recent::new(GOOD_FOR),
        }
    }
}

/// Asks everything.
pub(super) async fn ask(
    console: &Console,
    recent: &RecentCounts,
    portal: Option<Uuid>,
    span: Span,
    now: DateTime<Utc>,
) -> Answers {
    let reports = console.reports.within(CUT_AFTER);
    let funnel = Question {
        portal,
        from: Some(now - TimeDelta::days(FUNNEL_DAYS)),
        ..Question::default()
    };
    let counted = console.portals().narrowed(portal);
    let funnel = async {
        let ask = reports.ask(ReportName::Funnel, &funnel);
        let answer = recent
            .funnel
            .get(counted.clone(), &console.clock, ask)
            .await;
        answer.map_err(|error| match error {
            ReportError::Question(error) => error.to_string(),
            ReportError::Journal(error) => reason("funnel", &error),
        })
    };
    let since = span.of_people().from;
    let active = reports.active_people(portal, since);
    let active = recent
        .active
        .get((counted.clone(), since), &console.clock, active);
    let window = (Some(span.from), Some(span.to));
    let sees_all = console.portals().is_all();
    let day_ago = now - TimeDelta::days(1);
    let (
        portals,
        first_delivered,
        events,
        active,
        pending,
        tally,
        paused,
        quarantine,
        readers,
        alerts,
        funnel,
        coverage,
    ) = tokio::join!(
        in_time("portals", console.directory.portals()),
        in_time("deliveries", reports.first_delivered()),
        in_time("events", reports.event_counts(portal, window, span.by)),
        in_time("active people", active),
        in_time("pending", reports.pending_counts(portal)),
        in_time("actions", console.listed.tally(portal, span.from)),
        in_time("pause", console.listed.paused()),
        in_time(
            "quarantine",
            if_all(sees_all, console.reading.quarantine_counts(day_ago))
        ),
        in_time("readers", if_all(sees_all, console.reading.readers())),
        in_time("alerts", if_all(sees_all, console.reading.open_alerts())),
        tokio::time::timeout(WAIT, funnel),
        in_time(
            "coverage",
            logs::known(console, portal.map(LogSource::Portal))
        ),
    );
    Answers {
        portals,
        first_delivered,
        events,
        active,
        pending,
        tally,
        paused,
        quarantine,
        readers,
        alerts,
        funnel: funnel.unwrap_or_else(|_| Err(late())),
        coverage,
    }
}

/// What belongs to no portal: nothing for whoever may see some portals only.
async fn if_all<T>(
    sees_all: bool,
    ask: impl Future<Output = Result<Vec<T>, JournalError>>,
) -> Result<Vec<T>, JournalError> {
    if sees_all { ask.await } else { Ok(Vec::new()) }
}

async fn in_time<T>(
    what: &'static str,
    ask: impl Future<Output = Result<T, JournalError>>,
) -> Read<T> {
    match tokio::time::timeout(WAIT, ask).await {
        Ok(answer) => answer.map_err(|error| reason(what, &error)),
        Err(_) => Err(late()),
    }
}

fn late() -> String {
    "it was not answered in time".to_owned()
}

/// Why a question was not answered, for a page; the whole of it is in the log.
fn reason(what: &'static str, error: &JournalError) -> String {
    warn!(
        what,
        error = error.chain(),
        "a part of the overview could not be read"
    );
    error.plain()
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::Span;

    #[test]
    fn a_span_is_of_whole_hours_or_days_and_has_this_moment() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let now = at("2026-11-30T13:20:01.5Z");
        let span = Span::of(1, now);
        assert_eq!(span.from, at("2026-11-29T14:00:00Z"));
        assert_eq!(span.to, at("2026-11-30T14:00:00Z"));
        let span = Span::of(7, now);
        assert_eq!(span.from, at("2026-11-24T00:00:00Z"));
        assert_eq!(span.to, at("2026-12-01T00:00:00Z"));
        assert_eq!(span.of_people(), span);
        assert_eq!(Span::of(30, now).of_people(), span);
        let midnight = at("2026-11-30T00:00:00Z");
        assert_eq!(Span::of(30, midnight).to, at("2026-12-01T00:00:00Z"));
    }
}
