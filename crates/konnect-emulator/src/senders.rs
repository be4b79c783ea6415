//! The two HTTP clients that deliveries are sent by. Each is made when the first delivery needs it:
//! most tests have no webhook, and a client reads the system's certificates.

use std::{sync::OnceLock, time::Duration};

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client that checks certificates and one that does not, for `skip_ssl_verification`.
#[derive(Debug, Default)]
pub(crate) struct Senders {
    strict: OnceLock<Option<reqwest::Client>>,
    lenient: OnceLock<Option<reqwest::Client>>,
}

impl Senders {
    /// Returns a client; `None` where the system has no certificates to check with.
    pub(crate) fn client(&self, lenient: bool) -> Option<&reqwest::Client> {
        let client = if lenient { &self.lenient } else { &self.strict };
        client.get_or_init(|| make(lenient)).as_ref()
    }
}

fn make(lenient: bool) -> Option<reqwest::Client> {
    reqwest::Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .tls_danger_accept_invalid_certs(lenient)
        .no_proxy()
        .build()
        .inspect_err(|error| tracing::error!(%error, "could not make the client for deliveries"))
        .ok()
}
