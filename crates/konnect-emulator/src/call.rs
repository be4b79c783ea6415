//! One call of an operation: what a handler may look at and change. It knows no HTTP; the gateway
//! does.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    entry::Origin,
    problem::Problem,
    query::{self, Listing, Query, Rows},
    state::{Kind, Row, World},
};

/// A handler: the body of the answer, null for none, or the problem.
pub(crate) type Run = fn(&mut Call<'_>) -> Result<Value, Problem>;

/// A handler that completes or refuses a call before its act takes effect.
pub(crate) type Check = fn(&mut Call<'_>) -> Result<(), Problem>;

/// What a call carries.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) now: DateTime<Utc>,
    /// The path as sent, for links.
    pub(crate) path: &'a str,
    /// The host and port that were called, for links; empty if not said.
    pub(crate) host: &'a str,
    /// The ids of the rows that the path names, in order.
    pub(crate) ids: Vec<Uuid>,
    /// The parameters of the path as sent, decoded.
    pub(crate) parameters: &'a [(&'static str, String)],
    pub(crate) query: &'a Query,
    /// The checked body, empty where the operation has none.
    pub(crate) body: Map<String, Value>,
    pub(crate) origin: &'a Origin,
    /// The developer who is signed in; portal calls only.
    pub(crate) developer: Option<Uuid>,
    /// The session the call came with; portal calls only.
    pub(crate) session: Option<String>,
    /// Cookies that the answer sets.
    pub(crate) cookies: Vec<String>,
}

impl<'a> Call<'a> {
    /// Makes a call of the emulator's own, which no request stands behind.
    pub(crate) fn internal(
        world: &'a mut World,
        ids: Vec<Uuid>,
        body: Map<String, Value>,
        origin: &'a Origin,
    ) -> Self {
        static NO_QUERY: Query = Query::empty();
        Self {
            world,
            now: origin.at,
            path: "",
            host: "",
            ids,
            parameters: &[],
            query: &NO_QUERY,
            body,
            origin,
            developer: None,
            session: None,
            cookies: Vec::new(),
        }
    }

    /// Returns a parameter of the path as sent, empty when the path has none of this name.
    pub(crate) fn parameter(&self, name: &str) -> &str {
        let found = self.parameters.iter().find(|(known, _)| *known == name);
        found.map_or("", |(_, text)| text.as_str())
    }

    /// Returns the last id of the path.
    pub(crate) fn last_id(&self) -> Uuid {
        self.ids.last().copied().unwrap_or_default()
    }

    /// Returns a row that the gateway has found to exist.
    pub(crate) fn row(&self, kind: Kind, id: Uuid) -> Result<&Row, Problem> {
        self.world.find(kind, id).ok_or_else(Problem::not_found)
    }

    /// Returns a text member of the body.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.body.get(name).and_then(Value::as_str)
    }

    /// Returns a member of the body that holds an id.
    pub(crate) fn reference(&self, name: &str) -> Option<Uuid> {
        self.text(name).and_then(|text| Uuid::try_parse(text).ok())
    }

    /// Sets a member of the body where the caller left it out.
    pub(crate) fn fill(&mut self, name: &str, value: Value) {
        self.body.entry(name.to_owned()).or_insert(value);
    }

    /// Filters, sorts and pages rows.
    pub(crate) fn list(&self, rows: Vec<&Row>, listing: &Listing) -> Result<Value, Problem> {
        query::list(
            self.world,
            Rows::Given(rows),
            self.query,
            listing,
            self.path,
        )
    }

    /// Filters, sorts and pages the rows of a kind below the last row of the path.
    pub(crate) fn list_children(&self, kind: Kind, listing: &Listing) -> Result<Value, Problem> {
        let rows = Rows::Children(kind, self.ids.last().copied());
        query::list(self.world, rows, self.query, listing, self.path)
    }

    /// Returns since when the last row of the path has been there, now if the path names none.
    pub(crate) fn parent_time(&self) -> DateTime<Utc> {
        self.world
            .any(self.last_id())
            .map_or(self.now, |row| row.created_at)
    }
}
