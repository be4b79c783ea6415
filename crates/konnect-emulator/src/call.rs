//! One call of an operation: what a handler may look at and change, and how the generic acts work
//! on the declarations of the table. It knows no HTTP; the gateway does.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{
    entry::Origin,
    problem::{Dialect, Problem},
    query::{self, Listing, Query},
    state::{Kind, Row, World},
    validate::{self, Field, Unknown},
};

/// A handler: the body of the answer, null for none, or the problem.
pub(crate) type Run = fn(&mut Call<'_>) -> Result<Value, Problem>;

/// What a call carries.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) world: &'a mut World,
    pub(crate) now: DateTime<Utc>,
    /// The path as sent, for links.
    pub(crate) path: &'a str,
    /// The host and port that were called, for links; empty if not said.
    pub(crate) host: &'a str,
    /// The ids in the path, in order.
    pub(crate) ids: Vec<Uuid>,
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

impl Call<'_> {
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
        query::list(self.world, rows, self.query, listing, self.path)
    }
}

/// A kind of object with its rules: what may be sent, how it is listed and shown, what must hold
/// beyond single fields.
#[derive(Debug)]
pub(crate) struct Resource {
    pub(crate) kind: Kind,
    pub(crate) create: &'static [Field],
    pub(crate) update: &'static [Field],
    pub(crate) listing: Listing,
    /// Completes and checks a body before it becomes a row.
    pub(crate) before_create: fn(&mut Call<'_>) -> Result<(), Problem>,
    /// Checks a body before it changes a row.
    pub(crate) before_update: fn(&mut Call<'_>) -> Result<(), Problem>,
    /// Decides whether a row may go, and ends what hangs on it beyond its children.
    pub(crate) before_delete: fn(&mut Call<'_>) -> Result<(), Problem>,
}

/// What an operation does.
#[derive(Debug)]
pub(crate) enum Act {
    List(&'static Resource),
    Create(&'static Resource),
    Get(&'static Resource),
    Update(&'static Resource),
    Delete(&'static Resource),
    /// Anything else, with the fields of its body if it takes one.
    Special(Option<&'static [Field]>, Run),
}

impl Act {
    /// Returns the fields of the body, `None` where the operation takes none.
    pub(crate) fn body(&self) -> Option<&'static [Field]> {
        match self {
            Self::Create(resource) => Some(resource.create),
            Self::Update(resource) => Some(resource.update),
            Self::Special(fields, _) => *fields,
            Self::List(_) | Self::Get(_) | Self::Delete(_) => None,
        }
    }

    /// Runs the act on a call whose parents exist and whose body is checked.
    pub(crate) fn run(&self, call: &mut Call<'_>) -> Result<Value, Problem> {
        match self {
            Self::List(resource) => {
                let rows = call
                    .world
                    .children(resource.kind, call.ids.last().copied())
                    .collect();
                call.list(rows, &resource.listing)
            }
            Self::Create(resource) => {
                (resource.before_create)(call)?;
                let body = std::mem::take(&mut call.body);
                let parent = call.ids.last().copied();
                let id = call.world.insert(resource.kind, parent, body, call.now);
                show(call, resource, id)
            }
            Self::Get(resource) => show(call, resource, call.last_id()),
            Self::Update(resource) => {
                (resource.before_update)(call)?;
                let body = std::mem::take(&mut call.body);
                call.world.update(call.last_id(), body, call.now);
                show(call, resource, call.last_id())
            }
            Self::Delete(resource) => {
                (resource.before_delete)(call)?;
                call.world.remove(call.last_id());
                Ok(Value::Null)
            }
            Self::Special(_, run) => run(call),
        }
    }
}

fn show(call: &Call<'_>, resource: &Resource, id: Uuid) -> Result<Value, Problem> {
    Ok((resource.listing.view)(
        call.world,
        call.row(resource.kind, id)?,
    ))
}

/// An operation of the table.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) method: &'static str,
    /// The template, with its parameters as `{name}`.
    pub(crate) path: &'static str,
    pub(crate) success: u16,
    /// The statuses it may answer besides `success` and those every operation may: 400, 401, 404,
    /// 405, 415.
    pub(crate) also: &'static [u16],
    pub(crate) act: Act,
}

impl Operation {
    /// Declares an operation without statuses of its own.
    pub(crate) const fn new(
        method: &'static str,
        path: &'static str,
        success: u16,
        act: Act,
    ) -> Self {
        Self {
            method,
            path,
            success,
            also: &[],
            act,
        }
    }

    /// Adds statuses that the operation may answer.
    pub(crate) const fn also(mut self, statuses: &'static [u16]) -> Self {
        self.also = statuses;
        self
    }

    /// Returns the service that words its errors.
    pub(crate) fn dialect(&self) -> Dialect {
        let plain = self.path.starts_with("/api/") || self.path.contains("/audit-log");
        if plain {
            Dialect::Plain
        } else {
            Dialect::Portal
        }
    }

    /// The audit-log service's schemas and that of a new team member do not forbid other members.
    fn unknown(&self) -> Unknown {
        let open =
            self.path.contains("/audit-log") || self.path.ends_with("/teams/{teamId}/developers");
        if open { Unknown::Drop } else { Unknown::Refuse }
    }

    /// Checks a body against the fields of the operation.
    pub(crate) fn check_body(
        &self,
        body: &Map<String, Value>,
    ) -> Result<Map<String, Value>, Problem> {
        let fields = self.act.body().unwrap_or_default();
        validate::check(body, fields, self.unknown(), self.dialect()).map_err(Problem::invalid)
    }

    /// Returns whether the operation may answer with a status.
    pub(crate) fn may_answer(&self, status: u16) -> bool {
        status == self.success
            || matches!(status, 400 | 401 | 404 | 405 | 415)
            || self.also.contains(&status)
    }
}
