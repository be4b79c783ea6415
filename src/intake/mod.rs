//! Bytes in, batch out: splits a body into entries, checks signatures, parses, and appends.
//!
//! Knows nothing of HTTP. The ingest endpoint and every other source of entries share it.

mod batch_writer;
mod bulk;
mod examine;
mod group_commit;
mod keys;
mod queue_slot;
mod recheck;
mod recognise;
mod refusals;
mod release;
mod reverify;
mod same_key;
mod settled;
mod verify;

use std::iter;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use metrics::counter;
use uuid::Uuid;

use crate::clock::Ids;
use crate::config::VerifyPolicy;
use crate::event::delivery::{self, Line};
use crate::event::{self, AuditEvent, EventId, Verdict};
use crate::intake::batch_writer::Part;
use crate::intake::group_commit::GroupCommit;
use crate::intake::recognise::Recognised;
use crate::journal::{Journal, JournalError, NewEvent, NewQuarantine, RequestRecord};
use crate::lifecycle::Lifecycle;
use crate::telemetry::metrics as names;

pub use bulk::{BulkSlice, TakenSlice};
pub use examine::{Examined, TriedKey, examine};
pub use keys::{KeyRing, KeysError};
pub use recheck::{Recheck, recheck_until_stopped};
pub use refusals::{Refusals, RefusedDeliveries};
pub use release::{Release, Taken as TakenUp};
pub use reverify::{Change, Reverified, Reverify};
pub use verify::CheckError;

/// Entries of one delivery: far more than fit into 64 MiB as Konnect writes them, and few enough
/// for memory when a sender writes them of one byte each.
pub const MAX_ENTRIES: usize = 200_000;

/// The entries of a larger body have no members on their way to the journal: these would be as many
/// bytes again, and more.
const LARGE: usize = 4 * 1024 * 1024;

/// Quarantined only because no key fits yet; released when one does.
pub const REASON_KEY_UNKNOWN: &str = "signature_key_unknown";
/// Quarantined because no key fitted; released by [`Reverify`] where a later one does.
pub const REASON_FAILED: &str = "signature_failed";
const NO_KEY_FITS: &str = "no key of three sets fits";
/// More bytes than a body may have.
pub const REASON_BODY_TOO_LARGE: &str = "body_too_large";
/// A body that did not come to its end.
pub const REASON_BODY_INCOMPLETE: &str = "body_incomplete";
/// More bytes than a body may inflate to.
pub const REASON_BODY_INFLATES_TOO_FAR: &str = "body_inflates_too_far";
/// A body of more than [`MAX_ENTRIES`].
pub const REASON_TOO_MANY_ENTRIES: &str = "too_many_entries";
/// For these a whole body is quarantined, or as much of it as arrived.
const BODY_REASONS: [&str; 4] = [
    REASON_BODY_TOO_LARGE,
    REASON_BODY_INCOMPLETE,
    REASON_BODY_INFLATES_TOO_FAR,
    REASON_TOO_MANY_ENTRIES,
];

/// Whether what was quarantined for this reason is a whole body, or a part of one. It can never
/// become one event.
pub fn is_of_body(reason: &str) -> bool {
    BODY_REASONS.contains(&reason)
}

/// Whether a body contains more than [`MAX_ENTRIES`]. It is not split for that.
pub fn has_too_many_entries(body: &[u8]) -> bool {
    // Each takes a byte and its end at least.
    body.len() > 2 * MAX_ENTRIES && delivery::lines(body).nth(MAX_ENTRIES).is_some()
}

/// One body, inflated, with what is known of its request.
#[derive(Debug)]
#[expect(
    clippy::struct_field_names,
    reason = "`received_at` is the house's word everywhere"
)]
pub struct Received {
    /// Made by the ingest endpoint; the sender is answered with it.
    pub id: Uuid,
    /// When its first byte arrived.
    pub received_at: DateTime<Utc>,
    /// Who sent it.
    pub peer: String,
    /// Content coding as declared.
    pub encoding: String,
    /// Bytes as sent.
    pub body_bytes: usize,
    /// The entries.
    pub body: Bytes,
    /// Whether the body came to its end; else its last line is not a whole entry.
    pub complete: bool,
}

