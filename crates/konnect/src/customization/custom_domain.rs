//! The domain of its own that a portal is reached at, and the operations on it.

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::request::Request;
use crate::scope::PortalScope;
use crate::transport::Transport;
use crate::wire::ids::PortalId;
use crate::wire::lenient;
use crate::wire::open_enum::open_enum;
use crate::wire::secret::{expose, expose_optional};

const GET: &str = "GET /v3/portals/{portalId}/custom-domain";
const CREATE: &str = "POST /v3/portals/{portalId}/custom-domain";
const UPDATE: &str = "PATCH /v3/portals/{portalId}/custom-domain";
const DELETE: &str = "DELETE /v3/portals/{portalId}/custom-domain";

open_enum! {
    /// How Konnect makes sure of a domain, and so where its TLS certificate comes from.
    DomainVerificationMethod {
        /// By a request to the domain; Konnect then gets a certificate.
        Http = "http",
        /// By a certificate that was uploaded.
        CustomCertificate = "custom_certificate",
    }
}

open_enum! {
    /// How far the verification of a certificate is.
    DomainVerificationStatus {
        /// The certificate is in use.
        Verified = "verified",
        /// It is not verified yet.
        Pending = "pending",
        /// It cannot be used; `validation_errors` says why.
        Error = "error",
    }
}

open_enum! {
    /// Whether the CNAME record of a domain leads to Konnect.
    CnameStatus {
        /// It does.
        Verified = "verified",
        /// It was not found yet.
        Pending = "pending",
    }
}

/// The domain of its own that a portal is reached at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CustomDomain {
    /// Host name of the domain.
    pub hostname: String,
    /// Whether the portal is reached at it.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub enabled: bool,
    /// TLS certificate of the domain.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub ssl: CustomDomainSsl,
    /// Whether the CNAME record leads to Konnect.
    #[serde(default)]
    pub cname_status: Option<CnameStatus>,
    /// When the domain was made.
    #[serde(default, deserialize_with = "lenient::time")]
    pub created_at: Option<DateTime<Utc>>,
    /// When the domain was last changed.
    #[serde(default, deserialize_with = "lenient::time")]
    pub updated_at: Option<DateTime<Utc>>,
}

/// TLS certificate of a custom domain; neither it nor its private key is ever told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomDomainSsl {
    /// Where the certificate comes from.
    #[serde(default)]
    pub domain_verification_method: Option<DomainVerificationMethod>,
    /// How far its verification is.
    #[serde(default)]
    pub verification_status: Option<DomainVerificationStatus>,
    /// Why it cannot be used.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub validation_errors: Vec<String>,
    /// When it was uploaded.
    #[serde(default, deserialize_with = "lenient::time")]
    pub uploaded_at: Option<DateTime<Utc>>,
    /// When it expires.
    #[serde(default, deserialize_with = "lenient::time")]
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether it is served as it was uploaded, without a check against public authorities.
    #[serde(default)]
    pub skip_ca_check: Option<bool>,
}

/// A custom domain to create.
#[derive(Debug, Clone, Serialize)]
pub struct NewCustomDomain {
    /// Host name of the domain. It cannot be changed later: delete the domain and create another.
    pub hostname: String,
    /// Whether the portal is reached at it.
    pub enabled: bool,
    /// Where its TLS certificate comes from.
    pub ssl: NewCustomDomainSsl,
}

/// Where the TLS certificate of a new custom domain comes from.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "domain_verification_method", rename_all = "snake_case")]
pub enum NewCustomDomainSsl {
    /// Konnect verifies the domain by HTTP and gets a certificate.
    Http,
    /// A certificate of one's own.
    CustomCertificate {
        /// Certificate with its chain, in PEM format.
        custom_certificate: String,
        /// Private key of the certificate, in PEM format.
        #[serde(serialize_with = "expose")]
        custom_private_key: SecretString,
        /// Whether it is served as it is, without a check against public authorities: needed for
        /// certificates of an authority of one's own. It is checked if none.
        #[serde(skip_serializing_if = "Option::is_none")]
        skip_ca_check: Option<bool>,
    },
}

/// What to change of a custom domain; members that are none stay as they are.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CustomDomainUpdate {
    /// Whether the portal is reached at it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// New TLS certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ssl: Option<CustomDomainSslUpdate>,
}

/// What to change of the TLS certificate of a custom domain; members that are none stay as they
/// are.
#[derive(Debug, Clone, Default, Serialize)]
pub struct CustomDomainSslUpdate {
    /// New certificate with its chain, in PEM format.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub custom_certificate: Option<String>,
    /// New private key of the certificate, in PEM format.
    #[serde(
        skip_serializing_if = "Option::is_none",
        serialize_with = "expose_optional"
    )]
    pub custom_private_key: Option<SecretString>,
    /// Whether it is served as it is, without a check against public authorities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_ca_check: Option<bool>,
}

/// The one custom domain of a portal.
#[derive(Debug, Clone, Copy)]
pub struct CustomDomainResource<'a> {
    transport: &'a Transport,
    portal: PortalId,
}

impl<'a> PortalScope<'a> {
    /// Custom domain of the portal.
    pub fn custom_domain(self) -> CustomDomainResource<'a> {
        CustomDomainResource {
            transport: self.transport,
            portal: self.id,
        }
    }
}

impl CustomDomainResource<'_> {
    /// Reads the domain (`get-portal-custom-domain`); none if there is none, or no such portal.
    pub async fn get(&self) -> Result<Option<CustomDomain>, Error> {
        self.transport
            .fetch_if_found(Request::new(GET, &[&self.portal]))
            .await
    }

    /// Creates the domain (`create-portal-custom-domain`); a portal can have only one.
    pub async fn create(&self, domain: &NewCustomDomain) -> Result<CustomDomain, Error> {
        self.transport
            .fetch(Request::new(CREATE, &[&self.portal]).json(domain)?)
            .await
    }

    /// Switches the domain on or off, or changes its certificate (`update-portal-custom-domain`);
    /// 404 if there is none.
    pub async fn update(&self, update: &CustomDomainUpdate) -> Result<CustomDomain, Error> {
        self.transport
            .fetch(Request::new(UPDATE, &[&self.portal]).json(update)?)
            .await
    }

    /// Deletes the domain (`delete-portal-custom-domain`); 404 if there is none.
    pub async fn delete(&self) -> Result<(), Error> {
        self.transport
            .call(Request::new(DELETE, &[&self.portal]))
            .await
    }
}
