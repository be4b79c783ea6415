//! Entries of a replay that the journal has byte for byte: they are not checked again.
//!
//! Only the bytes count. An entry that differs from a stored one in a single byte, even a better
//! forgery of it, is checked as any other.

use sha2::{Digest, Sha256};

use crate::config::VerifyPolicy;
use crate::event::delivery::Line;
use crate::event::{self, AuditEvent, Verdict};
use crate::intake::Intake;
use crate::journal::{Fingerprint, JournalError, StoredCopies};

/// Below this, a query takes longer than the check.
const FEWEST: usize = 32;
/// Entries in one query.
const AT_ONCE: usize = 1_000;

/// What is known of the entries of a request before any is checked.
#[derive(Debug, Default)]
pub(super) struct Recognised {
    /// The event of each stored entry, without its members. Shorter than the entries where no query
    /// was made.
    pub(super) events: Vec<Option<AuditEvent>>,
    /// All of these events.
    pub(super) stored_copies: StoredCopies,
}

impl Recognised {
    /// Whether the entry at this place is stored.
    pub(super) fn knows(&self, place: usize) -> bool {
        self.events.get(place).is_some_and(Option::is_some)
    }
}

impl Intake {
    /// Which of `lines` are stored byte for byte, with the strongest verdict that this intake can
    /// give. None unless the last batches were those of a replay, so that new entries cost nothing
    /// here.
    pub(super) async fn recognise(&self, lines: &[Line]) -> Result<Recognised, JournalError> {
        let mut recognised = Recognised::default();
        if lines.len() < FEWEST || !self.journal.expects_known_events() {
            return Ok(recognised);
        }
        let least = match self.policy {
            VerifyPolicy::Off => Verdict::NotApplicable,
            VerifyPolicy::Record | VerifyPolicy::Require => Verdict::Verified,
        };
        for lines in lines.chunks(AT_ONCE) {
            let mut events: Vec<Option<AuditEvent>> = lines.iter().map(read).collect();
            let prints: Vec<Fingerprint> = lines
                .iter()
                .zip(&events)
                .filter_map(|(line, event)| Some(fingerprint(line, event.as_ref()?)))
                .collect();
            let holds = self.journal.has_copies(&prints, least).await?;
            let asked = events.iter_mut().filter(|event| event.is_some());
            for ((event, print), holds) in asked.zip(&prints).zip(holds) {
                if holds {
                    recognised.stored_copies.insert(print);
                } else {
                    *event = None;
                }
            }
            recognised.events.append(&mut events);
        }
        Ok(recognised)
    }
}

/// The event of an entry that may be stored. An entry that is quarantined never is.
fn read(line: &Line) -> Option<AuditEvent> {
    let is_whole = line.whole_bytes == line.bytes.len();
    let event = is_whole.then(|| event::parse(&line.bytes).ok()).flatten();
    event
        .filter(|event| !event.claims_own_product())
        .map(AuditEvent::without_members)
}

fn fingerprint(line: &Line, event: &AuditEvent) -> Fingerprint {
    Fingerprint {
        event_ts: event.event_ts,
        id: event.id,
        digest: Sha256::digest(&line.bytes).into(),
    }
}
