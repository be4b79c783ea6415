//! All events of a filter, the oldest first, a page at a time. A client that is cut off continues
//! after the last event that it has, also a day later. Has one page in memory and no connection
//! between two.

use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};

use crate::event::EventId;
use crate::http::PortalScope;
use crate::journal::read::search::select::{SearchTarget, Stretch};
use crate::journal::read::search::{
    EventFilter, Order, PAGE_BUDGET, Position, SEARCH_TIMEOUT, limit_statements, read_key, walk,
};
use crate::journal::{Journal, JournalError, StoredEvent};

/// Events in one page: planning a statement takes as long as reading some hundred rows.
const EVENTS: i64 = 2_000;
/// A page that the database has no time for is tried again for so long, so often.
const PATIENCE: Duration = Duration::from_mins(1);
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Reads what a filter matches, up to the newest event there was when it began.
#[derive(Debug)]
pub struct Export {
    journal: Journal,
    filter: EventFilter,
    /// First and last event of its range; none where there is nothing.
    ends: Option<(Position, Position)>,
    after: Option<Position>,
    is_done: bool,
}

impl Export {
    /// Begins with the oldest event, or after the event `after`.
    ///
    /// # Errors
    /// [`JournalError`] as everywhere, also [`JournalError::TooManyPeople`].
    pub async fn begin(
        journal: Journal,
        filter: EventFilter,
        after: Option<EventId>,
    ) -> Result<Self, JournalError> {
        // A person who cannot be searched for is reported before anything is sent.
        journal.check_people(&filter).await?;
        let after = after.map(Position::from);
        let ends = journal.ends(&filter, after).await?;
        Ok(Self {
            journal,
            filter,
            is_done: ends.is_none(),
            ends,
            after,
        })
    }

    /// The next events; none at the end. The list may be empty before the end, when it takes long
    /// to find one.
    ///
    /// # Errors
    /// [`JournalError`], where trying again for a minute did not help.
    pub async fn next(&mut self) -> Result<Option<Vec<StoredEvent>>, JournalError> {
        if self.is_done {
            return Ok(None);
        }
        let ask = walk::PageQuery {
            filter: &self.filter,
            order: Order::Oldest,
            stretch: Stretch {
                after: self.after,
                until: self.ends.map(|(_, last)| last),
            },
            limit: EVENTS,
            budget: PAGE_BUDGET,
        };
        let began = Instant::now();
        let found = loop {
            match self.journal.walk(&ask).await {
                Err(error) if error.is_transient() && began.elapsed() < PATIENCE => {
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
                other => break other?,
            }
        };
        self.is_done = found.next.is_none();
        self.after = found.next;
        Ok(Some(found.events))
    }

    /// Which part of its time range is done, from 0 to 1, and up to when.
    pub fn progress(&self) -> (f64, Option<DateTime<Utc>>) {
        let (Some((first, last)), false) = (self.ends, self.is_done) else {
            return (1.0, self.ends.map(|(_, last)| last.event_ts));
        };
        let at = self.after.map_or(first.event_ts, |after| after.event_ts);
        let seconds = |from: DateTime<Utc>, to: DateTime<Utc>| (to - from).as_seconds_f64();
        let all = seconds(first.event_ts, last.event_ts).max(1.0);
        let done = seconds(first.event_ts, at) / all;
        (done.clamp(0.0, 1.0), Some(at))
    }
}

impl Journal {
    /// The first and the last event within the time of `filter` after `after`, whether they match
    /// or not.
    async fn ends(
        &self,
        filter: &EventFilter,
        after: Option<Position>,
    ) -> Result<Option<(Position, Position)>, JournalError> {
        let mut tx = self.pool.begin().await?;
        limit_statements(&mut tx, SEARCH_TIMEOUT).await?;
        let within = EventFilter {
            from: filter.from,
            to: filter.to,
            ..EventFilter::default()
        };
        let aim = |order| SearchTarget {
            filter: &within,
            people: None,
            // Nobody is shown them.
            portals: &PortalScope::All,
            order,
        };
        let stretch = Stretch { after, until: None };
        let first = read_key(&mut tx, aim(Order::Oldest), stretch, 1).await?;
        let Some(first) = first else {
            return Ok(None);
        };
        let back = Stretch {
            after: None,
            until: Some(first),
        };
        let last = read_key(&mut tx, aim(Order::Newest), back, 1).await?;
        Ok(Some((first, last.unwrap_or(first))))
    }
}
