//! Why the emulator could not start, or a control was refused.

use std::{io, net::SocketAddr};

/// Why the emulator could not start, or a control was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmulatorError {
    /// The address is not free or not ours.
    #[error("could not listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The client for deliveries could not be made.
    #[error("could not make the delivery client")]
    Client(#[source] reqwest::Error),
    /// The certificate for TLS could not be made.
    #[cfg(feature = "tls")]
    #[error("could not make a certificate: {0}")]
    Certificate(String),
    /// What was to be seeded, set or restored is not valid.
    #[error("could not apply the control: {0}")]
    Control(String),
}
