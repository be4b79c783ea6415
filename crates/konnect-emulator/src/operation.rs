//! An operation as a table declares it: method, path and what its parameters are, statuses, body,
//! and the act that serves it.

use serde_json::{Map, Value};

use crate::{
    call::{Call, Run},
    fields::{Field, Unknown},
    problem::{Dialect, Problem},
    resource::Resource,
    singleton::Singleton,
    state::Kind,
    validate,
};

/// The body of a success.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reply {
    /// JSON; null is no body.
    Json(Value),
    /// JSON of what was made by an operation that also changes what is there.
    Created(Value),
    /// Elsewhere, at this path.
    Found(String),
    /// Bytes of another media type.
    Raw { media_type: String, body: Vec<u8> },
}

impl From<Value> for Reply {
    fn from(value: Value) -> Self {
        Self::Json(value)
    }
}

/// What an operation does. A resource's rows hang below the last row of the path.
#[derive(Debug)]
pub(crate) enum Act {
    List(&'static Resource),
    Create(&'static Resource),
    Get(&'static Resource),
    Replace(&'static Resource),
    Update(&'static Resource),
    Delete(&'static Resource),
    GetOne(&'static Singleton),
    CreateOne(&'static Singleton),
    PutOne(&'static Singleton),
    PatchOne(&'static Singleton),
    DeleteOne(&'static Singleton),
    /// Anything else, with the fields of its body if it takes one.
    Special(Option<&'static [Field]>, Run),
    /// What does not just answer with JSON, with the fields of its body if it takes one.
    Raw(
        Option<&'static [Field]>,
        fn(&mut Call<'_>) -> Result<Reply, Problem>,
    ),
}

impl Act {
    /// Returns the fields of the body, `None` where the operation takes none.
    pub(crate) fn body(&self) -> Option<&'static [Field]> {
        match self {
            Self::Create(resource) => Some(resource.create),
            Self::Replace(resource) => Some(resource.replace),
            Self::Update(resource) => Some(resource.update),
            Self::CreateOne(singleton) => Some(singleton.create),
            Self::PutOne(singleton) => Some(singleton.replace),
            Self::PatchOne(singleton) => Some(singleton.update),
            Self::Special(fields, _) | Self::Raw(fields, _) => *fields,
            Self::List(_)
            | Self::Get(_)
            | Self::Delete(_)
            | Self::GetOne(_)
            | Self::DeleteOne(_) => None,
        }
    }

    /// Runs the act on a call whose parents exist and whose body is checked.
    pub(crate) fn run(&self, call: &mut Call<'_>) -> Result<Reply, Problem> {
        let shown = match self {
            Self::List(resource) => resource.list_rows(call),
            Self::Create(resource) => resource.create_row(call),
            Self::Get(resource) => resource.get_row(call),
            Self::Replace(resource) => resource.replace_row(call),
            Self::Update(resource) => resource.update_row(call),
            Self::Delete(resource) => resource.delete_row(call),
            Self::GetOne(singleton) => singleton.get(call),
            Self::CreateOne(singleton) => singleton.create_one(call),
            Self::PutOne(singleton) => singleton.put_one(call),
            Self::PatchOne(singleton) => singleton.patch_one(call),
            Self::DeleteOne(singleton) => singleton.delete_one(call),
            Self::Special(_, run) => run(call),
            Self::Raw(_, run) => return run(call),
        };
        shown.map(Reply::from)
    }
}

/// What a parameter of a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Param {
    /// A row by its id.
    Row(Kind),
    /// A row below the row before it in the path, by a text member in any case.
    Named(Kind, &'static str),
    /// Any text; [`Call::parameter`] has it.
    Text,
}

impl Param {
    /// Returns what a name means in every path, unless the operation says otherwise.
    fn usual(name: &str) -> Option<Self> {
        Some(Self::Row(match name {
            "portalId" => Kind::Portal,
            "developerId" => Kind::Developer,
            "teamId" => Kind::Team,
            "roleId" => Kind::Role,
            "applicationId" => Kind::Application,
            "registrationId" => Kind::Registration,
            "auditLogDestinationId" => Kind::Destination,
            "pageId" => Kind::Page,
            "snippetId" => Kind::Snippet,
            "mappingId" => Kind::TeamGroupMapping,
            "apiId" => Kind::Api,
            "versionId" | "specId" => Kind::ApiVersion,
            "documentId" => Kind::ApiDocument,
            "implementationId" => Kind::ApiImplementation,
            "imageId" => Kind::ApiImage,
            "authStrategyId" => Kind::AuthStrategy,
            _ => return None,
        }))
    }
}

/// An operation of a table.
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
    parameters: &'static [(&'static str, Param)],
    needs_body: bool,
    /// Whether it can be called without a token.
    pub(crate) is_open: bool,
    drops_unknown: bool,
}

/// Declares an operation without peculiarities.
pub(crate) const fn op(
    method: &'static str,
    path: &'static str,
    success: u16,
    act: Act,
) -> Operation {
    Operation {
        method,
        path,
        success,
        also: &[],
        act,
        parameters: &[],
        needs_body: false,
        is_open: false,
        drops_unknown: false,
    }
}

impl Operation {
    /// Adds statuses that the operation may answer.
    pub(crate) const fn also(mut self, statuses: &'static [u16]) -> Self {
        self.also = statuses;
        self
    }

    /// Says what the parameters are whose names do not mean the same everywhere.
    pub(crate) const fn by(mut self, parameters: &'static [(&'static str, Param)]) -> Self {
        self.parameters = parameters;
        self
    }

    /// Refuses a call without a body, though no member of the body is required.
    pub(crate) const fn with_body(mut self) -> Self {
        self.needs_body = true;
        self
    }

    /// Lets it be called without a token.
    pub(crate) const fn open(mut self) -> Self {
        self.is_open = true;
        self
    }

    /// Drops members that the body does not declare, instead of refusing them.
    pub(crate) const fn dropping_unknown(mut self) -> Self {
        self.drops_unknown = true;
        self
    }

    /// Returns what a parameter of the path names; `None` is a mistake of the table.
    pub(crate) fn parameter(&self, name: &str) -> Option<Param> {
        let own = self.parameters.iter().find(|(known, _)| *known == name);
        own.map(|(_, parameter)| *parameter)
            .or_else(|| Param::usual(name))
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

    /// The audit-log service's schemas do not forbid other members.
    fn unknown(&self) -> Unknown {
        if self.drops_unknown || self.path.contains("/audit-log") {
            Unknown::Drop
        } else {
            Unknown::Refuse
        }
    }

    /// Checks a body against the fields of the operation; `None` is a call without one.
    pub(crate) fn check_body(
        &self,
        body: Option<&Map<String, Value>>,
    ) -> Result<Map<String, Value>, Problem> {
        let nothing_sent = Map::new();
        if body.is_none() && self.needs_body {
            let reason = "a request body is required";
            return Err(Problem::invalid_body("body", "required", reason));
        }
        let fields = self.act.body().unwrap_or_default();
        let body = body.unwrap_or(&nothing_sent);
        validate::check(body, fields, self.unknown(), self.dialect()).map_err(Problem::invalid)
    }

    /// Returns whether the operation may answer with a status.
    pub(crate) fn may_answer(&self, status: u16) -> bool {
        status == self.success
            || matches!(status, 400 | 401 | 404 | 405 | 415)
            || self.also.contains(&status)
    }
}
