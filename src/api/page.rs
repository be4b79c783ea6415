//! Query parameters into filters, and rows into pages with a path to the next one; what the
//! document says of both.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use axum::extract::{FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::header::RETRY_AFTER;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, SecondsFormat, SubsecRound, Utc};
use serde::Serialize;
use sha2::{Digest, Sha256};
use url::form_urlencoded;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::{IntoParams, ToSchema};

use crate::api::read_databases::{AsOf, AskElsewhere};
use crate::http::Problem;
use crate::journal::{EventFilter, JournalError, NoWindow, read_time};

/// Rows of a page if the request does not say it, as at the command line.
pub(super) const DEFAULT_LIMIT: i64 = 100;
const MAX_LIMIT: i64 = 1_000;

/// The start and the end of a window.
type Ends = (Option<DateTime<Utc>>, Option<DateTime<Utc>>);

/// The query of a list, taken apart parameter by parameter so that an unknown one is noticed.
#[derive(Debug)]
pub(super) struct Parameters {
    path: String,
    given: BTreeMap<String, String>,
    left: BTreeMap<String, String>,
    /// The known parameters that were asked for, given or not.
    known: BTreeSet<String>,
    as_of: Option<DateTime<Utc>>,
}

/// The parameters of every list, for its document.
pub(super) enum Paging {}

/// Those of a list that has a window, for its document.
pub(super) enum Window {}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|_| bad_request("the query cannot be read"))?;
        let mut given = BTreeMap::new();
        for (name, value) in pairs {
            if value.contains('\0') {
                return Err(bad_request(format!("parameter {name}: NUL is no text")));
            }
            if given.insert(name.clone(), value).is_some() {
                return Err(bad_request(format!("parameter {name} is given twice")));
            }
        }
        Ok(Self {
            path: parts.uri.path().to_owned(),
            left: given.clone(),
            given,
            known: BTreeSet::new(),
            as_of: parts
                .extensions
                .get()
                .map(|&AsOf(time)| time.trunc_subsecs(3)),
        })
    }
}

