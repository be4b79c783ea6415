//! A small Konnect on a port of its own: it keeps developers, members, destinations and a journal
//! of what it was asked, and answers as scripted before it answers by itself.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use http_body_util::{Full, Limited};
use konnect::{Client, ClientBuilder, PortalId, RetryPolicy};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;
use uuid::Uuid;

/// Token of the clients made here; it must show up in `Authorization` only.
pub(crate) const TOKEN: &str = "kpat_very_secret";
/// The one portal.
pub(crate) const PORTAL: PortalId = PortalId(Uuid::from_u128(0xa));

/// What was asked of the fake.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: HashMap<String, String>,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    pub(crate) at: Instant,
}

/// How the fake answers next, instead of by itself.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Status(u16, Vec<(&'static str, String)>, String),
    /// Takes the call and never answers.
    Never,
    /// Breaks off after the headers.
    Cut,
    /// Sends this many bytes of a JSON string.
    Large(usize),
}

/// What happens to the developers once a page of them was read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    Insert(Uuid),
    Remove(Uuid),
}

#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) asked: Vec<Asked>,
    pub(crate) answers: VecDeque<Answer>,
    pub(crate) developers: Vec<Uuid>,
    pub(crate) changes: VecDeque<Change>,
    pub(crate) members: HashSet<Value>,
    pub(crate) destinations: Vec<Uuid>,
    /// Writes cursors as URIs rather than as values.
    pub(crate) uri_cursors: bool,
    /// Answers every page of developers with the first one.
    pub(crate) ignores_page_number: bool,
    /// Lists developers without saying how many there are.
    pub(crate) hides_total: bool,
    /// Refuses to tell its keys without a token.
    pub(crate) guards_keys: bool,
}

/// A running fake.
#[derive(Clone)]
pub(crate) struct Fake {
    url: Url,
    inner: Arc<Mutex<Inner>>,
}

impl Fake {
    #[expect(
        clippy::disallowed_methods,
        reason = "the server ends with the test's runtime"
    )]
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let inner = Arc::<Mutex<Inner>>::default();
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            url: url.parse().unwrap(),
            inner,
        }
    }

    pub(crate) fn url(&self) -> Url {
        self.url.clone()
    }

    pub(crate) fn builder(&self) -> ClientBuilder {
        let retries = RetryPolicy {
            attempts: 3,
            initial_delay: Duration::from_millis(1),
            max_delay: Duration::from_secs(2),
        };
        Client::builder(self.url.clone())
            .token(TOKEN.into())
            .retries(retries)
    }

    pub(crate) fn client(&self) -> Client {
        self.builder().build().unwrap()
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    pub(crate) fn will_answer(&self, status: u16, body: impl Into<String>) {
        self.state()
            .answers
            .push_back(Answer::Status(status, Vec::new(), body.into()));
    }

    pub(crate) fn will_answer_with(&self, status: u16, header: &'static str, value: &str) {
        let headers = vec![(header, value.to_owned())];
        self.state()
            .answers
            .push_back(Answer::Status(status, headers, String::new()));
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }
}

/// An id that is the same in every run.
pub(crate) fn id(number: usize) -> Uuid {
    Uuid::from_u128(0x1000 + number as u128)
}

async fn answer(State(inner): State<Arc<Mutex<Inner>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or("").as_bytes());
    let asked = Asked {
        method: parts.method.to_string(),
        path: parts.uri.path().to_owned(),
        query: query.into_owned().collect(),
        headers: parts.headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
        at: Instant::now(),
    };
    let scripted = {
        let mut inner = inner.lock().unwrap();
        inner.asked.push(asked.clone());
        inner.answers.pop_front()
    };
    match scripted {
        Some(scripted) => answer_as_scripted(scripted).await,
        None => inner.lock().unwrap().answer(&asked),
    }
}

async fn answer_as_scripted(answer: Answer) -> Response {
    match answer {
        Answer::Status(status, headers, body) => {
            let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
            for (name, value) in headers {
                response.headers_mut().insert(name, value.parse().unwrap());
            }
            response
        }
        Answer::Never => std::future::pending().await,
        Answer::Cut => {
            let whole = Full::new(Bytes::from_static(b"{\"data\":[]}"));
            Body::new(Limited::new(whole, 8)).into_response()
        }
        Answer::Large(bytes) => format!("\"{}\"", "x".repeat(bytes)).into_response(),
    }
}

