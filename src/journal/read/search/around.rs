//! What lies on either side of one event.

use crate::journal::read::search::select::{SearchTarget, Stretch};
use crate::journal::read::search::{
    EventFilter, Order, Position, SEARCH_TIMEOUT, limit_statements, people, read_page,
};
use crate::journal::{Journal, JournalError, StoredEvent};

/// Bytes of entries on one side, whatever their number.
const BYTES: i64 = 1024 * 1024;

/// The events next to one.
#[derive(Debug, Clone, Default)]
pub struct Around {
    /// Those before it, the newest first.
    pub before: Vec<StoredEvent>,
    /// Those after it, the oldest first.
    pub after: Vec<StoredEvent>,
}

impl Journal {
    /// Up to `limit` events that match on either side of `position`, which is not one of them. A
    /// filter that no index serves takes as long as a search.
    ///
    /// # Errors
    /// [`JournalError`] as everywhere, also when it takes longer than it may.
    pub async fn around(
        &self,
        filter: &EventFilter,
        position: Position,
        limit: i64,
    ) -> Result<Around, JournalError> {
        let mut tx = self.pool.begin().await?;
        limit_statements(&mut tx, SEARCH_TIMEOUT).await?;
        let people = people::people(&mut tx, filter, &self.portals).await?;
        let stretch = Stretch {
            after: Some(position),
            until: None,
        };
        let mut around = Around::default();
        for (order, side) in [
            (Order::Newest, &mut around.before),
            (Order::Oldest, &mut around.after),
        ] {
            let aim = SearchTarget {
                filter,
                people: people.as_deref(),
                portals: &self.portals,
                order,
            };
            *side = read_page(&mut tx, aim, stretch, limit, BYTES).await?.events;
        }
        Ok(around)
    }
}
