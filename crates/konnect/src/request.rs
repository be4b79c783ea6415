//! What a call is made of: method, path, query and body.
//!
//! The path template stays beside the filled path, so that errors, traces and metrics can name a
//! call without its ids. Only ids go into a path, so nothing in it needs escaping.

use std::fmt;

use serde::Serialize;
use uuid::Uuid;

use crate::error::Error;

/// Which of Konnect's hosts a call goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Host {
    /// The region's, which has portals, webhooks and replays.
    Region,
    /// The global one, which has what belongs to the whole organisation.
    Global,
}

/// What is sent: everything but what all calls have in common.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) operation: Operation,
    pub(crate) host: Host,
    pub(crate) path: String,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) anonymous: bool,
}

/// Method and path template, as one text for errors: `GET /v3/portals`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Operation(pub(crate) &'static str);

impl Operation {
    pub(crate) fn method(self) -> &'static str {
        self.0.split_once(' ').map_or("GET", |(method, _)| method)
    }

    pub(crate) fn route(self) -> &'static str {
        self.0.split_once(' ').map_or(self.0, |(_, route)| route)
    }
}

impl Request {
    /// Makes a request to the region; each `{…}` of the path template takes the next id.
    pub(crate) fn new(operation: &'static str, ids: &[Uuid]) -> Self {
        let operation = Operation(operation);
        let mut rest = ids.iter();
        let mut path = String::with_capacity(160);
        for segment in operation.route().split('/').skip(1) {
            path.push('/');
            if segment.starts_with('{') {
                let id = rest
                    .next()
                    .expect("every operation is given its template's ids");
                path.push_str(&id.to_string());
            } else {
                path.push_str(segment);
            }
        }
        debug_assert!(rest.next().is_none(), "more ids than {} has", operation.0);
        let host = Host::Region;
        Self {
            operation,
            host,
            path,
            query: Vec::new(),
            body: None,
            anonymous: false,
        }
    }

    /// Sends it to the global host instead.
    pub(crate) fn global(mut self) -> Self {
        self.host = Host::Global;
        self
    }

    /// Sends it without the token.
    pub(crate) fn anonymous(mut self) -> Self {
        self.anonymous = true;
        self
    }

    /// Adds a query parameter.
    pub(crate) fn query(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.query.push((name.to_owned(), value.to_string()));
        self
    }

    /// Adds a query parameter if there is a value.
    pub(crate) fn query_if(self, name: &str, value: Option<impl fmt::Display>) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    /// Lets `change` rewrite the whole query.
    pub(crate) fn with_query(mut self, change: impl FnOnce(&mut Vec<(String, String)>)) -> Self {
        change(&mut self.query);
        self
    }

    /// Adds a JSON body.
    pub(crate) fn json(mut self, body: &impl Serialize) -> Result<Self, Error> {
        let bytes = serde_json::to_vec(body);
        let route = self.operation.0;
        self.body = Some(bytes.map_err(|source| Error::Encode { route, source })?);
        Ok(self)
    }
}
