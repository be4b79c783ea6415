//! The first page: what happened lately, what waits for a person, and how every part is.

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Html;

use crate::console::Console;
use crate::console::filters;
use crate::console::layout::{self, Layout};
use crate::console::session::Visitor;
use crate::http::Problem;
use crate::http::parameters::Parameters;

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    layout: Layout,
    condition: &'static str,
}

pub(super) async fn show(
    State(console): State<Arc<Console>>,
    visitor: Visitor,
    parameters: Parameters,
) -> Result<Html<String>, Problem> {
    parameters.finish()?;
    layout::render(&OverviewPage {
        layout: Layout::of("Overview", "/", &visitor),
        condition: if console.health.is_ready() {
            "ok"
        } else {
            "down"
        },
    })
}
