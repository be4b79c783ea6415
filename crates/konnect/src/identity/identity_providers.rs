//! Identity providers of a portal and the operations on them.

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::error::Error;
use crate::identity::claim_mappings::ClaimMappings;
use crate::request::Request;
use crate::scope::PortalScope;
use crate::transport::Transport;
use crate::wire::ids::{PortalId, ids};
use crate::wire::lenient;
use crate::wire::open_enum::open_enum;
use crate::wire::secret::expose_optional;

const LIST: &str = "GET /v3/portals/{portalId}/identity-providers";
const CREATE: &str = "POST /v3/portals/{portalId}/identity-providers";
const GET: &str = "GET /v3/portals/{portalId}/identity-providers/{id}";
const UPDATE: &str = "PATCH /v3/portals/{portalId}/identity-providers/{id}";
const DELETE: &str = "DELETE /v3/portals/{portalId}/identity-providers/{id}";

ids! {
    /// Id of an identity provider of a portal.
    IdentityProviderId,
}

open_enum! {
    /// The protocol of an identity provider.
    IdentityProviderKind {
        /// OIDC.
        Oidc = "oidc",
        /// SAML.
        Saml = "saml",
    }
}

/// An identity provider of a portal; its client secret is never told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IdentityProvider {
    /// Id of the identity provider.
    pub id: IdentityProviderId,
    /// Its protocol.
    #[serde(rename = "type", default)]
    pub kind: Option<IdentityProviderKind>,
    /// Whether developers sign in with it.
    #[serde(default)]
    pub enabled: Option<bool>,
    /// Where it is, and how the portal asks it.
    #[serde(default)]
    pub config: Option<IdentityProviderConfig>,
    /// When the identity provider was made.
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    /// When the identity provider was last changed.
    #[serde(default, deserialize_with = "lenient::time")]
    pub updated_at: Option<DateTime<Utc>>,
}

/// Where an identity provider is, and how the portal asks it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum IdentityProviderConfig {
    /// For OIDC.
    Oidc(OidcConfig),
    /// For SAML.
    Saml(SamlConfig),
    /// What this version does not know, as sent.
    Other(Value),
}

impl<'de> Deserialize<'de> for IdentityProviderConfig {
    /// Tells the protocols apart by their members, for the API says the protocol elsewhere.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let has = |names: &[&str]| names.iter().any(|name| value.get(name).is_some());
        let config = if has(&["issuer_url", "client_id"]) {
            OidcConfig::deserialize(&value).map(Self::Oidc).ok()
        } else if has(&["sp_entity_id", "callback_url", "sp_metadata_url"])
            || has(&["idp_metadata_url", "idp_metadata_xml"])
        {
            SamlConfig::deserialize(&value).map(Self::Saml).ok()
        } else {
            None
        };
        Ok(config.unwrap_or(Self::Other(value)))
    }
}

/// An OIDC issuer, and how the portal asks it; without the client secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct OidcConfig {
    /// URL of the issuer, below which its metadata is.
    pub issuer_url: Option<String>,
    /// Client id of the portal at the issuer.
    pub client_id: Option<String>,
    /// Scopes that the portal asks for.
    #[serde(deserialize_with = "lenient::or_default")]
    pub scopes: Vec<String>,
    /// Claims that say who a developer is.
    pub claim_mappings: Option<ClaimMappings>,
}

/// A SAML identity provider, and what it needs to know of the portal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct SamlConfig {
    /// URL of the identity provider's metadata.
    pub idp_metadata_url: Option<String>,
    /// The identity provider's metadata, in XML.
    pub idp_metadata_xml: Option<String>,
    /// Path of the portal's metadata as a service provider.
    pub sp_metadata_url: Option<String>,
    /// Entity id of the portal as a service provider.
    pub sp_entity_id: Option<String>,
    /// Path of the portal that the identity provider sends its answers to.
    pub callback_url: Option<String>,
}

/// Which identity providers to list.
#[derive(Debug, Clone, Default)]
pub struct ListIdentityProviders {
    /// Only identity providers of this protocol.
    pub kind: Option<IdentityProviderKind>,
}

/// An identity provider to create.
#[derive(Debug, Clone)]
pub struct NewIdentityProvider {
    /// Whether developers sign in with it; not if none.
    pub enabled: Option<bool>,
    /// Where it is, and how the portal asks it; this also says its protocol.
    pub config: NewIdentityProviderConfig,
}

impl Serialize for NewIdentityProvider {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let length = 2 + usize::from(self.enabled.is_some());
        let mut body = serializer.serialize_struct("NewIdentityProvider", length)?;
        body.serialize_field("type", &self.config.kind())?;
        if let Some(enabled) = self.enabled {
            body.serialize_field("enabled", &enabled)?;
        }
        body.serialize_field("config", &self.config)?;
        body.end()
    }
}

