//! A page that is answered in its time. Stretches of the journal are examined one after the other,
//! each by its own bounded statement. This ends when the page is full, everything was examined, or
//! the time is over.
//!
//! A stretch is a number of rows and no span of time: any number of events may have the same
//! second, and a page must advance.

use std::time::{Duration, Instant};

use sqlx::error::DatabaseError;

use crate::journal::read::search::select::{SearchTarget, Stretch};
use crate::journal::read::search::{
    EventFilter, Found, Order, PAGE_BYTES, Page, Position, SEARCH_TIMEOUT, limit_statements,
    people, read_key, read_page,
};
use crate::journal::{Connection, Journal, JournalError};

/// Rows of the first stretch: few, so that it is answered even where reading is slow.
const FIRST_ROWS: i64 = 2_000;
/// So many times larger a stretch may be than the one before.
const GROWTH: i64 = 8;
/// Rows of any stretch.
const MOST_ROWS: i64 = 5_000_000;
/// Every statement gets at least this.
const LEAST: Duration = Duration::from_millis(100);

/// One page to be answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct PageQuery<'a> {
    pub(super) filter: &'a EventFilter,
    pub(super) order: Order,
    pub(super) stretch: Stretch,
    pub(super) limit: i64,
    pub(super) budget: Duration,
}

impl Journal {
    /// The page of `ask`.
    pub(super) async fn walk(&self, ask: &PageQuery<'_>) -> Result<Found, JournalError> {
        let began = Instant::now();
        let mut tx = self.pool.begin().await?;
        limit_statements(&mut tx, SEARCH_TIMEOUT).await?;
        let people = people::people(&mut tx, ask.filter, &self.portals).await?;
        let aim = SearchTarget {
            filter: ask.filter,
            people: people.as_deref(),
            portals: &self.portals,
            order: ask.order,
        };
        let mut found = Found::default();
        let mut left = PageBudget {
            limit: ask.limit,
            bytes: PAGE_BYTES,
        };
        let mut stretch = ask.stretch;
        let mut rows = FIRST_ROWS;
        loop {
            let started = Instant::now();
            let (page, looked_up_to) = match step(&mut tx, aim, stretch, left, rows).await {
                // It found something: the answer is short, and the rest is for the next page.
                Err(error) if found.next.is_some() && was_cut(&error) => return Ok(found),
                other => other?,
            };
            left.take(&page);
            let last = page.events.last().map(Position::from);
            found.events.extend(page.events);
            found.next = if page.more { last } else { looked_up_to };
            let remaining = ask.budget.saturating_sub(began.elapsed());
            if page.more || found.next.is_none() || left.is_nothing() || remaining.is_zero() {
                return Ok(found);
            }
            stretch.after = found.next;
            rows = next_rows(rows, started.elapsed(), remaining);
            limit_statements(&mut tx, remaining.max(LEAST)).await?;
        }
    }
}

/// What is left of a page's limits.
#[derive(Debug, Clone, Copy)]
struct PageBudget {
    limit: i64,
    bytes: i64,
}

impl PageBudget {
    fn take(&mut self, page: &Page) {
        let length = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
        self.limit -= length(page.events.len());
        let bytes = page.events.iter().map(|event| length(event.raw.len()));
        self.bytes -= bytes.sum::<i64>();
    }

    fn is_nothing(self) -> bool {
        self.limit <= 0 || self.bytes <= 0
    }
}

/// Examines up to `rows` rows; returns where it stopped, if that is not the end.
async fn step(
    connection: &mut Connection,
    aim: SearchTarget<'_>,
    stretch: Stretch,
    left: PageBudget,
    rows: i64,
) -> Result<(Page, Option<Position>), JournalError> {
    // What an index finds takes no longer, however much there is.
    let edge = if aim.is_looked_for() {
        let last = read_key(connection, aim, stretch, rows).await?;
        last.map(|last| aim.edge(last))
    } else {
        None
    };
    let looked_at = Stretch {
        until: edge.or(stretch.until),
        ..stretch
    };
    let page = read_page(connection, aim, looked_at, left.limit, left.bytes).await?;
    Ok((page, edge))
}

/// How many rows can be examined in half of the time that remains, at the rate so far.
fn next_rows(rows: i64, took: Duration, remaining: Duration) -> i64 {
    let took = i64::try_from(took.as_micros()).unwrap_or(i64::MAX).max(1);
    let half = i64::try_from(remaining.as_micros() / 2).unwrap_or(i64::MAX);
    let rows_in_time = rows.saturating_mul(half) / took;
    let most = rows.saturating_mul(GROWTH).min(MOST_ROWS);
    rows_in_time.clamp(1, most)
}

/// Whether the server ended a statement because its time was over.
fn was_cut(error: &JournalError) -> bool {
    let JournalError::Unavailable(error) = error else {
        return false;
    };
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.as_deref() == Some("57014")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{MOST_ROWS, next_rows};

    #[test]
    fn stretches_grow_while_there_is_time_and_shrink_when_there_is_little() {
        let ms = Duration::from_millis;
        assert_eq!(next_rows(2_000, ms(1), ms(2_000)), 16_000);
        assert_eq!(next_rows(16_000, ms(100), ms(1_000)), 80_000);
        assert_eq!(next_rows(16_000, ms(1_000), ms(10)), 80);
        assert_eq!(next_rows(1, ms(9_000), ms(1)), 1);
        assert_eq!(next_rows(MOST_ROWS, ms(1), ms(2_000)), MOST_ROWS);
        assert_eq!(next_rows(5, Duration::ZERO, Duration::MAX), 40);
    }
}
