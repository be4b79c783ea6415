//! Checks entries again that no key fitted when they were received.
//!
//! A verdict of `key_unknown` settles within seconds once the keys can be fetched. Entries that
//! were quarantined only for it are released.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use ed25519_dalek::VerifyingKey;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use uuid::Uuid;

use crate::clock::Ids;
use crate::event::{self, Verdict};
use crate::intake::{Intake, IntakeError, NO_KEY_FITS, REASON_FAILED, REASON_KEY_UNKNOWN};
use crate::journal::{
    Journal, JournalError, Lane, NewBatch, NewEvent, NewVerdict, Quarantined, Released, Source,
    StoredEvent, far_future,
};
use crate::lifecycle::pause;

/// Between checks. With the fetch's own interval a verdict settles in under 10 s.
const EVERY: Duration = Duration::from_secs(4);
/// Quarantined entries that are stored in one transaction.
const TOGETHER: usize = 500;
/// Entries checked in one go.
const AT_ONCE: i64 = 1_000;
/// How often everything is checked by the same keys: for longer than a sender waits for its
/// transaction.
const LOOKS_AT_ALL: usize = 5;

/// Runs until `cancel` fires.
pub async fn recheck_until_stopped(intake: Intake, cancel: CancellationToken) {
    let mut recheck = Recheck::new(intake);
    while !pause(EVERY, &cancel).await {
        recheck.intake.keys.keep_fresh().await;
        match recheck.check_again().await {
            Ok(0) => {}
            Ok(settled) => info!(settled, "signatures settled that no key had fitted"),
            Err(error) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "could not recheck signatures"
                );
            }
        }
    }
}

/// Checks entries again that no key fitted, as rarely as possible: there may be millions of
/// forgeries.
///
/// The same keys give the same result. So everything is checked when the keys of this instance
/// changed, whichever instance stored them, and then some more times. An entry checked by the
/// former keys may be committed only after the first of these checks.
///
/// What this instance receives later was checked by its present keys at once. Some entries escape
/// this, such as those of another instance that had not read the keys yet and ended before its own
/// check. They are checked when they are settled. So no entry becomes `failed`, or stays open,
/// without a check by the keys of that time.
#[derive(Debug)]
pub struct Recheck {
    intake: Intake,
    /// The keys by which everything was checked, and how often.
    keys: Arc<Vec<VerifyingKey>>,
    looks_at_all: usize,
}

impl Recheck {
    /// A recheck that has checked nothing yet.
    pub fn new(intake: Intake) -> Self {
        Self {
            intake,
            keys: Arc::default(),
            looks_at_all: 0,
        }
    }

    /// Checks entries that no key fitted yet and that may settle now; returns how many verdicts
    /// settled.
    pub async fn check_again(&mut self) -> Result<usize, IntakeError> {
        if !self.intake.journal.has_open_verdicts().await? {
            return Ok(0);
        }
        let (keys, settled) = self.intake.keys.renewed().await;
        if keys != self.keys {
            (self.keys, self.looks_at_all) = (keys, 0);
        }
        let before = if self.looks_at_all < LOOKS_AT_ALL {
            self.looks_at_all += 1;
            far_future()
        } else if let Some(before) = settled.before() {
            before
        } else {
            return Ok(0);
        };
        let looked = self.check_before(before).await;
        if !matches!(looked, Ok((_, true))) {
            self.looks_at_all = 0;
        }
        looked.map(|(settled, _)| settled)
    }

    /// Checks what was received before; returns how many verdicts settled, and whether all of them
    /// could be written.
    async fn check_before(&self, before: DateTime<Utc>) -> Result<(usize, bool), IntakeError> {
        let (stored, all_written) = self.recheck_stored(before).await?;
        Ok((stored + self.release(before).await?, all_written))
    }

    /// Stored events: the verdict is written in place, and every reader owes a verified one again.
    async fn recheck_stored(&self, before: DateTime<Utc>) -> Result<(usize, bool), IntakeError> {
        let Intake { journal, keys, .. } = &self.intake;
        let (mut after, mut all_written) = (None, true);
        let mut settled = 0;
        loop {
            let open = journal.events_without_key(after, before, AT_ONCE).await?;
            let Some(last) = open.last() else {
                return Ok((settled, all_written));
            };
            after = Some((last.received_at, last.id.as_uuid()));
            let lines = open.iter().map(|event| event.raw.clone().into()).collect();
            let received_at = open.iter().map(|event| event.received_at);
            let verdicts = keys.verdicts_again(lines, received_at).await?;
            let changed = open
                .iter()
                .zip(verdicts)
                .filter(|(_, verdict)| *verdict != Verdict::KeyUnknown);
            for (batch, verdicts) in by_batch(changed) {
                let written = journal.settle(batch, &verdicts).await?;
                // A reader works on it.
                all_written &= written.is_some();
                settled += usize::try_from(written.unwrap_or(0)).unwrap_or(usize::MAX);
            }
        }
    }

