//! An endpoint that entries go on to: a real HTTP server that remembers what it was sent and
//! answers as told.

use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use usher::lifecycle::Lifecycle;

/// How a receiver answers.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: u16,
    pub header: Option<(&'static str, String)>,
    pub delay: Duration,
    pub cuts: bool,
}

impl Reply {
    pub fn of(status: u16) -> Self {
        Self {
            status,
            header: None,
            delay: Duration::ZERO,
            cuts: false,
        }
    }

    /// Ends the connection instead of an answer.
    pub fn and_cuts(self) -> Self {
        Self {
            status: 599,
            cuts: true,
            ..self
        }
    }

    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    pub fn with(self, name: &'static str, value: impl Into<String>) -> Self {
        let header = Some((name, value.into()));
        Self { header, ..self }
    }
}

/// One request.
#[derive(Debug, Clone)]
pub struct Request {
    pub at: Instant,
    pub headers: HeaderMap,
    pub body: String,
    pub status: u16,
}

type Manner = Box<dyn Fn(&str) -> Reply + Send + Sync>;

struct Shared {
    manner: Mutex<Manner>,
    requests: Mutex<Vec<Request>>,
}

/// A receiver on a port of its own; away until it is opened.
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
    open: Mutex<Option<CancellationToken>>,
}

impl Receiver {
    /// One that is away.
    pub async fn away() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        Self {
            address: listener.local_addr().expect("bound"),
            shared: Arc::new(Shared {
                manner: Mutex::new(Box::new(|_| Reply::of(200))),
                requests: Mutex::default(),
            }),
            open: Mutex::default(),
        }
    }

    /// One that takes everything.
    pub async fn start() -> Self {
        let this = Self::away().await;
        this.open().await;
        this
    }

    pub async fn open(&self) {
        let listener = TcpListener::bind(self.address).await.expect("its port");
        let end = CancellationToken::new();
        let until = end.clone();
        let router = Router::new()
            .fallback(take)
            .with_state(Arc::clone(&self.shared));
        Lifecycle::new().spawn("receiver", async move {
            tokio::select! {
                served = axum::serve(listener, router) => served.expect("it serves"),
                () = until.cancelled() => {}
            }
        });
        *self.open.lock().expect("no panic while held") = Some(end);
    }

    /// From now on it answers so; the body decides.
    pub fn answers(&self, manner: impl Fn(&str) -> Reply + Send + Sync + 'static) {
        *self.shared.manner.lock().expect("no panic while held") = Box::new(manner);
    }

    pub fn url(&self) -> String {
        format!("http://{}/audit?token=in-the-query", self.address)
    }

    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Every request so far, whatever it was answered.
    pub fn requests(&self) -> Vec<Request> {
        let requests = self.shared.requests.lock();
        requests.expect("no panic while held").clone()
    }

    /// The entries that it took, in the order in which they came.
    pub fn entries(&self) -> Vec<String> {
        let requests = self.requests().into_iter();
        requests
            .filter(|request| request.status < 300)
            .flat_map(|request| {
                let lines = request.body.split('\n').map(str::to_owned);
                lines.collect::<Vec<_>>()
            })
            .collect()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        if let Some(end) = self.open.lock().expect("no panic while held").take() {
            end.cancel();
        }
    }
}

async fn take(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let body = String::from_utf8(body.to_vec()).expect("UTF-8");
    let reply = (shared.manner.lock().expect("no panic while held"))(&body);
    let request = Request {
        at: Instant::now(),
        headers,
        body,
        status: reply.status,
    };
    tokio::time::sleep(reply.delay).await;
    let requests = &shared.requests;
    requests.lock().expect("no panic while held").push(request);
    if reply.cuts {
        // The task of this connection ends with it, without a word.
        resume_unwind(Box::new(()));
    }
    let status = StatusCode::from_u16(reply.status).expect("a status");
    let mut response = status.into_response();
    if let Some((name, value)) = reply.header {
        let value = value.parse().expect("a header");
        response.headers_mut().insert(name, value);
    }
    response
}