/// What became of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Entries in it.
    pub received: usize,
    /// Events that were new.
    pub stored: usize,
    /// Entries whose event was stored already.
    pub duplicates: usize,
    /// Quarantined entries.
    pub quarantined: usize,
    /// Entries that could be parsed.
    pub parsed: usize,
}

/// Why a body could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// The journal refused or did not answer. It is one error for all requests of a transaction.
    #[error(transparent)]
    Journal(#[from] Arc<JournalError>),
    /// The thread that checks entries panicked.
    #[error(transparent)]
    Check(#[from] CheckError),
}

impl From<JournalError> for IntakeError {
    fn from(error: JournalError) -> Self {
        Self::Journal(Arc::new(error))
    }
}

/// A body or a part of it that is quarantined as received.
#[derive(Debug)]
pub struct Refused {
    /// Stable code.
    pub reason: &'static str,
    /// What was found, for a person.
    pub detail: String,
    /// Bytes up to the bound.
    pub raw: Bytes,
    /// Status that the sender is answered with.
    pub status: u16,
}

/// The intake. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Intake {
    journal: Journal,
    group_commit: GroupCommit,
    keys: Arc<KeyRing>,
    policy: VerifyPolicy,
    max_line_bytes: usize,
    ids: Ids,
}

impl Intake {
    /// An intake into `journal` that checks signatures against `keys` as `policy` says. Its writer
    /// is a task of `lifecycle` and ends with the last clone of this.
    pub fn new(
        journal: Journal,
        keys: Arc<KeyRing>,
        policy: VerifyPolicy,
        max_line_bytes: usize,
        ids: Ids,
        lifecycle: &Lifecycle,
    ) -> Self {
        Self {
            group_commit: GroupCommit::start(journal.clone(), ids.clone(), lifecycle),
            journal,
            keys,
            policy,
            max_line_bytes,
            ids,
        }
    }

    /// Splits, checks, parses and stores; returns after the commit. `refused` is quarantined in the
    /// same transaction. Once that has begun, dropping the future does not end it.
    #[tracing::instrument(skip_all, fields(delivery.id = %received.id))]
    pub async fn take(
        &self,
        received: Received,
        refused: Option<Refused>,
    ) -> Result<Taken, IntakeError> {
        let body = received.body;
        let split = delivery::split(&body, received.complete, self.max_line_bytes);
        let refused_bytes = refused.as_ref().map_or(0, |refused| refused.raw.len());
        let slot = self
            .group_commit
            .slot(body.len() + refused_bytes, split.len())
            .await?;
        counter!(names::ENTRIES_RECEIVED).increment(split.len() as u64);
        let recognised = self.recognise(&split).await?;
        let verdicts = self
            .verdicts(&split, &recognised, received.received_at)
            .await?;

        let request = RequestRecord {
            id: received.id,
            received_at: received.received_at,
            peer: received.peer,
            encoding: received.encoding,
            body_bytes: received.body_bytes,
            inflated_bytes: body.len(),
            status: refused.as_ref().map_or(200, |refused| refused.status),
            received: split.len(),
            stored: 0,
            duplicates: 0,
            quarantined: 0,
        };
        let whole = refused.map(|refused| NewQuarantine {
            id: self.ids.next(),
            request: Some(0),
            reason: refused.reason,
            detail: refused.detail,
            raw_bytes: received.body_bytes,
            raw: refused.raw,
            event_id: None,
        });
        let mut part = Part {
            request,
            events: Vec::with_capacity(split.len()),
            quarantined: whole.into_iter().collect(),
            stored_copies: recognised.stored_copies,
        };
        let mut parsed = 0;
        let is_large = body.len() > LARGE;
        let known = recognised.events.into_iter().chain(iter::repeat(None));
        for ((line, verdict), known) in split.iter().zip(verdicts).zip(known) {
            match self.classify(line, verdict, known) {
                Ok(mut new) => {
                    parsed += 1;
                    if is_large {
                        new.event = new.event.without_members();
                    }
                    part.events.push(new);
                }
                Err(quarantine) => {
                    parsed += usize::from(quarantine.event_id.is_some());
                    part.quarantined.push(*quarantine);
                }
            }
        }
        if parsed == 0 && !split.is_empty() && part.request.status == 200 {
            part.request.status = 400;
        }
        let cut_short = part
            .quarantined
            .iter()
            .filter(|kept| kept.reason == REASON_BODY_INCOMPLETE)
            .count();
        let received = split.len();
        drop(split);
        let counts = self.group_commit.store(part, slot).await?;
        Ok(Taken {
            received,
            stored: counts.stored,
            duplicates: counts.duplicates,
            quarantined: counts.quarantined - cut_short,
            parsed,
        })
    }

