//! The HTTP server: an accept loop with the bounds on connections that axum's own server lacks
//! (header time, header size, number), with or without TLS, HTTP/1 and HTTP/2.
//!
//! Must not know what is served.

use std::convert::Infallible;
use std::error::Error;
use std::future::pending;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;
use tracing::{debug, warn};

use crate::http::connections::{Bounds, Busy, ConnectionSlot, Connections};
use crate::http::tls::Certificates;
use crate::lifecycle::{Lifecycle, pause};

/// Bytes of one request's header; over it, 431. A connection has a buffer of this size at most.
const MAX_HEADER_BYTES: usize = 16 * 1024;

/// What a client over HTTP/2 may send ahead of what is read, on one connection.
const H2_WINDOW_BYTES: u32 = 256 * 1024;

/// Requests in work on one connection over HTTP/2.
const H2_STREAMS: u32 = 64;

/// How long no connection is accepted after the system had no resources for one.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// One listener with what it serves.
#[derive(Debug)]
pub struct Server {
    /// Where connections come from.
    pub listener: TcpListener,
    /// What is served.
    pub router: Router,
    /// With TLS, under which certificates.
    pub certificates: Option<Certificates>,
    /// The bounds of connections.
    pub bounds: Bounds,
    /// The tasks of connections, and their end.
    pub lifecycle: Lifecycle,
}

/// The connection that a request came on: an extension of every request.
#[derive(Debug, Clone)]
pub struct Connection {
    place: Arc<ConnectionSlot>,
}

impl Connection {
    /// Ends the connection without an answer. Does not return: the caller ends with it.
    pub async fn cut(&self) {
        self.place.cut().cancel();
        pending::<()>().await;
    }

    /// Keeps the connection in work for as long as the guard lives, beyond the request: for a
    /// streamed answer. A connection that is not in work is cut after a while.
    pub fn keep(&self) -> Busy {
        self.place.begin()
    }
}

impl Server {
    /// Serves until usher is asked to stop; connections with a request in work end after it.
    pub async fn run(self) {
        let Self {
            listener,
            router,
            certificates,
            bounds,
            lifecycle,
        } = self;
        let stopping = lifecycle.stopping();
        let connections = Connections::new(bounds);
        let talk = Arc::new(SharedState {
            router,
            certificates,
            builder: builder(&lifecycle),
            lifecycle: lifecycle.clone(),
        });
        loop {
            let accepted = tokio::select! {
                biased;
                () = stopping.cancelled() => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let Some(place) = connections.take_place() else {
                        // Only a closed connection makes the sender try again.
                        debug!("every connection is busy, one more is closed");
                        continue;
                    };
                    lifecycle.spawn("connection", Arc::clone(&talk).hold(stream, peer, place));
                }
                Err(error) if ends_one_connection(&error) => {}
                Err(error) => {
                    warn!(
                        error = &error as &dyn Error,
                        "could not accept a connection"
                    );
                    connections.give_way();
                    pause(ACCEPT_PAUSE, &stopping).await;
                }
            }
        }
    }
}

/// Whether an error of `accept` concerns only the one connection.
fn ends_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
    )
}

fn builder(lifecycle: &Lifecycle) -> auto::Builder<Tasks> {
    let mut builder = auto::Builder::new(Tasks(lifecycle.clone()));
    builder
        .http1()
        // `ConnectionSlot::overdue` keeps the time, also before the first byte and between HTTP/2
        // streams.
        .header_read_timeout(None)
        .max_buf_size(MAX_HEADER_BYTES);
    builder
        .http2()
        .initial_stream_window_size(H2_WINDOW_BYTES)
        .initial_connection_window_size(H2_WINDOW_BYTES)
        .max_concurrent_streams(H2_STREAMS)
        .max_header_list_size(u32::try_from(MAX_HEADER_BYTES).unwrap_or(u32::MAX))
        .max_send_buf_size(64 * 1024);
    builder
}

/// Runs the streams of HTTP/2 as tasks that shutdown waits for.
#[derive(Debug, Clone)]
struct Tasks(Lifecycle);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        self.0.spawn("stream", task);
    }
}

/// What every connection shares.
struct SharedState {
    router: Router,
    certificates: Option<Certificates>,
    builder: auto::Builder<Tasks>,
    lifecycle: Lifecycle,
}

impl SharedState {
    /// Serves one connection until it ends, is cut, waits too long, or usher stops.
    async fn hold(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, place: ConnectionSlot) {
        let place = Arc::new(place);
        if let Err(error) = stream.set_nodelay(true) {
            debug!(error = &error as &dyn Error, "a connection ended early");
            return;
        }
        let Some(certificates) = &self.certificates else {
            return self.converse(stream, peer, &place).await;
        };
        let handshake = TlsAcceptor::from(certificates.current()).accept(stream);
        let stopping = self.lifecycle.stopping();
        let accepted = tokio::select! {
            biased;
            () = place.cut().cancelled() => return,
            () = stopping.cancelled() => return,
            () = place.overdue() => return,
            accepted = handshake => accepted,
        };
        match accepted {
            Ok(stream) => Box::pin(self.converse(stream, peer, &place)).await,
            Err(error) => debug!(error = &error as &dyn Error, "no TLS came about"),
        }
    }

    async fn converse<S>(&self, stream: S, peer: SocketAddr, place: &Arc<ConnectionSlot>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = service_fn(|request| {
            let connection = Connection {
                place: Arc::clone(place),
            };
            answer(
                self.router.clone(),
                request,
                peer,
                connection,
                place.begin(),
            )
        });
        let (stopping, ended) = (self.lifecycle.stopping(), self.lifecycle.ended());
        let mut connection = pin!(self.builder.serve_connection(TokioIo::new(stream), service));
        let mut asked_to_end = false;
        loop {
            tokio::select! {
                biased;
                () = place.cut().cancelled() => return,
                () = place.overdue() => return,
                () = ended.cancelled() => return,
                () = stopping.cancelled(), if !asked_to_end => {
                    asked_to_end = true;
                    connection.as_mut().graceful_shutdown();
                }
                result = connection.as_mut() => {
                    if let Err(error) = result {
                        debug!(error = &*error as &dyn Error, "a connection broke");
                    }
                    return;
                }
            }
        }
    }
}

async fn answer(
    router: Router,
    mut request: Request<Incoming>,
    peer: SocketAddr,
    connection: Connection,
    busy: Busy,
) -> Result<Response, Infallible> {
    let extensions = request.extensions_mut();
    extensions.insert(ConnectInfo(peer));
    extensions.insert(connection);
    let response = router.oneshot(request).await;
    drop(busy);
    response
}
