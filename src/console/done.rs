//! After a write the browser is led to a page that says what was done, so that loading it again
//! does nothing twice.

use std::fmt;

use askama::filters::HtmlSafe;
use axum::response::Redirect;
use url::form_urlencoded;
use uuid::Uuid;

use crate::http::parameters::Parameters;

/// The parameter that says what was done.
const WORD: &str = "done";
/// The parameter that says to which action.
const ACTION: &str = "done_action";
/// The parameter that says to how many.
const COUNT: &str = "done_count";

/// What can be said, by its word in the query. A text there could be anybody's; a word is ours.
const DONE: [(&str, &str); 16] = [
    (
        "approved",
        "Approved. usher does it now, and the page of the action shows how it goes.",
    ),
    ("rejected", "Rejected."),
    ("retried", "It is tried again."),
    ("cancelled", "Cancelled."),
    ("lifted", "The veto is lifted."),
    (
        "paused",
        "Paused: no action is carried out until somebody resumes.",
    ),
    ("resumed", "Resumed: actions are carried out again."),
    ("released", "Released from quarantine: it is stored."),
    (
        "known",
        "Its event was stored already, and has one copy more. The row is gone from quarantine.",
    ),
    (
        "stays",
        "It stays in quarantine: what is wrong with it has not gone, so nothing was changed.",
    ),
    ("bulk", "Done for all of them that were shown."),
    (
        "partly",
        "Done for some of them; the others had changed meanwhile, and the list shows how.",
    ),
    (
        "asked",
        "usher does it now, and the action below shows how it goes.",
    ),
    (
        "acknowledged",
        "Acknowledged. The loss stays visible, and raises no alarm any more.",
    ),
    (
        "replay_wanted",
        "On record. usher asks Konnect for it once no other job of this log runs.",
    ),
    ("nothing", "Nothing was there to be done."),
];

/// Leads to `page` (path and query of this console), which says what was done.
pub(super) fn see(page: &str, word: &str) -> Redirect {
    see_with(page, word, None)
}

/// Leads to `page`, which says what was done and links the action that it was done to.
pub(super) fn see_action(page: &str, word: &str, action: Uuid) -> Redirect {
    see_with(page, word, Some((ACTION, action.to_string())))
}

/// Leads to `page`, which says what was done and to how many.
pub(super) fn see_count(page: &str, word: &str, count: usize) -> Redirect {
    see_with(page, word, Some((COUNT, count.to_string())))
}

fn see_with(page: &str, word: &str, more: Option<(&str, String)>) -> Redirect {
    debug_assert!(DONE.iter().any(|(known, _)| *known == word));
    let (path, query) = page.split_once('?').unwrap_or((page, ""));
    let kept = form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| ![WORD, ACTION, COUNT].contains(&name.as_ref()));
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(kept)
        .append_pair(WORD, word)
        .extend_pairs(more)
        .finish();
    Redirect::to(&format!("{path}?{query}"))
}

/// What was done before a page. Prints as markup of its own.
#[derive(Debug, Clone, Copy)]
pub(super) struct Notice {
    words: &'static str,
    count: Option<u32>,
    action: Option<Uuid>,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words)?;
        if let Some(count) = self.count {
            write!(f, " They were {count}.")?;
        }
        if let Some(action) = self.action {
            write!(f, " <a href=\"/actions/{action}\">Action {action}</a>")?;
        }
        Ok(())
    }
}

impl HtmlSafe for Notice {}

/// What was done before this page, in words. To be asked for first: the page after this one, which
/// its list leads to, does not say it again.
pub(super) fn notice(parameters: &mut Parameters) -> Option<Notice> {
    let word = parameters.once(WORD);
    // Whatever they are given as, they are never more than a number and an id.
    let count = parameters.once(COUNT).and_then(|count| count.parse().ok());
    let action = parameters.once(ACTION).and_then(|id| id.parse().ok());
    let word = word?;
    let found = DONE.iter().find(|(known, _)| *known == word);
    found.map(|&(_, words)| Notice {
        words,
        count,
        action,
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::Notice;

    #[test]
    fn a_notice_counts_and_links() {
        let notice = Notice {
            words: "Done.",
            count: Some(3),
            action: None,
        };
        assert_eq!(notice.to_string(), "Done. They were 3.");
        let id = Uuid::from_u128(7);
        let notice = Notice {
            count: None,
            action: Some(id),
            ..notice
        };
        let told = format!("Done. <a href=\"/actions/{id}\">Action {id}</a>");
        assert_eq!(notice.to_string(), told);
    }
}
