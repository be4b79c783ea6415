//! A request with its body read: what any part of the port may ask of it.

use axum::{
    body::to_bytes,
    extract::Request,
    http::{HeaderMap, header},
};
use serde_json::{Map, Value, json};

use crate::{answer::Answer, listener::Peer, problem::Problem, query::Query};

/// Larger bodies are refused; the specification's largest member has a million characters, each of
/// which takes twelve bytes where everything beyond ASCII is escaped.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// A request with its body read.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Query,
    pub(crate) raw_query: String,
    headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) peer: Peer,
}

impl Incoming {
    /// Reads the body. One that is too large is refused as Kong's gateway does.
    pub(crate) async fn read(peer: Peer, request: Request) -> Result<Self, Answer> {
        let (parts, body) = request.into_parts();
        let raw_query = parts.uri.query().unwrap_or_default().to_owned();
        let body = to_bytes(body, MAX_BODY)
            .await
            .map_err(|_| Answer::json(413, &json!({"message": "Payload too large"})))?;
        Ok(Self {
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: Query::parse(&raw_query),
            raw_query,
            headers: parts.headers,
            body: body.to_vec(),
            peer,
        })
    }

    /// Returns a header, empty when absent.
    pub(crate) fn header(&self, name: header::HeaderName) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Returns the value of a cookie.
    pub(crate) fn cookie(&self, name: &str) -> Option<&str> {
        self.header(header::COOKIE)
            .split(';')
            .filter_map(|pair| pair.trim().split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// Parses the body as an object, `None` where nothing was sent.
    pub(crate) fn object(&self) -> Result<Option<Map<String, Value>>, Problem> {
        if self.body.is_empty() {
            return Ok(None);
        }
        let media_type = self
            .header(header::CONTENT_TYPE)
            .split(';')
            .next()
            .unwrap_or_default()
            .trim();
        if !media_type.eq_ignore_ascii_case("application/json") {
            return Err(Problem::unsupported_media_type());
        }
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(object)) => Ok(Some(object)),
            _ => Err(Problem::invalid_body(
                "body",
                "invalid",
                "request format is invalid",
            )),
        }
    }

    /// Who calls: the first forwarded address, else the peer's.
    pub(crate) fn src(&self) -> String {
        let forwarded = self
            .headers
            .get("x-forwarded-for")
            .and_then(|value| value.to_str().ok());
        forwarded
            .and_then(|value| value.split(',').next())
            .map_or_else(
                || self.peer.address.ip().to_string(),
                |first| first.trim().to_owned(),
            )
    }
}
