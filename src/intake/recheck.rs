//! Looks again at entries that no key fitted when they came.
//!
//! A verdict of `key_unknown` settles within seconds of the keys being within reach, and what was
//! kept aside only for that is released.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use crate::clock::Ids;
use crate::event::{self, Verdict};
use crate::intake::{Intake, IntakeError, NO_KEY_FITS, REASON_FAILED, REASON_KEY_UNKNOWN};
use crate::journal::{
    Journal, JournalError, Lane, NewBatch, NewEvent, NewVerdict, Quarantined, Released, Source,
    StoredEvent,
};
use crate::lifecycle::pause;

/// Between looks. With the fetch's own interval a verdict settles in under 10 s.
const EVERY: Duration = Duration::from_secs(4);
/// Entries looked at in one go.
const AT_ONCE: i64 = 1_000;

/// Runs until `cancel` fires.
pub async fn recheck_until_stopped(intake: Intake, cancel: CancellationToken) {
    while !pause(EVERY, &cancel).await {
        intake.keys.keep_fresh().await;
        match intake.recheck().await {
            Ok(0) => {}
            Ok(settled) => info!(settled, "signatures settled that no key had fitted"),
            Err(error) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "could not look at signatures again"
                );
            }
        }
    }
}

impl Intake {
    /// Looks again at every entry that no key fitted yet; returns how many verdicts settled.
    pub async fn recheck(&self) -> Result<usize, IntakeError> {
        Ok(self.recheck_stored().await? + self.release().await?)
    }

    /// Stored events: the verdict is written in place, and a verified one is owed again to every
    /// reader.
    async fn recheck_stored(&self) -> Result<usize, IntakeError> {
        let mut after = None;
        let mut written = 0;
        loop {
            let open = self.journal.events_without_key(after, AT_ONCE).await?;
            let Some(last) = open.last() else {
                return Ok(usize::try_from(written).unwrap_or(usize::MAX));
            };
            after = Some((last.received_at, last.id.as_uuid()));
            let lines = open.iter().map(|event| event.raw.clone().into()).collect();
            let received_at = open.iter().map(|event| event.received_at);
            let verdicts = self.keys.verdicts_again(lines, received_at).await?;
            let settled = open
                .iter()
                .zip(verdicts)
                .filter(|(_, verdict)| *verdict != Verdict::KeyUnknown);
            for (batch, verdicts) in by_batch(settled) {
                written += self.journal.settle(batch, &verdicts).await?.unwrap_or(0);
            }
        }
    }

    /// Entries kept aside because no key fitted: those that are verified now are stored.
    async fn release(&self) -> Result<usize, IntakeError> {
        let mut after = None;
        let mut settled = 0;
        loop {
            let kept = self
                .journal
                .quarantined_for(REASON_KEY_UNKNOWN, after, AT_ONCE)
                .await?;
            let Some(last) = kept.last() else {
                return Ok(settled);
            };
            after = Some((last.received_at, last.id));
            let lines = kept.iter().map(|row| row.raw.clone().into()).collect();
            let received_at = kept.iter().map(|row| row.received_at);
            let verdicts = self.keys.verdicts_again(lines, received_at).await?;
            for (row, verdict) in kept.into_iter().zip(verdicts) {
                settled += usize::from(release(&self.journal, &self.ids, row, verdict).await?);
            }
        }
    }
}

/// The verdicts that take the place of those stored, batch by batch.
pub(super) fn by_batch<'a>(
    verdicts: impl IntoIterator<Item = (&'a StoredEvent, Verdict)>,
) -> BTreeMap<Uuid, Vec<NewVerdict>> {
    let mut batches: BTreeMap<Uuid, Vec<NewVerdict>> = BTreeMap::new();
    for (event, to) in verdicts {
        batches.entry(event.batch).or_default().push(NewVerdict {
            event_ts: event.event_ts,
            id: event.id,
            from: event.verdict,
            to,
        });
    }
    batches
}

/// Stores what was kept aside for its signature alone and is verified by now, or says why it stays
/// aside; `false` where nothing is settled.
pub(super) async fn release(
    journal: &Journal,
    ids: &Ids,
    row: Quarantined,
    verdict: Verdict,
) -> Result<bool, JournalError> {
    match verdict {
        Verdict::Verified => {
            let Ok(event) = event::parse(&row.raw) else {
                return Ok(false);
            };
            let new = NewEvent {
                event,
                raw: row.raw.into(),
                verdict,
                request: None,
            };
            let batch = released(ids, row.received_at, new);
            match journal.release_quarantined(row.id, &batch).await {
                Err(error) if error.is_of_data() => {
                    // One row that the record refuses must not hold up those behind it.
                    warn!(error = error.chain(), quarantine.id = %row.id, "could not release");
                    Ok(false)
                }
                Ok(Released::Refused) => {
                    warn!(quarantine.id = %row.id, "the database refuses the row, it stays aside");
                    Ok(false)
                }
                released => released.map(|_| true),
            }
        }
        Verdict::Failed => journal
            .requarantine(row.id, REASON_FAILED, NO_KEY_FITS)
            .await
            .map(|()| true),
        Verdict::KeyUnknown | Verdict::Unsigned | Verdict::NotApplicable => Ok(false),
    }
}

/// A batch of one entry that was kept aside.
pub(super) fn released(ids: &Ids, received_at: DateTime<Utc>, new: NewEvent) -> NewBatch {
    NewBatch {
        id: ids.next(),
        source: Source::Webhook,
        lane: Lane::Live,
        part_of: None,
        received_at,
        requests: Vec::new(),
        events: vec![new],
        quarantined: Vec::new(),
    }
}