impl Parameters {
    /// A parameter as text; an empty one counts as absent.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.known.insert(name.to_owned());
        self.left.remove(name).filter(|value| !value.is_empty())
    }

    /// A parameter that must read as `T`; `expected` describes its form.
    pub(super) fn read<T: FromStr>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, Problem> {
        self.text(name)
            .map(|value| {
                let wrong = || bad_request(format!("parameter {name}: expected {expected}"));
                value.parse().map_err(|_| wrong())
            })
            .transpose()
    }

    /// A time, RFC 3339, of a year that Postgres and JSON can both write.
    fn time(&mut self, name: &str) -> Result<Option<DateTime<Utc>>, Problem> {
        let Some(value) = self.text(name) else {
            return Ok(None);
        };
        let wrong = || {
            let hint = lost_plus(&value);
            let expected = "expected a time such as 2026-01-31T12:00:00Z";
            bad_request(format!("parameter {name}: {expected}{hint}"))
        };
        read_time(&value).map(Some).ok_or_else(wrong)
    }

    /// The filter of events that the parameters describe.
    pub(super) fn event_filter(&mut self) -> Result<EventFilter, Problem> {
        let mut filter = EventFilter::default();
        for word in EventFilter::words() {
            let Some(value) = self.text(word) else {
                continue;
            };
            filter.set(word, &value).map_err(|error| {
                let is_time = matches!(word, "from" | "to");
                let hint = if is_time { lost_plus(&value) } else { "" };
                bad_request(format!("parameter {word}: {error}{hint}"))
            })?;
        }
        filter.check().map_err(no_window)?;
        Ok(filter)
    }

    /// The ends of the window that `from` and `to` ask for, either of which may be left open.
    pub(super) fn window(&mut self) -> Result<Ends, Problem> {
        let (from, to) = (self.time("from")?, self.time("to")?);
        NoWindow::check_order(from, to).map_err(no_window)?;
        Ok((from, to))
    }

    /// How many rows a page has.
    pub(super) fn limit(&mut self) -> Result<i64, Problem> {
        let expected = "a whole number from 1 to 1000";
        match self.read("limit", expected)? {
            None => Ok(DEFAULT_LIMIT),
            Some(limit) if (1..=MAX_LIMIT).contains(&limit) => Ok(limit),
            Some(_) => Err(bad_request(format!("parameter limit: expected {expected}"))),
        }
    }

    /// Where the page before ended; `place` reads a cursor of `N` parts.
    pub(super) fn after<K, const N: usize>(
        &mut self,
        place: impl FnOnce([String; N]) -> Result<K, Problem>,
    ) -> Result<Option<K>, Problem> {
        self.cursor()?.map(place).transpose()
    }

    /// Where the page before ended, as it was sent; only the value of a `next` of the same list
    /// with the same filter is understood.
    pub(super) fn cursor<const N: usize>(&mut self) -> Result<Option<[String; N]>, Problem> {
        let Some(cursor) = self.text("cursor") else {
            return Ok(None);
        };
        let text = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| wrong_cursor())?;
        let text = String::from_utf8(text).map_err(|_| wrong_cursor())?;
        let (of, position) = text.split_once(' ').ok_or_else(wrong_cursor)?;
        let parts: Vec<String> = position.split(' ').map(str::to_owned).collect();
        let parts = parts.try_into().map_err(|_| wrong_cursor())?;
        if of != fingerprint(&self.path, &self.given) {
            return Err(bad_request(
                "parameter cursor: it is of another filter, leave it out to begin anew",
            ));
        }
        Ok(Some(parts))
    }

    /// Ends the reading: any parameter that is left is unknown.
    pub(super) fn finish(self) -> Result<Pager, Problem> {
        let Some(name) = self.left.keys().next() else {
            return Ok(Pager {
                path: self.path,
                given: self.given,
                as_of: self.as_of,
            });
        };
        let known: Vec<&str> = self.known.iter().map(String::as_str).collect();
        let known = match known[..] {
            [] => "there are none here".to_owned(),
            _ => format!("known here: {}", known.join(", ")),
        };
        Err(bad_request(format!("unknown parameter {name}; {known}")))
    }
}

impl IntoParams for Paging {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let limit = ObjectBuilder::new()
            .schema_type(Type::Integer)
            .minimum(Some(1))
            .maximum(Some(MAX_LIMIT))
            .default(Some(DEFAULT_LIMIT.into()));
        let cursor = ObjectBuilder::new().schema_type(Type::String);
        vec![
            optional("limit", "How many rows at most", limit),
            optional(
                "cursor",
                "Where the page before ended, as its `meta.next` has it",
                cursor,
            ),
        ]
    }
}

impl IntoParams for Window {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let time = || {
            ObjectBuilder::new()
                .schema_type(Type::String)
                .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
        };
        vec![
            optional("from", "The earliest time, inclusive", time()),
            optional("to", "The latest time, exclusive", time()),
        ]
    }
}

/// A parameter of the query that may be left out.
pub(super) fn optional(
    name: &str,
    description: impl Into<String>,
    schema: ObjectBuilder,
) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .description(Some(description))
        .schema(Some(schema))
        .build()
}

/// Knows how to ask for the page after this one.
#[derive(Debug)]
pub(super) struct Pager {
    path: String,
    given: BTreeMap<String, String>,
    as_of: Option<DateTime<Utc>>,
}

/// What comes with the rows of a page.
#[derive(Debug, Serialize, ToSchema)]
struct Meta {
    /// Path and query of the next page; null when this is the last one.
    #[schema(required = true)]
    next: Option<String>,
    /// What was recorded until then is in it, by usher's clock, or a replica's, which may lag.
    #[serde(skip_serializing_if = "Option::is_none")]
    as_of: Option<DateTime<Utc>>,
    /// The command that gives the same, where one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<String>,
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T> {
    /// The rows.
    data: Vec<T>,
    /// What comes with them.
    meta: Meta,
}

/// One thing by itself.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct One<T> {
    /// The thing.
    pub(super) data: T,
}

