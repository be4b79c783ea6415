//! A listener whose connections can be cut: by a fault (the answer is never written) and by the
//! emulator's end (an idle or stalled client cannot keep it alive). Connections are TCP, or TLS
//! over it. It knows nothing of HTTP.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    extract::connect_info::Connected,
    serve::{IncomingStream, Listener},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

#[cfg(feature = "tls")]
use crate::tls::LazyTls;

/// The pause after a failed accept, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections that end with `end`.
pub(crate) struct CuttableListener {
    inner: TcpListener,
    end: CancellationToken,
    #[cfg(feature = "tls")]
    tls: Option<tokio_rustls::TlsAcceptor>,
}

impl CuttableListener {
    /// Wraps a bound listener.
    pub(crate) fn new(inner: TcpListener, end: CancellationToken) -> Self {
        Self {
            inner,
            end,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Speaks TLS from now on.
    #[cfg(feature = "tls")]
    pub(crate) fn with_tls(mut self, acceptor: tokio_rustls::TlsAcceptor) -> Self {
        self.tls = Some(acceptor);
        self
    }

    fn connection(&self, stream: TcpStream) -> Connection {
        let cut = CutSwitch::default();
        let stream = CuttableStream {
            stream,
            cut: cut.clone(),
            end: Box::pin(self.end.clone().cancelled_owned()),
        };
        #[cfg(feature = "tls")]
        if let Some(acceptor) = &self.tls {
            let io = Io::Tls(LazyTls::new(acceptor, stream));
            return Connection { cut, io };
        }
        let io = Io::Plain(stream);
        Connection { cut, io }
    }
}

impl Listener for CuttableListener {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            match self.inner.accept().await {
                Ok((stream, peer)) => {
                    // Answers are small, and a client waits for each.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "could not switch off Nagle's algorithm");
                    }
                    return (self.connection(stream), peer);
                }
                Err(error) => {
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        self.inner.local_addr()
    }
}

/// Cuts one connection: whatever is written to it afterwards fails.
#[derive(Debug, Clone, Default)]
pub(crate) struct CutSwitch(Arc<AtomicBool>);

impl CutSwitch {
    /// Cuts the connection at its next write.
    pub(crate) fn cut(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn check(&self) -> io::Result<()> {
        if self.0.load(Ordering::Acquire) {
            return Err(io::Error::from(io::ErrorKind::ConnectionReset));
        }
        Ok(())
    }
}

/// What a request knows of the connection it came by.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) cut: CutSwitch,
}

impl Connected<IncomingStream<'_, CuttableListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, CuttableListener>) -> Self {
        Self {
            address: *stream.remote_addr(),
            cut: stream.io().cut.clone(),
        }
    }
}

/// A connection that was accepted.
pub(crate) struct Connection {
    cut: CutSwitch,
    io: Io,
}

enum Io {
    Plain(CuttableStream),
    #[cfg(feature = "tls")]
    Tls(LazyTls<CuttableStream>),
}

/// Calls a method of whatever stream a connection has.
macro_rules! on_stream {
    ($connection:ident, $context:ident, $stream:ident => $call:expr) => {
        match &mut $connection.get_mut().io {
            Io::Plain(stream) => {
                let $stream = Pin::new(stream);
                $call
            }
            #[cfg(feature = "tls")]
            Io::Tls(stream) => {
                let $stream = std::task::ready!(stream.poll_open($context))?;
                $call
            }
        }
    };
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        on_stream!(self, context, stream => stream.poll_read(context, buffer))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        on_stream!(self, context, stream => stream.poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, context, stream => stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(self, context, stream => stream.poll_shutdown(context))
    }
}

/// A TCP stream with a switch.
#[derive(Debug)]
struct CuttableStream {
    stream: TcpStream,
    cut: CutSwitch,
    end: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl CuttableStream {
    fn ended(&mut self, context: &mut Context<'_>) -> bool {
        self.end.as_mut().poll(context).is_ready()
    }
}

impl AsyncRead for CuttableStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ended(context) {
            return Poll::Ready(Err(io::Error::from(io::ErrorKind::ConnectionAborted)));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for CuttableStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.cut.check()?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
