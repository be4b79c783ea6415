//! TLS with a certificate of the emulator's own: a fresh authority signs it at each start, and
//! clients are given the authority's certificate to trust. Nothing is written to a disk here.

use std::{
    io,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use chrono::Datelike as _;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{
    Accept, TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs::default_provider,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
    server::TlsStream,
};

use crate::{clock::Clock, error::EmulatorError};

/// What a server with a fresh certificate needs, and what its clients need.
pub(crate) struct Identity {
    pub(crate) acceptor: TlsAcceptor,
    /// The certificate to trust, as PEM.
    pub(crate) authority: String,
}

impl Identity {
    /// Makes a certificate for loopback, an address and names.
    pub(crate) fn make(names: Vec<String>, listen: IpAddr) -> Result<Self, EmulatorError> {
        let certificate = |error: rcgen::Error| EmulatorError::Certificate(error.to_string());
        let mut all = vec!["localhost".to_owned()];
        all.extend(["127.0.0.1", "::1"].map(str::to_owned));
        all.push(listen.to_string());
        all.extend(names);
        all.dedup();

        let mut authority =
            params(Vec::new(), "konnect-emulator authority").map_err(certificate)?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate().map_err(certificate)?;
        let authority = CertifiedIssuer::self_signed(authority, key).map_err(certificate)?;

        let mut server = params(all, "konnect-emulator").map_err(certificate)?;
        server.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        server.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().map_err(certificate)?;
        let signed = server.signed_by(&key, &authority).map_err(certificate)?;

        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| {
                config
                    .with_no_client_auth()
                    .with_single_cert(vec![signed.der().clone()], key)
            })
            .map_err(|error| EmulatorError::Certificate(error.to_string()))?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            authority: authority.pem(),
        })
    }
}

/// A certificate that is good from the beginning of last year to the end of the next.
fn params(names: Vec<String>, common_name: &str) -> Result<CertificateParams, rcgen::Error> {
    let year = Clock::system_now().year();
    let mut params = CertificateParams::new(names)?;
    params.not_before = date_time_ymd(year - 1, 1, 1);
    params.not_after = date_time_ymd(year + 1, 12, 31);
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    Ok(params)
}

/// A stream whose handshake is made at its first read or write, so that a client who stalls it
/// holds up nobody else.
pub(crate) enum LazyTls<S> {
    Handshake(Box<Accept<S>>),
    Open(Box<TlsStream<S>>),
    Failed,
}

impl<S: AsyncRead + AsyncWrite + Unpin> LazyTls<S> {
    /// Begins with the handshake.
    pub(crate) fn new(acceptor: &TlsAcceptor, stream: S) -> Self {
        Self::Handshake(Box::new(acceptor.accept(stream)))
    }

    /// Ends the handshake, and returns the stream that the connection goes on with.
    pub(crate) fn poll_open(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Pin<&mut TlsStream<S>>>> {
        if let Self::Handshake(accept) = self {
            match ready!(Pin::new(accept.as_mut()).poll(context)) {
                Ok(stream) => *self = Self::Open(Box::new(stream)),
                Err(error) => {
                    tracing::debug!(%error, "a TLS handshake failed");
                    *self = Self::Failed;
                    return Poll::Ready(Err(error));
                }
            }
        }
        Poll::Ready(match self {
            Self::Open(stream) => Ok(Pin::new(stream.as_mut())),
            _ => Err(io::Error::from(io::ErrorKind::NotConnected)),
        })
    }
}
