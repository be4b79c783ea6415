//! Slices of a whole that nobody waits for, such as those of a file: one slice is one batch in the
//! lane `bulk`. The caller bounds how many are under way.
//!
//! An operator chose what is read here, so `ingest.verify = "require"` keeps nothing out: every
//! entry is stored with what its own signature proves.

use std::iter;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use metrics::counter;
use sha2::{Digest, Sha256};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use uuid::Uuid;

use crate::event::delivery::Line;
use crate::event::{AuditEvent, Verdict};
use crate::intake::recognise::Recognised;
use crate::intake::{CheckError, Intake, IntakeError};
use crate::journal::{
    JournalError, Lane, NewBatch, NewEvent, NewQuarantine, RequestRecord, Source,
};
use crate::telemetry::metrics as names;

/// Longer than the server lets a statement take: this only ends what does not answer at all.
const COMMIT_WITHIN: Duration = Duration::from_secs(40);
/// The status that a slice is recorded with.
const TAKEN: u16 = 200;

/// One slice, with what is known of the whole.
#[derive(Debug)]
pub struct BulkSlice {
    /// The batch and its delivery have it. Taking the same id twice stores nothing twice and
    /// returns the first outcome, so it must belong to these entries alone.
    pub id: Uuid,
    /// Where it comes from.
    pub source: Source,
    /// The whole.
    pub part_of: Uuid,
    /// When it was read.
    pub received_at: DateTime<Utc>,
    /// What the deliveries name as its sender.
    pub sender: String,
    /// Its bytes, inflated.
    pub bytes: usize,
    /// Its entries.
    pub lines: Vec<Line>,
    /// An entry whose time is known and earlier is only counted.
    pub kept_from: DateTime<Utc>,
}

/// What became of a slice. The last four add up to the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TakenSlice {
    /// Entries in it.
    pub received: usize,
    /// Events that were new.
    pub stored: usize,
    /// Entries whose event was stored already.
    pub duplicates: usize,
    /// Quarantined entries.
    pub quarantined: usize,
    /// Entries that are too old to be stored.
    pub too_old: usize,
}

impl Intake {
    /// Checks, parses and stores a slice; returns after the commit. Dropping the future leaves
    /// either nothing or the whole slice behind.
    ///
    /// # Errors
    /// As [`take`](Self::take). Nothing was stored then, or all of it: take it again.
    #[tracing::instrument(skip_all, fields(batch.id = %slice.id))]
    pub async fn take_slice(&self, slice: &Arc<BulkSlice>) -> Result<TakenSlice, IntakeError> {
        let received = slice.lines.len();
        counter!(names::ENTRIES_RECEIVED).increment(received as u64);
        let mut recognised = self.recognise(&slice.lines).await?;
        let verdicts = self
            .verdicts(&slice.lines, &recognised, slice.received_at)
            .await?;
        let stored_copies = std::mem::take(&mut recognised.stored_copies);
        // Thousands of entries are parsed: not on a thread that others wait for.
        let (this, of) = (self.clone(), Arc::clone(slice));
        let sorting = spawn_blocking(move || this.sort(&of, verdicts, recognised));
        let (batch, too_old) = sorting.await.map_err(|_| CheckError)?;
        let none = TakenSlice {
            received,
            too_old,
            ..TakenSlice::default()
        };
        if batch.events.is_empty() && batch.quarantined.is_empty() {
            return Ok(none);
        }
        let appended = timeout(
            COMMIT_WITHIN,
            self.journal.append_knowing(&batch, &stored_copies),
        )
        .await
        .unwrap_or_else(|_| Err(JournalError::busy()))?;
        Ok(TakenSlice {
            stored: appended.stored,
            duplicates: appended.duplicates,
            quarantined: appended.quarantined,
            ..none
        })
    }

    /// The batch of a slice, and how many entries are too old for it.
    fn sort(
        &self,
        slice: &BulkSlice,
        verdicts: Vec<Verdict>,
        recognised: Recognised,
    ) -> (NewBatch, usize) {
        let mut events = Vec::with_capacity(slice.lines.len());
        let mut quarantined: Vec<NewQuarantine> = Vec::new();
        let mut too_old = 0;
        let known = recognised.events.into_iter().chain(iter::repeat(None));
        for ((line, verdict), known) in slice.lines.iter().zip(verdicts).zip(known) {
            match self.read(line, known) {
                Ok(event) if is_before(&event, slice.kept_from) => too_old += 1,
                Ok(event) => events.push(NewEvent {
                    event,
                    raw: line.bytes.clone(),
                    verdict,
                    request: Some(0),
                }),
                Err(aside) => quarantined.push(NewQuarantine {
                    id: quarantine_id(&aside),
                    ..*aside
                }),
            }
        }
        // The same order in all slices, so that none waits for another in a circle.
        quarantined.sort_unstable_by_key(|aside| aside.id);
        let request = RequestRecord {
            id: slice.id,
            received_at: slice.received_at,
            peer: slice.sender.clone(),
            encoding: String::new(),
            body_bytes: slice.bytes,
            inflated_bytes: slice.bytes,
            status: TAKEN,
            received: slice.lines.len(),
            stored: 0,
            duplicates: 0,
            quarantined: 0,
        };
        let batch = NewBatch {
            id: slice.id,
            source: slice.source,
            lane: Lane::Bulk,
            part_of: Some(slice.part_of),
            received_at: slice.received_at,
            requests: vec![request],
            events,
            quarantined,
        };
        (batch, too_old)
    }
}

/// Made of what is quarantined: whoever reads the same file again quarantines nothing twice.
fn quarantine_id(aside: &NewQuarantine) -> Uuid {
    let hash = Sha256::new()
        .chain_update(aside.reason)
        .chain_update(aside.raw_bytes.to_be_bytes())
        .chain_update(&aside.raw)
        .finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// Whether an event is known to be of before `time`. One whose time is not known stands at the
/// epoch, and is as old as its receipt.
fn is_before(event: &AuditEvent, time: DateTime<Utc>) -> bool {
    event.time_known && event.event_ts < time
}
