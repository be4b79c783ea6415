//! Rows into pages with a path to the next one, and what the document says of both.

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::{IntoParams, ToSchema};

use crate::http::parameters::{DEFAULT_LIMIT, MAX_LIMIT, Pager};

/// The parameters of every list, for its document.
pub(super) enum Paging {}

/// Those of a list that has a window, for its document.
pub(super) enum Window {}

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
        self,
        rows: Vec<R>,
        next: Option<String>,
        render: impl Fn(R) -> T,
    ) -> Page<T> {
        Page {
            data: rows.into_iter().map(render).collect(),
            meta: Meta {
                as_of: self.as_of(),
                next: next.map(|position| self.next(&position)),
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
