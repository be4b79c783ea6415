//! After a write the browser is led to a page that says what was done, so that loading it again
//! does nothing twice.

use axum::response::Redirect;
use url::form_urlencoded;

use crate::http::parameters::Parameters;

/// The parameter that says what was done.
const WORD: &str = "done";

/// What can be said, by its word in the query. A text there could be anybody's; a word is ours.
const DONE: [(&str, &str); 14] = [
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
    ("nothing", "Nothing was there to be done."),
];

/// Leads to `page` (path and query of this console), which says what was done.
pub(super) fn see(page: &str, word: &str) -> Redirect {
    debug_assert!(DONE.iter().any(|(known, _)| *known == word));
    let (path, query) = page.split_once('?').unwrap_or((page, ""));
    let kept = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name != WORD);
    let query = form_urlencoded::Serializer::new(String::new())
        .extend_pairs(kept)
        .append_pair(WORD, word)
        .finish();
    Redirect::to(&format!("{path}?{query}"))
}

/// What was done before this page, in words. To be asked for first: the page after this one, which
/// its list leads to, does not say it again.
pub(super) fn notice(parameters: &mut Parameters) -> Option<&'static str> {
    let word = parameters.once(WORD)?;
    let found = DONE.iter().find(|(known, _)| *known == word);
    found.map(|(_, words)| *words)
}
