//! Credentials of applications, as the operator sees them, and the operation on them.

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::paging::{Identified, Page, Pages, collect_numbered, numbered_page};
use crate::request::Request;
use crate::scope::PortalScope;
use crate::transport::Transport;
use crate::wire::ids::{ApplicationId, PortalId};
use crate::wire::lenient;
use crate::wire::open_enum::open_enum;

const LIST: &str = "GET /v3/portals/{portalId}/applications/{applicationId}/credentials";

open_enum! {
    /// Kind of a credential.
    CredentialKind {
        /// A key that the gateway knows.
        ApiKey = "api_key",
        /// A secret of a client at the identity provider.
        ClientSecret = "client_secret",
    }
}

open_enum! {
    /// Whether a credential can be used.
    CredentialStatus {
        /// It can.
        Active = "active",
        /// Its time has passed.
        Expired = "expired",
        /// It was taken back.
        Revoked = "revoked",
    }
}

/// A credential of an application; its secret is never told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// Id of the credential: a UUID of an API key, any text of a client secret.
    pub id: String,
    /// Kind of the credential.
    #[serde(rename = "type")]
    pub kind: CredentialKind,
    /// Name that the developer gave it.
    #[serde(default)]
    pub display_name: Option<String>,
    /// Whether it can be used; only API keys say so.
    #[serde(default)]
    pub status: Option<CredentialStatus>,
    /// Client id; only client secrets have one.
    #[serde(default)]
    pub client_id: Option<String>,
    /// When it stops to work; never if none.
    #[serde(default, deserialize_with = "lenient::time")]
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was made.
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
}

impl Identified for Credential {
    type Id = String;

    fn id(&self) -> String {
        self.id.clone()
    }
}

/// Credentials of an application.
#[derive(Debug, Clone, Copy)]
pub struct Credentials<'a> {
    transport: &'a Transport,
    portal: PortalId,
    application: ApplicationId,
}

impl<'a> PortalScope<'a> {
    /// Credentials of one application of the portal.
    pub fn credentials(self, application: ApplicationId) -> Credentials<'a> {
        Credentials {
            transport: self.transport,
            portal: self.id,
            application,
        }
    }
}

impl<'a> Credentials<'a> {
    /// Lists all credentials of the application (`list-credentials-by-application`).
    pub async fn list(&self) -> Result<Vec<Credential>, Error> {
        collect_numbered(LIST, |number| self.page(None, number)).await
    }

    /// Lists all credentials of the application page by page, without those that cannot be read;
    /// `page_size` is how many there are on a page.
    pub fn pages(self, page_size: Option<u32>) -> Pages<'a, Credential> {
        Pages::new(LIST, move |number| async move {
            self.page(page_size, number).await
        })
    }

    async fn page<T: DeserializeOwned>(
        &self,
        size: Option<u32>,
        number: u32,
    ) -> Result<Page<T>, Error> {
        let request = Request::new(LIST, &[&self.portal, &self.application]);
        numbered_page(self.transport, request, size, number).await
    }
}