impl Inner {
    fn answer(&mut self, asked: &Asked) -> Response {
        let segments: Vec<_> = asked.path.split('/').skip(1).collect();
        match (asked.method.as_str(), segments.as_slice()) {
            ("GET", ["v3", "portals", _, "developers"]) => self.list_developers(asked),
            ("PATCH", ["v3", "portals", _, "developers", id]) => {
                let status = asked.body["status"].as_str().unwrap();
                ok(200, &developer(id.parse().unwrap(), status))
            }
            ("POST", ["v3", "portals", _, "teams", team, "developers"]) => {
                if self.members.insert(json!([team, asked.body["id"]])) {
                    StatusCode::CREATED.into_response()
                } else {
                    problem(409, "Conflict", "Conflict")
                }
            }
            ("DELETE", ["v3", "portals", _, "teams", team, "developers", id]) => {
                if self.members.remove(&json!([team, id])) {
                    StatusCode::NO_CONTENT.into_response()
                } else {
                    problem(404, "Not Found", "Not Found")
                }
            }
            ("GET", ["v3", "audit-log-destinations"]) => self.list_destinations(asked),
            ("GET", ["v2", "audit-log-webhook", "jwks.json"]) => {
                let known = asked.headers.contains_key(header::AUTHORIZATION);
                if self.guards_keys && !known {
                    return problem(401, "Unauthorized", "Unauthorized");
                }
                ok(200, &json!({"keys": [{"kty": "OKP", "kid": "k"}]}))
            }
            _ => problem(404, "Not Found", "Not Found"),
        }
    }

    fn list_developers(&mut self, asked: &Asked) -> Response {
        let number = |name: &str| asked.query[name].parse::<usize>().unwrap();
        let size = number("page[size]");
        let page = if self.ignores_page_number {
            1
        } else {
            number("page[number]")
        };
        let rows = self.developers.iter().skip((page - 1) * size).take(size);
        let data: Vec<_> = rows.map(|id| developer(*id, "pending")).collect();
        let total = self.developers.len();
        match self.changes.pop_front() {
            Some(Change::Insert(id)) => self.developers.insert(0, id),
            Some(Change::Remove(id)) => self.developers.retain(|other| *other != id),
            None => {}
        }
        let page = if self.hides_total {
            json!({})
        } else {
            json!({"number": page, "size": size, "total": total})
        };
        ok(200, &json!({"data": data, "meta": {"page": page}}))
    }

    fn list_destinations(&self, asked: &Asked) -> Response {
        let size: usize = asked.query["page[size]"].parse().unwrap();
        let begin = asked
            .query
            .get("page[after]")
            .map_or(0, |after| after.parse().unwrap());
        let rows = self.destinations.iter().skip(begin).take(size);
        let data: Vec<_> = rows.map(|id| json!({"id": id, "name": "n"})).collect();
        let end = begin + size;
        let next = (end < self.destinations.len()).then(|| {
            if self.uri_cursors {
                format!("/v3/audit-log-destinations?page%5Bafter%5D={end}&page%5Bsize%5=1")
            } else {
                end.to_string()
            }
        });
        ok(
            200,
            &json!({"data": data, "meta": {"next": next, "previous": null, "size": size}}),
        )
    }
}

pub(crate) fn developer(id: Uuid, status: &str) -> Value {
    json!({"id": id, "email": format!("{id}@example.com"), "full_name": "Jane Dev", "status": status})
}

fn ok(status: u16, body: &Value) -> Response {
    (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response()
}

fn problem(status: u16, title: &str, detail: &str) -> Response {
    let body = json!({
        "status": status, "title": title, "detail": detail, "instance": "kong:trace:1433447772874964729"
    });
    let headers = [(header::CONTENT_TYPE, "application/problem+json")];
    (
        StatusCode::from_u16(status).unwrap(),
        headers,
        body.to_string(),
    )
        .into_response()
}
