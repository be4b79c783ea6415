//! Takes up again what was kept aside, where the reason for it has gone: `usher quarantine release`.
//!
//! An entry goes the way that it went when it came, and is judged by the keys of that time. What is
//! still not acceptable stays as it is, and so do bytes that were cut at a bound, bodies, and what a
//! reader kept aside: its event is stored, and it is the reader that cannot have it.

use bytes::Bytes;

use crate::config::VerifyPolicy;
use crate::event::Verdict;
use crate::intake::recheck::released;
use crate::intake::split::Line;
use crate::intake::{Intake, IntakeError, Reverify};
use crate::journal::{Quarantined, Released};

/// What came of it so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// Entries that are stored now.
    pub released: u64,
    /// Entries whose event was known.
    pub duplicates: u64,
    /// Rows that stay.
    pub left: u64,
}

/// One run over what was kept aside.
#[derive(Debug)]
pub struct Release {
    intake: Intake,
    /// Every key that was ever served.
    checks: Reverify,
    taken: Taken,
}

impl Release {
    /// Stores by way of `intake`, and checks signatures as `checks` does.
    pub fn new(intake: Intake, checks: Reverify) -> Self {
        Self {
            intake,
            checks,
            taken: Taken::default(),
        }
    }

    /// What came of it so far.
    pub fn so_far(&self) -> Taken {
        self.taken
    }

    /// Takes up `rows`, each in a transaction of its own, and strikes what is stored.
    ///
    /// # Errors
    /// When the record or the check of signatures fails; the rows before are done.
    pub async fn take_up(&mut self, rows: Vec<Quarantined>) -> Result<(), IntakeError> {
        let verdicts = if self.intake.policy == VerifyPolicy::Off {
            vec![Verdict::NotApplicable; rows.len()]
        } else {
            let entries = rows.iter().map(|row| (&row.raw, row.received_at));
            self.checks.verdicts(entries.collect()).await?
        };
        for (row, verdict) in rows.into_iter().zip(verdicts) {
            match self.release(row, verdict).await? {
                Released::Stored => self.taken.released += 1,
                Released::Known => self.taken.duplicates += 1,
                Released::Refused => self.taken.left += 1,
                Released::Gone => {}
            }
        }
        Ok(())
    }

    async fn release(&self, row: Quarantined, verdict: Verdict) -> Result<Released, IntakeError> {
        let intake = &self.intake;
        let line = Line {
            whole_bytes: usize::try_from(row.raw_bytes).unwrap_or(usize::MAX),
            bytes: Bytes::from(row.raw),
        };
        let Ok(mut new) = intake.classify(&line, verdict, None) else {
            return Ok(Released::Refused);
        };
        // Its request is recorded where it came.
        new.request = None;
        let batch = released(&intake.ids, row.received_at, new);
        let released = intake.journal.release_quarantined(row.id, &batch).await;
        Ok(released?)
    }
}
