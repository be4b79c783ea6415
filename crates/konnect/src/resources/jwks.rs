//! Reads the keys that audit-log entries are signed with.

use crate::error::Error;
use crate::models::jwks::Jwks;
use crate::request::Request;
use crate::transport::Transport;

const GET: &str = "GET /v2/audit-log-webhook/jwks.json";

/// The keys that audit-log entries of the region are signed with.
#[derive(Debug, Clone, Copy)]
pub struct JwksResource<'a> {
    pub(crate) transport: &'a Transport,
}

impl JwksResource<'_> {
    /// Reads the keys.
    ///
    /// Konnect's guide asks for them without a token and its specification with one, so the token
    /// is sent only if the API refuses the call without it: keys can then be had while the token
    /// is expired.
    pub async fn fetch(&self) -> Result<Jwks, Error> {
        match self
            .transport
            .fetch(Request::new(GET, &[]).anonymous())
            .await
        {
            Err(error) if error.is_unauthorized() => {
                self.transport.fetch(Request::new(GET, &[])).await
            }
            outcome => outcome,
        }
    }
}
