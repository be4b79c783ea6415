//! Authentication settings of a portal: how developers sign in, and who puts them into teams.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::identity::claim_mappings::ClaimMappings;
use crate::request::Request;
use crate::scope::PortalScope;
use crate::transport::Transport;
use crate::wire::ids::PortalId;
use crate::wire::lenient;
use crate::wire::secret::expose_optional;

const GET: &str = "GET /v3/portals/{portalId}/authentication-settings";
const UPDATE: &str = "PATCH /v3/portals/{portalId}/authentication-settings";

/// How developers of a portal sign in, and who puts them into teams.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AuthenticationSettings {
    /// Whether developers sign in with an e-mail address and a password.
    #[serde(default)]
    pub basic_auth_enabled: Option<bool>,
    /// Whether an admin of Konnect puts developers into teams.
    #[serde(default)]
    pub konnect_mapping_enabled: Option<bool>,
    /// Whether groups of the identity provider put developers into teams.
    #[serde(default)]
    pub idp_mapping_enabled: Option<bool>,
    /// Whether developers sign in with OIDC. The API deprecates it; the identity provider says it.
    #[serde(default)]
    pub oidc_auth_enabled: Option<bool>,
    /// Whether developers sign in with SAML. The API deprecates it; the identity provider says it.
    #[serde(default)]
    pub saml_auth_enabled: Option<bool>,
    /// The older name of `idp_mapping_enabled`. The API deprecates it.
    #[serde(default)]
    pub oidc_team_mapping_enabled: Option<bool>,
    /// The OIDC identity provider, if there is one. The API deprecates it; the identity provider
    /// says it.
    #[serde(default)]
    pub oidc_config: Option<OidcSettings>,
}

/// The OIDC identity provider as the authentication settings show it; without the client secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OidcSettings {
    /// URL of the issuer.
    pub issuer: Option<String>,
    /// Client id of the portal at the issuer.
    pub client_id: Option<String>,
    /// Scopes that the portal asks for.
    #[serde(deserialize_with = "lenient::or_default")]
    pub scopes: Vec<String>,
    /// Claims that say who a developer is.
    pub claim_mappings: Option<ClaimMappings>,
}

/// What to change of the authentication settings; members that are none stay as they are.
#[derive(Debug, Clone, Default, Serialize)]
pub struct AuthenticationSettingsUpdate {
    /// Whether developers sign in with an e-mail address and a password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub basic_auth_enabled: Option<bool>,
    /// Whether an admin of Konnect puts developers into teams.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub konnect_mapping_enabled: Option<bool>,
    /// Whether groups of the identity provider put developers into teams; refused (400) while no
    /// identity provider is enabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idp_mapping_enabled: Option<bool>,
    /// Whether developers sign in with OIDC. The API deprecates it for the identity providers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc_auth_enabled: Option<bool>,
    /// Whether developers sign in with SAML. The API deprecates it for the identity providers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saml_auth_enabled: Option<bool>,
    /// The older name of `idp_mapping_enabled`. The API deprecates it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc_team_mapping_enabled: Option<bool>,
    /// URL of the OIDC issuer. The API deprecates it for the identity providers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc_issuer: Option<String>,
    /// Client id at the OIDC issuer. The API deprecates it for the identity providers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc_client_id: Option<String>,
    /// Client secret at the OIDC issuer. The API deprecates it for the identity providers.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "expose_optional"
    )]
    pub oidc_client_secret: Option<SecretString>,
    /// Scopes to ask the OIDC issuer for. The API deprecates it for the identity providers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc_scopes: Option<Vec<String>>,
    /// Claims that say who a developer is. The API deprecates it for the identity providers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oidc_claim_mappings: Option<ClaimMappings>,
}

/// Authentication settings of a portal.
#[derive(Debug, Clone, Copy)]
pub struct AuthenticationSettingsResource<'a> {
    transport: &'a Transport,
    portal: PortalId,
}

impl<'a> PortalScope<'a> {
    /// Authentication settings of the portal.
    pub fn authentication_settings(self) -> AuthenticationSettingsResource<'a> {
        AuthenticationSettingsResource {
            transport: self.transport,
            portal: self.id,
        }
    }
}

impl AuthenticationSettingsResource<'_> {
    /// Reads the settings (`get-portal-authentication-settings`). Every portal has them.
    pub async fn get(&self) -> Result<AuthenticationSettings, Error> {
        self.transport
            .fetch(Request::new(GET, &[&self.portal]))
            .await
    }

    /// Changes the settings (`update-portal-authentication-settings`).
    pub async fn update(
        &self,
        update: &AuthenticationSettingsUpdate,
    ) -> Result<AuthenticationSettings, Error> {
        self.transport
            .fetch(Request::new(UPDATE, &[&self.portal]).json(update)?)
            .await
    }
}
