//! Who read rows about people: an answer with such rows is noted before it is given, and not given
//! if it cannot be noted.

use axum::Json;
use axum::extract::{Extension, MatchedPath, RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use url::form_urlencoded;
use uuid::Uuid;

use crate::api::page::{One, Page};
use crate::http::Problem;
use crate::http::tokens::Caller;
use crate::journal::{Access, AccessLog, AccessPath};
use crate::lifecycle::Lifecycle;

const ROOT: &str = "/api/v1/";

/// An answer with rows about people. Every handler of such rows answers with it.
pub(super) struct AboutPeople<T>(pub(super) T);

/// How many rows an answer has.
pub(super) trait Counted {
    fn rows(&self) -> usize;
}

/// Says, in a response, that it has so many rows about people.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown(pub(super) usize);

impl<T> Counted for Page<T> {
    fn rows(&self) -> usize {
        self.len()
    }
}

impl<T> Counted for One<T> {
    fn rows(&self) -> usize {
        1
    }
}

impl<T: Counted + Serialize> IntoResponse for AboutPeople<T> {
    fn into_response(self) -> Response {
        let shown = Shown(self.0.rows());
        (Extension(shown), Json(self.0)).into_response()
    }
}

/// What a request reads, before it is known how much that is: `what` is the path, without ids.
pub(super) fn read(caller: &Caller, what: String, query: Option<&str>) -> Access {
    let query = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    Access {
        what,
        who: caller.name().to_owned(),
        way: AccessPath::Api,
        filter: query
            .into_owned()
            .filter(|(_, value)| !value.is_empty())
            .collect(),
        rows: None,
        is_complete: false,
    }
}

/// The words of a path for the name of an event, and the id in it: as the route has them, however
/// they were written.
fn words(route: &str, parts: &RawPathParams) -> (String, Option<(String, String)>) {
    let mut id = None;
    let mut words = Vec::new();
    for word in route.strip_prefix(ROOT).unwrap_or(route).split('/') {
        let name = word
            .strip_prefix('{')
            .and_then(|word| word.strip_suffix('}'));
        let part = name.and_then(|name| parts.iter().find(|(known, _)| *known == name));
        match part {
            None => words.push(word),
            Some(("id", value)) => {
                let value = value.parse::<Uuid>();
                id = value.ok().map(|value| ("id".to_owned(), value.to_string()));
            }
            Some((_, value)) => words.push(value),
        }
    }
    (words.join("."), id)
}

/// Notes an answer that says that it has rows about people.
pub(super) async fn note(
    State(reads): State<AccessLog>,
    Extension(caller): Extension<Caller>,
    route: MatchedPath,
    parts: RawPathParams,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (what, id) = words(route.as_str(), &parts);
    let mut read = read(&caller, what, request.uri().query());
    read.filter.splice(0..0, id);
    let response = next.run(request).await;
    if let Some(&Shown(rows)) = response.extensions().get() {
        read.rows = u64::try_from(rows).ok();
        read.is_complete = true;
        let noted = reads.note(&read).await;
        noted?;
    }
    Ok(response)
}

/// An answer that goes on, noted when it ends, however it ends.
pub(super) struct NotedStream {
    reads: AccessLog,
    lifecycle: Lifecycle,
    /// Until it is noted.
    read: Option<Access>,
    rows: u64,
}

impl NotedStream {
    pub(super) fn new(reads: AccessLog, lifecycle: Lifecycle, read: Access) -> Self {
        Self {
            reads,
            lifecycle,
            read: Some(read),
            rows: 0,
        }
    }

    pub(super) fn add(&mut self, rows: usize) {
        self.rows += u64::try_from(rows).unwrap_or(u64::MAX);
    }

    /// Notes it as whole; after an error the answer must not be ended as whole.
    pub(super) async fn end(&mut self) -> Result<(), Problem> {
        let Some(mut read) = self.read.clone() else {
            return Ok(());
        };
        read.rows = Some(self.rows);
        read.is_complete = true;
        let noted = self.reads.note(&read).await;
        noted?;
        self.read = None;
        Ok(())
    }
}

impl Drop for NotedStream {
    fn drop(&mut self) {
        let Some(mut read) = self.read.take() else {
            return;
        };
        read.rows = Some(self.rows);
        let reads = self.reads.clone();
        self.lifecycle.spawn("read", async move {
            if let Err(error) = reads.note(&read).await {
                tracing::warn!(
                    who = read.who,
                    what = read.what,
                    rows = read.rows,
                    error = error.chain(),
                    "could not note who read the record"
                );
            }
        });
    }
}
