//! Who looked: an answer with rows about people is noted before it is given, and not given where it cannot be noted.

use axum::Json;
use axum::extract::{Extension, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use url::form_urlencoded;
use uuid::Uuid;

use crate::api::page::{One, Page, journal_problem};
use crate::api::tokens::Caller;
use crate::http::Problem;
use crate::journal::{Read, Reads, Way};
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

/// What a request reads, before it is known how much that is.
pub(super) fn read(caller: &Caller, path: &str, query: Option<&str>) -> Read {
    let parts = path.strip_prefix(ROOT).unwrap_or(path).split('/');
    let is_id = |part: &&str| part.parse::<Uuid>().is_ok();
    let (ids, words): (Vec<&str>, Vec<&str>) = parts.partition(is_id);
    let ids = ids.into_iter().map(|id| ("id".to_owned(), id.to_owned()));
    let query = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let query = query.into_owned().filter(|(_, value)| !value.is_empty());
    Read {
        what: words.join("."),
        who: caller.name().to_owned(),
        way: Way::Api,
        filter: ids.chain(query).collect(),
        rows: None,
        is_complete: false,
    }
}

/// Notes an answer that says that it has rows about people.
pub(super) async fn note(
    State(reads): State<Reads>,
    Extension(caller): Extension<Caller>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let uri = request.uri().clone();
    let response = next.run(request).await;
    if let Some(&Shown(rows)) = response.extensions().get() {
        let read = Read {
            rows: u64::try_from(rows).ok(),
            is_complete: true,
            ..read(&caller, uri.path(), uri.query())
        };
        let noted = reads.note(&read).await;
        noted.map_err(|error| journal_problem(&error))?;
    }
    Ok(response)
}

/// An answer that goes on, noted when it ends, however it ends.
pub(super) struct Noting {
    reads: Reads,
    lifecycle: Lifecycle,
    /// Until it is noted.
    read: Option<Read>,
    rows: u64,
}

impl Noting {
    pub(super) fn new(reads: Reads, lifecycle: Lifecycle, read: Read) -> Self {
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

    /// Notes it as whole; an error means that its end must not be said.
    pub(super) async fn end(&mut self) -> Result<(), Problem> {
        let Some(mut read) = self.read.clone() else {
            return Ok(());
        };
        read.rows = Some(self.rows);
        read.is_complete = true;
        let noted = self.reads.note(&read).await;
        noted.map_err(|error| journal_problem(&error))?;
        self.read = None;
        Ok(())
    }
}

impl Drop for Noting {
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
