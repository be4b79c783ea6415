//! Who read rows about people on a page: noted before the page is sent, which is not sent if that
//! cannot be noted.

use axum::Extension;
use axum::extract::{MatchedPath, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use url::form_urlencoded;

use crate::console::Shared;
use crate::console::session::Visitor;
use crate::http::Problem;
use crate::journal::{Access, AccessPath};

/// A page with so many rows about people. Every handler of such rows answers with it.
#[derive(Debug)]
pub(super) struct AboutPeople<T>(pub(super) usize, pub(super) T);

#[derive(Debug, Clone, Copy)]
struct Shown(usize);

impl<T: IntoResponse> IntoResponse for AboutPeople<T> {
    fn into_response(self) -> Response {
        (Extension(Shown(self.0)), self.1).into_response()
    }
}

/// Notes a page that says that it has rows about people. An event `read.events` is the same by the
/// API and by the console; how it was read is in the event.
pub(super) async fn note(
    State(shared): State<Shared>,
    visitor: Visitor,
    route: MatchedPath,
    parts: RawPathParams,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let uri = request.uri().clone();
    let response = next.run(request).await;
    let Some(&Shown(rows)) = response.extensions().get() else {
        return Ok(response);
    };
    let route = route.as_str().trim_matches('/');
    // Of a report its name belongs to what is read.
    let named = parts.iter().find(|(known, _)| *known == "name");
    let words = route.split('/').filter_map(|word| match word {
        "{name}" => named.map(|(_, name)| name),
        _ => (!word.starts_with('{')).then_some(word),
    });
    let query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned();
    // An id that the route names stands at the same place in the path.
    let place = route
        .split('/')
        .position(|word| word.starts_with('{') && word != "{name}");
    let path = uri.path().trim_matches('/');
    let id = place.and_then(|place| path.split('/').nth(place).map(str::to_owned));
    let access = Access {
        what: words.collect::<Vec<_>>().join("."),
        who: visitor.name.clone(),
        way: AccessPath::Console,
        filter: id
            .map(|id| ("id".to_owned(), id))
            .into_iter()
            .chain(query.filter(|(_, value)| !value.is_empty()))
            .collect(),
        rows: u64::try_from(rows).ok(),
        is_complete: true,
    };
    let noted = shared.whole.reads.note(&access).await;
    noted?;
    Ok(response)
}