impl Pager {
    /// The page of `rows`, of which one more than `limit` was asked for; `position` returns the
    /// position of a row.
    pub(super) fn page<R, T>(
        self,
        mut rows: Vec<R>,
        limit: i64,
        position: impl Fn(&R) -> String,
        render: impl Fn(R) -> T,
    ) -> Page<T> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(position);
        self.page_to(rows, next, render)
    }

    /// The page that `rows` are; `next` says where the search goes on, if it does.
    pub(super) fn page_to<R, T>(
        mut self,
        rows: Vec<R>,
        next: Option<String>,
        render: impl Fn(R) -> T,
    ) -> Page<T> {
        let next = next.map(|position| {
            let of = fingerprint(&self.path, &self.given);
            let cursor = URL_SAFE_NO_PAD.encode(format!("{of} {position}"));
            self.given.insert("cursor".to_owned(), cursor);
            format!("{}?{}", self.path, query(&self.given))
        });
        Page {
            data: rows.into_iter().map(render).collect(),
            meta: Meta {
                next,
                as_of: self.as_of,
                command: None,
            },
        }
    }
}

impl<T> Page<T> {
    /// How many rows it has.
    pub(super) fn len(&self) -> usize {
        self.data.len()
    }

    /// The page with the command that gives it.
    pub(super) fn told_as(mut self, command: String) -> Self {
        self.meta.command = Some(command);
        self
    }
}

fn query<'a>(pairs: impl IntoIterator<Item = (&'a String, &'a String)>) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

/// Identifies a list with its filter, whichever page of it is asked for.
fn fingerprint(path: &str, given: &BTreeMap<String, String>) -> String {
    let of_page = |name: &str| matches!(name, "cursor" | "limit");
    let pairs = given
        .iter()
        .filter(|(name, value)| !of_page(name) && !value.is_empty());
    let hash = Sha256::digest(format!("{path}?{}", query(pairs)));
    URL_SAFE_NO_PAD.encode(&hash[..9])
}

/// In a query a bare plus means a blank, which no time has.
fn lost_plus(value: &str) -> &'static str {
    if value.contains(' ') {
        "; write + as %2B"
    } else {
        ""
    }
}

fn no_window(error: NoWindow) -> Problem {
    bad_request(format!("parameters from, to: {error}"))
}

/// An id in a path.
pub(super) fn path_id<T: FromStr>(id: &str, what: &str) -> Result<T, Problem> {
    let wrong = || bad_request(format!("{what} id is a UUID"));
    id.parse().map_err(|_| wrong())
}

/// A time as a part of a cursor: to the microsecond, as Postgres has it.
pub(super) fn time_part(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// A part of a cursor as `T`.
pub(super) fn part<T: FromStr>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| wrong_cursor())
}

pub(super) fn wrong_cursor() -> Problem {
    bad_request("parameter cursor: expected a value from meta.next")
}

pub(super) fn bad_request(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

/// A failure of the journal as a client sees it; the cause is logged here, once.
pub(super) fn journal_problem(error: &JournalError) -> Problem {
    if let JournalError::TooManyPeople { .. } = error {
        return bad_request(format!("parameter person: {error}"));
    }
    tracing::warn!(error = error.chain(), "the api could not read the record");
    if error.is_transient() {
        let busy = "the record is busy or does not answer, try again";
        let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, busy).with(RETRY_AFTER, "5");
        if error.is_of_server() {
            // A connection that was not free was waited for, and would be the next time.
            let once_more = !error.is_busy();
            problem.with_extension(AskElsewhere { once_more })
        } else {
            problem
        }
    } else {
        Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the record could not be read",
        )
    }
}
