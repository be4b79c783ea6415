//! Stores quarantined entries as events where the reason has gone: `usher quarantine release`.
//!
//! An entry takes the same way as when it was received, and is checked by the keys of that time.
//! What is still not acceptable stays as it is. So do bodies and bytes that were cut at a bound.
//! What a reader quarantined stays too: its event is stored, and only the reader cannot have it.

use std::collections::BTreeMap;

use bytes::Bytes;
use chrono::DateTime;

use crate::config::VerifyPolicy;
use crate::event::Verdict;
use crate::event::delivery::Line;
use crate::intake::recheck::store_quarantined;
use crate::intake::{Intake, IntakeError, Reverify, is_of_body};
use crate::journal::{CheckFilter, Quarantined, Released, far_future};

/// An entry is one line. Bytes of several lines are a body, whatever the reason of the row.
const NOT_ONE_ENTRY: &str = "not_one_entry";
/// The reason for rows that the database does not take.
const REFUSED: &str = "refused_by_database";

/// The result so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// Entries that are stored now.
    pub released: u64,
    /// Entries whose event was stored already.
    pub duplicates: u64,
    /// Rows that stay, by the reason that applies now.
    pub left: BTreeMap<String, u64>,
}

impl Taken {
    fn leave(&mut self, reason: &str) {
        *self.left.entry(reason.to_owned()).or_default() += 1;
    }
}

/// One run over quarantined rows.
#[derive(Debug)]
pub struct Release {
    intake: Intake,
    /// Every key that was ever served.
    checks: Reverify,
    taken: Taken,
}

impl Release {
    /// Stores through `intake`, and checks signatures as `checks` does.
    pub fn new(intake: Intake, checks: Reverify) -> Self {
        Self {
            intake,
            checks,
            taken: Taken::default(),
        }
    }

    /// Stores through `intake`, and checks signatures against every key in its journal, after the
    /// set was fetched once more where it may matter.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub async fn prepare(intake: Intake) -> Result<Self, IntakeError> {
        if intake.policy != VerifyPolicy::Off {
            // The keys are read from the journal below.
            drop(intake.keys.renewed().await);
        }
        let everything = CheckFilter {
            from: DateTime::UNIX_EPOCH,
            to: far_future(),
            portal_id: None,
            verdict: None,
        };
        let (journal, ids) = (intake.journal.clone(), intake.ids.clone());
        let checks = Reverify::new(journal, ids, everything, false).await?;
        Ok(Self::new(intake, checks))
    }

    /// The result so far.
    pub fn so_far(&self) -> &Taken {
        &self.taken
    }

    /// Releases `rows`, each in a transaction of its own, and deletes the rows of what is stored.
    ///
    /// # Errors
    /// When the journal or the check of signatures fails. The rows before are done.
    pub async fn take_up(&mut self, mut rows: Vec<Quarantined>) -> Result<(), IntakeError> {
        rows.retain(|row| {
            let body = not_an_entry(row);
            body.inspect(|reason| self.taken.leave(reason)).is_none()
        });
        let verdicts = if self.intake.policy == VerifyPolicy::Off {
            vec![Verdict::NotApplicable; rows.len()]
        } else {
            let entries = rows.iter().map(|row| (&row.raw, row.received_at));
            self.checks.verdicts(entries.collect()).await?
        };
        for (row, verdict) in rows.into_iter().zip(verdicts) {
            self.release(row, verdict).await?;
        }
        Ok(())
    }

    async fn release(&mut self, row: Quarantined, verdict: Verdict) -> Result<(), IntakeError> {
        let intake = &self.intake;
        let line = Line {
            whole_bytes: usize::try_from(row.raw_bytes).unwrap_or(usize::MAX),
            bytes: Bytes::from(row.raw),
        };
        let mut new = match intake.classify(&line, verdict, None) {
            Ok(new) => new,
            Err(kept) => {
                self.taken.leave(kept.reason);
                return Ok(());
            }
        };
        // Its request has its record where it was received.
        new.request = None;
        let kept = (row.id, row.received_at);
        match store_quarantined(&intake.journal, &intake.ids, kept, new).await? {
            Released::Stored => self.taken.released += 1,
            Released::Known => self.taken.duplicates += 1,
            Released::Refused => self.taken.leave(REFUSED),
            Released::Gone => {}
        }
        Ok(())
    }
}

/// Why a row can never become one event.
fn not_an_entry(row: &Quarantined) -> Option<&str> {
    if is_of_body(&row.reason) {
        Some(&row.reason)
    } else {
        row.raw.contains(&b'\n').then_some(NOT_ONE_ENTRY)
    }
}