    /// Entries quarantined because no key fitted: those that are verified now are stored.
    async fn release(&self, before: DateTime<Utc>) -> Result<usize, IntakeError> {
        let Intake {
            journal, keys, ids, ..
        } = &self.intake;
        let mut after = None;
        let mut settled = 0;
        loop {
            let kept = journal
                .quarantined_for(REASON_KEY_UNKNOWN, after, before, AT_ONCE)
                .await?;
            let Some(last) = kept.last() else {
                return Ok(settled);
            };
            after = Some((last.received_at, last.id));
            let lines = kept.iter().map(|row| row.raw.clone().into()).collect();
            let received_at = kept.iter().map(|row| row.received_at);
            let verdicts = keys.verdicts_again(lines, received_at).await?;
            let kept = kept.into_iter().zip(verdicts);
            settled += settle_quarantined(journal, ids, kept).await?.len();
        }
    }
}

/// The verdicts that replace the stored ones, batch by batch.
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

/// Stores what was quarantined for its signature alone and is verified by now. Forged entries stay
/// quarantined, with that reason. Returns the verdicts that settled.
pub(super) async fn settle_quarantined(
    journal: &Journal,
    ids: &Ids,
    rows: impl IntoIterator<Item = (Quarantined, Verdict)>,
) -> Result<Vec<Verdict>, JournalError> {
    let (mut verified, mut forged) = (Vec::new(), Vec::new());
    for (row, verdict) in rows {
        match verdict {
            Verdict::Verified => verified.extend(verified_event(row)),
            Verdict::Failed => forged.push(row.id),
            Verdict::KeyUnknown | Verdict::Unsigned | Verdict::NotApplicable => {}
        }
    }
    let mut settled = Vec::new();
    settled.resize(
        store_verified(journal, ids, verified).await?,
        Verdict::Verified,
    );
    if !forged.is_empty() {
        journal
            .requarantine(&forged, REASON_FAILED, NO_KEY_FITS)
            .await?;
    }
    settled.resize(settled.len() + forged.len(), Verdict::Failed);
    Ok(settled)
}

/// An entry that was quarantined under an id at a time, as the event that it is.
type Kept = ((Uuid, DateTime<Utc>), NewEvent);

fn verified_event(row: Quarantined) -> Option<Kept> {
    let event = event::parse(&row.raw).ok()?;
    let new = NewEvent {
        event,
        raw: row.raw.into(),
        verdict: Verdict::Verified,
        request: None,
    };
    Some(((row.id, row.received_at), new))
}

/// Stores what is verified by now, many in a transaction; returns how many. What the database
/// refuses stays in quarantine.
async fn store_verified(
    journal: &Journal,
    ids: &Ids,
    verified: Vec<Kept>,
) -> Result<usize, JournalError> {
    let mut stored = 0;
    let mut left = verified.into_iter().peekable();
    while left.peek().is_some() {
        let some: Vec<Kept> = left.by_ref().take(TOGETHER).collect();
        match journal.release_all(batches(ids, &some)).await {
            Ok(Some(count)) => stored += count,
            Err(error) if !error.is_of_data() => return Err(error),
            // A row that the database refuses must not block the others.
            Ok(None) | Err(_) => {
                for (kept, new) in some {
                    stored += usize::from(store_one(journal, ids, kept, new).await?);
                }
            }
        }
    }
    Ok(stored)
}

/// Batches of one time of receipt each, with the ids of their rows.
fn batches(ids: &Ids, some: &[Kept]) -> Vec<(NewBatch, Vec<Uuid>)> {
    let mut by_time: BTreeMap<DateTime<Utc>, (Vec<NewEvent>, Vec<Uuid>)> = BTreeMap::new();
    for ((id, received_at), new) in some {
        let (events, rows) = by_time.entry(*received_at).or_default();
        events.push(new.clone());
        rows.push(*id);
    }
    let batch = |(received_at, (events, rows))| (batch_of(ids, received_at, events), rows);
    by_time.into_iter().map(batch).collect()
}

/// `false` where it stays in quarantine.
async fn store_one(
    journal: &Journal,
    ids: &Ids,
    (id, received_at): (Uuid, DateTime<Utc>),
    new: NewEvent,
) -> Result<bool, JournalError> {
    match store_quarantined(journal, ids, (id, received_at), new).await {
        Err(error) if error.is_of_data() => {
            warn!(error = error.chain(), quarantine.id = %id, "could not release");
            Ok(false)
        }
        Ok(Released::Refused) => {
            warn!(quarantine.id = %id, "the database refuses the row, it stays in quarantine");
            Ok(false)
        }
        released => released.map(|_| true),
    }
}

/// Stores an entry that was quarantined under this id at this time, and deletes the row.
pub(super) async fn store_quarantined(
    journal: &Journal,
    ids: &Ids,
    (id, received_at): (Uuid, DateTime<Utc>),
    new: NewEvent,
) -> Result<Released, JournalError> {
    let batch = batch_of(ids, received_at, vec![new]);
    journal.release_quarantined(id, &batch).await
}

fn batch_of(ids: &Ids, received_at: DateTime<Utc>, events: Vec<NewEvent>) -> NewBatch {
    NewBatch {
        id: ids.next(),
        source: Source::Webhook,
        lane: Lane::Live,
        part_of: None,
        received_at,
        requests: Vec::new(),
        events,
        quarantined: Vec::new(),
    }
}
