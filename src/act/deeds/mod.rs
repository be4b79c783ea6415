//! Carries out deeds: those that set a status in `status`, each other in a file of its own. Every
//! deed reads again right before its write, so that it can be repeated at any moment, and calls
//! [`DeedContext::note_write`] before the write.

mod add_to_team;
mod cut_off;
mod invite_developer;
mod notify;
mod remove_from_team;
mod revoke_developer;
pub(super) mod status;
pub(super) mod team;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use konnect::{DeveloperStatus, PortalId, RegistrationStatus};
use serde_json::Value;

use crate::act::Queue;
use crate::act::claim::{Claimed, Note};
use crate::act::group_commit::GroupCommit;
use crate::act::notify::Notifier;
use crate::act::read_back::ReadBack;
use crate::act::trouble::Trouble;
use crate::directory::Directory;
use crate::rules::Deed;

/// How a deed ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The goal is reached.
    Done(Completion),
    /// A person decided otherwise: nothing was written.
    Refused(String),
    /// The rules no longer want it, by these facts: nothing was written.
    Unwanted(String, Option<Value>),
    /// A person must decide: nothing was written.
    Parked(String),
    /// More is to be written than one attempt should: what was done is noted, the rest follows.
    Unfinished,
}

/// How the goal was reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Completion {
    /// By a write of this attempt.
    Written,
    /// It was reached before, for this reason; nothing was written.
    AlreadyTrue(String),
    /// By a write that changed nothing at Konnect.
    Elsewhere,
    /// By several writes, of this attempt or earlier ones.
    Reported {
        /// What they did, for a person.
        reason: Option<String>,
        /// The same by id, for the record.
        report: Value,
    },
}

/// What one attempt works with.
#[derive(Debug, Clone, Copy)]
pub(super) struct DeedContext<'a> {
    pub(super) queue: &'a Queue,
    pub(super) client: &'a konnect::Client,
    pub(super) directory: &'a Directory,
    pub(super) notifier: &'a Notifier,
    pub(super) claimed: &'a Claimed,
    /// Writes the write notes.
    pub(super) notes: &'a GroupCommit<Note>,
    /// What the attempt has read so far.
    pub(super) read_back: &'a Mutex<ReadBack>,
    /// How long a lease is renewed for.
    pub(super) lease: Duration,
}

impl DeedContext<'_> {
    fn portal(&self) -> PortalId {
        PortalId(self.claimed.row.portal_id)
    }

    /// Checks that the action is still this worker's, and notes that a write follows.
    async fn note_write(&self) -> Result<(), Trouble> {
        self.note(None).await
    }

    /// The same, with what the deed has done so far and is about to do.
    async fn note_write_with(&self, report: &Value) -> Result<(), Trouble> {
        self.note(Some(report)).await
    }

    /// Stores what the deed found or did so far; no write follows from it.
    async fn found(&self, report: &Value) -> Result<(), Trouble> {
        let kept = self.queue.renew(self.claimed, self.lease, Some(report));
        if kept.await? {
            return Ok(());
        }
        Err(Trouble::LeaseLost)
    }

    async fn note(&self, report: Option<&Value>) -> Result<(), Trouble> {
        let note = Note {
            id: self.claimed.row.id,
            lease: self.claimed.row.lease,
            report: report.cloned(),
        };
        if self.notes.ask(note).await? {
            return Ok(());
        }
        Err(Trouble::LeaseLost)
    }

    /// What this attempt has read already, if it did.
    fn known<T>(&self, of: impl FnOnce(&ReadBack) -> Option<T>) -> Option<T> {
        of(&self
            .read_back
            .lock()
            .unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds what the API answered to the read-back.
    pub(super) fn read_back(&self, note: impl FnOnce(&mut ReadBack)) {
        note(
            &mut self
                .read_back
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    /// Says why nothing was to be written: the goal is reached, maybe by an earlier attempt whose
    /// end was not stored.
    fn already_true(&self, state: &str) -> Outcome {
        let by = if self.claimed.row.write_sent {
            " by an earlier attempt"
        } else {
            ""
        };
        Outcome::Done(Completion::AlreadyTrue(format!("{state} already{by}")))
    }
}

/// Carries out the deed of the claimed action.
pub(super) async fn carry_out(context: &DeedContext<'_>) -> Result<Outcome, Trouble> {
    match &context.claimed.deed {
        // Never one that a person turned away.
        Deed::ApproveDeveloper => status::set_developer(context, &DeveloperStatus::Approved).await,
        // Never one that a person approved.
        Deed::RejectDeveloper => status::set_developer(context, &DeveloperStatus::Rejected).await,
        Deed::RevokeDeveloper => revoke_developer::carry_out(context).await,
        Deed::AddToTeam { team, create } => add_to_team::carry_out(context, team, *create).await,
        Deed::RemoveFromTeam { team } => remove_from_team::carry_out(context, team).await,
        // Never what a person refused.
        Deed::ApproveRegistration => {
            status::set_registration(context, &RegistrationStatus::Approved).await
        }
        // Never what a person granted.
        Deed::RejectRegistration => {
            status::set_registration(context, &RegistrationStatus::Rejected).await
        }
        // Never what was not granted.
        Deed::RevokeRegistration => {
            status::set_registration(context, &RegistrationStatus::Revoked).await
        }
        Deed::InviteDeveloper { pending } => invite_developer::carry_out(context, *pending).await,
        Deed::Notify {
            url,
            format,
            secret,
        } => notify::carry_out(context, url, *format, secret.as_deref()).await,
        // Calls nothing.
        Deed::Park { reason } => Ok(Outcome::Parked(reason.clone())),
    }
}
