//! `usher events tail`, and `--follow`: the newest events, then those that come in.

use crate::cli::events::filter::unread;
use crate::cli::events::put;
use crate::cli::listing::{Listing, PAGE};
use crate::cli::record::Shown;
use crate::cli::{CliError, Output, Reader};
use crate::journal::{EventFilter, Follow, Journal, StoredEvent};

/// Shows the newest `limit` events, then those that come in, until it is dropped.
pub(super) async fn follow(
    journal: Journal,
    filter: EventFilter,
    limit: u32,
    mut listing: Listing<6>,
    shown: Shown,
) -> Result<(), CliError> {
    let follow = Follow::from_now(journal.clone(), filter.clone()).await;
    let mut follow = follow.map_err(unread)?;
    let newest = journal.search_page(&filter, None, i64::from(limit).min(PAGE));
    let newest = newest.await.map_err(unread)?;
    shown.add(newest.events.len());
    let printed = print(newest.events.iter().rev(), &mut listing)?;
    if printed == Reader::Gone || listing.end()? == Reader::Gone {
        return Ok(());
    }
    loop {
        let events = match follow.next().await {
            Ok(events) => events,
            Err(error) if error.is_transient() => {
                Output::progress(&format!("{}, trying again", error.chain()));
                Vec::new()
            }
            Err(error) => return Err(unread(error)),
        };
        if events.is_empty() {
            tokio::time::sleep(Follow::EVERY).await;
            continue;
        }
        shown.add(events.len());
        let printed = print(events.iter(), &mut listing)?;
        if printed == Reader::Gone || listing.go_on()? == Reader::Gone {
            return Ok(());
        }
    }
}

/// The oldest first, as they follow each other.
fn print<'a>(
    events: impl Iterator<Item = &'a StoredEvent>,
    listing: &mut Listing<6>,
) -> Result<Reader, CliError> {
    for event in events {
        if put(listing, event)? == Reader::Gone {
            return Ok(Reader::Gone);
        }
    }
    Ok(Reader::There)
}
