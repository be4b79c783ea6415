//! Stores a sweep: rows, subjects and events of the differences, one slice per transaction. No lock
//! is kept from one slice to the next, so that nobody waits for a whole sweep.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::directory::compare::compare;
use crate::directory::difference::Difference;
use crate::directory::slices::{SLICE, Slices};
use crate::directory::stored_state::StoredState;
use crate::directory::write::RowWriter;
use crate::directory::{Directory, Snapshot, Sweep, missed, refresh_queue, sweeps};
use crate::event::{OwnEvent, Verdict};
use crate::journal::{JournalError, Lane, NewBatch, NewEvent, Source, append_in};

/// With more differences than this a sweep goes to the bulk lane.
const MAX_LIVE: usize = 5_000;
/// Tries before the caller gets an error that asks for a repetition.
const TRIES: u32 = 3;

/// The result of storing a sweep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stored {
    /// Differences found, each an event of the journal now.
    pub differences: usize,
    /// Whether the sweep left something for the next one.
    pub is_partial: bool,
}

/// A part of a sweep that is stored in one transaction.
#[derive(Debug, Clone, Copy)]
struct Slice<'a> {
    sweep: Sweep,
    objects: &'a Snapshot,
    /// The whole that it is a part of, in the bulk lane.
    part_of: Option<Uuid>,
    /// The sweep that ends with this slice.
    ends: Option<&'a Snapshot>,
}

impl Directory {
    /// Stores a sweep, and appends its differences to the journal, each with its row in one
    /// transaction. Storing the same sweep twice finds no difference the second time; what a later
    /// sweep has written stays. Of a sweep of several slices, objects without a difference are
    /// stored first, so that a reader of the differences finds the related objects.
    ///
    /// # Errors
    /// [`JournalError::is_transient`] says whether another sweep later may succeed. Slices may have
    /// been stored then, but the sweep does not count.
    #[tracing::instrument(skip_all, fields(portal.id = %sweep.portal_id, scope = snapshot.scope.as_str()))]
    pub async fn store(&self, sweep: Sweep, snapshot: &Snapshot) -> Result<Stored, JournalError> {
        debug_assert_eq!(
            sweep.portal_id, snapshot.portal_id,
            "a sweep is of one portal"
        );
        if snapshot.len() <= SLICE {
            return self.store_news(sweep, snapshot, snapshot).await;
        }
        let mut news = Snapshot::empty(snapshot.portal_id, snapshot.scope);
        for slice in Slices::of(snapshot) {
            news.add(self.store_page(sweep, slice).await?);
        }
        self.store_news(sweep, &news, snapshot).await
    }

    /// Stores what a page of a sweep shows and has no difference; returns what is still to be
    /// stored. After the last page, [`Directory::store`] stores that of all pages.
    pub async fn store_page(&self, sweep: Sweep, page: Snapshot) -> Result<Snapshot, JournalError> {
        let mut connection = self.journal.pool().acquire().await?;
        let first_complete = sweeps::is_complete(&mut connection, sweep.portal_id).await?;
        let stored = StoredState::load(&mut connection, &page).await?;
        drop(connection);
        let changes = compare(&page, &stored, sweep.number, first_complete);
        let rest = changes.part(&page, false);
        for objects in Slices::of(&rest) {
            self.store_slice(Slice {
                sweep,
                objects: &objects,
                part_of: None,
                ends: None,
            })
            .await?;
        }
        Ok(changes.part(&page, true))
    }

    /// Stores `news`, which is what is still to be stored of `whole`, and ends the sweep.
    async fn store_news(
        &self,
        sweep: Sweep,
        news: &Snapshot,
        whole: &Snapshot,
    ) -> Result<Stored, JournalError> {
        let is_bulk = news.len() + whole.absent.len() > MAX_LIVE;
        let slice = Slice {
            sweep,
            objects: whole,
            part_of: is_bulk.then(|| self.ids.next()),
            ends: None,
        };
        let mut differences = 0;
        let mut last = Snapshot::empty(whole.portal_id, whole.scope);
        for objects in Slices::of(news) {
            if !last.is_empty() {
                let objects = &last;
                differences += self.store_slice(Slice { objects, ..slice }).await?;
            }
            last = objects;
        }
        if last.len() + whole.absent.len() > SLICE {
            let objects = &last;
            differences += self.store_slice(Slice { objects, ..slice }).await?;
            last = Snapshot::empty(whole.portal_id, whole.scope);
        }
        last.absent = whole.absent.clone();
        last.is_portal_gone = whole.is_portal_gone;
        let end = Slice {
            objects: &last,
            ends: Some(whole),
            ..slice
        };
        differences += self.store_slice(end).await?;
        Ok(Stored {
            differences,
            is_partial: whole.is_partial,
        })
    }

    /// Returns how many differences there were.
    async fn store_slice(&self, slice: Slice<'_>) -> Result<usize, JournalError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_store(slice).await {
                Ok(differences) => {
                    if differences > 0 {
                        self.journal.wake_readers();
                    }
                    return Ok(differences);
                }
                Err(JournalError::Repeat(_)) if tries < TRIES => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn try_store(&self, slice: Slice<'_>) -> Result<usize, JournalError> {
        let Slice { sweep, objects, .. } = slice;
        let now = self.clock.now();
        self.journal.ensure_partitions([now]).await?;
        let over = match slice.ends {
            Some(whole) => missed::over(self.journal.pool(), whole).await?,
            None => Vec::new(),
        };
        let mut tx = self.journal.pool().begin().await?;
        let first_complete = sweeps::lock(&mut tx, sweep.portal_id).await?;
        let stored = StoredState::load(&mut tx, objects).await?;
        let changes = compare(objects, &stored, sweep.number, first_complete);
        let writing = RowWriter {
            portal: sweep.portal_id,
            sweep: sweep.number,
            now,
        };
        writing.write(&mut tx, &changes).await?;
        writing.mark_gone(&mut tx, &changes.gone).await?;
        if !changes.differences.is_empty() {
            let batch = self.batch(slice, &changes.differences, now);
            append_in(&mut tx, &batch).await?;
        }
        if let Some(whole) = slice.ends {
            sweeps::stored(&mut tx, sweep, whole).await?;
            refresh_queue::settle(&mut tx, sweep, whole).await?;
            missed::settle(&mut tx, whole, &over).await?;
        }
        tx.commit().await?;
        Ok(changes.differences.len())
    }

    fn batch(&self, slice: Slice<'_>, differences: &[Difference], now: DateTime<Utc>) -> NewBatch {
        let events = differences.iter();
        let events = events.map(|difference| event(slice.sweep, difference, now));
        NewBatch {
            id: self.ids.next(),
            source: Source::Observe,
            lane: slice.part_of.map_or(Lane::Live, |_| Lane::Bulk),
            part_of: slice.part_of,
            received_at: now,
            requests: Vec::new(),
            events: events.collect(),
            quarantined: Vec::new(),
        }
    }
}

fn event(sweep: Sweep, difference: &Difference, now: DateTime<Utc>) -> NewEvent {
    let own = OwnEvent {
        name: difference.name.to_owned(),
        portal_id: sweep.portal_id.to_string(),
        principal_id: difference.developer.map(|developer| developer.to_string()),
        object: difference.object.clone(),
        revision: difference.revision,
        occurred_at: now,
        data: difference.data.clone(),
    };
    let (raw, event) = own.build();
    NewEvent {
        event,
        raw: raw.into(),
        verdict: Verdict::NotApplicable,
        request: None,
    }
}
