//! Why something is in quarantine, and what can be done about it, in words. Pure.

use crate::intake;

/// What becomes of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// A release stores it once its reason has gone.
    Release,
    /// It can never become an event.
    Never,
    /// Its event is stored; only a reader cannot have it.
    Stored,
}

/// A reason in words.
#[derive(Debug, Clone, Copy)]
pub(super) struct Explained {
    /// What is wrong.
    pub(super) why: &'static str,
    /// What helps.
    pub(super) helps: &'static str,
}

/// Reasons that a form offers: those of entries, then those of bodies.
pub(super) const REASONS: [&str; 21] = [
    "signature_key_unknown",
    "signature_failed",
    "signature_missing",
    "claims_own_product",
    "line_too_long",
    "refused_by_database",
    "empty",
    "invalid_utf8",
    "not_an_entry",
    "bad_json",
    "json_too_deep",
    "too_many_members",
    "bad_cef_header",
    "bad_cef_extension",
    "month_dropped",
    "body_too_large",
    "body_incomplete",
    "body_inflates_too_far",
    "too_many_entries",
    "message_too_large",
    "forward_refused",
];

/// What becomes of a row with this reason; `unsendable` are reasons of readers.
pub(super) fn way(reason: &str, unsendable: &[&str]) -> Way {
    if unsendable.contains(&reason) {
        Way::Stored
    } else if intake::is_of_body(reason) {
        Way::Never
    } else {
        Way::Release
    }
}

/// The reason in words.
pub(super) fn explain(reason: &str) -> Explained {
    let (why, helps) = match reason {
        "signature_key_unknown" => (
            "It is signed, no key that Konnect served fits so far, and ingest.verify takes only what is verified.",
            "Nothing is to be done: usher checks it again every few seconds and releases it by itself when a key fits.",
        ),
        "signature_failed" => (
            "It is signed, and no key of three sets fits: it was forged, or changed on its way.",
            "If a key was served late, `usher events reverify` or a release stores it. Otherwise leave it: it is evidence.",
        ),
        "signature_missing" => (
            "It is not signed, and ingest.verify takes only what is verified.",
            "Let Konnect sign its audit log. What came unsigned is stored by a release once ingest.verify is \"record\" or \"off\".",
        ),
        "claims_own_product" => (
            "It says that usher wrote it. Only usher writes such events, so this was forged.",
            "Leave it: it is evidence. Look who may deliver with your Authorization.",
        ),
        "line_too_long" => (
            "The line is longer than ingest.max_line_bytes, and was cut there.",
            "What was cut off is not here, so this row cannot be stored. Raise ingest.max_line_bytes and replay the time.",
        ),
        "refused_by_database" => (
            "The database did not take the row, though nothing is wrong with the database itself.",
            "Mend what the detail names, then release it.",
        ),
        "month_dropped" => (
            "It is of a month that is past the retention of events.",
            "Lengthen retention.events, then release it.",
        ),
        "not_one_entry" => (
            "It has several lines, and an event is one.",
            "It cannot become one event. Replay the time to get its entries.",
        ),
        "empty" | "invalid_utf8" | "not_an_entry" | "bad_json" | "json_too_deep"
        | "too_many_members" | "bad_cef_header" | "bad_cef_extension" => (
            "It cannot be read as an entry in any format that Konnect sends.",
            "If a later version of usher can read it, release it then. Konnect's own entries come back by a replay.",
        ),
        "body_too_large" | "body_inflates_too_far" | "too_many_entries" => (
            "The whole request was more than usher takes, and was refused.",
            "The sender was told, and sends it again in smaller parts or not. Replay the time to get its entries.",
        ),
        "body_incomplete" => (
            "The request broke off; this is what came after its last whole line.",
            "The entries before it are stored. The sender repeats what broke off; a replay brings it too.",
        ),
        "message_too_large" | "forward_refused" => (
            "A reader cannot send it on. The event itself is stored and complete.",
            "Raise the limit of what receives it, or leave it: the event is in the journal and in exports.",
        ),
        _ => (
            "This version of usher has no more words for this reason; the detail says what was found.",
            "Mend what the detail names, then release it.",
        ),
    };
    Explained { why, helps }
}

#[cfg(test)]
mod tests {
    use super::{REASONS, Way, explain, way};

    #[test]
    fn every_reason_that_is_offered_has_words_of_its_own() {
        let unknown = explain("something_new").why;
        for reason in REASONS {
            assert_ne!(explain(reason).why, unknown, "{reason}");
        }
    }

    #[test]
    fn only_what_can_become_an_event_is_released() {
        let unsendable = ["message_too_large"];
        assert_eq!(way("message_too_large", &unsendable), Way::Stored);
        assert_eq!(way("body_incomplete", &unsendable), Way::Never);
        assert_eq!(way("signature_failed", &unsendable), Way::Release);
        assert_eq!(way("something_new", &unsendable), Way::Release);
    }
}
