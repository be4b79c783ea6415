//! The pages about actions: the list, one of them, those that wait for a person, vetoes, and doing
//! the same to many at once.

mod approvals;
mod bulk;
mod facts;
mod fields;
mod filter;
mod frozen;
mod list;
mod meanwhile;
mod one;
mod vetoes;
mod whom;

use axum::Router;
use axum::response::Redirect;
use axum::routing::{get, post};

use crate::act::Verb;
use crate::console::Shared;

/// The pages, and what their forms send.
pub(super) fn router() -> Router<Shared> {
    // Whoever loads the address of a preview again, or comes back to it, is led to its list.
    let approvals = get(async || Redirect::to("/approvals"));
    let actions = get(async || Redirect::to("/actions"));
    Router::new()
        .route("/approvals", get(approvals::list))
        .route("/approvals/bulk", approvals.clone().post(bulk::preview))
        .route("/approvals/bulk/confirm", approvals.post(bulk::confirm))
        .route("/actions", get(list::list))
        .route("/actions/bulk", actions.clone().post(bulk::preview))
        .route("/actions/bulk/confirm", actions.post(bulk::confirm))
        .route("/actions/{id}", get(one::show))
        .route("/actions/{id}/{verb}", post(one::intervene))
        .route("/vetoes/{id}/lift", post(vetoes::lift))
}

/// A verb as the text of a button.
fn label(verb: Verb) -> &'static str {
    match verb {
        Verb::Approve => "Approve",
        Verb::Reject => "Reject",
        Verb::Retry => "Retry",
        Verb::Cancel => "Cancel",
    }
}

/// Whether a verb lets something be done, and does not end it.
fn lets(verb: Verb) -> bool {
    match verb {
        Verb::Approve | Verb::Retry => true,
        Verb::Reject | Verb::Cancel => false,
    }
}
