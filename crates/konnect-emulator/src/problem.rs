//! Errors as Konnect words them: RFC 9457 problems with `invalid_parameters`, in the two dialects
//! of its services.

use serde_json::{Map, Value, json};

use crate::clock::new_trace_id;

/// Which service answers; they word their errors differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Portal management: rule, source and `"x" is required`.
    Portal,
    /// The audit-log service and the portal's self-service: field and reason only.
    Plain,
}

/// One entry of `invalid_parameters`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct InvalidParameter {
    pub(crate) field: String,
    pub(crate) rule: &'static str,
    pub(crate) reason: String,
    pub(crate) source: &'static str,
    /// Members that only some rules have: `minimum`, `maximum`, `choices`.
    pub(crate) extra: Option<(&'static str, Value)>,
}

impl InvalidParameter {
    /// Makes an entry about a member of the body.
    pub(crate) fn body(field: &str, rule: &'static str, reason: impl Into<String>) -> Self {
        Self {
            field: field.to_owned(),
            rule,
            reason: reason.into(),
            source: "body",
            extra: None,
        }
    }

    /// Makes an entry about a query parameter.
    pub(crate) fn query(field: &str, rule: &'static str, reason: impl Into<String>) -> Self {
        Self {
            source: "query",
            ..Self::body(field, rule, reason)
        }
    }

    /// Adds the member that the rule requires.
    pub(crate) fn with(mut self, name: &'static str, value: Value) -> Self {
        self.extra = Some((name, value));
        self
    }

    fn to_json(&self, dialect: Dialect) -> Value {
        let mut item = Map::new();
        item.insert("field".to_owned(), json!(self.field));
        item.insert("reason".to_owned(), json!(self.reason));
        if dialect == Dialect::Portal {
            item.insert("rule".to_owned(), json!(self.rule));
            item.insert("source".to_owned(), json!(self.source));
            if let Some((name, value)) = &self.extra {
                item.insert((*name).to_owned(), value.clone());
            }
        }
        Value::Object(item)
    }
}

/// An error answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Problem {
    pub(crate) status: u16,
    pub(crate) title: &'static str,
    pub(crate) detail: String,
    pub(crate) invalid: Vec<InvalidParameter>,
}

impl Problem {
    fn new(status: u16, title: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status,
            title,
            detail: detail.into(),
            invalid: Vec::new(),
        }
    }

    /// 400 with every mistake found.
    pub(crate) fn invalid(parameters: Vec<InvalidParameter>) -> Self {
        Self {
            invalid: parameters,
            ..Self::new(400, "Invalid Request", "Invalid Parameters")
        }
    }

    /// 400 with one mistake in the body.
    pub(crate) fn invalid_body(field: &str, rule: &'static str, reason: impl Into<String>) -> Self {
        Self::invalid(vec![InvalidParameter::body(field, rule, reason)])
    }

    /// 401 as the gateway's bearer check answers.
    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 401 of the portal's sign-in, which tells wrong credentials from an account that waits.
    pub(crate) fn sign_in(title: &'static str, detail: &str) -> Self {
        Self::new(401, title, detail)
    }

    /// 403.
    pub(crate) fn forbidden() -> Self {
        Self::new(
            403,
            "Forbidden",
            "You do not have permission to perform this action",
        )
    }

    /// 404.
    pub(crate) fn not_found() -> Self {
        Self::new(404, "Not Found", "Not Found")
    }

    /// 405.
    pub(crate) fn method_not_allowed() -> Self {
        Self::new(405, "Method Not Allowed", "Method Not Allowed")
    }

    /// 409.
    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(409, "Conflict", detail)
    }

    /// 409 of a replay job that runs.
    pub(crate) fn resource_conflict(detail: &str) -> Self {
        Self::new(409, "Resource Conflict", detail)
    }

    /// 410.
    pub(crate) fn gone(detail: &str) -> Self {
        Self::new(410, "Gone", detail)
    }

    /// 415.
    pub(crate) fn unsupported_media_type() -> Self {
        Self::new(
            415,
            "Unsupported Media Type",
            "The request body must be application/json",
        )
    }

    /// Makes the problem of a status that a fault asks for.
    pub(crate) fn of_fault(status: u16) -> Self {
        match status {
            401 => Self::unauthorized(),
            403 => Self::forbidden(),
            404 => Self::not_found(),
            409 => Self::conflict("Conflict"),
            500 => Self::new(500, "Internal Server Error", "An unexpected error occurred"),
            503 => Self::new(503, "Service Unavailable", "Service Unavailable"),
            _ => Self::new(status, "Error", "Injected fault"),
        }
    }

    /// Prints the problem in the service's dialect, with a fresh trace id as its instance.
    pub(crate) fn to_json(&self, dialect: Dialect) -> Value {
        let prefix = match dialect {
            Dialect::Portal => "kong",
            Dialect::Plain => "konnect",
        };
        let (title, detail) = match (dialect, self.invalid.first()) {
            (Dialect::Plain, Some(first)) => ("Bad Request", plain_detail(first)),
            _ => (self.title, self.detail.as_str()),
        };
        let mut body = json!({
            "status": self.status,
            "title": title,
            "instance": format!("{prefix}:trace:{}", new_trace_id()),
            "detail": detail,
        });
        if !self.invalid.is_empty() {
            body["invalid_parameters"] = self
                .invalid
                .iter()
                .map(|item| item.to_json(dialect))
                .collect();
        }
        body
    }
}

/// The audit-log service puts the first mistake into words of its own.
fn plain_detail(first: &InvalidParameter) -> &'static str {
    match (first.rule, first.field.as_str()) {
        ("required", _) => "Required field missing",
        (_, "body") => "Could not parse request body",
        (_, "endpoint") => "Invalid endpoint",
        _ => "Invalid Parameters",
    }
}
