//! Storing a look: rows, subjects and events of the differences in one transaction.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::directory::compare::compare;
use crate::directory::difference::Difference;
use crate::directory::known::Known;
use crate::directory::write::Writing;
use crate::directory::{Directory, Look, Snapshot, looks, missed, touched};
use crate::event::{OwnEvent, Verdict};
use crate::journal::{JournalError, Lane, NewBatch, NewEvent, Source, append_in};

/// Events of one batch; readers handle a batch at a time.
const SLICE: usize = 5_000;
/// Tries before the caller hears of trouble that asks for a repetition.
const TRIES: u32 = 3;

/// What became of a look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stored {
    /// Differences found, each an event of the journal now.
    pub differences: usize,
}

impl Directory {
    /// Stores what a look showed, and appends its differences to the journal, all in one
    /// transaction. Storing the same look twice finds no difference the second time; what a later
    /// look has written stays.
    ///
    /// # Errors
    /// [`JournalError::is_transient`] tells whether to look again later; nothing was stored then.
    #[tracing::instrument(skip_all, fields(portal.id = %look.portal_id, scope = snapshot.scope.as_str()))]
    pub async fn store(&self, look: Look, snapshot: &Snapshot) -> Result<Stored, JournalError> {
        debug_assert_eq!(
            look.portal_id, snapshot.portal_id,
            "a look is at one portal"
        );
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_store(look, snapshot).await {
                Ok(stored) => {
                    if stored.differences > 0 {
                        self.journal.wake_readers();
                    }
                    return Ok(stored);
                }
                Err(JournalError::Repeat(_)) if tries < TRIES => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn try_store(&self, look: Look, snapshot: &Snapshot) -> Result<Stored, JournalError> {
        let now = self.clock.now();
        self.journal.ensure_partitions([now]).await?;
        let mut tx = self.journal.pool().begin().await?;
        let first_complete = looks::lock(&mut tx, look.portal_id).await?;
        let known = Known::load(&mut tx, snapshot).await?;
        let changes = compare(snapshot, &known, look.number, first_complete);
        let writing = Writing {
            portal: look.portal_id,
            look: look.number,
            now,
        };
        writing.write(&mut tx, &changes).await?;
        writing.mark_gone(&mut tx, &changes.gone).await?;
        for batch in self.batches(look, &changes.differences, now) {
            append_in(&mut tx, &batch).await?;
        }
        looks::stored(&mut tx, look, snapshot).await?;
        touched::settle(&mut tx, look, snapshot).await?;
        missed::settle(&mut tx, snapshot).await?;
        tx.commit().await?;
        Ok(Stored {
            differences: changes.differences.len(),
        })
    }

    /// One batch of the live lane, or slices of the bulk lane when there are more differences
    /// than one batch takes.
    fn batches(&self, look: Look, differences: &[Difference], now: DateTime<Utc>) -> Vec<NewBatch> {
        let whole: Option<Uuid> = (differences.len() > SLICE).then(|| self.ids.next());
        let slice = |slice: &[Difference]| NewBatch {
            id: self.ids.next(),
            source: Source::Observe,
            lane: if whole.is_some() {
                Lane::Bulk
            } else {
                Lane::Live
            },
            part_of: whole,
            received_at: now,
            requests: Vec::new(),
            events: slice
                .iter()
                .map(|difference| event(look, difference, now))
                .collect(),
            quarantined: Vec::new(),
        };
        differences.chunks(SLICE).map(slice).collect()
    }
}

fn event(look: Look, difference: &Difference, now: DateTime<Utc>) -> NewEvent {
    let own = OwnEvent {
        name: difference.name.to_owned(),
        portal_id: look.portal_id.to_string(),
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
