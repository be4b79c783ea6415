//! What a call is made of: method, path, query and body.
//!
//! The path template stays beside the filled path, so that errors, traces and metrics can name a
//! call without its ids. What goes into a path is percent-encoded, and refused where it would make
//! the path another one.

use std::fmt;

use serde::Serialize;

use crate::error::Error;
use crate::wire::filter::Filter;
use crate::wire::sort::{BY_CREATION, Sort};

const HEX: &[u8; 16] = b"0123456789ABCDEF";

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
    /// Media types of an answer that are understood.
    pub(crate) accept: &'static str,
    pub(crate) anonymous: bool,
    /// Why it cannot be sent.
    pub(crate) refused: Option<&'static str>,
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
    /// Makes a request to the region; each `{…}` of the path template takes the next of `values`,
    /// which are ids or texts.
    pub(crate) fn new(operation: &'static str, values: &[&(dyn fmt::Display + Sync)]) -> Self {
        let operation = Operation(operation);
        let mut rest = values.iter();
        let mut path = String::with_capacity(160);
        let mut refused = None;
        for segment in operation.route().split('/').skip(1) {
            path.push('/');
            if segment.starts_with('{') {
                let value = rest
                    .next()
                    .expect("every operation is given its template's values")
                    .to_string();
                if matches!(value.as_str(), "" | "." | "..") {
                    refused = Some("a name in the path is empty or made of dots");
                }
                encode(&value, &mut path);
            } else {
                path.push_str(segment);
            }
        }
        debug_assert!(
            rest.next().is_none(),
            "more values than {} has",
            operation.0
        );
        Self {
            operation,
            host: Host::Region,
            path,
            query: Vec::new(),
            body: None,
            accept: "application/json",
            anonymous: false,
            refused,
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

    /// Adds the order of a list, which is that of creation if none is asked for.
    pub(crate) fn sort(self, sort: Option<&Sort>) -> Self {
        self.query("sort", sort.unwrap_or(&BY_CREATION))
    }

    /// Adds `filter[field][operator]` if there is a filter.
    pub(crate) fn filter(self, field: &str, filter: Option<&impl Filter>) -> Self {
        match filter.map(Filter::operation) {
            Some((operator, operand)) => {
                self.query(&format!("filter[{field}][{operator}]"), operand)
            }
            None => self,
        }
    }

    /// Asks for an answer of other media types than JSON.
    #[cfg(feature = "content")]
    pub(crate) fn accept(mut self, media_types: &'static str) -> Self {
        self.accept = media_types;
        self
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

/// Writes a path segment with everything escaped that could be taken for something else.
fn encode(value: &str, path: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            path.push(char::from(byte));
        } else {
            path.push('%');
            path.push(char::from(HEX[usize::from(byte >> 4)]));
            path.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_texts_in_the_path_and_refuses_those_that_would_change_it() {
        const GET: &str = "GET /v3/portals/{portalId}/email-templates/{templateName}";
        for (name, path) in [
            ("reset-password.v1", "reset-password.v1"),
            ("a/b", "a%2Fb"),
            ("a?b#c%", "a%3Fb%23c%25"),
            ("müller.example", "m%C3%BCller.example"),
        ] {
            let request = Request::new(GET, &[&7, &name]);
            assert_eq!(
                request.path,
                format!("/v3/portals/7/email-templates/{path}")
            );
            assert_eq!(request.refused, None, "{name}");
        }
        for name in ["", ".", ".."] {
            assert!(
                Request::new(GET, &[&7, &name]).refused.is_some(),
                "{name:?}"
            );
        }
    }
}
