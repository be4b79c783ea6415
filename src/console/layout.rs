//! What every page has around it, and how a page is sent.

use askama::Template;
use axum::http::{HeaderName, HeaderValue, header};
use axum::response::{Html, Response};
use tracing::error;

use crate::console::assets;
use crate::console::session::Visitor;
use crate::http::Problem;

/// What a page may load: the console's own style and script, and nothing from anybody else.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The pages of the menu: path, name, and whether whoever may see some portals only has it too.
const MENU: [(&str, &str, bool); 13] = [
    ("/", "Overview", true),
    ("/events", "Events", true),
    ("/people", "People", true),
    ("/applications", "Applications", true),
    ("/approvals", "Approvals", true),
    ("/actions", "Actions", true),
    ("/rules", "Rules", true),
    ("/deliveries", "Deliveries", false),
    ("/coverage", "Coverage", true),
    ("/replay", "Replay", true),
    ("/quarantine", "Quarantine", false),
    ("/reports", "Reports", true),
    ("/settings", "Settings", false),
];

/// What every page has around it.
#[derive(Debug)]
pub(super) struct Layout {
    /// The title of the page.
    pub(super) title: String,
    /// Whoever looks at it; nobody before they signed in.
    pub(super) visitor: Option<Visitor>,
    /// The page of the menu that it belongs to.
    pub(super) active: &'static str,
}

impl Layout {
    /// The frame of a page that is not in the menu.
    pub(super) fn new(title: impl Into<String>, visitor: Option<&Visitor>) -> Self {
        Self {
            title: title.into(),
            visitor: visitor.cloned(),
            active: "",
        }
    }

    /// The frame of a page that belongs to `active`, a path of [`MENU`].
    pub(super) fn of(title: impl Into<String>, active: &'static str, visitor: &Visitor) -> Self {
        Self {
            active,
            ..Self::new(title, Some(visitor))
        }
    }

    /// The pages of the menu that the visitor may open, each with whether it is this one.
    pub(super) fn menu(&self) -> impl Iterator<Item = (&'static str, &'static str, bool)> {
        let sees_all = self.sees_all();
        let shown = MENU
            .iter()
            .filter(move |(.., by_portal)| sees_all || *by_portal);
        shown.map(|&(path, name, _)| (path, name, path == self.active))
    }

    /// Whether the visitor may see what belongs to no portal.
    pub(super) fn sees_all(&self) -> bool {
        self.visitor.as_ref().is_some_and(Visitor::sees_all)
    }

    /// Changes with style and script.
    #[expect(
        clippy::unused_self,
        reason = "templates reach what they need through it"
    )]
    pub(super) fn assets(&self) -> &'static str {
        &assets::VERSION
    }

    /// The version of this usher.
    #[expect(
        clippy::unused_self,
        reason = "templates reach what they need through it"
    )]
    pub(super) fn version(&self) -> &'static str {
        env!("CARGO_PKG_VERSION")
    }
}

/// The page as an answer.
pub(super) fn render(page: &impl Template) -> Result<Html<String>, Problem> {
    page.render().map(Html).map_err(|error| {
        error!(
            error = &error as &dyn std::error::Error,
            "a page could not be made"
        );
        Problem::new(
            axum::http::StatusCode::INTERNAL_SERVER_ERROR,
            "the page could not be made",
        )
    })
}

/// Adds the headers that every page has.
pub(super) async fn secure(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let fixed: [(HeaderName, &'static str); 5] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // What people see is theirs: no cache keeps it, also not the one behind the back button.
        (header::CACHE_CONTROL, "no-store"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
