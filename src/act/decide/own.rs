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
    let wrote = async |target: Option<Uuid>, deed: String, cut_off: Option<Uuid>| match target {
        Some(target) => {
            let wrote = queue.wrote_lately((portal, target), &deed, cut_off, lately);
            wrote.await
        }
        None => Ok(false),
    };
    let from = signal.from_status.as_deref();
    let developer = found.developer.as_ref().map(|found| &found.developer);
    match signal.kind {
        SignalKind::DeveloperStatusChanged => {
            let now = developer.map(|now| now.status.as_str());
            let Some(verb) = answer(from, past.map_or(now, |past| past.status)) else {
                return Ok(false);
            };
            wrote(signal.developer_id, format!("{verb}_developer"), None).await
        }
        SignalKind::RegistrationStatusChanged => {
            let now = found.registration.as_ref().map(|now| now.status.as_str());
            let Some(verb) = answer(from, past.map_or(now, |past| past.status)) else {
                return Ok(false);
            };
            let deed = format!("{verb}_registration");
            if wrote(signal.registration_id, deed, None).await? {
                return Ok(true);
            }
            // Revoking a person cuts off their registrations as well.
            match (signal.registration_id, developer) {
                (Some(cut_off), Some(owner)) if verb != "approve" => {
                    let deed = "revoke_developer".to_owned();
                    wrote(Some(owner.id.0), deed, Some(cut_off)).await
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

/// The verb of the deed that explains a change; none where usher never makes such a change. Two
/// changes of its own may lie between two sweeps.
fn answer(from: Option<&str>, to: Option<&str>) -> Option<&'static str> {
    match (from.unwrap_or("pending"), to?) {
        ("pending", "approved") => Some("approve"),
        ("pending", "rejected") => Some("reject"),
        ("pending" | "approved", "revoked") => Some("revoke"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::answer;

    #[test]
    fn only_what_usher_may_do_explains_a_change() {
        let table = [
            (Some("pending"), Some("approved"), Some("approve")),
            (Some("pending"), Some("rejected"), Some("reject")),
            (Some("approved"), Some("revoked"), Some("revoke")),
            (Some("pending"), Some("revoked"), Some("revoke")),
            (None, Some("approved"), Some("approve")),
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
