//! Searches events, a page at a time, newest or oldest first.
//!
//! `search` finds all events or fails. A page is cut short by its time, and says where to continue.

mod address;
mod around;
mod export;
mod filter;
mod follow;
mod parameters;
mod people;
mod select;
mod walk;

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::Row;
use sqlx::postgres::PgRow;

use crate::event::EventId;
use crate::journal::read::search::select::{SearchTarget, Stretch};
use crate::journal::read::stored_event::EventRow;
use crate::journal::{Connection, Journal, JournalError, StoredEvent, Transaction};

pub use address::{Network, NoNetwork};
pub use around::Around;
pub use export::Export;
pub use filter::{EventFilter, NoFilter, Outcome, shell_word};
pub use follow::Follow;
pub(in crate::journal) use follow::Recent;

/// Bytes of entries in one page, whatever their number: each may be as long as a line may be.
const PAGE_BYTES: i64 = 8 * 1024 * 1024;
/// A search that takes longer is cut off: the journal's first duty is to store events.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(10);
/// After this time a page is what was found so far.
const PAGE_BUDGET: Duration = Duration::from_secs(2);

/// One page of a search.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Its events in the order that was asked for.
    pub events: Vec<StoredEvent>,
    /// Where the search continues; none once everything was examined. A page may end before its
    /// limit, and be empty, while there is more to examine.
    pub next: Option<Position>,
}

/// The key of an event: where a page ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// `event_ts` of the last row.
    pub event_ts: DateTime<Utc>,
    /// Its id.
    pub id: EventId,
}

/// Which events come first, by `event_ts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The newest.
    Newest,
    /// The oldest.
    Oldest,
}

impl From<&StoredEvent> for Position {
    fn from(event: &StoredEvent) -> Self {
        Self {
            event_ts: event.event_ts,
            id: event.id,
        }
    }
}

impl From<EventId> for Position {
    /// The position of an event with this id, stored or not.
    fn from(id: EventId) -> Self {
        Self {
            event_ts: id.event_ts(),
            id,
        }
    }
}

impl Journal {
    /// Up to `limit` events that match, newest first, after `after`; fewer where their entries are
    /// large.
    ///
    /// # Errors
    /// [`JournalError`] as everywhere, also when it takes longer than it may.
    pub async fn search(
        &self,
        filter: &EventFilter,
        after: Option<Position>,
        limit: i64,
    ) -> Result<Vec<StoredEvent>, JournalError> {
        let mut tx = self.pool.begin().await?;
        limit_statements(&mut tx, SEARCH_TIMEOUT).await?;
        let people = people::people(&mut tx, filter, &self.portals).await?;
        let aim = SearchTarget {
            filter,
            people: people.as_deref(),
            portals: &self.portals,
            order: Order::Newest,
        };
        let stretch = Stretch { after, until: None };
        let page = read_page(&mut tx, aim, stretch, limit, PAGE_BYTES).await?;
        Ok(page.events)
    }

    /// A page of up to `limit` events that match, newest first, after `after`. It ends earlier
    /// where its entries are large, and where it takes long to find them.
    ///
    /// # Errors
    /// [`JournalError`] as everywhere, also when nothing could be examined in time.
    pub async fn search_page(
        &self,
        filter: &EventFilter,
        after: Option<Position>,
        limit: i64,
    ) -> Result<Found, JournalError> {
        self.search_page_within(filter, after, limit, PAGE_BUDGET)
            .await
    }

    /// As [`search_page`](Self::search_page), with another time budget. After it the page is what
    /// was found so far.
    pub async fn search_page_within(
        &self,
        filter: &EventFilter,
        after: Option<Position>,
        limit: i64,
        budget: Duration,
    ) -> Result<Found, JournalError> {
        let ask = walk::PageQuery {
            filter,
            order: Order::Newest,
            stretch: Stretch { after, until: None },
            limit,
            budget,
        };
        self.walk(&ask).await
    }
}

/// What one statement found.
struct Page {
    events: Vec<StoredEvent>,
    /// Whether more of the stretch match.
    more: bool,
}

/// Bounds every statement of the transaction from here on.
async fn limit_statements(tx: &mut Transaction<'_>, timeout: Duration) -> Result<(), JournalError> {
    sqlx::query_scalar!(
        "SELECT set_config('statement_timeout', $1, true)",
        timeout.as_millis().max(1).to_string(),
    )
    .fetch_one(&mut **tx)
    .await?;
    Ok(())
}

/// The first events of `stretch` that match: never fewer than one if one does.
async fn read_page(
    connection: &mut Connection,
    aim: SearchTarget<'_>,
    stretch: Stretch,
    limit: i64,
    bytes: i64,
) -> Result<Page, JournalError> {
    let mut query = aim.page(stretch, limit.saturating_add(1), bytes);
    // Planned for these values each time: the partitions and the index depend on them.
    let query = query.build().persistent(false);
    let rows = query.fetch_all(&mut *connection).await?;
    let matching: i64 = match rows.first() {
        Some(row) => row.try_get("matching")?,
        None => 0,
    };
    let events = rows.into_iter().map(|row| stored(&row));
    let mut events = events.collect::<Result<Vec<_>, JournalError>>()?;
    events.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let shown = i64::try_from(events.len()).unwrap_or(i64::MAX);
    Ok(Page {
        more: matching > shown,
        events,
    })
}

/// The key of the row with this number in `stretch`; none where there are fewer.
async fn read_key(
    connection: &mut Connection,
    aim: SearchTarget<'_>,
    stretch: Stretch,
    number: i64,
) -> Result<Option<Position>, JournalError> {
    let mut query = aim.key_of(stretch, number);
    let query = query.build().persistent(false);
    let row = query.fetch_optional(&mut *connection).await?;
    row.map(|row| {
        Ok(Position {
            event_ts: row.try_get("event_ts")?,
            id: EventId::from_uuid(row.try_get("id")?),
        })
    })
    .transpose()
}

fn stored(row: &PgRow) -> Result<StoredEvent, JournalError> {
    StoredEvent::try_from(EventRow {
        id: row.try_get("id")?,
        event_ts: row.try_get("event_ts")?,
        received_at: row.try_get("received_at")?,
        batch: row.try_get("batch")?,
        delivery_id: row.try_get("delivery_id")?,
        verdict: row.try_get("verdict")?,
        copies: row.try_get("copies")?,
        raw: row.try_get("raw")?,
    })
}