    /// A known entry was verified when it was stored. All others are checked.
    async fn verdicts(
        &self,
        lines: &[Line],
        recognised: &Recognised,
        received_at: DateTime<Utc>,
    ) -> Result<Vec<Verdict>, IntakeError> {
        if self.policy == VerifyPolicy::Off {
            return Ok(vec![Verdict::NotApplicable; lines.len()]);
        }
        let open = (0..lines.len()).filter(|place| !recognised.knows(*place));
        let open: Vec<usize> = open.collect();
        counter!(names::ENTRIES_RECOGNISED).increment((lines.len() - open.len()) as u64);
        let unknown = open.iter().map(|place| lines[*place].bytes.clone());
        let checked = self.keys.verdicts(unknown.collect(), received_at).await?;
        let mut verdicts = vec![Verdict::Verified; lines.len()];
        for (place, verdict) in open.into_iter().zip(checked) {
            verdicts[place] = verdict;
        }
        Ok(verdicts)
    }

    /// An entry on its way into the journal or the quarantine, with the reason. `known` is its
    /// event where that was read before.
    fn classify(
        &self,
        line: &Line,
        verdict: Verdict,
        known: Option<AuditEvent>,
    ) -> Result<NewEvent, Box<NewQuarantine>> {
        let event = self.read(line, known)?;
        if self.policy == VerifyPolicy::Require && verdict != Verdict::Verified {
            let (reason, detail) = match verdict {
                Verdict::KeyUnknown => (REASON_KEY_UNKNOWN, "no key fits yet"),
                Verdict::Failed => (REASON_FAILED, NO_KEY_FITS),
                Verdict::Unsigned | Verdict::Verified | Verdict::NotApplicable => {
                    ("signature_missing", "the entry is not signed")
                }
            };
            return Err(self.set_aside(line, reason, detail.to_owned(), Some(event.id)));
        }
        Ok(NewEvent {
            event,
            raw: line.bytes.clone(),
            verdict,
            request: Some(0),
        })
    }

    /// The event of an entry, whatever its signature is worth; else why there is none. `known` is
    /// the event where it was read before.
    fn read(
        &self,
        line: &Line,
        known: Option<AuditEvent>,
    ) -> Result<AuditEvent, Box<NewQuarantine>> {
        if line.whole_bytes > line.bytes.len() {
            let detail = format!("{} bytes, over ingest.max_line_bytes", line.whole_bytes);
            return Err(self.set_aside(line, "line_too_long", detail, None));
        }
        let event = known
            .map_or_else(|| event::parse(&line.bytes), Ok)
            .map_err(|error| self.set_aside(line, error.reason(), error.to_string(), None))?;
        if event.claims_own_product() {
            // No entry from outside may pass for an own event of usher.
            let detail = "event_product is usher".to_owned();
            return Err(self.set_aside(line, "claims_own_product", detail, Some(event.id)));
        }
        Ok(event)
    }

    fn set_aside(
        &self,
        line: &Line,
        reason: &'static str,
        detail: String,
        event_id: Option<EventId>,
    ) -> Box<NewQuarantine> {
        Box::new(NewQuarantine {
            id: self.ids.next(),
            request: Some(0),
            reason,
            detail,
            raw: line.bytes.clone(),
            raw_bytes: line.whole_bytes,
            event_id,
        })
    }
}
