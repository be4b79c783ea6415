//! Whether a change that a sweep found is the work of usher's own deeds. Writes nothing.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::act::decide::subject_facts::SubjectFacts;
use crate::act::{OWN_WITHIN, Queue};
use crate::event::{Signal, SignalKind};
use crate::journal::JournalError;

/// When the change was decided about that is checked again, and the status that it led to.
#[derive(Debug, Clone, Copy)]
pub struct Past<'a> {
    pub decided_at: DateTime<Utc>,
    pub status: Option<&'a str>,
}

/// Whether a write of usher's explains the change to what was `found`, now or in the past.
pub async fn is_own(
    queue: &Queue,
    signal: &Signal,
    found: &SubjectFacts,
    past: Option<Past<'_>>,
) -> Result<bool, JournalError> {
    let portal = signal.portal_id;
    let lately = (OWN_WITHIN, past.map(|past| past.decided_at));
    let wrote = async |target: Option<Uuid>, deeds: &[&str]| match target {
        Some(target) => queue.wrote_lately(target, portal, deeds, lately).await,
        None => Ok(false),
    };
    let from = signal.from_status.as_deref();
    let developer = found.developer.as_ref().map(|found| &found.developer);
    match signal.kind {
        SignalKind::DeveloperStatusChanged => {
            let now = developer.map(|now| now.status.as_str());
            let status = past.map_or(now, |past| past.status);
            match answer(from, status) {
                Some(Answer::Approve) => wrote(signal.developer_id, &["approve_developer"]).await,
                Some(Answer::Reject) => wrote(signal.developer_id, &["reject_developer"]).await,
                Some(Answer::Revoke) => wrote(signal.developer_id, &["revoke_developer"]).await,
                None => Ok(false),
            }
        }
        SignalKind::RegistrationStatusChanged => {
            let now = found.registration.as_ref().map(|now| now.status.as_str());
            let status = past.map_or(now, |past| past.status);
            let deed = match answer(from, status) {
                Some(Answer::Approve) => "approve_registration",
                Some(Answer::Reject) => "reject_registration",
                Some(Answer::Revoke) => "revoke_registration",
                None => return Ok(false),
            };
            if wrote(signal.registration_id, &[deed]).await? {
                return Ok(true);
            }
            // Revoking a person cuts off their registrations as well.
            match (signal.registration_id, developer) {
                (Some(registration), Some(owner)) if deed != "approve_registration" => {
                    queue
                        .cut_off_lately(registration, owner.id.0, portal, lately)
                        .await
                }
                _ => Ok(false),
            }
        }
        SignalKind::MembershipChanged => match (signal.developer_id, signal.membership) {
            (Some(developer), Some(change)) => {
                let whose = (portal, developer);
                queue.changed_membership_lately(whose, change, lately).await
            }
            _ => Ok(false),
        },
        SignalKind::DeveloperSignedUp
        | SignalKind::DeveloperAuthenticated
        | SignalKind::DeveloperLoginFailed
        | SignalKind::ApplicationCreated
        | SignalKind::RegistrationRequested
        | SignalKind::AccessDenied
        | SignalKind::Operation(_)
        | SignalKind::Custom(_) => Ok(false),
    }
}

/// What usher may have done to a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Approve,
    Reject,
    Revoke,
}

/// The answer that explains a change; none where usher never makes such a change. Two changes of
/// its own may lie between two sweeps.
fn answer(from: Option<&str>, to: Option<&str>) -> Option<Answer> {
    match (from.unwrap_or("pending"), to?) {
        ("pending", "approved") => Some(Answer::Approve),
        ("pending", "rejected") => Some(Answer::Reject),
        ("pending" | "approved", "revoked") => Some(Answer::Revoke),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, answer};

    #[test]
    fn only_what_usher_may_do_explains_a_change() {
        let table = [
            (Some("pending"), Some("approved"), Some(Answer::Approve)),
            (Some("pending"), Some("rejected"), Some(Answer::Reject)),
            (Some("approved"), Some("revoked"), Some(Answer::Revoke)),
            (Some("pending"), Some("revoked"), Some(Answer::Revoke)),
            (None, Some("approved"), Some(Answer::Approve)),
            (Some("rejected"), Some("approved"), None),
            (Some("revoked"), Some("approved"), None),
            (Some("approved"), Some("rejected"), None),
            (Some("pending"), None, None),
        ];
        for (from, to, expected) in table {
            assert_eq!(answer(from, to), expected, "{from:?} -> {to:?}");
        }
    }
}
