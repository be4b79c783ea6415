//! The pages and snippets that the API can fill a new portal with.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::request::Request;
use crate::scope::PortalScope;
use crate::wire::lenient;

const CREATE: &str = "POST /v3/portals/{portalId}/default-content";

/// What there was made of the default content.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DefaultContent {
    /// Paths of the pages that were made, such as `/home`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub pages: Vec<String>,
    /// Names of the snippets that were made.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub snippets: Vec<String>,
}

impl PortalScope<'_> {
    /// Makes the default pages, snippets and looks that the portal does not have yet; what it has
    /// stays as it is (`create-default-content`).
    pub async fn create_default_content(self) -> Result<DefaultContent, Error> {
        let request = Request::new(CREATE, &[&self.id]);
        self.transport.fetch(request).await
    }
}
