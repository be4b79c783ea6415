//! `usher events --follow`: polls for new batches, and shows their events.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context;
use chrono::TimeDelta;
use uuid::Uuid;

use crate::cli::events::{HEADING, put};
use crate::cli::listing::{Listing, PAGE};
use crate::cli::{CliError, Output, Reader};
use crate::clock::Clock;
use crate::journal::{EventFilter, Journal, JournalError, Position, StoredEvent};

/// Between looks.
const EVERY: Duration = Duration::from_secs(1);
/// A batch may be committed this long after its first byte came; its time is that of the byte.
const LATE: TimeDelta = TimeDelta::minutes(2);
/// Batches in that time; more would be hundreds a second.
const MOST: i64 = 50_000;

/// Shows the newest `limit` events, then those that come in, until it is dropped.
pub(super) async fn follow(
    journal: Journal,
    clock: Clock,
    filter: EventFilter,
    limit: u32,
    output: Output,
) -> Result<(), CliError> {
    let window = || clock.now() - LATE;
    let known = journal.batches_since(window(), MOST).await;
    let mut seen: BTreeSet<Uuid> = known
        .context("could not read events")?
        .into_iter()
        .collect();
    let newest = journal
        .search_page(&filter, None, i64::from(limit).min(PAGE))
        .await
        .context("could not read events")?;
    let mut listing = Listing::new(HEADING, output);
    let printed = print(&newest.events, &mut listing)?;
    if printed == Reader::Gone || listing.end()? == Reader::Gone {
        return Ok(());
    }
    loop {
        tokio::time::sleep(EVERY).await;
        let recent = match journal.batches_since(window(), MOST).await {
            Ok(recent) => recent,
            Err(error) if error.is_transient() => {
                Output::progress(&format!("{}, trying again", error.chain()));
                continue;
            }
            Err(error) => return Err(CliError::Failed(error.into())),
        };
        let new: Vec<Uuid> = recent
            .iter()
            .filter(|batch| !seen.contains(batch))
            .copied()
            .collect();
        if !new.is_empty() {
            let filter = EventFilter {
                batches: Some(new),
                ..filter.clone()
            };
            let events = all(&journal, &filter).await;
            let events = events.context("could not read events")?;
            let printed = print(&events, &mut listing)?;
            if printed == Reader::Gone || listing.go_on()? == Reader::Gone {
                return Ok(());
            }
        }
        seen = recent.into_iter().collect();
    }
}

/// Every event of new batches that matches, newest first.
async fn all(journal: &Journal, filter: &EventFilter) -> Result<Vec<StoredEvent>, JournalError> {
    let mut events: Vec<StoredEvent> = Vec::new();
    loop {
        let after: Option<Position> = events.last().map(Into::into);
        let found = journal.search_page(filter, after, PAGE).await?;
        events.extend(found.events);
        if !found.more {
            return Ok(events);
        }
    }
}

/// The oldest first, as they follow each other.
fn print(events: &[StoredEvent], listing: &mut Listing<6>) -> Result<Reader, CliError> {
    for event in events.iter().rev() {
        if put(listing, event)? == Reader::Gone {
            return Ok(Reader::Gone);
        }
    }
    Ok(Reader::There)
}
