//! Whether somebody answered in Konnect what still waits here, and how to close it then. Pure.

use serde_json::Value;

use crate::act::{Action, Target};
use crate::console::actions::whom::Whom;

const FINDS_IT_DONE: &str = "usher finds that it is done already.";

/// What became of the target since its action was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meanwhile {
    /// What happened.
    pub(super) words: String,
    /// What to do about the action.
    pub(super) advice: String,
}

/// What the directory shows of a parked action's target that makes an answer needless: it waited
/// for one when the rule decided, and does not any more.
pub(super) fn meanwhile(action: &Action, facts: &Value, whom: &Whom) -> Option<Meanwhile> {
    if whom.is_gone {
        return Some(Meanwhile {
            words: "gone from Konnect meanwhile".to_owned(),
            advice: "Cancel it: nothing is left to be done.".to_owned(),
        });
    }
    let object = match action.target {
        Target::Developer { .. } => "developer",
        Target::Registration { .. } => "registration",
        Target::Application { .. }
        | Target::Invitee { .. }
        | Target::Portal { .. }
        | Target::Usher => return None,
    };
    let before = facts.get(object)?.get("status")?.as_str()?;
    answered(&action.deed, before, whom.status.as_deref()?)
}

/// The same of a target that was `before` and is `now`.
fn answered(deed: &str, before: &str, now: &str) -> Option<Meanwhile> {
    let (may_approve, may_reject) = match deed {
        "approve_developer" | "approve_registration" => (true, false),
        "reject_developer" | "reject_registration" => (false, true),
        "park" => (true, true),
        _ => return None,
    };
    if before != "pending" || now == "pending" {
        return None;
    }
    // To approve an action is to let its deed be done, whichever it is; one that parks asks.
    let advice = match now {
        "approved" if may_approve => format!("Approve it to close it: {FINDS_IT_DONE}"),
        "rejected" if may_reject && may_approve => {
            format!("Reject it to close it: {FINDS_IT_DONE}")
        }
        "rejected" if may_reject => format!("Approve it to close it: {FINDS_IT_DONE}"),
        _ => "Cancel it: somebody decided otherwise, and usher does not overrule them.".to_owned(),
    };
    Some(Meanwhile {
        words: format!("{now} in Konnect meanwhile"),
        advice,
    })
}

#[cfg(test)]
mod tests {
    use super::answered;

    #[test]
    fn what_was_answered_in_konnect_is_closed_by_the_verb_that_changes_nothing() {
        for (deed, before, now, advice) in [
            ("park", "pending", "pending", None),
            ("park", "pending", "approved", Some("Approve")),
            ("park", "pending", "rejected", Some("Reject")),
            ("park", "pending", "revoked", Some("Cancel")),
            // Such a rule was not about somebody who waits.
            ("park", "approved", "approved", None),
            ("approve_developer", "pending", "approved", Some("Approve")),
            ("approve_developer", "pending", "rejected", Some("Cancel")),
            (
                "reject_registration",
                "pending",
                "rejected",
                Some("Approve"),
            ),
            ("reject_registration", "pending", "approved", Some("Cancel")),
            ("add_to_team", "pending", "approved", None),
        ] {
            let found = answered(deed, before, now).map(|found| found.advice);
            let found = found.as_deref().and_then(|advice| advice.split(' ').next());
            assert_eq!(found, advice, "{deed} {before} {now}");
        }
    }
}
