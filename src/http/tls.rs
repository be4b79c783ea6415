//! The certificate of usher's server, read again when its files change.
//!
//! Reads two files and nothing else. Who may connect is decided elsewhere.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::watch;
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::lifecycle::pause;

/// How soon a changed file is noticed.
const CHECK_EVERY: Duration = Duration::from_secs(2);

/// Why a pair cannot be used. Names the key of the configuration, never the content of the files.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is not there or not readable.
    #[error("{key}: could not read {}: {source}", file.display())]
    Read {
        /// The key as `section.key`.
        key: &'static str,
        /// The file it names.
        file: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A file is no PEM, or has no section of the wanted kind.
    #[error("{key}: {} is no PEM with a {wanted}: {source}", file.display())]
    Pem {
        /// The key as `section.key`.
        key: &'static str,
        /// The file it names.
        file: PathBuf,
        /// The wanted section.
        wanted: &'static str,
        /// The error of the PEM reader.
        source: pem::Error,
    },
    /// The two do not belong together, or are of a kind that TLS cannot use.
    #[error("http.tls.cert, http.tls.key: not a pair to serve with: {0}")]
    Pair(rustls::Error),
}

/// The pair of files, and what was last read from them.
#[derive(Debug, Clone)]
pub struct Certificates {
    cert: PathBuf,
    key: PathBuf,
    current: watch::Sender<Arc<ServerConfig>>,
}

impl Certificates {
    /// Reads the chain in `cert` and the private key in `key`, both PEM.
    pub async fn load(cert: PathBuf, key: PathBuf) -> Result<Self, TlsError> {
        let files = Files::read(&cert, &key).await?;
        let current = watch::Sender::new(Arc::new(files.server_config(&cert, &key)?));
        Ok(Self { cert, key, current })
    }

    /// The configuration for a connection that begins now.
    pub(super) fn current(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.borrow())
    }

    /// Reads the files every few seconds until `cancel`. A pair that cannot be used is reported
    /// once and leaves the last good one in place.
    pub async fn reload_until_stopped(self, cancel: CancellationToken) {
        // The served files are read once more at first, so that no change since is missed.
        let mut tried = None;
        while !pause(CHECK_EVERY, &cancel).await {
            let files = Files::read(&self.cert, &self.key).await;
            let seen = match &files {
                Ok(files) => FileState::Files(files.digest()),
                Err(_) => FileState::Unreadable,
            };
            let first = tried.is_none();
            if tried.replace(seen) == Some(seen) {
                continue;
            }
            match files.and_then(|files| files.server_config(&self.cert, &self.key)) {
                Ok(config) => {
                    self.current.send_replace(Arc::new(config));
                    if !first {
                        info!("the certificate was read again");
                    }
                }
                Err(error) => warn!(
                    error = &error as &dyn Error,
                    "the certificate cannot be read again, the last one is kept"
                ),
            }
        }
    }
}

/// The result of reading the files, without keeping the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileState {
    Files([u8; 32]),
    Unreadable,
}

/// The two files as they were at one moment.
struct Files {
    cert: Vec<u8>,
    key: Vec<u8>,
}

impl Files {
    async fn read(cert: &Path, key: &Path) -> Result<Self, TlsError> {
        Ok(Self {
            cert: read("http.tls.cert", cert).await?,
            key: read("http.tls.key", key).await?,
        })
    }

    /// By content: the files of a mounted secret are links whose times mean nothing.
    fn digest(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(self.cert.len().to_le_bytes());
        hash.update(&self.cert);
        hash.update(&self.key);
        hash.finalize().into()
    }

    fn server_config(&self, cert: &Path, key: &Path) -> Result<ServerConfig, TlsError> {
        let unreadable = |key, file: &Path, wanted| {
            let file = file.to_owned();
            move |source| TlsError::Pem {
                key,
                file,
                wanted,
                source,
            }
        };
        let mut chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&self.cert)
            .collect::<Result<_, _>>()
            .map_err(unreadable("http.tls.cert", cert, "certificate"))?;
        if chain.is_empty() {
            let none = unreadable("http.tls.cert", cert, "certificate");
            return Err(none(pem::Error::NoItemsFound));
        }
        chain.shrink_to_fit();
        let private = PrivateKeyDer::from_pem_slice(&self.key).map_err(unreadable(
            "http.tls.key",
            key,
            "private key",
        ))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Pair)?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(TlsError::Pair)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(config)
    }
}

async fn read(key: &'static str, file: &Path) -> Result<Vec<u8>, TlsError> {
    tokio::fs::read(file)
        .await
        .map_err(|source| TlsError::Read {
            key,
            file: file.to_owned(),
            source,
        })
}