/// Where an identity provider is, and how the portal is to ask it.
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum NewIdentityProviderConfig {
    /// For OIDC.
    Oidc(NewOidcConfig),
    /// For SAML.
    Saml(NewSamlConfig),
}

impl NewIdentityProviderConfig {
    /// The protocol that it is for.
    pub fn kind(&self) -> IdentityProviderKind {
        match self {
            Self::Oidc(_) => IdentityProviderKind::Oidc,
            Self::Saml(_) => IdentityProviderKind::Saml,
        }
    }
}

/// An OIDC issuer, and how the portal is to ask it.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NewOidcConfig {
    /// URL of the issuer, below which its metadata is.
    pub issuer_url: String,
    /// Client id of the portal at the issuer.
    pub client_id: String,
    /// Client secret of the portal at the issuer. A change without it keeps the one there is.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "expose_optional"
    )]
    pub client_secret: Option<SecretString>,
    /// Scopes to ask for; `email`, `openid` and `profile` if none are given at creation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Claims that say who a developer is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim_mappings: Option<ClaimMappings>,
}

/// A SAML identity provider: the URL of its metadata, or the metadata.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NewSamlConfig {
    /// URL of the identity provider's metadata.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idp_metadata_url: Option<String>,
    /// The identity provider's metadata, in XML.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idp_metadata_xml: Option<String>,
}

/// What to change of an identity provider; members that are none stay as they are.
#[derive(Debug, Clone, Default, Serialize)]
pub struct IdentityProviderUpdate {
    /// Whether developers sign in with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// Where it is, and how the portal asks it; for the protocol that the identity provider has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config: Option<NewIdentityProviderConfig>,
}

/// Identity providers of a portal.
#[derive(Debug, Clone, Copy)]
pub struct IdentityProviders<'a> {
    transport: &'a Transport,
    portal: PortalId,
}

impl<'a> PortalScope<'a> {
    /// Identity providers of the portal.
    pub fn identity_providers(self) -> IdentityProviders<'a> {
        IdentityProviders {
            transport: self.transport,
            portal: self.id,
        }
    }
}

impl IdentityProviders<'_> {
    /// Lists all identity providers that match (`get-portal-identity-providers`). The list has no
    /// pages.
    pub async fn list(
        &self,
        options: &ListIdentityProviders,
    ) -> Result<Vec<IdentityProvider>, Error> {
        let request =
            Request::new(LIST, &[&self.portal]).query_if("filter[type][eq]", options.kind.as_ref());
        self.transport.fetch(request).await
    }

    /// Creates an identity provider (`create-portal-identity-provider`); 409 if the portal has one
    /// of the protocol already, or if another one is enabled and this one shall be.
    pub async fn create(&self, provider: &NewIdentityProvider) -> Result<IdentityProvider, Error> {
        self.transport
            .fetch(Request::new(CREATE, &[&self.portal]).json(provider)?)
            .await
    }

    /// Reads an identity provider (`get-portal-identity-provider`).
    pub async fn get(&self, id: IdentityProviderId) -> Result<IdentityProvider, Error> {
        self.transport
            .fetch(Request::new(GET, &[&self.portal, &id]))
            .await
    }

    /// Changes an identity provider (`update-portal-identity-provider`); 409 if another one is
    /// enabled and this one shall be.
    pub async fn update(
        &self,
        id: IdentityProviderId,
        update: &IdentityProviderUpdate,
    ) -> Result<IdentityProvider, Error> {
        self.transport
            .fetch(Request::new(UPDATE, &[&self.portal, &id]).json(update)?)
            .await
    }

    /// Deletes an identity provider with its mappings (`delete-portal-identity-provider`).
    pub async fn delete(&self, id: IdentityProviderId) -> Result<(), Error> {
        self.transport
            .call(Request::new(DELETE, &[&self.portal, &id]))
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_protocols_apart_by_their_members() {
        let read = |text: &str| serde_json::from_str::<IdentityProviderConfig>(text).unwrap();
        for text in [
            r#"{"issuer_url":"https://i.example","client_id":"c","scopes":null,"new":1}"#,
            r#"{"client_id":"c"}"#,
        ] {
            assert!(
                matches!(read(text), IdentityProviderConfig::Oidc(_)),
                "{text}"
            );
        }
        for text in [
            r#"{"sp_entity_id":"e","idp_metadata_url":null,"new":{}}"#,
            r#"{"idp_metadata_xml":"<x/>"}"#,
        ] {
            assert!(
                matches!(read(text), IdentityProviderConfig::Saml(_)),
                "{text}"
            );
        }
        for text in [r#"{"realm":"r"}"#, r#"{"client_id":7}"#, "[]", r#""x""#] {
            assert!(
                matches!(read(text), IdentityProviderConfig::Other(_)),
                "{text}"
            );
        }
    }
}
