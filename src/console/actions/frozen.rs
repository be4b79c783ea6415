//! The token of a set of actions that was shown to somebody: what is done is what they saw. It is
//! of one session and one verb, and of every action as it was; whoever acts on one of them
//! meanwhile changes it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::act::{Action, Verb};

/// The token of doing `verb` to `actions`, for the session whose forms have the token `session`.
pub(super) fn token(session: &str, verb: Verb, actions: &[Action]) -> String {
    let as_shown = actions.iter().map(|action| (action.id, action.updated_at));
    token_of(session, verb, as_shown.collect())
}

/// Whether `given` is the token of the same.
pub(super) fn fits(given: &str, session: &str, verb: Verb, actions: &[Action]) -> bool {
    let now = token(session, verb, actions);
    now.as_bytes().ct_eq(given.as_bytes()).into()
}

fn token_of(session: &str, verb: Verb, mut as_shown: Vec<(Uuid, DateTime<Utc>)>) -> String {
    // In whatever order they were read.
    as_shown.sort_unstable();
    let mut mac =
        Hmac::<Sha256>::new_from_slice(session.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(b"usher console set ");
    mac.update(verb.as_str().as_bytes());
    for (id, updated_at) in as_shown {
        mac.update(id.as_bytes());
        // As exact as Postgres has it.
        mac.update(&updated_at.timestamp_micros().to_be_bytes());
    }
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, TimeDelta, Utc};
    use uuid::Uuid;

    use super::token_of;
    use crate::act::Verb;

    fn set(rows: &[(u128, i64)]) -> Vec<(Uuid, DateTime<Utc>)> {
        let row = |&(id, micros): &(u128, i64)| {
            let at = DateTime::UNIX_EPOCH + TimeDelta::microseconds(micros);
            (Uuid::from_u128(id), at)
        };
        rows.iter().map(row).collect()
    }

    #[test]
    fn a_set_is_the_same_in_any_order() {
        let shown = token_of("s", Verb::Approve, set(&[(1, 10), (2, 20), (3, 30)]));
        let read = token_of("s", Verb::Approve, set(&[(3, 30), (1, 10), (2, 20)]));
        assert_eq!(shown, read);
    }

    #[test]
    fn another_set_verb_or_session_has_another_token() {
        let rows = [(1, 10), (2, 20)];
        let shown = token_of("s", Verb::Approve, set(&rows));
        for (what, other) in [
            ("one is gone", token_of("s", Verb::Approve, set(&rows[..1]))),
            (
                "one was added",
                token_of("s", Verb::Approve, set(&[(1, 10), (2, 20), (3, 30)])),
            ),
            (
                "another took its place",
                token_of("s", Verb::Approve, set(&[(1, 10), (3, 20)])),
            ),
            (
                "one changed",
                token_of("s", Verb::Approve, set(&[(1, 10), (2, 21)])),
            ),
            (
                "their times are swapped",
                token_of("s", Verb::Approve, set(&[(1, 20), (2, 10)])),
            ),
            ("none is left", token_of("s", Verb::Approve, Vec::new())),
            ("verb", token_of("s", Verb::Reject, set(&rows))),
            ("session", token_of("t", Verb::Approve, set(&rows))),
        ] {
            assert_ne!(other, shown, "{what}");
        }
    }
}
